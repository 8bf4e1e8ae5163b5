"""How a blend computes in [0, 1] on the mask's pixels, and goes back to the picture's levels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from defectsynth.blends.base import Blended, Degree
from defectsynth.images import AnyImage, from_float, to_float
from defectsynth.labels import LOWEST
from defectsynth.noise import FloatField
from defectsynth.site import Site

__all__ = ["Pixels", "degree_of", "mixed", "painted", "pixels", "unchanged"]

Pixels = npt.NDArray[np.float32]
"""``(n, C)`` in [0, 1]: the mask's pixels, row by row."""


def pixels(site: Site, values: AnyImage) -> Pixels:
    """``(n, C)`` of the picture's levels in [0, 1]."""
    return to_float(values, site.white)


def painted(site: Site, values: Pixels) -> AnyImage:
    """``(n, C)``, rounded to the picture's levels."""
    return from_float(np.clip(values, np.float32(0.0), np.float32(1.0)), site.image.dtype, site.white)


def unchanged(site: Site) -> Blended:
    """The mask's pixels as they are, none of them anomalous."""
    return site.pixels, np.zeros(site.pixels.shape[0], dtype=np.float32)


def mixed(below: Pixels, above: Pixels, weight: FloatField) -> Pixels:
    """``below`` where the ``(n,)`` weight is 0, ``above`` where it is 1."""
    return np.asarray(below + weight[:, None] * (above - below), dtype=np.float32)


def degree_of(weight: FloatField) -> Degree:
    """The degree of ``(n,)`` weights of the change: as they are, at least ``labels.LOWEST``."""
    return np.clip(weight, LOWEST, np.float32(1.0))
