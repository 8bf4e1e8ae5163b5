"""What feeding a training loop costs: painting in DataLoader workers, in the loop's own process, and in batches on the device.

    python benchmarks/dataloader.py --images photos --textures textures [--device cuda] [--preset draem-code] [--workers 0 1 2]

Every way decodes nothing: the pictures are in memory, as uint8. Each yields batches of float32 tensors in [0, 1] on the device:
normal pictures, painted ones and masks. ``anomalib``, where it is installed, is its generator in the loop's process, as its
DRAEM uses it. A second column feeds a training step of a small U-Net and says which part of the time it waits for the batch.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from time import perf_counter

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from defectsynth import AnomalySynthesizer
from defectsynth.batched import BatchSynthesizer
from defectsynth.files import list_images, read_image
from defectsynth.images import AnyImage, resize_image, to_rgb8
from defectsynth.samples import product

Batch = tuple[Tensor, Tensor, Tensor]
SIDE = 256


class InWorkers(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Samples painted one by one wherever the loader asks for them."""

    def __init__(self, synthesizer: AnomalySynthesizer, images: list[AnyImage], count: int) -> None:
        self._synthesizer, self._images, self._count = synthesizer, images, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Batch:
        sample = self._synthesizer(self._images[index % len(self._images)], index=index)
        return _planes(sample.normal), _planes(sample.image), torch.from_numpy(sample.mask)


class Plain(Dataset[Tensor]):
    """The pictures alone."""

    def __init__(self, images: list[AnyImage], count: int) -> None:
        self._images, self._count = [_planes(image) for image in images], count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Tensor:
        return self._images[index % len(self._images)]


def _planes(image: AnyImage) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def scaled(normal: Tensor, painted: Tensor, masks: Tensor, device: torch.device) -> Batch:
    """On the device, in [0, 1]; what is moved there is uint8."""
    normal, painted, masks = (one.to(device, non_blocking=True) for one in (normal, painted, masks))
    return normal.float() / 255, painted.float() / 255, (masks > 0).float()


def painted_in_workers(data: InWorkers, workers: int, batch: int, device: torch.device) -> Iterator[Batch]:
    for normal, painted, masks in DataLoader(data, batch, num_workers=workers):
        yield scaled(normal, painted, masks, device)


def painted_in_batches(
    engine: BatchSynthesizer, data: Plain, workers: int, batch: int, device: torch.device
) -> Iterator[Batch]:
    for number, normal in enumerate(DataLoader(data, batch, num_workers=workers)):
        moved = normal.to(device, non_blocking=True)
        painted, masks, _, _ = engine(moved, indices=number * batch)
        yield scaled(moved, painted, masks, device)


def of_anomalib(textures: Path, data: Plain, batch: int, device: torch.device) -> Callable[[], Iterator[Batch]] | None:
    try:
        from anomalib.data.utils.generators.perlin import PerlinAnomalyGenerator
    except ImportError:
        return None
    generator = PerlinAnomalyGenerator(anomaly_source_path=str(textures), probability=0.5)

    def stream() -> Iterator[Batch]:
        for normal in DataLoader(data, batch):
            clean = normal.to(device).float() / 255
            painted, masks = generator(clean)
            yield clean, painted, masks

    return stream


def unet(channels: int = 8) -> nn.Module:
    """Two levels down and up: a step that is short, so that waiting shows."""

    def block(before: int, after: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU())

    return nn.Sequential(
        block(3, channels),
        nn.MaxPool2d(2),
        block(channels, 2 * channels),
        nn.MaxPool2d(2),
        block(2 * channels, 2 * channels),
        nn.Upsample(scale_factor=2),
        block(2 * channels, channels),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(channels, 1, 3, padding=1),
    )


def images_a_second(stream: Iterator[Batch], device: torch.device) -> float:
    """Of a stream that nothing is done with; its first three batches, which start workers, are left out."""
    times, count = [], 0
    started = perf_counter()
    for number, (normal, _, _) in enumerate(stream):
        _wait(device)
        if number >= 3:
            times.append(perf_counter() - started)
            count = len(normal)
        started = perf_counter()
    return count / (sum(times) / len(times))


def waiting(stream: Iterator[Batch], device: torch.device, model: nn.Module) -> tuple[float, float]:
    """Milliseconds of a training step, and the share of it that the batch took."""
    optimizer = torch.optim.Adam(model.parameters())
    steps, waits = [], []
    started = perf_counter()
    for number, (_, painted, masks) in enumerate(stream):
        _wait(device)
        ready = perf_counter()
        loss = nn.functional.binary_cross_entropy_with_logits(
            model(painted)[:, 0], masks.reshape(len(masks), *masks.shape[-2:])
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        _wait(device)
        ended = perf_counter()
        if number >= 3:
            steps.append(ended - started)
            waits.append((ready - started) / (ended - started))
        started = ended
    return 1e3 * median(steps), median(waits)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="normal pictures; a built-in product where none are given")
    parser.add_argument("--textures", type=Path, required=True)
    parser.add_argument("--preset", default="draem-code")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--batches", type=int, default=24, help="of each way")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    device, count = torch.device(arguments.device), arguments.batch * arguments.batches
    images = pictures(arguments.images)
    synthesizer = AnomalySynthesizer(arguments.preset, textures=arguments.textures, seed=1)
    engine = BatchSynthesizer(arguments.preset, textures=arguments.textures, seed=1, device=device)
    in_workers, plain = InWorkers(synthesizer, images, count), Plain(images, count)
    for index in range(count):
        in_workers[index]  # textures are decoded once
    for _ in painted_in_batches(engine, plain, 0, arguments.batch, device):
        pass
    ways: dict[str, Callable[[], Iterator[Batch]]] = {}
    for workers in arguments.workers:
        where = f"{workers} workers" if workers else "in the loop"
        ways[f"one by one, {where}"] = lambda workers=workers: painted_in_workers(in_workers, workers, arguments.batch, device)  # type: ignore[misc]
        ways[f"in batches on {device}, pictures from {where}"] = lambda workers=workers: painted_in_batches(  # type: ignore[misc]
            engine, plain, workers, arguments.batch, device
        )
    theirs = of_anomalib(arguments.textures, plain, arguments.batch, device)
    if theirs is not None:
        ways["anomalib's generator, in the loop"] = theirs
    results = {}
    print("| way | images/s | ms a step of a U-Net | of it waiting |\n|---|---:|---:|---:|")
    for name, way in ways.items():
        torch.manual_seed(0)
        rate = images_a_second(way(), device)
        step, share = waiting(way(), device, unet().to(device))
        results[name] = {"images_a_second": rate, "step_ms": step, "waiting": share}
        print(f"| {name} | {rate:,.0f} | {step:.1f} | {share:.0%} |", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2))


def pictures(folder: Path | None) -> list[AnyImage]:
    """Eight normal pictures, RGB."""
    if folder is None:
        return [product("disc", index, (SIDE, SIDE)).image for index in range(8)]
    return [resize_image(to_rgb8(read_image(path)), (SIDE, SIDE)) for path in list_images(folder)[:8]]


if __name__ == "__main__":
    main()
