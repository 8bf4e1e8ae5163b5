"""Simplex noise above a threshold: the values of ``snoise2`` of the PyPI package ``noise`` (1.2.2), for whole pictures at once.

Simplex noise has no directions that its lattice prefers, and its pieces are rounder than those of Perlin noise. Source:
K. Perlin, *Noise hardware*, SIGGRAPH 2001 course notes, in two dimensions as S. Gustavson, *Simplex noise demystified* (2005),
explains it. The permutation is the one of Perlin's reference of *Improving Noise* (2002), which the package has too.
"""

from __future__ import annotations

import importlib
import math
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from defectsynth.banks import Banks
from defectsynth.errors import RecipeError
from defectsynth.images import Mask
from defectsynth.masks.base import MASK_PARAMS, MASKS, MaskParams, MaskSpec
from defectsynth.masks.shapes import direction
from defectsynth.noise import FloatField
from defectsynth.rng import Draws
from defectsynth.spec import AngleRange, CellsRange, PositiveRange, Range

__all__ = ["Simplex", "SimplexParams", "simplex"]

Backend = Literal["own", "noise"]

_MOST_OCTAVES = 8
_PERIOD = 256.0  # cells after which the permutation repeats
_BLOCK = 1 << 15  # pixels of the rows that are computed at a time, so that they stay in the processor's cache
_SKEW = np.float32(0.5 * (math.sqrt(3.0) - 1.0))
_UNSKEW = np.float32((3.0 - math.sqrt(3.0)) / 6.0)
_RADIUS = np.float32(0.5)  # square of the distance at which a corner's influence ends
_SCALE = np.float32(70.0)
_ZERO, _ONE, _TWO = np.float32(0), np.float32(1), np.float32(2)
_GRADIENTS = ((1, 1), (-1, 1), (1, -1), (-1, -1), (1, 0), (-1, 0), (1, 0), (-1, 0), (0, 1), (0, -1), (0, 1), (0, -1))
_PERMUTATION = bytes.fromhex(
    "97a0895b5a0f830dc95f6035c2e907e18c24671e458e086325f0150a17be0694f778ea4b001ac53e5efcdbcb75230b2039b12158ed953857ae147d88"
    "aba844af4aa547868b301ba64d929ee7536fe57a3cd385e6dc695c29372ef528f4668f3641193fa101d85049d14c84bbd05912a9c8c4878274bc9f56"
    "a4646dc6adba034034d9e2fa7c7b05ca2693767eff5255d4cfce3be32f103a11b6bd1c2adfb7aad577f898022c9aa346dd99659ba72bac09811627fd"
    "13626c6e4f71e0e8b2b97068daf661e4fb22f2c1eed2900cbfb3a2f1513391ebf90eef6b31c0d61fb5c76a9db854ccb07379322d7f0496fe8aeccd5d"
    "de72431d1848f38d80c34e42d73d9cb4"
)


@MASK_PARAMS.register
class SimplexParams(MaskParams):
    """What was drawn for a simplex mask.

    Attributes:
        offset: (x, y) in cells, added to the coordinates: which part of the one and only field is taken. It repeats after 256.
        cells: noise cells along the picture's side (square root of its area).
        elongation: how many times the noise is longer along its angle than across.
        angle: rotation of the noise, degrees anticlockwise.
        threshold: noise level, in about [-1, 1], above which a pixel is anomalous (without ``area``).
        octaves: layers of noise.
        persistence: strength of each layer relative to the one before.
        lacunarity: fineness of each layer relative to the one before.
        backend: ``own``, or ``noise``, the PyPI package of that name.
    """

    kind: Literal["simplex"] = "simplex"
    offset: tuple[float, float]
    cells: float = Field(gt=0.0, le=2.0**16)
    elongation: float = Field(default=1.0, gt=0.0, le=1e6)
    angle: float = 0.0
    threshold: float
    octaves: int = Field(default=1, ge=1, le=_MOST_OCTAVES)
    persistence: float = Field(default=0.5, gt=0.0, le=1.0)
    lacunarity: float = Field(default=2.0, ge=1.0, le=8.0)
    backend: Backend = "own"

    def field(self, roi: Mask, banks: Banks) -> FloatField:
        """Noise less threshold."""
        shape = (roi.shape[0], roi.shape[1])
        values, rows = np.empty(shape, dtype=np.float32), max(1, _BLOCK // shape[1])
        noise = simplex if self.backend == "own" else _of_package
        for top in range(0, shape[0], rows):
            x, y = self.coordinates(shape, top, min(top + rows, shape[0]))
            values[top : top + rows] = noise(x, y, self.octaves, self.persistence, self.lacunarity)
        values -= np.float32(self.threshold)
        return values

    def coordinates(self, shape: tuple[int, int], top: int, bottom: int) -> tuple[FloatField, FloatField]:
        """(x, y) in cells, each ``(bottom - top, W)`` float32, of the pixels of some rows of a picture ``shape = (H, W)``."""
        pitch, stretch = self.cells / math.sqrt(shape[0] * shape[1]), math.sqrt(self.elongation)
        sine, cosine = direction(self.angle)
        down = ((np.arange(top, bottom) + (0.5 - shape[0] / 2)) * pitch)[:, None]
        right = ((np.arange(shape[1]) + (0.5 - shape[1] / 2)) * pitch)[None, :]
        x = right * (cosine / stretch) - down * (sine / stretch) + self.offset[0]
        y = right * (sine * stretch) + down * (cosine * stretch) + self.offset[1]
        return x.astype(np.float32), y.astype(np.float32)


@MASKS.register
class Simplex(MaskSpec):
    """What may be drawn for a simplex mask.

    Attributes:
        cells_range: noise cells along the picture's side, drawn log-uniformly; the more, the finer the mask. Chosen: (2, 16).
        elongation_range: how many times the noise is longer along its angle than across, drawn log-uniformly. Chosen: none.
        rotation_range: degrees. Chosen: any angle.
        threshold_range: noise level above which a pixel is anomalous. Chosen: 0.68, which covers 5 % of the picture, as much as
            DRAEM's Perlin noise; more octaves need less. Not used with ``area_range``.
        octaves: 1 is simplex noise; more give ragged edges (fractal noise).
        persistence: strength of each octave relative to the one before. 0.5 is the default of the package ``noise``.
        lacunarity: fineness of each octave relative to the one before. 2 is the default of the package ``noise``.
        backend: ``own``; or ``noise``, which asks the package of that name pixel by pixel, for the same values.
    """

    kind: Literal["simplex"] = "simplex"
    cells_range: CellsRange = (2.0, 16.0)
    elongation_range: PositiveRange = (1.0, 1.0)
    rotation_range: AngleRange = (-180.0, 180.0)
    threshold_range: Range = (0.68, 0.68)
    octaves: int = Field(default=1, ge=1, le=_MOST_OCTAVES)
    persistence: float = Field(default=0.5, gt=0.0, le=1.0)
    lacunarity: float = Field(default=2.0, ge=1.0, le=8.0)
    backend: Backend = "own"

    def check(self, banks: Banks) -> None:
        """Raises ``RecipeError`` where the package ``noise`` is asked for and not installed."""
        if self.backend == "noise":
            _package()

    def draw(self, draws: Draws, banks: Banks) -> SimplexParams:
        """The parameters of one simplex mask."""
        return SimplexParams.drawn(
            offset=(draws.uniform("offset", (0.0, _PERIOD)), draws.uniform("offset", (0.0, _PERIOD), slot=1)),
            cells=draws.log_uniform("cells", self.cells_range),
            elongation=draws.log_uniform("elongation", self.elongation_range),
            angle=draws.uniform("angle", self.rotation_range),
            threshold=draws.uniform("threshold", self.threshold_range),
            octaves=self.octaves,
            persistence=self.persistence,
            lacunarity=self.lacunarity,
            backend=self.backend,
            **self.draw_controls(draws),
        )


def simplex(x: FloatField, y: FloatField, octaves: int = 1, persistence: float = 0.5, lacunarity: float = 2.0) -> FloatField:
    """``snoise2(x, y, octaves, persistence, lacunarity)`` of the package ``noise`` for arrays.

    Args:
        x, y: float32 of one shape, in cells; any sign.
        octaves: layers of noise, from 1 up.
        persistence: strength of each layer relative to the one before.
        lacunarity: fineness of each layer relative to the one before.

    Returns:
        float32 of that shape in [-1, 1], divided by the sum of the strengths.
    """
    fineness, strength, norm = _ONE, _ONE, _ONE
    total = _octave(x, y)
    for _ in range(1, octaves):
        fineness, strength = fineness * np.float32(lacunarity), strength * np.float32(persistence)
        total += _octave(x * fineness, y * fineness) * strength
        norm += strength
    return total / norm


def _octave(x: FloatField, y: FloatField) -> FloatField:
    """One layer: what the three corners of each point's triangle give. Single precision, as in the package, bit for bit."""
    skew = (x + y) * _SKEW
    column, row = (np.asarray(np.floor(part + skew), dtype=np.float32) for part in (x, y))
    unskew = (column + row) * _UNSKEW
    first_x, first_y = x - (column - unskew), y - (row - unskew)
    right = (first_x > first_y).astype(np.float32)  # the second corner lies to the right of the first one (1), or below it (0)
    second_x, second_y = first_x - right + _UNSKEW, first_y - (_ONE - right) + _UNSKEW
    third_x, third_y = first_x + _UNSKEW * _TWO - _ONE, first_y + _UNSKEW * _TWO - _ONE
    across, down, side = column.astype(np.int64) & 255, row.astype(np.int64) & 255, right.astype(np.int64)
    permuted, _ = _tables()
    total = _influence(first_x, first_y, across + permuted[down])
    total += _influence(second_x, second_y, across + side + permuted[down + 1 - side])
    total += _influence(third_x, third_y, across + 1 + permuted[down + 1])
    return total * _SCALE


def _influence(x: FloatField, y: FloatField, corner: npt.NDArray[np.int64]) -> FloatField:
    """What corners, by their places in the permutation, give to points at (x, y) from them."""
    _, (gradient_x, gradient_y) = _tables()
    fade = np.maximum(_RADIUS - x * x - y * y, _ZERO)
    return np.asarray(fade * fade * fade * fade * (gradient_x[corner] * x + gradient_y[corner] * y), dtype=np.float32)


@lru_cache(maxsize=1)
def _tables() -> tuple[npt.NDArray[np.int64], tuple[FloatField, FloatField]]:
    """The permutation, twice in a row, and the gradients (x and y) of its places."""
    permuted = np.frombuffer(_PERMUTATION * 2, dtype=np.uint8).astype(np.int64)
    gradients = np.array(_GRADIENTS, dtype=np.float32)[permuted % len(_GRADIENTS)]
    return permuted, (np.ascontiguousarray(gradients[:, 0]), np.ascontiguousarray(gradients[:, 1]))


def _of_package(x: FloatField, y: FloatField, octaves: int, persistence: float, lacunarity: float) -> FloatField:
    """``simplex`` by the package, one pixel after the other."""
    snoise2 = _package().snoise2
    pairs = zip(x.ravel().tolist(), y.ravel().tolist(), strict=True)
    values = (snoise2(one, other, octaves, persistence, lacunarity) for one, other in pairs)
    return np.fromiter(values, dtype=np.float32, count=x.size).reshape(x.shape)


def _package() -> Any:
    try:
        return importlib.import_module("noise")
    except ImportError:
        raise RecipeError(
            "backend 'noise' of the mask kind simplex needs the package noise, which is not installed: pip install noise, "
            "or set backend to own, which gives the same values"
        ) from None
