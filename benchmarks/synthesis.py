"""Milliseconds and images a second of every preset, against the field's own ways (``peers.py``), in one run.

    python benchmarks/synthesis.py --images photos --textures textures --defects defects [--sizes 256 512 1024]

One core, one thread. anomalib's ``PerlinAnomalyGenerator`` is measured where anomalib is installed, with the same textures and
``probability=1``, CutPaste where torchvision is. Rounds of all ways are interleaved; the tables show medians. Whether
compiled loops are used (numba, the extra ``[fast]``) is said below; ``DEFECTSYNTH_COMPILED=0`` switches them off. The first
samples, which fill the caches of decoded sources and of foregrounds, are left out, as they are in a training run. The second
table is what drawing a plan costs, without painting; the third, which stage takes which share of a sample's time.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import median
from time import perf_counter

import cv2
from peers import ANOMALIB, PUBLISHED, Way, peers
from stages import STAGES, shares

from defectsynth import AnomalySynthesizer, load_recipe, preset_names
from defectsynth.compiled import loops
from defectsynth.files import list_images, read_image
from defectsynth.images import AnyImage, resize_image, to_rgb8
from defectsynth.samples import product

WARM_UP = 3000  # plans that are drawn first: of some hundred textures nearly all have been read then
BLOCK = 6  # samples in turn: a stream
PLANS = 1200  # of each preset


def synthesizer_of(preset: str, arguments: argparse.Namespace, images: list[AnyImage]) -> AnomalySynthesizer:
    """A preset that paints a defect into every image."""
    recipe = load_recipe(preset).with_settings(["normal_fraction=0"])
    return AnomalySynthesizer(
        recipe,
        textures=arguments.textures if "textures" in recipe.needs else None,
        defects=arguments.defects if "defects" in recipe.needs else None,
        normals={str(number): image for number, image in enumerate(images)} if "normals" in recipe.needs else None,
    )


def painting(synthesizer: AnomalySynthesizer) -> Way:
    return lambda image, index: synthesizer(image, index=index)


def planning(synthesizers: dict[str, AnomalySynthesizer]) -> dict[str, float]:
    """Median seconds of drawing a plan, in rounds as ``measure``; by then every texture's hash is known."""
    times: dict[str, list[float]] = {preset: [] for preset in synthesizers}
    for synthesizer in synthesizers.values():
        _drawn(synthesizer, 0, WARM_UP)
    for number in range(PLANS // BLOCK):
        for preset, synthesizer in synthesizers.items():
            times[preset] += _drawn(synthesizer, WARM_UP + number * BLOCK, BLOCK)
    return {preset: median(values) for preset, values in times.items()}


def _drawn(synthesizer: AnomalySynthesizer, first: int, count: int) -> list[float]:
    """Seconds of each of ``count`` plans."""
    times = []
    for index in range(first, first + count):
        started = perf_counter()
        synthesizer._draw(index, 0, (256, 256), "none")
        times.append(perf_counter() - started)
    return times


def measure(ways: dict[str, Way], images: list[AnyImage], rounds: int, kept: list[str]) -> dict[str, float]:
    """Median seconds an image of each way; a round asks all of them for the same few samples.

    Those ``kept`` have made all of them once before, as what they keep is found again in a training run.
    """
    times: dict[str, list[float]] = {name: [] for name in ways}
    for name, way in ways.items():
        _stream(way, images, 0, rounds * BLOCK if name in kept else BLOCK)
    for number in range(rounds):
        for name, way in ways.items():
            times[name].append(_stream(way, images, number * BLOCK, BLOCK))
    return {name: median(values) for name, values in times.items()}


def _stream(way: Way, images: list[AnyImage], first: int, count: int) -> float:
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
    files = [path for path in list_images(arguments.textures) if read_image(path).ndim == 3][:100]
    results: dict[str, dict[str, float]] = {}
    parts: dict[int, dict[str, dict[str, float]]] = {}
    print("| size | way | ms | images/s | times anomalib | times its published way |\n|---:|---|---:|---:|---:|---:|")
    for size in arguments.sizes:
        images = pictures(arguments.images, size)
        published = peers(images, arguments.textures, files)
        synthesizers = {preset: synthesizer_of(preset, arguments, images) for preset in arguments.presets}
        ways = published | {preset: painting(synthesizer) for preset, synthesizer in synthesizers.items()}
        found = measure(ways, images, arguments.rounds, kept=list(synthesizers))
        for name, seconds in found.items():
            beside = (ANOMALIB, PUBLISHED.get(name))
            ratios = [f"{found[peer] / seconds:.1f}" if peer in found else "" for peer in beside]
            print(f"| {size} | {name} | {seconds * 1e3:.2f} | {1 / seconds:,.0f} | {ratios[0]} | {ratios[1]} |", flush=True)
        results[str(size)] = found
        parts[size] = {name: shares(way, images, arguments.rounds * BLOCK) for name, way in synthesizers.items()}
    print("\n| preset | microseconds a plan |\n|---|---:|")
    results["plan"] = planning(synthesizers)
    for preset, seconds in results["plan"].items():
        print(f"| {preset} | {seconds * 1e6:.0f} |")
    print("\n| size | preset | " + " | ".join(STAGES) + " |\n|---:|---|" + "---:|" * len(STAGES))
    for size, by_preset in parts.items():
        for preset, share in by_preset.items():
            print(f"| {size} | {preset} | " + " | ".join(f"{share[stage]:.0%}" for stage in STAGES) + " |")
            results[f"{size}: {preset}"] = share
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
