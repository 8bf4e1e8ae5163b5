"""What a synthesizer returns for one picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from defectsynth.images import AnyImage, Mask

if TYPE_CHECKING:
    from defectsynth.plan import Plan

__all__ = ["AnomalySample"]


@dataclass(frozen=True, slots=True)
class AnomalySample:
    """One picture, normal or anomalous, with its labels.

    Attributes:
        image: the picture with its defects, or the normal image itself; shape and dtype of what was given.
        mask: ``(H, W)`` uint8, 255 where the picture is anomalous and 0 elsewhere.
        defect_map: ``(H, W)`` float32 in [0, 1], the degree of anomaly; the mask is where it is above zero.
        normal: the image that was given; outside the mask ``image`` equals it bit for bit.
        plan: what was drawn; painting it again gives the same bytes.
        kinds: ``(H, W)`` uint8, 0 where normal, else 1 + the position in ``plan.anomalies`` of the defect that lies on top.
    """

    image: AnyImage
    mask: Mask
    defect_map: npt.NDArray[np.float32]
    normal: AnyImage
    plan: Plan
    kinds: npt.NDArray[np.uint8]

    @property
    def is_anomalous(self) -> bool:
        """Whether any pixel is."""
        return bool(self.mask.any())
