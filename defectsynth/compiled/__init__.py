"""The hot loops compiled by numba, where it is installed (the extra ``[fast]``): the same bits, in fewer passes over memory.

Every user of a loop has the same written with numpy and OpenCV beside it, and a test holds the two together.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

__all__ = ["SWITCH", "compiled", "loops"]

SWITCH = "DEFECTSYNTH_COMPILED"
"""The environment variable that switches compiled loops off: 0."""

_UNKNOWN = object()
_found: object = _UNKNOWN


def loops() -> ModuleType | None:
    """``numba_loops``, or None where numba is not installed or the loops are switched off."""
    global _found
    if _found is _UNKNOWN:
        wanted = os.environ.get(SWITCH, "1") != "0" and find_spec("numba") is not None
        _found = import_module("defectsynth.compiled.numba_loops") if wanted else None
    return _found  # type: ignore[return-value]


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
