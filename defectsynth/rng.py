"""Random numbers that have an address instead of a state (Philox4x32-10).

Key = the dataset's seed; counter = (sample index, parameter, slot). Asking for a number changes nothing, so the order
of the questions, the number of workers, a restart, or a parameter added to a recipe changes no other number.

Source: Salmon et al., *Parallel Random Numbers: As Easy as 1, 2, 3*, SC 2011; published vectors in ``tests/test_rng.py``.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from defectsynth.errors import InputError

__all__ = ["Draws", "address", "philox", "words"]

_MASK = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_TWO_TO_MINUS_32 = 2.0**-32
_MAX_SEED = 2**64


def philox(counter: tuple[Any, Any, Any, Any], key: tuple[Any, Any]) -> tuple[Any, Any, Any, Any]:
    """Four 32-bit words for a 128-bit counter and a 64-bit key.

    Works on Python integers, numpy ``uint64`` arrays and torch ``int64`` tensors (whose products wrap) with the same
    bits; each element holds one 32-bit word. Arrays broadcast.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        low, high = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            ((high >> 32) & _MASK) ^ c1 ^ k0,
            high & _MASK,
            ((low >> 32) & _MASK) ^ c3 ^ k1,
            low & _MASK,
        )
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return c0, c1, c2, c3


def words(seed: int, shape: tuple[int, int], tag: int = 0) -> npt.NDArray[np.uint32]:
    """An array ``shape = (rows, columns)`` of 32-bit words; the word at (row, column) does not depend on ``shape``."""
    rows, columns = shape
    blocks = -(-columns // 4)
    row = np.arange(rows, dtype=np.uint64)[:, None]
    block = np.arange(blocks, dtype=np.uint64)[None, :]
    zero = np.zeros((rows, blocks), dtype=np.uint64)
    four = philox((row + zero, block + zero, zero + np.uint64(tag), zero), _key_arrays(seed))
    return np.stack(four, axis=-1).reshape(rows, blocks * 4)[:, :columns].astype(np.uint32)


def _key(seed: int) -> tuple[int, int]:
    return seed & _MASK, (seed >> 32) & _MASK


def _key_arrays(seed: int) -> tuple[Any, Any]:
    low, high = _key(seed)
    return np.uint64(low), np.uint64(high)


@lru_cache(maxsize=4096)
def _parameter_word(name: str) -> int:
    return crc32(name.encode())


def _short(value: float) -> float:
    """Six significant digits: what a plan's JSON holds is exactly what was painted."""
    return float(f"{value:.6g}")


def address(name: str, value: Any) -> int:
    """A seed or an index as a Python integer.

    Raises:
        InputError: it is not an integer from 0 to 2**64 - 1.
    """
    try:
        number = -1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = -1
    if not 0 <= number < _MAX_SEED:
        raise InputError(f"{name} is {value!r}: it must be an integer from 0 to 2**64 - 1")
    return number


class Draws:
    """The random numbers of one sample, asked for by parameter name.

    Args:
        seed: the dataset's seed, 0 to 2**64 - 1.
        index: the sample's index, 0 to 2**64 - 1.
        path: prefix of every parameter name (``within`` extends it).
        attempt: 0 for the first plan of a sample, 1 for the plan drawn after a first one was refused, and so on.

    All floats are rounded to six significant digits, so that a plan written as JSON replays the same bytes.
    """

    __slots__ = ("_attempt", "_counter", "_key", "_path", "index", "seed")

    def __init__(self, seed: int, index: int, path: str = "", attempt: int = 0) -> None:
        self.seed = address("seed", seed)
        self.index = address("index", index)
        self._path = path
        self._attempt = attempt
        self._key = _key(self.seed)
        self._counter = (self.index & _MASK, self.index >> 32)

    def within(self, part: str) -> Draws:
        """The same sample's numbers under a longer name: ``draws.within("mask").uniform("angle", ...)``."""
        return Draws(self.seed, self.index, f"{self._path}{part}.", self._attempt)

    def _words(self, name: str, slot: int) -> tuple[int, int, int, int]:
        counter = (*self._counter, _parameter_word(self._path + name), (self._attempt << 16) | slot)
        a, b, c, d = philox(counter, self._key)
        return a, b, c, d

    def unit(self, name: str, slot: int = 0) -> float:
        """A number in [0, 1) with 32 random bits."""
        return self._words(name, slot)[0] * _TWO_TO_MINUS_32

    def uniform(self, name: str, bounds: tuple[float, float], slot: int = 0) -> float:
        """A number in [low, high]."""
        low, high = bounds
        return _short(low + (high - low) * self.unit(name, slot))

    def log_uniform(self, name: str, bounds: tuple[float, float], slot: int = 0) -> float:
        """A number in [low, high], low > 0, whose logarithm is uniform: as many small ones as large ones."""
        low, high = math.log(bounds[0]), math.log(bounds[1])
        return _short(min(max(math.exp(low + (high - low) * self.unit(name, slot)), bounds[0]), bounds[1]))

    def normal(self, name: str, moments: tuple[float, float], bounds: tuple[float, float], slot: int = 0) -> float:
        """A number of a normal distribution, ``moments`` = (mean, deviation), clipped to [low, high] (Box and Muller 1958)."""
        first, second, _, _ = self._words(name, slot)
        radius = math.sqrt(-2.0 * math.log((first + 1) * _TWO_TO_MINUS_32))
        value = moments[0] + moments[1] * radius * math.cos(2.0 * math.pi * second * _TWO_TO_MINUS_32)
        return _short(min(max(value, bounds[0]), bounds[1]))

    def gamma(self, name: str, shape: int, scale: float, slot: int = 0) -> float:
        """A number of a gamma distribution of whole ``shape``, at most 4: the sum of that many exponential ones."""
        words = self._words(name, slot)[:shape]
        return _short(-scale * math.fsum(math.log((word + 1) * _TWO_TO_MINUS_32) for word in words))

    def integer(self, name: str, bounds: tuple[int, int], slot: int = 0) -> int:
        """An integer in [low, high], both ends included."""
        low, high = bounds
        return low + ((self._words(name, slot)[0] * (high - low + 1)) >> 32)

    def chance(self, name: str, probability: float, slot: int = 0) -> bool:
        """True with the given probability (0 never, 1 always)."""
        return self.unit(name, slot) < probability

    def weighted(self, name: str, weights: Sequence[float], slot: int = 0) -> int:
        """A position in ``weights``, drawn in proportion to them (at least one is positive)."""
        target = self.unit(name, slot) * math.fsum(weights)
        for position, weight in enumerate(weights):
            target -= weight
            if target < 0:
                return position
        return max(position for position, weight in enumerate(weights) if weight > 0)

    def subset(self, name: str, size: int, count: int) -> list[int]:
        """``count`` different positions out of ``range(size)``, in a random order."""
        ranked = sorted(range(size), key=lambda slot: (self._words(name, slot)[0], slot))
        return ranked[:count]

    def noise_seed(self, name: str, slot: int = 0) -> int:
        """A 52-bit seed for ``words`` and for noise fields (52 bits survive any JSON reader)."""
        a, b, _, _ = self._words(name, slot)
        return (a << 20) | (b >> 12)
