"""Matrix products that stay on the thread that asks for them."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["product"]

FloatT = TypeVar("FloatT", np.float32, np.float64)

_ON_ONE_THREAD = 2**18
"""Multiply-adds up to which OpenBLAS, which numpy comes with, does a product on the thread that asks for it. Larger ones are
made in parts: a small product on two threads took 100 times as long as on one."""


def product(left: npt.NDArray[FloatT], right: npt.NDArray[FloatT]) -> npt.NDArray[FloatT]:
    """``left @ right``, of one matrix ``(..., n, m)`` or a stack of them and a matrix of the same type, some rows at a time."""
    rows = max(1, _ON_ONE_THREAD // right.size)
    if rows >= left.shape[-2]:
        return np.matmul(left, right)
    result = np.empty((*left.shape[:-1], right.shape[1]), dtype=left.dtype)
    for start in range(0, left.shape[-2], rows):
        np.matmul(left[..., start : start + rows, :], right, out=result[..., start : start + rows, :])
    return result
