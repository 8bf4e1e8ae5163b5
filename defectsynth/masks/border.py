"""A shape that the border of its own picture cuts off, and how it is set down: cut off by the same border of another picture.

A crack that runs out of the picture has no end there; set down in the middle of another one, it would have a straight one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from defectsynth.images import Mask, bounding_box

__all__ = ["BorderSide", "CutOff", "against", "cut_offs"]

_AT_BORDER = 2  # pixels from the border at which a shape counts as cut off: annotators leave one or two


@dataclass(frozen=True, slots=True)
class BorderSide:
    """One of the four sides of a picture.

    Attributes:
        axis: 0 for top and bottom, 1 for left and right.
        far: whether it is the bottom or the right.
    """

    axis: int
    far: bool


@dataclass(frozen=True, slots=True)
class CutOff:
    """Where a picture's border cuts a shape off.

    Attributes:
        side: of the picture.
        ends: the first and last (x, y) of the shape along it.
    """

    side: BorderSide
    ends: tuple[tuple[float, float], tuple[float, float]]

    def mapped(self, linear: npt.NDArray[np.float64]) -> BorderSide:
        """The side that this one comes nearest to when the shape is turned and mirrored by ``linear``, ``(2, 2)``."""
        normal = linear[:, 1 - self.side.axis] * (1 if self.side.far else -1)
        axis = 0 if abs(normal[1]) >= abs(normal[0]) else 1
        return BorderSide(axis, bool(normal[1 - axis] > 0))

    def trim(self, mask: Mask, anchor: tuple[int, int], linear: npt.NDArray[np.float64], point: tuple[float, float]) -> None:
        """Takes away, in place, what a turned shape has beyond the innermost point of its cut, and never its anchor.

        Args:
            mask: ``(h, w)`` the shape on its canvas.
            anchor: (row, column) there of the shape's pixel ``point``.
            linear: how it was turned and scaled.
            point: (x, y) in the shape's own picture.
        """
        side = self.mapped(linear)
        along = linear[1 - side.axis]
        reached = [float(along[0] * (x - point[0]) + along[1] * (y - point[1])) for x, y in self.ends]
        lines = mask if side.axis == 0 else mask.T
        if side.far:
            lines[anchor[side.axis] + max(0, math.floor(min(reached) + 0.5)) + 1 :] = 0
        else:
            lines[: anchor[side.axis] + min(0, math.ceil(max(reached) - 0.5))] = 0


def cut_offs(shape: Mask) -> list[CutOff]:
    """Where the border of its picture ``(H, W)`` cuts a shape off: none to four of its sides."""
    return [found for axis in (0, 1) for far in (False, True) if (found := _cut_off(shape, BorderSide(axis, far)))]


def against(mask: Mask, anchor: tuple[int, int], sides: Sequence[BorderSide], shape: tuple[int, int]) -> dict[int, int]:
    """The row (0) and the column (1) that the anchor must have for a shape to touch sides of a picture ``shape = (H, W)``.

    Of two sides across from each other the shape touches the first.
    """
    top, left, bottom, right = bounding_box(mask) or (0, 0, 1, 1)
    ends = ((top, bottom), (left, right))
    found: dict[int, int] = {}
    for side in sides:
        first, last = ends[side.axis]
        found.setdefault(side.axis, anchor[side.axis] - first if not side.far else shape[side.axis] - last + anchor[side.axis])
    return found


def _cut_off(shape: Mask, side: BorderSide) -> CutOff | None:
    lines = shape if side.axis == 0 else shape.T
    strip = lines[-_AT_BORDER:] if side.far else lines[:_AT_BORDER]
    along = np.flatnonzero(strip.any(axis=0))
    if along.size == 0:
        return None
    place = len(lines) - 1 if side.far else 0
    first, last = ((float(along[0]), float(place)), (float(along[-1]), float(place)))
    return CutOff(side, (first, last) if side.axis == 0 else (first[::-1], last[::-1]))
