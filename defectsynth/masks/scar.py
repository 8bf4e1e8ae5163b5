"""A scar: the long, thin patch of CutPaste, at an angle.

Source: Li et al., *CutPaste*, CVPR 2021, and ``Runinho/pytorch-cutpaste`` ``cutpaste.py`` (``CutPasteScar``): 2 to 16 pixels
wide, 10 to 25 long, upright and turned by up to 45 degrees, wholly inside the picture. Its pixels are those of 256 x 256 and
become fractions of the picture's side here.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from pydantic import Field

from defectsynth.banks import Banks
from defectsynth.images import Mask
from defectsynth.masks.base import MASK_PARAMS, MASKS
from defectsynth.masks.placement import Placed
from defectsynth.masks.shapes import BoolField, OnePiece, ShapeParams, SideRange, inside_rectangle
from defectsynth.noise import FloatField
from defectsynth.rng import Draws
from defectsynth.spec import AngleRange

__all__ = ["Scar", "ScarParams"]


@MASK_PARAMS.register
class ScarParams(ShapeParams):
    """What was drawn for a scar.

    Attributes:
        width: as a fraction of the picture's side.
        length: as a fraction of the picture's side; along the vertical before it is turned.
    """

    kind: Literal["scar"] = "scar"
    width: float = Field(gt=0.0, le=1.0)
    length: float = Field(gt=0.0, le=1.0)

    def sides(self, roi: Mask) -> tuple[float, float]:
        """(length, width) in pixels; with ``area`` of that area, as long for its width as it was."""
        side = math.sqrt(roi.size)
        if self.area is not None:
            side = math.sqrt(self.area * int(np.count_nonzero(roi)) / (self.length * self.width))
        return self.length * side, self.width * side

    def inside(self, down: FloatField, across: FloatField, sides: tuple[int, int]) -> BoolField:
        """See ``ShapeParams.inside``."""
        return inside_rectangle(down, across, sides)


@MASKS.register
class Scar(OnePiece, Placed):
    """What may be drawn for a scar.

    It lies wholly inside the picture, with its centre on a pixel of the ROI; what hangs over the ROI's edge is cut off. With
    ``area_range`` its width and length are drawn all the same and give its form.

    Attributes:
        width_range: as a fraction of the picture's side. CutPaste: 2 to 16 pixels of 256.
        length_range: as a fraction of the picture's side. CutPaste: 10 to 25 pixels of 256.
        rotation_range: degrees from the vertical. CutPaste: (-45, 45).
    """

    kind: Literal["scar"] = "scar"
    width_range: SideRange = (2 / 256, 16 / 256)
    length_range: SideRange = (10 / 256, 25 / 256)
    rotation_range: AngleRange = (-45.0, 45.0)

    def draw(self, draws: Draws, banks: Banks) -> ScarParams:
        """The parameters of one scar."""
        return ScarParams.drawn(
            width=draws.uniform("width", self.width_range),
            length=draws.uniform("length", self.length_range),
            angle=draws.uniform("angle", self.rotation_range),
            **self.draw_place(draws),
            **self.draw_controls(draws),
        )
