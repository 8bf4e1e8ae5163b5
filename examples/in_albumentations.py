"""Defects as one step of an albumentations pipeline, which is saved, loaded and repeated as any other.

python examples/in_albumentations.py out/
"""

from __future__ import annotations

import argparse
from pathlib import Path

import albumentations as A
import numpy as np

from defectsynth.files import write_image
from defectsynth.integrations.albumentations import SynthesizeAnomaly
from defectsynth.samples import product


def main(out: Path, count: int = 8) -> list[float]:
    """Paints some pictures by a pipeline that was saved and loaded, writes the last, and returns their anomalous parts."""
    pipeline = A.Compose([A.RandomCrop(112, 112), SynthesizeAnomaly("industrial", seed=1, p=0.75), A.HorizontalFlip()])
    out.mkdir(parents=True, exist_ok=True)
    A.save(pipeline, out / "pipeline.yaml", data_format="yaml")
    loaded = A.load(out / "pipeline.yaml", data_format="yaml")
    loaded.set_random_seed(1)  # as A.Compose(..., seed=1) does; a seed is not saved
    areas = []
    for index in range(count):
        image = product("plate", index, (128, 128)).image
        found = loaded(image=image, mask=np.zeros(image.shape[:2], np.uint8))
        areas.append(float(found["mask"].mean()))
    write_image(out / "image.png", found["image"])
    write_image(out / "mask.png", found["mask"] * np.uint8(255))
    print(f"{np.count_nonzero(areas)} of {count} crops show a defect, of {max(areas):.2%} of the crop at most")
    return areas


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=8)
    main(**vars(parser.parse_args()))
