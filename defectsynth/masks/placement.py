"""Where on the ROI a shape is set down: any of its pixels, or those of a given depth, or of a given part of its length."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from defectsynth.images import Mask, pixel_at, positions_of
from defectsynth.masks.base import MaskParams, MaskSpec
from defectsynth.masks.kept import Kept
from defectsynth.noise import FloatField
from defectsynth.rng import Draws
from defectsynth.spec import FractionRange

__all__ = ["Axis", "Placed", "PlacedParams", "axis_of", "depth_of", "distance_from", "kept_axis_of"]

_ANYWHERE = (0.0, 1.0)
_ROUND = 1.5  # length over width below which an ROI has no axis
_EVEN = 0.001  # skewness below which neither end is the heavier one: the axis points to the right, or down


class PlacedParams(MaskParams):
    """What was drawn for a mask that has a centre.

    Attributes:
        place: which of the allowed pixels is the centre, a number in [0, 1): row by row.
        depth: the allowed pixels: how deep they lie in the ROI, 0 at its edge to 1 where it is deepest.
        along: the allowed pixels: how far along the ROI's axis they lie, 0 to 1 (``Axis``); a round ROI has none: all.
    """

    place: float = Field(ge=0.0, lt=1.0)
    depth: FractionRange = _ANYWHERE
    along: FractionRange = _ANYWHERE

    def centre(self, roi: Mask, among: npt.NDArray[np.intp] | None = None) -> tuple[int, int]:
        """(row, column) of the centre: a pixel of the ROI where ``depth`` and ``along`` allow it, or the nearest to that.

        Args:
            roi: ``(H, W)`` uint8, 0 or 255.
            among: positions, row by row, of the pixels that can be the centre; None for the whole ROI.
        """
        if among is None and self._anywhere:
            found = pixel_at(roi, self.place)
            if found is not None:
                return found
        pixels = self.allowed(roi, among)
        row, column = divmod(int(pixels[int(self.place * pixels.size)]), roi.shape[1])
        return row, column

    def centre_in(self, roi: Mask, window: tuple[slice, slice]) -> tuple[int, int] | None:
        """``centre`` among the pixels of rows and columns; None where the ROI has none there."""
        if self._anywhere:
            return pixel_at(roi, self.place, window)
        inner = np.zeros_like(roi)
        inner[window] = roi[window]
        among = positions_of(inner)
        return self.centre(roi, among) if among.size else None

    @property
    def _anywhere(self) -> bool:
        return self.depth == _ANYWHERE and self.along == _ANYWHERE

    def allowed(self, roi: Mask, among: npt.NDArray[np.intp] | None = None) -> npt.NDArray[np.intp]:
        """The positions, row by row, that can be the centre; at least one. See ``centre``."""
        pixels = positions_of(roi) if among is None else among
        if self._anywhere:
            return pixels
        miss = self._miss(roi).reshape(-1).take(pixels)
        return pixels[miss <= miss.min()]

    def _miss(self, roi: Mask) -> FloatField:
        """``(H, W)`` float32: how far each pixel is from what is allowed, 0 where it is allowed."""
        miss = np.zeros(roi.shape, dtype=np.float32)
        if self.depth != _ANYWHERE:
            miss = _beyond(_DEPTHS.get(roi, (), lambda: depth_of(roi)), self.depth)
        axis = None if self.along == _ANYWHERE else kept_axis_of(roi)
        return miss if axis is None else np.maximum(miss, _beyond(axis.along(roi), self.along))


class Placed(MaskSpec):
    """What may be drawn for a mask that has a centre.

    Attributes:
        depth_range: where the centre may lie: 0 at the ROI's edge (of a whole picture: its border) to 1 where it is deepest.
        along_range: where along a long ROI it may lie: 0 at the end where more of the ROI is to 1 at the other.
    """

    depth_range: FractionRange = _ANYWHERE
    along_range: FractionRange = _ANYWHERE

    def draw_place(self, draws: Draws) -> dict[str, object]:
        """``place``, ``depth`` and ``along``, for ``draw``."""
        return {"place": draws.uniform("place", (0.0, 0.999999)), "depth": self.depth_range, "along": self.along_range}


@dataclass(frozen=True, slots=True)
class Axis:
    """The long axis of an ROI, with a direction: from the end where more of it lies (a screw's head) to the other.

    Attributes:
        angle: degrees anticlockwise as seen, in [0, 360).
        centre: (x, y) of the ROI's mass.
    """

    angle: float
    centre: tuple[float, float]

    def along(self, roi: Mask) -> FloatField:
        """``(H, W)`` float32: 0 at the ROI's heavy end to 1 at the other, along the axis."""
        cosine, sine = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
        x = (np.arange(roi.shape[1]) - self.centre[0]) * cosine
        y = (np.arange(roi.shape[0]) - self.centre[1]) * -sine
        way = x[None, :] + y[:, None]
        inside = way[roi != 0]
        low, high = float(inside.min()), float(inside.max())
        return ((way - low) / max(high - low, 1.0)).astype(np.float32)


_DEPTHS: Kept[FloatField] = Kept()
_AXES: Kept[Axis | None] = Kept()


def axis_of(roi: Mask) -> Axis | None:
    """The axis of an ROI that is at least 1.5 times as long as it is wide (second moments); None where it is rounder."""
    rows, columns = (index.astype(np.int64) for index in np.nonzero(roi))
    if rows.size < 2:
        return None
    x, y = int(columns.sum()) / rows.size, int(rows.sum()) / rows.size  # sums of integers: the same on every machine
    moments = _central_moments(columns - round(x), rows - round(y))
    xx, xy, yy = moments[2]
    middle, half = (xx + yy) / 2, math.hypot((xx - yy) / 2, xy)
    if middle + half < _ROUND**2 * (middle - half + 1.0 / 12.0):
        return None
    angle = round(0.5 * math.atan2(2.0 * xy, xx - yy), 6)  # rows point down
    cosine, sine = math.cos(angle), math.sin(angle)
    terms = (cosine**3, 3 * cosine * cosine * sine, 3 * cosine * sine * sine, sine**3)
    skew = math.fsum(cube * term for cube, term in zip(moments[3], terms, strict=True))
    even = abs(skew) < _EVEN * (middle + half) ** 1.5
    direction = angle if even or skew > 0 else angle + math.pi  # a long tail lies where little is
    return Axis(round(-math.degrees(direction) % 360.0, 4), (x, y))


def kept_axis_of(roi: Mask) -> Axis | None:
    """``axis_of``; of the same ROI again, what was found."""
    return _AXES.get(roi, (), lambda: axis_of(roi))


def _central_moments(x: npt.NDArray[np.int64], y: npt.NDArray[np.int64]) -> dict[int, tuple[float, ...]]:
    """Of second and third order: (xx, xy, yy) and (xxx, xxy, xyy, yyy); ``x`` and ``y`` are within a pixel of their means."""
    mean = [int(one.sum()) / one.size for one in (x, y)]
    raw = {(i, j): int((x**i * y**j).sum()) / x.size for i in range(4) for j in range(4 - i)}

    def central(i: int, j: int) -> float:
        return math.fsum(
            math.comb(i, a) * math.comb(j, b) * raw[a, b] * (-mean[0]) ** (i - a) * (-mean[1]) ** (j - b)
            for a in range(i + 1)
            for b in range(j + 1)
        )

    return {order: tuple(central(order - j, j) for j in range(order + 1)) for order in (2, 3)}


def depth_of(roi: Mask) -> FloatField:
    """``(H, W)`` float32: distance from the ROI's edge, 1 where that is largest, 0 outside.

    Where the ROI has an edge inside the picture, the picture's border does not count as one.
    """
    border = 1 if roi.all() else 0
    padded = cv2.copyMakeBorder(roi, border, border, border, border, cv2.BORDER_CONSTANT, value=0)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_5)
    distance = distance[border : distance.shape[0] - border, border : distance.shape[1] - border]
    return np.asarray(distance / max(float(distance.max()), 1.0), dtype=np.float32)


def distance_from(mask: Mask) -> FloatField:
    """``(H, W)`` float32: pixels from the outline of a shape, positive inside it; a field of its level sets."""
    inside = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_5)
    outside = cv2.distanceTransform(255 - mask, cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.asarray(inside - outside, dtype=np.float32)


def _beyond(values: FloatField, bounds: tuple[float, float]) -> FloatField:
    """How far values lie outside of bounds; 0 inside them."""
    return np.maximum(np.maximum(np.float32(bounds[0]) - values, values - np.float32(bounds[1])), np.float32(0.0))
