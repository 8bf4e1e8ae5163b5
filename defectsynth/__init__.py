"""Realistic, pixel-labelled surface defects out of photographs of good products.

>>> from defectsynth import AnomalySynthesizer
>>> synth = AnomalySynthesizer("industrial", seed=7)
"""

from defectsynth.banks import DefectBank, MaskBank, NormalBank, TextureBank
from defectsynth.plan import Plan
from defectsynth.recipe import Recipe, load_recipe, preset_names
from defectsynth.sample import AnomalySample, Piece
from defectsynth.synthesizer import AnomalySynthesizer

__all__ = [
    "AnomalySample",
    "AnomalySynthesizer",
    "DefectBank",
    "MaskBank",
    "NormalBank",
    "Piece",
    "Plan",
    "Recipe",
    "TextureBank",
    "load_recipe",
    "preset_names",
]
__version__ = "0.1.0"
