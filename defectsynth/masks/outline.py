"""The outline of a real defect, turned, scaled and set down somewhere on the ROI.

Choice of Peng et al. (Sensors 2024, 24, 264): real defects placed on the foreground after an affine transformation. How they
are scaled and placed is not stated; chosen here: the size relative to the picture is kept and varied a little, the centre is
any pixel of the ROI, and what hangs over the ROI's edge is cut off.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field, model_validator

from defectsynth.affine import Matrix, about, of_resampled, rotation
from defectsynth.banks import Banks, Defect
from defectsynth.images import Mask, bounding_box
from defectsynth.masks.base import MASK_PARAMS, MASKS
from defectsynth.masks.placement import Placed, PlacedParams, distance_from
from defectsynth.noise import FloatField
from defectsynth.rng import Draws
from defectsynth.spec import AngleRange, PositiveRange

__all__ = ["Outline", "OutlineParams"]

_SMALLEST_SIDE = 1.0
_FINER = 4  # the outline is drawn this many times finer before it is turned, so that a magnified one has no stairs


@MASK_PARAMS.register
class OutlineParams(PlacedParams):
    """What was drawn for the outline of a real defect.

    Attributes:
        name: the defect in its bank.
        hash: first digits of its picture's content hash.
        piece: which of its pieces, a number in [0, 1): piece ``floor(piece * pieces)``, the largest first.
        angle: degrees anticlockwise.
        scale: size relative to the defect's own, both measured in the side (square root of the area) of their picture.
        flip: whether it is mirrored left to right before it is turned.
    """

    sizes_itself: ClassVar[bool] = True

    kind: Literal["outline"] = "outline"
    name: str
    hash: str
    piece: float = Field(ge=0.0, lt=1.0)
    angle: float
    scale: float = Field(gt=0.0, le=1000.0)
    flip: bool

    def field(self, roi: Mask, banks: Banks) -> FloatField:
        """Distance from the outline in pixels, positive inside."""
        piece = self.mask_of_piece(banks.defect(self.name, self.hash))
        top, left, bottom, right = bounding_box(piece) or (0, 0, 1, 1)
        crop = cv2.copyMakeBorder(piece[top:bottom, left:right], 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
        fine = cv2.resize(crop, None, fx=_FINER, fy=_FINER, interpolation=cv2.INTER_LINEAR_EXACT)
        smooth = np.where(fine >= 128, np.uint8(255), np.uint8(0))
        to_roi = of_resampled(self.matrix(piece, roi), (1 / _FINER, 1 / _FINER), (left - 1, top - 1))
        warped = cv2.warpAffine(smooth, to_roi, roi.shape[::-1], flags=cv2.INTER_NEAREST)
        return distance_from(np.asarray(warped, dtype=np.uint8))

    def mask_of_piece(self, defect: Defect) -> Mask:
        """The chosen 8-connected piece of the defect's mask, the size of its picture."""
        count, labels, stats, _ = cv2.connectedComponentsWithStats(defect.mask, connectivity=8)
        by_area = np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable") + 1
        chosen = by_area[int(self.piece * (count - 1))]
        return np.where(labels == chosen, np.uint8(255), np.uint8(0))

    def matrix(self, piece: Mask, roi: Mask) -> Matrix:
        """From the defect's picture to the product's."""
        top, left, bottom, right = bounding_box(piece) or (0, 0, 1, 1)
        row, column = self.centre(roi)
        linear = rotation(self.angle, self._factor(piece, roi), mirror=self.flip)
        return about(linear, ((left + right - 1) / 2, (top + bottom - 1) / 2), (column, row))

    def _factor(self, piece: Mask, roi: Mask) -> float:
        own = int(np.count_nonzero(piece))
        if self.area is not None:
            return math.sqrt(max(_SMALLEST_SIDE, self.area * int(np.count_nonzero(roi))) / own)
        kept = math.sqrt(roi.size / piece.size) * self.scale
        return max(kept, _SMALLEST_SIDE / math.sqrt(own))


@MASKS.register
class Outline(Placed):
    """What may be drawn for the outline of a real defect.

    Attributes:
        kinds: which of the bank's kinds (folders below ``ground_truth``) are used; None takes all.
        rotation_range: degrees. Chosen: any angle.
        scale_range: size relative to the defect's own. Chosen: 0.7 to 1.4. Not used with ``area_range``.
        flip_probability: chosen: 0.5.
    """

    kind: Literal["outline"] = "outline"
    kinds: tuple[str, ...] | None = None
    rotation_range: AngleRange = (-180, 180)
    scale_range: PositiveRange = (0.7, 1.4)
    flip_probability: float = Field(default=0.5, ge=0.0, le=1.0)
    needs: ClassVar[frozenset[str]] = frozenset({"defects"})

    @model_validator(mode="after")
    def _one_piece(self) -> Outline:
        if self.components_range is not None and self.components_range[0] > 1:
            raise ValueError(f"components_range {list(self.components_range)}: an outline is one piece of a defect")
        return self

    def check(self, banks: Banks) -> None:
        """See ``MaskSpec.check``."""
        banks.check_defect_kinds(self.kinds)

    def draw(self, draws: Draws, banks: Banks) -> OutlineParams:
        """The parameters of one outline."""
        name, content = banks.draw_defect(draws, self.kinds)
        return OutlineParams(
            name=name,
            hash=content,
            piece=draws.uniform("piece", (0.0, 0.999999)),
            angle=draws.uniform("angle", self.rotation_range),
            scale=draws.log_uniform("scale", self.scale_range),
            flip=draws.chance("flip", self.flip_probability),
            **self.draw_place(draws),
            **self.draw_controls(draws),
        )
