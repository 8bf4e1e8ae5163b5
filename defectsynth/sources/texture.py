"""A texture picture as the source, stretched to the product's size and enhanced (DRAEM).

Source: ``VitjanZ/DRAEM`` ``data_loader.py``: DTD picture, resized to the image, three enhancement operations.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from defectsynth.affine import of_resampled
from defectsynth.banks import Banks
from defectsynth.images import Box, Histogram, mean_colour
from defectsynth.masks.base import MaskParams
from defectsynth.rng import Draws
from defectsynth.site import Site
from defectsynth.sources.base import SOURCE_PARAMS, SOURCES, SourceParams, SourceSpec
from defectsynth.sources.enhance import Enhance, Operation, no_enhancement, rotation_of
from defectsynth.sources.operations import enhanced
from defectsynth.sources.sampling import Places, flipped, places_of_box, sampler
from defectsynth.sources.tone import Tone, ToneParams
from defectsynth.spec import AngleRange

__all__ = ["Appearance", "AppearanceParams", "Canvas", "Texture", "TextureParams", "sample"]

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

    @abstractmethod
    def canvas(self, site: Site) -> Canvas:
        """The texture, and the picture that it is stretched over."""

    def render(self, site: Site) -> RGB8:
        """See ``SourceParams.render``."""
        top, left, bottom, right = site.box
        colours = self._colours(site, places_of_box(site.box, site.shape))
        return self._toned(site, colours, colours[site.inside.reshape(-1)]).reshape(bottom - top, right - left, 3)

    def render_pixels(self, site: Site) -> RGB8:
        """See ``SourceParams.render_pixels``."""
        colours = self._colours(site, Places(site.positions, site.shape))
        return self._toned(site, colours, colours)

    def _colours(self, site: Site, places: Places) -> RGB8:
        """``(n, 3)``: turned, flipped within the site's box, enhanced."""
        canvas = self.canvas(site)
        seen = sampler(canvas.rgb, canvas.shape, self.angle + rotation_of(self.operations))
        places = flipped(places, site.box, self.operations)
        return enhanced(seen.at(places), self.operations, canvas.histogram, lambda: seen.of(canvas.smooth()).at(places))

    def _toned(self, site: Site, colours: RGB8, under_mask: RGB8) -> RGB8:
        if self.tone.neutral:
            return colours
        return self.tone.apply(colours, mean_colour(under_mask), site.local_colour())


@dataclass(frozen=True, slots=True)
class Canvas:
    """A texture ``(h, w, 3)``, the ``shape`` that it is stretched over, its histogram and its smooth copy."""

    rgb: RGB8
    shape: tuple[int, int]
    histogram: Callable[[], Histogram]
    smooth: Callable[[], RGB8]


@SOURCE_PARAMS.register
class TextureParams(AppearanceParams):
    """What was drawn for a texture: its name in the bank and its content hash, and how it is shown."""

    kind: Literal["texture"] = "texture"
    name: str
    hash: str

    def canvas(self, site: Site) -> Canvas:
        """The texture, stretched over the picture."""
        found = site.banks.texture(self.name, self.hash, site.shape)
        smooth = site.banks.smooth_texture
        return Canvas(found.rgb, site.shape, lambda: found.histogram, lambda: smooth(self.name, site.shape).rgb)


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
        return TextureParams.drawn(**{"name": name, "hash": content, **self.draw_appearance(draws)})


def sample(canvas: RGB8, shape: tuple[int, int], box: Box, angle: float) -> RGB8:
    """The rectangle ``box`` of a canvas that is stretched over ``shape`` and turned about its centre.

    Only the rectangle is computed; beyond its edges the canvas is mirrored.
    """
    top, left, bottom, right = box
    seen = sampler(canvas, shape, angle)
    if seen.matrix is None:
        return canvas[top:bottom, left:right]
    size = (right - left, bottom - top)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    to_canvas = of_resampled(seen.matrix, (1.0, 1.0), (left, top))
    return np.asarray(cv2.warpAffine(canvas, to_canvas, size, flags=flags, borderMode=cv2.BORDER_REFLECT_101), dtype=np.uint8)
