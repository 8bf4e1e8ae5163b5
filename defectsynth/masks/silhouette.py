"""Places where the edge of the product runs as it did around a real defect: a missing tip belongs at the tip.

The product around the defect in its own picture and the ROI are both silhouettes; the places are ranked by how many pixels
differ between the two, over the rectangle around the defect, widened by half of its longer side. The counts come from one
correlation in float64, rounded to whole numbers, so that they are exact.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.affine import of_resampled
from defectsynth.images import Box, Mask, resize_mask

__all__ = ["most_alike"]

Positions = npt.NDArray[np.intp]

_LARGEST = 192  # pixels along the longer side of the ROI in which places are compared
_MARGIN = 0.5  # of the defect's longer side, around it


def most_alike(around: Mask, box: Box, linear: npt.NDArray[np.float64], roi: Mask, among: Positions, share: float) -> Positions:
    """Those of the positions at which the silhouettes differ least.

    Args:
        around: the product in the defect's own picture, ``(h, w)`` uint8, 0 or 255.
        box: the defect's rectangle in it.
        linear: ``(2, 2)``: how the defect is turned and scaled.
        roi: ``(H, W)`` uint8, 0 or 255.
        among: positions in ``roi``, row by row, for the middle of the defect.
        share: how many of them are kept, as a share; at least one.
    """
    step = max(1.0, max(roi.shape) / _LARGEST)
    small = resize_mask(roi, (max(1, round(roi.shape[0] / step)), max(1, round(roi.shape[1] / step))))
    product, known = _template(around, box, linear / step)
    differing = _differences(product, known, small)
    rows, columns = np.divmod(among, roi.shape[1])
    ranked = differing[rows * small.shape[0] // roi.shape[0], columns * small.shape[1] // roi.shape[1]]
    rank = max(1, math.ceil(share * among.size)) - 1
    return among[ranked <= np.partition(ranked, rank)[rank]]


def _template(around: Mask, box: Box, linear: npt.NDArray[np.float64]) -> tuple[Mask, Mask]:
    """The product around the defect, turned and scaled, its middle in the middle; and where it is known. 0 or 1."""
    top, left, bottom, right = box
    margin = _MARGIN * max(bottom - top, right - left)
    corners = np.array([[x, y] for x in (left - margin, right + margin) for y in (top - margin, bottom + margin)])
    middle = np.array([(left + right - 1) / 2, (top + bottom - 1) / 2])
    from_middle = corners - middle
    reach = np.abs(linear[:, 0] * from_middle[:, :1] + linear[:, 1] * from_middle[:, 1:]).max(axis=0)
    half_x, half_y = (max(1, math.ceil(float(value))) for value in reach)
    shift = np.array([half_x, half_y]) - linear[:, 0] * middle[0] - linear[:, 1] * middle[1]
    matrix = of_resampled(np.column_stack([linear, shift]), (1.0, 1.0))
    size = (2 * half_x + 1, 2 * half_y + 1)
    framed = np.zeros_like(around)
    framed[max(0, round(top - margin)) : round(bottom + margin), max(0, round(left - margin)) : round(right + margin)] = 1
    product = cv2.warpAffine((around != 0).view(np.uint8), matrix, size, flags=cv2.INTER_NEAREST)
    known = cv2.warpAffine(framed, matrix, size, flags=cv2.INTER_NEAREST)
    return np.asarray(product, dtype=np.uint8), np.asarray(known, dtype=np.uint8)


def _differences(product: Mask, known: Mask, roi: Mask) -> npt.NDArray[np.int64]:
    """``(H, W)``: for each place of the template's middle, how many known pixels differ; beyond the picture is no product."""
    weights = known.astype(np.float64) * (1.0 - 2.0 * product)
    inside = (roi != 0).astype(np.float64)
    outside = cv2.filter2D(inside, cv2.CV_64F, weights, borderType=cv2.BORDER_CONSTANT)
    return np.rint(outside).astype(np.int64) + int(np.count_nonzero(known & product))
