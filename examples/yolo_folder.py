"""A folder that YOLO trainers read: a class for each kind of defect, a polygon for each piece, disjoint train and val.

python examples/yolo_folder.py out/ --images photos/good --count 2000 --size 640
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from defectsynth.formats.table import FORMATS
from defectsynth.job import Job
from defectsynth.recipe import load_recipe
from defectsynth.render_as import render_as


def main(out: Path, images: str = "builtin:plate", count: int = 12, size: int = 96) -> dict[str, int]:
    """Renders it, reads it again, and returns how many polygons there are of each kind."""
    job = Job(images=images, count=count, size=(size, size), seed=1)
    recipe = load_recipe("industrial").with_settings(["normal_fraction=0.1", "anomalies_per_image_range=[1,3]"])
    render_as(job, recipe, str(out), "yolo", val_fraction=0.25)
    records = list(FORMATS["yolo"].read(out))
    kinds = Counter(piece.kind for record in records for piece in record.pieces)
    splits = Counter(record.split for record in records)
    print(f"{splits['train']} pictures to train, {splits['val']} to validate; polygons: {dict(kinds)}")
    return dict(kinds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--images", default="builtin:plate")
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--size", type=int, default=96)
    main(**vars(parser.parse_args()))
