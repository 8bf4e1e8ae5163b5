"""The sharpest line between what is certainly background and what is certainly product."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.foreground.view import Plane
from defectsynth.images import Mask, as_mask, bounding_box

__all__ = ["BACKGROUND", "PRODUCT", "Markers", "divide"]

Markers = npt.NDArray[np.int32]

BACKGROUND, PRODUCT = 1, 2
_BLUR, _REACHED = 2, 0.4
"""An edge is blurred over 2 pixels to either side here, and lies where half of the distance is reached; a bit less will do."""


def divide(code: Plane, markers: Markers) -> Mask:
    """``(h, w)`` 0 or 255 from markers ``(h, w)``: ``BACKGROUND``, ``PRODUCT`` or 0 where that is to be found.

    Args:
        code: ``(h, w)`` uint8, coded distances from the background (``ground.CODE``).
        markers: ``(h, w)`` int32.
    """
    return _trimmed(_flooded(code, markers), code)


def _flooded(code: Plane, markers: Markers) -> Mask:
    """The watershed's line belongs to the product. A rim is added because OpenCV gives the outermost pixels to nobody.

    Only the rectangle that is not all background is worked on, which halves the cost.
    """
    mask = np.zeros(code.shape, dtype=np.uint8)
    box = bounding_box(markers != BACKGROUND)
    if box is None:
        return mask
    window = (slice(max(0, box[0] - 1), box[2] + 1), slice(max(0, box[1] - 1), box[3] + 1))
    colours = cv2.copyMakeBorder(cv2.merge([code[window]] * 3), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    labels = cv2.copyMakeBorder(markers[window], 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    cv2.watershed(colours, labels)
    mask[window] = as_mask(labels[1:-1, 1:-1] != BACKGROUND)
    return mask


def _trimmed(mask: Mask, code: Plane) -> Mask:
    """The outermost pixels of the mask have to reach a part of the product's distance close by: the rest is a lens' blur."""
    brush = np.ones((2 * _BLUR + 1, 2 * _BLUR + 1), dtype=np.uint8)
    inside = cv2.erode(mask, brush)
    sharp = cv2.compare(code, cv2.convertScaleAbs(cv2.dilate(code, brush), alpha=math.sqrt(_REACHED)), cv2.CMP_GE)
    return np.asarray(cv2.bitwise_and(mask, cv2.bitwise_or(inside, sharp)), dtype=np.uint8)
