"""The hot loops compiled by numba, where it is installed (the extra ``[fast]``): the same bits, in fewer passes over memory.

Every user of a loop has the same written with numpy and OpenCV beside it, and a test holds the two together. Loading the loops
takes a process longer than they save it in its first seconds, so they are loaded once it has been at work for a while.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from time import monotonic
from types import ModuleType

__all__ = ["SWITCH", "compiled", "loops"]

SWITCH = "DEFECTSYNTH_COMPILED"
"""The environment variable that switches compiled loops off (0), or on from the first picture (1)."""

_AT_WORK = 2.0
"""Seconds after which they are loaded: it takes 0.4 to 0.7 s, and they save about a third of every second from then on."""

_UNKNOWN = object()
_found: object = _UNKNOWN
_due: float | None = None


def loops() -> ModuleType | None:
    """``numba_loops``, or None where numba is not installed, or the loops are switched off, or not loaded yet."""
    if _found is _UNKNOWN:
        return _look()
    return _found  # type: ignore[return-value]


def _look() -> ModuleType | None:
    """Loads the loops when that is due."""
    global _found, _due
    if _due is None:
        switch = os.environ.get(SWITCH)
        if switch == "0" or find_spec("numba") is None:
            _found = None
            return None
        _due = monotonic() + (0.0 if switch == "1" else _AT_WORK)
    if monotonic() < _due:
        return None
    found = import_module("defectsynth.compiled.numba_loops")
    _found = found
    return found


@contextmanager
def compiled(wanted: bool) -> Iterator[None]:
    """Within it the loops are used, or not; for tests and benchmarks. Raises ``ImportError`` where numba is not installed."""
    global _found
    before = _found
    _found = import_module("defectsynth.compiled.numba_loops") if wanted else None
    try:
        yield
    finally:
        _found = before
