"""Milliseconds and images a second of every preset, against anomalib's generator and the straightforward way, in one run.

    python benchmarks/synthesis.py --images photos --textures textures --defects defects [--sizes 256 512 1024]

One core, one thread. The straightforward way is what the field's code does: tiled Perlin noise, the texture decoded and resized
anew for every image, a whole-image float64 blend. anomalib's ``PerlinAnomalyGenerator`` is measured where anomalib is
installed, with the same textures and ``probability=1``. Rounds of all ways are interleaved; the tables show medians. Whether
compiled loops are used (numba, the extra ``[fast]``) is said below; ``DEFECTSYNTH_COMPILED=0`` switches them off. The first
samples, which fill the caches of decoded sources and of foregrounds, are left out, as they are in a training run. The second
table is what drawing a plan costs, without painting.
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
from defectsynth.compiled import loops
from defectsynth.files import list_images, read_image
from defectsynth.images import AnyImage, resize_image, to_rgb8
from defectsynth.rng import Draws, words
from defectsynth.samples import product

WARM_UP = 3000  # plans that are drawn first: of some hundred textures nearly all have been read then
BLOCK = 6  # samples in turn: a stream
PEERS = ("anomalib's generator", "straightforward way")


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


def of_anomalib(textures: Path) -> Callable[[AnyImage, int], object] | None:
    """anomalib's generator, or None where anomalib is not installed."""
    try:
        import torch
        from anomalib.data.utils.generators.perlin import PerlinAnomalyGenerator
    except ImportError:
        return None
    torch.set_num_threads(1)
    generator = PerlinAnomalyGenerator(anomaly_source_path=str(textures), probability=1.0)
    return lambda image, index: generator(torch.from_numpy(image).permute(2, 0, 1).float() / 255)


def synthesizer_of(preset: str, arguments: argparse.Namespace, images: list[AnyImage]) -> AnomalySynthesizer:
    """A preset that paints a defect into every image."""
    recipe = load_recipe(preset).with_settings(["normal_fraction=0"])
    return AnomalySynthesizer(
        recipe,
        textures=arguments.textures if "textures" in recipe.needs else None,
        defects=arguments.defects if "defects" in recipe.needs else None,
        normals={str(number): image for number, image in enumerate(images)} if "normals" in recipe.needs else None,
    )


def painting(synthesizer: AnomalySynthesizer) -> Callable[[AnyImage, int], object]:
    return lambda image, index: synthesizer(image, index=index)


def planning(synthesizer: AnomalySynthesizer, count: int = 300) -> float:
    """Median seconds of drawing a plan, of samples in turn; by then every texture's hash is known."""
    times = []
    for index in range(WARM_UP + count):
        started = perf_counter()
        synthesizer._draw(index, 0, (256, 256), "none")
        times.append(perf_counter() - started)
    return median(times[WARM_UP:])


def measure(ways: dict[str, Callable[[AnyImage, int], object]], images: list[AnyImage], rounds: int) -> dict[str, float]:
    """Median seconds an image of each way; a round asks all of them for the same few samples, which were made once before."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for name, way in ways.items():
        _stream(way, images, 0, BLOCK if name in PEERS else rounds * BLOCK)
    for number in range(rounds):
        for name, way in ways.items():
            times[name].append(_stream(way, images, number * BLOCK, BLOCK))
    return {name: median(values) for name, values in times.items()}


def _stream(way: Callable[[AnyImage, int], object], images: list[AnyImage], first: int, count: int) -> float:
    """Seconds an image of ``count`` in turn: what comes after another way has the processor's caches to fill first."""
    started = perf_counter()
    for index in range(first, first + count):
        way(images[index % len(images)], index)
    return (perf_counter() - started) / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="normal pictures; a built-in product where none are given")
    parser.add_argument("--textures", type=Path, required=True)
    parser.add_argument("--defects", type=Path, required=True)
    parser.add_argument("--presets", nargs="+", default=preset_names())
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--rounds", type=int, default=15, help=f"of {BLOCK} images of each way")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    textures = [path for path in list_images(arguments.textures) if read_image(path).ndim == 3][:100]
    results: dict[str, dict[str, float]] = {}
    print("| size | way | ms | images/s | times anomalib | times the straightforward way |\n|---:|---|---:|---:|---:|---:|")
    for size in arguments.sizes:
        images = pictures(arguments.images, size)
        peers = dict(zip(PEERS, (of_anomalib(arguments.textures), straightforward(textures)), strict=True))
        synthesizers = {preset: synthesizer_of(preset, arguments, images) for preset in arguments.presets}
        ways = {name: way for name, way in peers.items() if way} | {
            name: painting(synthesizer) for name, synthesizer in synthesizers.items()
        }
        found = measure(ways, images, arguments.rounds)
        for name, seconds in found.items():
            ratios = [f"{found[peer] / seconds:.1f}" if peer in found else "" for peer in PEERS]
            print(f"| {size} | {name} | {seconds * 1e3:.2f} | {1 / seconds:,.0f} | {ratios[0]} | {ratios[1]} |", flush=True)
        results[str(size)] = found
    print("\n| preset | microseconds a plan |\n|---|---:|")
    results["plan"] = {preset: planning(synthesizer) for preset, synthesizer in synthesizers.items()}
    for preset, seconds in results["plan"].items():
        print(f"| {preset} | {seconds * 1e6:.0f} |")
    print(f"\nCompiled loops: {'yes' if loops() else 'no'}.")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2))


def pictures(folder: Path | None, size: int) -> list[AnyImage]:
    """Eight normal pictures of one size, RGB."""
    if folder is None:
        return [product("disc", index, (size, size)).image for index in range(8)]
    return [resize_image(to_rgb8(read_image(path)), (size, size)) for path in list_images(folder)[:8]]


if __name__ == "__main__":
    main()
