"""Poisson's equation on a few pixels, solved directly, in float64: one row of a matrix for each pixel.

So small a matrix is solved sooner than grids of the mask are built; one half after the other (the Schur complement), because
LAPACK takes several threads for a larger one, which take longer than one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from defectsynth.blends.multigrid import Axis
from defectsynth.noise import FloatField
from defectsynth.products import product

__all__ = ["FEW", "solve_few"]

FEW = 192
"""Pixels of a mask up to which this is faster than conjugate gradients (``benchmarks/poisson.py``)."""
_ON_ONE_THREAD = 96
"""Rows of a matrix that OpenBLAS, which numpy comes with, solves on the thread that asks for it: fewer than 10,000 numbers."""

Matrix = npt.NDArray[np.float64]


def solve_few(mask: npt.NDArray[np.bool_], wanted: FloatField, y: Axis, x: Axis) -> FloatField:
    """The field ``u`` with ``sum over the neighbours q in the picture of (u_p - u_q) = wanted_p`` and ``u = 0`` outside.

    Args:
        mask: ``(h, w)``: the unknowns; some pixel beside them is fixed.
        wanted: ``(C, h, w)`` float32.
        y, x: whether the rectangle begins on the picture's border along an axis, and whether it also ends there.

    Returns:
        ``(C, h, w)`` float32, 0 outside the mask.
    """
    number = np.cumsum(mask).reshape(mask.shape) - 1
    matrix = np.diag(_neighbours(mask.shape, y, x)[mask])
    for here, there in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        both = mask[here] & mask[there]
        one, other = number[here][both], number[there][both]
        matrix[one, other] = matrix[other, one] = -1.0
    solution = np.zeros(wanted.shape, dtype=np.float32)
    solution[:, mask] = _solved(matrix, wanted[:, mask].T.astype(np.float64)).T
    return solution


def _solved(matrix: Matrix, wanted: Matrix) -> Matrix:
    """``(n, C)``: the solution of ``n`` equations for each column of ``wanted``."""
    half = matrix.shape[0] // 2
    if matrix.shape[0] <= _ON_ONE_THREAD:
        return np.asarray(np.linalg.solve(matrix, wanted), dtype=np.float64)
    below, after = matrix[half:, :half], np.concatenate([matrix[:half, half:], wanted[:half]], axis=1)
    first = np.linalg.solve(matrix[:half, :half], after)
    of_rest, alone = first[:, : -wanted.shape[1]], first[:, -wanted.shape[1] :]
    rest = np.linalg.solve(matrix[half:, half:] - product(below, of_rest), wanted[half:] - product(below, alone))
    return np.concatenate([alone - product(of_rest, rest), rest])


def _neighbours(shape: tuple[int, ...], y: Axis, x: Axis) -> Matrix:
    """``shape``: how many neighbours in the picture each pixel has."""
    count = np.full(shape, 4.0)
    for (begins, ends), lines in ((y, count), (x, count.T)):
        lines[0] -= begins
        lines[-1] -= ends
    return count
