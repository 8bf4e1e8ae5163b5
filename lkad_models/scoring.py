"""From an anomaly map to one number for the picture."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["WINDOW", "ScoreMethod", "image_scores", "mean_filtered"]

ScoreMethod = Literal["max", "top_k"]
WINDOW = 21
"""Pixels at 256 x 256; DRAEM's ``test_DRAEM.py``."""
_TOP_SHARE = 0.001  # of the pixels, for ``top_k``; chosen


def image_scores(anomaly_maps: Tensor, method: ScoreMethod = "max", window: int = WINDOW) -> Tensor:
    """``(B,)`` scores of ``(B, H, W)`` maps.

    Args:
        anomaly_maps: in [0, 1].
        method: ``max``: the largest mean over a square of ``window`` pixels at 256 x 256, scaled with the picture;
            ``top_k``: the mean of the highest thousandth of the pixels, at least one.
        window: DRAEM: 21. What is much smaller than it counts for little.
    """
    if method == "max":
        return mean_filtered(anomaly_maps, window).flatten(1).amax(1)
    flat = anomaly_maps.flatten(1)
    return flat.topk(max(1, math.ceil(_TOP_SHARE * flat.shape[1])), dim=1).values.mean(1)


def mean_filtered(anomaly_maps: Tensor, window: int = WINDOW) -> Tensor:
    """``(B, H, W)``: the mean over a square around each pixel; beyond the picture there is nothing (zero), as in DRAEM."""
    side = math.sqrt(anomaly_maps.shape[1] * anomaly_maps.shape[2])
    width = 2 * round((window * side / 256.0 - 1.0) / 2.0) + 1
    width = max(1, min(width, 2 * min(anomaly_maps.shape[1:]) - 1))
    return F.avg_pool2d(anomaly_maps[:, None], width, stride=1, padding=width // 2)[:, 0]


def as_maps(logits: Tensor) -> Tensor:
    """``(B, H, W)`` in [0, 1], float32, of ``(B, 1, H, W)`` logits."""
    return torch.sigmoid(logits[:, 0].float())
