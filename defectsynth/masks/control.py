"""Choosing a field's level, and its pieces, so that a mask has a given area and number of components.

Thresholded noise always covers the same share of a picture in the same number of pieces; real defects are small and mostly in
one piece. The level sets of a field are nested, so the largest piece only grows as the level falls, and bisection finds the
level at which it has a given area. Further pieces are found the same way in what is left.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.images import Mask, as_mask, bounding_box, positions_of
from defectsynth.noise import FloatField

__all__ = ["BelowFloorError", "choose_pixels", "count_pieces", "largest_pieces"]

BoolField = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.integer[Any]]

_APART = np.ones((5, 5), dtype=np.uint8)  # pieces keep two pixels between them
_LARGE = 512 * 512  # pixels; beyond, a piece is found on a sparse grid and refined in the rectangle around it
_SPARSE = 16  # every so many of the values of a field are put in order to see about how high the highest ones are
_TOLERANCE = 0.15  # a piece up to 15 % too large is taken as it is; a larger one is trimmed back to where it came from


class BelowFloorError(Exception):
    """A part of a field is not enough: a level was asked for that pixels beyond it may reach."""


def choose_pixels(field: FloatField, inside: BoolField, pixels: int, pieces: int | None, floor: float | None = None) -> Mask:
    """The mask of a field at a level of its own.

    Args:
        field: ``(H, W)`` float32, above zero where its kind puts the defect.
        inside: ``(H, W)`` bool, the ROI.
        pixels: target area.
        pieces: how many 8-connected pieces; None takes all.
        floor: where both are only a part of a picture, what no pixel beyond it reaches; None for the whole picture.

    Returns:
        ``(H, W)`` uint8, 0 or 255, inside the ROI.

    Raises:
        BelowFloorError: a level at or below the floor was needed.
    """
    chosen = _highest(field, inside, pixels, floor) if pieces is None else _islands(field, inside, pixels, pieces, floor)
    return as_mask(chosen)


def largest_pieces(mask: Mask, pieces: int) -> Mask:
    """The ``pieces`` largest 8-connected pieces of a mask (ties: the upper, then the left one)."""
    return as_mask(_largest(mask != 0, pieces))


def count_pieces(mask: Mask) -> int:
    """How many 8-connected pieces a mask has."""
    box = bounding_box(mask)
    if box is None:
        return 0
    top, left, bottom, right = box
    return int(cv2.connectedComponents(mask[top:bottom, left:right], connectivity=8)[0]) - 1


class _Levels:
    """The value that each number of pixels reaches; pieces are small, so only the highest values are looked at.

    Args:
        values: ``(n,)``.
    """

    def __init__(self, values: npt.NDArray[np.float32]) -> None:
        self._values, self.size = values, values.size
        self._highest = self._ascending = values[:0]

    def reached_by(self, rank: int) -> np.float32:
        """The value that ``rank`` pixels reach; infinity for none."""
        if rank > self._highest.size:
            self._highest = _highest_values(self._values, rank)
            return np.float32(self._highest[0])
        if rank > self._ascending.size:  # a lower rank than the one before: more of them will be asked for
            self._ascending = np.sort(self._highest)
        return np.float32(self._ascending[-rank]) if rank > 0 else np.float32(np.inf)


def _highest_values(values: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.float32]:
    """The ``count`` highest, the lowest of them first; what some of all values show to be low is left out before."""
    some = np.sort(values[::_SPARSE])
    reached = values >= some[max(0, some.size - 1 - 3 * count // (2 * _SPARSE))]  # about one and a half times as many
    if np.count_nonzero(reached) >= count:
        values = values.take(positions_of(reached[None]))
    first = values.size - count
    return np.partition(values, first)[first:]


def _above_floor(level: np.float32, floor: float | None) -> None:
    if floor is not None and level <= floor:
        raise BelowFloorError


def _highest(field: FloatField, inside: BoolField, pixels: int, floor: float | None) -> BoolField:
    """Exactly the ``pixels`` highest pixels; of those level with the lowest one, the first row by row."""
    values = field[inside]
    if floor is not None and values.size < pixels:
        raise BelowFloorError
    rank = max(0, values.size - pixels)
    level = np.partition(values, rank)[rank]
    _above_floor(level, floor)
    chosen = inside & (field > level)
    level_with = np.flatnonzero(inside & (field == level))
    chosen.flat[level_with[: pixels - int(np.count_nonzero(chosen))]] = True
    return chosen


def _labelled(mask: BoolField) -> tuple[Labels, npt.NDArray[np.intp]]:
    """Its 8-connected pieces: the number of each pixel's, from 1, and how many pixels each has (number 0: none)."""
    few = ((mask.shape[0] + 1) // 2) * ((mask.shape[1] + 1) // 2) < 2**16  # there are no more pieces than blocks of 2 x 2
    as_picture = np.ascontiguousarray(mask).view(np.uint8)
    count, labels = cv2.connectedComponents(as_picture, connectivity=8, ltype=cv2.CV_16U if few else cv2.CV_32S)
    sizes = np.bincount(labels.reshape(-1).take(positions_of(as_picture)), minlength=count)
    return np.asarray(labels, dtype=labels.dtype), sizes  # counting is faster than OpenCV's statistics


def _largest(mask: BoolField, pieces: int) -> BoolField:
    labels, sizes = _labelled(mask)
    if sizes.size - 1 <= pieces:
        return mask
    keep = np.zeros(sizes.size, dtype=np.bool_)
    keep[np.argsort(-sizes[1:], kind="stable")[:pieces] + 1] = True
    return keep[labels]


def _islands(field: FloatField, inside: BoolField, pixels: int, pieces: int, floor: float | None) -> BoolField:
    """``pieces`` pieces that cover about ``pixels``, the second half as large as the first, the third a third, and so on."""
    shares = 1.0 / np.arange(1, pieces + 1)
    chosen = np.zeros_like(inside)
    left = inside
    for share in shares / shares.sum():
        if not left.any():
            _above_floor(np.float32(-np.inf), floor)
            break
        chosen |= _island(field, left, max(1, round(pixels * float(share))), floor)
        left = inside & (cv2.dilate(chosen.view(np.uint8), _APART) == 0)
    return chosen


def _island(field: FloatField, inside: BoolField, pixels: int, floor: float | None) -> BoolField:
    """The largest piece of the level at which it covers about ``pixels``; in a large picture found on a sparse grid first."""
    step = math.ceil(math.sqrt(field.size / _LARGE))
    sparse = inside[::step, ::step]
    if step == 1 or not sparse.any():
        return _island_at_full_size(field, inside, pixels, floor)
    rough = _island_at_full_size(np.ascontiguousarray(field[::step, ::step]), sparse, max(1, pixels // step**2), floor)
    window = _window_around(rough, step)
    chosen = np.zeros_like(inside)
    chosen[window] = _island_at_full_size(field[window], inside[window], pixels, floor)
    return chosen


def _window_around(rough: BoolField, step: int) -> tuple[slice, slice]:
    """The rectangle of the full picture around a piece of the sparse one, half as wide again on every side."""
    rows, columns = np.flatnonzero(rough.any(axis=1)), np.flatnonzero(rough.any(axis=0))
    top, bottom, left, right = (int(end) * step for end in (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1))
    more = max(bottom - top, right - left) // 2 + 2 * step
    return slice(max(0, top - more), bottom + more), slice(max(0, left - more), right + more)


def _island_at_full_size(field: FloatField, inside: BoolField, pixels: int, floor: float | None) -> BoolField:
    levels = _Levels(field.reshape(-1).take(positions_of(inside)))
    field = np.where(inside, field, np.float32(-np.inf))
    too_few, enough, labels, sizes = _bracket(field, levels, pixels)
    _above_floor(levels.reached_by(enough) if enough < levels.size else np.float32(-np.inf), floor)
    largest = int(sizes.argmax())
    if sizes[largest] <= (1.0 + _TOLERANCE) * pixels:
        return np.asarray(labels == largest)
    window = _around(labels, np.flatnonzero(sizes >= pixels))  # a higher level's piece that is large enough lies in one of them
    chosen = np.zeros_like(inside)
    chosen[window] = _trimmed(field[window], levels, (too_few, enough), labels[window] == largest, pixels)
    return chosen


def _bracket(field: FloatField, levels: _Levels, pixels: int) -> tuple[int, int, Labels, npt.NDArray[np.intp]]:
    """A rank whose largest piece is too small, one whose largest piece is not (or all there is), and the pieces of that one."""
    too_few, enough = 0, min(2 * pixels, levels.size)
    labels, sizes = _labelled(field >= levels.reached_by(enough))
    while sizes.max() < pixels and enough < levels.size:
        too_few, enough = enough, min(2 * enough, levels.size)
        labels, sizes = _labelled(field >= levels.reached_by(enough))
    return too_few, enough, labels, sizes


def _around(labels: Labels, numbers: npt.NDArray[np.intp]) -> tuple[slice, slice]:
    """The rectangle around these pieces; it begins where OpenCV's blocks of 2 x 2 do, in whose order it numbers pieces."""
    top, left, bottom, right = bounding_box(labels == numbers[0] if numbers.size == 1 else np.isin(labels, numbers)) or (0,) * 4
    return slice(top & ~1, bottom), slice(left & ~1, right)


def _trimmed(field: FloatField, levels: _Levels, ranks: tuple[int, int], piece: BoolField, pixels: int) -> BoolField:
    """The piece of the highest level between two ranks at which there is one of ``pixels``; cut back where it is larger."""
    (too_few, enough), size = ranks, int(np.count_nonzero(piece))
    while enough - too_few > 1 and size > (1.0 + _TOLERANCE) * pixels:
        rank = (too_few + enough) // 2
        labels, sizes = _labelled(field >= levels.reached_by(rank))
        largest = int(sizes.argmax())
        if sizes[largest] >= pixels:
            enough, piece, size = rank, labels == largest, int(sizes[largest])
        else:
            too_few = rank
    if size <= (1.0 + _TOLERANCE) * pixels:
        return piece
    core = _largest(piece & (field >= levels.reached_by(too_few)), 1)  # one level up, what is one piece now was several
    return _grow(core if core.any() else piece & (field == field[piece].max()), piece, pixels)


def _grow(core: BoolField, limit: BoolField, pixels: int) -> BoolField:
    """``core`` and the pixels of ``limit`` nearest to it, about ``pixels`` in all, in one piece."""
    if np.count_nonzero(core) >= pixels:
        return core
    distance = cv2.distanceTransform((~core).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    reach = np.sort(distance[limit])[pixels - 1]
    grown = limit & (distance <= reach)
    _, labels = cv2.connectedComponents(grown.view(np.uint8), connectivity=8)
    touched = np.zeros(int(labels.max()) + 1, dtype=np.bool_)
    touched[labels[core]] = True
    touched[0] = False
    return touched[labels]
