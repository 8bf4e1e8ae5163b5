"""The look-up tables of the enhancement of each picture of a batch; see ``sources/operations.py``.

Tables that follow each other are one table; an operation that mixes channels stands between two of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from defectsynth.batched.enhance import CODES, OPERATION
from defectsynth.batched.parts import Drawn

__all__ = ["MIXING", "Tables", "look_up_tables"]

MIXING = ("hue_saturation", "greyscale")
"""Operations that are no tables."""


class Tables(NamedTuple):
    """What is done to the values of ``R`` pictures: a table, what mixes channels, a table, and so on.

    Attributes:
        tables: one more than ``mixes``, each ``(R, 3, 256)`` uint8.
        mixes: each ``(R,)`` int64: the code of the operation, or -1 for none.
    """

    tables: list[Tensor]
    mixes: list[Tensor]


def look_up_tables(drawn: Drawn, names: tuple[str, ...], histogram: Tensor) -> Tables:
    """The tables of an enhancement.

    Args:
        drawn: see ``draw_enhancement``.
        names: the operations that can have been drawn.
        histogram: ``(R, 3, 256)`` float64, of the canvases.
    """
    operation = drawn[OPERATION]
    mixing = torch.stack([operation == CODES[name] for name in MIXING]).any(0)
    before = mixing.cumsum(1)
    most = min(operation.shape[1], sum(name in MIXING for name in names))
    mixes = [torch.where(mixing & (before == place + 1), operation, -1).amax(1) for place in range(most)]
    maker = _Maker(drawn, names, histogram)
    tables, whole = [maker.ramp] * (most + 1), maker.ramp
    for slot in range(operation.shape[1]):
        table = maker.table(operation[:, slot], whole)
        whole = _after(whole, table)
        for place in range(most + 1):
            here = (before[:, slot] == place)[:, None, None]
            tables[place] = torch.where(here, _after(tables[place], table), tables[place])
    return Tables(tables, mixes)


def _after(first: Tensor, second: Tensor) -> Tensor:
    """The table that looks up in one and then in another, ``(R, 3, 256)``."""
    return second.gather(2, first.long())


class _Maker:
    """Makes the table of each picture's operation.

    Attributes:
        ramp: ``(R, 3, 256)`` uint8: tables that change nothing.
    """

    def __init__(self, drawn: Drawn, names: tuple[str, ...], histogram: Tensor) -> None:
        count, device = histogram.shape[0], histogram.device
        self.ramp = torch.arange(256, dtype=torch.uint8, device=device).expand(count, 3, 256)
        self._histogram = histogram
        nothing = histogram.new_zeros((count, 0))
        self._numbers = {name: drawn.get(name, nothing)[:, :, None] for name in names}
        levels = torch.arange(256, dtype=torch.float64, device=device).expand(count, 1, 256)
        self._by_numbers = {
            name: _to_table(_BY_NUMBERS[name](levels, numbers))
            for name, numbers in self._numbers.items()
            if name in _BY_NUMBERS
        }

    def table(self, code: Tensor, before: Tensor) -> Tensor:
        """The tables of the operations ``(R,)`` after those ``before``; what mixes channels has one that changes nothing."""
        tables, counts = self.ramp, None
        for name, numbers in self._numbers.items():
            made = self._by_numbers.get(name)
            if name in _BY_HISTOGRAM:
                counts = self._counts(before) if counts is None else counts
                made = _to_table(_BY_HISTOGRAM[name](numbers, counts))
            if made is not None:
                tables = torch.where((code == CODES[name])[:, None, None], made, tables)
        return tables

    def _counts(self, before: Tensor) -> Tensor:
        """The histograms after every value was looked up in the tables before."""
        return torch.zeros_like(self._histogram).scatter_add(2, before.long(), self._histogram)


def _to_table(values: Tensor) -> Tensor:
    return values.clamp(0.0, 255.0).round().to(torch.uint8).expand(-1, 3, -1)


# --- by numbers: of a ramp (r, 1, 256) and (r, numbers, 1) ------------------------------------------------------------------


def _posterize(ramp: Tensor, numbers: Tensor) -> Tensor:
    step = torch.exp2(8.0 - numbers)
    return (ramp / step).floor() * step


_BY_NUMBERS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "gamma": lambda ramp, numbers: 255.0 * (ramp / 255.0) ** numbers,
    "brightness": lambda ramp, numbers: ramp * numbers[:, :1] + numbers[:, 1:],
    "solarize": lambda ramp, numbers: torch.where(numbers <= ramp, 255.0 - ramp, ramp),
    "posterize": _posterize,
    "invert": lambda ramp, numbers: 255.0 - ramp,
}


# --- by a histogram: of (r, numbers, 1) and counts (r, 3, 256) --------------------------------------------------------------


def _ramp_of(counts: Tensor) -> Tensor:
    return torch.arange(256, dtype=counts.dtype, device=counts.device).expand_as(counts)


def _autocontrast(numbers: Tensor, counts: Tensor) -> Tensor:
    cut = numbers / 100.0 * counts.sum(2, keepdim=True)
    low = (counts.cumsum(2) <= cut).sum(2, keepdim=True)
    high = 255 - (counts.flip(2).cumsum(2) <= cut).sum(2, keepdim=True)
    ramp = _ramp_of(counts)
    return torch.where(high <= low, ramp, (ramp - low) * 255.0 / (high - low).clamp(min=1))


def _equalize(numbers: Tensor, counts: Tensor) -> Tensor:
    ramp, up_to = _ramp_of(counts), counts.cumsum(2)
    last = torch.where(counts > 0, ramp, 0.0).amax(2, keepdim=True).long()
    levels = up_to[:, :, -1:] - counts.gather(2, last)
    return torch.where(levels == 0, ramp, (up_to - counts) * 255.0 / levels.clamp(min=1.0))


def _contrast(numbers: Tensor, counts: Tensor) -> Tensor:
    ramp = _ramp_of(counts)
    means = (counts * ramp).sum(2) / counts.sum(2)
    grey = (0.299 * means[:, 0] + 0.587 * means[:, 1] + 0.114 * means[:, 2])[:, None, None]
    return (ramp[:, :1] - grey) * numbers + grey


_BY_HISTOGRAM: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "autocontrast": _autocontrast,
    "equalize": _equalize,
    "contrast": _contrast,
}
