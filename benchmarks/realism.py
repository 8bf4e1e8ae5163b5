"""How far `match`, `industrial` and DRAEM's recipe are from real defects that were not used.

    python benchmarks/realism.py --data photos --textures textures --weights efficientnet_lite0_imagenet.pth

``--data`` holds sets in the MVTec AD layout. Of every kind of defect, five parts are examples, one picture each: the parts are
ranked by the area of their defects and cut into five equal groups, and the middle one of each is taken, as one picks from small
to large. All pictures of all other parts are what the result is held against, so no defect is on both sides. In the magnetic
tiles the pictures of one tile have numbers that follow each other closely (``exp3_num_116541.jpg``); elsewhere every picture is
a part.

Prints a Markdown table: medians of synthetic over real, and AUROC of the two-sample tests (0.5: cannot be told apart).
``copies apart`` takes the synthetic copies of one example for different defects; a classifier then knows the individuals.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np

from defectsynth.files import read_mask
from defectsynth.formats.mvtec import LabelledPicture, read_defects
from defectsynth.job import Job
from defectsynth.matching import match
from defectsynth.recipe import load_recipe
from defectsynth.render import render
from defectsynth.scoring import Score, score

SETS = ("magnetic_tile:blowhole", "magnetic_tile:crack", "mvtec_screw", "mvtec_bottle")
GAP = 300  # in the numbers of tiles; pictures of one tile are less than that apart


def parts_of(pictures: list[LabelledPicture]) -> list[list[LabelledPicture]]:
    """The pictures of one kind, those of one part together."""
    if not pictures[0].image.stem.startswith("exp"):
        return [[picture] for picture in pictures]
    ordered = sorted(pictures, key=lambda picture: int(picture.image.stem.rsplit("_", 1)[1]))
    numbers = [int(picture.image.stem.rsplit("_", 1)[1]) for picture in ordered]
    starts = [0, *(place for place in range(1, len(ordered)) if numbers[place] - numbers[place - 1] > GAP), len(ordered)]
    return [ordered[start:end] for start, end in pairwise(starts)]


def area(picture: LabelledPicture) -> float:
    assert picture.mask is not None
    return float((read_mask(picture.mask) != 0).mean())


def split(root: Path, kinds: list[str], count: int, fit: Path, rest: Path) -> None:
    """Copies the examples to ``fit`` and everything of the other parts to ``rest``."""
    for target in (fit, rest):  # of an earlier run in the same --work
        shutil.rmtree(target, ignore_errors=True)
    pictures = [picture for picture in read_defects(root) if not kinds or picture.kind in kinds]
    for kind in sorted({picture.kind for picture in pictures}):
        parts = parts_of([picture for picture in pictures if picture.kind == kind])
        if len(parts) <= count:
            raise SystemExit(f"{root} has {len(parts)} parts with {kind}: {count} examples leave none to judge by")
        ranked = sorted(parts, key=lambda part: float(np.median([area(picture) for picture in part])))
        chosen = [ranked[int((place + 0.5) * len(ranked) / count)] for place in range(count)]
        for number, part in enumerate(chosen):
            by_name = sorted(part, key=lambda picture: picture.image.name)
            copy(by_name[2 * number % len(part)], fit)  # every other one: not the first exposure of every part
        for part in parts:
            if part not in chosen:
                for picture in part:
                    copy(picture, rest)


def copy(picture: LabelledPicture, root: Path) -> None:
    assert picture.mask is not None
    for source, folder in ((picture.image, "test"), (picture.mask, "ground_truth")):
        target = root / folder / picture.kind / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def synthetic_sets(fit: Path, normals: Path, textures: Path, count: int, work: Path) -> dict[str, Path]:
    """A rendered dataset for each recipe."""
    match(fit, work / "match", images=normals, count=count, overwrite=True)
    found = {"match": work / "match" / "synthetic"}
    for name in ("industrial", "draem-code"):
        recipe = load_recipe(name).model_copy(update={"normal_fraction": 0.0})
        job = Job(images=str(normals), textures=str(textures), count=count, train_fraction=0.0)
        render(job, recipe, work / name, overwrite=(work / name).exists(), on_error="skip")
        found[name] = work / name
    return found


def row(name: str, recipe: str, hand: Score, network: Score | None, apart: tuple[Score, Score | None] | None) -> str:
    ratios = [f"{measure.median_ratio:.2f}" if measure.median_ratio else "" for measure in hand.measures]
    tests = [cell(hand, "shape"), cell(hand, "appearance"), cell(network, "appearance")]
    copies = ""
    if apart is not None:
        copies = " / ".join([short(apart[0], "shape"), short(apart[0], "appearance"), short(apart[1], "appearance")])
    return f"| {name} | `{recipe}` | " + " | ".join([*ratios, *tests, copies]) + " |"


def cell(found: Score | None, test: str) -> str:
    if found is None:
        return ""
    one = getattr(found, test)
    return f"{one.auroc:.2f} ({one.interval[0]:.2f} to {one.interval[1]:.2f})"


def short(found: Score | None, test: str) -> str:
    return "" if found is None else f"{getattr(found, test).auroc:.2f}"


def measure(name: str, arguments: argparse.Namespace, work: Path) -> None:
    folder, _, kinds = name.partition(":")
    root, fit, rest = arguments.data / folder, work / "fit", work / "rest"
    split(root, kinds.split(",") if kinds else [], arguments.examples, fit, rest)
    found = synthetic_sets(fit, root / "train" / "good", arguments.textures, arguments.count, work)
    for recipe, synthetic in found.items():
        hand = score(rest, synthetic)
        network = score(rest, synthetic, weights=arguments.weights) if arguments.weights else None
        apart = None
        if recipe == "match":
            second = score(rest, synthetic, weights=arguments.weights, copies="apart") if arguments.weights else None
            apart = score(rest, synthetic, copies="apart"), second
        print(row(name, recipe, hand, network, apart), flush=True)
    floors = [floor(hand, "shape"), floor(hand, "appearance"), floor(network, "appearance")]
    print(f"| {name} | real against real | | | | | {' | '.join(floors)} | |", flush=True)


def floor(found: Score | None, test: str) -> str:
    return "" if found is None else f"{getattr(found, test).floor.mean:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--textures", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--sets", nargs="+", default=SETS, help="folder, or folder:kind,kind")
    parser.add_argument("--examples", type=int, default=5)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--work", type=Path, help="keep what is made here")
    arguments = parser.parse_args()
    print("| set | recipe | area | components | elongation | contrast | shape | by hand | network | copies apart |")
    print("|---|---|---:|---:|---:|---:|---|---|---|---|")
    for name in arguments.sets:
        with tempfile.TemporaryDirectory() as folder:
            measure(name, arguments, arguments.work / name.replace(":", "-") if arguments.work else Path(folder))


if __name__ == "__main__":
    main()
