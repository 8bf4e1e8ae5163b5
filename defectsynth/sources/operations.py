"""The operations of an enhancement, on the pixels that are painted and no others.

Most of them look a value up in a table. ``autocontrast``, ``equalize`` and ``contrast`` make their table from a histogram: that
of the whole canvas, as in DRAEM, after the tables before it (what mixes channels or neighbours is left out of it).
``sharpness`` comes first, whenever it was drawn: it mixes a pixel of the canvas with that of a smooth copy, which is made once.
``affine`` and the flips say where a pixel comes from and are left to the sampler.

Sources: imgaug and Pillow, whose results these are within a few levels (tests); ``hue_saturation`` is imgaug's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.images import Histogram, histogram_of, smoothed
from defectsynth.sources.enhance import Operation

__all__ = ["apply_operations", "enhanced"]

RGB8 = npt.NDArray[np.uint8]
Table = npt.NDArray[np.uint8]
"""``(256, 3)``, or ``(256, 1)`` where all channels have the same."""

_RAMP = np.arange(256, dtype=np.float64)
_FIRST_OF_CHANNEL = np.array([[0], [256], [512]])


def enhanced(
    pixels: RGB8, operations: Sequence[Operation], histogram: Callable[[], Histogram], smooth: Callable[[], RGB8]
) -> RGB8:
    """``(n, 3)`` uint8 RGB after the operations in order.

    Args:
        pixels: ``(n, 3)`` of a canvas.
        operations: as ``Enhance.draw`` makes them.
        histogram: the canvas's.
        smooth: the same pixels of ``smoothed(canvas)``.
    """
    if not operations:
        return pixels
    values = pixels[None]  # a picture of one row: OpenCV has a price for each row
    strengths = [numbers[0] for name, numbers in operations if name == "sharpness"]
    if strengths:
        values = _sharpened(values, smooth()[None], math.prod(strengths))
    tables: list[Table] = []
    looked_up = 0
    for name, numbers in operations:
        if name in _TABLES:
            tables.append(_TABLES[name](numbers, lambda: _after(histogram(), tables)))
        elif name in _MIX:
            values = _MIX[name](_look_up(values, tables[looked_up:]), numbers)
            looked_up = len(tables)
    return _look_up(values, tables[looked_up:])[0]


def apply_operations(rgb: RGB8, operations: Sequence[Operation]) -> RGB8:
    """``(h, w, 3)`` uint8 RGB after the operations in order; ``affine`` is left to the sampler."""
    if not operations:
        return rgb
    pixels = np.ascontiguousarray(rgb).reshape(-1, 3)
    result = enhanced(pixels, operations, lambda: histogram_of(rgb), lambda: smoothed(rgb).reshape(-1, 3)).reshape(rgb.shape)
    for name, _ in operations:
        result = result[:, ::-1] if name == "flip_horizontal" else result[::-1] if name == "flip_vertical" else result
    return np.ascontiguousarray(result)


def _after(histogram: Histogram, tables: Sequence[Table]) -> Histogram:
    """A histogram after every value was looked up in tables, one after the other."""
    for table in tables:
        places = (table.T + _FIRST_OF_CHANNEL).reshape(-1)  # of all channels in one row
        counts = np.bincount(places, weights=histogram.reshape(-1), minlength=3 * 256)
        histogram = np.asarray(counts, dtype=np.float64).reshape(3, 256)
    return histogram


# --- tables ---------------------------------------------------------------------------------------------------------------


def _to_table(*channels: npt.NDArray[np.float64]) -> Table:
    """One channel for all, or three."""
    values = np.empty((256, len(channels)), dtype=np.float64)
    for number, channel in enumerate(channels):
        values[:, number] = channel
    return _rounded(values)


def _rounded(values: npt.NDArray[np.float64]) -> Table:
    """A table of ``values`` ``(256, C)``, which are used up."""
    np.maximum(values, 0.0, out=values)
    np.minimum(values, 255.0, out=values)
    return np.rint(values, out=values).astype(np.uint8)


def _look_up(values: RGB8, tables: Sequence[Table]) -> RGB8:
    """The values in one table after the other: those of the first are looked up in the next, and the pixels once."""
    if not tables:
        return values
    table = tables[0][None]
    for after in tables[1:]:
        table = _changed(np.repeat(table, 3, axis=2) if table.shape[2] < after.shape[1] else table, after)
    return _changed(values, table[0])


def _changed(values: RGB8, table: Table) -> RGB8:
    """``(h, w, C)`` values of a table of one channel, or of ``C``."""
    found = cv2.LUT(values, table[:, 0] if table.shape[1] == 1 else table[None])
    return np.asarray(found, dtype=np.uint8).reshape(values.shape)


Counts = Callable[[], Histogram]


def _gamma(numbers: Sequence[float], counts: Counts) -> Table:
    return _to_table(*(255.0 * (_RAMP / 255.0) ** gamma for gamma in numbers))


def _brightness(numbers: Sequence[float], counts: Counts) -> Table:
    return _to_table(_RAMP * numbers[0] + numbers[1])


def _solarize(numbers: Sequence[float], counts: Counts) -> Table:
    return _to_table(np.where(numbers[0] <= _RAMP, 255.0 - _RAMP, _RAMP))


def _posterize(numbers: Sequence[float], counts: Counts) -> Table:
    step = 2.0 ** (8 - int(numbers[0]))
    return _to_table(np.floor(_RAMP / step) * step)


def _invert(numbers: Sequence[float], counts: Counts) -> Table:
    return _to_table(255.0 - _RAMP)


def _autocontrast(numbers: Sequence[float], counts: Counts) -> Table:
    """Maps the darkest and lightest values, after a share of the pixels at each end, to 0 and 255."""
    histogram = counts()
    cut = histogram.sum(axis=1, keepdims=True) * (numbers[0] / 100.0)
    low = np.count_nonzero(np.cumsum(histogram, axis=1) <= cut, axis=1)
    high = 255 - np.count_nonzero(np.cumsum(histogram[:, ::-1], axis=1) <= cut, axis=1)
    stretched = (_RAMP[:, None] - low) * 255.0 / np.maximum(high - low, 1)
    return _rounded(np.where(high <= low, _RAMP[:, None], stretched))


def _equalize(numbers: Sequence[float], counts: Counts) -> Table:
    histogram = counts()
    lightest = 255 - np.argmax(histogram[:, ::-1] > 0, axis=1)
    levels = histogram.sum(axis=1) - histogram[np.arange(3), lightest]
    below = np.cumsum(histogram, axis=1) - histogram
    equalised = below.T * 255.0 / np.where(levels == 0, 1.0, levels)
    return _rounded(np.where(levels == 0, _RAMP[:, None], equalised))


def _contrast(numbers: Sequence[float], counts: Counts) -> Table:
    histogram = counts()
    means = ((histogram * _RAMP).sum(axis=1) / histogram.sum(axis=1)).tolist()
    grey = 0.299 * means[0] + 0.587 * means[1] + 0.114 * means[2]
    return _to_table((_RAMP - grey) * numbers[0] + grey)


_TABLES: dict[str, Callable[[Sequence[float], Counts], Table]] = {
    "gamma": _gamma,
    "brightness": _brightness,
    "solarize": _solarize,
    "posterize": _posterize,
    "invert": _invert,
    "autocontrast": _autocontrast,
    "equalize": _equalize,
    "contrast": _contrast,
}


# --- what mixes channels, or a canvas with its smooth copy ----------------------------------------------------------------


def _hue_saturation(values: RGB8, numbers: Sequence[float]) -> RGB8:
    hsv = np.asarray(cv2.cvtColor(values, cv2.COLOR_RGB2HSV), dtype=np.uint8)  # hue 0..179
    hue = np.mod(np.rint(_RAMP + numbers[0] * 180.0 / 255.0), 180.0)  # imgaug maps +-255 to +-360 degrees
    changed = _changed(hsv, _to_table(hue, _RAMP + numbers[1], _RAMP))
    return np.asarray(cv2.cvtColor(changed, cv2.COLOR_HSV2RGB), dtype=np.uint8)


def _greyscale(values: RGB8, numbers: Sequence[float]) -> RGB8:
    return np.asarray(cv2.cvtColor(cv2.cvtColor(values, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), dtype=np.uint8)


_MIX: dict[str, Callable[[RGB8, Sequence[float]], RGB8]] = {"hue_saturation": _hue_saturation, "greyscale": _greyscale}


def _sharpened(values: RGB8, smooth: RGB8, strength: float) -> RGB8:
    """0 is smooth, 1 leaves them as they are, above 1 is sharper."""
    return np.asarray(cv2.addWeighted(values, strength, smooth, 1.0 - strength, 0.0), dtype=np.uint8)
