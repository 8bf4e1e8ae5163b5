"""A folder of photographs in, a labelled dataset out, from Python.

    python examples/render_folder.py out/                        # built-in product
    python examples/render_folder.py out/ --images photos/good   # your own pictures

Both write ``out/dataset`` and verify it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from defectsynth import load_recipe
from defectsynth.job import Job
from defectsynth.render import RenderReport, render
from defectsynth.verify import verify


def main(out: Path, images: str = "builtin:plate", count: int = 4, workers: int = 1) -> RenderReport:
    """Renders ``count`` labelled pictures below ``out`` and checks them."""
    recipe = load_recipe("industrial").with_settings(["normal_fraction=0.25", "kinds.burn.weight=0"])
    job = Job(images=images, count=count, seed=1, size=(128, 128), train_fraction=0.1)
    report = render(job, recipe, out / "dataset", workers=workers)
    print(f"{report.pictures} pictures, {report.anomalous} with a defect: {report.kinds}")

    checked = verify(out / "dataset", workers=workers)
    print(f"{checked.pictures} pictures checked, {len(checked.problems)} problems")
    return report


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--images", default="builtin:plate")
    parser.add_argument("--count", type=int, default=4)
    parser.add_argument("--workers", type=int, default=1)
    main(**vars(parser.parse_args()))
