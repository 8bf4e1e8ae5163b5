"""Cloth, hide and wood."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from defectsynth.sources.families.shading import Canvas, Field, Picture, ramp, rgb, ridge, smooth, wave

__all__ = ["leather", "wood_grain", "woven_fabric"]

Index = npt.NDArray[np.intp]
Weave = Callable[[Index, Index], npt.NDArray[np.bool_]]


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
