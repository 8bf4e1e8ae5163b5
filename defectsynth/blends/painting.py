"""How a blend that computes in [0, 1] touches the mask's pixels and no others: takes them out, and puts them back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from defectsynth.blends.base import Degree
from defectsynth.images import AnyImage, from_float, to_float
from defectsynth.labels import LOWEST
from defectsynth.noise import FloatField
from defectsynth.site import Site

__all__ = ["Pixels", "degree_of", "mixed", "painted", "pixels", "replaces"]

Pixels = npt.NDArray[np.float32]
"""``(n, C)`` in [0, 1]: the mask's pixels, row by row."""


def pixels(site: Site, picture: AnyImage) -> Pixels:
    """The mask's pixels of an ``(h, w, C)`` rectangle."""
    return to_float(picture[site.inside], site.white)


def painted(site: Site, values: Pixels) -> AnyImage:
    """The site's rectangle with these pixels inside the mask, rounded to the picture's levels."""
    result = site.product.copy()
    result[site.inside] = from_float(np.clip(values, np.float32(0.0), np.float32(1.0)), result.dtype, site.white)
    return result


def mixed(below: Pixels, above: Pixels, weight: FloatField) -> Pixels:
    """``below`` where the ``(n,)`` weight is 0, ``above`` where it is 1."""
    return np.asarray(below + weight[:, None] * (above - below), dtype=np.float32)


def replaces(site: Site, patch: AnyImage) -> bool:
    """Whether a patch is something else than the product under the mask."""
    return bool((patch[site.inside] != site.product[site.inside]).any())


def degree_of(site: Site, weight: FloatField) -> Degree:
    """The degree of ``(n,)`` weights of the change: as they are inside the mask, at least ``labels.LOWEST``."""
    degree = np.zeros(site.inside.shape, dtype=np.float32)
    degree[site.inside] = np.clip(weight, LOWEST, np.float32(1.0))
    return degree
