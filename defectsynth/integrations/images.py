"""Whatever a host calls a picture, as an image."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from defectsynth.errors import ImageError
from defectsynth.files import read_image
from defectsynth.images import AnyImage, split_alpha

__all__ = ["as_image", "planes_of"]

_MOST = 4
"""Channels up to which OpenCV is used."""


def as_image(item: Any, name: str) -> AnyImage:
    """An image of a path, an array ``(H, W[, C])``, a tensor ``(C, H, W)`` or ``(H, W)``, or a PIL picture; or of a tuple that
    begins with one, or a dict that holds one under ``image``. ``name`` is for the message.

    Raises:
        ImageError: it is none of these.
    """
    if isinstance(item, dict):
        item = item.get("image")
    elif isinstance(item, (tuple, list)):
        item = item[0] if item else None
    if isinstance(item, (str, Path)):
        return split_alpha(read_image(Path(item)))[0]
    if isinstance(item, np.ndarray):
        return item
    if hasattr(item, "convert") and hasattr(item, "getbands"):  # PIL
        plain = item if item.mode in ("L", "LA", "RGB", "RGBA", "I;16") else item.convert("RGB")
        return split_alpha(np.asarray(plain))[0]
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(item, torch.Tensor):
        if item.ndim not in (2, 3):
            raise ImageError(f"{name} is a tensor {tuple(item.shape)}: give (C, H, W) or (H, W)")
        return _from_planes(item.detach().cpu().numpy())
    raise ImageError(
        f"{name} is {type(item).__name__}: give a path, an array, a tensor, a PIL picture, or a tuple or dict of one"
    )


def planes_of(image: AnyImage, out: AnyImage | None = None) -> AnyImage:
    """``(C, H, W)`` of an image ``(H, W)`` or ``(H, W, C)``, in ``out`` where that is given."""
    channels = 1 if image.ndim == 2 else image.shape[2]
    planes = np.empty((channels, *image.shape[:2]), image.dtype) if out is None else out
    if 1 < channels <= _MOST and planes.flags.c_contiguous:
        cv2.split(image, list(planes))  # a third of the time that numpy takes
    else:
        planes[:] = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
    return planes


def _from_planes(planes: AnyImage) -> AnyImage:
    if planes.ndim == 2 or planes.shape[0] > _MOST or planes.shape[0] == 1 or 0 in planes.shape:
        return np.ascontiguousarray(planes if planes.ndim == 2 else planes.transpose(1, 2, 0))
    return cv2.merge([np.ascontiguousarray(plane) for plane in planes])
