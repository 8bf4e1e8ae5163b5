"""How: the way a source replaces the product under a mask. One file per kind; a new kind registers itself in ``BLENDS``."""

from defectsynth.blends.base import BLEND_PARAMS, BLENDS, BlendParams, BlendSpec
from defectsynth.blends.linear import Linear

__all__ = ["BLENDS", "BLEND_PARAMS", "BlendParams", "BlendSpec", "Linear"]
