"""A PyTorch dataset that paints on the fly; the same epoch gives the same samples for any number of workers.

    python examples/augment_in_dataloader.py out/

Sample (epoch, position) has the index ``epoch * len(dataset) + position``, so an epoch brings new defects, and no worker
needs a seed of its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from defectsynth import AnomalySynthesizer
from defectsynth.files import write_image
from defectsynth.preview import contact_sheet
from defectsynth.sample import AnomalySample
from defectsynth.samples import product


class PaintedDataset(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Normal images in memory, each painted anew in every epoch."""

    def __init__(self, images: Sequence[np.ndarray[Any, Any]], synthesizer: AnomalySynthesizer) -> None:
        self.images, self.synthesizer = images, synthesizer
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.images)

    def sample(self, position: int) -> AnomalySample:
        """The sample of this epoch."""
        return self.synthesizer(self.images[position], index=self.epoch * len(self) + position)

    def __getitem__(self, position: int) -> tuple[torch.Tensor, torch.Tensor]:
        """``(C, H, W)`` float32 image and ``(1, H, W)`` float32 defect map, both in [0, 1]."""
        sample = self.sample(position)
        image = torch.from_numpy(sample.image).permute(2, 0, 1).float() / 255
        return image, torch.from_numpy(sample.defect_map)[None]


def main(out: Path, count: int = 6, epochs: int = 2, workers: int = 0) -> list[torch.Tensor]:
    """Runs some epochs, writes a contact sheet of the last one, and returns the mean defect map of every batch."""
    images = [product("plate", index, (128, 128)).image for index in range(count)]
    dataset = PaintedDataset(images, AnomalySynthesizer("industrial", seed=1))
    means = []
    for epoch in range(epochs):
        dataset.epoch = epoch  # before the loader starts its workers, which copy the dataset
        for batch, defect_maps in DataLoader(dataset, batch_size=3, shuffle=False, num_workers=workers):
            means.append(defect_maps.mean())
            print(f"epoch {epoch}: images {tuple(batch.shape)}, defect maps {tuple(defect_maps.shape)}, mean {means[-1]:.4f}")
    write_image(out / "last_epoch.png", contact_sheet([dataset.sample(position) for position in range(count)]))
    return means


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--workers", type=int, default=0)
    main(**vars(parser.parse_args()))
