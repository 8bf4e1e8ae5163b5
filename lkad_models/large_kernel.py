"""Encoder of very large depthwise convolutions: a few blocks see the whole part, as the paper's RepLKNet-like encoder does.

Source: Ding et al., *Scaling Up Your Kernels to 31x31*, CVPR 2022 (arXiv 2203.06717), ``DingXiaoH/RepLKNet-pytorch``: kernels
31, 29, 27 and 13 by stage, a parallel 5 x 5 that is folded away after training, pre-norm blocks with GELU.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lkad_models.ops import DepthwiseConv2d

__all__ = ["KERNELS", "LargeKernelBlock", "LargeKernelConv", "LargeKernelEncoder", "capped_kernel"]

KERNELS = (31, 29, 27, 13)
"""RepLKNet's kernel of each stage; the paper gives none, so this is chosen."""
SMALL_KERNEL = 5
"""RepLKNet's parallel kernel."""


def capped_kernel(kernel: int, side: int) -> int:
    """The largest odd kernel up to ``kernel`` and ``2 side - 1``: a larger one would only ever see padding.

    Args:
        kernel: odd.
        side: the shorter side of the map, in pixels.
    """
    return min(kernel, max(1, 2 * side - 1))


class LargeKernelConv(nn.Module):
    """A large depthwise convolution beside a small one, each with batch norm: ``(B, C, H, W)`` to the same shape.

    Args:
        channels: C.
        kernel: odd; may be larger than the map.
        small_kernel: odd, at most ``kernel``; None for the large one alone.
        bias: whether the convolutions have a bias of their own, besides batch norm's.
    """

    def __init__(self, channels: int, kernel: int, small_kernel: int | None = SMALL_KERNEL, *, bias: bool = False) -> None:
        super().__init__()
        if kernel % 2 == 0 or (small_kernel is not None and (small_kernel % 2 == 0 or small_kernel > kernel)):
            raise ValueError(f"kernels {kernel} and {small_kernel}: both must be odd, and the small one not the larger")
        self.large: nn.Module | None = _normed(channels, kernel, bias)
        self.small: nn.Module | None = None if small_kernel is None else _normed(channels, small_kernel, bias)
        self.merged: nn.Conv2d | None = None
        self.channels, self.kernel = channels, kernel

    def forward(self, x: Tensor) -> Tensor:
        """The sum of both."""
        if self.merged is not None:
            return self.merged(x)
        assert self.large is not None
        found = self.large(x)
        return found if self.small is None else found + self.small(x)

    @torch.no_grad()
    def reparameterize(self) -> None:
        """Folds both convolutions and their batch norms into one convolution, for inference; ``timm`` finds it by its name."""
        if self.merged is not None or not isinstance(self.large, nn.Sequential):
            return
        weight, bias = _folded(self.large)
        if isinstance(self.small, nn.Sequential):
            small, small_bias = _folded(self.small)
            around = (self.kernel - small.shape[-1]) // 2
            weight, bias = weight + F.pad(small, [around] * 4), bias + small_bias
        merged = DepthwiseConv2d(self.channels, self.kernel).to(weight)
        assert merged.bias is not None
        merged.weight.copy_(weight)
        merged.bias.copy_(bias)
        self.merged, self.large, self.small = merged, None, None


class LargeKernelBlock(nn.Module):
    """Batch norm, 1 x 1, large kernel, 1 x 1, and then a 1 x 1 pair that widens, each added to its input.

    Args:
        channels: C of ``(B, C, H, W)``, which it keeps.
        kernel: of the large convolution.
        small_kernel: of the one beside it, or None.
        widening: of the second half. RepLKNet: 4.
    """

    def __init__(self, channels: int, kernel: int, small_kernel: int | None = SMALL_KERNEL, *, widening: int = 4) -> None:
        super().__init__()
        small = None if small_kernel is None or small_kernel > kernel else small_kernel
        self.spatial = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.GELU(),
            LargeKernelConv(channels, kernel, small),
            nn.GELU(),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.mixing = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, widening * channels, 1),
            nn.GELU(),
            nn.Conv2d(widening * channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)``."""
        x = x + self.spatial(x)
        return x + self.mixing(x)


class LargeKernelEncoder(nn.Module):
    """``(B, in, H, W)``, H and W multiples of 32, to maps of 1, 1/2, 1/4, 1/8, 1/16 and 1/32 of that size.

    Args:
        in_channels: of the input.
        widths: channels of the four stages; the two maps before them have a quarter and a half of the first.
        depths: blocks of each stage.
        kernels: of each stage, at most; capped to ``2 map - 1`` of a picture of ``image_size``.
        image_size: side of the pictures, in pixels, that the caps are for; others can be given.
        small_kernel: beside each large one, or None.
    """

    def __init__(
        self,
        in_channels: int,
        widths: Sequence[int],
        depths: Sequence[int],
        kernels: Sequence[int] = KERNELS,
        *,
        image_size: int = 256,
        small_kernel: int | None = SMALL_KERNEL,
    ) -> None:
        super().__init__()
        full, half = max(8, widths[0] // 4), max(8, widths[0] // 2)
        self.channels = (full, half, *widths)
        self.stem = nn.ModuleList([conv_block(in_channels, full), conv_block(full, half, stride=2)])
        self.downs = nn.ModuleList([_down(before, width) for before, width in zip((half, *widths[:-1]), widths, strict=True)])
        capped = [capped_kernel(kernel, image_size // stride) for kernel, stride in zip(kernels, (4, 8, 16, 32), strict=True)]
        self.stages = nn.ModuleList(
            nn.Sequential(*(LargeKernelBlock(width, kernel, small_kernel) for _ in range(depth)))
            for width, depth, kernel in zip(widths, depths, capped, strict=True)
        )

    def forward(self, x: Tensor, extra: Sequence[Tensor] | None = None) -> list[Tensor]:
        """Six maps, the largest first.

        Args:
            x: ``(B, in, H, W)``.
            extra: what is added to the maps before each of the four stages, ``(B, widths[i], H / s, W / s)``.
        """
        maps = []
        for layer in self.stem:
            x = layer(x)
            maps.append(x)
        for number, (down, stage) in enumerate(zip(self.downs, self.stages, strict=True)):
            x = down(x)
            x = stage(x if extra is None else x + extra[number])
            maps.append(x)
        return maps


def conv_block(before: int, after: int, *, stride: int = 1) -> nn.Sequential:
    """3 x 3 convolution, batch norm, GELU."""
    return nn.Sequential(nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(after), nn.GELU())


def _down(before: int, after: int) -> nn.Sequential:
    """RepLKNet's transition: 1 x 1, then a depthwise 3 x 3 of stride 2."""
    return nn.Sequential(
        nn.Conv2d(before, after, 1, bias=False),
        nn.BatchNorm2d(after),
        nn.GELU(),
        nn.Conv2d(after, after, 3, stride=2, padding=1, groups=after, bias=False),
        nn.BatchNorm2d(after),
        nn.GELU(),
    )


def _normed(channels: int, kernel: int, bias: bool) -> nn.Sequential:
    return nn.Sequential(DepthwiseConv2d(channels, kernel, bias=bias), nn.BatchNorm2d(channels))


def _folded(branch: nn.Sequential) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution with its batch norm in it."""
    conv, norm = branch[0], branch[1]
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    before = conv.bias if conv.bias is not None else torch.zeros_like(norm.running_mean)
    return conv.weight * scale[:, None, None, None], norm.bias + (before - norm.running_mean) * scale
