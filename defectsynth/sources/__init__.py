"""What: the picture that a defect's appearance comes from. One file per kind; a new kind registers itself in ``SOURCES``."""

from defectsynth.sources.base import SOURCE_PARAMS, SOURCES, SourceParams, SourceSpec
from defectsynth.sources.defect import DefectSource
from defectsynth.sources.procedural import Procedural
from defectsynth.sources.product import Product
from defectsynth.sources.texture import Texture

__all__ = [
    "SOURCES",
    "SOURCE_PARAMS",
    "DefectSource",
    "Procedural",
    "Product",
    "SourceParams",
    "SourceSpec",
    "Texture",
]
