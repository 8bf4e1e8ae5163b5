"""Pieces as one polygon each: holes are joined to the outline by bridges, since a polygon of YOLO cannot have any."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.images import Mask

__all__ = ["Points", "fill", "outline"]

Points = npt.NDArray[np.int32]
"""``(n, 2)``: x and y of pixels."""


def outline(mask: Mask) -> tuple[Points, int]:
    """The polygon through the border pixels of one connected piece ``(h, w)``, three points at least; how many holes it has."""
    contours, hierarchy = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    outer = next(place for place, links in enumerate(hierarchy[0]) if links[3] < 0)
    points: Points = contours[outer].reshape(-1, 2).astype(np.int32)
    holes = [contours[place].reshape(-1, 2) for place, links in enumerate(hierarchy[0]) if links[3] == outer]
    for hole in sorted(holes, key=lambda hole: tuple(hole.min(axis=0).tolist())):
        points = _joined(points, hole.astype(np.int32))
    while len(points) < 3:  # a dot or a line
        points = np.concatenate([points, points[-1:]])
    return points, len(holes)


def fill(points: Points, size: tuple[int, int]) -> Mask:
    """The mask ``(H, W)`` of a polygon, its border pixels included."""
    mask = np.zeros(size, dtype=np.uint8)
    cv2.fillPoly(mask, [points.astype(np.int32)], 255)
    return mask


def _joined(points: Points, hole: Points) -> Points:
    """Goes along the outline to the point next to the hole, once around the hole, and back."""
    apart = ((points[:, None, :].astype(np.int64) - hole[None, :, :]) ** 2).sum(axis=2)
    here, there = np.unravel_index(int(apart.argmin()), apart.shape)
    around = np.concatenate([np.roll(hole, -int(there), axis=0), hole[there : int(there) + 1]])
    return np.concatenate([points[: here + 1], around, points[here:]])
