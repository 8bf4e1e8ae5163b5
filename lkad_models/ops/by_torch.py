"""Depthwise convolution and its gradients by torch's own, in the layout that is fast on the device.

On a CPU channels lie last for a large kernel, whatever the layout of what is given: 27 x 27 take a twentieth to a fiftieth of
the time (``benchmarks/depthwise.py``).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lkad_models.ops.geometry import Geometry

__all__ = ["forward", "input_gradient", "weight_gradient"]

_LEAST = 7
"""Of smaller kernels torch's own layouts cost the same."""
_EITHER = range(11, 15)
"""With channels first these are as fast, and with channels last up to 2.5 times slower: left as they are given."""


def forward(x: Tensor, weight: Tensor, geometry: Geometry, bias: Tensor | None = None) -> Tensor:
    """``(B, C, h, w)``."""
    return F.conv2d(
        _laid_out(x, weight), weight, bias, geometry.stride, geometry.padding, geometry.dilation, groups=weight.shape[0]
    )


def input_gradient(gradient: Tensor, weight: Tensor, size: tuple[int, int], geometry: Geometry) -> Tensor:
    """``(B, C, *size)``."""
    x = gradient.new_empty((*gradient.shape[:2], *size))
    return _backward(gradient, x, weight, geometry, (True, False))[0]


def weight_gradient(gradient: Tensor, x: Tensor, kernel: tuple[int, int], geometry: Geometry) -> Tensor:
    """``(C, 1, *kernel)``."""
    weight = x.new_empty((x.shape[1], 1, *kernel))
    return _backward(gradient, x, weight, geometry, (False, True))[1]


def _backward(
    gradient: Tensor, x: Tensor, weight: Tensor, geometry: Geometry, wanted: tuple[bool, bool]
) -> tuple[Tensor, Tensor]:
    given = (_laid_out(gradient, weight), _laid_out(x, weight), weight)
    found: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        *given, None, *geometry, False, [0, 0], weight.shape[0], [*wanted, False]
    )
    return found[0], found[1]


def _laid_out(x: Tensor, weight: Tensor) -> Tensor:
    largest = max(weight.shape[2:])
    if x.device.type == "cpu" and largest >= _LEAST and largest not in _EITHER:
        return x.contiguous(memory_format=torch.channels_last)
    return x
