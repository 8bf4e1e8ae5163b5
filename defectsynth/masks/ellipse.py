"""An ellipse: a dent, a drop, a blister. No published method draws one alone, so all its numbers are chosen here."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from defectsynth.banks import Banks
from defectsynth.masks.base import MASK_PARAMS, MASKS
from defectsynth.masks.shapes import Sized, SizedParams, direction
from defectsynth.noise import FloatField
from defectsynth.rng import Draws
from defectsynth.spec import AngleRange, AreaRange, PositiveRange

__all__ = ["Ellipse", "EllipseParams"]


@MASK_PARAMS.register
class EllipseParams(SizedParams):
    """What was drawn for an ellipse; see ``SizedParams``."""

    kind: Literal["ellipse"] = "ellipse"

    def around(self) -> float:
        """Height times width over area."""
        return 4.0 / math.pi

    def nearness(self, down: FloatField, across: FloatField, sides: tuple[int, int]) -> FloatField:
        """Above zero inside the ellipse; each level set is an ellipse of its aspect."""
        height, width = np.float32(sides[0]), np.float32(sides[1])
        outwards = np.sqrt((down * (np.float32(2.0) / height)) ** 2 + (across * (np.float32(2.0) / width)) ** 2)
        return np.asarray((np.float32(1.0) - outwards) * (np.sqrt(height * width) / np.float32(2.0)), dtype=np.float32)

    def reach(self, sides: tuple[int, int]) -> tuple[float, float]:
        """How far the turned ellipse reaches from its middle, (rows, columns) in pixels."""
        sine, cosine = direction(self.angle)
        height, width = sides
        rows = math.sqrt((height * cosine) ** 2 + (width * sine) ** 2) / 2
        columns = math.sqrt((width * cosine) ** 2 + (height * sine) ** 2) / 2
        return rows, columns


@MASKS.register
class Ellipse(Sized):
    """What may be drawn for an ellipse; see ``Sized``.

    It lies wholly inside the picture, with its centre on a pixel of the ROI; what hangs over the ROI's edge is cut off.

    Attributes:
        size_range: area as a fraction of the ROI's, drawn uniformly. Chosen, around the median of real masks (0.3 to 0.5 % of
            the picture, MVTec AD screw and magnetic tile): (0.001, 0.02). Not used with ``area_range``.
        aspect_range: longer axis over shorter. Chosen: (1, 3).
        rotation_range: degrees. Chosen: any angle.
    """

    kind: Literal["ellipse"] = "ellipse"
    size_range: AreaRange = (0.001, 0.02)
    aspect_range: PositiveRange = (1.0, 3.0)
    rotation_range: AngleRange = (-90.0, 90.0)

    def draw(self, draws: Draws, banks: Banks) -> EllipseParams:
        """The parameters of one ellipse."""
        return EllipseParams.drawn(**self.draw_shape(draws))
