"""How many positives and how many negatives have each score: what every metric is made of.

For image scores a level is one score, and nothing is lost. Pixels are counted the same way as long as there are no more than a
million different values, and in levels twice as wide each time that there are more, so that a test set of any size takes one
pass and bounded memory; what that loses is far below 1e-4 of any area (a test holds this).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.errors import InputError
from defectsynth.images import Mask

__all__ = [
    "Counts",
    "PicturePixels",
    "PixelCounts",
    "PixelTotals",
    "Values",
    "count_pixels",
    "count_scores",
    "even_groups",
    "floors_of",
]

Values = npt.NDArray[np.float64]

_MOST = 2**20  # levels of a test set
_KEPT = 4096  # levels of one picture, for resampling
_TINY = np.float32(2.0**-64)  # what is below counts as 0: no sigmoid's order is lost that could matter
_HALF = np.float32(0.5)


def _bits(value: np.float32) -> int:
    return int(value.view(np.int32))


_FIRST, _MIDDLE = _bits(_TINY) - 1, _bits(_HALF)
_LAST = 2 * _MIDDLE - _FIRST


class Counts(NamedTuple):
    """How often each score occurs.

    Attributes:
        thresholds: ``(L,)`` ascending: the lowest score of each level.
        positives, negatives: ``(..., L)``: how many have a score of this level.
    """

    thresholds: Values
    positives: Values
    negatives: Values


class PixelCounts(NamedTuple):
    """The same of pixels, and what AUPRO needs besides.

    Attributes:
        counts: of pixels in masks, and outside.
        overlaps: ``(..., L)``: summed over the pieces of masks, the share of the piece's pixels that has this level.
        pieces: ``(...,)``: how many pieces there are.
    """

    counts: Counts
    overlaps: Values
    pieces: Values


def count_scores(scores: npt.ArrayLike, labels: npt.ArrayLike) -> Counts:
    """Image scores by level, one level for each different score.

    Args:
        scores: ``(n,)`` finite numbers, higher where more anomalous.
        labels: ``(n,)`` true where the picture is defective.

    Raises:
        InputError: they differ in length, or a score is not a number.
    """
    found, defective = np.asarray(scores, dtype=np.float64).ravel(), np.asarray(labels).astype(bool).ravel()
    if found.shape != defective.shape:
        raise InputError(f"{found.size} scores and {defective.size} labels: give one label for each score")
    if not np.isfinite(found).all():
        raise InputError("a score is NaN or infinite: the detector that gave it is broken, train it again")
    thresholds, place = np.unique(found, return_inverse=True)
    positives, negatives = (np.bincount(place[chosen], minlength=len(thresholds)) for chosen in (defective, ~defective))
    return Counts(thresholds, positives.astype(np.float64), negatives.astype(np.float64))


@dataclass(frozen=True, slots=True)
class PicturePixels:
    """Pixels by level.

    Attributes:
        levels: ``(m,)`` those that occur, ascending; a level is a value's place among all float32 values.
        negatives, positives: ``(m,)``.
        overlaps: ``(m,)`` see ``PixelCounts``.
        pieces: of masks.
    """

    levels: npt.NDArray[np.int32]
    negatives: Values
    positives: Values
    overlaps: Values
    pieces: int

    def thinned(self) -> PicturePixels:
        """The same in no more than 4096 levels, for resampling: half of them where negatives are, half where positives are."""
        starts = even_groups(self.negatives, self.positives, _KEPT)
        rows = (np.add.reduceat(row, starts) for row in (self.negatives, self.positives, self.overlaps))
        negatives, positives, overlaps = rows
        return PicturePixels(self.levels[starts], negatives, positives, overlaps, self.pieces)


def count_pixels(anomaly_map: npt.NDArray[np.float32], mask: Mask | None) -> PicturePixels:
    """The pixels of one picture by level.

    Args:
        anomaly_map: ``(H, W)`` float32 in [0, 1].
        mask: ``(H, W)`` uint8, 0 or 255; None where no pixel is anomalous.

    Raises:
        InputError: they differ in size, or the map leaves [0, 1].
    """
    levels = _levels_of(anomaly_map)
    if mask is not None and mask.shape != anomaly_map.shape:
        raise InputError(f"a map {anomaly_map.shape} and a mask {mask.shape}: bring the map to the size of the mask")
    if mask is None or not mask.any():
        return _outside(levels)
    pieces, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    inside = mask.ravel() != 0
    present, place = np.unique(levels[inside], return_inverse=True)
    share = 1.0 / np.maximum(stats[:, cv2.CC_STAT_AREA], 1)  # the background may have no pixel
    positives = np.bincount(place, minlength=len(present)).astype(np.float64)
    overlaps = np.asarray(np.bincount(place, share[labels.ravel()[inside]], len(present)), dtype=np.float64)
    marked = PicturePixels(present, np.zeros(len(present)), positives, overlaps, pieces - 1)
    return marked if inside.all() else _merged([_outside(levels[~inside]), marked])


def _outside(levels: npt.NDArray[np.int32]) -> PicturePixels:
    """Pixels that no mask holds."""
    present, counts = np.unique(levels, return_counts=True)
    nothing = np.zeros(len(present))
    return PicturePixels(present, counts.astype(np.float64), nothing, nothing, 0)


class PixelTotals:
    """The pixels of many pictures; pictures are added one by one."""

    def __init__(self) -> None:
        self._parts: list[PicturePixels] = []
        self._wider = 0  # how often levels were made twice as wide

    def add(self, picture: PicturePixels) -> None:
        """Counts a picture's pixels too."""
        self._parts.append(_widened(picture, self._wider))
        if sum(len(part.levels) for part in self._parts) > 2 * _MOST:
            self._merge()

    def __add__(self, other: PixelTotals) -> PixelTotals:
        both = PixelTotals()
        both._wider = max(self._wider, other._wider)
        for one in (self, other):
            both._parts += [_widened(part, both._wider - one._wider) for part in one._parts]
        both._merge()
        return both

    def counts(self) -> PixelCounts:
        """What was added."""
        self._merge()
        if not self._parts:
            nothing = np.zeros(0)
            return PixelCounts(Counts(nothing, nothing, nothing), nothing, np.zeros(()))
        found = self._parts[0]
        thresholds = floors_of(found.levels.astype(np.int64) << self._wider)
        counts = Counts(thresholds, found.positives, found.negatives)
        return PixelCounts(counts, found.overlaps, np.array(float(found.pieces)))

    def _merge(self) -> None:
        while len(self._parts) > 1 or (self._parts and len(self._parts[0].levels) > _MOST):
            self._parts = [_merged(self._parts)]
            if len(self._parts[0].levels) > _MOST:
                self._parts = [_widened(self._parts[0], 1)]
                self._wider += 1


def _widened(part: PicturePixels, times: int) -> PicturePixels:
    """The same in levels that were made twice as wide so many times."""
    return part if times == 0 else _summed(part, part.levels >> times)


def _merged(parts: Sequence[PicturePixels]) -> PicturePixels:
    levels = np.concatenate([part.levels for part in parts])
    order = np.argsort(levels, kind="stable")  # runs that are sorted already take little more than being read
    negatives, positives, overlaps = (
        np.concatenate([getattr(part, name) for part in parts])[order] for name in ("negatives", "positives", "overlaps")
    )
    pieces = sum(part.pieces for part in parts)
    return _summed(PicturePixels(levels, negatives, positives, overlaps, pieces), levels[order])


def _summed(part: PicturePixels, levels: npt.NDArray[np.int32]) -> PicturePixels:
    """A part whose rows have these levels, ascending, each of which may occur more than once."""
    starts = np.flatnonzero(np.diff(levels, prepend=np.int32(-1)))
    negatives, positives, overlaps = (np.add.reduceat(row, starts) for row in (part.negatives, part.positives, part.overlaps))
    return PicturePixels(levels[starts], negatives, positives, overlaps, part.pieces)


def even_groups(negatives: Values, positives: Values, most: int) -> npt.NDArray[np.intp]:
    """Where at most ``most`` groups of neighbouring levels begin, of equal shares of the negatives and positives together."""
    weight = negatives / max(float(negatives.sum()), 1.0) + positives / max(float(positives.sum()), 1.0)
    before = np.cumsum(weight) - weight
    return np.flatnonzero(np.diff(np.floor(before * (most / float(weight.sum()))), prepend=-1.0))


def _levels_of(anomaly_map: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """``(H * W,)`` from 0: the place of each value among the float32 values up to a half, and above it of those of 1 - value.

    So there are as many levels near 1 as near 0, since a sigmoid fills both ends.
    """
    if anomaly_map.ndim != 2 or anomaly_map.dtype != np.float32:
        raise InputError(f"an anomaly map is (H, W) float32 and this is {anomaly_map.shape} {anomaly_map.dtype}: convert it")
    flat = np.ascontiguousarray(anomaly_map).ravel()
    low, high = (float(flat.min()), float(flat.max())) if flat.size else (0.0, 0.0)
    if not (low >= 0.0 and high <= 1.0):
        raise InputError(f"an anomaly map has values from {low} to {high}: they lie in [0, 1]; scale all maps alike")
    upper = flat > _HALF
    nearest = np.where(upper, np.float32(1.0) - flat, flat)
    bits = np.where(nearest < _TINY, np.int32(_FIRST), nearest.view(np.int32))
    return np.where(upper, np.int32(2 * _MIDDLE) - bits, bits) - np.int32(_FIRST)


def floors_of(levels: npt.NDArray[np.int64]) -> Values:
    """The lowest float32 at or above each level."""
    bits = levels + _FIRST
    lower = np.where(bits == _FIRST, 0, np.minimum(bits, _MIDDLE)).astype(np.int32).view(np.float32).astype(np.float64)
    distance = (2 * _MIDDLE - np.maximum(bits, _MIDDLE)).astype(np.int32).view(np.float32).astype(np.float64)
    above = 1.0 - np.floor(distance * 2.0**24) / 2.0**24  # floats above a half are multiples of 2^-24
    return np.where(bits <= _MIDDLE, lower, np.where(bits == _LAST, 1.0, above))
