"""What each adapter keeps of the synthesizer's speed: images a second through it, as a share of the bare one's.

    python benchmarks/adapters.py --images photos --textures textures [--size 256] [--recipes draem-code industrial]

One core, one thread. Pictures are decoded before, and one synthesizer, whose sources are read by then, paints for all. Bare, it
returns its sample; an adapter returns what its host expects: float tensors, PIL pictures, rows that went through files. A host
that gives floats is compared with painting floats. Hosts that draw the number of a sample are made to take numbers in turn, so
that all paint the same. Rounds of all are interleaved; the table shows medians.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from defectsynth import AnomalySynthesizer, load_recipe
from defectsynth.files import list_images, read_image, write_bytes
from defectsynth.images import AnyImage, resize_image, to_rgb8

BLOCK = 12
WARM_UP = 1500


def bare(images: list[AnyImage], synthesizer: AnomalySynthesizer) -> Iterator[Any]:
    for index in count():
        yield synthesizer(images[index % len(images)], index=index)


def bare_floats(images: list[AnyImage], synthesizer: AnomalySynthesizer) -> Iterator[Any]:
    yield from bare([image.astype(np.float32) / 255 for image in images], synthesizer)


def dataset(layout: str) -> Callable[..., Iterator[Any]]:
    def run(images: list[AnyImage], synthesizer: AnomalySynthesizer) -> Iterator[Any]:
        from defectsynth.integrations.pytorch import SyntheticAnomalyDataset

        found = SyntheticAnomalyDataset(images, synthesizer, layout=layout)  # type: ignore[arg-type]
        for epoch in count():
            found.set_epoch(epoch)
            for place in range(len(found)):
                yield found[place]

    return run


def in_turn() -> Callable[[int, float], tuple[torch.Tensor, torch.Tensor]]:
    """In place of drawing the number of a sample."""
    numbers = count()
    return lambda pictures, p: (torch.tensor([next(numbers)]), torch.ones(1, dtype=torch.bool))


def torchvision(images: list[AnyImage], synthesizer: AnomalySynthesizer) -> Iterator[Any]:
    from torchvision import tv_tensors

    from defectsynth.integrations import tensors as tensors_of
    from defectsynth.integrations.torchvision import SynthesizeAnomaly

    own = in_turn()
    transform = SynthesizeAnomaly(synthesizer)
    tensors = [tv_tensors.Image(image.transpose(2, 0, 1).copy()) for image in images]
    masks = [tv_tensors.Mask(np.zeros(image.shape[:2], np.uint8)) for image in images]
    for index in count():
        place = index % len(images)
        tensors_of.draw = own  # type: ignore[assignment]
        yield transform({"image": tensors[place], "mask": masks[place]})


def anomalib(images: list[AnyImage], synthesizer: AnomalySynthesizer) -> Iterator[Any]:
    from defectsynth.integrations import tensors as tensors_of
    from defectsynth.integrations.anomalib import AnomalyGenerator

    own = in_turn()
    generator = AnomalyGenerator(synthesizer, probability=1.0)
    tensors = [torch.from_numpy(image.transpose(2, 0, 1).copy()).float() / 255 for image in images]
    for index in count():
        tensors_of.draw = own  # type: ignore[assignment]
        yield generator(tensors[index % len(images)])


def albumentations(images: list[AnyImage], synthesizer: AnomalySynthesizer) -> Iterator[Any]:
    import albumentations as A

    from defectsynth.integrations.albumentations import SynthesizeAnomaly

    transform = SynthesizeAnomaly(p=1.0)
    transform._synthesizer = synthesizer
    numbers = count()
    transform.get_params = lambda: {"index": next(numbers)}  # type: ignore[method-assign]
    pipeline = A.Compose([transform], seed=0)
    masks = [np.zeros(image.shape[:2], np.uint8) for image in images]
    for index in count():
        place = index % len(images)
        yield pipeline(image=images[place], mask=masks[place])


def on_access(images: list[AnyImage], synthesizer: AnomalySynthesizer) -> Iterator[Any]:
    import datasets

    from defectsynth.integrations import huggingface

    pictures = datasets.Dataset.from_dict({"place": list(range(len(images)))})
    plain = [Image.fromarray(image) for image in images]
    transform = huggingface.OnAccess(synthesizer, "image", len(images))
    for index in count():  # reading the normal picture is the host's
        place = index % len(images)
        transform.epoch = index // len(images)
        yield transform({"image": [plain[place]], "sample_index": [pictures[place]["place"]]})


def stream(images: list[AnyImage], synthesizer: AnomalySynthesizer) -> Iterator[Any]:
    from defectsynth.integrations import huggingface

    yield from huggingface.stream(images, synthesizer, count=10**9)


FLOATS = "bare synthesizer, float"
ADAPTERS: dict[str, Callable[..., Iterator[Any]]] = {
    "bare synthesizer": bare,
    FLOATS: bare_floats,
    "PyTorch, tuple": dataset("tuple"),
    "PyTorch, dict": dataset("dict"),
    "PyTorch, draem": dataset("draem"),
    "torchvision v2, uint8": torchvision,
    "anomalib's generator, float": anomalib,
    "albumentations, uint8": albumentations,
    "datasets, on access": on_access,
    "datasets, stream": stream,
}


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--textures", type=Path, required=True)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--recipes", nargs="+", default=["draem-code", "industrial"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    files = list_images(options.images)[:BLOCK]
    images = [resize_image(to_rgb8(read_image(path)), (options.size, options.size)) for path in files]
    lines = []
    print("| recipe | adapter | ms | images/s | of the bare one |\n|---|---|---:|---:|---:|")
    for name in options.recipes:
        recipe = load_recipe(name).with_settings(["normal_fraction=0"])
        textures = str(options.textures) if "textures" in recipe.needs else None
        synthesizer = AnomalySynthesizer(recipe, textures=textures)
        for index in range(WARM_UP):
            synthesizer(images[index % len(images)], index=index)
        streams = {key: adapter(images, synthesizer) for key, adapter in ADAPTERS.items()}
        times: dict[str, list[float]] = {key: [] for key in streams}
        for turn in range(options.rounds + 2):
            for key, samples in streams.items():
                begun = perf_counter()
                for _ in range(BLOCK):
                    next(samples)
                if turn >= 2:
                    times[key].append((perf_counter() - begun) / BLOCK)
        for key, found in times.items():
            first = median(times[FLOATS if key.endswith(", float") else "bare synthesizer"])
            middle = median(found)
            lines.append({"recipe": name, "adapter": key, "ms": 1e3 * middle, "share": first / middle})
            print(f"| {name} | {key} | {1e3 * middle:.2f} | {1 / middle:.0f} | {first / middle:.0%} |", flush=True)
    if options.json is not None:
        write_bytes(options.json, json.dumps(lines, indent=1).encode())


if __name__ == "__main__":
    main()
