"""A bank of procedural textures: materials that code paints, for users who have no folder of texture photographs.

Each family is a function of a seed and a shape. It builds a height field, an albedo and a lamp, and photographs them; the
seed varies colour, scale, direction and wear, so that two seeds are two photographs of one material. Features are sized
relative to the longer side: a 512 x 512 render is the 256 x 256 one, sharper.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.errors import SourceError
from defectsynth.sources._shading import Canvas, Cells, Field, Picture, grades, mix, ramp, rgb, ridge, smooth, wave

__all__ = ["FAMILIES", "texture"]

Family = Callable[[int, tuple[int, int]], Picture]
Index = npt.NDArray[np.intp]
Weave = Callable[[Index, Index], npt.NDArray[np.bool_]]


def texture(family: str, seed: int, shape: tuple[int, int]) -> Picture:
    """A photograph-like texture.

    Args:
        family: a key of ``FAMILIES``.
        seed: 0 to 2**64 - 1; the same seed and shape give the same bytes.
        shape: ``(H, W)``, any size from 1 up.

    Returns:
        ``(H, W, 3)`` uint8, RGB.

    Raises:
        SourceError: no such family.
    """
    if family not in FAMILIES:
        raise SourceError(f"there is no texture family {family!r}: choose one of {', '.join(FAMILIES)}")
    return FAMILIES[family](seed, shape)


# --- metal ----------------------------------------------------------------------------------------------------------


def brushed_metal(seed: int, shape: tuple[int, int]) -> Picture:
    """Steel, aluminium, brass or copper, brushed in one direction."""
    c = Canvas("brushed_metal", seed, shape)
    metals = (("7f8386", "b5b9bc"), ("979998", "cbccc9"), ("62676d", "979da4"), ("8f743f", "c9a970"), ("8e6049", "c59474"))
    across, along = c.turned(c.uniform("angle", 0, 180))
    stain = c.fbm("stain", 2.5, 7, 0.6)
    across = across + 0.0012 * stain
    fine = c.uniform("fineness", 170, 330)
    hair = c.streaks("hair", across, along, (fine, 1.8)) + c.streaks("hair.short", across, along, (fine * 0.8, 6))
    strokes = c.streaks("strokes", across, along, (fine * 0.3, 1.2)) + 0.7 * c.streaks("strokes.wide", across, along, (22, 0.8))
    sheen = c.streaks("sheen", across, along, (0.6, 1.8))
    tone = 0.5 + 0.15 * hair + 0.09 * strokes + 0.3 * sheen
    dark, light = c.pick("metal", metals)
    return c.develop(ramp(tone, ("36383b", dark, light, "efefec")) * (1.0 - 0.16 * smooth(0.0, 1.2, stain)))


def scratches(seed: int, shape: tuple[int, int]) -> Picture:
    """A worn metal or painted plate under many fine scratches, some bright, some dark."""
    c = Canvas("scratches", seed, shape)
    plates = (("4b4f53", "74787c"), ("2a2d31", "4b5157"), ("6d6f6c", "969793"), ("2c3c4a", "4c6377"), ("43473b", "676a5a"))
    wear, fine = c.fbm("wear", 2, 8, 0.62), c.fbm("fine", 50, 4, 0.9)
    plate = ramp(0.5 + 0.28 * wear + 0.12 * fine, c.pick("plate", plates))
    bright = _scratch_lines(c, "bright", c.draws.integer("bright", (160, 420)), 0.0014)
    dark = _scratch_lines(c, "dark", c.draws.integer("dark", (40, 120)), 0.0018)
    deep = _scratch_lines(c, "deep", c.draws.integer("deep", (4, 16)), 0.0036)
    bare = smooth(-0.8, 0.4, c.fbm("bare", 3, 3))
    lit = c.light((bright * 0.4 + deep) * -0.004 + 0.0008 * wear, ambient=0.4, polish=3)
    worn = mix(plate, rgb("eceded"), np.clip(bright * (0.45 + 0.55 * bare) + 0.7 * deep, 0.0, 1.0)) * (1.0 - 0.7 * dark)
    return c.develop(worn * lit.diffuse + (0.03 + 0.09 * bare) * lit.gloss)


def _scratch_lines(c: Canvas, name: str, count: int, width: float) -> Field:
    """Depth, 0 to 1, of curved lines; most keep to one direction, as wear does."""
    drawn = c.units(name, count, 8).astype(np.float64)
    main = c.uniform("direction", 0.0, 360.0)
    turn = np.where(drawn[:, 0] < 0.6, main + (drawn[:, 1] - 0.5) * 30, drawn[:, 1] * 360)
    part = np.arange(-3, 4) / 6
    heading = np.deg2rad(turn)[:, None] + (drawn[:, 4, None] - 0.5) * 0.6 * part
    reach = (0.05 + 0.9 * drawn[:, 2] * drawn[:, 2] * drawn[:, 3])[:, None] * part
    # Quantised, since the last bit of a sine differs between machines.
    rise, run = (np.round(part * 4096) / 4096 for part in (np.sin(heading), np.cos(heading)))
    down = drawn[:, 5, None] * (c.shape[0] / c.side) + reach * rise
    right = drawn[:, 6, None] * (c.shape[1] / c.side) + reach * run
    points = np.rint(np.stack([right, down], axis=-1) * (c.side * 16)).astype(np.int32)
    strength = min(width * c.side, 1.0) * (50 + 205 * drawn[:, 7] * drawn[:, 7])
    layer = np.zeros(c.shape, dtype=np.uint8)
    for line in np.argsort(strength, kind="stable"):
        cv2.polylines(layer, [points[line]], False, int(strength[line]), max(1, round(width * c.side)), cv2.LINE_AA, shift=4)
    return layer.astype(np.float32) * (1 / 255)


def rust(seed: int, shape: tuple[int, int]) -> Picture:
    """Flaking orange and brown rust over dark steel, with pits."""
    c = Canvas("rust", seed, shape)
    browns = (("1f120d", "472617", "74401f", "98602f", "b98a52"), ("1b1110", "3b231b", "633523", "8a5233", "ab7a50"))
    steels = (("1c1f23", "3a3f45", "64696e"), ("262321", "47433f", "706a63"), ("272f34", "465259", "727e81"))
    patches, detail = c.fbm("patches", c.uniform("scale", 1.8, 4), 9, 0.65), c.fbm("detail", 10, 7, 0.75)
    grown = patches + 0.12 * detail + c.uniform("cover", -0.1, 0.5)
    eaten = np.maximum(smooth(-0.03, 0.06, grown), smooth(0.3, 0.6, detail + 0.8 * grown))
    scale = smooth(0.0, 0.05, c.fbm("scale", 6, 7, 0.62) - 0.1) * smooth(0.2, 0.4, grown)
    dots = c.cells("pits", c.uniform("pits", 20, 36), 0.3)
    pits = smooth(0.06, -0.1, dots.near - np.maximum(dots.unit(0) - 0.55, 0.0) * (0.3 + 0.8 * dots.unit(1))) * eaten
    lit = c.light(eaten * (0.003 + 0.004 * detail) + 0.004 * scale - 0.007 * pits + 0.0008 * detail, shadow=0.01, polish=3)
    tone = 0.42 + 0.22 * patches + 0.3 * detail - 0.2 * scale
    steel = mix(ramp(0.5 + 0.5 * detail, c.pick("steel", steels)), rgb("5b3722"), smooth(-0.4, 0.05, grown) * 0.5)
    colour = mix(steel, ramp(tone, c.pick("browns", browns)), eaten) * (1.0 - 0.6 * pits)
    return c.develop(colour * lit.diffuse * 1.15 + (1.0 - eaten) * lit.gloss * 0.06)


# --- coatings and films ---------------------------------------------------------------------------------------------


def peeling_paint(seed: int, shape: tuple[int, int]) -> Picture:
    """Old paint that cracks, lifts and has fallen off a primer, plaster or rusty ground."""
    c = Canvas("peeling_paint", seed, shape)
    coats = (("5f7f86", "7d9a9c"), ("8e9d7c", "a8b394"), ("b9b2a0", "d2ccbc"), ("8a4a3c", "a3604e"), ("50637f", "6a7d96"))
    grounds = (("7a4a2c", "4a2c1c", "94603a"), ("a89c8a", "8b7f6e", "bdb3a2"), ("6e6a66", "56524f", "85817b"))
    where = c.fbm("where", c.uniform("scale", 2, 3.5), 8, 0.55)
    chips = c.cells("chips", c.uniform("chips", 7, 12), 0.8, 6)
    lost = where + (chips.unit(0) - 0.5) * 0.7 - c.uniform("kept", 0.05, 0.35)
    paint = smooth(0.05, -0.02, lost)
    crack = ridge(chips.edge, 0.02) * smooth(-0.5, 0.1, where)
    paint *= 1.0 - smooth(0.3, 0.7, crack)
    curl = c.soften(1.0 - paint, 0.02) * 0.012
    detail = c.fbm("detail", 12, 7, 0.6)
    height = paint * (0.006 + curl) + detail * (0.0022 - 0.0014 * paint)
    lit = c.light(height, shadow=0.02, polish=3)
    ground = ramp(0.5 + 0.5 * detail, c.pick("ground", grounds))
    dirt = 1.0 - 0.3 * smooth(-0.1, 1.2, c.fbm("dirt", 2, 7, 0.65))
    coat = ramp(0.5 + 0.4 * where + 0.12 * detail, c.pick("coat", coats)) * dirt
    return c.develop(mix(ground, coat, paint) * lit.diffuse + paint * lit.gloss * 0.05)


def paint_drips(seed: int, shape: tuple[int, int]) -> Picture:
    """Glossy paint that ran down a wall."""
    c = Canvas("paint_drips", seed, shape)
    walls = (("8d8a84", "a6a39c"), ("b4aea2", "cac5ba"), ("5e6468", "777d81"), ("7c6a58", "97846f"))
    paints = (
        ("7d1f1a", "a5302a"),
        ("22384f", "35546f"),
        ("2c2c2d", "434445"),
        ("c9c3b4", "e2ddd0"),
        ("b98a1f", "d6a83a"),
        ("2f5a45", "457a60"),
    )
    film = _runs(c)
    wet = smooth(0.0, 0.12, film)
    rough = c.fbm("rough", 8, 7, 0.72)
    lit = c.light(0.02 * film + rough * (0.0016 * (1.0 - wet)), shadow=0.02, polish=5)
    wall = ramp(0.5 + 0.5 * rough, c.pick("wall", walls))
    paint = ramp(smooth(0.0, 1.0, film) + 0.1 * rough, c.pick("paint", paints))
    return c.develop(mix(wall, paint, wet) * lit.diffuse + wet * lit.gloss * 0.5)


def _runs(c: Canvas) -> Field:
    """Thickness, about 0 to 1, of a flooded top edge and the runs below it."""
    down, right = c.axes()
    down = down + np.zeros(c.shape, dtype=np.float32)
    across = right + 0.008 * c.fbm("sway", 3, 3)
    top = c.uniform("top", 0.05, 0.35) + 0.06 * c.fbm("edge", 4, 3)
    film = smooth(0.01, -0.05, down - top) * (1.0 + 0.15 * c.fbm("flood", 5, 3))
    count = c.draws.integer("runs", (9, 20))
    for centre, long, wide, bead in c.units("runs", count, 4):
        end, radius = top[0, int(centre * c.shape[1])] + long * long * 0.8, 0.006 + wide * 0.016
        belly = radius * (1.0 + (0.3 + bead) * smooth(-0.12, 0.0, down - end))
        beyond = np.maximum(down - end, 0.0)
        aside = (across - centre * (c.shape[1] / c.side)) / belly
        round_off = np.maximum(1.0 - aside * aside - (beyond / belly) ** 2, 0.0)
        film = np.maximum(film, np.sqrt(round_off) * belly * 35.0)
    return film


def oil_film(seed: int, shape: tuple[int, int]) -> Picture:
    """A film of oil on dark wet asphalt, in the colours of thin layers."""
    c = Canvas("oil_film", seed, shape)
    bend_y, bend_x = c.fbm("bend.y", 1.6, 5, 0.42), c.fbm("bend.x", 1.6, 5, 0.42)
    across, along = c.turned(c.uniform("angle", 0, 360))
    swirl = c.streaks("swirl", across + 0.16 * bend_y, along + 0.16 * bend_x, (3.5, 1.5))
    stones, grit = c.cells("stones", c.uniform("stones", 30, 54), 0.4), c.fbm("grit", 60, 4, 0.9)
    bump = smooth(0.0, 0.3, stones.edge + 0.06 * grit) * smooth(0.0, 0.8, stones.unit(0))
    here = smooth(-0.6, 0.5, bend_x + 0.5 * swirl + c.uniform("cover", -0.1, 0.5))
    thick = here * (c.uniform("thickness", 0.5, 1.1) + 0.55 * swirl + 0.35 * bend_y) + 0.02 * bump
    film = np.stack([0.5 + 0.5 * wave(thick / wavelength - 0.25) for wavelength in (0.65, 0.53, 0.45)])
    grey = film.sum(axis=0) * (1 / 3)
    muted = grey + (film - grey) * c.uniform("purity", 0.4, 0.7)
    lit = c.light(0.006 * bump + 0.0012 * grit, shadow=0.008, ambient=0.4, polish=4)
    tone = 0.22 + 0.5 * bump * stones.unit(1) + 0.18 * grit
    ground = ramp(tone, c.pick("ground", (("0f1113", "2c2f33", "6a6e71"), ("15120f", "37332e", "746c62"))))
    wet = 0.08 + 0.13 * bump * (1.0 + 0.5 * swirl) + 0.3 * lit.gloss * bump
    return c.develop(ground * lit.diffuse + muted * here * wet + 0.04 * lit.gloss)


def stripes(seed: int, shape: tuple[int, int]) -> Picture:
    """Worn two-colour stripes painted on concrete or steel."""
    c = Canvas("stripes", seed, shape)
    pairs = (("b8942a", "26272a"), ("a03a30", "d0ccc2"), ("cfccc3", "3f566c"), ("c5c1b3", "5c6258"), ("b5763a", "d2ccbe"))
    grounds = (("55524d", "8b8881", "a9a69e"), ("3f4245", "6a6d70", "8b8e90"))
    first, second = c.pick("pair", pairs)
    across, along = c.turned(c.pick("angle", (0.0, 45.0, 90.0, 135.0)) + c.uniform("tilt", -5, 5))
    rough, wear = c.fbm("rough", 7, 8, 0.72), c.fbm("wear", 2.5, 8, 0.68)
    turns = across * c.uniform("count", 3.5, 9) + 0.008 * rough + c.uniform("phase", 0, 1)
    band = smooth(-0.05, 0.05, wave(turns) + c.uniform("duty", -0.3, 0.3))
    scuff = c.streaks("scuff", along + 0.02 * wear, across, (90, 4))
    loss = wear + 0.45 * rough + 0.18 * scuff + c.uniform("age", -0.5, 0.0)
    paint = smooth(0.5, 0.35, loss) * (1.0 - 0.45 * smooth(-0.3, 0.5, loss))
    lit = c.light(paint * 0.0015 + rough * 0.0028, shadow=0.006, ambient=0.4)
    dirt = 1.0 - 0.4 * smooth(-0.3, 1.0, c.fbm("dirt", 2, 6, 0.6) + 0.5 * rough)
    painted = mix(ramp(0.5 + 0.4 * rough, c.pick("ground", grounds)), mix(rgb(first), rgb(second), band), paint)
    return c.develop(painted * (lit.diffuse * dirt))


# --- cloth, hide, wood ----------------------------------------------------------------------------------------------


def woven_fabric(seed: int, shape: tuple[int, int]) -> Picture:
    """Canvas, denim, twill or basket weave: threads over and under each other, no two alike."""
    c = Canvas("woven_fabric", seed, shape)
    across, along = c.turned(c.uniform("angle", -12, 12) + c.pick("quarter", (0.0, 45.0, 90.0)))
    count = c.uniform("threads", 22, 52)
    pull = c.fbm("pull", 3, 3)
    u = across * count + 0.35 * pull
    v = along * count + 0.25 * c.fbm("pull.along", 3, 3)
    over = c.pick("weave", (_plain, _twill, _denim, _basket))
    warp, weft = _thread(c, "warp", over, u, v), _thread(c, "weft", lambda i, j: ~over(j, i), v, u)
    top = warp[0] > weft[0]
    height = np.where(top, warp[0], weft[0])
    fuzz = c.fbm("fuzz", 80, 3, 0.8)
    lit = c.light((height + 0.05 * fuzz) * (0.55 / count), shadow=0.5 / count, ambient=0.4, polish=2)
    pairs = (
        ("3b4d6b", "a9b0b8"),
        ("b9ad96", "c9bfab"),
        ("6b5a48", "8d7a63"),
        ("7a2f33", "8c4a48"),
        ("4c5548", "687163"),
        ("8f9296", "5c6066"),
    )
    first, second = c.pick("dye", pairs)
    dyed = np.where(top, rgb(first) * warp[1], rgb(second) * weft[1])
    hollow = 0.45 + 0.55 * smooth(-0.3, 0.6, height)
    return c.develop(dyed * (lit.diffuse * hollow * (1.15 + 0.12 * fuzz)))


def _plain(i: Index, j: Index) -> npt.NDArray[np.bool_]:
    return np.asarray((i + j) & 1 == 0)


def _twill(i: Index, j: Index) -> npt.NDArray[np.bool_]:
    return np.asarray((i + j) & 3 < 2)


def _denim(i: Index, j: Index) -> npt.NDArray[np.bool_]:
    return np.asarray((i + j) & 3 < 3)


def _basket(i: Index, j: Index) -> npt.NDArray[np.bool_]:
    return np.asarray(((i >> 1) + (j >> 1)) & 1 == 0)


def _thread(c: Canvas, name: str, over: Weave, along: Field, across: Field) -> tuple[Field, Field]:
    """Height (-1 to 1) and brightness of the threads that run along ``along``, one each unit of ``across``."""
    index = np.floor(across).astype(np.intp)
    crossing = np.floor(along - 0.5)
    fade = smooth(0.1, 0.9, along - 0.5 - crossing)
    before = over(crossing.astype(np.intp), index)
    after = over(crossing.astype(np.intp) + 1, index)
    level = before + (after.astype(np.float32) - before) * fade
    aside = across - np.floor(across) - 0.5
    bulge = np.sqrt(np.maximum(1.0 - aside * aside * 4.2, 0.0))
    own = c.units(name, 1, 256)[0].take(index & 255)
    twist = wave(along * 2.2 + aside * 1.6 + own)
    height = level * 0.7 + bulge - 0.9 + twist * 0.06
    slub = c.streaks(name + ".slub", across, along, (1.0, 0.3))
    return height, 0.86 + 0.28 * own + 0.10 * twist + 0.12 * slub


def leather(seed: int, shape: tuple[int, int]) -> Picture:
    """Pebbled hide with creases and a soft sheen."""
    c = Canvas("leather", seed, shape)
    hides = (
        ("3a2114", "5f3a24", "7a4e33"),
        ("17161a", "262529", "38363a"),
        ("5a1f1a", "7a2f27", "934438"),
        ("8a6238", "a97e50", "c09a6e"),
        ("2c3836", "43524e", "5a6a64"),
    )
    count = c.uniform("pebbles", 26, 46)
    pebbles = c.cells("pebbles", count, 0.45, count / 3)
    plump = smooth(-0.04, 0.24, pebbles.edge)
    fold = c.fbm("fold", 3.5, 6, 0.55)
    crease = ridge(fold, 0.05) * smooth(-0.3, 0.6, c.fbm("fold.where", 2.5, 2))
    skin = c.fbm("skin", 60, 4, 0.7)
    height = (plump * (0.6 + 0.5 * pebbles.unit(0)) + 0.12 * skin) * (0.16 / count)
    height += 0.006 * fold - 0.006 * crease
    lit = c.light(height, shadow=0.006, polish=3)
    tone = 0.38 + 0.28 * plump + 0.2 * fold + 0.25 * (pebbles.unit(1) - 0.5)
    colour = ramp(tone - 0.35 * crease + 0.05 * skin, c.pick("hide", hides))
    return c.develop(colour * lit.diffuse * 1.15 + lit.gloss * plump * c.uniform("sheen", 0.04, 0.14))


def wood_grain(seed: int, shape: tuple[int, int]) -> Picture:
    """A sawn plank: growth rings cut at a slant, fibres and pores."""
    c = Canvas("wood_grain", seed, shape)
    woods = (
        ("d6bb92", "c6a271", "a98150"),
        ("b39068", "98724a", "70502f"),
        ("7f6048", "644733", "412c1e"),
        ("c4a57e", "ab8459", "86613d"),
        ("9b6d4f", "81543a", "5c3826"),
        ("cfc3ae", "b8a88e", "94836a"),
    )
    across, along = c.turned(c.pick("quarter", (0.0, 90.0)) + c.uniform("tilt", -8, 8))
    bend = c.fbm("bend", 1.4, 4, 0.4)
    lines = across + 0.03 * bend + 0.012 * c.streaks("lie", across, along, (5, 1.3))
    offset = lines - c.uniform("pith", 0.1, 1.6) * c.pick("side", (-0.3, 1.0))
    depth = c.uniform("depth", 0.03, 0.25) + c.uniform("slant", -0.4, 0.4) * (along - 0.4)
    radius = np.sqrt(offset * offset + depth * depth)
    seasons = c.streaks("seasons", radius, 0.0 * radius, (7, 1))
    rings = radius * c.uniform("rings", 14, 40) + 0.9 * seasons
    year = c.units("year", 1, 128)[0].take(np.floor(rings).astype(np.intp) & 127)
    part = rings - np.floor(rings)
    late = part * part * smooth(1.0, 0.86, part) * (0.25 + 0.9 * year)
    fibre = c.streaks("fibre", lines, along, (140, 5)) + c.streaks("fibre.fine", lines, along, (320, 14))
    pores = smooth(0.35, 0.75, c.streaks("pores", lines, along, (230, 16))) * (1.0 - 0.7 * smooth(0.1, 0.6, late))
    tone = 0.16 + 0.75 * late + 0.12 * fibre + 0.16 * seasons + 0.08 * bend
    lit = c.light((0.3 * fibre - pores) * 0.0005, ambient=0.5)
    return c.develop(ramp(tone, c.pick("wood", woods)) * lit.diffuse * (1.0 - 0.3 * pores))


# --- stone and earth ------------------------------------------------------------------------------------------------


def marble(seed: int, shape: tuple[int, int]) -> Picture:
    """Polished marble: clouds, and veins that fold and fade."""
    c = Canvas("marble", seed, shape)
    stones = (
        (("b9b7b4", "dedcd8", "efeeeb"), "6d6c6e"),
        (("8f8d8c", "bdbbb8", "d4d2cf"), "4c4b4d"),
        (("1a1c1e", "292b2e", "3b3e41"), "d2cdc2"),
        (("2f4239", "47604f", "5f7a66"), "c9d2c4"),
        (("b79d83", "d3bda4", "e2d2bd"), "8a5f45"),
    )
    clouds, vein = c.pick("stone", stones)
    bend_y, bend_x = c.fbm("bend.y", 2, 6), c.fbm("bend.x", 2.6, 6)
    across, along = c.turned(c.uniform("angle", 0, 180))
    y, x = across + 0.16 * bend_y, along + 0.16 * bend_x
    bold = ridge(c.streaks("bold", y, x, (4, 1.3)), 0.022) * smooth(-0.5, 0.7, bend_x)
    thin = ridge(c.streaks("thin", y + 0.05 * bend_x, x, (8, 4)), 0.022) * smooth(-0.2, 0.8, bend_y)
    haze = ridge(c.streaks("haze", y, x, (4, 1.3)), 0.3)
    fine = c.fbm("fine", 14, 6, 0.6)
    cloud = 0.62 + 0.35 * bend_y + 0.08 * fine - 0.35 * haze
    amount = np.clip(0.85 * bold + 0.6 * thin + 0.12 * haze, 0.0, 1.0)
    return c.develop(mix(ramp(cloud, clouds), rgb(vein), amount * (0.85 + 0.2 * fine)))


def granite(seed: int, shape: tuple[int, int]) -> Picture:
    """Speckled granite: feldspar, quartz and mica grains of several sizes."""
    c = Canvas("granite", seed, shape)
    kinds = (
        ("c8a796", "b98d7c", "8f8b88", "d8d2ca", "2a2829"),
        ("c9c7c3", "dedcd8", "8d8e90", "a9a9a8", "26272a"),
        ("6a6c6f", "4c4e51", "8f9193", "38393c", "17181a"),
        ("b5a183", "9c8768", "d1c5ae", "7d7265", "2c2724"),
    )
    minerals = c.pick("kind", kinds)
    count = c.uniform("grains", 42, 70)
    small = c.cells("small", count, 0.8, count / 2)
    large = c.cells("large", count * 0.42, 0.7, count / 2)
    feldspar = smooth(0.0, 0.05, large.edge - 0.02) * (large.unit(0) < 0.42)
    matrix = grades(small.unit(0), minerals, (0.18, 0.36, 0.60, 0.82))
    crystal = grades(large.unit(1), minerals, (0.55, 0.8, 0.9, 0.999))
    fine = c.fbm("fine", 50, 4, 0.8)
    body = mix(matrix * (0.8 + 0.4 * small.unit(1)), crystal * (0.85 + 0.3 * large.unit(2)), feldspar)
    cloud = 1.0 + 0.18 * fine
    return c.develop(body * cloud)


def terrazzo(seed: int, shape: tuple[int, int]) -> Picture:
    """Stone chips ground flat in cement."""
    c = Canvas("terrazzo", seed, shape)
    chips = (
        ("8d8378", "c9beae", "5c5650", "a77f63", "d9d3c8"),
        ("6f7b80", "c4c9c9", "3f474b", "97a09f", "b0a48f"),
        ("a0584a", "d5c9b8", "6b6f6a", "b98f6a", "3d3a38"),
    )
    cements = (("b8b3a9", "c9c5bc"), ("d3cfc6", "e0ddd6"), ("75756f", "8b8b85"), ("3f4143", "525456"))
    colours = c.pick("chips", chips)
    count = c.uniform("count", 9, 15)
    large, small = c.cells("large", count, 0.35, count), c.cells("small", count * 2.6, 0.4, count * 2)
    fine = c.fbm("fine", 24, 6, 0.65)
    body = ramp(0.5 + 0.35 * fine + 0.2 * c.fbm("cloud", 2, 3), c.pick("cement", cements))
    for cells, share, soft in ((small, 0.65, 0.06), (large, 0.6, 0.025)):
        there = smooth(0.0, soft, cells.edge - 0.05 - 0.14 * cells.unit(3)) * (cells.unit(0) < share)
        tone = 0.82 + 0.36 * cells.unit(2) + 0.1 * fine
        body = mix(body, grades(cells.unit(1), colours, (0.2, 0.4, 0.6, 0.8)) * tone, there)
    return c.develop(body)


def concrete(seed: int, shape: tuple[int, int]) -> Picture:
    """Cast concrete: cloudy greys, sand, air holes, now and then a crack."""
    c = Canvas("concrete", seed, shape)
    greys = (("5f5d59", "8a8781", "aaa79f"), ("6d6f70", "949696", "b3b5b4"), ("756c60", "9a9183", "b8b0a2"))
    cloud, sand = c.fbm("cloud", 2, 9, 0.68), c.fbm("sand", 40, 5, 0.85)
    holes = c.cells("holes", c.uniform("holes", 9, 20), 0.12, 24)
    size = np.maximum(holes.unit(0) - 0.4, 0.0) * holes.unit(1)
    hole = smooth(0.04, -0.06, holes.near - 0.5 * size) * smooth(0.0, 0.06, size)
    crack = ridge(c.fbm("crack", 1.6, 8, 0.52), 0.006)
    crack *= smooth(0.0, 0.3, c.fbm("crack.where", 1.5, 2) + c.uniform("cracked", -0.6, 0.3))
    lit = c.light(0.0022 * sand + 0.003 * cloud - 0.014 * hole - 0.006 * crack, shadow=0.012, ambient=0.4)
    tone = 0.5 + 0.42 * cloud + 0.2 * sand
    return c.develop(ramp(tone, c.pick("grey", greys)) * (lit.diffuse * (1.0 - 0.4 * hole - 0.6 * crack)))


def gravel(seed: int, shape: tuple[int, int]) -> Picture:
    """Loose stones, large over small, in each other's shadow."""
    c = Canvas("gravel", seed, shape)
    mixes = (
        ("6d6863", "8c867e", "a79f94", "57534f", "b8ab9a"),
        ("7a7f84", "979ca0", "5c6166", "b0b3b4", "6f6a66"),
        ("94785c", "ad9272", "7a624b", "c2ad90", "8b837a"),
    )
    count = c.uniform("stones", 9, 14)
    rough = c.fbm("rough", 16, 6, 0.6)
    large, small = c.cells("large", count, 0.18, count), c.cells("small", count * 2.1, 0.2, count * 2)
    colours = c.pick("mix", mixes)
    high, low = _stones(large, 0.62) / count, _stones(small, 1.0) / (count * 2.1) - (0.25 / count)
    top = high > low
    height = np.maximum(np.where(top, high, low), (-0.5 / count)) + 0.0028 * rough
    lit = c.light(height * 0.9, shadow=0.5 / count, ambient=0.3, polish=3)
    stone = np.where(
        top, grades(large.unit(1), colours, (0.25, 0.5, 0.72, 0.9)), grades(small.unit(1), colours, (0.25, 0.5, 0.72, 0.9))
    )
    tone = np.where(top, large.unit(2), small.unit(2) * 0.8) * 0.5 + 0.75 + 0.16 * rough
    hollow = smooth(-0.4, 0.3, height * count) * 0.75 + 0.25
    return c.develop(stone * (tone * lit.diffuse * hollow))


def _stones(cells: Cells, share: float) -> Field:
    """Height, in cells, of worn stones that tilt their own way; far below where a cell has none."""
    dome = np.sqrt(np.clip(cells.edge * (5.2 - 6.5 * cells.edge), 0.0, 1.0))
    lean = (cells.unit(2) - 0.5) * cells.down + (cells.unit(3) - 0.5) * cells.right
    height = dome * 0.3 + lean * 0.5
    return np.where((cells.unit(0) < share) & (cells.edge > 0.03), height, -9.0)


def cracked_mud(seed: int, shape: tuple[int, int]) -> Picture:
    """Dried mud in curled plates, cracked twice."""
    c = Canvas("cracked_mud", seed, shape)
    muds = (("6b5847", "8f7a64", "a8937b"), ("7d746a", "9c9287", "b3aa9f"), ("7a5138", "9c6c4c", "b58766"))
    count = c.uniform("plates", 4, 7.5)
    plates, shards = c.cells("plates", count, 0.25, 9), c.cells("shards", count * 2.4, 0.3, 14)
    rough = c.fbm("rough", 5, 8, 0.6)
    gap = smooth(0.0, 0.035, plates.edge - 0.03 + 0.012 * rough)
    split = smooth(0.0, 0.05, shards.edge - 0.035 + 0.02 * rough)
    split = np.maximum(split, smooth(0.35, 0.6, shards.unit(0)))
    rim = smooth(0.3, 0.03, plates.edge) * 0.25
    height = (gap * (0.6 + rim) + split * gap * 0.22) * (0.12 / count) + rough * 0.004
    lit = c.light(height, shadow=0.08 / count, polish=2)
    tone = 0.45 + 0.3 * rough + 0.3 * (plates.unit(0) - 0.5) + rim
    dark = (0.22 + 0.78 * gap) * (0.45 + 0.55 * split)
    return c.develop(ramp(tone, c.pick("mud", muds)) * lit.diffuse * dark)


def foam(seed: int, shape: tuple[int, int]) -> Picture:
    """Cut foam or sponge: round pores of all sizes that open into each other."""
    c = Canvas("foam", seed, shape)
    dyes = (
        ("2a2213", "9a8143", "d6bd7c", "ecdcae"),
        ("1d1f21", "565b5e", "8f9495", "b9bcbc"),
        ("232a35", "56697f", "8ea3b8", "c0cedb"),
        ("2e2a26", "948b7f", "cfc7ba", "ebe6de"),
        ("101113", "2a2d30", "484c50", "6a6e73"),
        ("2a1611", "8a4f3a", "c07e5e", "dfae90"),
    )
    count = c.uniform("pores", 8, 15)
    fuzz = c.fbm("fuzz", 50, 4, 0.8)
    wide = _pores(c.cells("wide", count, 0.25, count), 0.62) / count
    fine = _pores(c.cells("fine", count * 2.3, 0.3, count * 2), 0.6) / (count * 2.3)
    depth = np.maximum(wide, fine)
    lit = c.light(0.0025 * fuzz - 1.1 * depth, shadow=0.3 / count, ambient=0.4, polish=2)
    tone = 0.85 - 1.35 * count * depth + 0.06 * fuzz
    return c.develop(ramp(tone, c.pick("dye", dyes)) * lit.diffuse)


def _pores(cells: Cells, largest: float) -> Field:
    """Depth, in cells, of round hollows, some missing."""
    radius = largest * smooth(0.1, 0.9, cells.unit(0))
    depth: Field = np.sqrt(np.maximum(radius * radius - cells.down * cells.down - cells.right * cells.right, 0.0))
    return depth


FAMILIES: dict[str, Family] = {
    family.__name__: family
    for family in (
        brushed_metal,
        scratches,
        rust,
        peeling_paint,
        paint_drips,
        oil_film,
        stripes,
        woven_fabric,
        leather,
        wood_grain,
        marble,
        granite,
        terrazzo,
        concrete,
        gravel,
        cracked_mud,
        foam,
    )
}
"""Every family by its name, in the order of the documentation."""
