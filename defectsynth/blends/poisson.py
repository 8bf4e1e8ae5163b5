"""Gradient-domain blending: the source gives the gradients, the product gives the values around them, so no seam is left.

Inside the mask the picture ``f`` is sought whose gradient is nearest to a guide ``v`` (least squares), with ``f`` equal to the
product at every pixel outside; where the mask touches the picture's border nothing is fixed there. So nothing outside the mask
changes, at any size, depth and number of channels.

Sources: Perez, Gangnet, Blake, *Poisson image editing*, SIGGRAPH 2003 (``normal`` is its equation 9, ``mixed`` its equation
12); ``hmsch/natural-synthetic-anomalies`` ``self_sup_data/self_sup_tasks.py`` (NSA: both, through ``cv2.seamlessClone``);
``jemtan/PII`` ``poissonBlend.py`` (``weighted``). ``cv2.seamlessClone`` solves on the mask's rectangle after it has eroded the
mask by three pixels, picks a gradient by the difference of its two components, and takes 8-bit RGB only.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, Field

from defectsynth.blends.base import BLEND_PARAMS, BLENDS, Blended, BlendParams, BlendSpec
from defectsynth.blends.painting import painted, pixels, unchanged
from defectsynth.blends.solver import Sides, solve
from defectsynth.fill import Fill
from defectsynth.images import AnyImage, to_float
from defectsynth.rng import Draws
from defectsynth.site import Site
from defectsynth.spec import FractionRange

__all__ = ["Poisson", "PoissonParams"]

Mode = Literal["normal", "mixed", "weighted"]
Planes = npt.NDArray[np.float32]
"""``(C, h, w)``, of full scale."""

_TOLERANCE = 0.2 / 255  # the error is several times smaller


@BLEND_PARAMS.register
class PoissonParams(BlendParams):
    """What was drawn.

    Attributes:
        mode: where the gradients come from; see ``Poisson``.
        opacity: strength, 0 to 1.
    """

    margin: ClassVar[int] = 1
    """So that the source's gradients across the outline are known."""

    kind: Literal["poisson"] = "poisson"
    mode: Mode = "normal"
    opacity: float = Field(default=1.0, ge=0.0, le=1.0)

    def blend(self, site: Site, fill: Fill) -> Blended:
        """See ``BlendParams.blend``; the degree of anomaly is the opacity.

        Where the box ends at the outline, the source's gradients across it are not known, and the product's stand for them.
        """
        if self.opacity == 0.0:
            return unchanged(site)
        divergence = self._divergence(_planes(site.product, site.white), _planes(fill.rectangle, site.white))
        change = np.moveaxis(solve(site.inside, divergence, _sides_on_border(site), _TOLERANCE), 0, 2)[site.inside]
        share = np.float32(1.0 if self.mode == "weighted" else self.opacity)
        degree = np.full(site.positions.shape, self.opacity, dtype=np.float32)
        return painted(site, pixels(site, site.pixels) + share * change), degree

    def _divergence(self, product: Planes, patch: Planes) -> Planes:
        """What the change's gradients, the guide less the product, add up to at every pixel."""
        divergence = np.zeros_like(product)
        for axis, (before, after) in ((1, (np.s_[:, :-1], np.s_[:, 1:])), (2, (np.s_[:, :, :-1], np.s_[:, :, 1:]))):
            step = self._change_of_gradient(np.diff(product, axis=axis), np.diff(patch, axis=axis))
            divergence[before] -= step
            divergence[after] += step
        return divergence

    def _change_of_gradient(self, product: Planes, patch: Planes) -> Planes:
        """The guide less the product's gradient, along one axis."""
        if self.mode == "normal":
            return patch - product
        own, source = (1.0, 1.0) if self.mode == "mixed" else (1.0 - self.opacity, self.opacity)
        own_gradient, source_gradient = np.float32(own) * product, np.float32(source) * patch
        guide = np.where(np.abs(own_gradient) > np.abs(source_gradient), own_gradient, source_gradient)
        return guide - product


def _at_least_one(modes: tuple[Mode, ...]) -> tuple[Mode, ...]:
    if not modes or len(set(modes)) < len(modes):
        raise ValueError(f"modes {list(modes)}: give one or several of normal, mixed and weighted, each once")
    return modes


@BLENDS.register
class Poisson(BlendSpec):
    """What may be drawn.

    Attributes:
        modes: one is drawn, each as likely. ``normal``: the source's gradients (NSA: objects; ``NORMAL_CLONE``). ``mixed``: the
            stronger of the source's and the product's, so that the product's texture shows through (NSA: textures;
            ``MIXED_CLONE``). ``weighted``: the stronger of ``opacity`` times the source's and ``1 - opacity`` times the
            product's (PII).
        opacity_range: strength. ``normal`` and ``mixed``: the share of the change that is made, the same as the share of the
            guide's gradients (NSA: 1). ``weighted``: see there (PII: 0.05 to 0.95).
    """

    kind: Literal["poisson"] = "poisson"
    modes: Annotated[tuple[Mode, ...], AfterValidator(_at_least_one)] = ("normal",)
    opacity_range: FractionRange = (1.0, 1.0)

    def draw(self, draws: Draws) -> PoissonParams:
        """The parameters of one gradient-domain blend."""
        mode = self.modes[draws.integer("mode", (0, len(self.modes) - 1))]
        return PoissonParams.drawn(mode=mode, opacity=draws.uniform("opacity", self.opacity_range))


def _planes(image: AnyImage, white: float | None) -> Planes:
    return to_float(np.ascontiguousarray(np.moveaxis(image, 2, 0)), white)


def _sides_on_border(site: Site) -> Sides:
    top, left, bottom, right = site.box
    return top == 0, left == 0, bottom == site.shape[0], right == site.shape[1]
