"""DRAEM's training loop, its lines as they are, on our stream: ``layout="draem"`` gives the batches that it reads.

python examples/draem_loop.py out/ --images photos/good --textures photos/textures --steps 1000

The two networks stand in for DRAEM's (``model_unet.py`` of ``VitjanZ/DRAEM``): put those in their place, and train.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from defectsynth import AnomalySynthesizer
from defectsynth.integrations.pytorch import SyntheticAnomalyDataset
from defectsynth.samples import product


def network(channels: int, out: int, width: int = 24) -> nn.Module:
    """A few convolutions."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 5, padding=2), nn.ReLU(),
        nn.Conv2d(width, out, 3, padding=1),
    )  # fmt: skip


def main(out: Path, images: Path | None = None, textures: str = "builtin:all", steps: int = 12, size: int = 64) -> list[float]:
    """Trains, writes the weights, and returns the loss of every step."""
    torch.manual_seed(0)
    normals = images or [product("fabric", index, (size, size)).image for index in range(16)]
    dataset = SyntheticAnomalyDataset(
        normals, AnomalySynthesizer("draem-code", textures=textures, seed=0), size=(size, size), layout="draem"
    )
    dataloader = DataLoader(dataset, batch_size=8, shuffle=True, num_workers=0)
    model, model_seg = network(3, 3), network(6, 2)
    optimizer = torch.optim.Adam([*model.parameters(), *model_seg.parameters()], lr=1e-3)
    losses: list[float] = []
    for epoch in range(steps):
        dataset.set_epoch(epoch)
        for sample_batched in dataloader:
            gray_batch = sample_batched["image"]
            aug_gray_batch = sample_batched["augmented_image"]
            anomaly_mask = sample_batched["anomaly_mask"]

            gray_rec = model(aug_gray_batch)
            joined_in = torch.cat((gray_rec, aug_gray_batch), dim=1)
            out_mask = model_seg(joined_in)

            l2_loss = F.mse_loss(gray_rec, gray_batch)
            segment_loss = F.cross_entropy(out_mask, anomaly_mask[:, 0].long())
            loss = l2_loss + segment_loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
            if len(losses) == steps:
                out.mkdir(parents=True, exist_ok=True)
                torch.save({"model": model.state_dict(), "model_seg": model_seg.state_dict()}, out / "weights.pt")
                print(f"{steps} steps: loss {losses[0]:.3f} to {losses[-1]:.3f}")
                return losses
    return losses


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--textures", default="builtin:all")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--size", type=int, default=64)
    main(**vars(parser.parse_args()))
