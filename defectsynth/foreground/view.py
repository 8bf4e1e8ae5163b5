"""A picture as the estimators look at it: small, smooth, 8-bit, one plane per property of colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.images import AnyImage, Mask, full_scale, resize_image

__all__ = ["Plane", "View", "look", "ring", "ring_width", "to_picture_size"]

Plane = npt.NDArray[np.uint8]

_SIDE = 256
"""Longest side that is looked at: the thread of a screw (2 px here) survives, and the cost does not grow with the camera."""
_MAX_DOUBLINGS = 4
"""A 12-bit camera writes 0 to 4095 into 16 bits: four doublings bring that to full scale."""
_RING = 0.02
"""Width of the picture's border that is taken for background, as a fraction of the longest side."""


@dataclass(frozen=True, slots=True)
class View:
    """One picture, reduced.

    Attributes:
        planes: each ``(h, w)`` uint8, longest side at most 256. Three channels become L, a, b; any other number stays as it is.
        shape: ``(H, W)`` of the picture itself.
        step: levels (of 255) between two neighbouring values of the picture; a difference below two steps says nothing.
    """

    planes: tuple[Plane, ...]
    shape: tuple[int, int]
    step: float

    @property
    def small_shape(self) -> tuple[int, int]:
        height, width = self.planes[0].shape
        return height, width


def look(image: AnyImage) -> View:
    """The view of an ``image`` (any type, any number of channels)."""
    height, width = image.shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    reduced = resize_image(image, (max(1, round(height * scale)), max(1, round(width * scale))))
    gain = _gain(reduced)
    levels = _to_levels(reduced, gain)
    if levels.ndim == 3 and levels.shape[2] == 3:
        levels = cv2.cvtColor(levels, cv2.COLOR_RGB2Lab)
    channels = [levels] if levels.ndim == 2 else [np.ascontiguousarray(levels[:, :, k]) for k in range(levels.shape[2])]
    planes = tuple(cv2.GaussianBlur(channel, (5, 5), 0) for channel in channels)
    return View(planes, (height, width), float(gain) if image.dtype == np.uint8 else 1.0)


def _gain(image: AnyImage) -> int:
    """A power of two, so that exposure and bit depth do not change the mask and no product is rounded."""
    brightest = float(image.max()) / full_scale(image.dtype)
    gain = 1
    while gain < 2**_MAX_DOUBLINGS and 0.0 < brightest * gain <= 0.5:
        gain *= 2
    return gain


def _to_levels(image: AnyImage, gain: int) -> AnyImage:
    if image.dtype == np.uint8 and gain == 1:
        return image
    levels: AnyImage = np.rint(image * np.float32(gain * 255.0 / full_scale(image.dtype))).astype(np.uint8)
    return levels


def ring_width(shape: tuple[int, int]) -> int:
    """Pixels of the border ring of a reduced picture."""
    return max(1, round(_RING * max(shape)))


def ring(plane: npt.NDArray[Any], width: int) -> npt.NDArray[Any]:
    """The values of the border ring as one row; the whole plane where the ring closes."""
    height = plane.shape[0]
    if 2 * width >= min(plane.shape):
        return plane.ravel()
    sides = plane[width : height - width]
    return np.concatenate([plane[:width].ravel(), plane[-width:].ravel(), sides[:, :width].ravel(), sides[:, -width:].ravel()])


def to_picture_size(mask: Mask, shape: tuple[int, int]) -> Mask:
    """A small mask at the picture's size ``(H, W)``, 0 or 255, its stairs rounded off."""
    if mask.shape == shape:
        return mask
    enlarged = cv2.resize(mask, shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.where(enlarged >= 128, np.uint8(255), np.uint8(0))
