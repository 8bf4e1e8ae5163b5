"""Poisson's equation on a whole rectangle, solved directly: its waves along each axis are known, sines and cosines.

The sum of two waves' curvatures is what the equations make of their product, so the solution is two changes of basis, a
division, and two changes back. In float64, so that neither the BLAS nor the order of its sums can be seen in a picture. Waves
are even or odd about the rectangle's middle where both its ends are alike; each half then needs half of the pixels.

Source: B. Buzbee, G. Golub, C. Nielson, *On direct methods for solving Poisson's equations*, SIAM J. Numer. Anal. 1970
(matrix decomposition).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from defectsynth.blends.multigrid import Axis
from defectsynth.noise import FloatField
from defectsynth.products import product

__all__ = ["LARGEST", "solve_rectangle"]

LARGEST = 320
"""Pixels of the longer side up to which this is faster than conjugate gradients (``benchmarks/poisson.py``): its time grows
with the side's third power."""

_TOGETHER = 3 * 100 * 100  # values; planes of larger rectangles are solved one by one, which the caches like better

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Waves:
    """The basis of an axis.

    Attributes:
        parts: waves as columns, orthonormal on the whole axis: those that are even about its middle and those that are odd,
            each on its first half (the even ones with the pixel in the middle); or all of them, where its ends differ.
        curvatures: what the equations multiply each wave by, in the order of ``parts``.
    """

    parts: tuple[Values, ...]
    curvatures: Values


def solve_rectangle(wanted: FloatField, y: Axis, x: Axis) -> FloatField:
    """The field ``u`` with ``sum over the neighbours q in the picture of (u_p - u_q) = wanted_p`` and ``u = 0`` outside.

    Args:
        wanted: ``(C, h, w)`` float32.
        y, x: whether the rectangle begins on the picture's border along an axis, and whether it also ends there.

    Returns:
        ``(C, h, w)`` float32. Where the rectangle is the whole picture, the mean of each plane is 0.
    """
    down, across = _waves(wanted.shape[1], y), _waves(wanted.shape[2], x)
    curvature = across.curvatures[:, None] + down.curvatures
    share = np.divide(1.0, curvature, out=np.zeros_like(curvature), where=curvature > 1e-12)
    if wanted.size <= _TOGETHER:
        return _solved(wanted, down, across, share)
    return np.stack([_solved(plane, down, across, share) for plane in wanted])


def _solved(wanted: FloatField, down: _Waves, across: _Waves, share: Values) -> FloatField:
    """The solution of one plane or of a stack; ``share`` is 1 over the curvature of two waves' product, ``(w, h)``."""
    along_both = _there(_there(wanted, across).swapaxes(-1, -2), down)
    along_both *= share
    return _back(_back(along_both, down).swapaxes(-1, -2), across).astype(np.float32)


@lru_cache(maxsize=32)
def _waves(size: int, axis: Axis) -> _Waves:
    """Free ends have no neighbour beyond the border, others one that is 0."""
    begins, ends = axis
    place, number = np.arange(size)[:, None], np.arange(size)
    if begins and ends:
        angle = np.pi * number / size
        waves = np.cos(angle * (place + 0.5)) * np.sqrt(np.where(number == 0, 1.0, 2.0) / size)
    elif begins:
        angle = np.pi * (2 * number + 1) / (2 * size + 1)
        waves = np.cos(angle * (place + 0.5)) * (2.0 / np.sqrt(2 * size + 1))
    else:
        angle = np.pi * (number + 1) / (size + 1)
        waves = np.sin(angle * (place + 1)) * np.sqrt(2.0 / (size + 1))
    if begins != ends or size == 1:
        return _Waves((waves,), 4.0 * np.sin(angle / 2) ** 2)
    even, odd = waves[: (size + 1) // 2, ::2], waves[: size // 2, 1::2]
    order = np.concatenate([number[::2], number[1::2]])
    return _Waves((np.ascontiguousarray(even), np.ascontiguousarray(odd)), 4.0 * np.sin(angle[order] / 2) ** 2)


def _there(values: FloatField | Values, waves: _Waves) -> Values:
    """``(..., n, m)``: how much of each wave is in the rows of ``values``."""
    if len(waves.parts) == 1:
        return product(values.astype(np.float64), waves.parts[0])
    even, odd = waves.parts
    half, middle = odd.shape[0], even.shape[0]
    turned = values[..., ::-1]
    together = np.add(values[..., :middle], turned[..., :middle], dtype=np.float64)
    together[..., half:] = values[..., half:middle]  # the pixel in the middle is its own mirror image
    apart = np.subtract(values[..., :half], turned[..., :half], dtype=np.float64)
    return np.concatenate([product(together, even), product(apart, odd)], axis=-1)


def _back(shares: Values, waves: _Waves) -> Values:
    """The inverse of ``_there``."""
    if len(waves.parts) == 1:
        return product(shares, waves.parts[0].T)
    even, odd = waves.parts
    half, middle = odd.shape[0], even.shape[0]
    together, apart = product(shares[..., : even.shape[1]], even.T), product(shares[..., even.shape[1] :], odd.T)
    values = np.empty((*shares.shape[:-1], half + middle))
    values[..., :middle] = together
    values[..., :half] += apart
    np.subtract(together[..., :half], apart, out=values[..., middle:][..., ::-1])
    return values
