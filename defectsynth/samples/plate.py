"""A plate of brushed steel: it fills the picture; the grain is another on every plate."""

from __future__ import annotations

import math

import numpy as np

from defectsynth.noise import smooth
from defectsynth.rng import Draws
from defectsynth.samples.scene import Field, Scene, Stage, colour, lay

__all__ = ["draw"]

_TURN = 1.2  # degrees that the rollers let the sheet turn


def draw(draws: Draws, stage: Stage) -> Scene:
    """Grain along x under a long lamp, whose light a brushed surface spreads into a band across the grain."""
    grain, hairlines = _brushing(draws, stage)
    rolled = stage.noise(draws.noise_seed("rolled"), (2.5, 1.5), 3)
    lamp = _lamp(draws, stage, rolled)
    shade = (0.17 + 0.30 * lamp) * (1.0 + 0.30 * grain + 0.05 * rolled) + (0.05 + 0.14 * lamp) * hairlines
    return Scene(colour("#f6f9ff") * shade, np.ones(stage.shape, dtype=np.float32))


def _lamp(draws: Draws, stage: Stage, rolled: Field) -> Field:
    offset = (stage.x * (stage.side / stage.shape[1]) - draws.uniform("lamp", (-0.16, 0.04)) + 0.05 * rolled) / 0.42
    return 1.0 / (1.0 + offset * offset)


def _brushing(draws: Draws, stage: Stage) -> tuple[Field, Field]:
    """Fine grain about 0, and single hairlines in [-1, 1]."""
    seed = draws.noise_seed("grain")
    slope = math.tan(math.radians(draws.uniform("turn", (-_TURN, _TURN))))
    rows, columns = stage.shape
    margin = math.ceil(abs(slope) * columns / 2) + 1
    sheet = Stage((rows + 2 * margin, columns))
    scale = sheet.side / stage.side  # a margin must not change the grain's size
    finest = min(460.0, stage.side * 0.9)
    layers = [((45.0, 0.5), 0.35), ((130.0, 0.8), 0.6), ((260.0, 1.6), 0.8), ((finest, 4.0), 1.0)]
    grain = np.zeros(sheet.shape, dtype=np.float32)
    for tag, ((down, across), weight) in enumerate(layers):
        grain += weight * sheet.noise(seed, (down * scale, across * scale), tag=tag)
    lines = sheet.noise(seed, (170.0 * scale, 1.8 * scale), tag=9)
    hairlines = smooth(0.42, 0.75, lines) - 0.8 * smooth(0.45, 0.8, -lines)
    return _sheared(grain, slope, margin), _sheared(hairlines, slope, margin)


def _sheared(sheet: Field, slope: float, margin: int) -> Field:
    """The sheet without its margins, each column moved down by ``slope`` times its distance from the middle."""
    rows, columns = sheet.shape[0] - 2 * margin, sheet.shape[1]
    move = margin - slope * (np.arange(columns) + 0.5 - columns / 2)
    whole = np.floor(move).astype(np.intp)
    part = (move - whole).astype(np.float32)
    row, column = np.arange(rows)[:, None] + whole, np.arange(columns)[None, :]
    upper: Field = sheet[row, column]
    lower: Field = sheet[row + 1, column]
    return lay(upper, lower, part)
