"""Noise at the mask's pixels, and its slopes: what makes a groove uneven and a scorch blotchy."""

from __future__ import annotations

import numpy as np

from defectsynth.noise import FloatField, fbm, fbm_at
from defectsynth.site import Site

__all__ = ["grain_of"]

_LARGE = 512 * 512  # pixels of a rectangle
_SPARSE = 1 / 16  # of a large one: a smaller mask has its noise computed pixel by pixel


def grain_of(site: Site, seed: int, cell: float, octaves: int) -> tuple[FloatField, FloatField, FloatField]:
    """``(n,)`` float32 each, of the mask's pixels: fractal noise in about [-1, 1], its rise per pixel down and to the right.

    Args:
        site: where.
        seed: of the noise.
        cell: pixels to a lattice cell, above 0.
        octaves: see ``noise.fbm``.
    """
    inside = site.inside
    if inside.size > _LARGE and np.count_nonzero(inside) < _SPARSE * inside.size:
        return _at_pixels(site, seed, cell, octaves)
    height, width = inside.shape[0] + 2, inside.shape[1] + 2
    noise = fbm(seed, (height, width), (height / cell, width / cell), octaves)
    half = np.float32(0.5)
    down = (noise[2:, 1:-1] - noise[:-2, 1:-1])[inside] * half
    right = (noise[1:-1, 2:] - noise[1:-1, :-2])[inside] * half
    return noise[1:-1, 1:-1][inside], down, right


def _at_pixels(site: Site, seed: int, cell: float, octaves: int) -> tuple[FloatField, FloatField, FloatField]:
    """The same numbers, but for the rounding of weights, from each pixel and its four neighbours."""
    rows, columns = np.nonzero(site.inside)
    y = rows[None, :] + np.array([1.5, 2.5, 0.5, 1.5, 1.5])[:, None]
    x = columns[None, :] + np.array([1.5, 1.5, 1.5, 2.5, 0.5])[:, None]
    here, below, above, right, left = fbm_at(seed, y / cell, x / cell, octaves)
    half = np.float32(0.5)
    return here, (below - above) * half, (right - left) * half
