"""Linear interpolation between the pictures of a batch and their sources; see ``blends/linear.py`` and ``blends/mixing.py``."""

from __future__ import annotations

import torch
from torch import Tensor

from defectsynth.batched.draws import BatchDraws
from defectsynth.blends.linear import Linear
from defectsynth.blends.mixing import ONE

__all__ = ["degree_of", "draw_weight", "interpolate", "why_not"]


def why_not(spec: Linear) -> str | None:
    """Why a linear blend cannot be painted here, or None."""
    return "edge_range" if spec.edge_range != (0.0, 0.0) else None


def draw_weight(spec: Linear, draws: BatchDraws) -> Tensor:
    """``(B,)`` int32: weights of the source out of ``ONE``."""
    if spec.opacity_normal is None:
        opacity = draws.uniform("opacity", spec.opacity_range)
    else:
        opacity = draws.normal("opacity", spec.opacity_normal, spec.opacity_range)
    return (opacity * ONE).round().int()


def interpolate(before: Tensor, patch: Tensor, weight: Tensor) -> Tensor:
    """``(1 - w) before + w patch`` of ``(C, R, H, W)`` of one type, by int32 weights; integers are rounded half up."""
    if before.dtype == torch.float32:
        return (before + (weight.float() / ONE) * (patch - before)).clamp_(0.0, 1.0)
    total = before * (ONE - weight)
    total += patch * weight
    total += ONE // 2
    return (total >> 16).to(torch.uint8)


def degree_of(weight: Tensor) -> Tensor:
    """Float32 in [0, 1]: the degree of anomaly of int32 weights."""
    return weight.float() / ONE
