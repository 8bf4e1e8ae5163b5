"""A patch of the same picture from elsewhere as the source (CutPaste).

Source: Li, Sohn, Yoon, Pfister, *CutPaste*, CVPR 2021, after ``Runinho/pytorch-cutpaste`` and ``LilitYolyan/CutPaste``,
``cutpaste.py`` (there is no official code): a rectangle from a uniform place, colour jitter 0.1; the scar is turned by +-45.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from defectsynth.banks import Banks
from defectsynth.images import AnyImage
from defectsynth.masks.base import MaskParams
from defectsynth.rng import Draws
from defectsynth.site import Site
from defectsynth.sources.base import SOURCE_PARAMS, SOURCES
from defectsynth.sources.cutting import Cut, CutParams, Place, Size, corner_of, draw_place, window_at
from defectsynth.sources.jitter import Jitter, cutpaste_jitter
from defectsynth.spec import FractionRange

__all__ = ["SameImage", "SameImageParams"]

Step = tuple[Annotated[float, Field(ge=-1.0, le=1.0)], Annotated[float, Field(ge=-1.0, le=1.0)]]
"""How far down and to the right, as fractions of the picture's side."""


@SOURCE_PARAMS.register
class SameImageParams(CutParams):
    """What was drawn for a patch of the same picture.

    Attributes:
        place: where it is cut out.
        step: how far from the defect it is cut out instead; None takes ``place``.
    """

    kind: Literal["same_image"] = "same_image"
    place: Place
    step: Step | None = None

    def render(self, site: Site) -> AnyImage:
        """``(h, w, C)`` of the picture's type; bit for bit where nothing but the place was drawn."""
        size = self.window_size(site)
        return self.fill(site.image[window_at(self._corner(size, site), size)], site)

    def _corner(self, size: Size, site: Site) -> Size:
        """(top, left) of the window, inside the picture."""
        if self.step is None:
            return corner_of(self.place, size, site.shape)
        top, left, bottom, right = site.box
        middle = (top + bottom) / 2 + self.step[0] * site.side, (left + right) / 2 + self.step[1] * site.side
        free = site.shape[0] - size[0], site.shape[1] - size[1]
        return tuple(min(max(0, round(middle[axis] - size[axis] / 2)), free[axis]) for axis in (0, 1))  # type: ignore[return-value]


@SOURCES.register
class SameImage(Cut):
    """A patch of the same picture, from any place in it.

    A mask whose rectangle is the whole picture leaves no other place: such a patch is the picture itself.

    Attributes:
        distance_range: how far from the defect it is cut out, as a fraction of the picture's side, in any direction: a little,
            for print that is doubled. None takes any place (CutPaste).
        rotation_range: degrees. CutPaste: none.
        turn_with_mask: true adds the mask's angle. CutPaste's scar: true (cut out upright, then turned by -45 to 45).
        flip_probability: CutPaste: 0.
        jitter: see ``jitter.py``. CutPaste: 0.1 of everything, which is the default; ``{}`` is none.
    """

    kind: Literal["same_image"] = "same_image"
    distance_range: FractionRange | None = None
    jitter: Jitter = Field(default_factory=cutpaste_jitter)

    def draw(self, draws: Draws, banks: Banks, mask: MaskParams) -> SameImageParams:
        """The parameters of one patch."""
        drawn = {"place": draw_place(draws), "step": self._draw_step(draws)}
        return SameImageParams.drawn(**{**drawn, **self.draw_cut(draws, mask)})

    def _draw_step(self, draws: Draws) -> Step | None:
        if self.distance_range is None:
            return None
        distance, angle = draws.uniform("distance", self.distance_range), draws.uniform("direction", (0.0, 360.0))
        return -distance * math.sin(math.radians(angle)), distance * math.cos(math.radians(angle))
