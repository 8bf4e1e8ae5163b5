"""Lines of changing width, and where they are set down: what scratches and cracks are drawn with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from defectsynth.compiled import loops
from defectsynth.images import Mask
from defectsynth.masks.figures import BAND, THINNEST, Drawing, blank
from defectsynth.masks.shapes import direction
from defectsynth.noise import FloatField

__all__ = ["Floats", "Line", "draw_line", "drawing_of", "lies_inside", "set_down"]

Floats = npt.NDArray[np.float64]

_ANCHORS = (0.5, 0.35, 0.65, 0.2, 0.8, 0.05, 0.95)  # along the line, in the order in which they are tried
_ENOUGH = 0.7  # of its points inside the ROI


@dataclass(frozen=True, slots=True)
class Line:
    """A line, or a part of one.

    Attributes:
        points: ``(n, 2)`` float64, (x, y); a figure's main line has the length 1.
        widths: ``(n,)`` float64 at the points, relative to the widest.
    """

    points: Floats
    widths: Floats


def set_down(lines: Sequence[Line], roi: Mask, centre: tuple[int, int], length: float, angle: float) -> list[Line]:
    """The lines, moved so that a point of the first one lies at the origin, and mirrored along their direction or not.

    The point is the middle, and they are not mirrored, where so most of the lines lies inside the ROI; otherwise what is best.

    Args:
        lines: the first is the main line.
        roi: ``(H, W)`` uint8, 0 or 255.
        centre: (row, column), the pixel that the origin is drawn at.
        length: pixels that a length of 1 is drawn with.
        angle: degrees anticlockwise, of the main line.
    """
    best, most = list(lines), -1.0
    for anchor in _ANCHORS:
        for mirrored in (False, True):
            moved = _moved(lines, anchor, angle, mirrored)
            points = np.concatenate([line.points for line in moved])
            share = float(np.mean(lies_inside(points, roi, centre, length)))
            if share > most:
                best, most = moved, share
            if share >= _ENOUGH:
                return moved
    return best


def lies_inside(points: Floats, roi: Mask, centre: tuple[int, int], length: float) -> npt.NDArray[np.bool_]:
    """``(n,)``: whether points ``(n, 2)``, (x, y), drawn with ``length`` pixels around a centre, lie inside the ROI."""
    column, row = np.rint(points * length).astype(np.int64).T
    column, row = column + centre[1], row + centre[0]
    inside = (row >= 0) & (row < roi.shape[0]) & (column >= 0) & (column < roi.shape[1])
    inside[inside] = roi[row[inside], column[inside]] != 0
    return np.asarray(inside)


def drawing_of(lines: Sequence[Line], roi: Mask, centre: tuple[int, int], aspect: float) -> Drawing:
    """How to draw lines of length 1 and relative widths, that are ``aspect`` times as long as they are wide."""
    stretch, origin = math.sqrt(aspect), np.array([centre[1], centre[0]], dtype=np.float64)

    def draw(size: float) -> FloatField:
        field = blank(roi)
        for line in lines:
            draw_line(field, line.points * (size * stretch) + origin, line.widths * (size / stretch / 2.0))
        return field

    return draw


def draw_line(field: FloatField, points: Floats, half_widths: Floats) -> None:
    """Adds a line to a field, in place.

    Args:
        field: ``(H, W)`` float32.
        points: ``(n, 2)``, (x, y) in pixels; n is at least 2.
        half_widths: ``(n,)`` pixels; what is thinner than ``THINNEST`` is drawn as that.
    """
    ends = np.column_stack([points, np.maximum(half_widths, THINNEST)]).tolist()
    for start, end in pairwise(tuple(one) for one in ends):
        _draw_segment(field, start, end)


def _draw_segment(field: FloatField, start: tuple[float, ...], end: tuple[float, ...]) -> None:
    (x0, y0, r0), (x1, y1, r1) = start, end
    reach = max(r0, r1) + BAND
    top, bottom = max(0, math.floor(min(y0, y1) - reach)), min(field.shape[0], math.ceil(max(y0, y1) + reach) + 1)
    left, right = max(0, math.floor(min(x0, x1) - reach)), min(field.shape[1], math.ceil(max(x0, x1) + reach) + 1)
    if top >= bottom or left >= right:
        return
    compiled = loops()
    if compiled is not None:
        compiled.draw_segment(field[top:bottom, left:right], top, left, start, end, BAND)
        return
    y = np.arange(top, bottom, dtype=np.float32)[:, None] - np.float32(y0)
    x = np.arange(left, right, dtype=np.float32)[None, :] - np.float32(x0)
    dx, dy = x1 - x0, y1 - y0
    square = max(dx * dx + dy * dy, 1e-12)
    way = np.minimum(np.maximum(x * np.float32(dx / square) + y * np.float32(dy / square), np.float32(0)), np.float32(1))
    off_x, off_y = x - way * np.float32(dx), y - way * np.float32(dy)
    value = np.float32(r0) + way * np.float32(r1 - r0) - np.sqrt(off_x * off_x + off_y * off_y)
    window = field[top:bottom, left:right]
    np.maximum(window, value, out=window, where=value > -BAND)


def _moved(lines: Sequence[Line], anchor: float, angle: float, mirrored: bool) -> list[Line]:
    main = lines[0].points
    origin = main[round(anchor * (len(main) - 1))]
    sine, cosine = direction(2.0 * angle) if mirrored else (0.0, 1.0)
    moved = []
    for line in lines:
        x, y = (line.points - origin).T
        if mirrored:  # along the direction (cosine, -sine) of ``angle``, y pointing down
            x, y = x * cosine - y * sine, -x * sine - y * cosine
        moved.append(Line(np.column_stack([x, y]), line.widths))
    return moved
