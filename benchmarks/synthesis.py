"""Milliseconds and images a second of every preset, against the straightforward way, in one run on one core.

    python benchmarks/synthesis.py --textures textures --defects defects [--sizes 256 512 1024] [--json out.json]

The straightforward way is what the field's code does: tiled Perlin noise, the texture decoded and resized anew for every image,
a whole-image float64 blend. Rounds of all ways are interleaved; the table shows medians. The first samples, which fill the
caches of decoded sources, are left out, as they are in a training run.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

import cv2
import numpy as np

from defectsynth import AnomalySynthesizer, load_recipe, preset_names
from defectsynth.files import list_images, read_image
from defectsynth.images import AnyImage
from defectsynth.rng import Draws, words
from defectsynth.samples import product


def tiled_perlin(seed: int, side: int, cells: tuple[int, int]) -> AnyImage:
    """Perlin noise with gradients repeated to the picture's size; ``side`` must be divisible by the cells."""
    angles = words(seed, (cells[0] + 1, cells[1] + 1)) * (2 * np.pi / 2**32)
    gradients = np.dstack((np.cos(angles), np.sin(angles)))
    step = (cells[0] / side, cells[1] / side)
    grid = np.mgrid[0 : cells[0] : step[0], 0 : cells[1] : step[1]].transpose(1, 2, 0) % 1
    repeat = (side // cells[0], side // cells[1])

    def corner(down: int, right: int) -> AnyImage:
        own = gradients[down : down + cells[0], right : right + cells[1]].repeat(repeat[0], 0).repeat(repeat[1], 1)
        return np.sum((grid - (down, right)) * own, axis=2)

    fade = 6 * grid**5 - 15 * grid**4 + 10 * grid**3
    top = corner(0, 0) * (1 - fade[:, :, 0]) + corner(1, 0) * fade[:, :, 0]
    bottom = corner(0, 1) * (1 - fade[:, :, 0]) + corner(1, 1) * fade[:, :, 0]
    return np.sqrt(2) * (top * (1 - fade[:, :, 1]) + bottom * fade[:, :, 1])


def straightforward(textures: list[Path]) -> Callable[[AnyImage, int], object]:
    """DRAEM's steps (without its texture augmentation), one after the other, over the whole image."""

    def augment(image: AnyImage, index: int) -> object:
        draws, side = Draws(0, index), image.shape[0]
        texture = cv2.imread(str(textures[draws.integer("texture", (0, len(textures) - 1))]))
        texture = cv2.resize(texture, (side, side)).astype(np.float64) / 255
        cells = 2 ** draws.integer("cells", (0, 5), 0), 2 ** draws.integer("cells", (0, 5), 1)
        noise = tiled_perlin(index, side, cells)
        turn = cv2.getRotationMatrix2D((side / 2, side / 2), draws.uniform("angle", (-90, 90)), 1.0)
        mask = (cv2.warpAffine(noise, turn, (side, side)) > 0.5).astype(np.float64)[:, :, None]
        beta = draws.uniform("beta", (0.0, 0.8))
        normal = image.astype(np.float64) / 255
        return normal * (1 - mask) + (1 - beta) * texture * mask + beta * normal * mask, mask

    return augment


def ours(preset: str, arguments: argparse.Namespace) -> Callable[[AnyImage, int], object]:
    """A preset that paints a defect into every image."""
    recipe = load_recipe(preset).with_settings(["normal_fraction=0"])
    synthesizer = AnomalySynthesizer(
        recipe,
        textures=arguments.textures if "textures" in recipe.needs else None,
        defects=arguments.defects if "defects" in recipe.needs else None,
    )
    return lambda image, index: synthesizer(image, index=index)


def measure(ways: dict[str, Callable[[AnyImage, int], object]], images: list[AnyImage], rounds: int) -> dict[str, float]:
    """Median seconds of each way; every round asks all of them for the same samples."""
    for way in ways.values():
        for index in range(2 * rounds):
            way(images[index % len(images)], 10_000 + index)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for index in range(rounds):
        for name, way in ways.items():
            started = perf_counter()
            way(images[index % len(images)], index)
            times[name].append(perf_counter() - started)
    return {name: median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--textures", type=Path, required=True)
    parser.add_argument("--defects", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    textures = list_images(arguments.textures)
    textures = [path for path in textures if read_image(path).ndim == 3][:100]
    results: dict[str, dict[str, float]] = {}
    print("| size | way | ms | images/s | times the straightforward way |\n|---:|---|---:|---:|---:|")
    for size in arguments.sizes:
        images = [product("disc", index, (size, size)).image for index in range(8)]
        ways = {"straightforward": straightforward(textures)} | {preset: ours(preset, arguments) for preset in preset_names()}
        found = measure(ways, images, arguments.rounds)
        for name, seconds in found.items():
            print(
                f"| {size} | {name} | {seconds * 1e3:.2f} | {1 / seconds:,.0f} | {found['straightforward'] / seconds:.1f} |",
                flush=True,
            )
        results[str(size)] = found
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
