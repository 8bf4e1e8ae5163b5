"""How evidence is made of measurements.

Evidence for a product on a background is a number in [0, 1]; from one half on, ``auto`` believes it. It is a product of
ramps, 0 at the value that textures reach and 1 at the value that products reach, so each term can veto. The ends were chosen
on MVTec bottle, screw, hazelnut, transistor and grid, on magnetic tiles, and on 450 DTD and Brodatz textures, where the two
groups lie far apart (``benchmarks/foreground.py``).
"""

from __future__ import annotations

import math

import cv2

from defectsynth.images import Mask

__all__ = ["ramp", "ratio_ramp", "wholeness"]


def ramp(value: float, low: float, high: float) -> float:
    """0 at ``low``, 1 at ``high`` (which may be the smaller one), straight between."""
    return min(1.0, max(0.0, (value - low) / (high - low)))


def ratio_ramp(value: float, low: float, high: float) -> float:
    """A ramp on the logarithm of a ratio."""
    return ramp(math.log(max(value, 1e-9)), math.log(low), math.log(high))


def wholeness(mask: Mask) -> float:
    """The length of the outline over the root of the area, 16 (crumbs) to 8; a disc has 3.2, a screw 6.4, four discs 6.4."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    length = sum(len(contour) for contour in contours)
    return ramp(length / math.sqrt(max(1, cv2.countNonZero(mask))), 16.0, 8.0)
