"""Affine maps of pixel centres, as ``(2, 3)`` float64 matrices that take (x, y) to (x, y)."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

__all__ = ["Matrix", "about", "of_resampled", "rotation", "shifted"]

Matrix = npt.NDArray[np.float64]


def rotation(angle: float, scale: float = 1.0, *, mirror: bool = False) -> npt.NDArray[np.float64]:
    """``(2, 2)``: a turn by ``angle`` degrees anticlockwise as seen (y points down), scaled, mirrored left to right first."""
    sine, cosine = math.sin(math.radians(angle)) * scale, math.cos(math.radians(angle)) * scale
    first = -1.0 if mirror else 1.0
    return np.array([[cosine * first, sine], [-sine * first, cosine]])


def about(linear: npt.NDArray[np.float64], point: tuple[float, float], to: tuple[float, float]) -> Matrix:
    """The map with this linear part that takes ``point`` to ``to``, both (x, y)."""
    found = np.empty((2, 3))
    found[:, :2], found[:, 2] = linear, np.array(to) - linear[:, 0] * point[0] - linear[:, 1] * point[1]
    return found


def shifted(matrix: Matrix, x: float, y: float) -> Matrix:
    """The map followed by a shift."""
    found = matrix.copy()
    found[0, 2] += x
    found[1, 2] += y
    return found


def of_resampled(matrix: Matrix, step: tuple[float, float], origin: tuple[float, float] = (0.0, 0.0)) -> Matrix:
    """The map of a picture's resampled crop, given the picture's own.

    Args:
        matrix: the picture's map.
        step: (x, y) pixels of the picture for each pixel of the crop.
        origin: (x, y) of the crop's corner in the picture.
    """
    first = [(0.5 * step[axis] - 0.5) + origin[axis] for axis in (0, 1)]  # the crop's first pixel centre
    found = np.empty((2, 3))
    found[:, 0], found[:, 1] = matrix[:, 0] * step[0], matrix[:, 1] * step[1]
    found[:, 2] = matrix[:, 2] + matrix[:, 0] * first[0] + matrix[:, 1] * first[1]
    return found
