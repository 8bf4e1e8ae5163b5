"""Keeps freed memory in the process, so that the arrays of one picture are made of those of the picture before it.

Getting memory from the system costs more than filling it: six arrays of 256 KB, made and dropped, took 560 us; kept, 65 us
(``benchmarks/memory.py``). The C library of Linux (glibc) hands large blocks back at once, until a program has freed one of a
size; from then on it keeps blocks up to that size. Freeing one block of 31 MB, never touched, is thus enough. At most about
64 MB that are free stay with the process. Elsewhere it does nothing.

Source: glibc manual, ``mallopt``: ``M_MMAP_THRESHOLD`` and ``M_TRIM_THRESHOLD`` follow the largest block that was freed.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

__all__ = ["keep_freed_memory"]

_BLOCK = 31 * 2**20  # bytes: glibc's threshold follows blocks up to 32 MB


@lru_cache(maxsize=1)
def keep_freed_memory() -> None:
    """Frees one large block, the first time it is called in a process."""
    np.empty(_BLOCK, dtype=np.uint8)
