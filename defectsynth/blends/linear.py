"""Linear interpolation between product and source, ``(1 - a) I + a A``, with an optional soft edge.

Source: ``VitjanZ/DRAEM`` ``data_loader.py``: ``I (1 - M) + (1 - b) A M + b I M``; opacity ``a`` is ``1 - b``.
Opacity 1 with a hard edge is CutPaste's opaque paste; a soft edge is feathering.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from defectsynth.blends.base import BLEND_PARAMS, BLENDS, Blended, BlendParams, BlendSpec
from defectsynth.blends.mixing import ONE, interpolate, is_opaque, pixel_weights
from defectsynth.fill import Fill
from defectsynth.rng import Draws
from defectsynth.site import Site
from defectsynth.spec import FractionRange

__all__ = ["Linear", "LinearParams"]


@BLEND_PARAMS.register
class LinearParams(BlendParams):
    """What was drawn.

    Attributes:
        opacity: weight of the source, 0 to 1.
        edge: width of the soft edge inside the mask, as a fraction of the picture's side; 0 is a hard edge.
    """

    kind: Literal["linear"] = "linear"
    opacity: float = Field(ge=0.0, le=1.0)
    edge: float = Field(default=0.0, ge=0.0, le=1.0)

    def blend(self, site: Site, fill: Fill) -> Blended:
        """See ``BlendParams.blend``; the degree of anomaly is the weight of the source."""
        weights = pixel_weights(site, self.opacity, self.edge * site.side, is_soft=fill.has_own_outline)
        degree = weights[:, 0].astype(np.float32) / np.float32(ONE)
        if degree.size == 1:
            degree = np.full(site.positions.shape, degree[0])
        if is_opaque(weights, site.image.dtype):
            return fill.exposed, degree
        return interpolate(site.pixels, fill.exposed, weights), degree


@BLENDS.register
class Linear(BlendSpec):
    """What may be drawn.

    Attributes:
        opacity_range: weight of the source. DRAEM's code: (0.2, 1]; its paper: [0.1, 1].
        opacity_normal: (mean, deviation): a normal distribution, clipped to ``opacity_range``, in place of a uniform one.
            GLASS: (0.5, 0.1), clipped to [0.2, 0.8].
        edge_range: width of the soft edge, as a fraction of the picture's side. DRAEM: 0.
    """

    kind: Literal["linear"] = "linear"
    opacity_range: FractionRange = (0.2, 1.0)
    opacity_normal: tuple[float, float] | None = None
    edge_range: FractionRange = (0.0, 0.0)

    @model_validator(mode="after")
    def _spread(self) -> Linear:
        if self.opacity_normal is not None and self.opacity_normal[1] <= 0:
            raise ValueError(f"opacity_normal {list(self.opacity_normal)}: the second number is a deviation, above 0")
        return self

    def draw(self, draws: Draws) -> LinearParams:
        """The parameters of one linear blend."""
        if self.opacity_normal is None:
            opacity = draws.uniform("opacity", self.opacity_range)
        else:
            opacity = draws.normal("opacity", self.opacity_normal, self.opacity_range)
        return LinearParams.drawn(opacity=opacity, edge=draws.uniform("edge", self.edge_range))
