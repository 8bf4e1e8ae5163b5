"""What a depthwise convolution does: how far it steps, what lies around the picture, and how far apart its taps are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from torch import Tensor

__all__ = ["LARGEST_KERNEL", "Geometry", "Padding", "Pair", "geometry_of"]

Pair = int | Sequence[int]
"""One number for both sides, or (vertical, horizontal)."""
Padding = Pair | Literal["same"]
LARGEST_KERNEL = 63


class Geometry(NamedTuple):
    """Vertical and horizontal number of each.

    Attributes:
        stride: pixels between two results.
        padding: rows and columns of zeros on either side.
        dilation: pixels between two taps.
    """

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]

    @property
    def plain(self) -> bool:
        """Whether it steps by one, and its taps are neighbours."""
        return self.stride == (1, 1) and self.dilation == (1, 1)

    def span(self, kernel: Sequence[int]) -> tuple[int, int]:
        """Rows and columns that the taps reach over."""
        return (kernel[0] - 1) * self.dilation[0] + 1, (kernel[1] - 1) * self.dilation[1] + 1

    def out(self, size: Sequence[int], kernel: Sequence[int]) -> tuple[int, int]:
        """Height and width of the result."""
        height, width = (
            (side + 2 * around - span) // step + 1
            for side, around, span, step in zip(size, self.padding, self.span(kernel), self.stride, strict=True)
        )
        return height, width


def geometry_of(x: Tensor, weight: Tensor, stride: Pair, padding: Padding, dilation: Pair) -> Geometry:
    """Checks all of it.

    Raises:
        ValueError: a shape, a number or their combination breaks a rule; the message says which.
    """
    if x.ndim != 4 or weight.ndim != 4:
        raise ValueError(f"x is {tuple(x.shape)} and weight {tuple(weight.shape)}: give (B, C, H, W) and (C, 1, kh, kw)")
    if weight.shape[0] != x.shape[1] or weight.shape[1] != 1:
        raise ValueError(f"weight is {tuple(weight.shape)}: {x.shape[1]} channels take ({x.shape[1]}, 1, kh, kw)")
    if not x.is_floating_point() or x.dtype != weight.dtype:
        raise ValueError(f"x is {x.dtype} and weight {weight.dtype}: both have to be of one floating type")
    kernel = (weight.shape[2], weight.shape[3])
    if max(kernel) > LARGEST_KERNEL:
        raise ValueError(f"the kernel is {kernel[0]} x {kernel[1]}: {LARGEST_KERNEL} is the most on a side")
    steps, gaps = _pair("stride", stride, 1), _pair("dilation", dilation, 1)
    if padding == "same":
        if kernel[0] % 2 == 0 or kernel[1] % 2 == 0:
            raise ValueError(f"the kernel is {kernel[0]} x {kernel[1]}: padding 'same' takes odd ones, else give numbers")
        around = (gaps[0] * (kernel[0] // 2), gaps[1] * (kernel[1] // 2))
    elif isinstance(padding, str):
        raise ValueError(f"padding is {padding!r}: give 'same', a number or a pair of numbers")
    else:
        around = _pair("padding", padding, 0)
    found = Geometry(steps, around, gaps)
    if min(found.out(x.shape[2:], kernel)) < 1:
        raise ValueError(
            f"a map of {x.shape[2]} x {x.shape[3]} with {around[0]} and {around[1]} zeros around it is smaller than the "
            f"{' x '.join(str(side) for side in found.span(kernel))} that the kernel reaches over: give more padding"
        )
    return found


def _pair(name: str, value: Pair, least: int) -> tuple[int, int]:
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or min(pair) < least:
        raise ValueError(f"{name} is {value!r}: give a number from {least} on, or a pair of such numbers")
    return pair[0], pair[1]
