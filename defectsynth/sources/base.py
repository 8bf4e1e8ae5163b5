"""What every source kind is: a spec that draws parameters, and parameters that render a rectangle of appearance."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from defectsynth.banks import Banks
from defectsynth.images import AnyImage, Box, Mask, to_rgb8
from defectsynth.masks.base import MaskParams
from defectsynth.rng import Draws
from defectsynth.sources.tone import mean_colour
from defectsynth.spec import Part, Registry

__all__ = ["SOURCES", "SOURCE_PARAMS", "Site", "SourceParams", "SourceSpec"]


@dataclass(frozen=True, slots=True)
class Site:
    """The place that a source fills: the rectangle around one mask.

    Attributes:
        image: the whole picture as it is so far, ``(H, W, C)``.
        roi: ``(H, W)`` uint8, 0 or 255.
        mask: the whole mask, ``(H, W)`` uint8, 0 or 255.
        mask_params: what was drawn for the mask (a defect under its own outline follows it).
        box: ``(top, left, bottom, right)`` around the mask; a source renders this rectangle and nothing else.
        banks: where textures and defects come from.
        white: the value of white in ``image``; None for the type's full scale.
    """

    image: AnyImage
    roi: Mask
    mask: Mask
    mask_params: MaskParams
    box: Box
    banks: Banks
    white: float | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """The whole picture's ``(H, W)``."""
        return self.mask.shape[0], self.mask.shape[1]

    @property
    def window(self) -> tuple[slice, slice]:
        """The rectangle as slices."""
        top, left, bottom, right = self.box
        return slice(top, bottom), slice(left, right)

    def local_colour(self) -> npt.NDArray[np.float64]:
        """``(3,)`` in 0..255: the picture's mean colour under the mask."""
        return mean_colour(to_rgb8(self.image[self.window], self.white), self.mask[self.window] != 0)


class SourceParams(Part):
    """What was drawn for one source."""

    @abstractmethod
    def render(self, site: Site) -> npt.NDArray[np.uint8]:
        """``(h, w, 3)`` uint8 RGB: the appearance inside the site's box."""


class SourceSpec(Part):
    """What may be drawn for a source."""

    needs: ClassVar[frozenset[str]] = frozenset()
    """The banks that this kind reads: ``textures``, ``defects``."""

    def check(self, banks: Banks) -> None:
        """Raises ``SourceError`` where the banks lack what this kind asks of them."""

    @abstractmethod
    def draw(self, draws: Draws, banks: Banks, mask: MaskParams) -> SourceParams:
        """The parameters of one source, for a mask that has been drawn already."""


SOURCES: Registry[SourceSpec] = Registry("source")
SOURCE_PARAMS: Registry[SourceParams] = Registry("source")
