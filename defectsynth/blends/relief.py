"""A groove, dent, pit, crack, bump or ridge, lit from one side: what a scratch or a blow leaves on a surface of one material.

The surface keeps its own picture and only its light changes, so its texture goes on through the defect. Brightness follows the
slope towards the light (Lambert); profiles and numbers are chosen here, after scratches, dents and blowholes of MVTec AD and of
magnetic tiles.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from defectsynth.blends.base import BLEND_PARAMS, BLENDS, Blended, BlendParams, BlendSpec
from defectsynth.blends.form import Form, form_of, soft_outline, towards
from defectsynth.blends.grain import grain_of
from defectsynth.blends.light import lit
from defectsynth.blends.painting import degree_of, mixed, painted, pixels, unchanged
from defectsynth.fill import Fill
from defectsynth.noise import FloatField, smooth
from defectsynth.rng import Draws
from defectsynth.site import Site
from defectsynth.spec import AngleRange, FractionRange

__all__ = ["Relief", "ReliefParams"]

ProfileName = Literal["groove", "dent", "pit", "crack", "bump", "ridge"]


@dataclass(frozen=True, slots=True)
class _Profile:
    """A cross-section, as functions of the distance from the middle (0) to the outline (1).

    Attributes:
        slope: how steeply it rises inwards, -1 to 1.
        hollow: how little of the sky it sees, 0 to 1.
        glint: where it glints when it faces the light.
        fades: whether nothing is seen of it at its outline, which no lens has to soften then.
    """

    slope: Callable[[FloatField], FloatField]
    hollow: Callable[[FloatField], FloatField]
    glint: float
    fades: bool = False


def _rounded(across: FloatField) -> FloatField:
    """The slope of a hill that rises gently from its foot and is flat on top."""
    return np.float32(2.6) * across * (np.float32(1.0) - across * across)


def _pit_wall(across: FloatField) -> FloatField:
    """Up to a rim at 0.8, then down to a flat floor."""
    rim = smooth(0.76, 0.86, across)
    return np.float32(0.3) * rim - smooth(0.25, 0.5, across) * (np.float32(1.0) - rim)


_ONE = np.float32(1.0)
_PROFILES: dict[ProfileName, _Profile] = {
    "groove": _Profile(lambda x: -smooth(0.0, 0.6, x), lambda x: _ONE - x * x, 0.85),
    "dent": _Profile(lambda x: -_rounded(x), lambda x: (_ONE - x * x) ** 2, 0.6, fades=True),
    "pit": _Profile(_pit_wall, lambda x: _ONE - smooth(0.35, 0.85, x), 0.9),
    "crack": _Profile(lambda x: -smooth(0.2, 0.7, x), lambda x: _ONE - x**4, 0.9),
    "bump": _Profile(_rounded, np.zeros_like, 0.45, fades=True),
    "ridge": _Profile(lambda x: smooth(0.0, 0.6, x), lambda x: np.float32(0.5) * x**6, 0.3),
}
_GLINT_WIDTH = 0.15  # chosen, of the way from the middle to the outline
_GRAIN = 1.5  # cells of the roughness are this many half-widths wide; chosen: dents and grooves then change along their way
_FINEST = 2.0  # pixels to a cell; finer noise would be no more than grain
_OCTAVES = 3


@BLEND_PARAMS.register
class ReliefParams(BlendParams):
    """What was drawn.

    Attributes:
        profile: the cross-section.
        light: where the light comes from, degrees anticlockwise from the right: 90 is from above.
        strength: share of the light that a wall gains or loses by its slope, 0 to 1.
        depth: share of the light that the deepest place loses, 0 to 1.
        highlight: how far towards white the glint goes, 0 to 1.
        roughness: how uneven the profile is, 0 to 1.
        noise: seed of the unevenness, 52 bits.
    """

    kind: Literal["relief"] = "relief"
    profile: ProfileName = "groove"
    light: float
    strength: float = Field(ge=0.0, le=1.0)
    depth: float = Field(ge=0.0, le=1.0)
    highlight: float = Field(default=0.0, ge=0.0, le=1.0)
    roughness: float = Field(default=0.0, ge=0.0, le=1.0)
    noise: int = Field(default=0, ge=0, lt=2**64)

    def blend(self, site: Site, fill: Fill) -> Blended:
        """See ``BlendParams.blend``; the degree is the softness of the outline times the largest share of light that changes.

        That share is ``strength + depth + highlight``, at most 1, and 1 where the source is not the product itself.
        """
        most = 1.0 if not fill.is_product else min(1.0, self.strength + self.depth + self.highlight)
        if most == 0.0:
            return unchanged(site)
        outline = soft_outline(site, blur=0.0 if _PROFILES[self.profile].fades and fill.is_product else None)[site.inside]
        shaded = lit(pixels(site, fill.pixels), *self._light(site, form_of(site)))
        shaded = mixed(pixels(site, site.pixels), shaded, outline)
        return painted(site, shaded), degree_of(outline * np.float32(most))

    def _light(self, site: Site, form: Form) -> tuple[FloatField, FloatField, FloatField]:
        """``(n,)`` each, of the mask's pixels: what ``light.lit`` takes."""
        profile, across = _PROFILES[self.profile], form.across
        hollow = profile.hollow(across)
        facing = profile.slope(across) * form.facing(self.light)
        if self.roughness > 0.0:
            unevenness, rise = self._unevenness(site, form)
            facing = facing * (_ONE + unevenness) - rise * (_ONE - across**4)
            hollow = hollow * np.clip(_ONE + unevenness, 0.0, 1.0)
        facing = np.clip(facing, np.float32(-1.0), _ONE)
        on_the_edge = np.exp(-(((across - np.float32(profile.glint)) / np.float32(_GLINT_WIDTH)) ** 2))
        glint = np.float32(self.highlight) * on_the_edge * smooth(0.4, 1.0, facing)
        return np.float32(self.strength) * facing, np.float32(self.depth) * hollow, glint

    def _unevenness(self, site: Site, form: Form) -> tuple[FloatField, FloatField]:
        """``(n,)`` each: noise in about [-1, 1] times the roughness, and how steeply it rises towards the light."""
        cell = max(_FINEST, _GRAIN * float(np.median(form.half_width)))
        octaves = min(_OCTAVES, 1 + int(math.log2(cell / _FINEST)))
        noise, down, right = grain_of(site, self.noise, cell, octaves)
        strength, (y, x) = np.float32(2.0 * self.roughness), towards(self.light)
        return noise * strength, (down * y + right * x) * (strength * np.float32(cell / 2.0))


@BLENDS.register
class Relief(BlendSpec):
    """What may be drawn. All numbers are chosen.

    Attributes:
        profile: ``groove`` (a scratch: two walls), ``dent`` (a bowl with soft edges), ``pit`` (a dark floor and a raised rim),
            ``crack`` (dark from edge to edge), ``bump`` (a soft swelling), ``ridge`` (a burr, a weld: two walls, raised).
        light_range: where the light comes from, degrees anticlockwise from the right: 90 is from above. One light for all the
            pictures of a line is [a, a].
        strength_range: share of the light that a wall gains or loses by its slope.
        depth_range: share of the light that the deepest place loses. 0.1 to 0.4 for scratches; 0.5 to 0.9 for pits and cracks.
        highlight_range: how far towards white the glint of the lit wall goes; 0 on a dull surface.
        roughness_range: how uneven the profile is.
    """

    kind: Literal["relief"] = "relief"
    profile: ProfileName = "groove"
    light_range: AngleRange = (-180, 180)
    strength_range: FractionRange = (0.3, 0.7)
    depth_range: FractionRange = (0.1, 0.4)
    highlight_range: FractionRange = (0.0, 0.4)
    roughness_range: FractionRange = (0.1, 0.4)

    def draw(self, draws: Draws) -> ReliefParams:
        """The parameters of one relief."""
        return ReliefParams.drawn(
            profile=self.profile,
            light=draws.uniform("light", self.light_range),
            strength=draws.uniform("strength", self.strength_range),
            depth=draws.uniform("depth", self.depth_range),
            highlight=draws.uniform("highlight", self.highlight_range),
            roughness=draws.uniform("roughness", self.roughness_range),
            noise=draws.noise_seed("noise"),
        )
