"""What a batch becomes while it is painted on the CPU: pictures, masks and defect maps, in the tensors that are returned."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from defectsynth.compiled import loops
from defectsynth.images import AnyImage, gather, scatter

__all__ = ["Sheets"]

Positions = npt.NDArray[np.intp]


class Sheets:
    """A copy of the pictures, in their memory format, with masks and defect maps that are empty.

    Args:
        images: ``(B, C, H, W)``, not written to.

    Attributes:
        images: ``(B, C, H, W)``.
        masks: ``(B, H, W)`` uint8.
        degrees: ``(B, H, W)`` float32.
        shape: ``(H, W)``.
    """

    def __init__(self, images: Tensor) -> None:
        copied = images.clone()
        self._interleaved = copied.is_contiguous(memory_format=torch.channels_last)
        self.images = copied if self._interleaved or copied.is_contiguous() else copied.contiguous()
        count, channels, height, width = images.shape
        self.shape = height, width
        self.masks = torch.zeros((count, height, width), dtype=torch.uint8)
        self.degrees = torch.zeros((count, height, width), dtype=torch.float32)
        self._pictures = self.images.permute(0, 2, 3, 1).numpy()
        self._masks, self._degrees = self.masks.numpy().reshape(count, -1), self.degrees.numpy().reshape(count, -1)
        form = (count, height * width, channels) if self._interleaved else (count, channels, height * width)
        self._flat = (self._pictures if self._interleaved else self.images.numpy()).reshape(form)

    def picture(self, row: int) -> AnyImage:
        """``(H, W, C)``: one picture."""
        return np.asarray(self._pictures[row])

    def pixels(self, row: int, positions: Positions) -> AnyImage:
        """``(n, C)``: pixels of a picture, counted row by row."""
        if self._interleaved or (self._flat.shape[1] == 3 and loops() is not None):
            return gather(self._pixels(row), positions)
        return np.ascontiguousarray(self._flat[row].take(positions, axis=1).T)

    def write(self, row: int, positions: Positions, values: AnyImage, degree: float) -> None:
        """Pixels of a picture, ``(n, C)``, that are a defect of this degree."""
        compiled = loops()
        if compiled is not None:
            degrees = np.full(positions.shape, degree, dtype=np.float32)
            compiled.deposit(self._pixels(row), self._degrees[row], self._masks[row], positions, values, degrees, 255, True)
            return
        if self._interleaved:
            scatter(self._flat[row], positions, values)
        else:
            for channel, plane in enumerate(self._flat[row]):
                plane[positions] = values[:, channel]
        self._masks[row][positions] = 255
        self._degrees[row][positions] = degree

    def _pixels(self, row: int) -> AnyImage:
        """``(H W, C)``: one picture, as it lies in memory."""
        return np.asarray(self._flat[row] if self._interleaved else self._flat[row].T)
