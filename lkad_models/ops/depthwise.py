"""Depthwise convolution with a large kernel, whose gradients on the CPU are made by Fourier transforms.

Forward, torch's own is the fastest there in ``channels_last``; backward it takes twenty times as long as transforms do
(24 channels, 32 x 32, kernel 31, batch 8, two threads: 298 against 13.5 ms; ``benchmarks/depthwise.py``).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["DepthwiseConv2d", "depthwise_conv2d"]

LEAST_FFT_KERNEL = 13
"""Of smaller ones torch's own gradients are as fast."""


def depthwise_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``(B, C, H, W)`` with a kernel of its own for each channel, padded with zeros to the same size.

    Args:
        x: any floating type.
        weight: ``(C, 1, k, k)``, k odd.
        bias: ``(C,)``.
    """
    if torch.is_autocast_enabled(x.device.type):
        half = torch.get_autocast_dtype(x.device.type)
        x, weight, bias = x.to(half), weight.to(half), None if bias is None else bias.to(half)
    learns = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
    if learns and x.device.type == "cpu" and weight.shape[-1] >= LEAST_FFT_KERNEL:
        found: Tensor = _ByFourier.apply(x, weight)
        return found if bias is None else found + bias[:, None, None]
    return _direct(x, weight, bias)


class DepthwiseConv2d(nn.Conv2d):
    """``depthwise_conv2d`` as a module; a plain convolution to whatever exports or copies it.

    Args:
        channels: C.
        kernel: odd.
        bias: whether there is one.
    """

    def __init__(self, channels: int, kernel: int, *, bias: bool = True) -> None:
        super().__init__(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)``."""
        return depthwise_conv2d(x, self.weight, self.bias)


def _direct(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2, groups=weight.shape[0])


class _ByFourier(torch.autograd.Function):
    """Convolution whose gradients are correlations, made as products of transforms of maps that are padded to fit them."""

    @staticmethod
    def forward(context: Any, x: Tensor, weight: Tensor) -> Tensor:
        context.save_for_backward(x, weight)
        return _direct(x, weight, None)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = context.saved_tensors
        size, around = x.shape[2:], weight.shape[-1] // 2
        padded = [_smooth_number(side + weight.shape[-1] - 1) for side in size]
        outer = torch.fft.rfft2(gradient.float(), s=padded)
        of_x = of_weight = None
        if context.needs_input_grad[0]:
            product = outer * torch.fft.rfft2(weight[:, 0].float(), s=padded)
            of_x = torch.fft.irfft2(product, s=padded)[:, :, around : around + size[0], around : around + size[1]].to(x.dtype)
        if context.needs_input_grad[1]:
            summed = (torch.fft.rfft2(x.float(), s=padded) * outer.conj()).sum(0)
            correlation = torch.fft.irfft2(summed, s=padded).roll((around, around), dims=(1, 2))
            of_weight = correlation[:, None, : weight.shape[2], : weight.shape[3]].to(weight.dtype)
        return of_x, of_weight


def _smooth_number(least: int) -> int:
    """The first number from ``least`` on without prime factors above 5, whose transforms are fast."""
    number = least
    while True:
        rest = number
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return number
        number += 1
