"""Which pictures of a set show one and the same defect, so that they are never on both sides of a test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.images import Mask, luminance
from defectsynth.scoring.views import View

__all__ = ["Print", "fingerprint", "group_alike"]

Plane = npt.NDArray[np.float32]

_MASK_SIDE = 32
_VIEW_SIDE = 48
_SHIFT = 8  # pixels of the small view by which two exposures may be moved
_FINE, _COARSE = 1.0, 6.0  # deviations of the band that is compared: neither grain nor lighting
_MASKS_ALIKE = 0.3  # correlations; chosen here on magnetic tile, where 90 % of the exposures of one tile lie above
_VIEWS_ALIKE = 0.85  # and on MVTec AD screw, bottle and grid, where nearly every pair of two parts lies below
_ASPECT = 1.15  # largest ratio of the aspects of two pictures of one part


@dataclass(frozen=True, slots=True)
class Print:
    """What a defect is known again by.

    Attributes:
        kind: of the defect.
        aspect: width over height of the picture.
        mask: ``(32, 32)`` float32, the share of each cell that is defect, of mean 0 and norm 1.
        view: ``(48, 48)`` float32, a band of the view's brightness.
    """

    kind: str
    aspect: float
    mask: Plane
    view: Plane


def fingerprint(kind: str, mask: Mask, view: View) -> Print:
    """The print of a defect of a picture with this ``mask (H, W)``."""
    small = cv2.resize(mask.astype(np.float32), (_MASK_SIDE, _MASK_SIDE), interpolation=cv2.INTER_AREA)
    centred = small - small.mean()
    grey = cv2.resize(luminance(view.rgb), (_VIEW_SIDE, _VIEW_SIDE), interpolation=cv2.INTER_AREA)
    band = cv2.GaussianBlur(grey, (0, 0), _FINE) - cv2.GaussianBlur(grey, (0, 0), _COARSE)
    return Print(
        kind=kind,
        aspect=mask.shape[1] / mask.shape[0],
        mask=np.asarray(centred / max(float(np.linalg.norm(centred)), 1e-6), dtype=np.float32),
        view=np.asarray(band, dtype=np.float32),
    )


def group_alike(prints: Sequence[Print]) -> npt.NDArray[np.int64]:
    """``(n,)`` int64: the number of the group of each picture, from 0 up.

    Two pictures of one kind show one defect if their masks overlap (correlation 0.3) and their views agree (0.85, moved a
    little if need be, whatever the exposure). A picture joins the group whose first picture is most like it, or opens one.
    """
    firsts: list[Print] = []
    groups = np.zeros(len(prints), dtype=np.int64)
    for number, one in enumerate(prints):
        alike = [_likeness(one, first) for first in firsts]
        best = int(np.argmax(alike)) if alike else 0
        if alike and alike[best] > _VIEWS_ALIKE:
            groups[number] = best
        else:
            groups[number] = len(firsts)
            firsts.append(one)
    return groups


def _likeness(one: Print, other: Print) -> float:
    if one.kind != other.kind or not 1 / _ASPECT <= one.aspect / other.aspect <= _ASPECT:
        return -1.0
    if float(np.vdot(one.mask, other.mask)) < _MASKS_ALIKE and not np.array_equal(one.mask, other.mask):
        return -1.0
    middle = np.ascontiguousarray(one.view[_SHIFT:-_SHIFT, _SHIFT:-_SHIFT])
    if float(middle.std()) < 1e-4 or float(other.view.std()) < 1e-4:
        return -1.0  # nothing is to be seen: no picture is known again by that
    return float(cv2.matchTemplate(other.view, middle, cv2.TM_CCOEFF_NORMED).max())
