"""A real defect as the source, with its own surroundings as the reference for its tone.

The choice of Peng et al. (Sensors 2024, 24, 264): pictures of real defects in place of DTD textures, after affine
transformation and image enhancement. Under an ``outline`` mask of a defect the source is that same defect, placed by the same
transformation; under any other mask a defect is drawn and stretched over the mask's rectangle.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from defectsynth.affine import Matrix, about, of_resampled, rotation, shifted
from defectsynth.banks import Banks, Defect
from defectsynth.images import Box, Mask, bounding_box, mean_colour, resize_image
from defectsynth.masks.base import MaskParams
from defectsynth.masks.outline import OutlineParams
from defectsynth.rng import Draws
from defectsynth.site import Site
from defectsynth.sources.base import SOURCE_PARAMS, SOURCES, SourceParams, SourceSpec
from defectsynth.sources.enhance import Enhance, Operation, no_enhancement, rotation_of
from defectsynth.sources.operations import apply_operations
from defectsynth.sources.texture import sample
from defectsynth.sources.tone import Tone, ToneParams
from defectsynth.spec import AngleRange

__all__ = ["DefectParams", "DefectSource"]

RGB8 = npt.NDArray[np.uint8]
Part = Literal["box", "core"]
_SURROUNDINGS = 0.5  # of the defect's box on every side: near enough to be what the defect lies in


@SOURCE_PARAMS.register
class DefectParams(SourceParams):
    """What was drawn for a real defect.

    Attributes:
        name: the defect in its bank.
        hash: first digits of its picture's content hash.
        part: ``box`` or ``core``; see ``DefectSource``.
        angle: rotation, degrees anticlockwise; under an ``outline`` mask the mask's own transformation is used instead.
        operations: the enhancement, in order.
        tone: see ``tone.py``.
    """

    photographed: ClassVar[bool] = True

    kind: Literal["defect"] = "defect"
    name: str
    hash: str
    part: Part = "box"
    angle: float = 0.0
    operations: tuple[Operation, ...] = ()
    tone: ToneParams = Field(default_factory=ToneParams)

    def render(self, site: Site) -> RGB8:
        """The defect's picture inside the site's box."""
        defect = site.banks.defect(self.name, self.hash)
        placed = site.mask_params
        if isinstance(placed, OutlineParams) and placed.name == self.name:
            piece = placed.mask_of_piece(defect)
            patch = _place(defect.rgb, placed.matrix(site.roi, site.banks), site)
        else:
            piece = defect.mask
            patch = self._stretch(defect, site)
        patch = apply_operations(patch, self.operations)
        if self.tone.neutral:
            return patch
        reference = _enhanced_colour(defect.colour_around(_around(piece, _SURROUNDINGS)), self.operations)
        return self.tone.apply(patch, reference, site.local_colour())

    def _stretch(self, defect: Defect, site: Site) -> RGB8:
        """What lies under a mask that is not the defect's own: see ``DefectSource.part``."""
        top, left, bottom, right = site.box
        height, width = bottom - top, right - left
        whole = (0, 0, height, width)
        if self.part == "core":
            return _mirrored(defect.rgb[_core(defect.mask)], (height, width), self.angle + rotation_of(self.operations))
        top, left, bottom, right = _around(defect.mask, 0.0)
        own, angle = defect.rgb[top:bottom, left:right], self.angle + rotation_of(self.operations)
        return sample(own, (height, width), whole, angle)


@SOURCES.register
class DefectSource(SourceSpec):
    """A picture of the defect bank.

    Attributes:
        part: what fills a mask that is not the defect's own: ``box``, the rectangle around the defect, stretched over it, or
            ``core``, the largest square around its deepest pixel that is nothing but defect, repeated in its own size (mirrored
            at its edges), so that its grain stays.
        kinds: which of the bank's kinds are used; None takes all. Under an ``outline`` mask the mask's defect is used.
        enhance: see ``enhance.py``.
        rotation_range: degrees. Chosen: any angle.
        tone: see ``tone.py``. Chosen by each preset.
    """

    kind: Literal["defect"] = "defect"
    kinds: tuple[str, ...] | None = None
    part: Part = "box"
    enhance: Enhance = Field(default_factory=no_enhancement)
    rotation_range: AngleRange = (-180, 180)
    tone: Tone = Field(default_factory=Tone)
    needs: ClassVar[frozenset[str]] = frozenset({"defects"})

    def check(self, banks: Banks) -> None:
        """See ``SourceSpec.check``."""
        banks.check_defect_kinds(self.kinds)

    def draw(self, draws: Draws, banks: Banks, mask: MaskParams) -> DefectParams:
        """The parameters of one defect."""
        name, content = (mask.name, mask.hash) if isinstance(mask, OutlineParams) else banks.draw_defect(draws, self.kinds)
        return DefectParams.drawn(
            name=name,
            hash=content,
            part=self.part,
            angle=draws.uniform("angle", self.rotation_range),
            operations=self.enhance.draw(draws.within("enhance")),
            tone=self.tone.draw(draws.within("tone")),
        )


def _place(rgb: RGB8, matrix: Matrix, site: Site) -> RGB8:
    """The defect's picture through ``matrix``, inside the site's box; beyond its edges it is mirrored."""
    top, left, bottom, right = site.box
    factor = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    shape = (rgb.shape[0], rgb.shape[1])
    if factor < 0.5:  # bilinear sampling of a picture that is much finer would skip pixels
        shape = max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))
    step = (rgb.shape[1] / shape[1], rgb.shape[0] / shape[0])
    into_box = shifted(of_resampled(matrix, step), -left, -top)
    size = (right - left, bottom - top)
    resized = resize_image(rgb, shape)  # Lanczos: a bilinear turn would take the camera's grain away, and that shows
    placed = cv2.warpAffine(resized, into_box, size, flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(placed, dtype=np.uint8)


def _around(mask: Mask, margin: float) -> Box:
    """The rectangle around a mask, wider by ``margin`` of its sides in every direction, inside the picture."""
    top, left, bottom, right = bounding_box(mask) or (0, 0, mask.shape[0], mask.shape[1])
    more_y, more_x = round((bottom - top) * margin) + (margin > 0), round((right - left) * margin) + (margin > 0)
    ends = min(mask.shape[0], bottom + more_y), min(mask.shape[1], right + more_x)
    return max(0, top - more_y), max(0, left - more_x), *ends


def _core(mask: Mask) -> tuple[slice, slice]:
    """The square inside a mask around the pixel that is farthest from its edge (of several, the first row by row)."""
    framed = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_5)[1:-1, 1:-1]
    row, column = np.unravel_index(int(np.argmax(depth)), depth.shape)
    reach = max(0, int((float(depth[row, column]) - 1.0) / math.sqrt(2.0)))
    return slice(int(row) - reach, int(row) + reach + 1), slice(int(column) - reach, int(column) + reach + 1)


def _mirrored(core: RGB8, shape: tuple[int, int], angle: float) -> RGB8:
    """``shape`` pixels of a plane that a small square covers, mirrored at its edges, turned about the middle."""
    middle = ((core.shape[1] - 1) / 2, (core.shape[0] - 1) / 2)
    to_core = about(rotation(-angle), ((shape[1] - 1) / 2, (shape[0] - 1) / 2), middle)
    flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    turned = cv2.warpAffine(np.ascontiguousarray(core), to_core, shape[::-1], flags=flags, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(turned, dtype=np.uint8)


def _enhanced_colour(colour: npt.NDArray[np.float64], operations: tuple[Operation, ...]) -> npt.NDArray[np.float64]:
    """The reference after the operations that do not need a histogram: a gamma must not count as contrast."""
    pointwise = [operation for operation in operations if operation[0] not in ("autocontrast", "equalize")]
    pixel = np.rint(colour).astype(np.uint8).reshape(1, 1, 3)
    return mean_colour(apply_operations(pixel, pointwise))
