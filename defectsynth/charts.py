"""Histograms of two datasets, one over the other, as a PNG that needs no plotting library."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from defectsynth.statistics import MEASURES, Measure

__all__ = ["histograms"]

Values = npt.NDArray[np.float64]

_PANEL = (400, 240)
_MARGIN = (36, 34, 14, 40)  # left, top, right, bottom
_BINS = 24
_COLOURS = ((214, 96, 77), (67, 117, 180))
_INK = (50, 50, 50)


def histograms(own: Mapping[str, Values], other: Mapping[str, Values] | None, names: tuple[str, str]) -> npt.NDArray[np.uint8]:
    """``(H, W, 3)`` uint8: a panel per measure; bars are shares of the pictures, triangles are medians.

    Args:
        own, other: arrays by measure (``dataset_measures``); ``other`` may be None.
        names: what the two are called in the legend.
    """
    sheet = Image.new("RGB", (2 * _PANEL[0], 2 * _PANEL[1]), (255, 255, 255))
    for number, measure in enumerate(MEASURES):
        corner = (number % 2) * _PANEL[0], (number // 2) * _PANEL[1]
        series = [own[measure.name]] if other is None else [own[measure.name], other[measure.name]]
        _draw_panel(ImageDraw.Draw(sheet, "RGBA"), corner, measure, series, names)
    return np.asarray(sheet, dtype=np.uint8)


def _draw_panel(
    pen: ImageDraw.ImageDraw, corner: tuple[int, int], measure: Measure, series: list[Values], names: tuple[str, str]
) -> None:
    left, top = corner[0] + _MARGIN[0], corner[1] + _MARGIN[1]
    right, bottom = corner[0] + _PANEL[0] - _MARGIN[2], corner[1] + _PANEL[1] - _MARGIN[3]
    edges = _edges(np.concatenate(series), measure)
    shares = [np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] / len(values) for values in series]
    tallest = max(float(share.max()) for share in shares)
    places = np.linspace(left, right, len(edges))
    for colour, share, values, name, row in zip(_COLOURS, shares, series, names, range(2), strict=False):
        for start, end, height in zip(places[:-1], places[1:], share, strict=True):
            if height > 0:
                pen.rectangle((start + 1, bottom - height / tallest * (bottom - top), end - 1, bottom), fill=(*colour, 130))
        middle = float(np.interp(np.median(values), edges, places))
        pen.polygon([(middle, bottom + 1), (middle - 5, bottom + 9), (middle + 5, bottom + 9)], fill=(*colour, 255))
        legend = f"{name}: median {np.median(values):.3g}"
        pen.text((right, corner[1] + 6 + 13 * row), legend, fill=(*colour, 255), font=_font(11), anchor="ra")
    pen.line((left, bottom, right, bottom), fill=_INK)
    pen.text((left, corner[1] + 6), measure.name, fill=_INK, font=_font(14))
    for place in (0, len(edges) // 2, len(edges) - 1):
        pen.text((places[place], bottom + 12), f"{edges[place]:.3g}", fill=_INK, font=_font(11), anchor="ma")


def _edges(values: Values, measure: Measure) -> Values:
    low, high = float(np.quantile(values, 0.005)), float(np.quantile(values, 0.995))
    if measure.name == "components":
        return np.arange(0.5, max(high, 6.0) + 1.0, max(1.0, round(high / _BINS)))
    if high <= low:
        low, high = low * 0.9, low * 1.1 + 1e-6
    if measure.logarithmic:
        return np.geomspace(max(low, 1e-6), high, _BINS + 1)
    return np.linspace(low, high, _BINS + 1)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)
