"""Where: the shape and the place of a defect. One file per kind; a new kind registers itself in ``MASKS``."""

from defectsynth.masks.base import MASK_PARAMS, MASKS, MaskParams, MaskSpec
from defectsynth.masks.combine import Intersection, Union
from defectsynth.masks.outline import Outline
from defectsynth.masks.perlin import Perlin

__all__ = ["MASKS", "MASK_PARAMS", "Intersection", "MaskParams", "MaskSpec", "Outline", "Perlin", "Union"]
