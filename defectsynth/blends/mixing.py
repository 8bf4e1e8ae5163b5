"""What blends share: the soft edge inside a mask, and interpolation that is exact for integers."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.blends.form import soft_outline
from defectsynth.compiled import loops
from defectsynth.images import AnyImage, Mask
from defectsynth.noise import smooth
from defectsynth.site import Site

__all__ = ["ONE", "Weights", "edge_weights", "interpolate", "is_opaque", "pixel_weights"]

ONE = 1 << 16
"""Weights are integers out of 65,536, so that 8- and 16-bit blends are exact sums."""
Weights = npt.NDArray[np.uint32]


def edge_weights(mask: Mask, opacity: float, edge: float) -> Weights:
    """``(h, w)`` integers out of ``ONE``: the opacity inside the mask, rising from 0 at its outside over ``edge`` pixels.

    An edge of less than one pixel is hard. What lies beyond the array counts as outside.
    """
    if edge < 1.0:
        return np.where(mask != 0, np.uint32(round(opacity * ONE)), np.uint32(0))
    padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    inwards = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_5)[1:-1, 1:-1]
    rise = smooth(0.0, 1.0 + edge, np.asarray(inwards, dtype=np.float32))
    return np.rint(rise * np.float32(opacity * ONE)).astype(np.uint32)


def pixel_weights(site: Site, opacity: float, edge: float, *, is_soft: bool = False) -> Weights:
    """``edge_weights`` of a site's mask, ``(n, 1)`` for its pixels, or ``(1, 1)`` where all have the same.

    A lens softens the outline, unless ``is_soft`` says that nothing is to be softened.
    """
    if site.lens > 0.0 and not is_soft:
        weights = edge_weights(site.mask[site.window], opacity, edge) * soft_outline(site)
        return np.rint(weights[site.inside]).astype(np.uint32)[:, None]
    if edge < 1.0:
        return np.full((1, 1), round(opacity * ONE), dtype=np.uint32)
    return edge_weights(site.mask[site.window], opacity, edge)[site.inside][:, None]


def is_opaque(weights: Weights, dtype: np.dtype[np.generic]) -> bool:
    """Whether ``interpolate`` gives the patch itself, for pictures of this type; floats are rounded on the way."""
    return weights.size == 1 and int(weights[0, 0]) == ONE and dtype != np.float32


def interpolate(image: AnyImage, patch: AnyImage, weights: Weights) -> AnyImage:
    """``(1 - w) image + w patch``.

    Args:
        image, patch: ``(n, C)`` of one type.
        weights: ``(n, 1)`` or ``(1, 1)`` out of ``ONE``. Integers are rounded half up.
    """
    if image.dtype == np.float32:
        share = weights.astype(np.float32) / np.float32(ONE)
        return np.clip(image + share * (patch - image), 0.0, 1.0).astype(np.float32)
    compiled = loops()
    if compiled is not None:
        return compiled.interpolated(image, np.ascontiguousarray(patch), weights)
    total = image.astype(np.uint32) * (np.uint32(ONE) - weights)
    total += patch * weights
    total += np.uint32(ONE // 2)
    total >>= np.uint32(16)
    return total.astype(image.dtype)
