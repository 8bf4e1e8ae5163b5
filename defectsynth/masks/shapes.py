"""What shapes with a height and a width share: a place where they fit into the picture, and level sets of the same form."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from defectsynth.banks import Banks
from defectsynth.images import Mask, as_mask
from defectsynth.masks.base import MaskSpec
from defectsynth.masks.placement import Placed, PlacedParams
from defectsynth.noise import FloatField
from defectsynth.rng import Draws
from defectsynth.spec import AngleRange, AreaRange, PositiveRange

__all__ = [
    "BoolField",
    "OnePiece",
    "ShapeParams",
    "SideRange",
    "Sized",
    "SizedParams",
    "direction",
    "inside_rectangle",
    "middle_of",
    "offsets",
    "rectangle_field",
    "to_fit",
    "whole_pixels",
]

BoolField = npt.NDArray[np.bool_]
AspectScale = Literal["two_sided", "log_uniform"]
SideRange = AreaRange
"""Fractions of the picture's side, both ends in (0, 1]."""

_FIXED_POINT = 2.0**16  # sine and cosine are rounded to this, so that no mathematics library changes a pixel
_NUDGE = (2.0**-5, 2.0**-6)  # pixels, down and right: breaks the tie between opposite edges


class OnePiece(MaskSpec):
    """A kind that is one piece; ``components_range`` [1, 1] leaves one where the ROI cuts it into several."""

    @model_validator(mode="after")
    def _one_piece(self) -> OnePiece:
        if self.components_range is not None and self.components_range[0] > 1:
            raise ValueError(
                f"components_range {list(self.components_range)}: a {self.kind} is one piece; begin at 1, "
                "and use anomalies_per_image_range for several"
            )
        return self

    def draw_controls(self, draws: Draws) -> dict[str, float | int | None]:
        """See ``MaskSpec.draw_controls``; one piece where a number of them was asked for."""
        return {**super().draw_controls(draws), "components": None if self.components_range is None else 1}


class ShapeParams(PlacedParams):
    """What was drawn for a shape with a height and a width.

    Attributes:
        angle: degrees anticlockwise.
    """

    angle: float = 0.0

    @abstractmethod
    def sides(self, roi: Mask) -> tuple[float, float]:
        """(height, width) of the shape before it is turned, in pixels."""

    def field(self, roi: Mask, banks: Banks) -> FloatField:
        """Nearness, in about pixels; each level set has the shape's form."""
        sides = whole_pixels(self.sides(roi))
        middle = middle_of(self._centre_that_fits(roi, sides), sides)
        return self.nearness(*offsets(((0, roi.shape[0]), (0, roi.shape[1])), middle, self.angle), sides)

    def above_zero(self, roi: Mask, banks: Banks) -> Mask:
        """See ``MaskParams.above_zero``: only the rectangle around the shape is looked at."""
        sides = whole_pixels(self.sides(roi))
        middle, reach = middle_of(self._centre_that_fits(roi, sides), sides), self.reach(sides)
        rows, columns = (
            (max(0, math.floor(middle[axis] - reach[axis])), min(roi.shape[axis], math.ceil(middle[axis] + reach[axis]) + 1))
            for axis in (0, 1)
        )
        mask = np.zeros_like(roi)
        inside = self.inside(*offsets((rows, columns), middle, self.angle), sides)
        mask[slice(*rows), slice(*columns)] = as_mask(inside)
        return mask

    def nearness(self, down: FloatField, across: FloatField, sides: tuple[int, int]) -> FloatField:
        """The field of the offsets along the shape's own height and width; a rectangle."""
        return rectangle_field(down, across, sides)

    def inside(self, down: FloatField, across: FloatField, sides: tuple[int, int]) -> BoolField:
        """Where ``nearness`` is above zero; a kind that has it for less says so."""
        return self.nearness(down, across, sides) > 0

    def reach(self, sides: tuple[int, int]) -> tuple[float, float]:
        """How far the turned shape reaches from its middle, (rows, columns) in pixels; a rectangle."""
        sine, cosine = (abs(part) for part in direction(self.angle))
        height, width = sides
        return (height * cosine + width * sine) / 2, (width * cosine + height * sine) / 2

    def _centre_that_fits(self, roi: Mask, sides: tuple[int, int]) -> tuple[int, int]:
        """(row, column): a pixel around which the shape lies inside the picture; where no pixel is, one moved until it does."""
        rows, columns = (
            _room(roi.shape[axis], reach, even=sides[axis] % 2 == 0) for axis, reach in enumerate(self.reach(sides))
        )
        found = self.centre_in(roi, (slice(rows[0], rows[1] + 1), slice(columns[0], columns[1] + 1)))
        if found is not None:
            return found
        row, column = self.centre(roi)
        return min(max(row, rows[0]), rows[1]), min(max(column, columns[0]), columns[1])


class SizedParams(ShapeParams):
    """What was drawn for a shape that is given by its area.

    Attributes:
        size: area as a fraction of the ROI's, where ``area`` is None.
        aspect: width over height.
    """

    size: float = Field(gt=0.0, le=1.0)
    aspect: float = Field(gt=0.0, le=1e6)

    def sides(self, roi: Mask) -> tuple[float, float]:
        """(height, width) in pixels: of this area and aspect; a side longer than the picture's gives way to the other."""
        pixels = (self.area or self.size) * int(np.count_nonzero(roi)) * self.around()
        return to_fit((math.sqrt(pixels / self.aspect), math.sqrt(pixels * self.aspect)), (roi.shape[0], roi.shape[1]))

    def around(self) -> float:
        """Height times width over area; a rectangle."""
        return 1.0


class Sized(OnePiece, Placed):
    """What may be drawn for a shape that is given by its area.

    Attributes:
        size_range: area as a fraction of the ROI's, drawn uniformly. Not used with ``area_range``.
        aspect_range: width over height.
        aspect_scale: ``two_sided`` draws below 1 or above 1 with equal chance, and then uniformly (CutPaste's paper; a range on
            one side of 1 is drawn uniformly); ``log_uniform`` draws the logarithm uniformly.
        rotation_range: degrees.
    """

    size_range: AreaRange
    aspect_range: PositiveRange
    aspect_scale: AspectScale = "two_sided"
    rotation_range: AngleRange = (0.0, 0.0)

    def draw_shape(self, draws: Draws) -> dict[str, object]:
        """Everything that ``SizedParams`` hold, for ``draw``."""
        return {
            "size": draws.uniform("size", self.size_range),
            "aspect": self._draw_aspect(draws),
            "angle": draws.uniform("angle", self.rotation_range),
            **self.draw_place(draws),
            **self.draw_controls(draws),
        }

    def _draw_aspect(self, draws: Draws) -> float:
        low, high = self.aspect_range
        if self.aspect_scale == "log_uniform":
            return draws.log_uniform("aspect", (low, high))
        if low < 1.0 < high:
            low, high = (low, 1.0) if draws.chance("aspect_side", 0.5) else (1.0, high)
        return draws.uniform("aspect", (low, high))


def to_fit(sides: tuple[float, float], shape: tuple[int, int]) -> tuple[float, float]:
    """(height, width) of the same area, neither longer than the picture's ``(H, W)`` as far as that goes."""
    height, width = sides
    if height > shape[0]:
        height, width = shape[0], height * width / shape[0]
    if width > shape[1]:
        height, width = min(height * width / shape[1], shape[0]), shape[1]
    return height, width


def whole_pixels(sides: tuple[float, float]) -> tuple[int, int]:
    """Both sides as whole pixels, at least one."""
    return max(1, round(sides[0])), max(1, round(sides[1]))


def middle_of(centre: tuple[int, int], sides: tuple[int, int]) -> tuple[float, float]:
    """The middle of a rectangle of whole pixels around its centre pixel: half a pixel before it where a side is even."""
    return centre[0] - (0.0 if sides[0] % 2 else 0.5), centre[1] - (0.0 if sides[1] % 2 else 0.5)


def offsets(
    window: tuple[tuple[int, int], tuple[int, int]], middle: tuple[float, float], angle: float = 0.0
) -> tuple[FloatField, FloatField]:
    """How far each pixel lies from ``middle``, along the height and along the width of a shape turned by ``angle``.

    Args:
        window: from which row to which, excluded, and from which column to which.
        middle: (row, column).
        angle: degrees anticlockwise.

    Returns:
        two float32 arrays in pixels that broadcast to the window's shape.
    """
    y = (np.arange(*window[0]) - middle[0] - _NUDGE[0])[:, None]
    x = (np.arange(*window[1]) - middle[1] - _NUDGE[1])[None, :]
    sine, cosine = direction(angle)
    if (sine, cosine) == (0.0, 1.0):
        return y.astype(np.float32), x.astype(np.float32)
    down = (cosine * y).astype(np.float32) + (sine * x).astype(np.float32)
    across = (-sine * y).astype(np.float32) + (cosine * x).astype(np.float32)
    return down, across


def rectangle_field(down: FloatField, across: FloatField, sides: tuple[int, int]) -> FloatField:
    """``(H, W)`` float32 of ``offsets``, in about pixels: above zero inside a rectangle; its level sets have its aspect."""
    height, width = np.float32(sides[0]), np.float32(sides[1])
    outwards = np.maximum(np.abs(down) * (np.float32(2.0) / height), np.abs(across) * (np.float32(2.0) / width))
    return np.asarray((np.float32(1.0) - outwards) * (np.sqrt(height * width) / np.float32(2.0)), dtype=np.float32)


def inside_rectangle(down: FloatField, across: FloatField, sides: tuple[int, int]) -> BoolField:
    """Where ``rectangle_field`` is above zero; of one that is not turned, rows and columns are looked at apart."""
    height, width = np.float32(sides[0]), np.float32(sides[1])
    return (np.abs(down) * (np.float32(2.0) / height) < 1) & (np.abs(across) * (np.float32(2.0) / width) < 1)


def direction(angle: float) -> tuple[float, float]:
    """Sine and cosine of degrees, in whole steps of 2^-16."""
    turn = math.radians(angle)
    return round(math.sin(turn) * _FIXED_POINT) / _FIXED_POINT, round(math.cos(turn) * _FIXED_POINT) / _FIXED_POINT


def _room(size: int, reach: float, *, even: bool) -> tuple[int, int]:
    """First and last centre pixel, on an axis of ``size`` pixels, of a shape that lies inside it; all where none does."""
    shift = 0.5 if even else 0.0  # see ``middle_of``
    first, last = math.ceil(reach - 0.5 + shift), math.floor(size - 0.5 - reach + shift)
    return (first, last) if first <= last else (0, size - 1)
