"""Milliseconds and kilobytes a picture of every PNG level, JPEG and WebP, on one core.

python benchmarks/encoding.py --images bottle/train/good grid/train/good [--size 256] [--count 20]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import mean, median
from time import perf_counter

import cv2

from defectsynth.encoding import Encoding
from defectsynth.files import list_images, read_image
from defectsynth.images import AnyImage, resize_image

ENCODINGS = {f"png, level {level}": Encoding("png", level) for level in range(10)}
ENCODINGS |= {f"{kind}, quality {quality}": Encoding(kind, quality=quality) for kind in ("jpg", "webp") for quality in (80, 95)}


def measure(encoding: Encoding, images: list[AnyImage], rounds: int) -> tuple[float, float]:
    """Median over rounds of the mean milliseconds, and the mean kilobytes."""
    times = []
    for _ in range(rounds):
        started = perf_counter()
        sizes = [len(encoding.encode(image)) for image in images]
        times.append((perf_counter() - started) / len(images))
    return median(times) * 1e3, mean(sizes) / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, nargs="+", required=True, help="folders of 8-bit pictures")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    sets = []
    for folder in arguments.images:
        paths = list_images(folder)[: arguments.count]
        sets.append([resize_image(read_image(path), (arguments.size, arguments.size)) for path in paths])
    columns = [f"{images[0].shape}: ms | kB" for images in sets]
    print("| encoding | " + " | ".join(columns) + " |\n|---|" + "---:|---:|" * len(sets))
    for name, encoding in ENCODINGS.items():
        found = [measure(encoding, images, arguments.rounds) for images in sets]
        print(f"| {name} | " + " | ".join(f"{ms:.2f} | {size:.1f}" for ms, size in found) + " |", flush=True)


if __name__ == "__main__":
    main()
