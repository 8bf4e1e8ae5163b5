"""A patch of the same picture from elsewhere as the source (CutPaste).

Source: Li, Sohn, Yoon, Pfister, *CutPaste*, CVPR 2021, after ``Runinho/pytorch-cutpaste`` and ``LilitYolyan/CutPaste``,
``cutpaste.py`` (there is no official code): a rectangle from a uniform place, colour jitter 0.1; the scar is turned by +-45.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from defectsynth.banks import Banks
from defectsynth.images import AnyImage
from defectsynth.masks.base import MaskParams
from defectsynth.rng import Draws
from defectsynth.site import Site
from defectsynth.sources.base import SOURCE_PARAMS, SOURCES
from defectsynth.sources.cutting import Cut, CutParams, Place, corner_of, draw_place, window_at
from defectsynth.sources.jitter import Jitter, cutpaste_jitter

__all__ = ["SameImage", "SameImageParams"]


@SOURCE_PARAMS.register
class SameImageParams(CutParams):
    """What was drawn for a patch of the same picture.

    Attributes:
        place: where it is cut out.
    """

    kind: Literal["same_image"] = "same_image"
    place: Place

    def render(self, site: Site) -> AnyImage:
        """``(h, w, C)`` of the picture's type; bit for bit where nothing but the place was drawn."""
        size = self.window_size(site)
        return self.fill(site.image[window_at(corner_of(self.place, size, site.shape), size)], site)


@SOURCES.register
class SameImage(Cut):
    """A patch of the same picture, from any place in it.

    A mask whose rectangle is the whole picture leaves no other place: such a patch is the picture itself.

    Attributes:
        rotation_range: degrees. CutPaste: none.
        turn_with_mask: true adds the mask's angle. CutPaste's scar: true (cut out upright, then turned by -45 to 45).
        flip_probability: CutPaste: 0.
        jitter: see ``jitter.py``. CutPaste: 0.1 of everything, which is the default; ``{}`` is none.
    """

    kind: Literal["same_image"] = "same_image"
    jitter: Jitter = Field(default_factory=cutpaste_jitter)

    def draw(self, draws: Draws, banks: Banks, mask: MaskParams) -> SameImageParams:
        """The parameters of one patch."""
        return SameImageParams.model_validate({"place": draw_place(draws), **self.draw_cut(draws, mask)})
