"""Decoded values in a bounded cache, each with its content hash."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any, Generic, Protocol, TypeVar

__all__ = ["CACHE_BYTES", "Cache", "Held"]


CACHE_BYTES = 256 * 2**20
"""Bytes of decoded pixels that a bank keeps by default: about 1,300 textures of 256 x 256."""


class Held(Protocol):
    """What can be held."""

    @property
    def hash(self) -> str:
        """Of the content."""

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""


ValueT = TypeVar("ValueT", bound=Held)


class Cache(Generic[ValueT]):
    """The values used last, up to a number of bytes (always at least one)."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._held = 0
        self._lock = Lock()
        self._values: OrderedDict[Any, ValueT] = OrderedDict()
        self._spare: OrderedDict[Any, ValueT] = OrderedDict()
        self._hashes: dict[Any, str] = {}
        self._last: tuple[Any, ValueT] | None = None

    def get(self, key: Any, make: Callable[[], ValueT]) -> ValueT:
        """The value of a key, made where it is not held."""
        return self._get(self._values, key, make)

    def get_spare(self, key: Any, make: Callable[[], ValueT]) -> ValueT:
        """The same of a value that is quickly made again: it is held in the room that the others leave."""
        return self._get(self._spare, key, make)

    def _get(self, among: OrderedDict[Any, ValueT], key: Any, make: Callable[[], ValueT]) -> ValueT:
        with self._lock:
            if key in among:
                among.move_to_end(key)
                return among[key]
        value = make()  # outside the lock: threads may decode side by side
        with self._lock:
            self._hashes[key] = value.hash
            if key not in among:
                among[key] = value
                self._held += value.nbytes
            while self._held > self._capacity and (self._spare or len(self._values) > 1):
                self._held -= (self._spare or self._values).popitem(last=False)[1].nbytes
        return value

    def hash_of(self, key: Any) -> str | None:
        """The content hash of a value that was made, which is remembered when the value is not."""
        return self._hashes.get(key)

    def get_last(self, key: Any, make: Callable[[], ValueT]) -> ValueT:
        """The value of a key, of which only that which was asked for last is held, beside the others."""
        last = self._last
        if last is not None and last[0] == key:
            return last[1]
        value = make()
        self._hashes[key] = value.hash
        self._last = key, value
        return value

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process starts with an empty cache."""
        return Cache, (self._capacity,)
