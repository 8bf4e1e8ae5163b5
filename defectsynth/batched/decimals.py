"""Rounding to six significant digits, of whole tensors: what ``f"{value:.6g}"`` says of each number."""

from __future__ import annotations

import torch
from torch import Tensor

from defectsynth.batched.constants import per_device

__all__ = ["short"]

_DIGITS = 6
_LOWEST, _HIGHEST = -16, 5  # exponents of ten; 10^21, what the smallest are multiplied by, is a float64 without an error
_UPPER_HALF = -(1 << 27)  # of the 53 bits of a float64, the first 26


def short(values: Tensor) -> Tensor:
    """Float64 from 1e-16 to 1e6 in size, or 0, each rounded to six significant digits, half to even, as Python does.

    A product is rounded itself; so where it seems to lie half-way between two numbers, what it lost tells on which side.
    """
    steps, powers, powers_high = _powers(values.device)
    size = values.abs()
    exponent = torch.bucketize(size, steps, right=True).sub_(1).clamp_(min=0)
    up = powers[exponent]
    scaled = size * up
    lost = _lost(size, up, powers_high[exponent], scaled)
    whole = scaled.floor()
    nearest = torch.where((scaled - whole == 0.5) & (lost != 0), whole + (lost > 0), scaled.round())
    return torch.where(values < 0, -nearest, nearest) / up


@per_device
def _powers() -> tuple[Tensor, ...]:
    """The powers of ten, what numbers from one to the next are multiplied by, and the first 26 bits of that."""
    exponents = range(_LOWEST, _HIGHEST + 1)
    steps = torch.tensor([10.0**exponent for exponent in exponents], dtype=torch.float64)
    up = torch.tensor([10.0 ** (_DIGITS - 1 - exponent) for exponent in exponents], dtype=torch.float64)
    return steps, up, _high(up)


def _high(values: Tensor) -> Tensor:
    return (values.view(torch.int64) & _UPPER_HALF).view(torch.float64)


def _lost(first: Tensor, second: Tensor, second_high: Tensor, product: Tensor) -> Tensor:
    """What rounding took from a product (Dekker 1971); every term is exact, with or without fused multiply-adds."""
    first_high = _high(first)
    first_low, second_low = first - first_high, second - second_high
    return ((first_high * second_high - product) + first_high * second_low + first_low * second_high) + first_low * second_low
