"""A batch of pictures as a tensor: checking it and its ROIs, and bringing colours to its type and channels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from defectsynth.errors import ImageError, RegionError

__all__ = ["as_regions", "breaks_the_scale", "check_pictures", "converted", "to_rgb8"]

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in ``images.py``


def check_pictures(images: Any, device: torch.device, layout: str) -> Tensor:
    """The pictures as a view ``(B, C, H, W)``.

    Raises:
        ImageError: they break the contract of a batch; the values of floats are not looked at.
    """
    if isinstance(images, (list, tuple)):
        shapes = sorted({tuple(getattr(image, "shape", ())) for image in images})
        sizes = f" of {len(shapes)} sizes, {shapes[:3]}" if len(shapes) > 1 else ""
        raise ImageError(
            f"images is a {type(images).__name__} of {len(images)}{sizes}: give one tensor, e.g. torch.stack(images), of "
            "pictures of one size; group pictures of other sizes into batches of their own"
        )
    if not isinstance(images, Tensor):
        raise ImageError(f"images is a {type(images).__name__}: give a tensor, e.g. torch.from_numpy(array)")
    form = "(B, C, H, W)" if layout == "nchw" else "(B, H, W, C)"
    if images.ndim != 4 or 0 in images.shape:
        raise ImageError(f"images has shape {tuple(images.shape)}: give {form} with every side at least 1")
    if images.dtype not in (torch.uint8, torch.float32):
        raise ImageError(f"images has dtype {images.dtype}: give torch.uint8, or torch.float32 in [0, 1]")
    if images.device.type != device.type or (images.device.index or 0) != (device.index or 0):
        raise ImageError(
            f"images is on {images.device} and the engine on {device}: move it with images.to({str(device)!r}), or make the "
            f"engine with device={str(images.device)!r}"
        )
    return images if layout == "nchw" else images.permute(0, 3, 1, 2)


def breaks_the_scale(images: Tensor) -> Tensor:
    """A bool without axes: whether a float32 tensor has a value that is NaN or outside [0, 1]."""
    return ~((images >= 0.0) & (images <= 1.0)).all()


def as_regions(roi: Any, images: Tensor) -> Tensor | None:
    """``(B, H, W)`` bool, or None for all of every picture.

    Args:
        roi: ``(H, W)`` or ``(B, H, W)``, nonzero where defects may lie; or None.
        images: ``(B, C, H, W)``.

    Raises:
        RegionError: it is of another size, or on another device.
    """
    if roi is None:
        return None
    count, _, height, width = images.shape
    if not isinstance(roi, Tensor) or tuple(roi.shape) not in ((height, width), (count, height, width)):
        found = tuple(roi.shape) if hasattr(roi, "shape") else type(roi).__name__
        raise RegionError(
            f"the ROI is {found} but the images are {count} of {(height, width)}: give a tensor (H, W) or (B, H, W), nonzero "
            "where defects may lie"
        )
    if roi.device != images.device:
        raise RegionError(f"the ROI is on {roi.device} and the images on {images.device}: move it with roi.to(images.device)")
    return (roi != 0).expand(count, height, width)


def to_rgb8(images: Tensor) -> Tensor:
    """``(3, R, H, W)`` uint8 of pictures ``(C, R, H, W)``; as ``images.to_rgb8`` does it."""
    channels = images.shape[0]
    kept = channels - 1 if channels in (2, 4) else min(channels, 3)
    planes = torch.stack([images[channel % kept] for channel in range(3)])
    return planes if planes.dtype == torch.uint8 else (planes.clamp(max=1.0) * 255.0).round().to(torch.uint8)


def converted(rgb: Tensor, like: Tensor) -> Tensor:
    """``(C, R, H, W)`` of the type and channels of ``like`` from ``(3, R, H, W)`` uint8; as ``images.convert`` does it."""
    channels = like.shape[0]
    if channels == 1:
        red, green, blue = (rgb[channel].float() / 255.0 * weight for channel, weight in enumerate(_LUMA))
        rgb = ((red + green + blue).clamp_(max=1.0) * 255.0).round_().to(torch.uint8)[None]
    elif channels != 3:
        rgb = torch.stack([rgb[channel % 3] for channel in range(channels)])
    return rgb if like.dtype == torch.uint8 else rgb.float() / 255.0
