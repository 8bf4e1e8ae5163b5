"""A defect with its surroundings: the square that is cut around it, and which of its pixels are inside, on the edge, around."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.images import AnyImage, Mask, as_mask, convert, resize_image, resize_mask

__all__ = ["MAX_SIDE", "Regions", "View", "cut_view", "largest_piece", "regions_of", "view_box"]

Plane = npt.NDArray[np.bool_]
Box = tuple[int, int, int, int]

MAX_SIDE = 256
"""Longest side of a view in pixels; chosen here: larger squares are shrunk, so that a huge mask costs what a small one does."""
_MARGIN = 0.5  # surroundings on either side, of the longer side of the largest piece; chosen here
_SMALLEST = 1 / 8  # smallest square, of the picture's side; chosen here: a pinhole is seen with what lies around it
_SMALLEST_PIXELS = 32
_EDGE = 2.0  # pixels on either side of the outline that belong neither to the core nor to the ring
_RING = 0.6  # width of the ring, of the square root of the mask's area: the ring is as large as the defect or larger
_RING_PIXELS = 6.0


@dataclass(frozen=True, slots=True)
class View:
    """The square around a defect.

    Attributes:
        rgb: ``(h, w, 3)`` float32 in [0, 1], sides at most ``MAX_SIDE``; a grey picture has three equal channels.
        mask: ``(h, w)`` uint8, 0 or 255, at least one pixel set.
    """

    rgb: npt.NDArray[np.float32]
    mask: Mask


@dataclass(frozen=True, slots=True)
class Regions:
    """Where the pixels of a view lie, each ``(h, w)`` bool and none of them empty.

    Attributes:
        inside: the mask.
        core: the mask without its outermost pixels, or the mask where nothing would be left.
        edge: within two pixels of the outline.
        ring: the surroundings; the mask itself where it fills the whole view, so that every difference is 0.
        distance: ``(h, w)`` float32, pixels from the outline: negative inside, positive outside.
    """

    inside: Plane
    core: Plane
    edge: Plane
    ring: Plane
    distance: npt.NDArray[np.float32]


def largest_piece(mask: Mask) -> Box:
    """``(top, left, bottom, right)`` of the largest 8-connected piece of a mask that is not empty, ends excluded."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    left, top, width, height, _ = (int(value) for value in stats[1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))])
    return top, left, top + height, left + width


def view_box(mask: Mask) -> Box:
    """``(top, left, bottom, right)`` of the square around the largest piece, moved into the picture and cut at its border."""
    top, left, bottom, right = largest_piece(mask)
    smallest = max(_SMALLEST_PIXELS, round(_SMALLEST * np.sqrt(mask.size)))
    side = max(smallest, round((1 + 2 * _MARGIN) * max(bottom - top, right - left)))
    first, last = _span((top + bottom) // 2, side, mask.shape[0])
    start, end = _span((left + right) // 2, side, mask.shape[1])
    return first, start, last, end


def cut_view(image: AnyImage, mask: Mask) -> View:
    """The view of a picture ``(H, W[, C])`` around the largest piece of its ``mask (H, W)``, which is not empty."""
    top, left, bottom, right = view_box(mask)
    part, piece = image[top:bottom, left:right], np.ascontiguousarray(mask[top:bottom, left:right])
    rgb = convert(part[:, :, :3] if part.ndim == 3 else part, np.float32, 3)
    scale = MAX_SIDE / max(piece.shape)
    if scale < 1:
        shape = (max(1, round(piece.shape[0] * scale)), max(1, round(piece.shape[1] * scale)))
        rgb, piece = resize_image(rgb, shape), _shrunk(piece, shape)
    return View(np.ascontiguousarray(rgb), piece)


def regions_of(mask: Mask) -> Regions:
    """The regions of a view's mask, which is not empty."""
    inside = mask != 0
    outwards = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 5)
    inwards = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5) if not inside.all() else np.ones_like(outwards)
    width = max(_RING_PIXELS, _RING * float(np.sqrt(np.count_nonzero(inside))))
    ring = (outwards > _EDGE) & (outwards <= _EDGE + width)
    edge = (outwards <= _EDGE) & (inwards <= _EDGE)
    return Regions(
        inside=inside,
        core=_first_not_empty(inwards > 1, inside),
        edge=_first_not_empty(edge, inside),
        ring=_first_not_empty(ring, ~inside, inside),
        distance=np.asarray(np.where(inside, 0.5 - inwards, outwards - 0.5), dtype=np.float32),
    )


def _span(middle: int, side: int, length: int) -> tuple[int, int]:
    start = min(max(0, middle - side // 2), max(0, length - side))
    return start, min(length, start + side)


def _shrunk(piece: Mask, shape: tuple[int, int]) -> Mask:
    small = resize_mask(piece, shape)
    return small if small.any() else as_mask(resize_image(piece, shape) > 0)


def _first_not_empty(*planes: Plane) -> Plane:
    return next((plane for plane in planes if plane.any()), planes[-1])
