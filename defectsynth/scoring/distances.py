"""How far the distributions of a measure lie apart: Wasserstein's distance in one dimension."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["wasserstein"]

Values = npt.NDArray[np.float64]


def wasserstein(first: Values, second: Values) -> float:
    """The mean distance that values have to be moved to make one sample of the other, in the values' own unit.

    The integral of the absolute difference of the two quantile functions, exact on the merged grid of their steps. ``first``
    and ``second`` are ``(n,)`` and ``(m,)``, neither of them empty; no order is needed, and the distance is symmetric.
    """
    steps_first = np.arange(1, len(first) + 1, dtype=np.int64) * len(second)  # levels in units of 1 / (n m), so that
    steps_second = np.arange(1, len(second) + 1, dtype=np.int64) * len(first)  # equal ones are equal
    levels = np.union1d(steps_first, steps_second)
    widths = np.diff(levels, prepend=0) / (len(first) * len(second))
    quantiles_first = np.sort(first)[np.searchsorted(steps_first, levels)]
    quantiles_second = np.sort(second)[np.searchsorted(steps_second, levels)]
    return float(np.sum(widths * np.abs(quantiles_first - quantiles_second)))
