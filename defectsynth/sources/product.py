"""The picture itself as the source: what a blend that only lights, moves, darkens or blurs the surface works on."""

from __future__ import annotations

from typing import ClassVar, Literal

from defectsynth.banks import Banks
from defectsynth.images import AnyImage
from defectsynth.masks.base import MaskParams
from defectsynth.rng import Draws
from defectsynth.site import Site
from defectsynth.sources.base import SOURCE_PARAMS, SOURCES, SourceParams, SourceSpec

__all__ = ["Product", "ProductParams"]


@SOURCE_PARAMS.register
class ProductParams(SourceParams):
    """Nothing is drawn."""

    photographed: ClassVar[bool] = True

    kind: Literal["product"] = "product"

    def render(self, site: Site) -> AnyImage:
        """The picture under the site's box."""
        return site.product

    def render_pixels(self, site: Site) -> AnyImage:
        """The picture under the mask."""
        return site.pixels


@SOURCES.register
class Product(SourceSpec):
    """The picture itself; a kind without ``source`` has this one."""

    kind: Literal["product"] = "product"

    def draw(self, draws: Draws, banks: Banks, mask: MaskParams) -> ProductParams:
        """Draws nothing."""
        return ProductParams.drawn()
