"""A dataset without data: a built-in product, good for training, good and defective for testing."""

from __future__ import annotations

from pathlib import Path

from defectsynth import AnomalySynthesizer, load_recipe
from defectsynth.formats.mvtec import NORMAL_KIND, write_mvtec
from defectsynth.samples import product

__all__ = ["DEMO_MINUTES", "demo_data"]

DEMO_MINUTES = 3.0
_PRODUCT, _SIZE = "disc", (128, 128)
_TRAIN, _GOOD, _DEFECTIVE = 60, 20, 40
_SEED = 2**62
"""Of the defects, which no training run paints with its own small seed."""


def demo_data(folder: Path) -> Path:
    """Writes the dataset in the MVTec AD layout, and says where; pictures that are there already are written again, the same.

    Args:
        folder: is made.
    """
    synthesizer = AnomalySynthesizer(load_recipe("industrial").with_settings(["normal_fraction=0"]), seed=_SEED)
    for number in range(_TRAIN + _GOOD + _DEFECTIVE):
        image, name = product(_PRODUCT, number, _SIZE).image, f"{number:03d}"
        if number < _TRAIN:
            write_mvtec(folder, "train", NORMAL_KIND, name, image)
        elif number < _TRAIN + _GOOD:
            write_mvtec(folder, "test", NORMAL_KIND, name, image)
        else:
            sample = synthesizer(image, index=number)
            write_mvtec(folder, "test", sample.plan.kind, name, sample.image, sample.mask)
    return folder
