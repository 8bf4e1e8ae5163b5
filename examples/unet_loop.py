"""A segmentation network trained on synthetic defects alone, in plain PyTorch, with an endless stream.

python examples/unet_loop.py out/ --images photos/good --steps 2000 --size 256 --workers 4

Any network with an image in and logits ``(B, 1, H, W)`` out takes the place of this U-Net, such as those of
``segmentation_models_pytorch``.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from defectsynth import AnomalySynthesizer
from defectsynth.integrations.pytorch import SyntheticAnomalyStream
from defectsynth.samples import product


class UNet(nn.Module):
    """Three levels, two convolutions each."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        widths = [3, width, 2 * width, 4 * width]
        self.down = nn.ModuleList(self._level(first, second) for first, second in pairwise(widths))
        self.up = nn.ModuleList(self._level(3 * first, first) for first in (2 * width, width))
        self.head = nn.Conv2d(width, 1, 1)

    def _level(self, first: int, second: int) -> nn.Module:
        layers = ((nn.Conv2d(a, second, 3, padding=1), nn.BatchNorm2d(second), nn.ReLU()) for a in (first, second))
        return nn.Sequential(*(part for layer in layers for part in layer))

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(B, 1, H, W)``; H and W divisible by 4."""
        seen = []
        for number, level in enumerate(self.down):
            x = level(F.max_pool2d(x, 2) if number else x)
            seen.append(x)
        for level, before in zip(self.up, seen[-2::-1], strict=True):
            x = level(torch.cat([F.interpolate(x, scale_factor=2.0), before], dim=1))
        return self.head(x)


def dice_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """1 - Dice of a batch."""
    found = logits.sigmoid()
    return 1 - (2 * (found * mask).sum() + 1) / (found.sum() + mask.sum() + 1)


def main(out: Path, images: Path | None = None, steps: int = 20, size: int = 64, workers: int = 0) -> list[float]:
    """Trains, writes the weights, and returns the loss of every step."""
    torch.manual_seed(0)
    normals = images or [product("plate", index, (size, size)).image for index in range(16)]
    synthesizer = AnomalySynthesizer("industrial", seed=0)
    stream = SyntheticAnomalyStream(normals, synthesizer, batch_size=8, size=(size, size), layout="tuple")
    model = UNet()
    optimizer, losses = torch.optim.AdamW(model.parameters(), lr=3e-3), []
    for _, (image, mask) in zip(range(steps), DataLoader(stream, batch_size=None, num_workers=workers), strict=False):
        logits = model(image)
        loss = F.binary_cross_entropy_with_logits(logits, mask) + dice_loss(logits, mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    out.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), out / "unet.pt")
    print(f"{steps} steps: loss {losses[0]:.3f} to {losses[-1]:.3f}")
    return losses


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--workers", type=int, default=0)
    main(**vars(parser.parse_args()))
