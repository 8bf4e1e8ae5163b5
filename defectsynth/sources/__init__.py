"""What: the picture that a defect's appearance comes from. One file per kind; a new kind registers itself in ``SOURCES``."""

from defectsynth.sources.background import Background
from defectsynth.sources.base import SOURCE_PARAMS, SOURCES, SourceParams, SourceSpec
from defectsynth.sources.defect import DefectSource
from defectsynth.sources.normal import Normal
from defectsynth.sources.procedural import Procedural
from defectsynth.sources.product import Product
from defectsynth.sources.same_image import SameImage
from defectsynth.sources.shuffle import Shuffle
from defectsynth.sources.solid import Solid
from defectsynth.sources.texture import Texture

__all__ = [
    "SOURCES",
    "SOURCE_PARAMS",
    "Background",
    "DefectSource",
    "Normal",
    "Procedural",
    "Product",
    "SameImage",
    "Shuffle",
    "Solid",
    "SourceParams",
    "SourceSpec",
    "Texture",
]
