"""Depthwise convolution and its gradients as products of Fourier transforms, at a cost that does not depend on the kernel.

Each is a correlation or a convolution of two maps that are padded with zeros until no term meets one that it should not.
Half precision is computed in single, double in double. Conjugates are taken at once: a lazy one is lost inside of an operation
that ``torch.compile`` has traced (torch 2.15).
"""

from __future__ import annotations

import torch
from torch import Tensor

from lkad_models.ops.geometry import Geometry

__all__ = ["forward", "input_gradient", "smooth_number", "weight_gradient"]


def forward(x: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """``(B, C, h, w)``: at ``m`` the sum over taps ``j`` of ``x[m + j] w[j]``, for ``m`` from minus the padding on."""
    kernel = (weight.shape[2], weight.shape[3])
    span, out = geometry.span(kernel), geometry.out(x.shape[2:], kernel)
    periods = [
        smooth_number(side + max(around, reach - 1) + max(0, around - reach + 1))
        for side, around, reach in zip(x.shape[2:], geometry.padding, span, strict=True)
    ]
    taps = _spread(weight[:, 0], geometry.dilation)
    found = _inverse(_transform(x, periods) * _transform(taps, periods).conj_physical(), periods)
    found = found.roll(geometry.padding, dims=(2, 3))
    return _taken(found, out, geometry.stride).to(x.dtype)


def input_gradient(gradient: Tensor, weight: Tensor, size: tuple[int, int], geometry: Geometry) -> Tensor:
    """``(B, C, *size)``: the convolution of the gradient, spread by the stride, with the taps."""
    spread, taps = _spread(gradient, geometry.stride), _spread(weight[:, 0], geometry.dilation)
    periods = [
        smooth_number(max(long + reach - 1, side + around))
        for long, reach, side, around in zip(spread.shape[2:], taps.shape[1:], size, geometry.padding, strict=True)
    ]
    found = _inverse(_transform(spread, periods) * _transform(taps, periods), periods)
    top, left = geometry.padding
    return found[:, :, top : top + size[0], left : left + size[1]].to(gradient.dtype)


def weight_gradient(gradient: Tensor, x: Tensor, kernel: tuple[int, int], geometry: Geometry) -> Tensor:
    """``(C, 1, *kernel)``: the correlation of what went in with the gradient, spread by the stride, summed over the batch."""
    spread = _spread(gradient, geometry.stride)
    periods = [
        smooth_number(max(side, reach - around) + max(around, long - 1))
        for side, reach, around, long in zip(
            x.shape[2:], geometry.span(kernel), geometry.padding, spread.shape[2:], strict=True
        )
    ]
    summed = (_transform(x, periods) * _transform(spread, periods).conj_physical()).sum(0)
    found = _inverse(summed, periods).roll(geometry.padding, dims=(1, 2))
    return _taken(found, kernel, geometry.dilation)[:, None].to(x.dtype)


def smooth_number(least: int) -> int:
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


def _transform(x: Tensor, periods: list[int]) -> Tensor:
    return torch.fft.rfft2(x if x.dtype == torch.float64 else x.float(), s=periods)


def _inverse(x: Tensor, periods: list[int]) -> Tensor:
    return torch.fft.irfft2(x, s=periods)


def _spread(x: Tensor, steps: tuple[int, int]) -> Tensor:
    """With zeros between the values of the last two axes."""
    if steps == (1, 1):
        return x
    spread = x.new_zeros((*x.shape[:-2], *((side - 1) * step + 1 for side, step in zip(x.shape[-2:], steps, strict=True))))
    spread[..., :: steps[0], :: steps[1]] = x
    return spread


def _taken(x: Tensor, count: tuple[int, int], steps: tuple[int, int]) -> Tensor:
    """The first values of the last two axes, so many of them and so far apart."""
    ends = [(many - 1) * step + 1 for many, step in zip(count, steps, strict=True)]
    return x[..., : ends[0] : steps[0], : ends[1] : steps[1]]
