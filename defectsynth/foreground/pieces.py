"""Tidying a small mask: specks out, pinholes in."""

from __future__ import annotations

import cv2
import numpy as np

from defectsynth.images import Mask

__all__ = ["tidy"]

_SPECK = 0.05
"""A piece below this fraction of the largest is dust, or a shadow's edge; several parts on one tray are larger."""
_PINHOLE = 0.005
"""A hole below this fraction of the largest piece is a highlight; the bore of a ring or a nut is larger and stays open."""


def tidy(mask: Mask) -> Mask:
    """``(h, w)`` 0 or 255, without pieces that are tiny beside the largest, and without tiny holes."""
    contours, hierarchy = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return mask
    areas = [cv2.contourArea(contour) for contour in contours]
    is_hole = [parent >= 0 for parent in hierarchy[0, :, 3]]
    largest = max(areas)
    specks = [k for k, area in enumerate(areas) if not is_hole[k] and area < _SPECK * largest]
    pinholes = [k for k, area in enumerate(areas) if is_hole[k] and area < _PINHOLE * largest]
    tidied = cv2.drawContours(mask.copy(), [contours[k] for k in pinholes], -1, 255, cv2.FILLED)
    return np.asarray(cv2.drawContours(tidied, [contours[k] for k in specks], -1, 0, cv2.FILLED), dtype=np.uint8)
