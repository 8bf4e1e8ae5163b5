"""A texture made by code as the source: no files needed (the families are in ``families.py``)."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator

from defectsynth.banks import Banks
from defectsynth.images import histogram_of, smoothed
from defectsynth.masks.base import MaskParams
from defectsynth.rng import Draws
from defectsynth.site import Site
from defectsynth.sources.base import SOURCE_PARAMS, SOURCES
from defectsynth.sources.families import FAMILIES, texture
from defectsynth.sources.texture import Appearance, AppearanceParams, Canvas

__all__ = ["Procedural", "ProceduralParams"]

RGB8 = npt.NDArray[np.uint8]
VARIANTS = 8
"""Textures of each family: enough to differ, few enough to keep (a tile is made once, in milliseconds, then sampled)."""
LARGEST_SIDE = 256
"""Side of the largest tile. On larger pictures it is magnified, at most twice, and mirrored beyond its edges."""


@SOURCE_PARAMS.register
class ProceduralParams(AppearanceParams):
    """What was drawn for a procedural texture: its family, which of its variants, and how it is shown."""

    kind: Literal["procedural"] = "procedural"
    family: Literal[tuple(FAMILIES)]  # type: ignore[valid-type]
    variant: int = Field(ge=0, lt=VARIANTS)

    def canvas(self, site: Site) -> Canvas:
        """A square tile, stretched over the picture."""
        longest = min(max(site.shape), 2 * LARGEST_SIDE)
        side = min(2 ** round(math.log2(longest)), LARGEST_SIDE)
        tile = _tile(self.family, self.variant, side)
        return Canvas(tile, (longest, longest), lambda: histogram_of(tile), lambda: smoothed(tile))


@SOURCES.register
class Procedural(Appearance):
    """A texture made by code.

    Attributes:
        families: which families may be drawn, every one as likely; None takes all of ``families.FAMILIES``.
    """

    kind: Literal["procedural"] = "procedural"
    families: tuple[str, ...] | None = None

    @field_validator("families")
    @classmethod
    def _known(cls, families: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for family in families or ():
            if family not in FAMILIES:
                raise ValueError(f"family {family!r} is unknown: the families are {', '.join(FAMILIES)}")
        return families

    def draw(self, draws: Draws, banks: Banks, mask: MaskParams) -> ProceduralParams:
        """The parameters of one procedural texture."""
        families = self.families or tuple(FAMILIES)
        family = families[draws.integer("family", (0, len(families) - 1))]
        variant = draws.integer("variant", (0, VARIANTS - 1))
        return ProceduralParams.drawn(**{"family": family, "variant": variant, **self.draw_appearance(draws)})


@lru_cache(maxsize=256)
def _tile(family: str, variant: int, side: int) -> RGB8:
    rgb = texture(family, variant, (side, side))
    rgb.flags.writeable = False
    return rgb
