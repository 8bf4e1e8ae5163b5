"""A particle that lies on the surface and throws a shadow; the mask covers both.

The particle is what is left when the mask is worn away by a step in the shadow's direction: where the mask goes on for the
whole step. The rest is its shadow. Proportions and strengths are chosen here.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from defectsynth.blends.base import BLEND_PARAMS, BLENDS, Blended, BlendParams, BlendSpec
from defectsynth.blends.form import form_of, soft_outline, towards
from defectsynth.blends.light import lit
from defectsynth.blends.mixing import ONE, edge_weights
from defectsynth.blends.painting import degree_of, mixed, painted, pixels, unchanged
from defectsynth.fill import Fill
from defectsynth.images import Mask, as_mask
from defectsynth.rng import Draws
from defectsynth.site import Site
from defectsynth.spec import AngleRange, FractionRange

__all__ = ["Shadowed", "ShadowedParams"]

_PENUMBRA = 0.6  # of the step, the width over which a shadow fades; chosen
_SMALLEST_SHARE = 0.5  # of the mask that stays particle


@BLEND_PARAMS.register
class ShadowedParams(BlendParams):
    """What was drawn.

    Attributes:
        light: where the light comes from, degrees anticlockwise from the right; the shadow lies on the other side.
        offset: the shadow's length, as a fraction of the mask's size (square root of its area).
        shadow: share of the light that the shadow takes, 0 to 1.
        shade: share of the light that the particle's sides gain or lose, 0 to 1.
        opacity: weight of the particle, 0 to 1.
    """

    kind: Literal["shadowed"] = "shadowed"
    light: float
    offset: float = Field(ge=0.0, le=1.0)
    shadow: float = Field(ge=0.0, le=1.0)
    shade: float = Field(ge=0.0, le=1.0)
    opacity: float = Field(default=1.0, ge=0.0, le=1.0)

    def blend(self, site: Site, fill: Fill) -> Blended:
        """See ``BlendParams.blend``; the degree is the weight of the particle, and the share of light that the shadow takes."""
        inside = site.inside
        if self.opacity == 0.0 and self.shadow == 0.0:
            return unchanged(site)
        particle, step = self._particle(inside)
        cover = (soft_outline(site, particle) * np.float32(self.opacity))[inside]
        fading = edge_weights(site.mask[site.window], self.shadow, _PENUMBRA * step)[inside].astype(np.float32)
        fading /= np.float32(ONE)
        if site.lens > 0.0:
            fading *= soft_outline(site)[inside]
        darkened = pixels(site, site.pixels) * (np.float32(1.0) - fading)[:, None]
        result = mixed(darkened, self._lit_particle(site, particle, fill), cover)
        one = np.float32(1.0)
        return painted(site, result), degree_of(one - (one - cover) * (one - fading))

    def _lit_particle(self, site: Site, particle: Mask, fill: Fill) -> npt.NDArray[np.float32]:
        """The source's pixels, bright towards the light and dark away from it, as on a ball."""
        form, solid = form_of(site, particle), particle[site.inside] != 0
        facing = np.zeros(solid.size, dtype=np.float32)
        facing[solid] = np.float32(self.shade) * form.across * form.facing(self.light)
        return lit(pixels(site, fill.exposed), facing)

    def _particle(self, inside: npt.NDArray[np.bool_]) -> tuple[Mask, float]:
        """The particle, ``(h, w)`` uint8, and the shadow's length in pixels: as long as the particle keeps half of the mask."""
        y, x = towards(self.light + 180.0)
        area = int(np.count_nonzero(inside))
        length = self.offset * math.sqrt(area)
        worn, kept, reached = inside.copy(), inside, 0.0
        for number in range(1, math.ceil(length) + 1):
            step = min(float(number), length)
            worn &= _ahead(inside, round(float(y) * step), round(float(x) * step))
            if np.count_nonzero(worn) < _SMALLEST_SHARE * area:
                break
            kept, reached = worn.copy(), step
        return as_mask(kept), reached


@BLENDS.register
class Shadowed(BlendSpec):
    """What may be drawn. All numbers are chosen.

    Attributes:
        light_range: where the light comes from, degrees anticlockwise from the right: 90 is from above. One light for all the
            pictures of a line is [a, a].
        offset_range: the shadow's length, as a fraction of the mask's size (square root of its area); shorter where the
            particle would not keep half of the mask.
        shadow_range: share of the light that the shadow takes.
        shade_range: share of the light that the particle's sides gain or lose.
        opacity_range: weight of the particle.
    """

    kind: Literal["shadowed"] = "shadowed"
    light_range: AngleRange = (-180, 180)
    offset_range: FractionRange = (0.1, 0.3)
    shadow_range: FractionRange = (0.3, 0.7)
    shade_range: FractionRange = (0.2, 0.6)
    opacity_range: FractionRange = (1.0, 1.0)

    def draw(self, draws: Draws) -> ShadowedParams:
        """The parameters of one particle."""
        return ShadowedParams.drawn(
            light=draws.uniform("light", self.light_range),
            offset=draws.uniform("offset", self.offset_range),
            shadow=draws.uniform("shadow", self.shadow_range),
            shade=draws.uniform("shade", self.shade_range),
            opacity=draws.uniform("opacity", self.opacity_range),
        )


def _ahead(inside: npt.NDArray[np.bool_], down: int, right: int) -> npt.NDArray[np.bool_]:
    """Whether the pixel ``down`` and ``right`` of each one is inside; beyond the rectangle nothing is."""
    height, width = inside.shape
    result = np.zeros_like(inside)
    if abs(down) < height and abs(right) < width:
        to = slice(max(0, -down), height - max(0, down)), slice(max(0, -right), width - max(0, right))
        come = slice(max(0, down), height - max(0, -down)), slice(max(0, right), width - max(0, -right))
        result[to] = inside[come]
    return result
