"""Which painted samples can be used: those whose defect is large enough and can be seen; see ``AnomalySynthesizer``."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from defectsynth.batched.places import Places

__all__ = ["Limits", "accepted"]


class Limits(NamedTuple):
    """What is refused: fewer pixels than ``min_area`` of the picture, or a change of less than ``min_difference``."""

    min_area: float
    min_difference: float


def accepted(before: Tensor, after: Tensor, places: Places, limits: Limits) -> Tensor:
    """``(R,)`` bool: the samples that can be used.

    Args:
        before, after: ``(C, R, H, W)`` of one type.
        places: where the masks are.
        limits: what is refused.
    """
    height, width = places.shape
    large_enough = (places.pixels > 0) & (places.pixels >= limits.min_area * height * width)
    total = places.total(_largest_change(before, after))
    white = 255.0 if before.dtype == torch.uint8 else 1.0
    return large_enough & (total / places.pixels.clamp(min=1) / white >= limits.min_difference)


def _largest_change(before: Tensor, after: Tensor) -> Tensor:
    """``(R, H, W)``: the largest change of any channel."""
    if before.dtype == torch.uint8:
        return (torch.maximum(before, after) - torch.minimum(before, after)).amax(0)
    return (after - before).abs().amax(0)
