"""How well the foreground is found on real pictures: one Markdown table, one row for each set.

    python benchmarks/foreground.py --data shared/data

An object set is right where 100 % is decided object and its areas hardly vary; a texture set where 0 % is. ``defect recall`` is
the part of the labelled defect pixels that lies inside the foreground of the defective picture, the mean over the pictures;
``with margin`` after the foreground was widened by 1 % of the longest side.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from defectsynth.files import list_images, read_image, read_mask
from defectsynth.foreground import Foreground, estimate_foreground
from defectsynth.images import AnyImage, Mask, resize_image

_MARGIN = 0.01
_TIMED = 40
_REPEATS = 3
_COLUMNS = (
    "set",
    "images",
    "object %",
    "confidence q05 / median",
    "area q05 / median / q95",
    "defect recall",
    "with margin",
    "ms 256",
    "ms 1024",
)


@dataclass(frozen=True)
class Row:
    """What is measured on one set."""

    name: str
    found: list[Foreground]
    recall: list[float]
    recall_with_margin: list[float]
    milliseconds: dict[int, float]

    def markdown(self) -> str:
        """One line of the table."""
        objects = [one for one in self.found if not one.fills_frame]
        areas = [float((one.mask > 0).mean()) for one in objects]
        spread = " / ".join(f"{value:.3f}" for value in np.quantile(areas, [0.05, 0.5, 0.95])) if areas else ""
        confidences = np.quantile([one.confidence for one in self.found], [0.05, 0.5])
        cells = [
            self.name,
            str(len(self.found)),
            f"{100 * len(objects) / len(self.found):.1f}",
            " / ".join(f"{value:.2f}" for value in confidences),
            spread,
            _mean(self.recall),
            _mean(self.recall_with_margin),
            *(f"{value:.1f}" for value in self.milliseconds.values()),
        ]
        return f"| {' | '.join(cells)} |"


def _mean(values: list[float]) -> str:
    return f"{float(np.mean(values)):.3f}" if values else ""


def measure(name: str, normal: list[Path], defects: list[tuple[Path, Path]], method: str) -> Row:
    """All normal pictures of a set, and all its defective pictures with their masks."""
    pictures = [read_image(path) for path in normal]
    found = [estimate_foreground(picture, method) for picture in pictures]
    recalls = [_recall(estimate_foreground(read_image(image), method).mask, read_mask(mask)) for image, mask in defects]
    timed = pictures[:: max(1, len(pictures) // _TIMED)]
    milliseconds = {side: _time(timed, side, method) for side in (256, 1024)}
    return Row(name, found, [plain for plain, _ in recalls], [wide for _, wide in recalls], milliseconds)


def _recall(foreground: Mask, defect: Mask) -> tuple[float, float]:
    margin = max(1, round(_MARGIN * max(foreground.shape)))
    brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
    wide = cv2.dilate(foreground, brush)
    return float((foreground[defect > 0] > 0).mean()), float((wide[defect > 0] > 0).mean())


def _time(pictures: list[AnyImage], side: int, method: str) -> float:
    """Median over pictures of the best of a few runs, at ``side x side``."""
    best = []
    for picture in pictures:
        sized = resize_image(picture, (side, side))
        runs = []
        for _ in range(_REPEATS):
            start = time.perf_counter()
            estimate_foreground(sized, method)
            runs.append(time.perf_counter() - start)
        best.append(min(runs))
    return 1e3 * float(np.median(best))


def sets(data: Path) -> Iterator[tuple[str, list[Path], list[tuple[Path, Path]]]]:
    """Name, normal pictures, and (picture, mask) pairs of every set below ``data``."""
    for folder in sorted(path for path in data.iterdir() if (path / "train/good").is_dir()):
        normal = list_images(folder / "train/good") + list_images(folder / "test/good")
        masks = sorted((folder / "ground_truth").glob("*/*_mask.png"))
        yield folder.name, normal, [(_picture_of(folder, mask), mask) for mask in masks]
    if (data / "textures").is_dir():
        yield "textures", list_images(data / "textures"), []


def _picture_of(folder: Path, mask: Path) -> Path:
    stem = mask.stem.removesuffix("_mask")
    return next(path for path in (folder / "test" / mask.parent.name).iterdir() if path.stem == stem)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared/data")
    parser.add_argument("--method", default="auto")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    print(f"| {' | '.join(_COLUMNS)} |")
    print("|---" * len(_COLUMNS) + "|")
    for name, normal, defects in sets(arguments.data):
        print(measure(name, normal, defects, arguments.method).markdown(), flush=True)


if __name__ == "__main__":
    main()
