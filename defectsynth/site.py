"""The place of one defect: the picture, its ROI, the mask, and the rectangle that a source fills and a blend changes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from defectsynth.banks import Banks
from defectsynth.images import AnyImage, Box, Mask, gather, mean_colour, positions_of, to_rgb8
from defectsynth.masks.base import MaskParams

__all__ = ["Site"]


@dataclass(frozen=True)
class Site:
    """Where one defect is painted.

    Attributes:
        image: the whole picture as it is so far, ``(H, W, C)``; not to be written to.
        roi: ``(H, W)`` uint8, 0 or 255.
        mask: the whole mask, ``(H, W)`` uint8, 0 or 255.
        mask_params: what was drawn for the mask (a defect under its own outline follows it).
        box: ``(top, left, bottom, right)`` around the mask; what a source renders and a blend changes.
        banks: where textures, defects and other normal pictures come from.
        white: the value of white in ``image``; None for the type's full scale.
        foreground: the method that found the ROI, or ``given``.
        lens: deviation in pixels of the blur that what is painted gets; 0 for none.
    """

    image: AnyImage
    roi: Mask
    mask: Mask
    mask_params: MaskParams
    box: Box
    banks: Banks
    white: float | None = None
    foreground: str = "none"
    lens: float = 0.0

    @property
    def shape(self) -> tuple[int, int]:
        """The whole picture's ``(H, W)``."""
        return self.mask.shape[0], self.mask.shape[1]

    @property
    def side(self) -> float:
        """The whole picture's side in pixels (square root of its area), for lengths that are given as a fraction of it."""
        return math.sqrt(self.mask.size)

    @property
    def window(self) -> tuple[slice, slice]:
        """The rectangle as slices."""
        top, left, bottom, right = self.box
        return slice(top, bottom), slice(left, right)

    @property
    def product(self) -> AnyImage:
        """``(h, w, C)``: the picture in the rectangle."""
        return self.image[self.window]

    @cached_property
    def inside(self) -> npt.NDArray[np.bool_]:
        """``(h, w)``: the mask in the rectangle."""
        return self.mask[self.window].view(np.bool_)

    @cached_property
    def positions(self) -> npt.NDArray[np.intp]:
        """``(n,)``: the mask's pixels in the picture, counted row by row."""
        return positions_of(self.mask, (self.box[0], self.box[2]))

    def under_mask(self, patch: AnyImage) -> AnyImage:
        """``(n, C)``: of a rectangle ``(h, w, C)`` the pixels under the mask."""
        if self._is_full:
            return np.array(patch, order="C").reshape(-1, patch.shape[2])
        return gather(patch.reshape(-1, patch.shape[2]), positions_of(self.inside))

    @cached_property
    def pixels(self) -> AnyImage:
        """``(n, C)``: the picture at the mask's pixels."""
        if self._is_full:
            return np.array(self.product, order="C").reshape(-1, self.image.shape[2])
        return gather(self.image.reshape(-1, self.image.shape[2]), self.positions)

    @property
    def _is_full(self) -> bool:
        """Whether the mask is the whole rectangle."""
        return self.positions.size == self.inside.size

    def local_colour(self) -> npt.NDArray[np.float64]:
        """``(3,)`` in 0..255: the picture's mean colour under the mask."""
        return mean_colour(to_rgb8(self.pixels[None], self.white))
