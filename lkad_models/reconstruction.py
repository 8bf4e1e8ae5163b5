"""The reconstruction network: an auto-encoder without skips, which repairs a picture because it has seen only good ones.

Source: the paper's outline; layers, widths and the loss that trains it (``losses.py``) are chosen, after DRAEM's
``ReconstructiveSubNetwork`` (``VitjanZ/DRAEM``, ``model_unet.py``).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from lkad_models.large_kernel import conv_block

__all__ = ["ReconstructionEncoder", "ReconstructionNetwork"]


class ReconstructionEncoder(nn.Module):
    """``(B, C, H, W)``, H and W multiples of ``2 ** len(widths)``, to one map a level: ``(B, widths[i], H / 2^(i+1), ...)``.

    Args:
        channels: C.
        widths: channels of each level.
    """

    def __init__(self, channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.levels = nn.ModuleList(
            nn.Sequential(conv_block(before, after, stride=2), conv_block(after, after))
            for before, after in zip((channels, *widths[:-1]), widths, strict=True)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """The maps, the largest first."""
        maps = []
        for level in self.levels:
            x = level(x)
            maps.append(x)
        return maps


class ReconstructionNetwork(nn.Module):
    """``(B, C, H, W)`` in [0, 1] to the same, as the product would look without its defects.

    Args:
        channels: C.
        widths: channels of each level, each half as large as the one before.
    """

    def __init__(self, channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.encoder = ReconstructionEncoder(channels, widths)
        to = (*reversed(widths[:-1]), widths[0])
        self.decoder = nn.Sequential(
            *(
                nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), conv_block(before, after), conv_block(after, after))
                for before, after in zip(reversed(widths), to, strict=True)
            )
        )
        self.last = nn.Conv2d(widths[0], channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)``; not cut to [0, 1]: the loss keeps it there."""
        return self.last(self.decoder(self.encoder(x)[-1]))
