"""anomalib's DRAEM trained on our defects, and tested on a synthetic split: good products are all there is.

python examples/in_anomalib.py out/ --steps 200 --size 128
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from anomalib.data import Folder
from anomalib.models import Draem
from lightning.pytorch import Trainer

from defectsynth import AnomalySynthesizer
from defectsynth.batched import BatchSynthesizer
from defectsynth.files import write_image
from defectsynth.integrations.anomalib import AnomalyGenerator, synthetic_split
from defectsynth.samples import product


def main(out: Path, count: int = 16, steps: int = 1, size: int = 64) -> dict[str, float]:
    """Trains for some steps (a useful detector takes thousands), and returns what the test found."""
    for index in range(count):
        write_image(out / f"plates/good/{index:03d}.png", product("plate", index, (size, size)).image)
    modes = {"test_split_mode": "none", "val_split_mode": "none"}
    data = Folder("plates", "good", root=out / "plates", train_batch_size=4, eval_batch_size=4, num_workers=0, **modes)
    synthetic_split(data, AnomalySynthesizer("industrial", seed=1), out / "synthetic", held_out=0.5)

    model = Draem(dtd_dir=out, pre_processor=Draem.configure_pre_processor((size, size)), visualizer=False)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.augmenter = AnomalyGenerator(BatchSynthesizer("draem-code", textures="builtin:all", seed=2, device=device), 1.0)
    # anomalib's Engine does the same, and writes checkpoints.
    trainer = Trainer(
        accelerator="auto",
        devices=1,
        max_steps=steps,
        default_root_dir=out,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    trainer.fit(model, data)
    (found,) = trainer.test(model, data, verbose=False)
    painted = int(data.test_data.samples.label_index.sum())
    print(
        f"{steps} steps on {len(data.train_data)} pictures; {painted} of {len(data.test_data)} test pictures have a synthetic "
        f"defect: image AUROC {found['image_AUROC']:.2f}, pixel AUROC {found['pixel_AUROC']:.2f}"
    )
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--size", type=int, default=64)
    main(**vars(parser.parse_args()))
