"""Cellular noise: a plane divided among scattered points, exactly, for stones, pores, plates and grains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Cells", "by_bands", "scatter"]

Field = npt.NDArray[Any]  # (H, W) float32
Index = npt.NDArray[np.intp]

_JITTER = 0.8  # with more, the nearest point could lie outside the 3 x 3 cells that are searched
_STEPS = (-1, 0, 1)
_STEP_Y, _STEP_X = np.arange(9) // 3 - 1, np.arange(9) % 3 - 1
_FAR = 0x7F000000  # as a float, larger than any distance
_BAND_PIXELS = 8192


@dataclass(frozen=True, slots=True)
class Cells:
    """A plane divided among scattered points; lengths in cells.

    Attributes:
        edge: distance to the border with the nearest neighbour.
        down, right: from the cell's point to the pixel.
        word: 32 random bits of the cell, the same all over it.
    """

    edge: Field
    down: Field
    right: Field
    word: npt.NDArray[np.uint32]

    def unit(self, which: int) -> Field:
        """A number in [0, 1) for each cell; ``which`` of its four numbers is 0, 1, 2 or 3."""
        byte = (self.word >> np.uint32(8 * which)) & np.uint32(255)
        return byte.astype(np.float32) * (1 / 256)

    @property
    def near(self) -> Field:
        """Distance to the cell's point."""
        return np.sqrt(self.down * self.down + self.right * self.right)


def scatter(y: Field, x: Field, words: npt.NDArray[np.uint32]) -> Cells:
    """The cells of the points that ``words`` places, one in each unit square.

    Args:
        y, x: ``(H, W)`` float32, where each pixel is, in cells.
        words: ``(period, period)`` random bits, a power of two a side; the points repeat after it.
    """
    down, right, second_y, second_x, owner = by_bands(_Points.of(words).two_nearest, y, x)
    between_y, between_x = second_y - down, second_x - right
    apart = np.sqrt(between_y * between_y + between_x * between_x)
    # The border is where the mean of the two offsets, seen along the line between the two points, is zero.
    edge = (between_y * (second_y + down) + between_x * (second_x + right)) / (apart * 2.0)
    scrambled = words.ravel().take(owner, mode="clip") * np.uint32(0x9E3779B1)
    return Cells(np.maximum(edge, 0.0), down, right, scrambled ^ (scrambled >> np.uint32(15)))


def by_bands(function: Callable[..., tuple[Any, ...]], *fields: Field) -> list[Any]:
    """``function``, which works pixel by pixel, on a few rows of ``fields`` at a time.

    Its many intermediate arrays then stay in the cache; large fresh ones cost more in page faults than in sums.
    """
    rows = max(1, _BAND_PIXELS // fields[0].shape[1])
    results: list[Any] = []
    for start in range(0, fields[0].shape[0], rows):
        band = slice(start, start + rows)
        parts = function(*(field[band] for field in fields))
        results = results or [np.empty(fields[0].shape, dtype=part.dtype) for part in parts]
        for result, part in zip(results, parts, strict=True):
            result[band] = part
    return results


@dataclass(frozen=True, slots=True)
class _Points:
    """One point in each square of a lattice that repeats."""

    period: int
    down: Field  # (period * period,) from the square's corner
    right: Field

    @classmethod
    def of(cls, words: npt.NDArray[np.uint32]) -> _Points:
        spread, least = _JITTER / 65536, 0.5 - _JITTER / 2
        down = (words & np.uint32(0xFFFF)).astype(np.float32) * spread + least
        right = (words >> np.uint32(16)).astype(np.float32) * spread + least
        return cls(len(words), down.ravel(), right.ravel())

    def two_nearest(self, y: Field, x: Field) -> tuple[Field, Field, Field, Field, Index]:
        """Down and right from the nearest point, the same from the second, and the index of the nearest."""
        floor_y, floor_x = np.floor(y), np.floor(x)
        cell_y, cell_x = floor_y.astype(np.intp), floor_x.astype(np.intp)
        inside_y, inside_x = y - floor_y, x - floor_x
        rows = [self._wrap(cell_y + step) * self.period for step in _STEPS]
        columns = [self._wrap(cell_x + step) for step in _STEPS]
        ahead_y, ahead_x = ([inside - step for step in _STEPS] for inside in (inside_y, inside_x))
        first = np.full(y.shape, _FAR, dtype=np.int32)
        second = first.copy()
        for which in range(9):
            index = rows[which // 3] + columns[which % 3]
            down, right = self._offset(index, ahead_y[which // 3], ahead_x[which % 3])
            key = _sortable(down * down + right * right, which)
            np.minimum(second, np.maximum(first, key), out=second)
            np.minimum(first, key, out=first)

        def settle(key: npt.NDArray[np.int32]) -> tuple[Index, Field, Field]:
            which = key & np.int32(15)
            step_y, step_x = _STEP_Y.take(which, mode="clip"), _STEP_X.take(which, mode="clip")
            index = self._wrap(cell_y + step_y) * self.period + self._wrap(cell_x + step_x)
            return index, *self._offset(index, inside_y - step_y.astype(np.float32), inside_x - step_x.astype(np.float32))

        owner, near_y, near_x = settle(first)
        _, far_y, far_x = settle(second)
        return near_y, near_x, far_y, far_x, owner

    def _wrap(self, cell: Index) -> Index:
        return cell & (self.period - 1)

    def _offset(self, index: Index, ahead_y: Field, ahead_x: Field) -> tuple[Field, Field]:
        return ahead_y - self.down.take(index, mode="clip"), ahead_x - self.right.take(index, mode="clip")


def _sortable(distance: Field, which: int) -> npt.NDArray[np.int32]:
    """The bits of a float that is not negative sort like the float; the last four are lent to ``which``, 0 to 15."""
    key: npt.NDArray[np.int32] = distance.view(np.int32)
    key &= np.int32(~15)
    key |= np.int32(which)
    return key
