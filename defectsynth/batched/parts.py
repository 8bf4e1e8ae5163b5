"""What was drawn for a batch: tensors by name, one row for each sample."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["Drawn", "chosen", "rows_of"]

Drawn = dict[str, Tensor]


def rows_of(drawn: Drawn, rows: Tensor) -> Drawn:
    """What was drawn for some samples, by their positions ``(R,)``."""
    return {name: values[rows] for name, values in drawn.items()}


def chosen(among: Sequence[Drawn], which: Tensor) -> Drawn:
    """For each sample, ``(B,)``, one of several draws of the same names."""
    first = dict(among[0])
    for number, drawn in enumerate(among[1:], start=1):
        for name, values in drawn.items():
            where = (which == number).reshape(-1, *[1] * (values.ndim - 1))
            first[name] = torch.where(where, values, first[name])
    return first
