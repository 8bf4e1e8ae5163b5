"""The product out of focus, or smeared in one direction, under the mask: a worn print, a finger's wipe, a melted surface.

Sizes are chosen here, as fractions of the picture's side: 0.004 to 0.015 is 1 to 4 pixels at 256 x 256.
"""

from __future__ import annotations

import math
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from defectsynth.blends.base import BLEND_PARAMS, BLENDS, Blended, BlendParams, BlendSpec
from defectsynth.blends.form import soft_outline, towards
from defectsynth.blends.mixing import ONE, edge_weights
from defectsynth.blends.painting import degree_of, mixed, painted, pixels, unchanged
from defectsynth.fill import Fill
from defectsynth.images import AnyImage, resize_image, to_float
from defectsynth.rng import Draws
from defectsynth.site import Site
from defectsynth.spec import AngleRange, FractionRange

__all__ = ["Blur", "BlurParams"]

Values = npt.NDArray[np.float32]
"""``(H, W, C)`` in [0, 1]."""

_REACH = 3.0  # deviations of a Gaussian that are computed
_LARGEST = 6.0  # pixels of deviation; a stronger blur is computed on a picture shrunk so far that it is this one


@BLEND_PARAMS.register
class BlurParams(BlendParams):
    """What was drawn.

    Attributes:
        sigma: deviation of the Gaussian, as a fraction of the picture's side; 0 for none.
        length: length of the smear, as a fraction of the picture's side; 0 for none.
        angle: direction of the smear, degrees anticlockwise.
        edge: width of the soft edge inside the mask, as a fraction of the picture's side.
    """

    kind: Literal["blur"] = "blur"
    sigma: float = Field(ge=0.0, le=1.0)
    length: float = Field(default=0.0, ge=0.0, le=1.0)
    angle: float = 0.0
    edge: float = Field(default=0.0, ge=0.0, le=1.0)

    def blend(self, site: Site, fill: Fill) -> Blended:
        """See ``BlendParams.blend``; the degree is the weight of the blurred picture: 1 but for the soft edge."""
        replaced = not fill.is_product
        if self.sigma == 0.0 and self.length == 0.0 and not replaced:
            return unchanged(site)
        blurred = self._blurred(fill.rectangle, (0, 0), site) if replaced else self._blurred(*self._surroundings(site), site)
        weight = edge_weights(site.mask[site.window], 1.0, self.edge * site.side)[site.inside].astype(np.float32)
        weight *= soft_outline(site)[site.inside] / np.float32(ONE)
        return painted(site, mixed(pixels(site, site.pixels), blurred[site.inside], weight)), degree_of(weight)

    def _surroundings(self, site: Site) -> tuple[AnyImage, tuple[int, int]]:
        """The part of the picture that is blurred into the rectangle, and the rectangle's corner in it."""
        more = math.ceil((_REACH * self.sigma + 0.5 * self.length) * site.side) + 2
        (top, left, bottom, right), (height, width) = site.box, site.shape
        first = max(0, top - more), max(0, left - more)
        part = site.image[first[0] : min(height, bottom + more), first[1] : min(width, right + more)]
        return part, (top - first[0], left - first[1])

    def _blurred(self, picture: AnyImage, corner: tuple[int, int], site: Site) -> AnyImage:
        """``(h, w, C)`` float32: the site's rectangle, at ``corner``, of a picture that is smeared, then out of focus."""
        values = to_float(picture, site.white)
        if self.length > 0.0:
            values = _smeared(values, self.length * site.side, self.angle)
        if self.sigma > 0.0:
            values = _gaussian(values, self.sigma * site.side)
        height, width = site.inside.shape
        return values[corner[0] : corner[0] + height, corner[1] : corner[1] + width]


@BLENDS.register
class Blur(BlendSpec):
    """What may be drawn. All numbers are chosen.

    Attributes:
        sigma_range: deviation of the Gaussian, as a fraction of the picture's side.
        length_range: length of a smear in one direction, as a fraction of the picture's side; [0, 0] for none.
        angle_range: direction of the smear, degrees anticlockwise.
        edge_range: width of the soft edge inside the mask, as a fraction of the picture's side.
    """

    kind: Literal["blur"] = "blur"
    sigma_range: FractionRange = (0.004, 0.015)
    length_range: FractionRange = (0.0, 0.0)
    angle_range: AngleRange = (-180, 180)
    edge_range: FractionRange = (0.01, 0.03)

    @model_validator(mode="after")
    def _some(self) -> Blur:
        if self.sigma_range[1] == 0.0 and self.length_range[1] == 0.0:
            raise ValueError("sigma_range and length_range are both [0, 0], which changes nothing: give one of them")
        return self

    def draw(self, draws: Draws) -> BlurParams:
        """The parameters of one blur."""
        return BlurParams.drawn(
            sigma=draws.uniform("sigma", self.sigma_range),
            length=draws.uniform("length", self.length_range),
            angle=draws.uniform("angle", self.angle_range),
            edge=draws.uniform("edge", self.edge_range),
        )


def _gaussian(values: Values, sigma: float) -> Values:
    """``sigma`` in pixels; mirrored at the edges."""
    height, width, _ = values.shape
    shrunk = min(1.0, _LARGEST / sigma)
    small = max(1, round(height * shrunk)), max(1, round(width * shrunk))
    planes = resize_image(values, small)
    deviation = max(sigma * small[1] / width, 1e-3), max(sigma * small[0] / height, 1e-3)
    size = tuple(2 * math.ceil(_REACH * one) + 1 for one in deviation)
    border = cv2.BORDER_REFLECT
    blurred = [
        cv2.GaussianBlur(
            np.ascontiguousarray(planes[:, :, channel]), size, deviation[0], sigmaY=deviation[1], borderType=border
        )
        for channel in range(planes.shape[2])
    ]
    return resize_image(np.stack(blurred, axis=2), (height, width))


def _smeared(values: Values, length: float, angle: float) -> Values:
    """The mean along a line of ``length`` pixels: of two places half of it apart, then of two a quarter apart, and so on."""
    down, right = (float(part) for part in towards(angle))
    for halving in range(max(1, math.ceil(math.log2(length)))) if length > 0.0 else ():
        step = length / 4.0 / 2.0**halving
        there, back = _shifted(values, step * down, step * right), _shifted(values, -step * down, -step * right)
        values = (there + back) * np.float32(0.5)
    return values


def _shifted(values: Values, down: float, right: float) -> Values:
    matrix = np.array([[1.0, 0.0, right], [0.0, 1.0, down]])
    size = (values.shape[1], values.shape[0])
    planes = [
        cv2.warpAffine(np.ascontiguousarray(values[:, :, channel]), matrix, size, borderMode=cv2.BORDER_REFLECT)
        for channel in range(values.shape[2])
    ]
    return np.stack(planes, axis=2)
