"""The form of a mask: how far each of its pixels lies from the middle, which way inwards is, and how wide the mask is there.

A membrane is stretched over the outline and blown up (Poisson's equation, ``laplace(u) = -1``, zero outside the mask). Over a
strip of half-width ``w`` it is ``u = k (w^2 - x^2) / 2`` with ``k = 1``, over a disc the same with ``k = 1/2``; so the distance
from the middle is ``x = |grad u| / k``, and ``w^2 = x^2 + 2 u / k``. Over other outlines, with ``k`` between the two, both are
approximations, without the creases of a distance transform. Source of the estimate: D. B. Spalding's wall distance (1994).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.blends.solver import Sides, solve
from defectsynth.images import Mask
from defectsynth.noise import FloatField
from defectsynth.site import Site

__all__ = ["Form", "form_of", "soft_outline", "towards"]

_ACCURACY = 0.02  # of the membrane's height, or better; ``across`` of a disc is then within 0.03 of r / R
_BAND = 256  # rows; a long thin mask in a large rectangle is solved in bands, each only as wide as the mask is in it
_ALONE = 512 * 512  # pixels of a rectangle that is solved at once
_FAR = 3.0  # half-widths, beyond which a cut across the mask is no longer felt (a hundredth of it is left)
_BESIDE = np.ones((3, 3), dtype=np.uint8)
_TINY = np.float32(1e-6)
_HALF = np.float32(0.5)
_LEAST = np.float32(1 / 256)  # of a soft outline inside the mask

Solid = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Form:
    """What is known of each of the mask's ``n`` pixels, row by row.

    Attributes:
        across: ``(n,)`` float32 in [0, 1]: 0 in the middle of the mask, 1 at its outline, whatever the width there.
        inwards: ``(2, n)`` float32: y and x of the unit vector towards the middle; zero in the middle.
        half_width: ``(n,)`` float32: half the mask's width there, in pixels, at least 0.5.
        radius: half the width where the mask is widest, in pixels.
    """

    across: FloatField
    inwards: FloatField
    half_width: FloatField
    radius: float

    def facing(self, angle: float) -> FloatField:
        """``(n,)`` in [-1, 1]: how directly the way out of the mask points in the direction of ``angle`` degrees."""
        y, x = towards(angle)
        return -(self.inwards[0] * y + self.inwards[1] * x)


def form_of(site: Site, mask: Mask | None = None) -> Form:
    """The form of a site's mask, or of another ``(h, w)`` uint8 mask in the same rectangle that is not empty.

    The picture's border is not an outline: what runs off the picture has no wall there.
    """
    solid = (site.mask[site.window] if mask is None else mask) != 0
    sides = _open_sides(site, solid)
    widest = _widest(solid, sides)
    membranes = [_membrane(solid, sides, band, widest) for band in _bands(solid.shape[0], solid.size, widest)]
    height, down, right, curvature = (np.concatenate(parts) for parts in zip(*membranes, strict=True))
    deepest = int(height.argmax())
    k = curvature[deepest]
    slope = np.sqrt(down * down + right * right)
    from_middle = slope / k
    reach = np.sqrt(from_middle * from_middle + height * (np.float32(2.0) / k))  # to the centres of the first pixels outside
    half_width = np.maximum(reach - np.float32(0.5), np.float32(0.5))
    steepest = np.maximum(slope, _TINY)
    across = np.minimum(from_middle / half_width, np.float32(1.0))
    return Form(across, np.stack([down / steepest, right / steepest]), half_width, float(half_width[deepest]))


def soft_outline(site: Site, mask: Mask | None = None, *, blur: float | None = None) -> FloatField:
    """``(h, w)`` float32, in (0, 1] inside the mask: the share of mask around a pixel, relative to the largest beside it.

    An outline as soft as a lens makes it, without stairs; a line that is one or two pixels wide keeps its full weight. Where
    the lens blurs (the site's, or one of ``blur`` pixels), it falls to 0 and is nowhere steeper than an edge that is blurred
    so far; a line that is narrower than that has as much contrast as the lens leaves it.
    """
    blur = site.lens if blur is None else blur
    own = site.mask[site.window] if mask is None else mask
    if blur > 0.0:
        return _blurred_outline(own, _open_sides(site, own != 0), blur)
    solid = (own != 0).astype(np.float32)
    padded = _with_border(solid, _open_sides(site, own != 0))
    rows = padded[:-2] + np.float32(2.0) * padded[1:-1] + padded[2:]
    total = rows[:, :-2] + np.float32(2.0) * rows[:, 1:-1] + rows[:, 2:]
    share = np.asarray(total * solid, dtype=np.float32)
    fullest = np.asarray(cv2.dilate(share, _BESIDE), dtype=np.float32)
    return np.asarray(share / np.maximum(fullest, np.float32(1.0)), dtype=np.float32)


def _blurred_outline(mask: Mask, sides: Sides, blur: float) -> FloatField:
    """Half of a Gaussian edge, twice as wide: as steep at the outline as the whole one is in its middle.

    Bytes are blurred, which is exact on every machine.
    """
    deviation = 2.0 * blur
    reach = math.ceil(3.0 * deviation)
    padded = cv2.copyMakeBorder(mask, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    for edge, is_open in zip((padded[:reach], padded[:, :reach], padded[-reach:], padded[:, -reach:]), sides, strict=True):
        if not is_open:
            edge[:] = 0
    share = np.asarray(cv2.GaussianBlur(padded, (2 * reach + 1, 2 * reach + 1), deviation), dtype=np.uint8)
    fullest = cv2.dilate(share, np.ones((2 * (reach // 2) + 1,) * 2, dtype=np.uint8))
    rows, columns = slice(reach, reach + mask.shape[0]), slice(reach, reach + mask.shape[1])
    here, most = (one[rows, columns].astype(np.float32) / np.float32(255.0) for one in (share, fullest))
    least = np.maximum(most - _HALF, np.float32(0.0))  # share at the outline: a half, or any on a thin line
    rising = (here / np.maximum(most, _LEAST) - least) / (np.float32(1.0) - least)
    left = np.sqrt(most)  # of a thin line's contrast: what a lens of this blur, half of the one above, leaves of it
    return np.where(mask != 0, np.maximum(rising * left, _LEAST), np.float32(0.0))


def towards(angle: float) -> tuple[np.float32, np.float32]:
    """y and x of the unit vector at ``angle`` degrees anticlockwise as seen (y points down)."""
    return np.float32(-math.sin(math.radians(angle))), np.float32(math.cos(math.radians(angle)))


# --- the membrane -------------------------------------------------------------------------------------------------------


def _open_sides(site: Site, solid: Solid) -> Sides:
    """Where the picture ends; nowhere, where the mask fills the whole picture and would have no outline at all."""
    (top, left, bottom, right), (height, width) = site.box, site.shape
    sides = (top == 0, left == 0, bottom == height, right == width)
    return (False, False, False, False) if all(sides) and solid.all() else sides


def _widest(solid: Solid, sides: Sides) -> float:
    """The largest distance in pixels from a pixel of the mask to the nearest one outside."""
    top, left, bottom, right = (int(not is_open) for is_open in sides)
    padded = cv2.copyMakeBorder(solid.view(np.uint8), top, bottom, left, right, cv2.BORDER_CONSTANT, value=0)
    return float(cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_5).max())


def _bands(height: int, size: int, widest: float) -> list[tuple[int, int]]:
    """First and end row of each band."""
    rows = max(_BAND, math.ceil(2.0 * _FAR * widest))
    if size <= _ALONE or 2 * rows > height:
        return [(0, height)]
    return [(first, min(first + rows, height)) for first in range(0, height, rows)]


def _membrane(solid: Solid, sides: Sides, band: tuple[int, int], widest: float) -> tuple[FloatField, ...]:
    """``(n,)`` each, of a band's pixels: the membrane's height, its slope down and to the right, its curvature ``k``."""
    more = math.ceil(_FAR * widest) + 1
    first, end = max(0, band[0] - more), min(solid.shape[0], band[1] + more)
    columns = np.flatnonzero(solid[first:end].any(axis=0))
    if columns.size == 0:
        return (np.empty(0, dtype=np.float32),) * 4
    left, right = int(columns[0]), int(columns[-1]) + 1
    part = np.ascontiguousarray(solid[first:end, left:right])
    around = (
        first > 0 or sides[0],
        left == 0 and sides[1],
        end < solid.shape[0] or sides[2],
        right == solid.shape[1] and sides[3],
    )
    wanted = np.ones((1, *part.shape), dtype=np.float32)
    height = np.maximum(solve(part, wanted, around, _ACCURACY * widest**2 / 4.0)[0], np.float32(0.0))
    rows = slice(band[0] - first, band[1] - first)
    inside = part[rows]
    return tuple(field[rows][inside] for field in (height, *_derivatives(_with_border(height, around))))


def _derivatives(bordered: FloatField) -> tuple[FloatField, FloatField, FloatField]:
    """Slopes along y and x (smoothed across with weights 1 2 1), and the larger curvature as a fraction of the sum of both."""
    two, eighth = np.float32(2.0), np.float32(1 / 8)
    across = bordered[:, :-2] + two * bordered[:, 1:-1] + bordered[:, 2:]
    along = bordered[:-2] + two * bordered[1:-1] + bordered[2:]
    down, right = (across[2:] - across[:-2]) * eighth, (along[:, 2:] - along[:, :-2]) * eighth
    return down, right, _curvature(bordered)


def _curvature(bordered: FloatField) -> FloatField:
    """``k``: from 1/2, where the membrane is curved alike in all directions, to 1, where it is in one."""
    middle, two = bordered[1:-1, 1:-1], np.float32(2.0)
    down = bordered[2:, 1:-1] - two * middle + bordered[:-2, 1:-1]
    right = bordered[1:-1, 2:] - two * middle + bordered[1:-1, :-2]
    both = (bordered[2:, 2:] - bordered[2:, :-2] - bordered[:-2, 2:] + bordered[:-2, :-2]) * np.float32(0.5)
    unlike = np.sqrt((down - right) ** 2 + both * both)
    return np.float32(0.5) + np.float32(0.5) * np.minimum(unlike / np.maximum(-(down + right), _TINY), np.float32(1.0))


def _with_border(values: FloatField, sides: Sides) -> FloatField:
    """One pixel more on every side: zero, or on open sides the value beside it."""
    top, left, bottom, right = sides
    bordered = np.pad(values, 1)
    bordered[0] = bordered[1] if top else 0.0
    bordered[-1] = bordered[-2] if bottom else 0.0
    bordered[:, 0] = bordered[:, 1] if left else 0.0
    bordered[:, -1] = bordered[:, -2] if right else 0.0
    return bordered
