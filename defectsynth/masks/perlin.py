"""Perlin noise above a threshold: the mask of DRAEM and its descendants, for any H x W.

Sources: ``VitjanZ/DRAEM`` ``data_loader.py`` and ``perlin.py`` (cells 2^0 .. 2^5 per axis, rotation +-90, threshold 0.5).
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from defectsynth import noise
from defectsynth.banks import Banks
from defectsynth.images import Mask, as_mask
from defectsynth.masks.base import MASK_PARAMS, MASKS, MaskParams, MaskSpec
from defectsynth.masks.turning import rotate
from defectsynth.noise import FloatField
from defectsynth.rng import Draws
from defectsynth.spec import AngleRange, CellsRange, PositiveRange, Range

__all__ = ["Perlin", "PerlinParams"]

Cells = Annotated[float, Field(gt=0.0, le=2.0**16)]
_MOST_OCTAVES = 8
_LARGEST_CANVAS = 4  # times the picture; a long picture would need a square canvas of its length, so it is sampled directly
_NOWHERE = -4.0  # below any noise value less any threshold


@MASK_PARAMS.register
class PerlinParams(MaskParams):
    """What was drawn for a Perlin mask.

    Attributes:
        noise: seed of the lattice gradients, 52 bits.
        cells: lattice cells along height and width.
        square: whether ``cells`` are counted along the picture's side (square root of its area) instead of along each axis, so
            that a long picture does not stretch the noise.
        angle: rotation of the noise, degrees anticlockwise.
        threshold: noise level, in about [-1, 1], above which a pixel is anomalous (without ``area``).
        octaves: layers of noise, each twice as fine and half as strong.
        rescale: whether noise that nowhere exceeds the threshold is stretched to [-1, 1] first.
        cover: whether the noise is made large enough to fill the picture's corners after rotation.
    """

    kind: Literal["perlin"] = "perlin"
    noise: int = Field(ge=0, lt=2**64)
    cells: tuple[Cells, Cells]
    square: bool = False
    angle: float
    threshold: float
    octaves: int = Field(default=1, ge=1, le=_MOST_OCTAVES)
    rescale: bool = False
    cover: bool = True

    def above_zero(self, roi: Mask, banks: Banks) -> Mask:
        """See ``MaskParams.above_zero``. What is turned is the mask, not the noise."""
        if self._is_far_larger(roi):
            return super().above_zero(roi, banks)
        mask = self._upright_mask(roi)
        return mask if self.angle == 0.0 else rotate(mask, roi.shape, self.angle, 0)

    def field(self, roi: Mask, banks: Banks) -> FloatField:
        """Noise less threshold."""
        if self._is_far_larger(roi):
            positions = _turned_positions(roi.shape, self._canvas(roi), self._pitch(roi), self.angle)
            return self._rescaled(noise.fbm_at(self.noise, *positions, self.octaves)) - np.float32(self.threshold)
        values = self._upright(roi)
        turned = values if self.angle == 0.0 else rotate(values, roi.shape, self.angle, _NOWHERE)
        return turned - np.float32(self.threshold)

    def _upright(self, roi: Mask) -> FloatField:
        """The noise before it is turned."""
        return self._rescaled(noise.fbm(self.noise, *self._canvas_and_cells(roi), self.octaves))

    def _upright_mask(self, roi: Mask) -> Mask:
        """Where ``_upright`` is above the threshold."""
        mask = noise.above(self.noise, *self._canvas_and_cells(roi), self.octaves, self.threshold)
        if self.rescale and not mask.any():
            return as_mask(self._upright(roi) > np.float32(self.threshold))
        return mask

    def _canvas_and_cells(self, roi: Mask) -> tuple[tuple[int, int], tuple[float, float]]:
        canvas, pitch = self._canvas(roi), self._pitch(roi)
        return canvas, (pitch[0] * canvas[0], pitch[1] * canvas[1])

    def _canvas(self, roi: Mask) -> tuple[int, int]:
        return _covering(roi.shape, self.angle) if self.cover and self.angle != 0.0 else (roi.shape[0], roi.shape[1])

    def _pitch(self, roi: Mask) -> tuple[float, float]:
        along = (math.sqrt(roi.size), math.sqrt(roi.size)) if self.square else roi.shape
        return self.cells[0] / along[0], self.cells[1] / along[1]

    def _is_far_larger(self, roi: Mask) -> bool:
        """Whether the canvas is so much larger than the picture that noise is made at the picture's pixels alone."""
        height, width = self._canvas(roi)
        return height * width > _LARGEST_CANVAS * roi.size

    def _rescaled(self, values: FloatField) -> FloatField:
        return _stretched(values) if self.rescale and values.max() <= self.threshold else values


@MASKS.register
class Perlin(MaskSpec):
    """What may be drawn for a Perlin mask.

    Attributes:
        cells_range: lattice cells along each axis; the larger, the finer the mask. [1, 32] is DRAEM's code.
        cells_scale: ``power_of_two`` draws 2^k with k uniform (DRAEM's code); ``log_uniform`` any number between.
        elongation_range: None draws the cells of the two axes apart (DRAEM's code); [low, high] draws one number of cells along
            the picture's side and stretches the noise that many times along one axis.
        rotation_range: degrees. [-90, 90] is DRAEM's code.
        threshold_range: [0.5, 0.5] is DRAEM's code; its paper draws it. Not used with ``area_range``.
        octaves: 1 is Perlin noise; more give ragged edges (fractal noise).
        rescale: true stretches noise that nowhere exceeds the threshold to [-1, 1] (anomalib).
        cover: false leaves the corners empty that a rotation uncovers, as DRAEM's code does.
    """

    kind: Literal["perlin"] = "perlin"
    cells_range: CellsRange = (1, 32)
    cells_scale: Literal["power_of_two", "log_uniform"] = "power_of_two"
    elongation_range: PositiveRange | None = None
    rotation_range: AngleRange = (-90, 90)
    threshold_range: Range = (0.5, 0.5)
    octaves: int = Field(default=1, ge=1, le=_MOST_OCTAVES)
    rescale: bool = False
    cover: bool = True

    @model_validator(mode="after")
    def _powers_of_two(self) -> Perlin:
        if self.cells_scale == "power_of_two" and any(math.log2(bound) % 1 for bound in self.cells_range):
            raise ValueError(f"cells_range {list(self.cells_range)} must be powers of two, or set cells_scale to log_uniform")
        return self

    def draw(self, draws: Draws, banks: Banks) -> PerlinParams:
        """The parameters of one Perlin mask."""
        return PerlinParams.drawn(
            noise=draws.noise_seed("noise"),
            cells=self._draw_cells(draws),
            square=self.elongation_range is not None,
            angle=draws.uniform("angle", self.rotation_range),
            threshold=draws.uniform("threshold", self.threshold_range),
            octaves=self.octaves,
            rescale=self.rescale,
            cover=self.cover,
            **self.draw_controls(draws),
        )

    def _draw_cells(self, draws: Draws) -> tuple[float, float]:
        if self.elongation_range is None:
            return self._draw_axis(draws, 0), self._draw_axis(draws, 1)
        cells = self._draw_axis(draws, 0)
        stretch = math.sqrt(draws.log_uniform("elongation", self.elongation_range))
        return round(cells * stretch, 4), round(cells / stretch, 4)

    def _draw_axis(self, draws: Draws, axis: int) -> float:
        if self.cells_scale == "log_uniform":
            return draws.log_uniform("cells", self.cells_range, slot=axis)
        low, high = (round(math.log2(bound)) for bound in self.cells_range)
        return float(2 ** draws.integer("cells", (low, high), slot=axis))


def _stretched(values: FloatField) -> FloatField:
    low, high = values.min(), values.max()
    return values if high == low else (values - low) * (np.float32(2.0) / (high - low)) - np.float32(1.0)


def _covering(shape: tuple[int, ...], angle: float) -> tuple[int, int]:
    """The upright rectangle that still fills ``shape`` after a rotation about its centre."""
    sine, cosine = abs(math.sin(math.radians(angle))), abs(math.cos(math.radians(angle)))
    height, width = shape
    return math.ceil(height * cosine + width * sine) + 1, math.ceil(width * cosine + height * sine) + 1


def _turned_positions(
    shape: tuple[int, ...], canvas: tuple[int, int], pitch: tuple[float, float], angle: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Lattice coordinates of every pixel of ``shape`` on a canvas that was turned about its centre."""
    sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))
    y = (np.arange(shape[0]) + 0.5 - shape[0] / 2)[:, None]
    x = (np.arange(shape[1]) + 0.5 - shape[1] / 2)[None, :]
    return (sine * x + cosine * y + canvas[0] / 2) * pitch[0], (cosine * x - sine * y + canvas[1] / 2) * pitch[1]
