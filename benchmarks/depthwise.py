"""Depthwise convolution with a large kernel on the CPU: torch's own gradients against those by Fourier transforms.

    python benchmarks/depthwise.py [--threads 2]

Milliseconds of one pass forward and backward, and of the forward pass alone, median of several; both in ``channels_last``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from statistics import median
from time import perf_counter

import torch
from torch import Tensor
from torch.nn import functional as F

from lkad_models.ops import depthwise_conv2d

CASES = ((8, 24, 32, 31), (8, 48, 16, 29), (8, 24, 64, 31), (8, 48, 32, 29), (8, 96, 16, 27), (8, 96, 64, 31), (1, 24, 32, 31))


def direct(x: Tensor, weight: Tensor) -> Tensor:
    return F.conv2d(x, weight, padding=weight.shape[-1] // 2, groups=weight.shape[0])


def milliseconds(work: Callable[[], object], rounds: int) -> float:
    work()
    times = []
    for _ in range(rounds):
        started = perf_counter()
        work()
        times.append(1e3 * (perf_counter() - started))
    return median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{arguments.threads} threads, torch {torch.__version__}\n")
    print("| batch, channels, side, kernel | forward | torch, with backward | by Fourier, with backward | times |")
    print("|---|---:|---:|---:|---:|")
    for batch, channels, side, kernel in CASES:
        x = torch.rand(batch, channels, side, side).contiguous(memory_format=torch.channels_last).requires_grad_()
        weight, outer = torch.rand(channels, 1, kernel, kernel, requires_grad=True), torch.rand(batch, channels, side, side)
        with torch.no_grad():
            forward = milliseconds(lambda x=x, weight=weight: direct(x, weight), arguments.rounds)  # type: ignore[misc]
        found = [
            milliseconds(lambda way=way, x=x, weight=weight, outer=outer: way(x, weight).backward(outer), arguments.rounds)  # type: ignore[misc]
            for way in (direct, depthwise_conv2d)
        ]
        case = f"{batch}, {channels}, {side}, {kernel}"
        print(f"| {case} | {forward:.1f} | {found[0]:.1f} | {found[1]:.1f} | {found[0] / found[1]:.1f} |", flush=True)


if __name__ == "__main__":
    main()
