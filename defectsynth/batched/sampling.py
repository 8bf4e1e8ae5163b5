"""What canvases show at the pixels of pictures that they are stretched over and turned about the centre of.

A pixel's three channels are packed into one 32-bit number: one look-up finds all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from defectsynth.batched.places import Places, Shape, spread

__all__ = ["Canvases", "packed"]


def packed(rgb: Tensor) -> Tensor:
    """``(...)`` int32 of ``(..., 3)`` uint8."""
    wide = rgb.int()
    return wide[..., 0] | (wide[..., 1] << 8) | (wide[..., 2] << 16)


@dataclass(frozen=True)
class Canvases:
    """A canvas for each of ``R`` pictures.

    Attributes:
        pixels: int32, packed, of all canvases, one after the other, each in the upper left corner of ``frame``.
        which: ``(R,)`` int64: the canvas of each picture.
        size: ``(R, 2)`` int64: its height and width.
        frame: height and width that every canvas has room for.
        angle: ``(R,)`` float64: degrees anticlockwise that each is turned by.
        upright: whether none is turned or stretched, whatever is drawn.
    """

    pixels: Tensor
    which: Tensor
    size: Tensor
    frame: Shape
    angle: Tensor
    upright: bool

    def at(self, places: Places) -> Tensor:
        """``(3, R, H, W)`` uint8: copied, or between pixels bilinear; beyond the canvas it is mirrored."""
        copied = self._copied(places)
        if self.upright:
            return copied
        height, width = places.shape
        moved = (self.angle != 0.0) | (self.size[:, 0] != height) | (self.size[:, 1] != width)
        return torch.where(spread(moved), self._between(places), copied)

    def _copied(self, places: Places) -> Tensor:
        last = self.size - 1  # of a canvas that is stretched, any pixel: it is not used
        row, column = torch.minimum(places.row, spread(last[:, 0])), torch.minimum(places.column, spread(last[:, 1]))
        return self._unpacked(row * self.frame[1] + column)

    def _between(self, places: Places) -> Tensor:
        x, y = self._points(places)
        left, top = x.floor(), y.floor()
        across, down = x - left, y - top
        rows, columns = self._mirrored(top.long(), 0), self._mirrored(left.long(), 1)
        corners = [[self._unpacked(row * self.frame[1] + column).float() for column in columns] for row in rows]
        upper, lower = (first + across * (second - first) for first, second in corners)
        return (upper + down * (lower - upper)).round().to(torch.uint8)

    def _points(self, places: Places) -> tuple[Tensor, Tensor]:
        """Float32 x and y on the canvases; see ``sources/sampling.py``."""
        matrix = [spread(entry) for entry in self._matrix(places.shape)]
        x = matrix[0] * places.column + matrix[1] * places.row + matrix[2]
        y = matrix[3] * places.column + matrix[4] * places.row + matrix[5]
        return x.float(), y.float()

    def _matrix(self, shape: Shape) -> list[Tensor]:
        """Six times ``(R,)``: from (x, y) of the picture to the canvas."""
        turn = (-self.angle).deg2rad()
        sine, cosine = turn.sin(), turn.cos()
        x, y = shape[1] / 2 - 0.5, shape[0] / 2 - 0.5
        stretch_y, stretch_x = (self.size[:, axis] / shape[axis] for axis in (0, 1))
        across = x - cosine * x - sine * y + 0.5
        down = y + sine * x - cosine * y + 0.5
        first = [cosine * stretch_x, sine * stretch_x, across * stretch_x - 0.5]
        return [*first, -sine * stretch_y, cosine * stretch_y, down * stretch_y - 0.5]

    def _mirrored(self, index: Tensor, axis: int) -> tuple[Tensor, Tensor]:
        """A row or column of the canvas and the next one, both mirrored at its edges, which are not doubled."""
        size = spread(self.size[:, axis])
        period = (2 * (size - 1)).clamp(min=1)
        first, second = index.remainder(period), (index + 1).remainder(period)
        return torch.where(first >= size, period - first, first), torch.where(second >= size, period - second, second)

    def _unpacked(self, index: Tensor) -> Tensor:
        """``(3, R, H, W)`` uint8 of pixels of the canvases, counted row by row."""
        index = index + spread(self.which * (self.frame[0] * self.frame[1]))
        found = self.pixels.index_select(0, index.reshape(-1)).reshape(index.shape)
        return torch.stack([found & 255, (found >> 8) & 255, found >> 16]).to(torch.uint8)
