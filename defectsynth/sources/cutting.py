"""Cutting a patch out of a picture: a window somewhere in it, mirrored, magnified and turned to fill a site's rectangle.

The window always lies inside the picture, so nothing is made up beyond its border; what only moves is copied bit for bit.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import cv2
import numpy as np
from pydantic import Field

from defectsynth.affine import Matrix, about, rotation, shifted
from defectsynth.images import AnyImage, resize_image
from defectsynth.masks.base import MaskParams
from defectsynth.rng import Draws
from defectsynth.site import Site
from defectsynth.sources.base import SourceParams, SourceSpec
from defectsynth.sources.jitter import Adjustment, Jitter, apply_jitter
from defectsynth.spec import AngleRange

__all__ = ["Cut", "CutParams", "Place", "Size", "corner_of", "draw_place", "window_at"]

Size = tuple[int, int]
Place = tuple[Annotated[float, Field(ge=0.0, lt=1.0)], Annotated[float, Field(ge=0.0, lt=1.0)]]
"""Where a window lies among all places it can take, down and to the right: two numbers in [0, 1)."""


class CutParams(SourceParams):
    """What was drawn for any patch that is cut out of a picture.

    Attributes:
        angle: rotation of the patch, degrees anticlockwise.
        flip: whether it is mirrored left to right first.
        jitter: the adjustments of its colour, in order; see ``jitter.py``.
    """

    photographed: ClassVar[bool] = True

    angle: float = 0.0
    flip: bool = False
    jitter: tuple[Adjustment, ...] = ()

    def window_size(self, site: Site, scale: float = 1.0) -> Size:
        """(height, width) of the window that, turned and magnified ``scale`` times, fills the site's rectangle.

        Where the picture is too small for it, it is magnified more.
        """
        turned, whole = _turned(_size_of(site), self.angle), site.shape
        scale = max(scale, turned[0] / whole[0], turned[1] / whole[1])
        return min(whole[0], max(1, round(turned[0] / scale))), min(whole[1], max(1, round(turned[1] / scale)))

    def fill(self, window: AnyImage, site: Site) -> AnyImage:
        """``(h, w, C)``: the site's rectangle filled with a window ``(h', w', C)`` of the picture's type."""
        size, window = _size_of(site), window[:, ::-1] if self.flip else window
        patch = resize_image(window, size) if self.angle == 0.0 else _turn(window, size, self.angle)
        return apply_jitter(patch, self.jitter, site.white)


class Cut(SourceSpec):
    """What may be drawn for any patch that is cut out of a picture.

    Attributes:
        rotation_range: degrees.
        turn_with_mask: true adds the angle of the mask, where its kind has one: what is inside a turned patch turns with it.
        flip_probability: of mirroring left to right.
        jitter: see ``jitter.py``.
    """

    rotation_range: AngleRange = (0.0, 0.0)
    turn_with_mask: bool = False
    flip_probability: float = Field(default=0.0, ge=0.0, le=1.0)
    jitter: Jitter = Field(default_factory=Jitter)

    def draw_cut(self, draws: Draws, mask: MaskParams) -> dict[str, object]:
        """``angle``, ``flip`` and ``jitter``, for ``draw``."""
        with_mask = float(getattr(mask, "angle", 0.0)) if self.turn_with_mask else 0.0
        return {
            "angle": draws.uniform("angle", self.rotation_range) + with_mask,
            "flip": draws.chance("flip", self.flip_probability),
            "jitter": self.jitter.draw(draws.within("jitter")),
        }


def draw_place(draws: Draws) -> Place:
    """A place, every one as likely."""
    return draws.uniform("place", (0.0, 0.999999), slot=0), draws.uniform("place", (0.0, 0.999999), slot=1)


def corner_of(place: Place, size: Size, whole: Size) -> Size:
    """(top, left) of the window of a size that lies at a place in a whole picture."""
    return int(place[0] * (whole[0] - size[0] + 1)), int(place[1] * (whole[1] - size[1] + 1))


def window_at(corner: Size, size: Size) -> tuple[slice, slice]:
    """The window of a (top, left) corner and a (height, width)."""
    return slice(corner[0], corner[0] + size[0]), slice(corner[1], corner[1] + size[1])


def _size_of(site: Site) -> Size:
    top, left, bottom, right = site.box
    return bottom - top, right - left


def _turned(size: Size, angle: float) -> Size:
    """(height, width) of the upright rectangle that still fills ``size`` after a turn about its centre."""
    if angle == 0.0:
        return size
    sine, cosine = abs(math.sin(math.radians(angle))), abs(math.cos(math.radians(angle)))
    height, width = size
    return math.ceil(height * cosine + width * sine - 1e-6), math.ceil(width * cosine + height * sine - 1e-6)


def _turn(window: AnyImage, size: Size, angle: float) -> AnyImage:
    """A rectangle of ``size`` filled with a window that is magnified and turned about its centre."""
    turned = _turned(size, angle)
    if window.shape[0] > turned[0]:  # bilinear sampling of a window that is finer would skip pixels
        window = resize_image(window, turned)
    to_turned = about(rotation(-angle), _centre(size), _centre(turned))
    step = np.array([[window.shape[1] / turned[1]], [window.shape[0] / turned[0]]])
    to_window = shifted(shifted(to_turned, 0.5, 0.5) * step, -0.5, -0.5)
    return np.concatenate(
        [_warp(window[:, :, start : start + 4], to_window, size) for start in range(0, window.shape[2], 4)], axis=2
    )


def _warp(planes: AnyImage, matrix: Matrix, size: Size) -> AnyImage:
    """``size`` pixels of at most four channels, which is all that OpenCV warrants; ``matrix`` leads back to where they are."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    planes = np.ascontiguousarray(planes)
    return cv2.warpAffine(planes, matrix, size[::-1], flags=flags, borderMode=cv2.BORDER_REFLECT_101).reshape(*size, -1)


def _centre(size: Size) -> tuple[float, float]:
    """(x, y) of a rectangle's centre, in pixel centres."""
    return size[1] / 2 - 0.5, size[0] / 2 - 0.5
