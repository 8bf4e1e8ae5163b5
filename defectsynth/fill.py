"""What a source gives to a site, made when a blend asks for it: a rectangle, or the mask's pixels alone."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from defectsynth.camera import grain_of, through_lens, with_grain
from defectsynth.images import AnyImage, convert
from defectsynth.site import Site

if TYPE_CHECKING:
    from defectsynth.sources import SourceParams

__all__ = ["Fill"]


class Fill:
    """The appearance that goes into a mask, in the picture's type and channels.

    Args:
        source: what was drawn.
        site: where.
    """

    def __init__(self, source: SourceParams, site: Site) -> None:
        self._source = source
        self._site = site

    @cached_property
    def rectangle(self) -> AnyImage:
        """``(h, w, C)``: all of the site's box, for a blend that looks at what lies around the mask."""
        patch = self._as_the_picture(self._source.render(self._site))
        return through_lens(patch, self._site.lens) if self._is_drawn else patch

    @cached_property
    def pixels(self) -> AnyImage:
        """``(n, C)``: the mask's pixels, row by row."""
        if self._is_drawn:
            return self._site.under_mask(self.rectangle)
        return self._as_the_picture(self._source.render_pixels(self._site)[None])[0]

    @property
    def exposed(self) -> AnyImage:
        """``(n, C)``: the mask's pixels with the picture's grain, for a blend that puts them in the product's place."""
        site = self._site
        if not self._is_drawn:
            return self.pixels
        return with_grain(self.pixels, grain_of(site.image, site.positions, site.white), site.white)

    @property
    def has_own_outline(self) -> bool:
        """Whether the source goes over into the product by itself."""
        return self._source.own_outline

    @cached_property
    def is_product(self) -> bool:
        """Whether it is nothing else than the product under the mask."""
        return not bool((self.pixels != self._site.pixels).any())

    @property
    def _is_drawn(self) -> bool:
        """Whether it was not photographed, and is to look as if it were."""
        return self._site.lens > 0.0 and not self._source.photographed

    def _as_the_picture(self, patch: AnyImage) -> AnyImage:
        image = self._site.image
        if patch.dtype == image.dtype and patch.ndim == 3 and patch.shape[2] == image.shape[2]:
            return patch
        return convert(patch, image.dtype, image.shape[2], to_white=self._site.white)
