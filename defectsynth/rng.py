"""Random numbers that have an address instead of a state (Philox4x32-10).

Key = the dataset's seed; counter = (sample index, parameter, slot). Asking for a number changes nothing, so the order
of the questions, the number of workers, a restart, or a parameter added to a recipe changes no other number.

Source: Salmon et al., *Parallel Random Numbers: As Easy as 1, 2, 3*, SC 2011; published vectors in ``tests/test_rng.py``.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from defectsynth.compiled import loops
from defectsynth.errors import InputError

__all__ = ["Ahead", "Draws", "address", "philox", "philox_block", "words"]

_MASK = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_FACTORS = np.array(_MULTIPLIERS, dtype=np.uint64)[:, None]
_LOW, _HIGH = (0, 1) if sys.byteorder == "little" else (1, 0)
_FEW = 4096  # counters of an array of words that are kept for the next one of its shape
_TWO_TO_MINUS_32 = 2.0**-32
_MAX_SEED = 2**64

Words = list[int]
"""Four 32-bit words."""


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
    compiled = loops()
    if compiled is not None:
        return compiled.words(*_key(seed), rows, columns, tag)
    blocks = -(-columns // 4)
    make = _counters if rows * blocks <= _FEW else _counters.__wrapped__
    four = philox_block(make(rows, blocks, tag), _key(seed))
    return np.ascontiguousarray(four.T.reshape(rows, blocks * 4)[:, :columns])


@lru_cache(maxsize=64)
def _counters(rows: int, blocks: int, tag: int) -> npt.NDArray[np.uint32]:
    """``(4, rows * blocks)``: row, block, tag and 0."""
    counters = np.zeros((4, rows, blocks), dtype=np.uint32)
    counters[0] = np.arange(rows, dtype=np.uint32)[:, None]
    counters[1] = np.arange(blocks, dtype=np.uint32)
    counters[2] = tag
    counters.flags.writeable = False
    return counters.reshape(4, -1)


def philox_block(counters: npt.NDArray[np.uint32], key: tuple[int, int]) -> npt.NDArray[np.uint32]:
    """``philox`` of ``(4, n)`` counters at once, ``(4, n)``: the same bits, three array operations a round."""
    compiled = loops()
    if compiled is not None:
        return compiled.philox_block(counters, *key)
    count = counters.shape[1]
    multiplied = counters[0::2].copy()
    kept = counters[1::2]
    products = np.empty((2, 2, count), dtype=np.uint64)  # two buffers in turn: the halves of one are read as the other is made
    halves = products.view(np.uint32).reshape(2, 2, count, 2)
    for number, round_key in enumerate(_round_keys(key)):
        np.multiply(multiplied, _FACTORS, out=products[number % 2])
        found = halves[number % 2, ::-1]
        np.bitwise_xor(found[:, :, _HIGH], kept, out=multiplied)
        np.bitwise_xor(multiplied, round_key, out=multiplied)
        kept = found[:, :, _LOW]
    result = np.empty_like(counters)
    result[0::2], result[1::2] = multiplied, kept
    return result


@lru_cache(maxsize=64)
def _round_keys(key: tuple[int, int]) -> npt.NDArray[np.uint32]:
    """``(10, 2, 1)``."""
    first, step = np.array(key, dtype=np.uint64), np.array(_WEYL, dtype=np.uint64)
    keys = (first + np.arange(_ROUNDS, dtype=np.uint64)[:, None] * step) & np.uint64(_MASK)
    return keys.astype(np.uint32)[:, :, None]


def _key(seed: int) -> tuple[int, int]:
    return seed & _MASK, (seed >> 32) & _MASK


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


class Ahead:
    """The numbers of one sample, drawn at once before they are asked for: those that the samples before it asked for.

    A number that was not foreseen is drawn when it is asked for, and foreseen from then on; so this changes how long a number
    takes and never which one it is. Samples that are asked for in turn are drawn several at a time, also where every one of
    them is as many further on (all pictures that are painted on one normal picture).

    Args:
        seed: the dataset's seed, 0 to 2**64 - 1.
    """

    _TOGETHER = (1, 16, 64)  # samples that are drawn at once: the first of a stream, then more
    _MISSED = 8  # numbers that were not foreseen, after which the samples to come are drawn again with them
    _MOST = 4096  # numbers of one sample that are kept in mind

    def __init__(self, seed: int) -> None:
        self._seed, self._key = seed, _key(seed)
        self._asked: dict[tuple[str, int], int] = {}
        self._missed = 0
        self._last, self._stride = 0, 1
        self._drawn = _Drawn(range(0), {}, np.zeros((0, 0), dtype=np.uint32))

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process draws its own."""
        return Ahead, (self._seed,)

    def sample(self, index: int) -> tuple[dict[tuple[str, int], int], list[int]]:
        """What is drawn already of a sample: the column of each number, and the words in them, four each."""
        drawn, step, self._last = self._drawn, index - self._last, index
        if index not in drawn.indices or self._missed >= self._MISSED:
            drawn = self._drawn = self._draw(self._to_come(index, step, len(drawn.indices)))
            self._missed = 0
        return drawn.columns, drawn.words[drawn.indices.index(index)].tolist()  # flat: many lists keep the collector busy

    def _to_come(self, index: int, step: int, before: int) -> range:
        """The samples to draw: more than ``before`` where they are asked for in turn, with the same stride again; else one."""
        in_turn = step == self._stride or (step == 0 and before > 1)
        if step > 0:
            self._stride = step
        count = next((count for count in self._TOGETHER if count > before), self._TOGETHER[-1]) if in_turn else 1
        return range(index, min(index + count * self._stride, _MAX_SEED), self._stride)

    def foresee(self, parameter: str, slot: int) -> None:
        """Draws the number of a parameter, by its whole name, with the others from the next samples on."""
        self._missed += 1
        if len(self._asked) < self._MOST:
            self._asked.setdefault((parameter, slot), len(self._asked))

    def _draw(self, indices: range) -> _Drawn:
        columns = dict(self._asked)  # another thread may add to it
        counters = np.empty((4, len(indices), len(columns)), dtype=np.uint32)
        whole = np.arange(len(indices), dtype=np.uint64) * np.uint64(indices.step) + np.uint64(indices.start)
        counters[0], counters[1] = whole.astype(np.uint32)[:, None], (whole >> np.uint64(32)).astype(np.uint32)[:, None]
        counters[2] = np.array([_parameter_word(name) for name, _ in columns], dtype=np.uint32)
        counters[3] = np.array([slot for _, slot in columns], dtype=np.uint32)
        found = philox_block(counters.reshape(4, -1), self._key)
        return _Drawn(indices, columns, np.ascontiguousarray(found.T).reshape(len(indices), -1))


class _Drawn:
    """The numbers of some samples: a row of words for each, four of them in each column."""

    __slots__ = ("columns", "indices", "words")

    def __init__(self, indices: range, columns: dict[tuple[str, int], int], words: npt.NDArray[np.uint32]) -> None:
        self.indices, self.columns, self.words = indices, columns, words


class _Sample:
    """What all numbers of one sample have in common, and those that are drawn already."""

    __slots__ = ("ahead", "attempt", "columns", "counter", "index", "key", "row", "seed")

    def __init__(self, seed: int, index: int, attempt: int, ahead: Ahead | None) -> None:
        self.seed, self.index, self.attempt = address("seed", seed), address("index", index), attempt
        self.key, self.counter = _key(self.seed), (self.index & _MASK, self.index >> 32)
        self.ahead = ahead if attempt == 0 else None
        self.columns: dict[tuple[str, int], int] = {}
        self.row: list[int] = []
        if self.ahead is not None:
            self.columns, self.row = self.ahead.sample(self.index)


class Draws:
    """The random numbers of one sample, asked for by parameter name.

    Args:
        seed: the dataset's seed, 0 to 2**64 - 1.
        index: the sample's index, 0 to 2**64 - 1.
        path: prefix of every parameter name (``within`` extends it).
        attempt: 0 for the first plan of a sample, 1 for the plan drawn after a first one was refused, and so on.
        ahead: what draws numbers before they are asked for, of the same seed; None draws each when it is asked for.

    All floats are rounded to six significant digits, so that a plan written as JSON replays the same bytes.
    """

    __slots__ = ("_path", "_sample")

    def __init__(self, seed: int, index: int, path: str = "", attempt: int = 0, ahead: Ahead | None = None) -> None:
        self._path = path
        self._sample = _Sample(seed, index, attempt, ahead)

    @property
    def seed(self) -> int:
        """The dataset's seed."""
        return self._sample.seed

    @property
    def index(self) -> int:
        """The sample's index."""
        return self._sample.index

    def within(self, part: str) -> Draws:
        """The same sample's numbers under a longer name: ``draws.within("mask").uniform("angle", ...)``."""
        other = self.__new__(type(self))
        other._path, other._sample = f"{self._path}{part}.", self._sample
        return other

    def _words(self, name: str, slot: int) -> Words:
        sample, name = self._sample, self._path + name
        column = sample.columns.get((name, slot))
        if column is not None:
            return sample.row[4 * column : 4 * column + 4]
        if sample.ahead is not None:
            sample.ahead.foresee(name, slot)
        return list(philox((*sample.counter, _parameter_word(name), (sample.attempt << 16) | slot), sample.key))

    def _word(self, name: str, slot: int) -> int:
        """The first of ``_words``."""
        column = self._sample.columns.get((self._path + name, slot))
        return self._words(name, slot)[0] if column is None else self._sample.row[4 * column]

    def unit(self, name: str, slot: int = 0) -> float:
        """A number in [0, 1) with 32 random bits."""
        return self._word(name, slot) * _TWO_TO_MINUS_32

    def uniform(self, name: str, bounds: tuple[float, float], slot: int = 0) -> float:
        """A number in [low, high]."""
        low, high = bounds
        return _short(low + (high - low) * self.unit(name, slot)) if low < high else _short(low)

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
        return low + ((self._word(name, slot) * (high - low + 1)) >> 32)

    def chance(self, name: str, probability: float, slot: int = 0) -> bool:
        """True with the given probability (0 never, 1 always)."""
        return probability > 0.0 and (probability >= 1.0 or self.unit(name, slot) < probability)

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
        left = list(range(size))
        for slot in range(min(count, size)):  # Fisher and Yates, as far as it is needed
            place = slot + ((self._word(name, slot) * (size - slot)) >> 32)
            left[slot], left[place] = left[place], left[slot]
        return left[:count]

    def noise_seed(self, name: str, slot: int = 0) -> int:
        """A 52-bit seed for ``words`` and for noise fields (52 bits survive any JSON reader)."""
        a, b, _, _ = self._words(name, slot)
        return (a << 20) | (b >> 12)
