"""A stain: what a drop leaves when it dries; a few merged drops with a ragged outline whose level sets grow round outwards.

Its ring, its depth of colour and its soft edge are matters of the blend; this is its shape. No published method draws one, so
its numbers are chosen here, beside ``fray`` of magnetic tiles, and bottle ``contamination`` and hazelnut ``print`` of MVTec AD.
"""

from __future__ import annotations

import math
from typing import Literal

import cv2
import numpy as np
from pydantic import Field, model_validator

from defectsynth import noise
from defectsynth.banks import Banks
from defectsynth.images import Mask
from defectsynth.masks.base import MASK_PARAMS, MASKS
from defectsynth.masks.figures import Drawing, FigureParams, Grid, blank, draw_around, turned, uniforms
from defectsynth.masks.placement import Placed
from defectsynth.masks.shapes import OnePiece, direction
from defectsynth.noise import FloatField
from defectsynth.rng import Draws
from defectsynth.spec import AngleRange, AreaRange, CountRange, FractionRange, PositiveRange

__all__ = ["Stain", "StainParams"]

_MOST_LOBES = 20
_SURFACE = 0.4  # of the first drop's radius: over which length two drops flow together
_LOBE_RADIUS = (0.3, 0.75)  # of the first drop's
_LOBE_AT = (0.55, 0.95)  # of the sum of both radii: how far a drop's middle lies from the first one's
_REACH = 2.8  # of the first drop's radius: what lies within is computed
_CELLS = 1.4  # of the noise, along the first drop's radius
_OCTAVES, _PERSISTENCE = 3, 0.4
_WEIGHT = 1.3  # of the noise, whose values lie mostly within 0.5
_CALM = 0.6  # of the first drop's radius: how far outside the outline has grown round


@MASK_PARAMS.register
class StainParams(FigureParams):
    """What was drawn for a stain.

    Attributes:
        noise: seed of its drops and of its outline, 52 bits.
        size: area as a fraction of the ROI's, where ``area`` is None.
        lobes: drops that flowed together.
        warp: how far its outline wanders in and out, relative to its radius.
        elongation: length over width, in addition to what the drops give.
        angle: degrees anticlockwise, of its length.
    """

    kind: Literal["stain"] = "stain"
    noise: int = Field(ge=0, lt=2**64)
    size: float = Field(gt=0.0, le=1.0)
    lobes: int = Field(default=1, ge=1, le=_MOST_LOBES)
    warp: float = Field(default=0.15, ge=0.0, le=1.0)
    elongation: float = Field(default=1.0, gt=0.0, le=1e6)
    angle: float = 0.0

    def wanted(self, roi: Mask) -> float:
        """See ``FigureParams.wanted``."""
        return max(1.0, (self.area or self.size) * int(np.count_nonzero(roi)))

    def own_size(self, roi: Mask) -> float:
        """See ``FigureParams.own_size``."""
        return math.sqrt(self.wanted(roi))

    def drawing(self, roi: Mask, centre: tuple[int, int], size: float) -> Drawing:
        """See ``FigureParams.drawing``."""
        stretch = math.sqrt(max(self.elongation, 1.0 / self.elongation))
        reach, middle = _REACH * stretch / math.sqrt(math.pi), (float(centre[0]), float(centre[1]))
        unrest: list[FloatField] = []  # made once, at the first size, and interpolated for the others

        def noise_at(grid: Grid) -> FloatField:
            if not unrest:
                cells = 2.0 * _REACH * stretch * _CELLS
                unrest.append(noise.fbm(self.noise, grid.shape, (cells, cells), _OCTAVES, _PERSISTENCE, tag=1))
            return np.asarray(cv2.resize(unrest[0], grid.shape[::-1], interpolation=cv2.INTER_LINEAR), dtype=np.float32)

        def draw(size: float) -> FloatField:
            field, radius = blank(roi), size / math.sqrt(math.pi)
            draw_around(field, middle, reach * size, lambda grid: self._outline(grid, radius, noise_at(grid)))
            return field

        return draw

    def _outline(self, grid: Grid, radius: float, unrest: FloatField) -> FloatField:
        """The drops' distance, unsettled by noise that calms down outwards."""
        drops = self._drops(grid, radius)
        calm = np.clip(np.float32(1.0) + drops * np.float32(1.0 / (_CALM * radius)), np.float32(0), np.float32(1))
        return np.asarray(drops + unrest * calm * np.float32(self.warp * _WEIGHT * radius), dtype=np.float32)

    def _drops(self, grid: Grid, radius: float) -> FloatField:
        """Distance in pixels from the outline of the drops, which flow together; positive inside."""
        across, along = turned(grid, self.angle, self.elongation)
        together = np.float32(radius) - np.sqrt(across * across + along * along)
        radii, ways, turns = (uniforms(self.noise, self.lobes, tag=200 + part) for part in range(3))
        for lobe in range(1, self.lobes):
            own = radius * (_LOBE_RADIUS[0] + (_LOBE_RADIUS[1] - _LOBE_RADIUS[0]) * radii[lobe])
            way = (radius + own) * (_LOBE_AT[0] + (_LOBE_AT[1] - _LOBE_AT[0]) * ways[lobe])
            sine, cosine = direction(360.0 * turns[lobe])
            off_across, off_along = across - np.float32(way * sine), along - np.float32(way * cosine)
            drop = np.float32(own) - np.sqrt(off_across * off_across + off_along * off_along)
            together = _merged(together, drop, _SURFACE * radius)
        return together


def _merged(first: FloatField, second: FloatField, over: float) -> FloatField:
    """The larger of two, rounded where they are within ``over`` of each other (polynomial smooth maximum, I. Quilez)."""
    near = np.maximum(np.float32(over) - np.abs(first - second), np.float32(0))
    return np.asarray(np.maximum(first, second) + near * near * np.float32(0.25 / over), dtype=np.float32)


@MASKS.register
class Stain(OnePiece, Placed):
    """What may be drawn for a stain.

    Its first drop's middle lies on a pixel of the ROI; what hangs over the ROI's edge is cut off, and the rest is made larger
    for it.

    Attributes:
        size_range: area as a fraction of the ROI's, drawn log-uniformly. Chosen: (0.003, 0.06). Not used with ``area_range``.
        lobes_range: drops that flowed together, 1 to 20. Chosen: (1, 5).
        warp_range: how far its outline wanders in and out, relative to its radius. Chosen: (0.1, 0.3).
        elongation_range: length over width, in addition to what the drops give, drawn log-uniformly. Chosen: (1, 1.8).
        rotation_range: degrees. Chosen: any angle.
    """

    kind: Literal["stain"] = "stain"
    size_range: AreaRange = (0.003, 0.06)
    lobes_range: CountRange = (1, 5)
    warp_range: FractionRange = (0.1, 0.3)
    elongation_range: PositiveRange = (1.0, 1.8)
    rotation_range: AngleRange = (-180.0, 180.0)

    @model_validator(mode="after")
    def _few_lobes(self) -> Stain:
        if self.lobes_range[1] > _MOST_LOBES:
            raise ValueError(
                f"lobes_range {list(self.lobes_range)} leaves its limits: both ends must lie from 1 to {_MOST_LOBES}"
            )
        return self

    def draw(self, draws: Draws, banks: Banks) -> StainParams:
        """The parameters of one stain."""
        return StainParams.drawn(
            noise=draws.noise_seed("noise"),
            size=draws.log_uniform("size", self.size_range),
            lobes=draws.integer("lobes", self.lobes_range),
            warp=draws.uniform("warp", self.warp_range),
            elongation=draws.log_uniform("elongation", self.elongation_range),
            angle=draws.uniform("angle", self.rotation_range),
            **self.draw_place(draws),
            **self.draw_controls(draws),
        )
