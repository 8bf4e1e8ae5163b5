"""Hugging Face datasets: a rendered folder that ``load_dataset`` reads, and a stream that is painted while it is read.

python examples/in_huggingface.py out/ --images photos/good --count 2000
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import datasets

from defectsynth import AnomalySynthesizer
from defectsynth.integrations.huggingface import stream
from defectsynth.job import Job
from defectsynth.recipe import load_recipe
from defectsynth.render_as import render_as
from defectsynth.samples import product


def main(out: Path, images: str = "builtin:plate", count: int = 12, size: int = 96) -> dict[str, int]:
    """Renders and loads a folder, reads as many from a stream, and returns the kinds of the folder."""
    recipe = load_recipe("industrial").with_settings(["normal_fraction=0.2"])
    render_as(
        Job(images=images, count=count, size=(size, size), seed=1, train_fraction=0.1), recipe, str(out / "set"), "imagefolder"
    )
    found = datasets.load_dataset("imagefolder", data_dir=str(out / "set"), split="test", cache_dir=str(out / "cache"))
    kinds = Counter(found["kind"])
    normals = [product("plate", index, (size, size)).image for index in range(4)]
    rows = stream(normals, AnomalySynthesizer(recipe, seed=1), count=count)
    streamed = Counter(row["kind"] for row in rows)
    print(f"the folder has {dict(kinds)}, the stream {dict(streamed)}")
    return dict(kinds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--images", default="builtin:plate")
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--size", type=int, default=96)
    main(**vars(parser.parse_args()))
