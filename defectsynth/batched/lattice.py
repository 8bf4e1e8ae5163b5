"""Perlin noise of a whole batch at any pixels, with the bits of ``noise.py``; every picture has cells of its own.

What two lattice rows make of a row of pixels is found for all rows first, as there; a pixel is then four products and their
sum, all of them exact.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from defectsynth import noise
from defectsynth.batched.constants import per_device
from defectsynth.rng import philox

__all__ = ["Canvas", "Octave", "octave"]

_SCALE = float(np.float32(math.sqrt(2.0)))
_DIRECTIONS = 1024
_ROW_STEP, _COLUMN_STEP = 2.0**-12, 2.0**-11
_TO_COLUMN_STEP = 1.5 * 2.0**12  # added and taken away again: float32 has steps of 2^-11 there


class Canvas(NamedTuple):
    """What the noise of ``R`` pictures is made on.

    Attributes:
        size: ``(R, 2)`` float64, height and width in pixels.
        cells: ``(R, 2)`` float64, lattice cells along each.
        bounds: the largest height and width of any, and the most lattice points of any along each axis, of the first octave.
    """

    size: Tensor
    cells: Tensor
    bounds: tuple[tuple[int, int], tuple[int, int]]


class Octave(NamedTuple):
    """One octave of noise, ready to be asked for pixels.

    Attributes:
        left: ``(R, 2, Hc, points)`` float32: what each row of pixels has of the gradients along x, and along y.
        cell: ``(R, Wc)`` int64: the lattice point to the left of each column.
        ends: ``(R, 4, Wc)`` float32: offsets and weights of the cell's two ends.
    """

    left: Tensor
    cell: Tensor
    ends: Tensor

    def at(self, number: Tensor, row: Tensor, column: Tensor) -> Tensor:
        """Float32 in about [-1, 1] at pixels of the canvases, which broadcast."""
        _, _, height, points = self.left.shape
        width = self.cell.shape[1]
        cell = self.cell.reshape(-1)[number * width + column]
        place = (number * 2 * height + row) * points + cell
        left, ends = self.left.reshape(-1), self.ends.reshape(-1)
        total = None
        for kind in (0, 1):
            for end in (0, 1):
                weight = ends[(number * 4 + 2 * kind + end) * width + column]
                part = left[place + (kind * height * points + end)] * weight
                total = part if total is None else total + part
        assert total is not None
        return total * _SCALE


def octave(seed: Tensor, canvas: Canvas, number: int) -> Octave:
    """One octave, ``number`` from 0; seeds are ``(R, 2)`` int64, their lower and upper 32 bits."""
    (height, width), points = canvas.bounds
    pitch = canvas.cells * 2.0**number / canvas.size
    rows, columns = (bound << number for bound in points)
    gradients = _gradients(seed, (rows, columns), number)
    cell, weights, offsets = _places(height, pitch[:, 0], rows)
    left = _along(gradients, cell, _quantised(offsets, _ROW_STEP), _quantised(weights, _ROW_STEP))
    cell, weights, offsets = _places(width, pitch[:, 1], columns)
    return Octave(left, cell, _quantised(torch.cat([offsets, weights], dim=1), _COLUMN_STEP))


def _gradients(seed: Tensor, shape: tuple[int, int], tag: int) -> Tensor:
    """``(R, 2, rows, columns)`` float32: along y and along x."""
    row = torch.arange(shape[0], device=seed.device)[None, :, None]
    block = torch.arange(-(-shape[1] // 4), device=seed.device)[None, None, :]
    key = seed[:, 0, None, None], seed[:, 1, None, None]
    words = torch.stack(philox((row, block, tag, 0), key), dim=-1).flatten(2)[:, :, : shape[1]]
    return _directions(seed.device)[0][:, words & (_DIRECTIONS - 1)].transpose(0, 1)


@per_device
def _directions() -> tuple[Tensor, ...]:
    """``(2, 1024)`` float32: see ``noise.py``."""
    return (torch.from_numpy(noise.direction_table().copy()),)


def _places(size: int, pitch: Tensor, points: int) -> tuple[Tensor, Tensor, Tensor]:
    """``(R, size)`` int64 and twice ``(R, 2, size)`` float64: the cell of each pixel, weights and offsets of its two ends."""
    position = (torch.arange(size, device=pitch.device, dtype=torch.float64) + 0.5) * pitch[:, None]
    cell = position.floor()
    offset = position - cell
    fade = offset * offset * offset * (offset * (offset * 6.0 - 15.0) + 10.0)
    weights = torch.stack([1.0 - fade, fade], dim=1)
    offsets = torch.stack([(1.0 - fade) * offset, fade * (offset - 1.0)], dim=1)
    return cell.long().clamp_(max=points - 2), weights, offsets  # beyond a smaller canvas nothing is asked for


def _along(gradients: Tensor, cell: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
    """``(R, 2, H, points)``: what the lattice rows above and below each row of pixels make of it, rounded to 2^-11.

    First of the gradients along x by the fade weights, then of those along y by the fade-weighted distances.
    """
    parts = []
    for own, factor in ((gradients[:, 1], weights), (gradients[:, 0], offsets)):
        index = cell[:, :, None].expand(-1, -1, own.shape[2])
        found = factor[:, 0, :, None] * own.gather(1, index) + factor[:, 1, :, None] * own.gather(1, index + 1)
        parts.append((found + _TO_COLUMN_STEP) - _TO_COLUMN_STEP)
    return torch.stack(parts, dim=1)


def _quantised(values: Tensor, step: float) -> Tensor:
    return (values / step).round().mul_(step).float()
