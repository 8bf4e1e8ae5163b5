"""What free-form figures share: drawn at a size around a centre, and made larger or smaller until they have their area.

A scratch of ten times the area is not just a fatter scratch but a longer one as well. So a figure that is asked for an area is
scaled as a whole, which makes up for what the ROI cuts off and for what pixels round; the level that ``control.py`` then
chooses to meet the area to the pixel is close to zero, and the figure keeps its character.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from defectsynth import rng
from defectsynth.banks import Banks
from defectsynth.images import Mask, as_mask, bounding_box, widened_box
from defectsynth.masks.control import BelowFloorError, choose_pixels
from defectsynth.masks.placement import PlacedParams
from defectsynth.masks.shapes import direction
from defectsynth.noise import FloatField

__all__ = ["BAND", "THINNEST", "Drawing", "FigureParams", "Grid", "blank", "draw_around", "turned", "uniforms"]

THINNEST = 0.72
"""Smallest half-width in pixels: some pixel's centre lies that near to any point, so even a hair paints a connected mask."""
BAND = 3.0
"""Pixels around a figure in which its distance is computed; beyond, it is measured from what was painted."""

_ROUNDS = 6
_CLOSE = 0.04  # relative error of the area at which the figure's size is right
_LARGEST_STEP = 3.0  # factor by which the size changes at most from one round to the next
_LARGEST_GROWTH = 3.0  # factor by which a figure outgrows its first size at most, to make up for what the ROI cuts off
_NEAR = 0.3  # of the square root of an area: how far around a figure the level is looked for that it has this area at
_FINEST_GRID = 384  # points along a side; a larger figure is computed on a coarser grid and interpolated
_TWO_TO_MINUS_32 = 2.0**-32

Drawing = Callable[[float], FloatField]
"""Draws a figure of a size in pixels, whose square is about its area: ``(H, W)`` float32, the distance from its outline in
pixels, positive inside, and minus infinity where that was not computed."""


class FigureParams(PlacedParams):
    """What was drawn for a figure that can be drawn at any size."""

    @abstractmethod
    def own_size(self, roi: Mask) -> float:
        """The figure's size in pixels where no area is asked for."""

    @abstractmethod
    def drawing(self, roi: Mask, centre: tuple[int, int], size: float) -> Drawing:
        """How to draw the figure.

        Args:
            roi: ``(H, W)`` uint8, 0 or 255.
            centre: (row, column), a pixel of the ROI.
            size: pixels, about the size that it will be drawn at.
        """

    def wanted(self, roi: Mask) -> float | None:
        """Pixels that the figure shall have inside the ROI; None leaves it its own size."""
        return None if self.area is None else max(1.0, self.area * int(np.count_nonzero(roi)))

    def field(self, roi: Mask, banks: Banks) -> FloatField:
        """About the distance from the figure's outline in pixels, positive inside."""
        return _everywhere(self._drawn(roi))

    def above_zero(self, roi: Mask, banks: Banks) -> Mask:
        """See ``MaskParams.above_zero``: what is drawn, without its distance from the rest of the picture."""
        return as_mask(self._drawn(roi) > 0)

    def choose(self, roi: Mask, banks: Banks, pixels: int) -> Mask:
        """See ``MaskParams.choose``: in the rectangle around the figure, where that is enough."""
        drawn = self._drawn(roi)
        window, floor = _around(drawn, math.ceil(_NEAR * math.sqrt(pixels)) + 4)
        mask = np.zeros_like(roi)
        try:
            near = _everywhere(drawn[window].copy())
            mask[window] = choose_pixels(near, roi[window] != 0, pixels, self.components, floor)
        except BelowFloorError:
            mask = choose_pixels(_everywhere(drawn), roi != 0, pixels, self.components)
        return mask

    def _drawn(self, roi: Mask) -> FloatField:
        """The field near the figure, minus infinity elsewhere."""
        centre, pixels = self.centre(roi), self.wanted(roi)
        size = self.own_size(roi) if pixels is None else math.sqrt(pixels)
        draw = self.drawing(roi, centre, size)
        field = draw(size) if pixels is None else _fitted(draw, size, roi, pixels)
        if not _painted(field, roi):
            field[centre] = THINNEST  # it is smaller than a pixel, or lies beside the ROI: it is that pixel
        return field


@dataclass(frozen=True, slots=True)
class Grid:
    """Points around a centre at which a figure is computed.

    Attributes:
        y, x: float32 ``(n, 1)`` and ``(1, n)``: pixels down and right of the centre.
        step: pixels between two points.
    """

    y: FloatField
    x: FloatField
    step: int

    @property
    def shape(self) -> tuple[int, int]:
        """Points along both axes."""
        return self.y.shape[0], self.x.shape[1]


def uniforms(seed: int, count: int, tag: int = 0) -> list[float]:
    """``count`` numbers in [0, 1); the first ones do not depend on ``count``."""
    return [word * _TWO_TO_MINUS_32 for word in rng.words(seed, (1, count), tag)[0].tolist()]


def blank(roi: Mask) -> FloatField:
    """A field on which nothing was drawn."""
    return np.full(roi.shape, -np.inf, dtype=np.float32)


def turned(grid: Grid, angle: float, elongation: float = 1.0) -> tuple[FloatField, FloatField]:
    """(across, along) of a grid's points, for a figure turned by ``angle`` degrees anticlockwise and stretched along it.

    Both are in pixels of the figure before it is stretched, ``sqrt(elongation)`` times as long and as many times less wide.
    """
    sine, cosine = direction(angle)
    stretch = math.sqrt(elongation)
    along = grid.x * np.float32(cosine / stretch) - grid.y * np.float32(sine / stretch)
    across = grid.x * np.float32(sine * stretch) + grid.y * np.float32(cosine * stretch)
    return across, along


def draw_around(field: FloatField, middle: tuple[float, float], reach: float, figure: Callable[[Grid], FloatField]) -> None:
    """Adds a figure to a field, in place.

    Args:
        field: ``(H, W)`` float32.
        middle: (y, x) in pixels.
        reach: pixels; no part of the figure lies further from the middle.
        figure: its distance in pixels, positive inside, at the points of a grid.
    """
    half = math.ceil(reach + BAND)
    step = math.ceil((2 * half + 1) / _FINEST_GRID)
    count = -(-(2 * half + 1) // step)
    first = [round(part) - half for part in middle]  # the row and the column of the first pixel
    overlap = [_overlap(first[axis], count, step, field.shape[axis]) for axis in (0, 1)]
    rows, columns = overlap
    if rows is None or columns is None:
        return
    y, x = ((np.arange(count) * step + ((step - 1) / 2 + first[axis] - middle[axis])).astype(np.float32) for axis in (0, 1))
    values = figure(Grid(y[:, None], x[None, :], step))[rows.points, columns.points]
    if step > 1:
        values = np.asarray(cv2.resize(values, None, fx=step, fy=step, interpolation=cv2.INTER_LINEAR), dtype=np.float32)
    window = field[rows.target, columns.target]
    np.maximum(window, values[rows.pixels, columns.pixels], out=window)


@dataclass(frozen=True, slots=True)
class _Overlap:
    """Of a grid and a picture, along one axis: the points to take, of these once interpolated the pixels, and where they go."""

    points: slice
    pixels: slice
    target: slice


def _overlap(first: int, count: int, step: int, size: int) -> _Overlap | None:
    start, end = max(0, first), min(size, first + count * step)
    if start >= end:
        return None
    low = max(0, (start - first) // step - 1)  # one point more on either side, so that interpolation has neighbours
    high = min(count, -(-(end - first) // step) + 1)
    shift = first + low * step
    return _Overlap(slice(low, high), slice(start - shift, end - shift), slice(start, end))


def _painted(field: FloatField, roi: Mask) -> int:
    """How many pixels of the ROI are above zero."""
    return int(np.count_nonzero((field > 0).view(np.uint8) & roi))


def _fitted(draw: Drawing, first: float, roi: Mask, pixels: float) -> FloatField:
    """The figure of the size at which it has about ``pixels`` inside the ROI; a secant, of logarithms."""
    size, power = first, 2.0  # a figure's area grows with the square of its size, a hair's less
    before: tuple[float, float] | None = None
    for left in reversed(range(_ROUNDS)):
        field = draw(size)
        found = max(0.5, float(_painted(field, roi)))
        if abs(found - pixels) <= _CLOSE * pixels or not left:
            break
        if before is not None and found != before[1]:
            power = min(max(math.log(found / before[1]) / math.log(size / before[0]), 0.7), 2.5)
        before = (size, found)
        factor = min(max((pixels / found) ** (1.0 / power), 1.0 / _LARGEST_STEP), _LARGEST_STEP)
        size = min(size * factor, first * _LARGEST_GROWTH)
        if size == before[0]:
            break
    return field


def _around(drawn: FloatField, margin: int) -> tuple[tuple[slice, slice], float]:
    """The rectangle within ``margin`` of what is painted, and what ``_everywhere`` exceeds at no pixel beyond it.

    It begins where OpenCV's blocks of 2 x 2 do, in whose order it numbers pieces.
    """
    top, left, bottom, right = bounding_box(drawn > 0) or (0, 0, 1, 1)
    shape = (drawn.shape[0], drawn.shape[1])
    top, left, bottom, right = widened_box((top, left, bottom, right), margin, shape)
    top, left = top & ~1, left & ~1
    beyond = drawn[:top], drawn[bottom:], drawn[top:bottom, :left], drawn[top:bottom, right:]
    floor = max((float(part.max()) for part in beyond if part.size), default=-math.inf)
    return (slice(top, bottom), slice(left, right)), max(floor, -float(margin))


def _everywhere(field: FloatField) -> FloatField:
    """The field, with less the distance from what is painted where nothing was computed."""
    distance = cv2.distanceTransform((field <= 0).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    np.copyto(field, -distance, where=field == -np.inf)
    return field
