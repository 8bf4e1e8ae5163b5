"""What the background looks like, learnt from the picture's border, and how far every pixel is from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.foreground.view import Flags, Plane, View, ring, ring_width

__all__ = ["CODE", "Ground", "decode", "encode", "histogram", "learn_ground", "recode", "split_level"]

CODE = 24.0
"""A distance of ``d`` spreads is stored as ``round(24 sqrt(d))``: even at d = 1 as at d = 100, and 255 is 113 spreads."""
_SPREAD_OF_MAD = 1.4826
"""Standard deviation of normal noise, over its median absolute deviation."""
_FAINTEST = 2.0
"""Smallest spread, in steps of the picture: nothing closer than that is told apart, however still the background is."""


def encode(distance: float) -> int:
    """The code of a distance in spreads."""
    return min(255, round(CODE * math.sqrt(distance)))


def decode(code: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Distances in spreads of codes."""
    return np.square(np.asarray(code, dtype=np.float64) / CODE)


@dataclass(frozen=True, slots=True)
class Ground:
    """The background of one view.

    Attributes:
        surfaces: ``(h, w)`` uint8 for each plane, the background under the lamp's slope.
        spreads: for each plane, levels: the robust standard deviation of the border about its surface.
        code: ``(h, w)`` uint8, ``encode`` of the distance from the background, the largest over all planes.
        border: the code's border ring as one row.
        darker: ``(h, w)`` bool, where the picture is darker than its background: L, or all planes where there is no colour.
    """

    surfaces: tuple[Plane, ...]
    spreads: tuple[float, ...]
    code: Plane
    border: Plane
    darker: Flags


def learn_ground(view: View) -> Ground:
    """The background that the border ring shows.

    Median and median absolute deviation: the ring may hold up to half of something else. The lamp's slope is the difference of
    the medians of opposite sides, kept only where it makes the ring more uniform.
    """
    width = ring_width(view.small_shape)
    fits = [_fit(plane, width, _FAINTEST * view.step) for plane in view.planes]
    code = np.zeros(view.small_shape, dtype=np.uint8)
    darker = np.ones(view.small_shape, dtype=np.bool_)
    for plane, (surface, _) in zip(view.lightness, fits, strict=False):
        darker &= plane < surface
    for plane, (surface, spread) in zip(view.planes, fits, strict=True):
        np.maximum(code, _lookup(cv2.absdiff(plane, surface), _code_table(spread)), out=code)
    border = ring(code, width).astype(np.uint8)
    return Ground(tuple(surface for surface, _ in fits), tuple(spread for _, spread in fits), code, border, darker)


def _fit(plane: Plane, width: int, faintest: float) -> tuple[Plane, float]:
    level, deviation = _centre(ring(plane, width))
    tilt = _tilt(plane, width)
    tilted_level, tilted_deviation = _centre(ring(plane, width) - ring(tilt, width))
    if tilted_deviation < deviation:
        surface = np.clip(tilt + tilted_level, 0, 255).astype(np.uint8)
        return surface, max(faintest, _SPREAD_OF_MAD * tilted_deviation)
    return np.full(plane.shape, level, dtype=np.uint8), max(faintest, _SPREAD_OF_MAD * deviation)


def _centre(values: npt.NDArray[Any]) -> tuple[int, int]:
    """Median and median absolute deviation of whole numbers."""
    level = _median(values)
    return level, _median(np.abs(values.astype(np.int16) - level))


def _median(values: npt.NDArray[Any]) -> int:
    middle = values.size // 2
    return int(np.partition(values.ravel(), middle)[middle])


def _tilt(plane: Plane, width: int) -> npt.NDArray[np.int16]:
    """``(h, w)`` the slope between the medians of opposite sides, 0 in the middle."""
    height, length = plane.shape
    down = _median(plane[-width:]) - _median(plane[:width])
    along = _median(plane[:, -width:]) - _median(plane[:, :width])
    rows = np.arange(height, dtype=np.float32) * np.float32(down / max(1, height - 1)) - np.float32(down / 2)
    columns = np.arange(length, dtype=np.float32) * np.float32(along / max(1, length - 1)) - np.float32(along / 2)
    return np.rint(rows[:, None] + columns[None, :]).astype(np.int16)


def _code_table(spread: float) -> Plane:
    distance = np.arange(256) / spread
    return np.minimum(255, np.rint(CODE * np.sqrt(distance))).astype(np.uint8)


def _lookup(plane: npt.NDArray[Any], table: Plane) -> Plane:
    return np.asarray(cv2.LUT(plane, table), dtype=np.uint8)


@lru_cache(maxsize=8)
def _recoding(scale: float, softness: float) -> Plane:
    table = np.minimum(255, np.rint(scale * np.log2(1.0 + decode(np.arange(256)) / softness))).astype(np.uint8)
    table.flags.writeable = False
    return table


def recode(code: Plane, scale: float, softness: float) -> Plane:
    """``round(scale * log2(1 + d / softness))`` of coded distances ``d``: equal ratios of distance become equal steps."""
    return _lookup(code, _recoding(scale, softness))


def histogram(plane: Plane) -> npt.NDArray[np.int64]:
    """``(256,)`` how often each value occurs."""
    return np.asarray(cv2.calcHist([plane], [0], None, [256], [0, 256])).ravel().astype(np.int64)


def split_level(values: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]) -> tuple[int, float]:
    """Otsu's threshold of a histogram: the last position in the lower class, and how separate the classes are.

    Args:
        values: ``(n,)`` ascending.
        counts: ``(n,)`` how often each occurs.

    Returns:
        The position of the level, and the share of the variance that lies between the classes: 0 (one value) to 1 (two values).
    """
    below = np.cumsum(counts)[:-1].astype(np.float64)
    total = float(counts.sum())
    mass = np.cumsum(values * counts)
    mean = float(mass[-1]) / total
    variance = float(np.sum(counts * np.square(values - mean)))
    between = np.square(mass[:-1] - mean * below) * total / np.maximum(below * (total - below), 1.0)
    between[(below == 0) | (below == total)] = 0.0
    level = int(np.argmax(np.round(between / max(variance, 1e-12), 9)))
    return level, float(between[level]) / variance if variance > 0 else 0.0
