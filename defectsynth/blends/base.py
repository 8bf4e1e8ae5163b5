"""What every blend kind is: a spec that draws parameters, and parameters that blend a patch into a rectangle."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from defectsynth.images import AnyImage
from defectsynth.rng import Draws
from defectsynth.site import Site
from defectsynth.spec import Part, Registry

__all__ = ["BLENDS", "BLEND_PARAMS", "BlendParams", "BlendSpec", "Degree"]

Degree = npt.NDArray[np.float32]
"""``(h, w)`` in [0, 1]: how anomalous each pixel of a rectangle is."""


class BlendParams(Part):
    """What was drawn for one blend."""

    margin: ClassVar[int] = 0
    """How many pixels around the mask the rectangle reaches, for blends that look beyond the outline."""

    @abstractmethod
    def blend(self, site: Site, patch: AnyImage) -> tuple[AnyImage, Degree]:
        """The rectangle with the defect in it, and the degree of anomaly of each of its pixels.

        Args:
            site: where; ``site.product`` is the rectangle as it is, ``site.inside`` the mask in it. Not to be written to.
            patch: ``(h, w, C)``, the source, of the picture's type.

        Returns:
            the rectangle, ``(h, w, C)`` of the picture's type and equal to ``site.product`` outside the mask, and ``(h, w)``
            float32 in [0, 1], zero outside the mask.
        """


class BlendSpec(Part):
    """What may be drawn for a blend."""

    @abstractmethod
    def draw(self, draws: Draws) -> BlendParams:
        """The parameters of one blend."""


BLENDS: Registry[BlendSpec] = Registry("blend")
BLEND_PARAMS: Registry[BlendParams] = Registry("blend")
