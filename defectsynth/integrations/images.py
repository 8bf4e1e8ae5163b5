"""Whatever a host calls a picture, as an image."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from defectsynth.errors import ImageError
from defectsynth.files import read_image
from defectsynth.images import AnyImage, from_planes, split_alpha

__all__ = ["as_image"]


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
        array = item.detach().cpu().numpy()
        return np.ascontiguousarray(array) if array.ndim == 2 else from_planes(array)
    raise ImageError(
        f"{name} is {type(item).__name__}: give a path, an array, a tensor, a PIL picture, or a tuple or dict of one"
    )
