"""Images a second of the batched engine, beside the plain painter in the same run.

    python benchmarks/batched.py --textures textures [--device cuda] [--presets draem-code] [--batches 8 32 128] [--json FILE]
    python benchmarks/batched.py --textures textures --device cuda --batches 256 --steps 10000

One thread on the CPU (set OMP_NUM_THREADS=1 as well). Every round asks all ways for the same samples; the table shows medians.
The plain painter paints one picture after the other; ``stacked`` copies its pictures, masks and defect maps into the three
tensors that the engine returns, as a data loader does. ``of copying`` is how many bytes of pictures, masks and defect maps the
engine reads and writes in a second, over those of a plain copy of a large tensor on the same device. On ``cuda`` the engine
runs as it is, compiled, and compiled with CUDA graphs. ``--steps`` paints as many batches in a row: how many of them took twice
the median, and the device's memory after a tenth of them and at the end.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from defectsynth import AnomalySynthesizer, TextureBank
from defectsynth.batched import BatchSynthesizer, supported_presets
from defectsynth.samples import product
from defectsynth.textures import open_textures

COPIED = 2**28  # bytes, far more than any cache holds
COMPILED: dict[str, bool | dict[str, str]] = {"compiled": True, "CUDA graphs": {"mode": "reduce-overhead"}}


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(way: Callable[[int], object], rounds: int, device: torch.device) -> list[float]:
    """Of each of a number of calls, after one that is left out."""
    times = []
    for number in range(rounds + 1):
        wait(device)
        started = perf_counter()
        way(number)
        wait(device)
        times.append(perf_counter() - started)
    return times[1:]


def copied_bytes(device: torch.device) -> float:
    """Bytes that are read and written in a second when a tensor is copied."""
    source = torch.ones(COPIED, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * COPIED / median(seconds(lambda _: target.copy_(source), 10, device))


class Batch:
    """Normal pictures on a device, as both ways take them."""

    def __init__(self, count: int, size: int, device: torch.device) -> None:
        self.pictures = [product("disc", number % 32, (size, size)).image for number in range(count)]
        self.images = torch.from_numpy(np.stack(self.pictures)).permute(0, 3, 1, 2).contiguous().to(device)
        self.roi = np.full((size, size), 255, dtype=np.uint8)
        self.regions = torch.from_numpy(self.roi).to(device)
        self.bytes = 2 * self.images.numel() + count * size * size * (1 + 4)

    def engine(self, engine: BatchSynthesizer) -> Callable[[int], object]:
        return lambda number: engine(self.images, indices=number * len(self.pictures), roi=self.regions)

    def one_by_one(self, painter: AnomalySynthesizer, number: int) -> list[Any]:
        first = number * len(self.pictures)
        return [painter(picture, index=first + place, roi=self.roi) for place, picture in enumerate(self.pictures)]

    def stacked(self, painter: AnomalySynthesizer, number: int) -> tuple[Tensor, ...]:
        samples = self.one_by_one(painter, number)
        images = torch.from_numpy(np.stack([sample.image for sample in samples])).permute(0, 3, 1, 2).contiguous()
        rest = ([sample.mask for sample in samples], [sample.defect_map for sample in samples])
        return tuple(each.to(self.images.device) for each in (images, *(torch.from_numpy(np.stack(each)) for each in rest)))


def engines(preset: str, bank: TextureBank, device: torch.device) -> dict[str, BatchSynthesizer]:
    made = {"engine": BatchSynthesizer(preset, textures=bank, device=device)}
    if device.type == "cuda":
        made |= {
            name: BatchSynthesizer(preset, textures=bank, device=device, compile=options) for name, options in COMPILED.items()
        }
    return made


def measure(ways: dict[str, Callable[[int], object]], rounds: int, device: torch.device) -> dict[str, float]:
    """Median seconds of each way; rounds of all ways are interleaved, so that a slower spell of the machine falls on all."""
    for way in ways.values():
        seconds(way, 3, device)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, way in ways.items():
            wait(device)
            started = perf_counter()
            way(number)
            wait(device)
            times[name].append(perf_counter() - started)
    return {name: median(values) for name, values in times.items()}


def table(arguments: argparse.Namespace, bank: TextureBank, device: torch.device) -> list[dict[str, Any]]:
    bandwidth = copied_bytes(device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU, one thread"
    print(f"{name}, torch {torch.__version__}, {arguments.size} px, {len(bank)} textures, copy {bandwidth / 1e9:.1f} GB/s\n")
    print("| preset | batch | way | ms a batch | images/s | times the plain painter | times it, stacked | of copying |")
    print("|---|---:|---|---:|---:|---:|---:|---:|")
    rows = []
    for preset in arguments.presets:
        painter, made = AnomalySynthesizer(preset, textures=bank), engines(preset, bank, device)
        for count in arguments.batches:
            batch = Batch(count, arguments.size, device)
            plain: dict[str, Callable[[int], object]] = {
                "plain painter": partial(batch.one_by_one, painter),
                "plain painter, stacked": partial(batch.stacked, painter),
            }
            found = measure(plain | {way: batch.engine(engine) for way, engine in made.items()}, arguments.rounds, device)
            for way, taken in found.items():
                row = {
                    "preset": preset,
                    "batch": count,
                    "way": way,
                    "seconds": taken,
                    "images_per_second": count / taken,
                    "times_plain": found["plain painter"] / taken,
                    "times_stacked": found["plain painter, stacked"] / taken,
                    "of_copying": batch.bytes / taken / bandwidth,
                }
                rows.append(row)
                print(
                    f"| {preset} | {count} | {way} | {taken * 1e3:.2f} | {count / taken:,.0f} | {row['times_plain']:.2f} | "
                    f"{row['times_stacked']:.2f} | {row['of_copying']:.1%} |",
                    flush=True,
                )
    return rows


def long_run(arguments: argparse.Namespace, bank: TextureBank, device: torch.device) -> dict[str, Any]:
    """Many batches in a row: dips, and memory that is not given back."""
    engine = engines(arguments.presets[0], bank, device)["engine"]
    paint = Batch(arguments.batches[0], arguments.size, device).engine(engine)
    seconds(paint, 10, device)
    first = seconds(paint, arguments.steps // 10, device)
    early = memory(device)
    times = first + seconds(lambda number: paint(number + len(first)), arguments.steps - len(first), device)
    engine.check()
    usual = median(times)
    dips = sum(taken > 2 * usual for taken in times)
    print(
        f"{len(times):,} batches of {arguments.batches[0]}, {arguments.presets[0]}: median {usual * 1e3:.2f} ms, slowest "
        f"{max(times) * 1e3:.2f} ms, {dips} took twice the median; memory {early / 2**20:,.0f} MiB after a tenth, "
        f"{memory(device) / 2**20:,.0f} MiB at the end"
    )
    return {"steps": len(times), "median": usual, "slowest": max(times), "dips": dips, "early": early, "end": memory(device)}


def memory(device: torch.device) -> int:
    """Bytes: the most that was reserved on the device, or the most that the process has held."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_reserved(device))
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def load(bank: TextureBank, shape: tuple[int, int]) -> None:
    """Reads all textures, so that no way has to when it is measured; the cache holds about 650 of 256 x 256."""
    for name in bank.names:
        fitted = bank.fitted(name, shape)
        _ = bank.hash_of(name), fitted.histogram, bank.smooth(name, shape)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--textures", default="builtin:all", help="a folder of textures; those that code paints where none is given"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--presets", nargs="+", default=supported_presets())
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 32, 128])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    bank, device = open_textures(arguments.textures), torch.device(arguments.device)
    load(bank, (arguments.size, arguments.size))
    results: Any = long_run(arguments, bank, device) if arguments.steps else table(arguments, bank, device)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
