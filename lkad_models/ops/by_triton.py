"""Depthwise convolution and its gradients in Triton, as products of small matrices that tensor cores can do.

A row of taps is a band matrix: a tile of ``BH x (BW + kw - 1)`` pixels times the band of that row, ``(BW + kw - 1) x BW``,
gives what the row adds to ``BH x BW`` results, so that a kernel of ``kh`` rows takes ``kh`` products and the tile is read from
cache. The gradient of what went in is the same convolution with the taps turned about. The gradient of a row of taps is the
transposed product of two tiles, summed along its diagonals; no two programs add to one number, so every result is the same
each time. Sums are in single precision; single-precision factors are not rounded. Stride and dilation are 1. (The interpreter
takes the bits of brain halves in a product for whole numbers: there factors are widened first.)

Source: implicit products as in MegEngine's CUTLASS extension for RepLKNet; the band matrix instead of its index arithmetic.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton import knobs

from lkad_models.ops.geometry import Geometry

__all__ = ["forward", "input_gradient", "interpreted", "weight_gradient"]

_HEIGHTS, _WIDTHS = (16, 32, 64), (16, 32, 64)


def interpreted() -> bool:
    """Whether kernels run in Triton's interpreter, as ``TRITON_INTERPRET=1`` asks for: on the CPU, and slowly."""
    return bool(knobs.runtime.interpret)


@triton.jit
def _convolve(
    x_ptr, w_ptr, y_ptr, height, width, out_height, out_width, top, left, kernel_height, kernel_width,
    x_batch, x_channel, x_row, x_column, y_batch, y_channel, y_row, y_column,
    BH: tl.constexpr, BW: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr, WIDEN: tl.constexpr,  # noqa: N803
):  # fmt: skip
    channel, picture = tl.program_id(1).to(tl.int64), tl.program_id(2).to(tl.int64)
    across = tl.cdiv(out_width, BW)
    first_row, first_column = tl.program_id(0) // across * BH, tl.program_id(0) % across * BW
    rows, columns, places = first_row + tl.arange(0, BH), tl.arange(0, BK), tl.arange(0, BW)
    x_ptr += picture * x_batch + channel * x_channel
    w_ptr += channel * kernel_height * kernel_width
    seen = first_column + columns - left
    tap = columns[:, None] - places[None, :]
    in_band = (tap >= 0) & (tap < kernel_width)
    total = tl.zeros((BH, BW), dtype=tl.float32)
    for row in range(kernel_height):
        here = rows + row - top
        inside = ((here >= 0) & (here < height))[:, None] & ((seen >= 0) & (seen < width))[None, :]
        tile = tl.load(x_ptr + here[:, None] * x_row + seen[None, :] * x_column, mask=inside, other=0.0)
        band = tl.load(w_ptr + row * kernel_width + tap, mask=in_band, other=0.0)
        if WIDEN:
            tile, band = tile.to(tl.float32), band.to(tl.float32)
        total = tl.dot(tile, band, total, input_precision=PRECISION)
    columns_out = first_column + places
    kept = (rows < out_height)[:, None] & (columns_out < out_width)[None, :]
    place = picture * y_batch + channel * y_channel + rows[:, None] * y_row + columns_out[None, :] * y_column
    tl.store(y_ptr + place, total.to(y_ptr.dtype.element_ty), mask=kept)


@triton.jit
def _correlate(
    x_ptr, g_ptr, w_ptr, pictures, height, width, out_height, out_width, top, left, kernel_height, kernel_width,
    x_batch, x_channel, x_row, x_column, g_batch, g_channel, g_row, g_column,
    BH: tl.constexpr, BW: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr, WIDEN: tl.constexpr,  # noqa: N803
):  # fmt: skip
    row, channel = tl.program_id(0), tl.program_id(1).to(tl.int64)
    columns, places = tl.arange(0, BK), tl.arange(0, BW)
    total = tl.zeros((BK, BW), dtype=tl.float32)
    across, down = tl.cdiv(out_width, BW), tl.cdiv(out_height, BH)
    for number in range(pictures * across * down):
        picture = (number // (across * down)).to(tl.int64)
        first_row, first_column = number % (across * down) // across * BH, number % across * BW
        rows = first_row + tl.arange(0, BH)
        here, seen = rows + row - top, first_column + columns - left
        inside = ((here >= 0) & (here < height) & (rows < out_height))[None, :] & ((seen >= 0) & (seen < width))[:, None]
        x_place = picture * x_batch + channel * x_channel + here[None, :] * x_row + seen[:, None] * x_column
        tile = tl.load(x_ptr + x_place, mask=inside, other=0.0)
        columns_out = first_column + places
        kept = (rows < out_height)[:, None] & (columns_out < out_width)[None, :]
        g_place = picture * g_batch + channel * g_channel + rows[:, None] * g_row + columns_out[None, :] * g_column
        gradient = tl.load(g_ptr + g_place, mask=kept, other=0.0)
        if WIDEN:
            tile, gradient = tile.to(tl.float32), gradient.to(tl.float32)
        total = tl.dot(tile, gradient, total, input_precision=PRECISION)
    tap = columns[:, None] - places[None, :]
    w_ptr += (channel * kernel_height + row) * kernel_width
    for column in range(kernel_width):
        tl.store(w_ptr + column, tl.sum(tl.where(tap == column, total, 0.0)).to(w_ptr.dtype.element_ty))


def forward(x: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """``(B, C, h, w)``, in the layout of what is given."""
    kernel = (weight.shape[2], weight.shape[3])
    found = _empty_like(x, geometry.out(x.shape[2:], kernel))
    _launch_convolve(x, weight, found, geometry.padding)
    return found


def input_gradient(gradient: Tensor, weight: Tensor, size: tuple[int, int], geometry: Geometry) -> Tensor:
    """``(B, C, *size)``, in the layout of the gradient."""
    found = _empty_like(gradient, size)
    around = (weight.shape[2] - 1 - geometry.padding[0], weight.shape[3] - 1 - geometry.padding[1])
    _launch_convolve(gradient, weight.flip(2, 3), found, around)
    return found


def weight_gradient(gradient: Tensor, x: Tensor, kernel: tuple[int, int], geometry: Geometry) -> Tensor:
    """``(C, 1, *kernel)``."""
    found = x.new_empty((x.shape[1], 1, *kernel))
    size = _tile(gradient.shape[2:], kernel[1])
    _correlate[(kernel[0], x.shape[1])](
        x, gradient, found, x.shape[0], *x.shape[2:], *gradient.shape[2:], *geometry.padding, *kernel,
        *x.stride(), *gradient.stride(), *size, PRECISION=_precision(x), WIDEN=interpreted(), num_warps=_warps(size),
    )  # fmt: skip
    return found


def _launch_convolve(x: Tensor, weight: Tensor, found: Tensor, padding: tuple[int, int]) -> None:
    kernel, out = (weight.shape[2], weight.shape[3]), found.shape[2:]
    size = _tile(out, kernel[1])
    grid = (triton.cdiv(out[0], size[0]) * triton.cdiv(out[1], size[1]), x.shape[1], x.shape[0])
    _convolve[grid](
        x, weight.contiguous(), found, *x.shape[2:], *out, *padding, *kernel,
        *x.stride(), *found.stride(), *size, PRECISION=_precision(x), WIDEN=interpreted(), num_warps=_warps(size),
    )  # fmt: skip


def _tile(out: torch.Size, kernel_width: int) -> tuple[int, int, int]:
    """Rows and columns of results, and columns of pixels that these take: the smallest that cover a map, at most 64 x 64."""
    rows = next((side for side in _HEIGHTS if side >= out[0]), _HEIGHTS[-1])
    columns = next((side for side in _WIDTHS if side >= out[1]), _WIDTHS[-1])
    return rows, columns, triton.next_power_of_2(columns + kernel_width - 1)


def _warps(tile: tuple[int, int, int]) -> int:
    return 8 if tile[0] * tile[2] >= 64 * 128 else 4


def _precision(x: Tensor) -> str:
    """Of single-precision factors: as they are. Halves are multiplied exactly in any case."""
    return "ieee" if x.dtype == torch.float32 else "tf32"


def _empty_like(x: Tensor, size: tuple[int, int]) -> Tensor:
    last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    layout = torch.channels_last if last else torch.contiguous_format
    return torch.empty((*x.shape[:2], *size), dtype=x.dtype, device=x.device, memory_format=layout)
