"""The outline of a defect as numbers: what its mask says of it, without where it lies and how large the picture is."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.images import Mask, as_mask
from defectsynth.scoring.views import largest_piece

__all__ = ["SHAPE_FEATURES", "shape_features"]

Features = npt.NDArray[np.float64]
Contour = npt.NDArray[np.int32]
Points = npt.NDArray[Any]

SHAPE_FEATURES = (
    "log area",
    "log pieces",
    "share of the largest piece",
    "fill of the hull of all pieces",
    "log elongation",
    "log aspect of the tightest rectangle",
    "fill of the tightest rectangle",
    "solidity",
    "log perimeter squared over area",
    "log holes",
    "share of the holes",
    "log thickness",
    "evenness of thickness",
    "log first moment invariant",
    "second moment invariant",
    "third moment invariant",
    "spread of radius",
    "fine roughness",
    "coarse roughness",
    "fine roughness of the perimeter",
)
"""What ``shape_features`` returns, in order."""

_FINE, _COARSE = 1 / 32, 1 / 10  # deviations of the blurs that smooth an outline, of the piece's longer side
_SIDES = (64, 160)  # a piece's longer side is brought into this range of pixels
_PAD = 12


def shape_features(mask: Mask) -> Features:
    """``(len(SHAPE_FEATURES),)`` float64 of a ``mask (H, W)`` that is not empty.

    The largest piece is brought to a common size first, so that a mask of few pixels is not told by its staircase; its
    size is the first feature. Nothing depends on the position, the direction or the size of the picture.
    """
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    total = float(np.count_nonzero(mask))
    largest = float(stats[1:, cv2.CC_STAT_AREA].max())
    hull = cv2.convexHull(cv2.findNonZero(mask))
    piece = _normalised(mask)
    whole = (
        np.log(total / mask.size),
        np.log(count - 1),
        largest / total,
        total / _area_with_border(hull),
    )
    return np.array([*whole, *_outline(piece), *_moments(piece), *_roughness(piece)], dtype=np.float64)


def _normalised(mask: Mask) -> Mask:
    """The largest piece with a margin, its longer side brought into ``_SIDES``."""
    top, left, bottom, right = largest_piece(mask)
    _, labels = cv2.connectedComponents(np.ascontiguousarray(mask[top:bottom, left:right]), connectivity=8)
    piece: Points = np.equal(labels, _most_frequent(np.asarray(labels))).astype(np.float32)
    longest = max(piece.shape)
    scale = min(max(longest, _SIDES[0]), _SIDES[1]) / longest
    piece = cv2.copyMakeBorder(piece, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=0)
    if scale != 1:
        shape = (max(1, round(piece.shape[1] * scale)), max(1, round(piece.shape[0] * scale)))
        piece = cv2.resize(piece, shape, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    binary = as_mask(piece >= min(0.5, float(piece.max())))
    return cv2.copyMakeBorder(binary, _PAD, _PAD, _PAD, _PAD, cv2.BORDER_CONSTANT, value=0)  # type: ignore[return-value]


def _most_frequent(labels: Points) -> int:
    return 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))


def _outline(piece: Mask) -> tuple[float, ...]:
    contour, filled = _outer(piece)
    area, full = float(np.count_nonzero(piece)), float(np.count_nonzero(filled))
    _, (width, height), _ = cv2.minAreaRect(contour)
    longer, shorter = max(width, height) + 1, min(width, height) + 1
    holes = cv2.connectedComponents(cv2.bitwise_xor(piece, filled), connectivity=4)[0] - 1
    depth = cv2.distanceTransform(piece, cv2.DIST_L2, 5)
    within = depth[piece != 0]
    return (
        np.log(_elongation(piece)),
        np.log(longer / shorter),
        area / (longer * shorter),
        min(1.0, full / _area_with_border(cv2.convexHull(contour))),
        np.log(_perimeter(contour) ** 2 / full),
        np.log1p(holes),
        1 - area / full,
        np.log(float(within.max()) ** 2 / area),
        float(within.mean() / within.max()),
    )


def _moments(piece: Mask) -> tuple[float, ...]:
    """Moment invariants (Hu 1962), roots taken so that they are of one order, and the spread of the outline's radius."""
    hu = cv2.HuMoments(cv2.moments(piece, binaryImage=True)).ravel()
    contour, _ = _outer(piece)
    middle = np.argwhere(piece)[:, ::-1].mean(axis=0)
    radius = np.linalg.norm(contour[:, 0, :] - middle, axis=1) + 0.5
    return float(np.log(hu[0])), float(abs(hu[1]) ** 0.25), float(abs(hu[2]) ** (1 / 6)), float(radius.std() / radius.mean())


def _roughness(piece: Mask) -> tuple[float, ...]:
    area, side = float(np.count_nonzero(piece)), max(piece.shape) - 2 * _PAD
    fine, coarse = (_smoothed(piece, sigma * side) for sigma in (_FINE, _COARSE))
    around, smooth = _perimeter(_outer(piece)[0]), _perimeter(_outer(fine)[0]) if fine.any() else 1.0
    return (
        np.count_nonzero(fine != piece) / area,
        np.count_nonzero(coarse != piece) / area,
        float(np.log(around / smooth)) if fine.any() else 0.0,
    )


def _smoothed(piece: Mask, sigma: float) -> Mask:
    return as_mask(cv2.GaussianBlur(piece, (0, 0), sigma) >= 128)


def _outer(piece: Mask) -> tuple[Contour, Mask]:
    """The longest outer contour ``(n, 1, 2)`` in (x, y), and the piece with its holes filled."""
    contours, _ = cv2.findContours(piece, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros_like(piece)
    cv2.drawContours(filled, contours, -1, 255, cv2.FILLED)
    return np.asarray(max(contours, key=len), dtype=np.int32), filled


def _elongation(piece: Mask) -> float:
    moments = cv2.moments(piece, binaryImage=True)
    pixel = moments["m00"] / 12  # a pixel is a square, not a point
    spread_y, spread_x, together = moments["mu02"] + pixel, moments["mu20"] + pixel, moments["mu11"]
    middle, half = (spread_y + spread_x) / 2, float(np.hypot((spread_y - spread_x) / 2, together))
    return float(np.sqrt((middle + half) / max(middle - half, pixel)))


def _perimeter(contour: Contour) -> float:
    """Length around the pixels of a contour: that through their centres, and the half pixel outside of it."""
    return float(cv2.arcLength(contour, True)) + np.pi


def _area_with_border(polygon: Points) -> float:
    """Area of the pixels of a convex polygon whose corners are pixel centres (Pick's theorem)."""
    return float(cv2.contourArea(polygon)) + float(cv2.arcLength(polygon, True)) / 2 + 1
