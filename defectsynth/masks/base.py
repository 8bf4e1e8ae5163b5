"""What every mask kind is: a spec that draws parameters, and parameters that paint a field.

A kind makes a *field*: ``(H, W)`` float32, above zero where the defect is. Union and intersection of two kinds are then the
larger and the smaller of two fields, and ``area_range`` and ``components_range`` choose another level of the same field
(``control.py``); so both controls hold for every kind.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from pydantic import Field

from defectsynth.banks import Banks
from defectsynth.images import Mask, as_mask, is_whole
from defectsynth.masks.control import choose_pixels, count_pieces, largest_pieces
from defectsynth.noise import FloatField
from defectsynth.rng import Draws
from defectsynth.spec import AreaRange, CountRange, Part, Registry

__all__ = ["MASKS", "MASK_PARAMS", "MaskParams", "MaskSpec"]


class MaskParams(Part):
    """What was drawn for one mask.

    Attributes:
        kind: the mask kind.
        area: target area as a fraction of the ROI's; None leaves it to the kind.
        components: target number of 8-connected pieces; None leaves it to the kind.
    """

    sizes_itself: ClassVar[bool] = False
    """Whether ``field`` has made the mask as large as ``area`` says, so that its level need not be chosen."""

    area: float | None = Field(default=None, gt=0.0, le=1.0)
    components: int | None = Field(default=None, ge=1)

    @abstractmethod
    def field(self, roi: Mask, banks: Banks) -> FloatField:
        """``(H, W)`` float32 of the ROI's shape, above zero where this kind puts the defect (inside the ROI or not)."""

    def above_zero(self, roi: Mask, banks: Banks) -> Mask:
        """``(H, W)`` uint8: 255 where ``field`` is above zero; a kind that has it for less than the field says so."""
        return as_mask(self.field(roi, banks) > 0)

    def paint(self, roi: Mask, banks: Banks) -> Mask:
        """The mask, ``(H, W)`` uint8 0 or 255, inside the ROI; all zero where these parameters give nothing."""
        if self.area is None or self.sizes_itself:
            mask = self.above_zero(roi, banks)
            mask = mask if is_whole(roi) else np.bitwise_and(mask, roi)
            return mask if self.components is None else largest_pieces(mask, self.components)
        return self.choose(roi, banks, max(1, round(self.area * int(np.count_nonzero(roi)))))

    def choose(self, roi: Mask, banks: Banks, pixels: int) -> Mask:
        """The mask at the level of ``field`` where it has about ``pixels`` in ``components`` pieces; see ``control.py``."""
        return choose_pixels(self.field(roi, banks), roi != 0, pixels, self.components)


class MaskSpec(Part):
    """What may be drawn for a mask.

    Attributes:
        kind: the mask kind.
        area_range: area of the mask as a fraction of the ROI's, drawn log-uniformly (real sizes are skewed: small ones are
            common); None keeps what the kind's own parameters give.
        components_range: number of 8-connected pieces; None keeps what the kind gives.
    """

    area_range: AreaRange | None = None
    components_range: CountRange | None = None
    needs: ClassVar[frozenset[str]] = frozenset()
    """The banks that this kind reads: ``textures``, ``defects``."""

    @abstractmethod
    def draw(self, draws: Draws, banks: Banks) -> MaskParams:
        """The parameters of one mask."""

    def check(self, banks: Banks) -> None:
        """Raises ``SourceError`` where the banks lack what this kind asks of them."""

    def requirements(self) -> frozenset[str]:
        """The banks that this part and its parts read."""
        return self.needs

    def draw_controls(self, draws: Draws) -> dict[str, float | int | None]:
        """``area`` and ``components``, for ``draw``."""
        return {
            "area": None if self.area_range is None else draws.log_uniform("area", self.area_range),
            "components": None if self.components_range is None else draws.integer("components", self.components_range),
        }

    @property
    def controlled(self) -> bool:
        """Whether there is anything to ``accept``."""
        return self.area_range is not None or self.components_range is not None

    def accepts(self, mask: Mask, roi: Mask) -> bool:
        """Whether a painted mask keeps both controls (to the pixel: a fraction of an ROI is rounded outwards)."""
        if self.area_range is not None:
            pixels, roi_pixels = int(np.count_nonzero(mask)), int(np.count_nonzero(roi))
            low, high = (bound * roi_pixels for bound in self.area_range)
            if not int(low) <= pixels <= max(1, int(np.ceil(high))):
                return False
        return self.components_range is None or self.components_range[0] <= count_pieces(mask) <= self.components_range[1]


MASKS: Registry[MaskSpec] = Registry("mask")
MASK_PARAMS: Registry[MaskParams] = Registry("mask")
