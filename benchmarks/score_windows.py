"""How the window of the image score decides what is told from good: image AUROC by window, of runs that are there already.

    python benchmarks/score_windows.py --run runs/screw --data photos/screw [--run runs/tile --data photos/tile]

The maps are made once; a window is a square in pixels at 256 x 256, and the score is the largest mean of the map in it. DRAEM's
is 21. A window that is chosen by a test set should be judged by another one: look at several products.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from torchmetrics.functional.classification import binary_auroc

from defectsynth.files import read_image, write_bytes
from defectsynth.formats.mvtec import NORMAL_KIND
from defectsynth.images import convert, resize_image
from lkad_models.evaluation import read_test_set
from lkad_models.run import load_model
from lkad_models.scoring import image_scores

WINDOWS = (1, 5, 9, 13, 21, 33, 49)


@torch.inference_mode()
def aurocs(run: Path, data: Path) -> dict[int, float]:
    """Image AUROC in per cent by window."""
    model, config = load_model(run)
    model = model.reparameterize().to(memory_format=torch.channels_last)
    files = read_test_set(data)
    scores: dict[int, list[float]] = {window: [] for window in WINDOWS}
    for file in files:
        image = convert(resize_image(read_image(file.image), config.resize), np.float32, config.model.channels)
        maps = model(torch.from_numpy(image).permute(2, 0, 1)[None].contiguous(memory_format=torch.channels_last)).anomaly_map
        for window, found in scores.items():
            found.append(float(image_scores(maps, window=window)))
    labels = torch.tensor([file.kind != NORMAL_KIND for file in files]).long()
    return {window: 100 * float(binary_auroc(torch.tensor(found), labels)) for window, found in scores.items()}


def main() -> None:
    """Prints a table, and writes it as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, action="append", required=True, help="folder of `lkad train`; repeatable")
    parser.add_argument("--data", type=Path, action="append", required=True, help="its folder in the MVTec AD layout")
    parser.add_argument("--json", type=Path, help="where the numbers go")
    options = parser.parse_args()
    found = {str(run): aurocs(run, data) for run, data in zip(options.run, options.data, strict=True)}
    print(f"| run | {' | '.join(str(window) for window in WINDOWS)} |")
    print(f"|---|{'---:|' * len(WINDOWS)}")
    for run, row in found.items():
        print(f"| {Path(run).name} | {' | '.join(f'{row[window]:.1f}' for window in WINDOWS)} |")
    if options.json:
        write_bytes(options.json, json.dumps(found, indent=2).encode())


if __name__ == "__main__":
    main()
