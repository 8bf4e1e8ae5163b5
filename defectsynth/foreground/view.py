"""A picture as the estimators look at it: small, smooth, 8-bit, one plane per property of colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.images import AnyImage, Mask, full_scale, resize_image

__all__ = ["Flags", "Plane", "View", "look", "ring", "ring_width", "to_picture_size"]

Plane = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]

_SIDE = 256
"""Longest side that is looked at: the thread of a screw (2 px here) survives, and the cost does not grow with the camera.

Smaller pictures are enlarged, since slopes are measured per pixel."""
_MAX_ENLARGED = 2.0
"""Further than that, enlarging blurs the faint side of a product away (hazelnuts of 96 px at 2.7 times)."""
_MAX_DOUBLINGS = 4
"""A 12-bit camera writes 0 to 4095 into 16 bits: four doublings bring that to full scale."""
_RING = 0.02
"""Width of the picture's border that is taken for background, as a fraction of the longest side."""


@dataclass(frozen=True, slots=True)
class View:
    """One picture, resized.

    Attributes:
        planes: each ``(h, w)`` uint8, longest side 256 unless the picture is tiny. Three channels become L, a, b; any other
            number stays as it is.
        shape: ``(H, W)`` of the picture itself.
        step: levels (of 255) between two neighbouring values of the picture; a difference below two steps says nothing.
    """

    planes: tuple[Plane, ...]
    shape: tuple[int, int]
    step: float

    @property
    def small_shape(self) -> tuple[int, int]:
        """``(h, w)`` of each plane."""
        height, width = self.planes[0].shape
        return height, width

    @property
    def lightness(self) -> tuple[Plane, ...]:
        """The planes that a shadow darkens."""
        return self.planes[:1] if len(self.planes) == 3 else self.planes


def look(image: AnyImage) -> View:
    """The view of an ``image`` (any type, any number of channels)."""
    height, width = image.shape[:2]
    scale = min(_MAX_ENLARGED, _SIDE / max(height, width))
    sized = resize_image(image, (max(1, round(height * scale)), max(1, round(width * scale))))
    gain = _gain(sized)
    levels = _to_levels(sized, gain)
    if levels.ndim == 3 and levels.shape[2] == 3:
        levels = np.asarray(cv2.cvtColor(levels, cv2.COLOR_RGB2Lab), dtype=np.uint8)
    channels = [levels] if levels.ndim == 2 else cv2.split(levels)
    planes = tuple(np.asarray(cv2.GaussianBlur(channel, (5, 5), 0), dtype=np.uint8) for channel in channels)
    return View(planes, (height, width), float(gain) if image.dtype == np.uint8 else 1.0)


def _gain(image: AnyImage) -> int:
    """A power of two, so that exposure and bit depth do not change the mask and no product is rounded."""
    brightest = float(image.max()) / full_scale(image.dtype)
    gain = 1
    while gain < 2**_MAX_DOUBLINGS and 0.0 < brightest * gain <= 0.5:
        gain *= 2
    return gain


def _to_levels(image: AnyImage, gain: int) -> Plane:
    if image.dtype == np.uint8 and gain == 1:
        return image
    factor = np.float32(gain * 255.0 / full_scale(image.dtype))
    return np.asarray(np.rint(image.astype(np.float32) * factor), dtype=np.uint8)


def ring_width(shape: tuple[int, int]) -> int:
    """Pixels of the border ring of a view."""
    return max(1, round(_RING * max(shape)))


def ring(plane: npt.NDArray[Any], width: int) -> npt.NDArray[Any]:
    """The values of the border ring as one row; the whole plane where the ring closes."""
    height = plane.shape[0]
    if 2 * width >= min(plane.shape):
        return plane.ravel()
    sides = plane[width : height - width]
    return np.concatenate([plane[:width].ravel(), plane[-width:].ravel(), sides[:, :width].ravel(), sides[:, -width:].ravel()])


def to_picture_size(mask: Mask, shape: tuple[int, int]) -> Mask:
    """A view's mask at the picture's size ``(H, W)``, 0 or 255: set where at least half is; the last speck does not vanish."""
    resized = resize_image(mask, shape)
    level = min(128, int(resized.max()))
    return np.asarray(cv2.threshold(resized, level - 1, 255, cv2.THRESH_BINARY)[1], dtype=np.uint8)
