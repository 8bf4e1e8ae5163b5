"""The product as what cannot be reached from the picture's border without leaving the background or crossing an edge."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.foreground.evidence import ramp, ratio_ramp, wholeness
from defectsynth.foreground.ground import Ground, decode, encode, recode
from defectsynth.foreground.pieces import tidy
from defectsynth.foreground.standout import NOISE, Standout
from defectsynth.foreground.view import Flags, Plane, ring, ring_width
from defectsynth.foreground.watershed import BACKGROUND, PRODUCT, divide
from defectsynth.images import Mask, as_mask

__all__ = ["border_evidence", "border_outline"]

_QUIET = 0.9
"""The background's own restlessness is this quantile of the border's distances: one speck in ten is forgiven."""
_LOG_SCALE, _LOG_SOFTNESS = 40.0, 4.0
"""Edges are measured on ``40 log2(1 + d / 4)``: an edge counts by the ratio it makes, a dark rim as much as a bright one."""
_EDGE, _RIDGE = 0.08, 0.16
"""Slope per pixel of ``log(1 + d / 4)``: a shadow stays below the first, a product's outline rises above the second.

On 100 screws and 50 hazelnuts, a first value of 0.06 keeps shadows of screws, and 0.10 loses the dark side of a nut."""
_GAP = 4
"""The flood does not pass a gap in an edge narrower than 2 x 4 + 1 pixels."""
_DARK_PRODUCT = 0.2
"""From this part of its clearest pixels on, a product counts as dark itself."""
_NEIGHBOURHOOD = 7
"""An outline is about 3 pixels wide here; its inner half is what stands above the mean of twice that."""
_FAINT = 0.2
"""A hard shadow has edges too, but reaches less than this part of the product's typical distance."""


def border_evidence(ground: Ground, standout: Standout) -> float:
    """Evidence in [0, 1] that what stands out is a product, and all the rest one background: a product of three terms.

    - contrast: the median distance of what stands out over the quiet part of the border, 2.5 (textures) to 6 (products);
    - free border: the part of the border ring that stands out, one half to one fifth;
    - wholeness of the outline.
    """
    inside = standout.mask > 0
    on_border = ring(inside, ring_width(inside.shape))
    quiet = ground.border[~on_border]
    if quiet.size == 0:
        return 0.0
    rank = int(_QUIET * (quiet.size - 1))
    restlessness = max(1.0, float(decode(np.partition(quiet, rank)[rank])))
    contrast = float(decode(standout.typical)) / restlessness
    return ratio_ramp(contrast, 2.5, 6.0) * ramp(float(on_border.mean()), 0.5, 0.2) * wholeness(standout.mask)


def border_outline(ground: Ground, standout: Standout) -> Mask:
    """The exact mask ``(h, w)``, 0 or 255, at least one pixel set.

    Sure background and sure product are marked, and a watershed finds the sharpest line between them. Shadows differ from the
    background as much as a product's dark rim does; what tells them apart is that a shadow has no edge.
    """
    code = _without_cast_shadow(ground, standout)
    logarithm = recode(code, _LOG_SCALE, _LOG_SOFTNESS)
    slope = _squared_slope(logarithm)
    background = code < NOISE
    faint = encode(_FAINT * float(decode(standout.typical)))
    smooth = (slope < _squared(_EDGE)) & (code < standout.typical)
    _close_gates(smooth)
    inner = (code > cv2.blur(code, (_NEIGHBOURHOOD, _NEIGHBOURHOOD))) & (code > faint)
    ridge = inner & (slope > _squared(_RIDGE))
    markers = np.zeros(code.shape, dtype=np.int32)
    markers[(code >= standout.typical) | ridge] = PRODUCT
    markers[background | _flooded(background | smooth)] = BACKGROUND
    return tidy(divide(code, markers))


def _without_cast_shadow(ground: Ground, standout: Standout) -> Plane:
    """The code, halved (a quarter of the distance) where the picture is darker than the background, if the product is not."""
    clear = ground.code >= standout.typical
    is_dark = np.count_nonzero(ground.darker & clear) > _DARK_PRODUCT * np.count_nonzero(clear)
    return ground.code if is_dark else ground.code >> ground.darker.view(np.uint8)


def _squared(slope: float) -> float:
    """A relative slope per pixel as the square of what two Sobel filters (gain 8) give on the logarithm."""
    return (slope * 8.0 * _LOG_SCALE / math.log(2.0)) ** 2


def _squared_slope(plane: Plane) -> npt.NDArray[np.int32]:
    across = np.square(cv2.Sobel(plane, cv2.CV_16S, 1, 0), dtype=np.int32)
    return np.asarray(across + np.square(cv2.Sobel(plane, cv2.CV_16S, 0, 1), dtype=np.int32))


def _close_gates(passable: Flags) -> None:
    """Lets the flood enter the picture over plain background only: where the product touches the edge, it would go inside."""
    passable[[0, -1], :] = False
    passable[:, [0, -1]] = False


def _flooded(passable: Flags) -> Flags:
    """What is reached from outside the picture over passable ground, through passages wider than the gap."""
    brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _GAP + 1, 2 * _GAP + 1))
    wide = cv2.copyMakeBorder(cv2.erode(passable.view(np.uint8), brush), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    cv2.floodFill(wide, None, (0, 0), 2)
    reached = cv2.dilate(as_mask(wide[1:-1, 1:-1] == 2), brush)
    return passable & (reached > 0)
