"""A texture picture as the source, stretched to the product's size and enhanced (DRAEM).

Source: ``VitjanZ/DRAEM`` ``data_loader.py``: DTD picture, resized to the image, three enhancement operations.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from defectsynth.affine import about, of_resampled, rotation, shifted
from defectsynth.banks import Banks
from defectsynth.images import Box, mean_colour
from defectsynth.masks.base import MaskParams
from defectsynth.rng import Draws
from defectsynth.site import Site
from defectsynth.sources.base import SOURCE_PARAMS, SOURCES, SourceParams, SourceSpec
from defectsynth.sources.enhance import Enhance, Operation, apply_operations, no_enhancement, rotation_of
from defectsynth.sources.tone import Tone, ToneParams
from defectsynth.spec import AngleRange

__all__ = ["Texture", "TextureParams", "sample"]

RGB8 = npt.NDArray[np.uint8]


class AppearanceParams(SourceParams):
    """What was drawn for any texture.

    Attributes:
        angle: rotation about the picture's centre, degrees anticlockwise.
        operations: the enhancement, in order.
        tone: see ``tone.py``.
    """

    angle: float
    operations: tuple[Operation, ...] = ()
    tone: ToneParams = Field(default_factory=ToneParams)

    def render_from(self, canvas: RGB8, shape: tuple[int, int], site: Site) -> RGB8:
        """The site's rectangle of a canvas stretched over ``shape``: rotated, enhanced, toned."""
        patch = sample(canvas, shape, site.box, self.angle + rotation_of(self.operations))
        patch = apply_operations(patch, self.operations)
        return patch if self.tone.neutral else self.tone.apply(patch, mean_colour(patch), site.local_colour())


@SOURCE_PARAMS.register
class TextureParams(AppearanceParams):
    """What was drawn for a texture: its name in the bank and its content hash, and how it is shown."""

    kind: Literal["texture"] = "texture"
    name: str
    hash: str

    def render(self, site: Site) -> RGB8:
        """The texture, stretched to the picture, inside the site's box."""
        return self.render_from(site.banks.texture(self.name, self.hash, site.shape), site.shape, site)


class Appearance(SourceSpec):
    """What may be drawn for any texture.

    Attributes:
        enhance: the enhancement; ``count: 0`` leaves the source as it is.
        rotation_range: degrees, besides the enhancement's ``affine``. DRAEM: none.
        tone: see ``tone.py``. DRAEM: none.
    """

    enhance: Enhance = Field(default_factory=no_enhancement)
    rotation_range: AngleRange = (0.0, 0.0)
    tone: Tone = Field(default_factory=Tone)

    def draw_appearance(self, draws: Draws) -> dict[str, object]:
        """``angle``, ``operations`` and ``tone``, for ``draw``."""
        return {
            "angle": draws.uniform("angle", self.rotation_range),
            "operations": self.enhance.draw(draws.within("enhance")),
            "tone": self.tone.draw(draws.within("tone")),
        }


@SOURCES.register
class Texture(Appearance):
    """A picture of the texture bank, every one as likely."""

    kind: Literal["texture"] = "texture"
    needs: ClassVar[frozenset[str]] = frozenset({"textures"})

    def draw(self, draws: Draws, banks: Banks, mask: MaskParams) -> TextureParams:
        """The parameters of one texture."""
        name, content = banks.draw_texture(draws)
        return TextureParams.model_validate({"name": name, "hash": content, **self.draw_appearance(draws)})


def sample(canvas: RGB8, shape: tuple[int, int], box: Box, angle: float) -> RGB8:
    """The rectangle ``box`` of a canvas that is stretched over ``shape`` and turned about its centre.

    Only the rectangle is computed; beyond its edges the canvas is mirrored.
    """
    top, left, bottom, right = box
    if angle == 0.0 and canvas.shape[:2] == shape:
        return canvas[top:bottom, left:right]
    centre = (shape[1] / 2 - 0.5, shape[0] / 2 - 0.5)
    from_picture = shifted(about(rotation(-angle), centre, centre), 0.5, 0.5)
    stretch = np.array([[canvas.shape[1] / shape[1]], [canvas.shape[0] / shape[0]]])
    to_canvas = shifted(from_picture * stretch, -0.5, -0.5)
    to_canvas = of_resampled(to_canvas, (1.0, 1.0), (left, top))
    size = (right - left, bottom - top)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(canvas, to_canvas, size, flags=flags, borderMode=cv2.BORDER_REFLECT_101), dtype=np.uint8)
