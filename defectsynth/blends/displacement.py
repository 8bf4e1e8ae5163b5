"""Pixels that are moved: a dent or bubble seen as distortion, a bent wire, a swirl, a wrinkled film or label.

The movement fades to nothing at the mask's outline, so that nothing tears. Profiles and numbers are chosen here; the bent wires
of MVTec AD (grid ``bent``) are moved by about their own width.
"""

from __future__ import annotations

import math
from typing import Literal

import cv2
import numpy as np
from pydantic import Field

from defectsynth.blends.base import BLEND_PARAMS, BLENDS, Blended, BlendParams, BlendSpec
from defectsynth.blends.form import Form, form_of, towards
from defectsynth.blends.painting import degree_of, painted, pixels, unchanged
from defectsynth.fill import Fill
from defectsynth.images import AnyImage
from defectsynth.noise import FloatField
from defectsynth.rng import Draws
from defectsynth.site import Site
from defectsynth.spec import AngleRange, FractionRange, PositiveRange

__all__ = ["Displacement", "DisplacementParams"]

ProfileName = Literal["shift", "bulge", "pinch", "swirl", "wrinkle"]
_TAPS = 2  # pixels that cubic interpolation reads beyond a place
_PLANES_AT_ONCE = 4  # cv2.remap takes no more channels


@BLEND_PARAMS.register
class DisplacementParams(BlendParams):
    """What was drawn.

    Attributes:
        profile: the way in which pixels move.
        amount: of ``shift`` and ``wrinkle``: the largest movement, as a fraction of half the mask's width where that is widest;
            of ``bulge`` and ``pinch``: the movement near the middle, as a fraction of the distance from it (a bulge of 0.5
            shows the middle twice as large); of ``swirl``: the turn of the middle, as a fraction of half a turn.
        angle: of ``shift`` and ``wrinkle``: direction of the movement, degrees anticlockwise.
        waves: of ``wrinkle``: how many waves lie across the mask.
        phase: of ``wrinkle``: where the waves begin, as a fraction of one.
    """

    kind: Literal["displacement"] = "displacement"
    profile: ProfileName = "shift"
    amount: float = Field(ge=0.0, le=1.0)
    angle: float = 0.0
    waves: float = Field(default=1.0, gt=0.0)
    phase: float = Field(default=0.0, ge=0.0, le=1.0)

    def blend(self, site: Site, fill: Fill) -> Blended:
        """See ``BlendParams.blend``; the degree is the freedom to move: 1 in the middle of the mask, falling to its outline.

        The product is moved with what lies around the mask; another source within its rectangle, mirrored at its edges.
        """
        replaced = not fill.is_product
        if self.amount == 0.0 and not replaced:
            return unchanged(site)
        form = form_of(site)
        freedom = (np.float32(1.0) - form.across * form.across) ** 2
        down, right = np.zeros((2, *site.inside.shape), dtype=np.float32)
        down[site.inside], right[site.inside] = self._steps(site, form, freedom)
        seen = (fill.rectangle, (0, 0)) if replaced else _surroundings(site, down, right)
        moved = _moved(*seen, down, right)
        weight = np.ones_like(freedom) if replaced else freedom
        return painted(site, pixels(site, moved[site.inside])), degree_of(weight)

    def _steps(self, site: Site, form: Form, freedom: FloatField) -> tuple[FloatField, FloatField]:
        """``(n,)`` each: how many pixels down and right of itself a pixel of the mask finds what it shows."""
        return self._along(site, form, freedom) if self.profile in ("shift", "wrinkle") else self._about(form, freedom)

    def _along(self, site: Site, form: Form, freedom: FloatField) -> tuple[FloatField, FloatField]:
        """All pixels move in one direction."""
        far = np.float32(self.amount) * form.half_width * freedom  # narrow parts move less, or they would fold
        if self.profile == "wrinkle":
            far = far * self._waves(site)
        y, x = towards(self.angle)
        return -far * y, -far * x

    def _about(self, form: Form, freedom: FloatField) -> tuple[FloatField, FloatField]:
        """Every pixel moves away from the nearest point of the middle, towards it, or turns about it."""
        y, x = (-part * form.across * form.half_width for part in form.inwards)  # from the middle to the pixel
        if self.profile == "swirl":
            turn = np.float32(self.amount * math.pi) * freedom
            sine, less = np.sin(turn), np.cos(turn) - np.float32(1.0)
            return less * y + sine * x, less * x - sine * y
        nearer = np.float32(-self.amount if self.profile == "bulge" else self.amount) * np.sqrt(freedom)
        return nearer * y, nearer * x

    def _waves(self, site: Site) -> FloatField:
        """``(n,)`` in [-1, 1]: crests along the movement, one after the other across it."""
        y, x = towards(self.angle + 90.0)
        rows, columns = (places.astype(np.float32) for places in np.nonzero(site.inside))
        way = rows * y + columns * x
        cycles = way * np.float32(self.waves / max(1.0, float(way.max() - way.min()))) + np.float32(self.phase)
        return np.sin(cycles * np.float32(2.0 * math.pi))


@BLENDS.register
class Displacement(BlendSpec):
    """What may be drawn. All numbers are chosen.

    Attributes:
        profile: ``shift`` (all to one side: a bent wire), ``bulge`` and ``pinch`` (away from the middle, towards it: a bubble,
            a dent), ``swirl``, ``wrinkle`` (to and fro in waves).
        amount_range: of ``shift`` and ``wrinkle``: the largest movement, as a fraction of half the mask's width where that is
            widest (above 0.6 a shift folds); of ``bulge`` and ``pinch``: the movement near the middle, as a fraction of the
            distance from it (above 0.5 a pinch folds); of ``swirl``: the turn of the middle, as a fraction of half a turn.
        angle_range: direction of ``shift`` and ``wrinkle``, degrees anticlockwise.
        waves_range: how many waves of a ``wrinkle`` lie across the mask.
    """

    kind: Literal["displacement"] = "displacement"
    profile: ProfileName = "shift"
    amount_range: FractionRange = (0.25, 0.6)
    angle_range: AngleRange = (-180, 180)
    waves_range: PositiveRange = (1.5, 4.0)

    def draw(self, draws: Draws) -> DisplacementParams:
        """The parameters of one displacement."""
        waves = {}
        if self.profile == "wrinkle":
            waves = {"waves": draws.uniform("waves", self.waves_range), "phase": draws.uniform("phase", (0.0, 1.0))}
        angle = draws.uniform("angle", self.angle_range) if self.profile in ("shift", "wrinkle") else 0.0
        return DisplacementParams.drawn(
            profile=self.profile, amount=draws.uniform("amount", self.amount_range), angle=angle, **waves
        )


def _surroundings(site: Site, down: FloatField, right: FloatField) -> tuple[AnyImage, tuple[int, int]]:
    """The part of the picture that is moved into the rectangle, and where the rectangle lies in it."""
    more = math.ceil(max(float(np.abs(down).max()), float(np.abs(right).max()))) + _TAPS
    (top, left, bottom, far), (height, width) = site.box, site.shape
    first = max(0, top - more), max(0, left - more)
    part = site.image[first[0] : min(height, bottom + more), first[1] : min(width, far + more)]
    return part, (top - first[0], left - first[1])


def _moved(picture: AnyImage, corner: tuple[int, int], down: FloatField, right: FloatField) -> AnyImage:
    """``(h, w, C)``: what lies a step away from each pixel of the rectangle at ``corner``; mirrored at the picture's edges."""
    height, width = down.shape
    rows = down + np.arange(corner[0], corner[0] + height, dtype=np.float32)[:, None]
    columns = right + np.arange(corner[1], corner[1] + width, dtype=np.float32)[None, :]
    planes = [
        cv2.remap(
            np.ascontiguousarray(picture[:, :, first : first + _PLANES_AT_ONCE]),
            columns,
            rows,
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REFLECT,
        ).reshape(height, width, -1)
        for first in range(0, picture.shape[2], _PLANES_AT_ONCE)
    ]
    return planes[0] if len(planes) == 1 else np.concatenate(planes, axis=2)
