"""The random numbers of a whole batch: every method of ``rng.Draws``, for many samples at once, with the same results."""

from __future__ import annotations

import math
from collections.abc import Sequence
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from defectsynth.batched.decimals import short
from defectsynth.rng import philox, philox_block

__all__ = ["BatchDraws", "Foreseen"]

_MASK = 0xFFFFFFFF
_TWO_TO_MINUS_32 = 2.0**-32
Bounds = tuple[float, float]


class Foreseen:
    """The numbers that a recipe asks for, by name and slot: the same ones of every sample, so they are drawn in one block.

    A number that was not foreseen is drawn when it is asked for, and foreseen from then on.
    """

    def __init__(self) -> None:
        self.words: dict[tuple[str, int], int] = {}
        self.uniforms: dict[tuple[str, int, Bounds], int] = {}
        self._block: tuple[tuple[int, int, torch.device], _Block] | None = None

    def block(self, device: torch.device) -> _Block:
        """Addresses and bounds as tensors."""
        key = len(self.words), len(self.uniforms), device
        if self._block is None or self._block[0] != key:
            self._block = key, _Block(list(self.words), list(self.uniforms), self.words, device)
        return self._block[1]

    def note_word(self, name: str, slot: int) -> None:
        """A number that is drawn with the others from now on."""
        self.words.setdefault((name, slot), len(self.words))

    def note_uniform(self, name: str, slot: int, bounds: Bounds) -> None:
        """The same of one between bounds."""
        self.note_word(name, slot)
        self.uniforms.setdefault((name, slot, bounds), len(self.uniforms))


class _Block:
    """Columns of the numbers that are foreseen.

    Attributes:
        parameter, slot: ``(P, 1)`` int64.
        source: ``(U,)`` int64: which word each uniform number is made of.
        low, span: ``(U, 1)`` float64.
    """

    def __init__(
        self,
        words: list[tuple[str, int]],
        uniforms: list[tuple[str, int, Bounds]],
        columns: dict[tuple[str, int], int],
        device: torch.device,
    ) -> None:
        addresses = (
            torch.tensor([(_parameter(name), slot) for name, slot in words], dtype=torch.int64).reshape(-1, 2).to(device)
        )
        self.parameter, self.slot = addresses[:, :1].contiguous(), addresses[:, 1:].contiguous()
        self.source = torch.tensor([columns[name, slot] for name, slot, _ in uniforms], dtype=torch.int64).to(device)
        bounds = torch.tensor([bounds for *_, bounds in uniforms], dtype=torch.float64).reshape(-1, 2)
        self.low, self.span = bounds[:, :1].to(device), (bounds[:, 1:] - bounds[:, :1]).to(device)


def _parameter(name: str) -> int:
    return crc32(name.encode())


class BatchDraws:
    """The random numbers of the samples of a batch, asked for by parameter name.

    Args:
        seed: the dataset's seed, 0 to 2**64 - 1.
        indices: ``(B,)`` int64, the samples' indices; those from 2**63 on as the negative number of the same bits.
        attempts: ``(B,)`` int64: which plan of each sample this is, from 0.
        foreseen: what the recipe asked for before.
    """

    def __init__(self, seed: int, indices: Tensor, attempts: Tensor, foreseen: Foreseen) -> None:
        self._key = seed & _MASK, seed >> 32
        self._index = indices & _MASK, (indices >> 32) & _MASK
        self._attempt = attempts << 16
        self._foreseen = foreseen
        self._path = ""
        block = foreseen.block(indices.device)
        self._block = self._philox(block.parameter, block.slot)
        if len(block.source):
            units = self._block[0].index_select(0, block.source).double() * _TWO_TO_MINUS_32
            self._uniforms = short(block.low + block.span * units)
        self._columns = len(block.parameter), len(block.source)

    def within(self, part: str) -> BatchDraws:
        """The same samples' numbers under a longer name."""
        other = BatchDraws.__new__(BatchDraws)
        other.__dict__.update(self.__dict__)
        other._path = f"{self._path}{part}."
        return other

    @property
    def count(self) -> int:
        """How many samples."""
        return int(self._attempt.shape[0])

    @property
    def device(self) -> torch.device:
        """Where the numbers are."""
        return self._attempt.device

    def full(self, value: float, dtype: torch.dtype = torch.float64) -> Tensor:
        """``(B,)``: a number that is the same for all samples."""
        return torch.full((self.count,), value, dtype=dtype, device=self.device)

    def unit(self, name: str, slot: int = 0) -> Tensor:
        """``(B,)`` float64 in [0, 1)."""
        return self._words(name, slot)[0].double() * _TWO_TO_MINUS_32

    def uniform(self, name: str, bounds: Bounds, slot: int = 0) -> Tensor:
        """``(B,)`` float64 in [low, high]."""
        low, high = float(bounds[0]), float(bounds[1])
        if not low < high:
            return self.full(float(f"{low:.6g}"))
        full_name = self._path + name
        column = self._foreseen.uniforms.get((full_name, slot, (low, high)))
        if column is not None and column < self._columns[1]:
            return self._uniforms[column]
        self._foreseen.note_uniform(full_name, slot, (low, high))
        return short(low + (high - low) * self.unit(name, slot))

    def log_uniform(self, name: str, bounds: Bounds, slot: int = 0) -> Tensor:
        """``(B,)`` float64 in [low, high] whose logarithm is uniform."""
        low, high = math.log(bounds[0]), math.log(bounds[1])
        return short((low + (high - low) * self.unit(name, slot)).exp().clamp(bounds[0], bounds[1]))

    def normal(self, name: str, moments: Bounds, bounds: Bounds, slot: int = 0) -> Tensor:
        """``(B,)`` float64 of a normal distribution, ``moments`` = (mean, deviation), clipped to [low, high]."""
        words = self._words(name, slot)
        radius = (-2.0 * ((words[0] + 1).double() * _TWO_TO_MINUS_32).log()).sqrt()
        turn = (2.0 * math.pi * words[1].double() * _TWO_TO_MINUS_32).cos()
        return short((moments[0] + moments[1] * radius * turn).clamp(bounds[0], bounds[1]))

    def integer(self, name: str, bounds: tuple[int, int], slot: int = 0) -> Tensor:
        """``(B,)`` int64 in [low, high]."""
        low, high = bounds
        return low + ((self._words(name, slot)[0] * (high - low + 1)) >> 32)

    def chance(self, name: str, probability: float, slot: int = 0) -> Tensor:
        """``(B,)`` bool."""
        if 0.0 < probability < 1.0:
            return self.unit(name, slot) < probability
        return self.full(probability >= 1.0, torch.bool)

    def weighted(self, name: str, weights: Sequence[float], slot: int = 0) -> Tensor:
        """``(B,)`` int64: positions in ``weights``."""
        target = self.unit(name, slot) * math.fsum(weights)
        last = max(position for position, weight in enumerate(weights) if weight > 0)
        found = self.full(last, torch.int64)
        left = self.full(True, torch.bool)
        for position, weight in enumerate(weights):
            target = target - weight
            found = torch.where(left & (target < 0), position, found)
            left = left & (target >= 0)
        return found

    def subset(self, name: str, size: int, count: int) -> Tensor:
        """``(B, count)`` int64: different positions out of ``range(size)``, in a random order."""
        count = min(count, size)
        left = torch.arange(size, device=self.device).repeat(self.count, 1)
        for slot in range(count):
            place = (slot + ((self._words(name, slot)[0] * (size - slot)) >> 32))[:, None]
            first, other = left[:, slot : slot + 1].clone(), left.gather(1, place)
            left.scatter_(1, place, first)
            left[:, slot : slot + 1] = other
        return left[:, :count]

    def noise_seed(self, name: str, slot: int = 0) -> tuple[Tensor, Tensor]:
        """``(B,)`` int64 twice: the lower and the upper 32 bits of a 52-bit seed."""
        first, second, _, _ = self._words(name, slot)
        return ((first << 20) & _MASK) | (second >> 12), first >> 12

    def _words(self, name: str, slot: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        full_name = self._path + name
        column = self._foreseen.words.get((full_name, slot))
        if column is not None and column < self._columns[0]:
            return tuple(word[column] for word in self._block)  # type: ignore[return-value]
        self._foreseen.note_word(full_name, slot)
        return self._philox(_parameter(full_name), slot)

    def _philox(self, parameter: Tensor | int, slot: Tensor | int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        counter = *self._index, parameter, self._attempt | slot
        if self.device.type == "cpu" and not torch.compiler.is_compiling():
            return _on_the_cpu(counter, self._key)
        return philox(counter, self._key)


def _on_the_cpu(counter: tuple[Tensor | int, ...], key: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The same with a third of the operations: numpy has unsigned 32-bit words."""
    counters = np.stack(np.broadcast_arrays(*counter)).astype(np.uint32)
    words = torch.from_numpy(philox_block(counters.reshape(4, -1), key).astype(np.int64)).reshape(counters.shape)
    return words[0], words[1], words[2], words[3]
