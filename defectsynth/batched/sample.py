"""What the batched engine returns."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

__all__ = ["BatchSample"]


class BatchSample(NamedTuple):
    """A batch of pictures, normal or anomalous, with their labels, on the pictures' device.

    Attributes:
        images: shape, dtype and memory format of what was given.
        masks: ``(B, H, W)`` uint8, 255 where a picture is anomalous and 0 elsewhere.
        defect_maps: ``(B, H, W)`` float32 in [0, 1], the degree of anomaly; the masks are where it is above zero.
        anomalous: ``(B,)`` bool: which samples have a defect.
    """

    images: Tensor
    masks: Tensor
    defect_maps: Tensor
    anomalous: Tensor
