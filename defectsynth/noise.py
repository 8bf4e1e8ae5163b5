"""Perlin noise as two small matrix products, with the same bits on every machine.

With per-axis fade weights ``W`` and fade-weighted offsets ``D`` (pixels x lattice points), noise is
``(Wy Gx) Dx' + (Dy Gy) Wx'``. Weights are quantised to 2^-12 and gradients to 2^-10 and the products are float64, so
every sum is exact: neither its order, nor FMA, threads, the BLAS or a GPU changes a bit, and a threshold cannot turn a
last bit into another mask.

Source of the noise: K. Perlin, *Improving Noise*, SIGGRAPH 2002 (quintic fade); scaled by sqrt(2) as in
``VitjanZ/DRAEM`` ``perlin.py``, so that values lie in about [-1, 1].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth import rng

__all__ = ["fbm", "fbm_at", "perlin", "perlin_from_gradients", "smooth"]

FloatField = npt.NDArray[np.float32]

_DIRECTIONS = 1024
_GRADIENT_STEP = 2.0**-10
_WEIGHT_STEP = 2.0**-12
_SCALE = math.sqrt(2.0)


def _quantise(values: npt.NDArray[np.float64], step: float) -> npt.NDArray[np.float64]:
    return np.round(values / step) * step


@lru_cache(maxsize=1)
def _direction_table() -> npt.NDArray[np.float64]:
    """``(2, 1024)``: y and x of unit vectors all round the circle, quantised."""
    angles = np.arange(_DIRECTIONS) * (2.0 * np.pi / _DIRECTIONS)
    return _quantise(np.stack([np.sin(angles), np.cos(angles)]), _GRADIENT_STEP)


@dataclass(frozen=True, slots=True)
class _Axis:
    """Where ``size`` pixel centres, ``pitch`` cells apart, lie in their lattice cells."""

    cell: npt.NDArray[np.intp]  # (size,) the cell of each pixel
    weights: npt.NDArray[np.float64]  # (2, size) fade weight of the cell's two ends
    offsets: npt.NDArray[np.float64]  # (2, size) fade-weighted distance from the cell's two ends
    runs: tuple[tuple[int, int, int], ...]  # (cell, first pixel, end pixel) of each cell that holds pixels

    @property
    def points(self) -> int:
        return int(self.cell[-1]) + 2


@lru_cache(maxsize=256)
def _axis(size: int, pitch: float) -> _Axis:
    position = (np.arange(size) + 0.5) * pitch
    cell = np.floor(position).astype(np.intp)
    offset = position - cell
    fade = _fade(offset)
    weights = _quantise(np.stack([1.0 - fade, fade]), _WEIGHT_STEP)
    offsets = _quantise(np.stack([(1.0 - fade) * offset, fade * (offset - 1.0)]), _WEIGHT_STEP)
    first = np.flatnonzero(np.diff(cell, prepend=-1))
    ends = np.append(first[1:], size)
    runs = tuple((int(cell[start]), int(start), int(end)) for start, end in zip(first, ends, strict=True))
    for array in (cell, weights, offsets):
        array.flags.writeable = False
    return _Axis(cell, weights, offsets, runs)


def lattice_shape(shape: tuple[int, int], pitch: tuple[float, float]) -> tuple[int, int]:
    """How many lattice points each axis needs for ``shape`` pixels at ``pitch`` cells a pixel."""
    return _axis(shape[0], pitch[0]).points, _axis(shape[1], pitch[1]).points


def perlin_from_gradients(
    gradient_y: npt.NDArray[np.float64],
    gradient_x: npt.NDArray[np.float64],
    shape: tuple[int, int],
    pitch: tuple[float, float],
) -> npt.NDArray[np.float64]:
    """Perlin noise ``shape = (H, W)`` of given lattice gradients, not scaled.

    Each row of ``Wy`` and ``Wx`` has two entries that are not zero, so the products are made cell by cell: rows first,
    then one product of inner size four for each column of cells. No BLAS, so none of its threads: a small product
    with two of them took 100 times as long as with one.

    Args:
        gradient_y, gradient_x: ``lattice_shape(shape, pitch)`` float64, the gradients' components.
        shape: pixels.
        pitch: cells per pixel along each axis.
    """
    along_y, along_x = _axis(shape[0], pitch[0]), _axis(shape[1], pitch[1])
    top, bottom = along_y.cell, along_y.cell + 1
    rows_x = along_y.weights[0][:, None] * gradient_x[top] + along_y.weights[1][:, None] * gradient_x[bottom]
    rows_y = along_y.offsets[0][:, None] * gradient_y[top] + along_y.offsets[1][:, None] * gradient_y[bottom]
    right = np.concatenate([along_x.offsets, along_x.weights])
    field = np.empty(shape)
    for cell, start, end in along_x.runs:
        left = np.hstack([rows_x[:, cell : cell + 2], rows_y[:, cell : cell + 2]])
        field[:, start:end] = cv2.gemm(left, np.ascontiguousarray(right[:, start:end]), 1.0, None, 0.0)  # type: ignore[call-overload]
    return field


def perlin(seed: int, shape: tuple[int, int], cells: tuple[float, float], *, tag: int = 0) -> FloatField:
    """One octave of Perlin noise.

    Args:
        seed: 0 to 2**64 - 1 (``Draws.noise_seed``).
        shape: ``(H, W)`` pixels, any size from 1 up; it need not be divisible by the cells.
        cells: lattice cells along each axis of ``shape``; more cells, finer noise. Need not be whole.
        tag: which of several independent fields of this seed.

    Returns:
        ``(H, W)`` float32 in about [-1, 1].
    """
    pitch = (cells[0] / shape[0], cells[1] / shape[1])
    index = rng.words(seed, lattice_shape(shape, pitch), tag) & np.uint32(_DIRECTIONS - 1)
    gradient_y, gradient_x = _direction_table()[:, index]
    field = perlin_from_gradients(gradient_y, gradient_x, shape, pitch)
    return (field * _SCALE).astype(np.float32)


def fbm(
    seed: int, shape: tuple[int, int], cells: tuple[float, float], octaves: int = 4, persistence: float = 0.5, *, tag: int = 0
) -> FloatField:
    """Fractal noise: octaves of Perlin noise, each twice as fine and ``persistence`` times as strong as the one before.

    Returns ``(H, W)`` float32, divided by the sum of the strengths so that it stays in about [-1, 1].
    """
    total = np.zeros(shape, dtype=np.float32)
    strength, norm = 1.0, 0.0
    for octave in range(octaves):
        scale = 2.0**octave
        total += np.float32(strength) * perlin(seed, shape, (cells[0] * scale, cells[1] * scale), tag=tag * 64 + octave)
        norm += strength
        strength *= persistence
    return total / np.float32(norm)


def fbm_at(
    seed: int, y: npt.NDArray[np.float64], x: npt.NDArray[np.float64], octaves: int = 1, persistence: float = 0.5
) -> FloatField:
    """``fbm`` at any lattice coordinates ``(H, W)`` from 0 up; slower, for pictures whose turned canvas would be far larger."""
    total, strength, norm = np.zeros(y.shape), 1.0, 0.0
    for octave in range(octaves):
        scale = 2.0**octave
        total += strength * _perlin_at(seed, y * scale, x * scale, octave)
        norm += strength
        strength *= persistence
    return (total * (_SCALE / norm)).astype(np.float32)


def _perlin_at(seed: int, y: npt.NDArray[np.float64], x: npt.NDArray[np.float64], tag: int) -> npt.NDArray[np.float64]:
    top, left = np.floor(np.maximum(y, 0.0)).astype(np.intp), np.floor(np.maximum(x, 0.0)).astype(np.intp)
    index = rng.words(seed, (int(top.max()) + 2, int(left.max()) + 2), tag) & np.uint32(_DIRECTIONS - 1)
    total = np.zeros(y.shape)
    for down in (0, 1):
        for right in (0, 1):
            gradient_y, gradient_x = _direction_table()[:, index[top + down, left + right]]
            from_y, from_x = y - top - down, x - left - right
            total += _fade(1.0 - np.abs(from_y)) * _fade(1.0 - np.abs(from_x)) * (gradient_y * from_y + gradient_x * from_x)
    return total


def _fade(offset: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The quintic fade of offsets in [0, 1]."""
    return offset**3 * (offset * (offset * 6.0 - 15.0) + 10.0)


def smooth(low: float, high: float, values: FloatField) -> FloatField:
    """Hermite step: 0 where ``values <= low``, 1 where ``values >= high``, smooth between."""
    t = np.clip((values - np.float32(low)) / np.float32(high - low), 0.0, 1.0)
    return (t * t * (3.0 - 2.0 * t)).astype(np.float32)
