"""What keeping freed memory saves: arrays of a picture's size, made and dropped, before and after.

    python benchmarks/memory.py

Prints microseconds to make, fill and drop six float32 arrays of each size; ``reused`` fills six that are there already.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import perf_counter

import numpy as np
import numpy.typing as npt

from defectsynth.memory import keep_freed_memory

SIZES = (256, 512, 1024)


def microseconds(work: Callable[[], object], repeats: int = 200) -> float:
    work()
    started = perf_counter()
    for _ in range(repeats):
        work()
    return (perf_counter() - started) / repeats * 1e6


def made(size: int) -> None:
    filled([np.empty((size, size), dtype=np.float32) for _ in range(6)])


def filled(arrays: list[npt.NDArray[np.float32]]) -> None:
    for array in arrays:
        array.fill(1)


def main() -> None:
    before = {size: microseconds(partial(made, size)) for size in SIZES}
    keep_freed_memory()
    print("| side | made anew | kept | reused |\n|---:|---:|---:|---:|")
    for size in SIZES:
        arrays = [np.empty((size, size), dtype=np.float32) for _ in range(6)]
        reused = microseconds(partial(filled, arrays))
        print(f"| {size} | {before[size]:.0f} | {microseconds(partial(made, size)):.0f} | {reused:.0f} |")


if __name__ == "__main__":
    main()
