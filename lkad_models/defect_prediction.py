"""The defect prediction network: sees the picture beside its reconstruction, and says where they differ by a defect.

Stated in the paper: a large-kernel encoder, a U-Net. Chosen: what it is given (picture, reconstruction, and by level how much
their deep features differ), where, and the decoder's layers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lkad_models.large_kernel import KERNELS, SMALL_KERNEL, LargeKernelEncoder, conv_block

__all__ = ["DefectPredictionNetwork"]

_EXPECTED = 0.01
"""The map before anything is learned, as the share of defective pixels is small (Lin et al. 2017, *Focal Loss*)."""


class DefectPredictionNetwork(nn.Module):
    """Picture and reconstruction, ``(B, C, H, W)`` each, H and W multiples of 32, to the logits of a map ``(B, 1, H, W)``.

    Args:
        channels: C.
        widths, depths, kernels, image_size, small_kernel: of the encoder, see ``LargeKernelEncoder``.
        feature_widths: channels of each map of deep features that it is given besides; none for none.
    """

    def __init__(
        self,
        channels: int,
        widths: Sequence[int],
        depths: Sequence[int],
        kernels: Sequence[int] = KERNELS,
        *,
        image_size: int = 256,
        small_kernel: int | None = SMALL_KERNEL,
        feature_widths: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.encoder = LargeKernelEncoder(
            2 * channels, widths, depths, kernels, image_size=image_size, small_kernel=small_kernel
        )
        total = sum(feature_widths)
        self.differences = nn.ModuleList(nn.Conv2d(total, width, 1) for width in widths if total)
        self.ups = nn.ModuleList(
            conv_block(deep + skip, skip)
            for deep, skip in zip(reversed(self.encoder.channels[1:]), reversed(self.encoder.channels[:-1]), strict=True)
        )
        self.refine = nn.ModuleList(conv_block(skip, skip) for skip in reversed(self.encoder.channels[:-1]))
        self.last = nn.Conv2d(self.encoder.channels[0], 1, 1)
        assert self.last.bias is not None
        nn.init.constant_(self.last.bias, math.log(_EXPECTED / (1.0 - _EXPECTED)))

    def forward(self, image: Tensor, reconstruction: Tensor, differences: Sequence[Tensor] = ()) -> Tensor:
        """``(B, 1, H, W)`` logits.

        Args:
            image, reconstruction: in [0, 1].
            differences: of deep features, or those of the picture: ``(B, feature_widths[i], h, w)`` of any size.
        """
        extra = self._extra(differences, image) if len(self.differences) else None
        maps = self.encoder(torch.cat([image, reconstruction], dim=1), extra)
        x = maps.pop()
        for up, refine in zip(self.ups, self.refine, strict=True):
            skip = maps.pop()
            larger = F.interpolate(x, size=skip.shape[2:], mode="bilinear")
            x = refine(up(torch.cat([larger, skip], dim=1)))
        return self.last(x)

    def _extra(self, differences: Sequence[Tensor], image: Tensor) -> list[Tensor]:
        """The differences of all levels at the size of each stage."""
        found = []
        for layer, stride in zip(self.differences, (4, 8, 16, 32), strict=True):
            size = image.shape[2] // stride, image.shape[3] // stride
            found.append(layer(torch.cat([_resized(one, size) for one in differences], dim=1)))
        return found


def _resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Averaged where it shrinks, bilinear where it grows."""
    if x.shape[2] >= size[0] and x.shape[3] >= size[1]:
        return F.adaptive_avg_pool2d(x, size)
    return F.interpolate(x, size=size, mode="bilinear")
