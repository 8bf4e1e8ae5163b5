"""What a synthesizer returns for one picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.images import AnyImage, Box, Mask, as_mask, bounding_box

if TYPE_CHECKING:
    from defectsynth.plan import AnomalyPlan, Plan

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
            Piece(anomaly.kind, number, box, as_mask(labels == label))
            for number, anomaly, found in self._components()
            for box, label, _, labels in found
        ]

    def piece_sizes(self) -> list[tuple[str, Box, int]]:
        """Kind, box and pixels of each of ``pieces()``, in the same order, without its mask."""
        return [(anomaly.kind, box, pixels) for _, anomaly, found in self._components() for box, _, pixels, _ in found]

    def _components(self) -> Iterator[tuple[int, AnomalyPlan, list[_Component]]]:
        return ((number, anomaly, _connected(self.kinds == number + 1)) for number, anomaly in enumerate(self.plan.anomalies))


class _Component(NamedTuple):
    """One connected piece: its box, its label, its pixels, and the labels in its box."""

    box: Box
    label: int
    pixels: int
    labels: AnyImage


def _connected(where: npt.NDArray[np.bool_]) -> list[_Component]:
    """The 8-connected pieces, from top to bottom; only the rectangle around all of them is looked at."""
    around = bounding_box(where)
    if around is None:
        return []
    row, column = around[0] & ~1, around[1] & ~1  # OpenCV numbers pieces by blocks of 2 x 2: keep to those of the picture
    window = where[row : around[2], column : around[3]].view(np.uint8)
    small = ((window.shape[0] + 1) // 2) * ((window.shape[1] + 1) // 2) < 2**16  # there are no more pieces than blocks
    _, labels, stats, _ = cv2.connectedComponentsWithStats(window, connectivity=8, ltype=cv2.CV_16U if small else cv2.CV_32S)
    return [
        _Component(
            (row + top, column + left, row + top + height, column + left + width),
            label,
            pixels,
            labels[top : top + height, left : left + width],
        )
        for label, (left, top, width, height, pixels) in enumerate(stats[1:].tolist(), start=1)
    ]
