"""Samples that are painted on the fly for a PyTorch trainer; an epoch is the same for any number of workers.

python examples/augment_in_dataloader.py out/
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from defectsynth import AnomalySynthesizer
from defectsynth.files import write_image
from defectsynth.integrations.pytorch import SyntheticAnomalyDataset
from defectsynth.preview import contact_sheet
from defectsynth.samples import product


def main(out: Path, count: int = 6, epochs: int = 2, workers: int = 0) -> list[torch.Tensor]:
    """Runs some epochs, writes a contact sheet of the last one, and returns the mean defect map of every batch."""
    images = [product("plate", index, (128, 128)).image for index in range(count)]
    dataset = SyntheticAnomalyDataset(images, AnomalySynthesizer("industrial", seed=1))
    loader = DataLoader(dataset, batch_size=3, num_workers=workers, persistent_workers=workers > 0)
    means = []
    for epoch in range(epochs):
        dataset.set_epoch(epoch)  # other defects; workers that stay alive see it too
        for batch in loader:
            image, defect_map = batch["image"], batch["defect_map"]
            means.append(defect_map.mean())
            print(f"epoch {epoch}: images {tuple(image.shape)}, defect maps {tuple(defect_map.shape)}, mean {means[-1]:.4f}")
    write_image(out / "last_epoch.png", contact_sheet([dataset.sample(position) for position in range(count)]))
    return means


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--workers", type=int, default=0)
    main(**vars(parser.parse_args()))
