"""What lies behind the product as the source: a piece has broken off, and the background shows in its place.

The background is a window of the picture from outside the ROI, the nearest that holds nothing else, in the tone that the
background has beside the defect. Along what is left of the product it shows the broken face. All numbers are chosen here,
beside ``break`` of magnetic tiles and ``manipulated_front`` of MVTec AD's screws.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from defectsynth import noise
from defectsynth.banks import Banks
from defectsynth.camera import through_lens
from defectsynth.images import AnyImage, from_float, full_scale, to_float
from defectsynth.masks.base import MaskParams
from defectsynth.noise import FloatField, smooth
from defectsynth.rng import Draws
from defectsynth.site import Site
from defectsynth.sources.base import SOURCE_PARAMS, SOURCES, SourceParams, SourceSpec
from defectsynth.sources.tone import visible_shift
from defectsynth.spec import FractionRange, ShiftRange

__all__ = ["Background", "BackgroundParams"]

Solid = npt.NDArray[np.bool_]
Window = tuple[slice, slice]

_BLURRED = 0.012  # of the side, 3 of 256 pixels: so near the product the background is blurred into it, or in its shadow
_FADES = 0.008  # of the side, 2 of 256 pixels: over which the fill goes over to what lies just outside the ROI
_FRINGE = 0.008  # of the side: an ROI reaches so far into the background, where no face is
_BESIDE = 0.04  # of the side: the background so near the defect has the tone that the fill takes
_STEPS = 8  # of bisection, for the largest window that holds nothing but background
_UNEVEN = 1.2  # of the face's width: how much it changes along the break; the noise lies mostly within 0.5
_CELL = 2.5  # widths of the face to a cell of that noise
_GRAIN = 0.12  # of full scale: how uneven the light on the face is
_EDGE = 4.5  # blurs of the lens: the width of a smooth step that is as steep as an edge blurred so far
_FAR = 1e9  # pixels
_SEEN_THROUGH = 0.4  # share of the product's own pixels in the face, so that it does not end in a drawn line


@SOURCE_PARAMS.register
class BackgroundParams(SourceParams):
    """What was drawn.

    Attributes:
        face: width of the broken face, as a fraction of the picture's side; 0 for none.
        shift: how much lighter than the product the face is, as a fraction of full scale.
        noise: seed of the face's width and light, 52 bits.
    """

    photographed: ClassVar[bool] = True
    own_outline: ClassVar[bool] = True

    kind: Literal["background"] = "background"
    face: float = Field(default=0.0, ge=0.0, le=1.0)
    shift: float = Field(default=0.0, ge=-1.0, le=1.0)
    noise: int = Field(default=0, ge=0, lt=2**64)

    def render(self, site: Site) -> AnyImage:
        """``(h, w, C)`` of the picture's type; the product as it is where the ROI is the whole picture."""
        if (site.roi != 0).all():
            return site.product
        filled = _filled(site)
        away = _from_what_is_left(site)
        if self.face > 0.0:
            share = self._share_of_face(site, away)
            filled += share[:, :, None] * (self._face(site, share > 0) - filled)
        if site.lens > 0.0:
            product = to_float(site.product, site.white)
            filled = product + smooth(0.0, _EDGE * site.lens, away)[:, :, None] * (filled - product)
        return from_float(np.clip(filled, np.float32(0.0), np.float32(1.0)), site.image.dtype, site.white)

    def _share_of_face(self, site: Site, away: FloatField) -> FloatField:
        """``(h, w)`` in [0, 1]: 1 beside what is left of the product, falling to 0 over the face's width, which is uneven."""
        width = self.face * site.side * (np.float32(1.0) + np.float32(_UNEVEN) * self._noise(site, tag=0))
        fading = smooth(0.0, max(1.0, _EDGE * site.lens), away - width)
        share = np.where(site.inside, np.float32(1.0) - fading, np.float32(0.0))
        return through_lens(share[:, :, None], site.lens)[:, :, 0]

    def _face(self, site: Site, where: Solid) -> FloatField:
        """``(h, w, C)``: the product there, with less of its texture, lighter or darker, in uneven light."""
        where = where & site.inside
        colour = _mean(site, site.product, where if where.any() else site.inside)
        shift = visible_shift(self.shift, float(colour.mean()))
        light = np.float32(_GRAIN) * self._noise(site, tag=1)
        seen = np.float32(_SEEN_THROUGH) * (to_float(site.product, site.white) - colour.astype(np.float32))
        return np.asarray(seen + (colour + shift).astype(np.float32) + light[:, :, None], dtype=np.float32)

    def _noise(self, site: Site, tag: int) -> FloatField:
        cell = max(2.0, _CELL * self.face * site.side)
        height, width = site.inside.shape
        return noise.fbm(self.noise, (height, width), (max(1.0, height / cell), max(1.0, width / cell)), 2, tag=tag)


@SOURCES.register
class Background(SourceSpec):
    """The background behind a product, for what has broken off at its edge (``depth_range: [0, 0]``).

    Where the ROI is the whole picture no background is seen. The product then stays as it is, which ``min_difference`` refuses,
    so that a recipe draws another of its kinds; one that has no other ends with a ``SynthesisError``.

    Attributes:
        face_range: width of the broken face, as a fraction of the picture's side; [0, 0] for none. Chosen: 1 to 3 of 256
            pixels.
        shift_range: how much lighter than the product the face is, as a fraction of full scale; turned round where the scale
            ends (``tone.visible_shift``). Chosen.
    """

    kind: Literal["background"] = "background"
    face_range: FractionRange = (0.004, 0.012)
    shift_range: ShiftRange = (-0.15, 0.2)

    def draw(self, draws: Draws, banks: Banks, mask: MaskParams) -> BackgroundParams:
        """The parameters of one break."""
        return BackgroundParams.drawn(
            face=draws.uniform("face", self.face_range),
            shift=draws.uniform("shift", self.shift_range),
            noise=draws.noise_seed("noise"),
        )


def _from_what_is_left(site: Site) -> FloatField:
    """``(h, w)``: pixels to the nearest of the product's own, beyond ``_FAR`` where none is left."""
    top, left, bottom, right = site.box
    solid = cv2.distanceTransform(site.roi, cv2.DIST_L2, cv2.DIST_MASK_5) > np.float32(_FRINGE * site.side)
    around = np.pad(solid & (site.mask == 0), 1)[top : bottom + 2, left : right + 2]
    if not around.any():
        return np.full(site.inside.shape, _FAR, dtype=np.float32)
    distance = cv2.distanceTransform((~around).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.asarray(distance[1:-1, 1:-1], dtype=np.float32)


def _filled(site: Site) -> FloatField:
    """``(h, w, C)`` in [0, 1]: background over the whole rectangle, going over to what lies just outside the ROI."""
    behind = site.roi == 0
    clear = _clear(site)
    window = _nearest_window(clear, site)
    patch = to_float(_mirrored(site.image[window], site.inside.shape), site.white)
    beside = _beside(site)
    near = clear[beside]
    if near.any():
        patch = patch + (_mean(site, site.image[beside], near) - _mean(site, site.image[window])).astype(np.float32)
    return _joined(patch, behind, site)


def _clear(site: Site) -> Solid:
    """``(H, W)``: where the background is not blurred into the product; all background where it is nowhere else."""
    distance = cv2.distanceTransform(np.where(site.roi != 0, np.uint8(0), np.uint8(255)), cv2.DIST_L2, cv2.DIST_MASK_5)
    clear = distance > np.float32(_BLURRED * site.side)
    return clear if clear.any() else distance > 0


def _nearest_window(clear: Solid, site: Site) -> Window:
    """The window nearest to the site's box that is clear, of the box's size or of the largest share of it that there is."""
    sums = np.asarray(cv2.integral(clear.view(np.uint8)), dtype=np.int32)
    low, high = 0.0, 1.0
    best = _window(sums, site, 1.0)
    if best is not None:
        return best
    for _ in range(_STEPS):
        middle = (low + high) / 2.0
        found = _window(sums, site, middle)
        best, low, high = (best, low, middle) if found is None else (found, middle, high)
    best = best or _window(sums, site, 0.0)
    assert best is not None  # one pixel always fits
    return best


def _window(sums: npt.NDArray[np.int32], site: Site, share: float) -> Window | None:
    """The nearest clear window with a share of the box's sides, at least one pixel; None where there is none."""
    top, left, bottom, right = site.box
    height, width = max(1, round(share * (bottom - top))), max(1, round(share * (right - left)))
    pixels = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    rows, columns = np.nonzero(pixels == height * width)
    if rows.size == 0:
        return None
    away = (2 * rows + height - top - bottom) ** 2 + (2 * columns + width - left - right) ** 2
    nearest = int(away.argmin())
    row, column = int(rows[nearest]), int(columns[nearest])
    return slice(row, row + height), slice(column, column + width)


def _mirrored(window: AnyImage, shape: tuple[int, ...]) -> AnyImage:
    """``(h, w, C)``: a window that goes on beyond its lower and its right side, mirrored as often as it takes."""
    rows, columns = (_there_and_back(size, wanted) for size, wanted in zip(window.shape[:2], shape, strict=True))
    return np.asarray(window[rows][:, columns])


def _there_and_back(size: int, wanted: int) -> npt.NDArray[np.intp]:
    way = np.arange(wanted) % (2 * size)
    return np.where(way < size, way, 2 * size - 1 - way)


def _beside(site: Site) -> Window:
    """The site's box and what lies near it."""
    more = math.ceil(_BESIDE * site.side) + 1
    (top, left, bottom, right), (height, width) = site.box, site.shape
    return slice(max(0, top - more), min(height, bottom + more)), slice(max(0, left - more), min(width, right + more))


def _joined(patch: FloatField, behind: Solid, site: Site) -> FloatField:
    """The patch, near the ROI's edge in the colour of the nearest pixel outside, so that no seam shows where the edge was."""
    beside = _beside(site)
    behind, picture = behind[beside], site.image[beside]
    if not behind.any():
        return patch
    distance, labels = cv2.distanceTransformWithLabels(
        (~behind).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    top, left, bottom, right = site.box
    inner = slice(top - beside[0].start, bottom - beside[0].start), slice(left - beside[1].start, right - beside[1].start)
    nearest = np.zeros((int(labels.max()) + 1, picture.shape[2]), dtype=np.float32)
    nearest[labels[behind]] = to_float(picture[behind], site.white)
    fades = np.float32(1.0) - smooth(0.0, max(1.0, _FADES * site.side), np.asarray(distance[inner], dtype=np.float32))
    return np.asarray(patch + fades[:, :, None] * (nearest[labels[inner]] - patch), dtype=np.float32)


def _mean(site: Site, picture: AnyImage, where: Solid | None = None) -> npt.NDArray[np.float64]:
    """``(C,)`` in [0, 1]: mean of a part of the picture (sums of integers: the same on every machine)."""
    values = picture.reshape(-1, picture.shape[2]) if where is None else picture[where]
    total = values.sum(axis=0, dtype=np.float64)
    return np.asarray(total / (values.shape[0] * (site.white or full_scale(picture.dtype))))
