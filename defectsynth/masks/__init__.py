"""Where: the shape and the place of a defect. One file per kind; a new kind registers itself in ``MASKS``."""

from defectsynth.masks.base import MASK_PARAMS, MASKS, MaskParams, MaskSpec
from defectsynth.masks.blob import Blob
from defectsynth.masks.combine import Intersection, Union
from defectsynth.masks.crack import Crack
from defectsynth.masks.ellipse import Ellipse
from defectsynth.masks.grid_cells import GridCells
from defectsynth.masks.mask_file import MaskFile
from defectsynth.masks.outline import Outline
from defectsynth.masks.patch import Patch
from defectsynth.masks.perlin import Perlin
from defectsynth.masks.pits import Pits
from defectsynth.masks.rectangle import Rectangle
from defectsynth.masks.scar import Scar
from defectsynth.masks.simplex import Simplex
from defectsynth.masks.stain import Stain
from defectsynth.masks.stroke import Stroke

__all__ = [
    "MASKS",
    "MASK_PARAMS",
    "Blob",
    "Crack",
    "Ellipse",
    "GridCells",
    "Intersection",
    "MaskFile",
    "MaskParams",
    "MaskSpec",
    "Outline",
    "Patch",
    "Perlin",
    "Pits",
    "Rectangle",
    "Scar",
    "Simplex",
    "Stain",
    "Stroke",
    "Union",
]
