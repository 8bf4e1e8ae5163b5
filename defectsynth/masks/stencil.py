"""A shape that comes from a picture of its own, turned, scaled, mirrored and set down somewhere on the ROI.

What the outline of a real defect and a mask from a file share. How they are scaled and placed is chosen here: the size relative
to the picture is kept and varied a little, and the shape's middle is any pixel of the ROI. What then hangs over the ROI's edge
is cut off; or, with ``inside``, the shape is placed, and where it must be shrunk, so that all of it lies in the ROI
(``fitting.py``).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from defectsynth.affine import Matrix, about, of_resampled, rotation
from defectsynth.banks import Banks
from defectsynth.images import Box, Mask, alone, as_mask, bounding_box
from defectsynth.masks.border import CutOff, cut_offs
from defectsynth.masks.fitting import Cut, Fit, Room, fit_at, largest_fit
from defectsynth.masks.kept import Kept
from defectsynth.masks.placement import Placed, PlacedParams, distance_from, kept_axis_of
from defectsynth.masks.silhouette import most_alike
from defectsynth.noise import FloatField
from defectsynth.rng import Draws
from defectsynth.spec import AngleRange, PositiveRange, within

__all__ = ["Stencil", "StencilParams", "piece_of"]

StretchRange = Annotated[PositiveRange, within(0.01, 100.0)]
_SMALLEST_SIDE = 1.0
_FINER = 4  # the shape is drawn this many times finer before it is turned, so that a magnified one has no stairs
_PHASES = 997  # the digits of ``place`` after those that choose among the centres choose which centres are tried


@dataclass(frozen=True, slots=True)
class _Pose:
    """How a shape is set down.

    Attributes:
        matrix: from the shape's own picture to the product's.
        centre: (row, column).
        fit: where all of it lies in the ROI, if that was asked for.
    """

    matrix: Matrix
    centre: tuple[int, int]
    fit: Fit | None = None


_POSES: Kept[_Pose] = Kept()


class StencilParams(PlacedParams):
    """What was drawn for a shape from a picture of its own.

    Attributes:
        angle: degrees anticlockwise.
        scale: size relative to the shape's own, both measured in the side (square root of the area) of their picture.
        flip: whether it is mirrored left to right before it is turned.
        stretch: how many times it is longer along one direction, and thinner across, before it is turned; its area stays.
        stretch_angle: that direction, degrees anticlockwise.
        inside: whether it is placed, and where it must be shrunk, so that all of it lies in the ROI.
        at_border: whether a shape that the border of its own picture cuts off is set down against the same border, turned and
            mirrored with it; where the ROI has no room for it there, it is placed as any other.
        alike: share of the places that is used: where the ROI's edge runs most as the product's did around the shape.
        axis: direction of the axis of the product in the shape's own picture, degrees; the shape is then also turned by as much
            as the ROI's axis differs from it. None, or a round ROI: it is not.
    """

    angle: float
    scale: float = Field(gt=0.0, le=1000.0)
    flip: bool
    stretch: float = Field(default=1.0, gt=0.0, le=100.0)
    stretch_angle: float = 0.0
    inside: bool = False
    at_border: bool = False
    alike: float = Field(default=1.0, gt=0.0, le=1.0)
    axis: float | None = None

    @abstractmethod
    def shape(self, banks: Banks) -> Mask:
        """The shape, 0 or 255, the size of its own picture."""

    def surroundings(self, banks: Banks) -> Mask | None:
        """The product in the shape's own picture, 0 or 255; None where it is not known."""
        return None

    def field(self, roi: Mask, banks: Banks) -> FloatField:
        """Distance from the outline in pixels, positive inside."""
        return distance_from(self.above_zero(roi, banks))

    def above_zero(self, roi: Mask, banks: Banks) -> Mask:
        """See ``MaskParams.above_zero``: the shape in its place."""
        pose, shape = self._pose(roi, banks), (roi.shape[0], roi.shape[1])
        if pose.fit is not None:
            return pose.fit.cut.set_down(shape, pose.centre)
        return _Fine.of(self.shape(banks)).warped(pose.matrix, shape)

    def matrix(self, roi: Mask, banks: Banks) -> Matrix:
        """From the shape's own picture to the product's."""
        return self._pose(roi, banks).matrix

    def _pose(self, roi: Mask, banks: Banks) -> _Pose:
        return _POSES.get(roi, (self, banks), lambda: self._find_pose(self.shape(banks), roi, banks))

    def _find_pose(self, shape: Mask, roi: Mask, banks: Banks) -> _Pose:
        if self.inside:
            fit = self._fit(shape, roi)
            row, column = self.centre(roi, fit.centres)
            return _Pose(about(self._linear(fit.factor, roi), _deepest(shape), (column, row)), (row, column), fit)
        linear = self._linear(self._factor(shape, roi), roi)
        row, column = self.centre(roi, self._alike(shape, linear, roi, banks))
        return _Pose(about(linear, _middle(shape), (column, row)), (row, column))

    def _alike(self, shape: Mask, linear: npt.NDArray[np.float64], roi: Mask, banks: Banks) -> npt.NDArray[np.intp] | None:
        around = None if self.alike == 1.0 else self.surroundings(banks)
        if around is None or around.all():
            return None
        return most_alike(around, _box(shape), linear, roi, self.allowed(roi), self.alike)

    def _fit(self, shape: Mask, roi: Mask) -> Fit:
        """Where all of it lies in the ROI. The pixel that is placed is one of its own, the one farthest from its edge."""
        fine, point, angle = _Fine.of(shape), _deepest(shape), self._turn(roi)
        room = Room(roi, self.place * _PHASES % 1.0)
        factor, reach = self._factor(shape, roi), fine.reach(self._at(angle, 1.0))
        off = cut_offs(shape) if self.at_border else []
        if off and (fit := fit_at(room, lambda scale: fine.cut(self._at(angle, scale), point, off), factor, reach)):
            return fit
        smallest = _SMALLEST_SIDE / math.sqrt(int(np.count_nonzero(shape)))
        return largest_fit(room, lambda scale: fine.cut(self._at(angle, scale), point), factor, smallest, reach)

    def _linear(self, factor: float, roi: Mask) -> npt.NDArray[np.float64]:
        return self._at(self._turn(roi), factor)

    def _at(self, angle: float, factor: float) -> npt.NDArray[np.float64]:
        """``(2, 2)``: mirrored, stretched, then turned and scaled."""
        if self.stretch == 1.0:
            return rotation(angle, factor, mirror=self.flip)
        along = math.sqrt(self.stretch)
        sine, cosine = math.sin(math.radians(self.stretch_angle)), math.cos(math.radians(self.stretch_angle))
        xx, yy = along * cosine**2 + sine**2 / along, along * sine**2 + cosine**2 / along
        xy = -(along - 1.0 / along) * sine * cosine  # rows point down
        turned, first = rotation(angle, factor), -1.0 if self.flip else 1.0
        columns = [first * (turned[:, 0] * xx + turned[:, 1] * xy), turned[:, 0] * xy + turned[:, 1] * yy]
        return np.column_stack(columns)

    def _turn(self, roi: Mask) -> float:
        """Degrees anticlockwise; a mirrored shape is mirrored across its own product's axis."""
        axis = None if self.axis is None else kept_axis_of(roi)
        if axis is None or self.axis is None:
            return self.angle
        return self.angle + axis.angle + (self.axis - 180.0 if self.flip else -self.axis)

    def _factor(self, shape: Mask, roi: Mask) -> float:
        own = int(np.count_nonzero(shape))
        if self.area is not None:
            return math.sqrt(max(_SMALLEST_SIDE, self.area * int(np.count_nonzero(roi))) / own)
        kept = math.sqrt(roi.size / shape.size) * self.scale
        return max(kept, _SMALLEST_SIDE / math.sqrt(own))


class Stencil(Placed):
    """What may be drawn for a shape from a picture of its own.

    Attributes:
        rotation_range: degrees. Chosen: any angle. AnomalyGen: [-30, 30].
        scale_range: size relative to the shape's own. Chosen: 0.7 to 1.4. Not used with ``area_range``. AnomalyGen: [0.25, 4],
            drawn for each axis.
        flip_probability: chosen: 0.5, as AnomalyGen.
        stretch_range: how many times it is longer along any one direction, and thinner across, drawn log-uniformly.
        inside: whether it is placed, and where it must be shrunk, so that all of it lies in the ROI; false cuts off what hangs
            over the ROI's edge.
        at_border: whether a shape that the border of its own picture cuts off is set down against the same border, turned and
            mirrored with it (a crack that runs out of the picture has no end); where the ROI has no room for it there, it is
            placed as any other. Needs ``inside``.
    """

    rotation_range: AngleRange = (-180, 180)
    scale_range: PositiveRange = (0.7, 1.4)
    flip_probability: float = Field(default=0.5, ge=0.0, le=1.0)
    stretch_range: StretchRange = (1.0, 1.0)
    inside: bool = False
    at_border: bool = False

    @model_validator(mode="after")
    def _placed_inside(self) -> Stencil:
        if self.at_border and not self.inside:
            raise ValueError("at_border true: it says where a shape lies that lies inside; add 'inside: true'")
        return self

    def draw_pose(self, draws: Draws) -> dict[str, object]:
        """``angle``, ``scale``, ``flip``, ``stretch``, ``inside`` and the place, for ``draw``."""
        return {
            "angle": draws.uniform("angle", self.rotation_range),
            "scale": draws.log_uniform("scale", self.scale_range),
            "flip": draws.chance("flip", self.flip_probability),
            "stretch": draws.log_uniform("stretch", self.stretch_range),
            "stretch_angle": draws.uniform("stretch_angle", (0.0, 180.0)) if self.stretch_range != (1.0, 1.0) else 0.0,
            "inside": self.inside,
            "at_border": self.at_border,
            **self.draw_place(draws),
        }


def piece_of(pieces: list[tuple[Box, Mask]], piece: float, shape: tuple[int, ...]) -> Mask:
    """A mask ``shape = (H, W)`` of one of its pieces (``images.pieces_of``): number ``floor(piece * pieces)``."""
    return alone(pieces[int(piece * len(pieces))], shape)


@dataclass(frozen=True, slots=True)
class _Fine:
    """The rectangle around a shape, drawn finer, with one pixel around it."""

    mask: Mask
    box: Box

    @classmethod
    def of(cls, shape: Mask) -> _Fine:
        top, left, bottom, right = _box(shape)
        crop = cv2.copyMakeBorder(shape[top:bottom, left:right], 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
        fine = cv2.resize(crop, None, fx=_FINER, fy=_FINER, interpolation=cv2.INTER_LINEAR_EXACT)
        return cls(as_mask(fine >= 128), (top, left, bottom, right))

    def warped(self, matrix: Matrix, shape: tuple[int, int]) -> Mask:
        """``shape = (H, W)`` uint8: the shape through the map of its own picture."""
        origin = self.box[1] - 1, self.box[0] - 1
        to_roi = of_resampled(matrix, (1 / _FINER, 1 / _FINER), origin)
        return np.asarray(cv2.warpAffine(self.mask, to_roi, shape[::-1], flags=cv2.INTER_NEAREST), dtype=np.uint8)

    def reach(self, linear: npt.NDArray[np.float64]) -> float:
        """The diagonal, in pixels, of the canvas that the shape needs when it is turned and scaled."""
        top, left, bottom, right = self.box
        sides = np.abs(linear[:, 0]) * (right - left) + np.abs(linear[:, 1]) * (bottom - top)
        return math.hypot(*sides)

    def cut(self, linear: npt.NDArray[np.float64], point: tuple[float, float], off: Sequence[CutOff] = ()) -> Cut:
        """The shape turned and scaled, on a canvas of its own; ``point`` (x, y) of its own picture is the anchor."""
        top, left, bottom, right = self.box
        x = np.array([left - 0.5, right - 0.5]) - point[0]
        y = np.array([top - 0.5, bottom - 0.5]) - point[1]
        reach_x, reach_y = ((linear[axis, 0] * x)[:, None] + (linear[axis, 1] * y)[None, :] for axis in (0, 1))
        before_x, before_y = (max(0, math.ceil(-float(reach.min()))) + 1 for reach in (reach_x, reach_y))
        after_x, after_y = (max(0, math.ceil(float(reach.max()))) + 2 for reach in (reach_x, reach_y))
        canvas = before_y + after_y, before_x + after_x
        anchor = before_y, before_x
        mask = self.warped(about(linear, point, (before_x, before_y)), canvas)
        for one in off:
            one.trim(mask, anchor, linear, point)
        return Cut(mask, anchor, tuple(one.mapped(linear) for one in off))


def _box(shape: Mask) -> Box:
    return bounding_box(shape) or (0, 0, 1, 1)


def _middle(shape: Mask) -> tuple[float, float]:
    """(x, y): the middle of the rectangle around a shape."""
    top, left, bottom, right = _box(shape)
    return (left + right - 1) / 2, (top + bottom - 1) / 2


def _deepest(shape: Mask) -> tuple[float, float]:
    """(x, y): the pixel of a shape that is farthest from its edge; of several, the first row by row."""
    top, left, bottom, right = _box(shape)
    crop = cv2.copyMakeBorder(shape[top:bottom, left:right], 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    depth = cv2.distanceTransform(crop, cv2.DIST_L2, cv2.DIST_MASK_5)
    row, column = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return float(column + left - 1), float(row + top - 1)
