"""The sharpest line between what is certainly background and what is certainly product."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.foreground.view import Plane, as_mask
from defectsynth.images import Mask, bounding_box

__all__ = ["BACKGROUND", "PRODUCT", "Markers", "divide"]

Markers = npt.NDArray[np.int32]

BACKGROUND, PRODUCT = 1, 2


def divide(relief: Plane, markers: Markers) -> Mask:
    """``(h, w)`` 0 or 255 from markers ``(h, w)``: ``BACKGROUND``, ``PRODUCT`` or 0 where that is to be found.

    The line itself belongs to the product. A rim is added because OpenCV gives the outermost pixels to nobody, and only the
    rectangle that is not all background is worked on, which halves the cost.
    """
    mask = np.zeros(relief.shape, dtype=np.uint8)
    box = bounding_box(markers != BACKGROUND)
    if box is None:
        return mask
    window = (slice(max(0, box[0] - 1), box[2] + 1), slice(max(0, box[1] - 1), box[3] + 1))
    colours = cv2.copyMakeBorder(cv2.merge([relief[window]] * 3), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    labels = cv2.copyMakeBorder(markers[window], 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    cv2.watershed(colours, labels)
    mask[window] = as_mask(labels[1:-1, 1:-1] != BACKGROUND)
    return mask
