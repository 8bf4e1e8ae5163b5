"""Coatings and films: peeling and dripping paint, oil, stripes."""

from __future__ import annotations

import numpy as np

from defectsynth.sources.families.shading import Canvas, Field, Picture, mix, ramp, rgb, ridge, smooth, wave

__all__ = ["oil_film", "paint_drips", "peeling_paint", "stripes"]


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
