"""Turning a field or a mask about its centre, with the same pixels on every machine."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.compiled import loops
from defectsynth.noise import FloatField

__all__ = ["rotate"]

PlaneT = TypeVar("PlaneT", bound=npt.NDArray[Any])

_EXACT_BITS = 21  # of a coordinate: with its sign, half pixels, and the quarter that is added below, 24 in all


def rotate(values: PlaneT, shape: tuple[int, ...], angle: float, outside: float) -> PlaneT:
    """A plane turned about its centre and cropped to a picture.

    Nearest neighbour: a level set has no use for interpolated values, and copies are exact. Sine and cosine are quantised so
    that float32 holds every coordinate exactly, and none lies half-way between two pixels.

    Args:
        values: ``(h, w)`` float32 or uint8.
        shape: ``(H, W)`` of the picture.
        angle: degrees anticlockwise.
        outside: what a pixel gets that comes from beyond the plane.
    """
    step = 2.0 ** (math.ceil(math.log2(max(*shape, *values.shape[:2], 2))) - _EXACT_BITS)
    sine = round(math.sin(math.radians(angle)) / step) * step
    cosine = round(math.cos(math.radians(angle)) / step) * step
    compiled = loops()
    if compiled is not None:
        return compiled.turned(values, shape[0], shape[1], sine, cosine, step / 4, values.dtype.type(outside))
    y, x = (np.arange(side, dtype=np.float64) - (side - 1) / 2 for side in shape[:2])
    columns = _exact(-sine * y, cosine * x, (values.shape[1] - 1) / 2 + step / 4)
    rows = _exact(cosine * y, sine * x, (values.shape[0] - 1) / 2 + step / 4)
    border = {"borderMode": cv2.BORDER_CONSTANT, "borderValue": float(outside)}
    return cv2.remap(values, np.add.outer(*columns), np.add.outer(*rows), cv2.INTER_NEAREST, **border)  # type: ignore[call-overload]


def _exact(along_y: npt.NDArray[np.float64], along_x: npt.NDArray[np.float64], start: float) -> tuple[FloatField, FloatField]:
    """A coordinate as the sum of a number for each row and one for each column."""
    return (along_y + start).astype(np.float32), along_x.astype(np.float32)
