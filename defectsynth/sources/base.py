"""What every source kind is: a spec that draws parameters, and parameters that render a rectangle of appearance."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from defectsynth.banks import Banks
from defectsynth.images import AnyImage
from defectsynth.masks.base import MaskParams
from defectsynth.rng import Draws
from defectsynth.site import Site
from defectsynth.spec import Part, Registry

__all__ = ["SOURCES", "SOURCE_PARAMS", "SourceParams", "SourceSpec"]


class SourceParams(Part):
    """What was drawn for one source."""

    photographed: ClassVar[bool] = False
    """Whether its pixels come from pictures of the product, which were seen through a lens already."""
    own_outline: ClassVar[bool] = False
    """Whether it goes over into the product by itself, so that no lens has to soften the outline."""

    @abstractmethod
    def render(self, site: Site) -> AnyImage:
        """The appearance inside the site's box: ``(h, w, 3)`` uint8 RGB, or the picture's own type and channels."""

    def render_pixels(self, site: Site) -> AnyImage:
        """The appearance at the mask's pixels, ``(n, 3)`` or ``(n, C)``; equal to that of ``render`` there.

        A source whose pixels do not depend on each other makes only these.
        """
        return site.under_mask(self.render(site))


class SourceSpec(Part):
    """What may be drawn for a source."""

    needs: ClassVar[frozenset[str]] = frozenset()
    """The banks that this kind reads: ``textures``, ``defects``, ``normals``."""

    def check(self, banks: Banks) -> None:
        """Raises ``SourceError`` where the banks lack what this kind asks of them."""

    @abstractmethod
    def draw(self, draws: Draws, banks: Banks, mask: MaskParams) -> SourceParams:
        """The parameters of one source, for a mask that has been drawn already."""


SOURCES: Registry[SourceSpec] = Registry("source")
SOURCE_PARAMS: Registry[SourceParams] = Registry("source")
