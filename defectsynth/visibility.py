"""Whether a defect can be seen: how much its pixels changed."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.compiled import loops
from defectsynth.images import AnyImage, full_scale

__all__ = ["is_visible"]

_GLANCE = 256  # pixels that are looked at first, and then as many again, until enough of a change is found


def is_visible(
    before: AnyImage, after: AnyImage, positions: npt.NDArray[np.intp], least: float, white: float | None = None
) -> bool:
    """Whether the mean over some pixels of the largest change of any channel is at least a fraction of full scale.

    Args:
        before, after: ``(m, C)`` of one type: all pixels of a picture.
        positions: ``(n,)``: which of them; at least one.
        least: the fraction.
        white: the value of white where that is not the type's full scale.
    """
    scale = white or full_scale(before.dtype)
    enough = least * positions.size * scale
    compiled = loops()
    if compiled is not None and before.dtype != np.float32:
        total = float(compiled.difference(before, after, positions, int(enough) + 1))
    else:
        total = _difference(before, after, positions, enough)
    return total / positions.size / scale >= least


def _difference(before: AnyImage, after: AnyImage, positions: npt.NDArray[np.intp], enough: float) -> float:
    """The sum over some pixels of the largest change of any channel, until it is above ``enough``."""
    total, start, end = 0.0, 0, _GLANCE
    while start < positions.size and total <= enough:
        some = positions[start:end]
        change = cv2.absdiff(before.take(some, axis=0)[None], after.take(some, axis=0)[None]).reshape(some.size, -1)
        total += float(np.maximum.reduce(list(change.T)).sum(dtype=np.float64))
        start, end = end, 4 * end
    return total
