"""Curves and histograms as inline SVG, without a plotting package."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["BLUE", "RED", "Axes", "Mark", "curve", "histogram"]

Values = npt.NDArray[np.float64]

BLUE, RED = "#4375b4", "#d6604d"
"""Of normal and of defective pictures."""
_SIZE = (330, 270)
_LEFT, _TOP, _RIGHT, _BOTTOM = 46, 30, 12, 40
_POINTS = 240  # of a curve, at most: more are not seen at this size
_BINS = 40


class Axes(NamedTuple):
    """What a chart is called, what its axes are, and where they end; both begin at ``low``."""

    title: str
    x: str
    y: str
    low: tuple[float, float] = (0.0, 0.0)
    high: tuple[float, float] = (1.0, 1.0)


class Mark(NamedTuple):
    """An upright line at a value, with its name."""

    value: float
    name: str


def curve(axes: Axes, points: tuple[Values, Values], *, chance: tuple[float, float] | None = None) -> str:
    """A curve through ``points = (x, y)``; ``chance``: the heights, left and right, of what guessing gives."""
    x, y = _thinned(*points)
    path = " ".join(f"{_across(axes, one):.1f},{_down(axes, other):.1f}" for one, other in zip(x, y, strict=True))
    parts = [f'<polyline points="{path}" fill="none" stroke="{BLUE}" stroke-width="2"/>']
    if chance is not None:
        ends = (_across(axes, axes.low[0]), _down(axes, chance[0]), _across(axes, axes.high[0]), _down(axes, chance[1]))
        parts.insert(0, _line(ends, "#bbb", dashed=True))
    return _chart(axes, parts)


def histogram(title: str, groups: Sequence[tuple[str, str, Values]], marks: Sequence[Mark] = ()) -> str:
    """Shares of each group by value.

    Args:
        title: of the chart.
        groups: name, colour and values of each; none is empty.
        marks: upright lines.
    """
    every = np.concatenate([values for _, _, values in groups] + [np.array([mark.value for mark in marks])])
    low, high = float(every.min()), float(every.max())
    high = high if high > low else low + 1e-3
    edges = np.linspace(low, high, _BINS + 1)
    shares = [np.histogram(values, edges)[0] / len(values) for _, _, values in groups]
    axes = Axes(title, "image score", "share", (low, 0.0), (high, max(float(share.max()) for share in shares)))
    parts = []
    for (_, colour, _), share in zip(groups, shares, strict=True):
        for start, end, height in zip(edges[:-1], edges[1:], share, strict=True):
            if height > 0:
                parts.append(_bar(axes, (float(start), float(end)), float(height), colour))
    for place, mark in enumerate(marks):
        x = _across(axes, mark.value)
        parts.append(_line((x, _TOP, x, _SIZE[1] - _BOTTOM), "#333", dashed=True))
        parts.append(_text((min(x + 3, _SIZE[0] - 60), _TOP + 12 + 12 * place), mark.name, size=10))
    for place, (name, colour, values) in enumerate(groups):
        corner = (_SIZE[0] - _RIGHT, 12 + 13 * place)
        parts.append(_text(corner, f"{name} ({len(values)})", size=10, anchor="end", colour=colour))
    return _chart(axes, parts)


def _chart(axes: Axes, parts: Sequence[str]) -> str:
    width, height = _SIZE
    frame = (
        f'<rect x="{_LEFT}" y="{_TOP}" width="{width - _LEFT - _RIGHT}" height="{height - _TOP - _BOTTOM}" '
        'fill="none" stroke="#999"/>'
    )
    labels = [
        _text((_LEFT, 18), axes.title, size=13, bold=True),
        _text(((width + _LEFT) / 2, height - 6), axes.x, anchor="middle"),
        f'<text x="12" y="{(height - _BOTTOM + _TOP) / 2}" font-size="11" text-anchor="middle" fill="#333" '
        f'transform="rotate(-90 12 {(height - _BOTTOM + _TOP) / 2})">{escape(axes.y)}</text>',
    ]
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        x = axes.low[0] + share * (axes.high[0] - axes.low[0])
        y = axes.low[1] + share * (axes.high[1] - axes.low[1])
        labels.append(_text((_across(axes, x), height - _BOTTOM + 14), f"{x:.3g}", size=10, anchor=anchor))
        labels.append(_text((_LEFT - 4, _down(axes, y) + 4), f"{y:.2g}", size=10, anchor="end"))
    inside = "\n".join([frame, *parts, *labels])
    return f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">\n{inside}\n</svg>'


def _across(axes: Axes, value: float) -> float:
    return _LEFT + (value - axes.low[0]) / (axes.high[0] - axes.low[0]) * (_SIZE[0] - _LEFT - _RIGHT)


def _down(axes: Axes, value: float) -> float:
    return _SIZE[1] - _BOTTOM - (value - axes.low[1]) / (axes.high[1] - axes.low[1]) * (_SIZE[1] - _TOP - _BOTTOM)


def _line(ends: tuple[float, float, float, float], colour: str, *, dashed: bool = False) -> str:
    x1, y1, x2, y2 = ends
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{dash}/>'


def _bar(axes: Axes, sides: tuple[float, float], height: float, colour: str) -> str:
    left, right, top = _across(axes, sides[0]), _across(axes, sides[1]), _down(axes, height)
    tall = _SIZE[1] - _BOTTOM - top
    place = f'x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{tall:.1f}"'
    return f'<rect {place} fill="{colour}" fill-opacity="0.55"/>'


def _text(
    place: tuple[float, float], text: str, *, size: int = 11, anchor: str = "start", colour: str = "#333", bold: bool = False
) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{place[0]:.1f}" y="{place[1]:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}"{weight}>'
        f"{escape(text)}</text>"
    )


def _thinned(x: Values, y: Values) -> tuple[Values, Values]:
    """At most ``_POINTS`` of a curve's points, evenly along it, both ends among them."""
    if len(x) <= _POINTS:
        return x, y
    scale = max(float(np.ptp(x)), 1e-12), max(float(np.ptp(y)), 1e-12)
    length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x) / scale[0], np.diff(y) / scale[1]))])
    chosen = np.unique(np.searchsorted(length, np.linspace(0.0, length[-1], _POINTS)).clip(0, len(x) - 1))
    return x[chosen], y[chosen]
