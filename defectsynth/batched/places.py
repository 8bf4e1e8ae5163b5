"""The pixels of a batch of pictures, and which of them the masks hold."""

from __future__ import annotations

from copy import copy

import torch
from torch import Tensor

__all__ = ["Places", "Shape", "spread"]

Shape = tuple[int, int]


class Places:
    """All pixels of ``R`` pictures.

    Args:
        mask: ``(R, H, W)`` bool.

    Attributes:
        mask: as given.
        shape: ``(H, W)``.
        row, column: int64, which pixel of its picture each one is; they broadcast to ``(R, H, W)``.
        pixels: ``(R,)`` int64: how many pixels each mask has.
    """

    def __init__(self, mask: Tensor) -> None:
        _, height, width = mask.shape
        self.mask = mask
        self.shape: Shape = (height, width)
        self.row = torch.arange(height, device=mask.device)[None, :, None]
        self.column = torch.arange(width, device=mask.device)[None, None, :]
        self.pixels = mask.sum(dim=(1, 2))

    def total(self, values: Tensor) -> Tensor:
        """``(R,)``: the sum of ``(R, H, W)`` over each mask; integers as int64, others as float64."""
        dtype = torch.float64 if values.is_floating_point() else torch.int64
        return torch.where(self.mask, values, 0).sum(dim=(1, 2), dtype=dtype)

    def mirrored(self, rows: Tensor, axis: int) -> Places:
        """Where pixels come from when some pictures, ``(R,)`` bool, are mirrored along an axis within the box of their mask."""
        index = self.column if axis else self.row
        first, last = self._ends(axis)
        other = (spread(first + last) - index).clamp(0, self.shape[axis] - 1)
        return self._along(axis, torch.where(spread(rows), other, index))

    def mirrored_whole(self, rows: Tensor, axis: int) -> Places:
        """The same within the whole picture."""
        index = self.column if axis else self.row
        return self._along(axis, torch.where(spread(rows), self.shape[axis] - 1 - index, index))

    def at(self, row: Tensor, column: Tensor) -> Places:
        """Other pixels, which broadcast to ``(R, H, W)``, in the place of these."""
        other = copy(self)
        other.row, other.column = row, column
        return other

    def _along(self, axis: int, index: Tensor) -> Places:
        return self.at(self.row, index) if axis else self.at(index, self.column)

    def _ends(self, axis: int) -> tuple[Tensor, Tensor]:
        """``(R,)`` int64: the first and the last row or column of each mask."""
        found = self.mask.any(dim=2 - axis)
        index = torch.arange(self.shape[axis], device=found.device)
        return torch.where(found, index, self.shape[axis]).amin(1), torch.where(found, index, -1).amax(1)


def spread(values: Tensor) -> Tensor:
    """A value ``(R,)`` of each picture, for its pixels: ``(R, 1, 1)``."""
    return values[:, None, None]
