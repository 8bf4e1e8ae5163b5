"""The product on a background that has a structure of its own: a perforated board, a slotted conveyor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.foreground.evidence import ramp, ratio_ramp
from defectsynth.foreground.ground import Ground, decode, encode
from defectsynth.foreground.pieces import tidy
from defectsynth.foreground.standout import NOISE, Standout
from defectsynth.foreground.view import Plane, View, ring, ring_width
from defectsynth.foreground.watershed import BACKGROUND, PRODUCT, divide
from defectsynth.images import Mask, as_mask

__all__ = ["Body", "find_body", "structured_outline"]

Distances = npt.NDArray[np.float32]

_THICK = 1.0 / 3.0
"""A body keeps what holds a disc of a third of its own radius: holes and slits of the board, and leads, do not."""
_TIGHT = 0.65
"""A pixel belongs to a body from this part of the body's own distance on; the shadow beside it has about half."""
_MARGIN = 1.0 / 10.0
"""A body's outline is moved to the sharpest line within this part of its radius: back into its corners."""
_BUMP = 1.0 / 4.0
"""What that line takes in beside the body, and holds no disc of a quarter of its radius, is a hole of the board."""
_LIMB_WIDTH, _LIMB_GAP = 3, 5
"""Pixels: limbs thinner than the first are glints on the rims of holes; gaps in a limb up to the second are closed."""


@dataclass(frozen=True, slots=True)
class Body:
    """The thick part of what stands out.

    Attributes:
        mask: ``(h, w)`` 0 or 255, at least one pixel set.
        evidence: 0 to 1.
    """

    mask: Mask
    evidence: float


def find_body(ground: Ground, standout: Standout) -> Body:
    """What stands out and is thicker than anything that crosses the border, roughly.

    The evidence is a product of five terms:

    - contrast: the body's median distance in spreads, 2 (textures) to 6 (products);
    - thickness: the body's radius over that of anything else on the border ring, 2 to 5;
    - free border: the part of the border ring that is body, a tenth to none;
    - two kinds: the share of the variance that the level explains, 0.7 (textures) to 0.85;
    - singleness: bodies of similar size, four (a pattern) to one.
    """
    depth = _depth_above(ground, standout.level)
    radius = float(depth.max())
    mask = tidy(_opened(depth, _THICK * radius))
    inside = mask > 0
    width = ring_width(inside.shape)
    crossing = max(1.0, float(ring(np.where(inside, np.float32(0), depth), width).max()))
    evidence = (
        ratio_ramp(_typical_distance(ground, mask), 2.0, 6.0)
        * ratio_ramp(radius / crossing, 2.0, 5.0)
        * ramp(float(ring(inside, width).mean()), 0.1, 0.0)
        * ramp(standout.separation, 0.7, 0.85)
        * ramp(cv2.connectedComponents(mask)[0] - 1, 4.0, 1.0)
    )
    return Body(mask, evidence)


def structured_outline(view: View, ground: Ground, standout: Standout, body: Body) -> Mask:
    """The exact mask ``(h, w)``, 0 or 255: the body, and what hangs on it in a colour that the background does not have.

    The background's colours are the border's usual one, the one of its structure, and all that lie between or beyond (a hole is
    darker than a slit).
    """
    trunk = _outline(ground, max(standout.level, encode(_TIGHT * _typical_distance(ground, body.mask))))
    strange = _strangeness(view, ground, standout) > decode(NOISE)
    limbs = cv2.morphologyEx(as_mask(strange), cv2.MORPH_OPEN, _square(_LIMB_WIDTH))
    joined = cv2.morphologyEx(cv2.bitwise_or(trunk, limbs), cv2.MORPH_CLOSE, _square(_LIMB_GAP))
    return tidy(_touching(np.asarray(joined, dtype=np.uint8), trunk))


def _outline(ground: Ground, level: int) -> Mask:
    depth = _depth_above(ground, level)
    radius = float(depth.max())
    thick = tidy(_opened(depth, _THICK * radius))
    margin = max(2.0, _MARGIN * radius)
    markers = np.zeros(thick.shape, dtype=np.int32)
    markers[_depth(255 - thick) > margin] = BACKGROUND
    markers[_depth(thick) > margin] = PRODUCT
    divided = divide(ground.code, markers)
    return tidy(_opened(_depth(divided), _BUMP * radius))


def _typical_distance(ground: Ground, mask: Mask) -> float:
    return float(decode(np.median(ground.code[mask > 0])))


def _depth_above(ground: Ground, level: int) -> Distances:
    return _depth(cv2.morphologyEx(as_mask(ground.code >= level), cv2.MORPH_CLOSE, _square(3)))


def _square(side: int) -> Plane:
    return np.ones((side, side), dtype=np.uint8)


def _depth(flags: npt.NDArray[Any]) -> Distances:
    """Distance of each nonzero pixel from the nearest zero; the picture's edge does not count as zero."""
    depth = np.asarray(cv2.distanceTransform(flags, cv2.DIST_L2, 5), dtype=np.float32)
    return np.minimum(depth, np.float32(max(flags.shape)))


def _opened(depth: Distances, radius: float) -> Mask:
    """Everything that a disc of this radius covers while it stays inside."""
    return as_mask(_depth(as_mask(depth <= radius)) <= radius)


def _strangeness(view: View, ground: Ground, standout: Standout) -> Distances:
    """Distance in spreads from the ray that leaves the border's usual colour towards the colour of the border's structure."""
    residuals = [
        (plane.astype(np.float32) - surface) / np.float32(spread)
        for plane, surface, spread in zip(view.planes, ground.surfaces, ground.spreads, strict=True)
    ]
    structure = ground.border >= standout.level
    width = ring_width(ground.code.shape)
    ends = [float(np.median(ring(residual, width)[structure])) if structure.any() else 0.0 for residual in residuals]
    length = max(1e-6, sum(end * end for end in ends))
    share = np.zeros(view.small_shape, dtype=np.float32)
    for residual, end in zip(residuals, ends, strict=True):
        share += residual * np.float32(end / length)
    np.maximum(share, np.float32(0), out=share)
    off = [np.abs(residual - share * np.float32(end)) for residual, end in zip(residuals, ends, strict=True)]
    return np.asarray(np.maximum.reduce(off), dtype=np.float32)


def _touching(mask: Mask, core: Mask) -> Mask:
    """The pieces of ``mask`` that hold some of ``core``."""
    count, labels = cv2.connectedComponents(mask, connectivity=8)
    held = np.zeros(count, dtype=np.uint8)
    held[labels[core > 0]] = 255
    held[0] = 0
    return np.asarray(held[labels], dtype=np.uint8)
