"""What a synthesizer returns for one picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.images import AnyImage, Box, Mask

if TYPE_CHECKING:
    from defectsynth.plan import Plan

__all__ = ["AnomalySample", "Piece"]


@dataclass(frozen=True, slots=True)
class Piece:
    """One connected piece of one defect: what an instance of COCO or YOLO is.

    Attributes:
        kind: the recipe's name of its defect.
        anomaly: position of its defect in ``plan.anomalies``.
        box: ``(top, left, bottom, right)`` in pixels, ends excluded.
        mask: ``(h, w)`` uint8, 0 or 255, inside the box.
    """

    kind: str
    anomaly: int
    box: Box
    mask: Mask

    @property
    def pixels(self) -> int:
        """Its area in pixels."""
        return int(np.count_nonzero(self.mask))


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

    def pieces(self) -> list[Piece]:
        """The 8-connected pieces of every defect, as far as it lies on top, in the order of ``plan.anomalies``."""
        return [
            Piece(anomaly.kind, number, box, mask)
            for number, anomaly in enumerate(self.plan.anomalies)
            for box, mask in _connected(self.kinds == number + 1)
        ]


def _connected(where: npt.NDArray[np.bool_]) -> list[tuple[Box, Mask]]:
    """Box and mask of each 8-connected piece, from top to bottom."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(where.view(np.uint8), connectivity=8)
    found: list[tuple[Box, Mask]] = []
    for label in range(1, count):
        left, top, width, height = (int(value) for value in stats[label, :4])
        inside = labels[top : top + height, left : left + width] == label
        found.append(((top, left, top + height, left + width), inside.view(np.uint8) * np.uint8(255)))
    return found
