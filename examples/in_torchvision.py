"""Defects as one step of a torchvision v2 pipeline: the mask that goes in comes out with them.

python examples/in_torchvision.py out/
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.utils import save_image

from defectsynth import AnomalySynthesizer
from defectsynth.integrations.torchvision import SynthesizeAnomaly
from defectsynth.samples import product


class Plates(torch.utils.data.Dataset):
    """Good products, each with a mask on which nothing is marked."""

    def __init__(self, count: int, transform: v2.Transform) -> None:
        self._images = [product("plate", index, (128, 128)).image for index in range(count)]
        self._transform = transform

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, position: int) -> tuple[torch.Tensor, torch.Tensor]:
        image = self._images[position]
        return self._transform(image, tv_tensors.Mask(torch.zeros(image.shape[:2], dtype=torch.uint8)))


def main(out: Path, count: int = 8, workers: int = 0) -> list[float]:
    """Paints a batch, writes it above its masks, and returns for each picture which part of it is anomalous."""
    transform = v2.Compose(
        [
            v2.ToImage(),
            SynthesizeAnomaly(AnomalySynthesizer("industrial", seed=1), p=0.75),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )
    torch.manual_seed(1)  # draws which samples are painted, in this process and in the workers
    images, masks = next(iter(DataLoader(Plates(count, transform), batch_size=count, num_workers=workers)))
    out.mkdir(parents=True, exist_ok=True)
    save_image(torch.cat([images, masks[:, None].expand(-1, 3, -1, -1).float()]), out / "batch.png", nrow=count)
    areas = masks.float().mean((1, 2)).tolist()
    print(f"{sum(area > 0 for area in areas)} of {count} pictures have a defect, of {max(areas):.2%} of the picture at most")
    return areas


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--workers", type=int, default=0)
    main(**vars(parser.parse_args()))
