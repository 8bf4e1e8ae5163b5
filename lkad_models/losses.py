"""What the detector is trained by: reconstruction, consistency of deep features, and the defect map.

Stated in the paper: three weights, 1, 0.8 and 0.2; SSIM and focal loss are cited. Chosen: which weight belongs to which term,
and the terms themselves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["LossWeights", "Losses", "defect_map_loss", "feature_loss", "focal_loss", "reconstruction_loss", "ssim"]

_WINDOW, _SIGMA = 11, 1.5
_STABLE = (0.01**2, 0.03**2)
"""Wang et al. 2004: an 11 x 11 Gaussian of 1.5 pixels; K1 = 0.01, K2 = 0.03."""


class LossWeights(NamedTuple):
    """The weight of each term. The paper: 1, 0.8, 0.2; to which terms they belong is chosen."""

    reconstruction: float = 1.0
    features: float = 0.8
    defect_map: float = 0.2


class Losses(NamedTuple):
    """The terms of one step, each a number, not weighted."""

    reconstruction: Tensor
    features: Tensor
    defect_map: Tensor

    def total(self, weights: LossWeights) -> Tensor:
        """The weighted sum."""
        return sum((weight * term for weight, term in zip(weights, self, strict=True)), torch.zeros_like(self.features))


def reconstruction_loss(reconstruction: Tensor, normal: Tensor) -> Tensor:
    """Mean square plus ``1 - SSIM`` of ``(B, C, H, W)`` in [0, 1], as in DRAEM."""
    return F.mse_loss(reconstruction, normal) + 1.0 - ssim(reconstruction, normal)


def ssim(first: Tensor, second: Tensor) -> Tensor:
    """Mean structural similarity of ``(B, C, H, W)`` in [0, 1] (Wang et al. 2004), of windows that lie inside the picture.

    A picture smaller than a window is compared by the largest odd window that fits.
    """
    side = min(_WINDOW, *(size - (size + 1) % 2 for size in first.shape[2:]))
    window = _gaussian(side, first)
    channels = first.shape[1]

    def mean(x: Tensor) -> Tensor:
        across = F.conv2d(x, window[None, None, None].expand(channels, 1, 1, -1), groups=channels)
        return F.conv2d(across, window[None, None, :, None].expand(channels, 1, -1, 1), groups=channels)

    mean_1, mean_2 = mean(first), mean(second)
    variance_1, variance_2 = mean(first * first) - mean_1**2, mean(second * second) - mean_2**2
    covariance = mean(first * second) - mean_1 * mean_2
    light = (2 * mean_1 * mean_2 + _STABLE[0]) / (mean_1**2 + mean_2**2 + _STABLE[0])
    return (light * (2 * covariance + _STABLE[1]) / (variance_1 + variance_2 + _STABLE[1])).mean()


def _gaussian(side: int, like: Tensor) -> Tensor:
    weights = [math.exp(-((place - side // 2) ** 2) / (2 * _SIGMA**2)) for place in range(side)]
    return torch.tensor(weights, dtype=like.dtype, device=like.device) / math.fsum(weights)


def feature_loss(reconstruction: Sequence[Tensor], normal: Sequence[Tensor]) -> Tensor:
    """Mean over levels of one minus the cosine between the features of a reconstruction and of the product, pixel by pixel."""
    levels = [(1.0 - F.cosine_similarity(own, other, dim=1)).mean() for own, other in zip(reconstruction, normal, strict=True)]
    return torch.stack(levels).mean()


def focal_loss(logits: Tensor, target: Tensor, gamma: float = 2.0) -> Tensor:
    """Mean focal loss of logits against a mask of 0 and 1 (Lin et al. 2017; gamma 2 and no class weight as in DRAEM)."""
    surprise = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (-torch.expm1(-surprise)).pow(gamma).mul(surprise).mean()


def defect_map_loss(logits: Tensor, mask: Tensor, defect_map: Tensor, regression: float = 0.0) -> Tensor:
    """Focal loss against the mask, and with ``regression`` that many times the mean square against the degree of anomaly.

    Args:
        logits, mask, defect_map: ``(B, 1, H, W)``; the mask 0 or 1, the defect map in [0, 1].
        regression: chosen: 0, as the degree is the source's opacity, which cannot be seen where both are alike.
    """
    focal = focal_loss(logits, mask)
    return focal if regression == 0.0 else focal + regression * F.mse_loss(torch.sigmoid(logits), defect_map)
