"""Where on the ROI a shape is set down: any of its pixels, or those of a given depth (a chip lies at the edge)."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from defectsynth.images import Mask
from defectsynth.masks.base import MaskParams, MaskSpec
from defectsynth.noise import FloatField
from defectsynth.rng import Draws
from defectsynth.spec import FractionRange

__all__ = ["Placed", "PlacedParams", "depth_of", "distance_from"]

_ANYWHERE = (0.0, 1.0)


class PlacedParams(MaskParams):
    """What was drawn for a mask that has a centre.

    Attributes:
        place: which of the allowed pixels is the centre, a number in [0, 1): row by row.
        depth: the allowed pixels: how deep they lie in the ROI, 0 at its edge to 1 where it is deepest.
    """

    place: float = Field(ge=0.0, lt=1.0)
    depth: FractionRange = _ANYWHERE

    def centre(self, roi: Mask) -> tuple[int, int]:
        """(row, column) of the centre: a pixel of the ROI, of the allowed depth or as near to it as there is."""
        allowed = np.flatnonzero(roi if self.depth == _ANYWHERE else self._allowed(roi))
        row, column = divmod(int(allowed[int(self.place * allowed.size)]), roi.shape[1])
        return row, column

    def _allowed(self, roi: Mask) -> npt.NDArray[np.bool_]:
        depth, (low, high) = depth_of(roi), self.depth
        miss = np.maximum(np.float32(low) - depth, depth - np.float32(high))
        miss[roi == 0] = np.inf
        return miss <= max(0.0, float(miss.min()))


class Placed(MaskSpec):
    """What may be drawn for a mask that has a centre.

    Attributes:
        depth_range: where the centre may lie: 0 at the ROI's edge (of a whole picture: its border) to 1 where it is deepest.
    """

    depth_range: FractionRange = _ANYWHERE

    def draw_place(self, draws: Draws) -> dict[str, object]:
        """``place`` and ``depth``, for ``draw``."""
        return {"place": draws.uniform("place", (0.0, 0.999999)), "depth": self.depth_range}


def depth_of(roi: Mask) -> FloatField:
    """``(H, W)`` float32: distance from the ROI's edge, 1 where that is largest, 0 outside.

    Where the ROI has an edge inside the picture, the picture's border does not count as one.
    """
    border = 1 if roi.all() else 0
    padded = cv2.copyMakeBorder(roi, border, border, border, border, cv2.BORDER_CONSTANT, value=0)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_5)
    distance = distance[border : distance.shape[0] - border, border : distance.shape[1] - border]
    return np.asarray(distance / max(float(distance.max()), 1.0), dtype=np.float32)


def distance_from(mask: Mask) -> FloatField:
    """``(H, W)`` float32: pixels from the outline of a shape, positive inside it; a field of its level sets."""
    inside = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_5)
    outside = cv2.distanceTransform(255 - mask, cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.asarray(inside - outside, dtype=np.float32)
