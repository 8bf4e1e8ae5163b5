"""The product as the brighter or the darker of two classes of grey."""

from __future__ import annotations

import cv2
import numpy as np

from defectsynth.foreground.evidence import ramp, wholeness
from defectsynth.foreground.ground import histogram, split_level
from defectsynth.foreground.pieces import tidy
from defectsynth.foreground.view import Plane, View, ring, ring_width
from defectsynth.images import Mask, as_mask

__all__ = ["divide_by_grey"]


def divide_by_grey(view: View) -> tuple[Mask | None, float]:
    """The class that has less of the picture's border, ``(h, w)`` 0 or 255 (None: one grey only), and its evidence.

    The evidence is a product of three terms: how pure the border is, 0.6 to 0.9 of one class; the share of the variance that
    the split explains, 0.7 (textures) to 0.85; and the wholeness of the outline.
    """
    grey = _grey(view)
    level, separation = split_level(np.arange(256.0), histogram(grey))
    bright = grey > level
    border_bright = float(ring(bright, ring_width(grey.shape)).mean())
    product = ~bright if border_bright >= 0.5 else bright
    if separation == 0.0 or not product.any():
        return None, 0.0
    mask = tidy(as_mask(product))
    purity = max(border_bright, 1.0 - border_bright)
    return mask, ramp(purity, 0.6, 0.9) * ramp(separation, 0.7, 0.85) * wholeness(mask)


def _grey(view: View) -> Plane:
    """L where there are three channels, the mean of all of them otherwise."""
    if len(view.planes) in (1, 3):
        return view.planes[0]
    total = sum((plane.astype(np.float32) for plane in view.planes), np.zeros(view.small_shape, dtype=np.float32))
    return np.asarray(cv2.convertScaleAbs(total, alpha=1.0 / len(view.planes)), dtype=np.uint8)
