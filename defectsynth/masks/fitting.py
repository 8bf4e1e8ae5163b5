"""Where a shape lies wholly inside an ROI, and how much smaller it must be where it nowhere does.

The idea is that of the dynamic ranges of NVIDIA's ``paidf-anomalygen`` (``auto_mask_placement``): what may be drawn is narrowed
to what stays inside, so that nothing is drawn in vain. Here only the scale is lowered; angle and flip stay as drawn.

A shape is a list of horizontal runs. A table says, for each pixel of the ROI, where the run of ROI pixels through it ends; the
shape fits at a centre where each of its runs begins inside the ROI and ends no later. That is exact at full size, whatever
holes either has, and all integers. Only a sample of the centres is tried, spread over the whole ROI.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from defectsynth.images import Mask, bounding_box
from defectsynth.masks.border import BorderSide, against
from defectsynth.masks.kept import Kept

__all__ = ["Cut", "Fit", "Room", "fit_at", "largest_fit"]

Positions = npt.NDArray[np.intp]

_CENTRES = 4096  # that are tried: 4 pixels apart in a picture of 256 x 256
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0  # multiples of it, modulo 1, are spread evenly however many are taken
_RUNS_AT_ONCE = 32  # centres that fail are dropped after so many runs of the shape, spread over all of it
_KEPT = 512  # centres that have passed two such lots of runs go on to the others; more would only cost time
_STEPS = 8  # of bisection: the scale is found to about 3 %


@dataclass(frozen=True, slots=True)
class Cut:
    """A shape as it is to be set down, turned and scaled.

    Attributes:
        mask: ``(h, w)`` uint8, 0 or 255.
        anchor: (row, column) in ``mask`` of the pixel that goes to the centre.
        sides: those of the picture that it must touch.
    """

    mask: Mask
    anchor: tuple[int, int]
    sides: tuple[BorderSide, ...] = ()

    @classmethod
    def dot(cls) -> Cut:
        """One pixel."""
        return cls(np.full((1, 1), 255, dtype=np.uint8), (0, 0))

    def set_down(self, shape: tuple[int, int], centre: tuple[int, int]) -> Mask:
        """``shape = (H, W)`` uint8: the shape with its anchor at ``centre`` (row, column); it must lie inside."""
        top, left, bottom, right = bounding_box(self.mask) or (0, 0, 0, 0)
        row, column = centre[0] - self.anchor[0] + top, centre[1] - self.anchor[1] + left
        painted = np.zeros(shape, dtype=np.uint8)
        painted[row : row + bottom - top, column : column + right - left] = self.mask[top:bottom, left:right]
        return painted


@dataclass(frozen=True, slots=True)
class Fit:
    """A shape that lies inside the ROI: its scale, its cut, and positions in the picture, row by row, for its anchor."""

    factor: float
    cut: Cut
    centres: Positions


@dataclass(frozen=True, slots=True)
class _Ground:
    """What of an ROI does not depend on a shape.

    Attributes:
        origin, size: (top, left) and (height, width) of the rectangle around it.
        ends: of each pixel of the rectangle, row by row: the column where the run of the ROI that it lies in ends.
        positions: of the ROI's pixels in the rectangle, row by row.
    """

    origin: tuple[int, int]
    size: tuple[int, int]
    ends: npt.NDArray[np.int32]
    positions: Positions

    @classmethod
    def of(cls, roi: Mask) -> _Ground:
        top, left, bottom, right = bounding_box(roi) or (0, 0, *roi.shape)
        inside = roi[top:bottom, left:right] != 0
        beyond = np.where(inside, np.int32(inside.shape[1]), np.arange(inside.shape[1], dtype=np.int32))
        ends = np.minimum.accumulate(beyond[:, ::-1], axis=1)[:, ::-1].ravel()
        return cls((top, left), (bottom - top, right - left), ends, np.flatnonzero(inside))


_GROUNDS: Kept[_Ground] = Kept()


class Room:
    """The ROI of one picture, prepared for asking where shapes fit.

    Args:
        roi: ``(H, W)`` uint8, 0 or 255, at least one pixel set.
        phase: in [0, 1): which sample of its pixels is tried.
    """

    def __init__(self, roi: Mask, phase: float) -> None:
        ground = _GROUNDS.get(roi, (), lambda: _Ground.of(roi))
        self._shape = roi.shape[0], roi.shape[1]
        self.size, self._origin, self._ends = ground.size, ground.origin, ground.ends
        self._rows, self._columns = np.divmod(_sample(ground.positions, phase), self.size[1])

    def centres(self, cut: Cut) -> Positions:
        """Those of the tried positions at which the whole shape lies inside the ROI."""
        row, begin, end = _runs(cut)
        rows, columns = self._within(self._tried(cut), row, begin, end)
        blocks = math.ceil(row.size / _RUNS_AT_ONCE)
        for block in range(blocks):
            lot = slice(block, None, blocks)
            starts = (rows[:, None] + row[lot]) * self.size[1] + columns[:, None] + begin[lot]
            fits = (self._ends[starts] >= columns[:, None] + end[lot]).all(axis=1)
            rows, columns = rows[fits], columns[fits]
            if block == 1 and rows.size > _KEPT:
                some = np.arange(_KEPT) * rows.size // _KEPT
                rows, columns = rows[some], columns[some]
        return (rows + self._origin[0]) * self._shape[1] + columns + self._origin[1]

    def _tried(self, cut: Cut) -> tuple[Positions, Positions]:
        """Rows and columns of the centres that are tried: some of all, or those at which the shape touches its sides."""
        if not cut.sides:
            return self._rows, self._columns
        place = against(cut.mask, cut.anchor, cut.sides, self._shape)
        rows, columns = (
            np.array([place[axis] - self._origin[axis]]) if axis in place else np.arange(self.size[axis]) for axis in (0, 1)
        )
        return np.repeat(rows, columns.size), np.tile(columns, rows.size)

    def _within(
        self, tried: tuple[Positions, Positions], row: Positions, begin: Positions, end: Positions
    ) -> tuple[Positions, Positions]:
        """Tried positions at which no run leaves the rectangle around the ROI."""
        (rows, columns), (height, width) = tried, self.size
        within = (rows + row.min() >= 0) & (rows + row.max() < height)
        within &= (columns + begin.min() >= 0) & (columns + end.max() <= width)
        return rows[within], columns[within]


def largest_fit(room: Room, cut: Callable[[float], Cut], factor: float, smallest: float, reach: float) -> Fit:
    """The shape at the scale ``factor`` or, where it fits nowhere, at one near the largest at which it does.

    Args:
        room: the ROI.
        cut: the shape at a scale.
        factor: the scale that was drawn.
        smallest: the scale at which a single pixel is left of it, which always fits.
        reach: the diagonal of the shape's canvas at scale 1. A shape is at least half as long as its canvas's diagonal, so that
            one with twice the ROI's diagonal needs not be tried (nor has to be kept in memory).
    """
    tried = min(factor, _largest(room, reach))
    found = fit_at(room, cut, tried, reach)
    if found:
        return found
    best, low, high = Fit(smallest, Cut.dot(), room.centres(Cut.dot())), min(smallest, tried), tried
    for _ in range(_STEPS):
        tried = math.sqrt(low * high)
        found = fit_at(room, cut, tried, reach)
        if found:
            best, low = found, tried
        else:
            high = tried
    return best


def fit_at(room: Room, cut: Callable[[float], Cut], factor: float, reach: float) -> Fit | None:
    """The shape at one scale, or None where it does not fit anywhere. See ``largest_fit``."""
    if factor > _largest(room, reach):
        return None
    shape = cut(factor)
    shape = shape if shape.mask.any() else Cut.dot()
    centres = room.centres(shape)
    return Fit(factor, shape, centres) if centres.size else None


def _largest(room: Room, reach: float) -> float:
    """The scale beyond which nothing fits."""
    return 2.0 * (math.hypot(*room.size) + 2.0) / reach


def _sample(positions: Positions, phase: float) -> Positions:
    """Some of the positions, evenly spread, in their order; another phase takes others."""
    if positions.size <= _CENTRES:
        return positions
    fractions = (phase + _GOLDEN * np.arange(_CENTRES)) % 1.0
    some = np.zeros(positions.size, dtype=np.bool_)
    some[(fractions * positions.size).astype(np.intp)] = True
    return positions[some]


def _runs(cut: Cut) -> tuple[Positions, Positions, Positions]:
    """Row, first column and end column of each horizontal run of a shape, counted from its anchor."""
    padded = np.zeros((cut.mask.shape[0], cut.mask.shape[1] + 2), dtype=np.int8)
    padded[:, 1:-1] = cut.mask != 0
    steps = np.diff(padded, axis=1)
    row, begin = np.divmod(np.flatnonzero(steps == 1), steps.shape[1])
    end = np.flatnonzero(steps == -1) % steps.shape[1]
    return row - cut.anchor[0], begin - cut.anchor[1], end - cut.anchor[1]
