"""Depthwise convolution with kernels up to 63 x 63, forward and both gradients each by what is fastest for it."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from defectsynth.errors import InputError
from lkad_models.ops import by_fourier, by_torch
from lkad_models.ops.crossover import Direction, choose
from lkad_models.ops.geometry import Geometry, Padding, Pair, geometry_of

__all__ = ["BACKENDS", "Backend", "DepthwiseConv2d", "depthwise_conv2d"]

Backend = Literal["auto", "aten", "fft", "triton"]
BACKENDS: tuple[Backend, ...] = ("auto", "aten", "fft", "triton")
_GRADIENTS: tuple[Direction, ...] = ("input", "weight")


def depthwise_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: Pair = 1,
    padding: Padding = "same",
    dilation: Pair = 1,
    backend: Backend = "auto",
) -> Tensor:
    """Each channel convolved with a kernel of its own, as ``torch.nn.functional.conv2d`` with as many groups as channels.

    Args:
        x: ``(B, C, H, W)``; single, half, brain half or double precision, in any layout.
        weight: ``(C, 1, kh, kw)`` of the same type, up to 63 x 63; larger than the map is no error.
        bias: ``(C,)``; None for none.
        stride: one number or (vertical, horizontal).
        padding: rows and columns of zeros on either side; ``same`` for half the kernel (an odd one), so that a stride of 1
            keeps the size.
        dilation: pixels between two taps.
        backend: ``aten``: torch's own, in the layout that is fast on the device; ``fft``: by Fourier transforms;
            ``triton``: on a GPU, stride and dilation 1; ``auto``: for each direction what was measured as the fastest
            (``crossover.py``).

    Returns:
        ``(B, C, h, w)`` of the type and layout of ``x``; sums are in single precision at least.

    Raises:
        ValueError: a shape, a type or a number breaks a rule.
        InputError: the backend cannot do it, or is not there.
    """
    if torch.is_autocast_enabled(x.device.type):
        half = torch.get_autocast_dtype(x.device.type)
        x, weight, bias = x.to(half), weight.to(half), None if bias is None else bias.to(half)
    geometry = geometry_of(x, weight, stride, padding, dilation)
    if backend not in BACKENDS:
        raise ValueError(f"backend is {backend!r}: give one of {', '.join(BACKENDS)}")
    if _exporting():
        return F.conv2d(x, weight, bias, *geometry, groups=x.shape[1])
    if backend != "auto":
        _check_backend(backend, x, weight, geometry)
    ways = [str(backend)] * 3
    if not torch.compiler.is_compiling():
        learns = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
        first = _way(backend, "forward", x, weight, geometry)
        ways = [first, *(_way(backend, which, x, weight, geometry) if learns else first for which in _GRADIENTS)]
    if ways == ["aten"] * 3:  # torch's own gradients, and its compiler sees a convolution
        return _as(by_torch.forward(x, weight, geometry, bias), x)
    found: Tensor = _operation(x, weight, *(list(part) for part in geometry), " ".join(ways))
    return found if bias is None else found + bias[:, None, None]


class DepthwiseConv2d(nn.Conv2d):
    """``depthwise_conv2d`` as a module; a plain convolution to whatever exports, prunes or copies it.

    Args:
        channels: C.
        kernel: one number or (vertical, horizontal).
        stride, padding, dilation, backend: as the function takes them.
        bias: whether there is one.
    """

    def __init__(
        self,
        channels: int,
        kernel: int | tuple[int, int],
        *,
        stride: Pair = 1,
        padding: Padding = "same",
        dilation: Pair = 1,
        bias: bool = True,
        backend: Backend = "auto",
    ) -> None:
        sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        like = torch.empty(1, channels, *(side * 64 for side in sides), device="meta")
        geometry = geometry_of(like, torch.empty(channels, 1, *sides, device="meta"), stride, padding, dilation)
        super().__init__(channels, channels, sides, *geometry, groups=channels, bias=bias)
        self.backend: Backend = backend

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)``."""
        around = (int(self.padding[0]), int(self.padding[1]))
        return depthwise_conv2d(
            x, self.weight, self.bias, stride=self.stride, padding=around, dilation=self.dilation, backend=self.backend
        )


# --- the operation, opaque to torch.compile, with gradients of its own -----------------------------------------------------


_HOW = "int[] stride, int[] padding, int[] dilation, str ways"


@torch.library.custom_op("lkad::depthwise_conv2d", mutates_args=(), schema=f"(Tensor x, Tensor weight, {_HOW}) -> Tensor")
def _operation(x: Tensor, weight: Tensor, *how: Any) -> Tensor:
    *sides, ways = how
    geometry = _geometry(*sides)
    return _as(_module(_way(ways.split()[0], "forward", x, weight, geometry)).forward(x, weight, geometry), x)


@torch.library.custom_op(
    "lkad::depthwise_conv2d_gradients",
    mutates_args=(),
    schema=f"(Tensor gradient, Tensor x, Tensor weight, {_HOW}, bool[] wanted) -> (Tensor, Tensor)",
)
def _gradients(gradient: Tensor, x: Tensor, weight: Tensor, *how: Any) -> tuple[Tensor, Tensor]:
    *sides, ways, wanted = how
    geometry, size, kernel = _geometry(*sides), tuple(x.shape[2:]), tuple(weight.shape[2:])
    of_x, of_weight = x.new_empty(0), weight.new_empty(0)
    if wanted[0]:
        module = _module(_way(ways.split()[1], "input", x, weight, geometry))
        of_x = _as(module.input_gradient(gradient, weight, size, geometry), x)
    if wanted[1]:
        module = _module(_way(ways.split()[2], "weight", x, weight, geometry))
        of_weight = module.weight_gradient(gradient, x, kernel, geometry).contiguous()
    return of_x, of_weight


@_operation.register_fake
def _(x: Tensor, weight: Tensor, *how: Any) -> Tensor:
    size = _geometry(*how[:3]).out(x.shape[2:], tuple(weight.shape[2:]))
    return _as(x.new_empty((*x.shape[:2], *size)), x)


@_gradients.register_fake
def _(gradient: Tensor, x: Tensor, weight: Tensor, *how: Any) -> tuple[Tensor, Tensor]:
    wanted = how[-1]
    of_x = _as(torch.empty_like(x), x) if wanted[0] else x.new_empty(0)
    return of_x, torch.empty_like(weight).contiguous() if wanted[1] else weight.new_empty(0)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, *ctx.how = inputs
    ctx.save_for_backward(x, weight)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    x, weight = ctx.saved_tensors
    wanted = list(ctx.needs_input_grad[:2])
    of_x, of_weight = _gradients(gradient, x, weight, *ctx.how, wanted)
    return (of_x if wanted[0] else None), (of_weight if wanted[1] else None), None, None, None, None


_operation.register_autograd(_backward, setup_context=_keep)


# --- who does it ------------------------------------------------------------------------------------------------------------


def _way(backend: str, direction: Direction, x: Tensor, weight: Tensor, geometry: Geometry) -> str:
    """What ``auto`` stands for; while torch compiles, sizes are not known, and it is left to the operation."""
    return choose(direction, x, weight, geometry) if backend == "auto" else backend


def _check_backend(backend: Backend, x: Tensor, weight: Tensor, geometry: Geometry) -> None:
    if backend != "triton":
        return
    module = _module("triton")
    if x.device.type == "cpu" and not module.interpreted():
        raise InputError(
            "backend 'triton' runs on a GPU and x is on the CPU: use 'auto', 'aten' or 'fft', or set TRITON_INTERPRET=1"
        )
    if not geometry.plain or x.dtype == torch.float64:
        raise InputError(
            f"backend 'triton' takes stride 1, dilation 1 and no double precision, not {geometry.stride}, {geometry.dilation} "
            f"and {x.dtype}: use 'auto', 'aten' or 'fft'"
        )
    if geometry.padding[0] >= weight.shape[2] or geometry.padding[1] >= weight.shape[3]:
        raise InputError(
            f"backend 'triton' takes less padding than the kernel has sides, not {geometry.padding} with "
            f"{tuple(weight.shape[2:])}: use 'auto', 'aten' or 'fft'"
        )


def _module(way: str) -> ModuleType:
    if way == "triton":
        try:
            from lkad_models.ops import by_triton
        except ImportError as error:
            raise InputError(f"backend 'triton' needs Triton: {error}; use 'auto', 'aten' or 'fft'") from None
        return by_triton
    return by_torch if way == "aten" else by_fourier


def _geometry(stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int]) -> Geometry:
    return Geometry((stride[0], stride[1]), (padding[0], padding[1]), (dilation[0], dilation[1]))


def _as(found: Tensor, given: Tensor) -> Tensor:
    """In the layout of what was given."""
    last = given.is_contiguous(memory_format=torch.channels_last) and not given.is_contiguous()
    return found.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


def _exporting() -> bool:
    return torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export() or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
