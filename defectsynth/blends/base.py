"""What every blend kind is: a spec that draws parameters, and parameters that blend a patch into a rectangle."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import numpy.typing as npt

from defectsynth.images import AnyImage, Mask
from defectsynth.rng import Draws
from defectsynth.spec import Part, Registry

__all__ = ["BLENDS", "BLEND_PARAMS", "BlendParams", "BlendSpec"]


class BlendParams(Part):
    """What was drawn for one blend."""

    @abstractmethod
    def blend(self, image: AnyImage, patch: AnyImage, mask: Mask, side: float) -> tuple[AnyImage, npt.NDArray[np.float32]]:
        """The rectangle with the defect in it, and the degree of anomaly of each of its pixels.

        Args:
            image: ``(h, w, C)``, the product in the mask's rectangle; not written to.
            patch: ``(h, w, C)``, the source, of the image's dtype.
            mask: ``(h, w)`` uint8, 0 or 255.
            side: the whole picture's side in pixels (square root of its area), for widths given as a fraction of it.

        Returns:
            the rectangle, equal to ``image`` outside the mask, and ``(h, w)`` float32 in [0, 1], zero outside the mask.
        """


class BlendSpec(Part):
    """What may be drawn for a blend."""

    @abstractmethod
    def draw(self, draws: Draws) -> BlendParams:
        """The parameters of one blend."""


BLENDS: Registry[BlendSpec] = Registry("blend")
BLEND_PARAMS: Registry[BlendParams] = Registry("blend")
