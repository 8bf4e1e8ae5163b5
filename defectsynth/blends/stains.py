"""What lies on a surface or has changed its colour, and lets it show through: stains (multiply), haze (screen), scorch (burn).

Multiply and screen are blend modes of image editors (W3C, *Compositing and Blending Level 1*); the rest is chosen.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

import numpy as np
from pydantic import Field

from defectsynth.blends.base import BLEND_PARAMS, BLENDS, Blended, BlendParams, BlendSpec
from defectsynth.blends.form import Form, form_of
from defectsynth.blends.grain import grain_of
from defectsynth.blends.mixing import ONE, pixel_weights
from defectsynth.blends.painting import Pixels, degree_of, mixed, painted, pixels, unchanged
from defectsynth.fill import Fill
from defectsynth.noise import FloatField, smooth
from defectsynth.rng import Draws
from defectsynth.site import Site
from defectsynth.spec import FractionRange

__all__ = ["Burn", "BurnParams", "Multiply", "MultiplyParams", "Screen", "ScreenParams"]

_RING = (0.6, 0.95)  # of the way from the middle to the outline: where a ring begins, and where it is full


class StainParams(BlendParams):
    """What was drawn for any stain.

    Attributes:
        opacity: strength of the stain where it is strongest, 0 to 1.
        edge: width of the soft edge inside the mask, as a fraction of the picture's side.
        ring: how much of the stain has gathered at its outline: 0 is even, 1 leaves nothing in the middle.
    """

    opacity: float = Field(ge=0.0, le=1.0)
    edge: float = Field(default=0.0, ge=0.0, le=1.0)
    ring: float = Field(default=0.0, ge=0.0, le=1.0)

    def blend(self, site: Site, fill: Fill) -> Blended:
        """See ``BlendParams.blend``; the degree is the stain's weight: opacity, softened by edge and ring."""
        if self.opacity == 0.0:
            return unchanged(site)
        weight = self._weight(site)
        stained, weight = self._stained(site, pixels(site, site.pixels), pixels(site, fill.pixels), weight)
        return painted(site, stained), degree_of(weight)

    def _weight(self, site: Site) -> FloatField:
        """``(n,)`` in [0, 1] for the mask's pixels."""
        weights = pixel_weights(site, self.opacity, self.edge * site.side)[:, 0] / np.float32(ONE)
        weight = np.empty(site.positions.shape, dtype=np.float32)
        weight[:] = weights
        if self.ring > 0.0:
            ring = smooth(*_RING, form_of(site).across)
            weight *= np.float32(1.0 - self.ring) + np.float32(self.ring) * ring
        return weight

    @abstractmethod
    def _stained(self, site: Site, product: Pixels, source: Pixels, weight: FloatField) -> tuple[Pixels, FloatField]:
        """The pixels after this kind of stain, and its weight at each of them."""


class StainSpec(BlendSpec):
    """What may be drawn for any stain. All numbers are chosen.

    Attributes:
        opacity_range: strength of the stain where it is strongest.
        edge_range: width of the soft edge inside the mask, as a fraction of the picture's side.
        ring_range: how much of the stain has gathered at its outline, as when a drop dries (coffee ring): 0 is even, 1 leaves
            nothing in the middle.
    """

    opacity_range: FractionRange = (0.4, 0.9)
    edge_range: FractionRange = (0.004, 0.02)
    ring_range: FractionRange = (0.0, 0.0)

    def draw_stain(self, draws: Draws) -> dict[str, float]:
        """``opacity``, ``edge`` and ``ring``, for ``draw``."""
        return {
            "opacity": draws.uniform("opacity", self.opacity_range),
            "edge": draws.uniform("edge", self.edge_range),
            "ring": draws.uniform("ring", self.ring_range),
        }


@BLEND_PARAMS.register
class MultiplyParams(StainParams):
    """What was drawn: a stain that takes light, ``I (1 - w (1 - A))``."""

    kind: Literal["multiply"] = "multiply"

    def _stained(self, site: Site, product: Pixels, source: Pixels, weight: FloatField) -> tuple[Pixels, FloatField]:
        return product - product * weight[:, None] * (np.float32(1.0) - source), weight


@BLENDS.register
class Multiply(StainSpec):
    """What may be drawn: a stain that takes light, as ink, oil or water do. Over the product itself: a wet spot."""

    kind: Literal["multiply"] = "multiply"

    def draw(self, draws: Draws) -> MultiplyParams:
        """The parameters of one stain."""
        return MultiplyParams.drawn(**self.draw_stain(draws))


@BLEND_PARAMS.register
class ScreenParams(StainParams):
    """What was drawn: a stain that adds light, ``1 - (1 - I)(1 - w A)``."""

    kind: Literal["screen"] = "screen"

    def _stained(self, site: Site, product: Pixels, source: Pixels, weight: FloatField) -> tuple[Pixels, FloatField]:
        return product + weight[:, None] * source * (np.float32(1.0) - product), weight


@BLENDS.register
class Screen(StainSpec):
    """What may be drawn: a stain that adds light, as dried residue, dust, haze or frost do."""

    kind: Literal["screen"] = "screen"

    def draw(self, draws: Draws) -> ScreenParams:
        """The parameters of one stain."""
        return ScreenParams.drawn(**self.draw_stain(draws))


_TOASTED = (0.35, 0.8, 1.25)
"""What browning takes of red, green and blue: exponents of Beer and Lambert's law; chosen, brown of baked lacquer and wood."""
_CHARRED = 1.8
"""What charring takes of every channel besides; chosen: coal still reflects a twentieth of the light."""
_BLOTCHES = 0.8  # half-widths of the mask to a blotch
_FINEST = 2.0  # pixels to a blotch
_OCTAVES = 3


@BLEND_PARAMS.register
class BurnParams(StainParams):
    """What was drawn for a scorch.

    Attributes:
        roughness: how blotchy it is, 0 to 1.
        noise: seed of the blotches, 52 bits.
    """

    kind: Literal["burn"] = "burn"
    roughness: float = Field(default=0.0, ge=0.0, le=1.0)
    noise: int = Field(default=0, ge=0, lt=2**64)

    def _stained(self, site: Site, product: Pixels, source: Pixels, weight: FloatField) -> tuple[Pixels, FloatField]:
        """The source, browned and charred, over the product; the product alone changes by the share of light that it loses."""
        taken = self._absorbed(self._heat(site, form_of(site)), product.shape[1])
        replaced = bool((source != product).any())
        left = np.exp(-taken)
        lost = np.float32(1.0) - left[:, -1]  # of blue, where there are colours: the most
        return mixed(product, source * left, weight), weight if replaced else weight * lost

    def _heat(self, site: Site, form: Form) -> FloatField:
        """``(n,)`` in [0, 1]: none at the outline, most in the middle."""
        heat = np.float32(1.0) - form.across
        if self.roughness > 0.0:
            cell = max(_FINEST, _BLOTCHES * form.radius)
            heat = heat + np.float32(self.roughness) * grain_of(site, self.noise, cell, _OCTAVES)[0]
        return np.clip(heat, np.float32(0.0), np.float32(1.0))

    def _absorbed(self, heat: FloatField, channels: int) -> Pixels:
        """``(n, C)`` exponents: brown first, then black."""
        colours = _TOASTED if channels == 3 else (sum(_TOASTED) / len(_TOASTED),) * channels
        brown, black = smooth(0.0, 0.6, heat)[:, None], smooth(0.4, 1.0, heat)[:, None]
        return brown * np.array(colours, dtype=np.float32) + black * np.float32(_CHARRED)


@BLENDS.register
class Burn(StainSpec):
    """What may be drawn for a scorch: brown at its outline, black in the middle.

    Attributes:
        roughness_range: how blotchy it is. Chosen.
    """

    kind: Literal["burn"] = "burn"
    roughness_range: FractionRange = (0.2, 0.6)

    def draw(self, draws: Draws) -> BurnParams:
        """The parameters of one scorch."""
        roughness = draws.uniform("roughness", self.roughness_range)
        return BurnParams.drawn(**self.draw_stain(draws), roughness=roughness, noise=draws.noise_seed("noise"))
