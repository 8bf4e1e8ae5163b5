"""Counts broken laws over many samples of every preset on real photographs.

    python benchmarks/laws.py --images photos/train/good --textures textures --defects defects --count 1000

Prints one Markdown table: a row per preset; the columns from 'empty masks' to 'replayed otherwise' must be 0.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import numpy as np

from defectsynth import AnomalySample, AnomalySynthesizer, Plan, load_recipe, preset_names
from defectsynth.errors import RegionError, SynthesisError
from defectsynth.files import list_images, read_image
from defectsynth.images import AnyImage
from defectsynth.masks.control import count_pieces
from defectsynth.region import region_of_plan


@dataclass
class Tally:
    anomalous: int = 0
    empty: int = 0
    unchanged: int = 0
    refused: int = 0
    outside_mask: int = 0
    outside_roi: int = 0
    replayed_otherwise: int = 0
    seconds: float = 0.0
    areas: list[float] = field(default_factory=list)
    pieces: list[int] = field(default_factory=list)


def check(tally: Tally, synthesizer: AnomalySynthesizer, image: AnyImage, sample: AnomalySample) -> None:
    if not sample.is_anomalous:
        return
    region = region_of_plan(image, None, sample.plan.foreground)
    inside = sample.mask != 0
    tally.anomalous += 1
    tally.empty += not inside.any()
    tally.unchanged += bool((sample.image == image).all())
    tally.outside_mask += bool((sample.image[~inside] != image[~inside]).any())
    tally.outside_roi += bool(sample.mask[region == 0].any())
    again = synthesizer.paint(image, Plan.from_json(sample.plan.to_json()))
    tally.replayed_otherwise += again.image.tobytes() != sample.image.tobytes() or again.mask.tobytes() != sample.mask.tobytes()
    tally.areas.append(float(inside.mean()))
    tally.pieces.append(count_pieces(sample.mask))


def run(preset: str, images: list[AnyImage], arguments: argparse.Namespace) -> Tally:
    recipe = load_recipe(preset)
    synthesizer = AnomalySynthesizer(
        recipe,
        textures=arguments.textures if "textures" in recipe.needs else None,
        defects=arguments.defects if "defects" in recipe.needs else None,
        normals=dict(zip(map(str, range(len(images))), images, strict=True)) if "normals" in recipe.needs else None,
        seed=arguments.seed,
    )
    tally = Tally()
    for index in range(arguments.count):
        image = images[index % len(images)]
        started = perf_counter()
        try:
            sample = synthesizer(image, index=index)
        except (RegionError, SynthesisError):
            tally.refused += 1
            continue
        tally.seconds += perf_counter() - started
        check(tally, synthesizer, image, sample)
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--textures", type=Path, required=True)
    parser.add_argument("--defects", type=Path, required=True)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--recipe", action="append", help="a preset; all if not given")
    arguments = parser.parse_args()
    images = [read_image(path) for path in list_images(arguments.images)[:64]]
    print(
        "| preset | samples | anomalous | refused | empty masks | nothing changed | changed outside the mask",
        end="",
    )
    print(" | mask outside the ROI | replayed otherwise | median area | median pieces | ms a sample |")
    print("|---|" + "---:|" * 11)
    for preset in arguments.recipe or preset_names():
        tally = run(preset, images, arguments)
        broken = (tally.empty, tally.unchanged, tally.outside_mask, tally.outside_roi, tally.replayed_otherwise)
        shape = f"{np.median(tally.areas):.2%} | {np.median(tally.pieces):.0f} | {tally.seconds / arguments.count * 1e3:.1f}"
        counts = (arguments.count, tally.anomalous, tally.refused, *broken)
        print(f"| {preset} | {' | '.join(map(str, counts))} | {shape} |", flush=True)


if __name__ == "__main__":
    main()
