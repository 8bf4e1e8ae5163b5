"""What every blend kind is: a spec that draws parameters, and parameters that blend what a source gives into a mask."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from defectsynth.fill import Fill
from defectsynth.images import AnyImage
from defectsynth.rng import Draws
from defectsynth.site import Site
from defectsynth.spec import Part, Registry

__all__ = ["BLENDS", "BLEND_PARAMS", "BlendParams", "BlendSpec", "Blended", "Degree"]

Degree = npt.NDArray[np.float32]
"""``(n,)`` in [0, 1]: how anomalous each of the mask's pixels is; one that is 0 does not belong to the defect after all."""
Blended = tuple[AnyImage, Degree]
"""``(n, C)`` of the picture's type, the mask's pixels row by row, and the degree of each."""


class BlendParams(Part):
    """What was drawn for one blend."""

    margin: ClassVar[int] = 0
    """How many pixels around the mask the rectangle reaches, for blends that look beyond the outline."""

    @abstractmethod
    def blend(self, site: Site, fill: Fill) -> Blended:
        """The mask's pixels with the defect in them, and how anomalous each of them is.

        Args:
            site: where; ``site.pixels`` is what is there now. Not to be written to.
            fill: what the source gives. Not to be written to.
        """


class BlendSpec(Part):
    """What may be drawn for a blend."""

    @abstractmethod
    def draw(self, draws: Draws) -> BlendParams:
        """The parameters of one blend."""


BLENDS: Registry[BlendSpec] = Registry("blend")
BLEND_PARAMS: Registry[BlendParams] = Registry("blend")
