"""Which operations of an enhancement were drawn for each sample of a batch, and their numbers; see ``sources/enhance.py``."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import torch
from torch import Tensor

from defectsynth.batched.constants import constant
from defectsynth.batched.draws import BatchDraws
from defectsynth.batched.parts import Drawn
from defectsynth.sources.enhance import Enhance, Operation, OperationName

__all__ = ["CODES", "NAMES", "OPERATION", "draw_enhancement", "one_by_one", "rotation_of", "times"]

NAMES: tuple[OperationName, ...] = get_args(OperationName)
CODES: dict[str, int] = {name: code for code, name in enumerate(NAMES)}
"""The operations by number."""
OPERATION = "operation"
"""What the drawn operations are called: ``(B, count)`` int64, codes in order."""
_UNREACHED = 256.0  # a threshold of solarize that no value reaches


def draw_enhancement(spec: Enhance, draws: BatchDraws) -> Drawn:
    """``operation``, and by the name of each operation that can be drawn its numbers, ``(B, numbers)`` float64."""
    codes = constant(tuple(CODES[name] for name in spec.operations), torch.int64, draws.device)
    drawn: Drawn = {OPERATION: codes[draws.subset("operations", len(spec.operations), spec.count)]}
    for name in spec.operations if spec.count else ():
        if name in _DRAW:
            drawn[name] = torch.stack(_DRAW[name](draws), dim=1)
    if "solarize" in drawn:
        coin = draws.chance("solarize_coin", spec.solarize_probability)
        drawn["solarize"] = torch.where(coin[:, None], drawn["solarize"], _UNREACHED)
    return drawn


def times(drawn: Drawn, name: str) -> Tensor:
    """``(B,)`` int64: how often an operation was drawn."""
    return (drawn[OPERATION] == CODES[name]).sum(dim=1)


def rotation_of(drawn: Drawn) -> Tensor | float:
    """``(B,)``: degrees anticlockwise that ``affine`` adds, or 0."""
    return drawn["affine"][:, 0] * times(drawn, "affine") if "affine" in drawn else 0.0


def one_by_one(drawn: Drawn) -> list[tuple[Operation, ...]]:
    """The operations of each sample, as ``Enhance.draw`` makes them."""
    numbers = {CODES[name]: values.tolist() for name, values in drawn.items() if name in CODES}
    return [
        tuple((NAMES[code], tuple(numbers[code][row]) if code in numbers else ()) for code in codes)
        for row, codes in enumerate(drawn[OPERATION].tolist())
    ]


def _uniform(*ranges: tuple[str, tuple[float, float]]) -> Callable[[BatchDraws], list[Tensor]]:
    return lambda draws: [draws.uniform(name, bounds) for name, bounds in ranges]


_DRAW: dict[str, Callable[[BatchDraws], list[Tensor]]] = {  # the same names and ranges as in ``sources/enhance.py``
    "gamma": lambda draws: [draws.uniform("gamma", (0.5, 2.0), slot) for slot in range(3)],
    "brightness": _uniform(("brightness_mul", (0.8, 1.2)), ("brightness_add", (-30, 30))),
    "sharpness": _uniform(("sharpness", (0.0, 3.0))),
    "hue_saturation": _uniform(("hue", (-50, 50)), ("saturation", (-50, 50))),
    "solarize": _uniform(("solarize", (32, 128))),
    "posterize": lambda draws: [draws.integer("posterize", (1, 8)).double()],
    "autocontrast": _uniform(("autocontrast", (0, 20))),
    "affine": _uniform(("affine", (-45, 45))),
    "contrast": _uniform(("contrast", (0.5, 2.0))),
}
