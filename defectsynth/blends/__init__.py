"""How: the way a source replaces the product under a mask. One file per kind; a new kind registers itself in ``BLENDS``."""

from defectsynth.blends.base import BLEND_PARAMS, BLENDS, BlendParams, BlendSpec
from defectsynth.blends.blur import Blur
from defectsynth.blends.displacement import Displacement
from defectsynth.blends.linear import Linear
from defectsynth.blends.poisson import Poisson
from defectsynth.blends.relief import Relief
from defectsynth.blends.shadowed import Shadowed
from defectsynth.blends.stains import Burn, Multiply, Screen

__all__ = [
    "BLENDS",
    "BLEND_PARAMS",
    "BlendParams",
    "BlendSpec",
    "Blur",
    "Burn",
    "Displacement",
    "Linear",
    "Multiply",
    "Poisson",
    "Relief",
    "Screen",
    "Shadowed",
]
