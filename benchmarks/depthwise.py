"""Depthwise convolution with large kernels: every way, size and direction; what ``auto`` chooses from.

    python benchmarks/depthwise.py [--threads 2] [--device cpu] [--dtype float32] [--write] [--json out.json]

Milliseconds of one direction alone, the median of several; ``as given`` is torch's own with channels first, which is what
``nn.Conv2d`` does by default. GFLOP/s counts two operations for each tap of each result, whatever way it is computed, so it is
the speed that the result is delivered at; GB/s counts each picture and kernel once. The roofline is what a large matrix product
and a copy reach in the same run: the time that the operations or the bytes must take, whichever is more, as a share of the time
of the quickest way. A way that needs fewer operations may exceed it. ``--write`` puts the rows of the device into
``lkad_models/ops/crossover.json``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from defectsynth.files import write_bytes
from lkad_models.ops import by_fourier, by_torch, crossover
from lkad_models.ops.geometry import Geometry, geometry_of

Ways = tuple[Callable[[Tensor], object], ...]

CASES = (
    # batch, channels, side, kernel: the stages of `tiny` at 128 and of `base` at 256 pixels, in training and for one picture
    (8, 24, 32, 31), (8, 48, 16, 29), (8, 96, 8, 15), (8, 128, 4, 7),
    (1, 24, 64, 31), (1, 48, 32, 29), (1, 96, 16, 27), (1, 128, 8, 13),
    (4, 96, 64, 31), (4, 192, 32, 29), (4, 384, 16, 27), (4, 512, 8, 13),
    (8, 64, 32, 3), (8, 64, 32, 5), (8, 64, 32, 7), (8, 64, 32, 9), (8, 64, 32, 13), (8, 64, 32, 21), (8, 64, 32, 51),
    (1, 16, 128, 13), (1, 16, 128, 31), (1, 16, 128, 63),
)  # fmt: skip


def plain(x: Tensor, weight: Tensor, geometry: Geometry) -> Ways:
    """Torch's own in the layout that is given."""
    channels = weight.shape[0]

    def backward(gradient: Tensor, wanted: list[bool]) -> object:
        return torch.ops.aten.convolution_backward(gradient, x, weight, None, *geometry, False, [0, 0], channels, wanted)

    return (
        lambda _: torch.nn.functional.conv2d(x, weight, None, *geometry, groups=channels),
        lambda gradient: backward(gradient, [True, False, False]),
        lambda gradient: backward(gradient, [False, True, False]),
    )


def ways_of(x: Tensor, weight: Tensor) -> dict[str, Ways]:
    """Forward, gradient of the input and of the weight, by way."""
    geometry = geometry_of(x, weight, 1, "same", 1)
    size, kernel = (x.shape[2], x.shape[3]), (weight.shape[2], weight.shape[3])
    modules = {"aten": by_torch, "fft": by_fourier}
    if x.device.type == "cuda":
        from lkad_models.ops import by_triton

        modules["triton"] = by_triton

    def of(module: Any) -> Ways:
        return (
            lambda _: module.forward(x, weight, geometry),
            lambda gradient: module.input_gradient(gradient, weight, size, geometry),
            lambda gradient: module.weight_gradient(gradient, x, kernel, geometry),
        )

    return {"as given": plain(x, weight, geometry)} | {name: of(module) for name, module in modules.items()}


def milliseconds(work: Callable[[], object], device: str, least: float = 0.05, most: int = 30) -> float:
    """Of one call: the median of as many as take a twentieth of a second, three at least."""

    def once() -> float:
        begun = perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        return perf_counter() - begun

    first = once()
    times = [once() for _ in range(max(3, min(most, round(least / max(first, 1e-6)))))]
    return 1e3 * median(times)


def roofline(device: str, dtype: torch.dtype) -> tuple[float, float]:
    """Operations a second of a large matrix product, and bytes a second of a copy, read and written."""
    side, many = (8192, 2**28) if device == "cuda" else (1536, 2**25)
    factor = torch.rand(side, side, device=device).to(dtype)
    copied = torch.empty(many, dtype=torch.uint8, device=device)
    source = torch.zeros_like(copied)
    product = min(milliseconds(lambda: factor @ factor, device) for _ in range(8))
    return 2e3 * side**3 / product, 2e3 * many / min(milliseconds(lambda: copied.copy_(source), device) for _ in range(8))


@torch.no_grad()
def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{options.device}, {options.threads} threads, {options.dtype}, torch {torch.__version__}\n")
    operations_s, bytes_s = roofline(options.device, getattr(torch, options.dtype))
    print(f"matrix product {operations_s / 1e9:,.0f} GFLOP/s, copy {bytes_s / 1e9:,.1f} GB/s\n")
    columns = ("batch, channels, side, kernel", "direction", "as given", "aten", "fft", "triton", "auto", "GFLOP/s", "GB/s")
    print("| " + " | ".join((*columns, "roofline", "to as given")) + " |")
    print("|---|---|---:|---:|---:|---:|---|---:|---:|---:|---:|")
    rows: list[crossover.Row] = []
    for batch, channels, side, kernel in CASES:
        dtype = getattr(torch, options.dtype)
        x = torch.rand(batch, channels, side, side, dtype=dtype, device=options.device)
        weight = torch.rand(channels, 1, kernel, kernel, dtype=dtype, device=options.device)
        gradient = torch.rand_like(x)
        found = ways_of(x.contiguous(memory_format=torch.channels_last), weight)
        found["as given"] = plain(x, weight, geometry_of(x, weight, 1, "same", 1))
        for place, direction in enumerate(("forward", "input", "weight")):
            times = {}
            for name, way in found.items():
                given = gradient if name == "as given" else gradient.contiguous(memory_format=torch.channels_last)
                times[name] = milliseconds(lambda way=way, given=given: way[place](given), options.device)  # type: ignore[misc]  # noqa: B023
            first = times.pop("as given")
            rows.append(crossover.Row(options.device, direction, kernel, side, batch, channels, times))  # type: ignore[arg-type]
            best = rows[-1].fastest
            operations = 2.0 * batch * channels * side**2 * kernel**2
            cells = " | ".join(f"{times[name]:.2f}" if name in times else "-" for name in ("aten", "fft", "triton"))
            moved = x.element_size() * (2.0 * x.numel() + weight.numel())
            seconds = times[best] / 1e3
            share = max(operations / operations_s, moved / bytes_s) / seconds
            print(
                f"| {batch}, {channels}, {side}, {kernel} | {direction} | {first:.2f} | {cells} | {best} "
                f"| {operations / seconds / 1e9:.1f} | {moved / seconds / 1e9:.2f} | {share:.0%} | {first / times[best]:.1f} |",
                flush=True,
            )
    if options.json is not None:
        write_bytes(options.json, json.dumps([row._asdict() for row in rows], indent=1).encode())
    if options.write:
        write(rows)


def write(rows: list[crossover.Row]) -> None:
    """Puts the rows of one device in place of those that it had."""
    path = Path(crossover.__file__).parent / "crossover.json"
    kept = [row for row in (crossover.table() if path.is_file() else ()) if row.device != rows[0].device]
    lines = [
        json.dumps(row._replace(milliseconds={way: round(time, 3) for way, time in row.milliseconds.items()})._asdict())
        for row in (*kept, *rows)
    ]
    write_bytes(path, ('{"rows": [\n' + ",\n".join(lines) + "\n]}\n").encode())


if __name__ == "__main__":
    main()
