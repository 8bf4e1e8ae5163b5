"""The textures of a bank on a device, brought to a picture's size: pixels, histograms and smooth copies."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from defectsynth.banks import TextureBank
from defectsynth.batched.places import Shape
from defectsynth.batched.sampling import packed
from defectsynth.errors import SourceError

__all__ = ["TextureStack", "TextureStacks"]

_PIXEL_BYTES = 4


@dataclass(frozen=True)
class TextureStack:
    """All textures for pictures of one size.

    Attributes:
        pixels: ``(N h w,)`` int32, packed; see ``sampling.py``.
        smooth: the same of ``images.smoothed``; None where no recipe asks for it.
        size: ``(N, 2)`` int64: height and width of each, at most the picture's.
        frame: ``(h, w)``, the largest of them.
        histogram: ``(N, 3, 256)`` float64.
        all_fill_the_frame: whether none is smaller than the picture.
    """

    pixels: Tensor
    smooth: Tensor | None
    size: Tensor
    frame: Shape
    histogram: Tensor
    all_fill_the_frame: bool


class TextureStacks:
    """Stacks of one bank by picture size, each made when it is first asked for.

    Args:
        bank: the textures.
        device: where they are kept.
        smooth: whether smooth copies are needed.
        limit: the most bytes that are not on a CUDA device, for all sizes together; None for half of the memory.
    """

    def __init__(self, bank: TextureBank, device: torch.device, *, smooth: bool, limit: int | None) -> None:
        self._bank, self._device = bank, device
        self._smooth, self._limit = smooth, limit
        self._stacks: dict[Shape, TextureStack] = {}
        self._held = 0

    def of(self, shape: Shape) -> TextureStack:
        """The stack for pictures ``shape = (H, W)``.

        Raises:
            SourceError: it does not fit into the memory.
        """
        if shape not in self._stacks:
            self._stacks[shape] = self._make(shape)
        return self._stacks[shape]

    def _make(self, shape: Shape) -> TextureStack:
        names = self._bank.names
        needed = len(names) * shape[0] * shape[1] * _PIXEL_BYTES * (2 if self._smooth else 1)
        self._check(needed, shape)
        pixels = torch.zeros((len(names), *shape), dtype=torch.int32)
        smooth = torch.zeros_like(pixels) if self._smooth else None
        sizes, histograms = [], []
        for number, name in enumerate(names):
            fitted = self._bank.fitted(name, shape)
            height, width = fitted.rgb.shape[:2]
            pixels[number, :height, :width] = packed(torch.from_numpy(np.ascontiguousarray(fitted.rgb)))
            if smooth is not None:
                smooth[number, :height, :width] = packed(
                    torch.from_numpy(np.ascontiguousarray(self._bank.smooth(name, shape).rgb))
                )
            sizes.append((height, width))
            histograms.append(torch.from_numpy(fitted.histogram))
        self._held += needed
        return TextureStack(
            pixels.reshape(-1).to(self._device),
            None if smooth is None else smooth.reshape(-1).to(self._device),
            torch.tensor(sizes, dtype=torch.int64).to(self._device),
            shape,
            torch.stack(histograms).to(self._device),
            all(size == shape for size in sizes),
        )

    def _check(self, needed: int, shape: Shape) -> None:
        free = self._free()
        if free is not None and needed > free:
            raise SourceError(
                f"{len(self._bank)} textures for pictures of {shape[0]} x {shape[1]} need {_mebibytes(needed)} MiB and "
                f"{_mebibytes(free)} MiB are free on {self._device}: give fewer textures or smaller pictures, or use "
                "AnomalySynthesizer, which keeps the textures used last"
            )

    def _free(self) -> int | None:
        """Bytes that a stack may take; None where nobody knows."""
        if self._device.type == "cuda":
            return torch.cuda.mem_get_info(self._device)[0]
        limit = self._limit if self._limit is not None else _half_of_the_memory()
        return None if limit is None else max(0, limit - self._held)


def _half_of_the_memory() -> int | None:
    """Bytes; None where the system does not say."""
    names = os.sysconf_names if hasattr(os, "sysconf_names") else {}
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2 if "SC_PHYS_PAGES" in names else None


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:,.1f}"
