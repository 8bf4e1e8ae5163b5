"""How long the studio takes to repaint its twelve samples, and how much memory many users cost: the tables of docs/studio.md.

    python benchmarks/studio.py [--images FOLDER] [--size 512] [--memory]

The studio runs in this process; requests go over the loopback, as those of the page do. What arrives is not decoded.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import cv2

from defectsynth import load_recipe
from defectsynth.studio.listening import in_thread
from defectsynth.studio.shelf import Options

TIMES = 9
HEADERS = {"Content-Type": "application/json", "X-Defectsynth-Studio": "1"}
RECIPES = ("industrial", "scratch", "stain", "draem-code", "memseg", "cutpaste", "nsa-texture")

State = dict[str, Any]


class Page:
    """What asks, in the place of a browser: one connection that stays open."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)

    def get(self, path: str) -> Any:
        self._connection.request("GET", path)
        return json.loads(self._connection.getresponse().read())

    def post(self, path: str, values: Any) -> bytes:
        self._connection.request("POST", path, json.dumps(values), HEADERS)
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        return body

    def paint(self, state: State, tile: int = 256) -> tuple[float, float]:
        """Milliseconds until the first and until the last of twelve samples is there."""
        places = [{"seed": state["seed"], "index": index} for index in range(12)]
        values = {"state": state, "places": places, "tile": tile, "views": ["anomalous"]}
        started = time.perf_counter()
        self._connection.request("POST", "/api/samples", json.dumps(values), HEADERS)
        answer = self._connection.getresponse()
        answer.read(4)
        first = time.perf_counter()
        answer.read()
        return 1000 * (first - started), 1000 * (time.perf_counter() - started)


@contextmanager
def served(options: Options) -> Iterator[Page]:
    with in_thread(options) as (_, port):
        yield Page(port)


def weighted(state: State, turn: int) -> State:
    """A slider that only samples of one kind follow: the size of the first kind's mask."""
    changed = deepcopy(state)
    mask = next(iter(changed["recipe"]["kinds"].values()))["mask"]
    if mask.get("area_range"):
        mask["area_range"] = [mask["area_range"][0], min(1.0, mask["area_range"][1] * (1.05 + 0.01 * turn))]
    else:
        mask["area_range"] = [0.005, 0.03 + 0.001 * turn]
    return changed


def everything(state: State, turn: int) -> State:
    """A change that reaches every sample: all twelve are painted again."""
    return {
        **deepcopy(state),
        "recipe": {**state["recipe"], "min_difference": state["recipe"]["min_difference"] * (1 - 0.01 * (turn + 1))},
    }


def next_seed(state: State, turn: int) -> State:
    """Other samples, on other pictures."""
    return {**state, "seed": turn + 1}


def measured(page: Page, state: State, change: Callable[[State, int], State]) -> str:
    firsts, lasts = zip(*(page.paint(change(state, turn)) for turn in range(TIMES)), strict=True)
    return f"{statistics.median(firsts):.0f} / {statistics.median(lasts):.0f} / {max(lasts):.0f}"


def table(images: str | None, size: int) -> None:
    print("| recipe | opened first | one kind's slider | a slider of all | next seed |\n|---|---:|---:|---:|---:|")
    for name in RECIPES:
        with served(Options(load_recipe(name), images=images)) as page:
            state = page.get("/api/setup")["start"] | {"size": [size, size]}
            cold = f"{page.paint(state)[1]:.0f}"
            row = [measured(page, state, change) for change in (weighted, everything, next_seed)]
            print(f"| `{name}` | {cold} | {' | '.join(row)} |", flush=True)


def resident() -> float:
    """MiB that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


def memory(images: str | None, users: int = 50) -> None:
    with served(Options(load_recipe("industrial"), images=images)) as page:
        start = page.get("/api/setup")["start"]
        print("| users so far | MiB |\n|---:|---:|")
        for user in range(4 * users + 1):
            if user % users == 0:
                print(f"| {user} | {resident():.0f} |", flush=True)
            state = weighted({**start, "seed": user, "size": [256, 256]}, user % 50)
            page.paint(state)
            for path in ("/api/yaml", "/api/command"):
                page.post(path, {"state": state})
            page.post("/api/check", {"recipe": state["recipe"]})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", default=None)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--memory", action="store_true", help="memory in place of time: a process of its own has no other's")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    if arguments.memory:
        memory(arguments.images)
        return
    print(f"first / all twelve (median) / all twelve (worst of {TIMES}), milliseconds, {arguments.size} x {arguments.size}\n")
    table(arguments.images, arguments.size)


if __name__ == "__main__":
    main()
