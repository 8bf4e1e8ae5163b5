"""How far `match`, `industrial` and DRAEM's recipe are from real defects that were not used.

    python benchmarks/realism.py --data photos --textures textures --weights efficientnet_lite0_imagenet.pth

``--data`` holds sets in the MVTec AD layout. For `match`, five parts of every kind of defect are drawn at random, and one
picture of each is an example; all pictures of all other parts are what the result is held against, so no defect is on both
sides. That is done again with other examples (``--splits``), and the middle of the results is shown with the lowest and the
highest: five examples are few, and which ones they are matters. In the magnetic tiles the pictures of one tile have numbers
that follow each other closely (``exp3_num_116541.jpg``), or show the defect in the same place; elsewhere every picture is a
part. The other recipes use no example, and are held against all defects.

Prints a Markdown table: medians of synthetic, and of the examples alone, over real, and AUROC of the two-sample tests (0.5:
cannot be told apart).
``copies apart`` takes the synthetic copies of one example for different defects; a classifier then knows the individuals.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from defectsynth.files import read_mask
from defectsynth.formats.mvtec import LabelledPicture, read_defects
from defectsynth.job import Job
from defectsynth.matching import match
from defectsynth.recipe import load_recipe
from defectsynth.render import render
from defectsynth.rng import words
from defectsynth.scoring import Score, score
from defectsynth.statistics import MEASURES, dataset_measures

MATCHED = ("magnetic_tile:blowhole", "magnetic_tile:crack", "mvtec_screw", "mvtec_bottle")
MIXED = ("magnetic_tile", "magnetic_tile:blowhole", "magnetic_tile:crack", "mvtec_screw", "mvtec_bottle")
MIXES = ("industrial", "draem-code")
FOLDS = 3
GAP = 300  # in the numbers of tiles; pictures of one tile are less than that apart, unless it was photographed twice
SAME_PLACE = 0.02  # of a picture's sides: the centres of one defect in two pictures of a tile lie closer
SAME_FORM = 1.15  # and the pictures' aspects


# --- parts ----------------------------------------------------------------------------------------------------------------


def parts_of(pictures: list[LabelledPicture]) -> list[list[LabelledPicture]]:
    """The pictures of one kind, those of one part together."""
    if not pictures[0].image.stem.startswith("exp"):
        return [[picture] for picture in pictures]
    ordered = sorted(pictures, key=lambda picture: int(picture.image.stem.rsplit("_", 1)[1]))
    numbers = [int(picture.image.stem.rsplit("_", 1)[1]) for picture in ordered]
    starts = [0, *(place for place in range(1, len(ordered)) if numbers[place] - numbers[place - 1] > GAP), len(ordered)]
    parts: list[list[LabelledPicture]] = []
    for start, end in pairwise(starts):
        same = next((part for part in parts if recurs(part[0], ordered[start])), None)
        if same is None:
            parts.append(ordered[start:end])
        else:
            same.extend(ordered[start:end])
    return parts


def recurs(one: LabelledPicture, other: LabelledPicture) -> bool:
    """Whether two pictures show one defect: in the same place of a picture of the same form."""
    assert one.mask is not None and other.mask is not None
    masks = [read_mask(one.mask) != 0, read_mask(other.mask) != 0]
    places = [[float(index.mean()) / side for index, side in zip(np.nonzero(mask), mask.shape, strict=True)] for mask in masks]
    forms = [mask.shape[1] / mask.shape[0] for mask in masks]
    return (
        float(np.abs(np.subtract(places[0], places[1])).max()) < SAME_PLACE and 1 / SAME_FORM < forms[0] / forms[1] < SAME_FORM
    )


def split(pictures: list[LabelledPicture], count: int, seed: int, fit: Path, rest: Path) -> None:
    """Copies the examples, ``count`` of each kind, to ``fit`` and everything of the other parts to ``rest``."""
    for kind in sorted({picture.kind for picture in pictures}):
        parts = parts_of([picture for picture in pictures if picture.kind == kind])
        if len(parts) < count + FOLDS:
            raise SystemExit(f"there are {len(parts)} parts with {kind}: {count} examples leave too few to judge by")
        order = np.argsort(words(seed, (1, len(parts)), 0)[0], kind="stable").tolist()
        for place in order[:count]:
            by_name = sorted(parts[place], key=lambda picture: picture.image.name)
            copy(by_name[seed % len(by_name)], fit)
        for place in order[count:]:
            for picture in parts[place]:
                copy(picture, rest)


def copy(picture: LabelledPicture, root: Path) -> None:
    assert picture.mask is not None
    for source, folder in ((picture.image, "test"), (picture.mask, "ground_truth")):
        target = root / folder / picture.kind / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


# --- results --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """What one recipe gives against one set of real defects."""

    ratios: list[float]
    tests: list[float]
    copies: list[float]
    floors: list[float]


def judge(real: Path, synthetic: Path, weights: Path | None, *, copies: bool) -> Result:
    hand = score(real, synthetic, folds=FOLDS)
    network = score(real, synthetic, weights=weights, folds=FOLDS) if weights else None
    found = [hand.shape, hand.appearance, *([network.appearance] if network else [])]
    apart: list[float] = []
    if copies:
        again: list[Score] = [score(real, synthetic, folds=FOLDS, copies="apart")]
        apart = [again[0].shape.auroc, again[0].appearance.auroc]
        if weights:
            apart.append(score(real, synthetic, weights=weights, folds=FOLDS, copies="apart").appearance.auroc)
    medians = [measure.median_ratio or 0.0 for measure in hand.measures]
    return Result(medians, [test.auroc for test in found], apart, [test.floor.mean for test in found])


def ratios(one: Path, other: Path) -> list[float]:
    """Medians of one set over those of another."""
    own, real = dataset_measures(one), dataset_measures(other)
    return [float(np.median(own[name]) / np.median(real[name])) for name in (measure.name for measure in MEASURES)]


def row(name: str, recipe: str, results: list[Result]) -> str:
    cells = [spread(values) for values in zip(*(one.ratios for one in results), strict=True)]
    cells += [spread(values) for values in zip(*(one.tests for one in results), strict=True)]
    cells += [""] * (7 - len(cells))
    cells.append(" / ".join(f"{np.median(values):.2f}" for values in zip(*(one.copies for one in results), strict=True)))
    return f"| {name} | `{recipe}` | " + " | ".join(cells) + " |"


def spread(values: tuple[float, ...]) -> str:
    middle = f"{np.median(values):.2f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.2f} to {max(values):.2f})"


def matched(name: str, arguments: argparse.Namespace, work: Path) -> None:
    folder, _, kinds = name.partition(":")
    root = arguments.data / folder
    pictures = [one for one in read_defects(root) if not kinds or one.kind in kinds.split(",")]
    results: list[Result] = []
    chosen: list[list[float]] = []
    for seed in range(arguments.splits):
        here = work / str(seed)
        split(pictures, arguments.examples, seed, here / "fit", here / "rest")
        match(here / "fit", here / "match", images=root / "train" / "good", count=arguments.count)
        results.append(judge(here / "rest", here / "match" / "synthetic", arguments.weights, copies=True))
        chosen.append(ratios(here / "fit", here / "rest"))
    print(row(name, "match", results), flush=True)
    alone = " | ".join(spread(values) for values in zip(*chosen, strict=True))
    print(f"| {name} | the examples | {alone} | | | | |", flush=True)


def mixed(name: str, arguments: argparse.Namespace, work: Path) -> None:
    folder, _, kinds = name.partition(":")
    root, real = arguments.data / folder, work / "real"
    for picture in read_defects(root):
        if not kinds or picture.kind in kinds.split(","):
            copy(picture, real)
    for recipe in MIXES:
        loaded = load_recipe(recipe).model_copy(update={"normal_fraction": 0.0})
        job = Job(
            images=str(root / "train" / "good"), textures=str(arguments.textures), count=arguments.count, train_fraction=0.0
        )
        render(job, loaded, work / recipe, on_error="skip")
        result = judge(real, work / recipe, arguments.weights, copies=False)
        print(row(name, recipe, [result]), flush=True)
    floors = [f"{value:.2f}" for value in result.floors]
    print(f"| {name} | real against real | | | | | {' | '.join(floors + [''] * (4 - len(floors)))} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--textures", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--matched", nargs="*", default=MATCHED, help="folder, or folder:kind,kind")
    parser.add_argument("--mixed", nargs="*", default=MIXED, help="the same, for the recipes that are not fitted")
    parser.add_argument("--examples", type=int, default=5)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--count", type=int, default=100)
    arguments = parser.parse_args()
    print("| set | recipe | area | components | elongation | contrast | shape | by hand | network | copies apart |")
    print("|---|---|---:|---:|---:|---:|---|---|---|---|")
    for names, measure in ((arguments.matched, matched), (arguments.mixed, mixed)):
        for name in names:
            with tempfile.TemporaryDirectory() as folder:
                measure(name, arguments, Path(folder))


if __name__ == "__main__":
    main()
