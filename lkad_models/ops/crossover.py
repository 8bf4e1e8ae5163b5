"""Which way a depthwise convolution goes under ``auto``: what was the fastest for the measured size that is nearest.

The table is ``crossover.json``; ``python benchmarks/depthwise.py --write`` makes it. A device that it has no rows of, a stride
and a dilation go by torch's own.
"""

from __future__ import annotations

import json
import math
from functools import lru_cache
from importlib.resources import files
from typing import Literal, NamedTuple

from torch import Tensor

from lkad_models.ops.geometry import Geometry

__all__ = ["Direction", "Row", "choose", "table"]

Direction = Literal["forward", "input", "weight"]


class Row(NamedTuple):
    """One measurement.

    Attributes:
        device: ``cpu`` or ``cuda``.
        direction: ``forward``, or the gradient of what.
        kernel, side: of kernel and map, in pixels.
        batch, channels: of the map.
        milliseconds: of each way that was measured.
    """

    device: str
    direction: Direction
    kernel: int
    side: int
    batch: int
    channels: int
    milliseconds: dict[str, float]

    @property
    def fastest(self) -> str:
        """The way."""
        return min(self.milliseconds, key=lambda way: self.milliseconds[way])


def choose(direction: Direction, x: Tensor, weight: Tensor, geometry: Geometry) -> str:
    """``aten``, ``fft`` or ``triton``."""
    if not geometry.plain:
        return "aten"
    kernel, side = math.sqrt(weight.shape[2] * weight.shape[3]), math.sqrt(x.shape[2] * x.shape[3])
    return _nearest(x.device.type, direction, kernel, side, x.shape[0], x.shape[1])


@lru_cache(maxsize=4096)
def _nearest(device: str, direction: Direction, kernel: float, side: float, batch: int, channels: int) -> str:
    """By the ratios of the sizes; kernel and side say most of what decides."""
    rows = [row for row in table() if row.device == device and row.direction == direction]
    if not rows:
        return "aten"

    def distance(row: Row) -> float:
        ratios = (kernel / row.kernel, side / row.side, (batch / row.batch) ** 0.25, (channels / row.channels) ** 0.25)
        return sum(math.log(ratio) ** 2 for ratio in ratios)

    return min(rows, key=distance).fastest


@lru_cache(maxsize=1)
def table() -> tuple[Row, ...]:
    """Every measurement."""
    text = (files("lkad_models.ops") / "crossover.json").read_text()
    return tuple(Row(**row) for row in json.loads(text)["rows"])
