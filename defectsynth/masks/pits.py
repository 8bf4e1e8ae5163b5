"""Pits: a cluster of small pits, pinholes or blowholes, each with an outline of its own.

No published method draws them, so their numbers are chosen here, beside the ``blowhole`` masks of magnetic tiles (0.06 to
0.46 % of the picture, 5 to 14 of 256 pixels wide, 1.1 to 2.8 times as long as wide, mostly one in a picture).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from defectsynth.banks import Banks
from defectsynth.images import Mask
from defectsynth.masks.base import MASK_PARAMS, MASKS
from defectsynth.masks.figures import THINNEST, Drawing, FigureParams, Grid, blank, draw_around, turned, uniforms
from defectsynth.masks.placement import Placed
from defectsynth.masks.shapes import SideRange, direction
from defectsynth.noise import FloatField
from defectsynth.rng import Draws
from defectsynth.spec import AngleRange, CountRange, FractionRange, PositiveRange

__all__ = ["Pits", "PitsParams"]

_MOST_PITS = 200
_TRIES = 24  # places that are tried for a pit, each in a wider cluster than the one before
_WIDER = 0.12
_APART = 3.0  # pixels between two pits, so that they stay two
_WAVES = (2, 3, 4, 5)  # how often an outline goes in and out, all round
_TURN = 40.0  # degrees by which the pits of a cluster are turned apart
_LARGEST_RATIO = 1e4


@MASK_PARAMS.register
class PitsParams(FigureParams):
    """What was drawn for a cluster of pits.

    Attributes:
        noise: seed of their radii, places and outlines, 52 bits.
        count: how many.
        radii: smallest and largest radius as a fraction of the picture's side, log-uniform between; with ``area`` only their
            ratio counts, and with ``components`` the second pit has half the area of the first, the third a third, and so on.
        spread: standard deviation of their places around the cluster's middle, as a fraction of the picture's side.
        irregularity: how far their outlines go in and out, relative to their radii.
        elongation: length over width.
        angle: degrees anticlockwise, of their length.
    """

    kind: Literal["pits"] = "pits"
    noise: int = Field(ge=0, lt=2**64)
    count: int = Field(ge=1, le=_MOST_PITS)
    radii: tuple[float, float]
    spread: float = Field(ge=0.0, le=10.0)
    irregularity: float = Field(default=0.0, ge=0.0, le=1.0)
    elongation: float = Field(default=1.0, gt=0.0, le=1e6)
    angle: float = 0.0

    @model_validator(mode="after")
    def _radii(self) -> PitsParams:
        if not 0.0 < self.radii[0] <= self.radii[1] <= self.radii[0] * _LARGEST_RATIO:
            raise ValueError(
                f"radii {list(self.radii)} must be above 0, the smaller first, at most {_LARGEST_RATIO:g} times apart"
            )
        return self

    def own_size(self, roi: Mask) -> float:
        """See ``FigureParams.own_size``."""
        return math.sqrt(math.pi * math.fsum(radius * radius for radius in self._radii_of_side()) * roi.size)

    def drawing(self, roi: Mask, centre: tuple[int, int], size: float) -> Drawing:
        """See ``FigureParams.drawing``."""
        reach = math.sqrt(max(self.elongation, 1.0 / self.elongation)) * (1.0 + self.irregularity)

        def draw(size: float) -> FloatField:
            field = blank(roi)
            for pit in self._pits(roi, centre, size):
                draw_around(field, pit.middle, pit.radius * reach, pit.field)
            return field

        return draw

    def _pits(self, roi: Mask, centre: tuple[int, int], size: float) -> Iterator[_Pit]:
        """The pits, the first at the centre; one that finds no room in the ROI is left out."""
        ratios = self._radii_of_side()
        scale = size / math.sqrt(math.pi * math.fsum(ratio * ratio for ratio in ratios))
        room, placed = _Room(roi, []), 0
        for number, ratio in enumerate(ratios):
            radius = max(ratio * scale, THINNEST)
            reach = radius * math.sqrt(max(self.elongation, 1.0 / self.elongation))
            for y, x in self._places(number, centre, math.sqrt(roi.size)):
                if room.take(y, x, reach):
                    yield self._pit(number, (y, x), radius)
                    placed += 1
                    break

    def _radii_of_side(self) -> list[float]:
        low, high = self.radii
        if self.components is not None:
            return [math.sqrt(low * high / (1 + number)) for number in range(self.count)]
        ratio = math.log(high / low)
        return sorted((low * math.exp(unit * ratio) for unit in uniforms(self.noise, self.count)), reverse=True)

    def _places(self, number: int, centre: tuple[int, int], side: float) -> Iterator[tuple[float, float]]:
        """(y, x) in pixels: the centre for the first pit, and for the others places in an ever wider cluster."""
        if number == 0:
            yield float(centre[0]), float(centre[1])
            return
        units = uniforms(self.noise, 6 * _TRIES, tag=1000 + number)
        for attempt in range(_TRIES):
            six = units[6 * attempt : 6 * attempt + 6]
            wide = 2.0 * (self.spread * side + _APART * _WIDER * attempt) * (1.0 + _WIDER * attempt)
            yield centre[0] + wide * (sum(six[:3]) - 1.5), centre[1] + wide * (sum(six[3:]) - 1.5)

    def _pit(self, number: int, middle: tuple[float, float], radius: float) -> _Pit:
        turn, *units = uniforms(self.noise, 1 + 2 * len(_WAVES), tag=3000 + number)
        waves = []
        for wave, size, at in zip(_WAVES, units[::2], units[1::2], strict=True):
            sine, cosine = direction(360.0 * at)
            height = self.irregularity * (0.4 + 0.6 * size) / wave
            waves.append((wave, height * cosine, height * sine))
        return _Pit(middle, radius, waves, self.elongation, self.angle + _TURN * (turn - 0.5))


@dataclass(slots=True)
class _Room:
    """Where pits lie already: (y, x, radius) in pixels."""

    roi: Mask
    taken: list[tuple[float, float, float]]

    def take(self, y: float, x: float, radius: float) -> bool:
        """Takes a place, if it is a pixel of the ROI and no other pit is near."""
        row, column = round(y), round(x)
        if not (0 <= row < self.roi.shape[0] and 0 <= column < self.roi.shape[1] and self.roi[row, column]):
            return False
        if any((y - top) ** 2 + (x - left) ** 2 < (radius + other + _APART) ** 2 for top, left, other in self.taken):
            return False
        self.taken.append((y, x, radius))
        return True


@dataclass(frozen=True, slots=True)
class _Pit:
    """One pit: (y, x) and radius in pixels; (times round, cosine part, sine part) of its waves; its form."""

    middle: tuple[float, float]
    radius: float
    waves: list[tuple[int, float, float]]
    elongation: float
    angle: float

    def field(self, grid: Grid) -> FloatField:
        """Distance from the outline in pixels, positive inside."""
        across, along = turned(grid, self.angle, self.elongation)
        distance = np.sqrt(across * across + along * along)
        over = np.float32(1.0) / np.maximum(distance, np.float32(1e-6))
        cosine, sine = along * over, across * over
        real, imaginary, outline = cosine, sine, np.ones_like(distance)
        for wave in range(2, _WAVES[-1] + 1):  # the angle's multiples by products: no cosine whose last bit is the machine's
            real, imaginary = real * cosine - imaginary * sine, real * sine + imaginary * cosine
            for times, in_cosine, in_sine in self.waves:
                if times == wave:
                    outline += np.float32(in_cosine) * real + np.float32(in_sine) * imaginary
        return np.asarray(np.float32(self.radius) * outline - distance, dtype=np.float32)


@MASKS.register
class Pits(Placed):
    """What may be drawn for a cluster of pits.

    The largest lies with its middle on a pixel of the ROI, and so do the others; what hangs over the ROI's edge is cut off.

    Attributes:
        count_range: how many, at most 200. Chosen: (1, 6). With ``components_range`` as many as pieces.
        radius_range: as a fraction of the picture's side, drawn log-uniformly for each. Chosen: 1 to 4 of 256 pixels. With
            ``area_range`` only the ratio of its ends counts.
        spread_range: standard deviation of their places around the cluster's middle, as a fraction of the picture's side.
            Chosen: (0.02, 0.1).
        irregularity_range: how far their outlines go in and out, relative to their radii. Chosen: (0.2, 0.6).
        elongation_range: length over width, drawn log-uniformly. Chosen: (1, 1.8).
        rotation_range: degrees, of their length. Chosen: any angle.
    """

    kind: Literal["pits"] = "pits"
    count_range: CountRange = (1, 6)
    radius_range: SideRange = (1 / 256, 4 / 256)
    spread_range: FractionRange = (0.02, 0.1)
    irregularity_range: FractionRange = (0.2, 0.6)
    elongation_range: PositiveRange = (1.0, 1.8)
    rotation_range: AngleRange = (-180.0, 180.0)

    @model_validator(mode="after")
    def _limits(self) -> Pits:
        for name, count in (("count_range", self.count_range), ("components_range", self.components_range)):
            if count is not None and count[1] > _MOST_PITS:
                raise ValueError(f"{name} {list(count)} leaves its limits: both ends must lie from 1 to {_MOST_PITS}")
        low, high = self.radius_range
        if high > low * _LARGEST_RATIO:
            raise ValueError(
                f"radius_range {[low, high]}: the larger radius is at most {_LARGEST_RATIO:g} times the smaller one"
            )
        return self

    def draw(self, draws: Draws, banks: Banks) -> PitsParams:
        """The parameters of one cluster of pits."""
        controls = self.draw_controls(draws)
        return PitsParams.drawn(
            noise=draws.noise_seed("noise"),
            count=int(controls["components"] or draws.integer("count", self.count_range)),
            radii=self.radius_range,
            spread=draws.uniform("spread", self.spread_range),
            irregularity=draws.uniform("irregularity", self.irregularity_range),
            elongation=draws.log_uniform("elongation", self.elongation_range),
            angle=draws.uniform("angle", self.rotation_range),
            **self.draw_place(draws),
            **controls,
        )
