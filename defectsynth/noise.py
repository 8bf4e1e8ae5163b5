"""Perlin noise as two small matrix products, with the same bits on every machine.

With per-axis fade weights ``W`` and fade-weighted offsets ``D`` (pixels x lattice points), noise is
``(Wy Gx) Dx' + (Dy Gy) Wx'``. Weights of rows are quantised to 2^-12, gradients to 2^-10, what the two make is rounded to
2^-11, and so are the weights of columns. Every product and every sum then fits into the 24 bits of a float32, so all of them
are exact: neither their order, nor FMA, threads, the BLAS or a GPU changes a bit, and a threshold cannot turn a last bit into
another mask.

Source of the noise: K. Perlin, *Improving Noise*, SIGGRAPH 2002 (quintic fade); scaled by sqrt(2) as in
``VitjanZ/DRAEM`` ``perlin.py``, so that values lie in about [-1, 1].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from defectsynth import rng
from defectsynth.compiled import loops
from defectsynth.images import as_mask
from defectsynth.products import product

__all__ = ["above", "direction_table", "fbm", "fbm_at", "perlin", "perlin_from_gradients", "smooth"]

FloatField = npt.NDArray[np.float32]
AxisT = TypeVar("AxisT")

_DIRECTIONS = 1024
_GRADIENT_STEP = 2.0**-10
_ROW_STEP = 2.0**-12
_COLUMN_STEP = 2.0**-11
_TO_COLUMN_STEP = np.float32(1.5 * 2.0**12)  # added and taken away again: float32 has steps of 2^-11 there
_SCALE = np.float32(math.sqrt(2.0))


def _quantise(values: npt.NDArray[np.float64], step: float) -> FloatField:
    """To whole steps, each a power of two."""
    levels = values * (1.0 / step)
    np.rint(levels, out=levels)
    levels *= step
    return levels.astype(np.float32)


@lru_cache(maxsize=1)
def direction_table() -> FloatField:
    """``(2, 1024)``: y and x of unit vectors all round the circle, quantised."""
    angles = np.arange(_DIRECTIONS) * (2.0 * np.pi / _DIRECTIONS)
    return _quantise(np.stack([np.sin(angles), np.cos(angles)]), _GRADIENT_STEP)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Where ``size`` pixel centres, ``pitch`` cells apart, lie between the lattice points above and below them.

    Attributes:
        top: ``(size,)`` the point above; the one below is the next.
        above, below: ``(2, size, 1)``: what the point contributes of its gradient along y, a fade-weighted distance, and along
            x, a fade weight.
    """

    top: npt.NDArray[np.intp]
    above: FloatField
    below: FloatField


@dataclass(frozen=True, slots=True)
class _Columns:
    """The same for columns, as the right side of a product.

    Attributes:
        cells: how many cells of equally many columns each, or 0 where they differ.
        right: with cells ``(4, columns of a cell)``: offsets of the cell's two ends, weights of its two ends; else
            ``(2 points, size)``: the same, zero for all other points.
    """

    cells: int
    right: FloatField


def _places(size: int, pitch: float) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """The cell of each pixel; and ``(4, size)``: fade-weighted offsets of the cell's two ends, fade weights of its two ends."""
    position = (np.arange(size) + 0.5) * pitch
    cell = np.floor(position).astype(np.intp)
    offset = position - cell
    ends = np.empty((4, size))
    fade = ends[3] = _fade(offset)
    np.subtract(1.0, fade, out=ends[2])
    np.multiply(ends[2], offset, out=ends[0])
    np.multiply(fade, offset - 1.0, out=ends[1])
    return cell, ends


def _points(size: int, pitch: float) -> int:
    """How many lattice points an axis needs."""
    return math.floor((size - 0.5) * pitch) + 2


@lru_cache(maxsize=256)
def _rows(size: int, pitch: float) -> _Rows:
    cell, ends = _places(size, pitch)
    above, below = (_quantise(ends[end::2], _ROW_STEP)[:, :, None] for end in (0, 1))
    return _frozen(_Rows(cell, above, below), cell, above, below)


@lru_cache(maxsize=256)
def _row_lines(size: int, pitch: float) -> tuple[npt.NDArray[np.uint32], FloatField, FloatField]:
    """Rows as compiled loops read them.

    Returns:
        ``(size,)`` uint32: the lattice point before each pixel; ``(size, 2)`` twice: what the points before and after a pixel
        contribute, along y and along x.
    """
    cell, ends = _places(size, pitch)
    both = np.ascontiguousarray(_quantise(ends, _ROW_STEP).reshape(2, 2, size).transpose(1, 2, 0))
    tops = cell.astype(np.uint32)
    return _frozen((tops, both[0], both[1]), tops, both)


@lru_cache(maxsize=256)
def _column_lines(size: int, pitch: float) -> tuple[npt.NDArray[np.uint32], FloatField]:
    """Columns as compiled loops read them.

    Returns:
        ``(cells + 1,)`` uint32: each cell's first pixel; ``(4, size)``: offsets of its two ends, weights of its two ends.
    """
    cell, ends = _places(size, pitch)
    starts = np.searchsorted(cell, np.arange(_points(size, pitch))).astype(np.uint32)
    four = _quantise(ends, _COLUMN_STEP)
    return _frozen((starts, four), starts, four)


@lru_cache(maxsize=256)
def _columns(size: int, pitch: float) -> _Columns:
    cell, ends = _places(size, pitch)
    four = _quantise(ends, _COLUMN_STEP)
    cells = round(size * pitch)
    if cells > 0 and size % cells == 0 and pitch == cells / size:
        found = _Columns(cells, np.ascontiguousarray(four[:, : size // cells]))
        return _frozen(found, found.right)
    points = _points(size, pitch)
    right, column = np.zeros((2, points, size), dtype=np.float32), np.arange(size)
    for kind in (0, 1):
        for end in (0, 1):
            right[kind, cell + end, column] = four[2 * kind + end]
    found = _Columns(0, right.reshape(2 * points, size))
    return _frozen(found, found.right)


def _frozen(found: AxisT, *arrays: npt.NDArray[Any]) -> AxisT:
    for array in arrays:
        array.flags.writeable = False
    return found


def lattice_shape(shape: tuple[int, int], pitch: tuple[float, float]) -> tuple[int, int]:
    """How many lattice points each axis needs for ``shape`` pixels at ``pitch`` cells a pixel."""
    return _points(shape[0], pitch[0]), _points(shape[1], pitch[1])


def perlin_from_gradients(gradients: FloatField, shape: tuple[int, int], pitch: tuple[float, float]) -> FloatField:
    """Perlin noise ``shape = (H, W)`` of given lattice gradients, not scaled.

    Each row of ``Wy`` and ``Wx`` has two entries that are not zero: what two lattice rows make of a row of pixels is summed
    first, and the columns are then a product of inner size four, of all cells at once where all have equally many columns.

    Args:
        gradients: ``(2, *lattice_shape(shape, pitch))`` float32, the gradients' components along y and x, quantised.
        shape: pixels.
        pitch: cells per pixel along each axis.
    """
    rows, columns = _rows(shape[0], pitch[0]), _columns(shape[1], pitch[1])
    left = _along(rows, gradients)
    if columns.cells:
        ends = np.stack([left[0, :, :-1], left[0, :, 1:], left[1, :, :-1], left[1, :, 1:]], axis=-1)
        return product(ends.reshape(-1, 4), columns.right).reshape(shape)
    return product(np.concatenate(left, axis=1), columns.right)


def _along(rows: _Rows, gradients: FloatField) -> FloatField:
    """``(2, H, points)``: what the lattice rows above and below each row of pixels make of it, rounded to 2^-11.

    First of the gradients along x by the fade weights, then of those along y by the fade-weighted distances.
    """
    found = gradients.take(rows.top, axis=1)
    found *= rows.above
    below = gradients.take(rows.top + 1, axis=1)
    below *= rows.below
    found += below
    found += _TO_COLUMN_STEP
    found -= _TO_COLUMN_STEP
    return found[::-1]


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
    gradients, pitch = _gradients(seed, shape, cells, tag)
    compiled = loops()
    if compiled is not None:
        return compiled.field(*_compiled_form(gradients, pitch, shape))
    field = perlin_from_gradients(gradients, shape, pitch)
    field *= _SCALE
    return field


def above(seed: int, shape: tuple[int, int], cells: tuple[float, float], octaves: int, level: float) -> npt.NDArray[np.uint8]:
    """``(H, W)``: 255 where ``fbm(seed, shape, cells, octaves)`` is above a level, and 0 elsewhere."""
    compiled = loops()
    if compiled is not None and octaves == 1:
        return compiled.above_level(*_compiled_form(*_gradients(seed, shape, cells, 0), shape), np.float32(level))
    return as_mask(fbm(seed, shape, cells, octaves) > np.float32(level))


def _gradients(
    seed: int, shape: tuple[int, int], cells: tuple[float, float], tag: int
) -> tuple[FloatField, tuple[float, float]]:
    """The lattice's gradients, and cells per pixel."""
    pitch = (cells[0] / shape[0], cells[1] / shape[1])
    index = rng.words(seed, lattice_shape(shape, pitch), tag) & np.uint32(_DIRECTIONS - 1)
    return direction_table().take(index, axis=1), pitch


def _compiled_form(gradients: FloatField, pitch: tuple[float, float], shape: tuple[int, int]) -> tuple[Any, ...]:
    """What the compiled loops take."""
    return gradients, *_row_lines(shape[0], pitch[0]), *_column_lines(shape[1], pitch[1]), _SCALE


def fbm(
    seed: int, shape: tuple[int, int], cells: tuple[float, float], octaves: int = 4, persistence: float = 0.5, *, tag: int = 0
) -> FloatField:
    """Fractal noise: octaves of Perlin noise, each twice as fine and ``persistence`` times as strong as the one before.

    Returns ``(H, W)`` float32, divided by the sum of the strengths so that it stays in about [-1, 1].
    """
    total = perlin(seed, shape, cells, tag=tag * 64)
    if octaves == 1:
        return total
    strength, norm = persistence, 1.0
    for octave in range(1, octaves):
        scale = 2.0**octave
        layer = perlin(seed, shape, (cells[0] * scale, cells[1] * scale), tag=tag * 64 + octave)
        layer *= np.float32(strength)
        total += layer
        norm += strength
        strength *= persistence
    total /= np.float32(norm)
    return total


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
    return (total * (float(_SCALE) / norm)).astype(np.float32)


def _perlin_at(seed: int, y: npt.NDArray[np.float64], x: npt.NDArray[np.float64], tag: int) -> npt.NDArray[np.float64]:
    top, left = np.floor(np.maximum(y, 0.0)).astype(np.intp), np.floor(np.maximum(x, 0.0)).astype(np.intp)
    index = rng.words(seed, (int(top.max()) + 2, int(left.max()) + 2), tag) & np.uint32(_DIRECTIONS - 1)
    total = np.zeros(y.shape)
    for down in (0, 1):
        for right in (0, 1):
            gradient_y, gradient_x = direction_table()[:, index[top + down, left + right]]
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
