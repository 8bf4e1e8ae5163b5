"""Seconds that ``import defectsynth`` takes in a new process, beside the libraries that it stands on.

python benchmarks/import_time.py
"""

from __future__ import annotations

import subprocess
import sys
from statistics import median
from time import perf_counter

ROUNDS = 9


def seconds(code: str) -> float:
    started = perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return perf_counter() - started


def main() -> None:
    rows = {"nothing": "pass", "numpy and cv2": "import numpy, cv2", "defectsynth": "import defectsynth"}
    times: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(ROUNDS):
        for name, code in rows.items():
            times[name].append(seconds(code))
    print("| import | s |\n|---|---:|")
    for name, values in times.items():
        print(f"| {name} | {median(values):.2f} |")


if __name__ == "__main__":
    main()
