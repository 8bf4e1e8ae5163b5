"""Linear interpolation between product and source, ``(1 - a) I + a A``, with an optional soft edge.

Source: ``VitjanZ/DRAEM`` ``data_loader.py``: ``I (1 - M) + (1 - b) A M + b I M``; opacity ``a`` is ``1 - b``.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from defectsynth.blends.base import BLEND_PARAMS, BLENDS, BlendParams, BlendSpec
from defectsynth.images import AnyImage, Mask
from defectsynth.noise import smooth
from defectsynth.rng import Draws
from defectsynth.spec import FractionRange

__all__ = ["Linear", "LinearParams"]

_ONE = 1 << 16  # weights are integers out of 65,536, so that 8- and 16-bit blends are exact sums


@BLEND_PARAMS.register
class LinearParams(BlendParams):
    """What was drawn.

    Attributes:
        opacity: weight of the source, 0 to 1.
        edge: width of the soft edge inside the mask, as a fraction of the picture's side; 0 is a hard edge.
    """

    kind: Literal["linear"] = "linear"
    opacity: float = Field(ge=0.0, le=1.0)
    edge: float = Field(default=0.0, ge=0.0, le=1.0)

    def blend(self, image: AnyImage, patch: AnyImage, mask: Mask, side: float) -> tuple[AnyImage, npt.NDArray[np.float32]]:
        """See ``BlendParams.blend``; the degree of anomaly is the weight of the source."""
        weights = self._weights(mask, side)
        inside = weights > 0
        blended = image.copy()
        blended[inside] = _interpolate(image[inside], patch[inside], weights[inside][:, None])
        return blended, weights.astype(np.float32) / np.float32(_ONE)

    def _weights(self, mask: Mask, side: float) -> npt.NDArray[np.uint32]:
        """``(h, w)`` integers out of 65,536."""
        if self.edge * side < 1.0:
            return np.where(mask != 0, np.uint32(round(self.opacity * _ONE)), np.uint32(0))
        padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
        inwards = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_5)[1:-1, 1:-1]
        rise = smooth(0.0, 1.0 + self.edge * side, np.asarray(inwards, dtype=np.float32))
        return np.rint(rise * np.float32(self.opacity * _ONE)).astype(np.uint32)


@BLENDS.register
class Linear(BlendSpec):
    """What may be drawn.

    Attributes:
        opacity_range: weight of the source. DRAEM's code: (0.2, 1]; its paper: [0.1, 1].
        edge_range: width of the soft edge, as a fraction of the picture's side. DRAEM: 0.
    """

    kind: Literal["linear"] = "linear"
    opacity_range: FractionRange = (0.2, 1.0)
    edge_range: FractionRange = (0.0, 0.0)

    def draw(self, draws: Draws) -> LinearParams:
        """The parameters of one linear blend."""
        return LinearParams(opacity=draws.uniform("opacity", self.opacity_range), edge=draws.uniform("edge", self.edge_range))


def _interpolate(image: AnyImage, patch: AnyImage, weights: npt.NDArray[np.uint32]) -> AnyImage:
    """``(n, C)`` pixels of both, ``(n, 1)`` weights out of ``_ONE``; integers are rounded half up."""
    if image.dtype == np.float32:
        share = weights.astype(np.float32) / np.float32(_ONE)
        return np.clip(image + share * (patch - image), 0.0, 1.0).astype(np.float32)
    total = image.astype(np.uint32) * (np.uint32(_ONE) - weights) + patch.astype(np.uint32) * weights
    return ((total + np.uint32(_ONE // 2)) >> np.uint32(16)).astype(image.dtype)
