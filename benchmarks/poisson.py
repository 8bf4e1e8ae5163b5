"""Milliseconds of the blend kind ``poisson`` against ``cv2.seamlessClone``, in one run on one core: one Markdown table.

    python benchmarks/poisson.py [--rounds 9]

Both paste an 8-bit RGB patch of ``side x side`` pixels into a picture twice as wide. Rounds of both are interleaved; the table
shows medians, and how often ours fits into theirs. ``seamlessClone`` always solves on the rectangle, a disc costs it as much.
*By iteration* is ours without the direct solvers for rectangles and for few pixels: what ``LARGEST`` and ``FEW`` are chosen by.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from statistics import median
from time import perf_counter
from types import SimpleNamespace
from typing import cast
from unittest.mock import patch as replaced

import cv2
import numpy as np

from defectsynth.banks import Banks
from defectsynth.blends import solver
from defectsynth.blends.poisson import Mode, PoissonParams
from defectsynth.fill import Fill
from defectsynth.images import AnyImage, bounding_box, widened_box
from defectsynth.masks.perlin import PerlinParams
from defectsynth.memory import keep_freed_memory
from defectsynth.rng import words
from defectsynth.site import Site

SIDES = (12, 15, 32, 64, 128, 256, 320, 384, 512)
FLAGS: dict[Mode, int] = {"normal": cv2.NORMAL_CLONE, "mixed": cv2.MIXED_CLONE}


def picture(side: int, seed: int) -> AnyImage:
    """Smooth noise with grain, 8-bit RGB."""
    grain = (words(seed, (side, 3 * side)) >> np.uint32(24)).astype(np.uint8).reshape(side, side, 3)
    return cv2.addWeighted(cv2.GaussianBlur(grain, (0, 0), side / 16), 0.9, grain, 0.1, 0)


def mask_of(side: int, outline: str) -> AnyImage:
    """A square or a disc of ``side`` pixels in the middle of a picture twice as wide."""
    mask = np.zeros((2 * side, 2 * side), np.uint8)
    if outline == "square":
        mask[side // 2 : side // 2 + side, side // 2 : side // 2 + side] = 255
    else:
        y, x = np.mgrid[: 2 * side, : 2 * side] - (side - 0.5)
        mask[y * y + x * x <= (side / 2) ** 2] = 255
    return mask


def ways(side: int, outline: str, mode: Mode) -> list[Callable[[], object]]:
    """Ours, ours by iteration and OpenCV's, on the same pictures."""
    image, patch, mask = picture(2 * side, 1), picture(2 * side, 2), mask_of(side, outline)
    box = widened_box(bounding_box(mask) or (0, 0, 1, 1), PoissonParams.margin, (2 * side, 2 * side))
    where = PerlinParams(noise=0, cells=(1.0, 1.0), angle=0.0, threshold=0.0)
    site = Site(image, np.full_like(mask, 255), mask, where, box, Banks())
    params, source = PoissonParams(mode=mode), cast(Fill, SimpleNamespace(rectangle=patch[site.window]))

    def by_iteration() -> object:
        with replaced.multiple(solver, LARGEST=0, FEW=0):
            return params.blend(site, source)

    return [
        lambda: params.blend(site, source),
        by_iteration,
        lambda: cv2.seamlessClone(patch, image, mask.copy(), (side, side), FLAGS[mode]),  # it writes to its mask
    ]


def seconds(way: Callable[[], object]) -> float:
    started = perf_counter()
    way()
    return perf_counter() - started


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    cv2.setNumThreads(1)
    keep_freed_memory()
    print("| side | mask | mode | poisson, ms | by iteration, ms | seamlessClone, ms | ratio |")
    print("|---:|---|---|---:|---:|---:|---:|")
    for side in SIDES:
        for outline in ("square", "disc"):
            for mode in FLAGS:
                some = ways(side, outline, mode)
                times = [[seconds(way) for way in some] for _ in range(rounds + 1)][1:]
                ours, iterated, theirs = (1e3 * median(column) for column in zip(*times, strict=True))
                row = f"{ours:.2f} | {iterated:.2f} | {theirs:.2f} | {theirs / ours:.1f}"
                print(f"| {side} | {outline} | {mode} | {row} |", flush=True)


if __name__ == "__main__":
    main()
