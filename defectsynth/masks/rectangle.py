"""A rectangle: the patch of CutPaste.

Sources: Li et al., *CutPaste*, CVPR 2021, as ``hmsch/natural-synthetic-anomalies`` ``self_sup_data/self_sup_tasks.py``
(``cutpaste_patch_generation``) states its rule: area U(0.02, 0.15) of the picture, aspect from (0.3, 1) or (1, 3.3) with equal
chance, anywhere wholly inside the picture. ``Runinho/pytorch-cutpaste`` ``cutpaste.py`` draws the aspect log-uniformly
(``aspect_scale``).
"""

from __future__ import annotations

from typing import Literal

from defectsynth.banks import Banks
from defectsynth.masks.base import MASK_PARAMS, MASKS
from defectsynth.masks.shapes import BoolField, Sized, SizedParams, inside_rectangle
from defectsynth.noise import FloatField
from defectsynth.rng import Draws
from defectsynth.spec import AngleRange, AreaRange, PositiveRange

__all__ = ["Rectangle", "RectangleParams"]


@MASK_PARAMS.register
class RectangleParams(SizedParams):
    """What was drawn for a rectangle; see ``SizedParams``."""

    kind: Literal["rectangle"] = "rectangle"

    def inside(self, down: FloatField, across: FloatField, sides: tuple[int, int]) -> BoolField:
        """See ``ShapeParams.inside``."""
        return inside_rectangle(down, across, sides)


@MASKS.register
class Rectangle(Sized):
    """What may be drawn for a rectangle; see ``Sized``.

    It lies wholly inside the picture, with its centre on a pixel of the ROI; what hangs over the ROI's edge is cut off.

    Attributes:
        size_range: area as a fraction of the ROI's, drawn uniformly. CutPaste: (0.02, 0.15). Not used with ``area_range``.
        aspect_range: width over height. CutPaste: (0.3, 3.3).
        rotation_range: degrees. CutPaste: none.
    """

    kind: Literal["rectangle"] = "rectangle"
    size_range: AreaRange = (0.02, 0.15)
    aspect_range: PositiveRange = (0.3, 3.3)
    rotation_range: AngleRange = (0.0, 0.0)

    def draw(self, draws: Draws, banks: Banks) -> RectangleParams:
        """The parameters of one rectangle."""
        return RectangleParams.drawn(**self.draw_shape(draws))
