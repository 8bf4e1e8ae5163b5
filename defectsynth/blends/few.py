"""Poisson's equation on a few pixels, solved directly: one row of a matrix for each, in float64.

So small a matrix is solved by a BLAS on the thread that asks for it, and sooner than grids of the mask are built.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from defectsynth.blends.multigrid import Axis
from defectsynth.noise import FloatField

__all__ = ["FEW", "solve_few"]

FEW = 192
"""Pixels of a mask up to which this is faster than conjugate gradients (``benchmarks/poisson.py``)."""


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
    solution[:, mask] = np.linalg.solve(matrix, wanted[:, mask].T.astype(np.float64)).T
    return solution


def _neighbours(shape: tuple[int, ...], y: Axis, x: Axis) -> npt.NDArray[np.float64]:
    """``shape``: how many neighbours in the picture each pixel has."""
    count = np.full(shape, 4.0)
    for (begins, ends), lines in ((y, count), (x, count.T)):
        lines[0] -= begins
        lines[-1] -= ends
    return count
