"""Metal: brushed, scratched, rusty."""

from __future__ import annotations

import cv2
import numpy as np

from defectsynth.sources.families.shading import Canvas, Field, Picture, mix, ramp, rgb, smooth

__all__ = ["brushed_metal", "rust", "scratches"]


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
