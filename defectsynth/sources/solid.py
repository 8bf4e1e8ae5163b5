"""One colour as the source: a smudge, a blot of paint, a bleached spot; with a slope of light and grain if asked for.

Source of the random colour: ``VitjanZ/DSR_anomaly_detection`` ``data_loader.py`` ``augment_image``: one colour of the whole
cube, under DRAEM's mask and blend. Everything else is chosen here.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator

from defectsynth import rng
from defectsynth.banks import Banks
from defectsynth.images import AnyImage, convert, from_float, full_scale
from defectsynth.masks.base import MaskParams
from defectsynth.noise import FloatField
from defectsynth.rng import Draws
from defectsynth.site import Site
from defectsynth.sources.base import SOURCE_PARAMS, SOURCES, SourceParams, SourceSpec
from defectsynth.sources.tone import visible_shift
from defectsynth.spec import AngleRange, FactorRange, FractionRange, ShiftRange

__all__ = ["Solid", "SolidParams"]

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Colour = tuple[Fraction, Fraction, Fraction]
"""Red, green and blue, 0 to 1."""
_TILE = 512  # pixels; grain repeats beyond, which is far too wide for the eye to find
_SUM_DEVIATION = 6.0 * math.sqrt(4 * (256**2 - 1) / 12)  # of four uniform bytes, after 1, 2, 1 along both axes


@SOURCE_PARAMS.register
class SolidParams(SourceParams):
    """What was drawn for one colour.

    Attributes:
        colour: red, green and blue, 0 to 1; None for the product's mean colour under the mask.
        light: how many times as bright as the colour it is: less light comes back from the floor of a hole.
        shift: brightness that is then added, as a fraction of full scale; it ends where the scale does, and is turned round
            where that leaves less than half of it (``tone.visible_shift``).
        gradient: difference of brightness from one side of the rectangle to the other, as a fraction of full scale.
        angle: direction in which it grows lighter: 0 to the right, degrees anticlockwise.
        grain: standard deviation of the noise, as a fraction of full scale.
        noise: seed of the grain.
    """

    kind: Literal["solid"] = "solid"
    colour: Colour | None = None
    light: float = Field(default=1.0, ge=0.0, le=16.0)
    shift: float = Field(default=0.0, ge=-1.0, le=1.0)
    gradient: Fraction = 0.0
    angle: float = 0.0
    grain: Fraction = 0.0
    noise: int = Field(default=0, ge=0, lt=2**64)

    def render(self, site: Site) -> AnyImage:
        """``(h, w, C)`` of the picture's type."""
        base = self._base(site) * self.light
        colour = np.clip(base + visible_shift(self.shift, float(base.mean())), 0.0, 1.0).astype(np.float32)
        if self.gradient == self.grain == 0.0:
            return np.full(site.product.shape, from_float(colour, site.image.dtype, site.white))
        pattern = self._pattern((site.box[2] - site.box[0], site.box[3] - site.box[1]))
        values = np.stack([np.clip(pattern + one, np.float32(0.0), np.float32(1.0)) for one in colour], axis=2)
        return from_float(values, site.image.dtype, site.white)

    def _base(self, site: Site) -> npt.NDArray[np.float64]:
        """``(C,)`` in 0 to 1."""
        if self.colour is None:
            total = site.product[site.inside].sum(axis=0, dtype=np.float64)  # of integers: exact
            return np.asarray(total / (np.count_nonzero(site.inside) * (site.white or full_scale(site.image.dtype))))
        pixel = np.array(self.colour, dtype=np.float32)[None, None]
        return np.asarray(convert(pixel, np.float32, site.image.shape[2])[0, 0], dtype=np.float64)

    def _pattern(self, shape: tuple[int, int]) -> FloatField:
        """What is added to the colour: the slope and the grain."""
        pattern = np.zeros(shape, dtype=np.float32)
        if self.gradient > 0.0:
            pattern += np.float32(self.gradient) * _slope(shape, self.angle)
        if self.grain > 0.0:
            pattern += np.float32(self.grain) * _grain(shape, self.noise)
        return pattern


@SOURCES.register
class Solid(SourceSpec):
    """One colour.

    Attributes:
        colour: ``random`` is any colour (DSR), ``local`` the product's mean colour under the mask, and [red, green, blue], each
            from 0 to 1, that colour.
        light_range: how many times as bright as that colour: blowholes and cracks of magnetic tiles have 0.4 to 0.8 times the
            brightness around them, whatever the exposure. DSR: 1.
        shift_range: brightness that is then added, as a fraction of full scale: below 0 darker, above 0 lighter. DSR: none.
        gradient_range: difference of brightness across the mask's rectangle, as a fraction of full scale, in any direction.
            DSR: none.
        gradient_angle_range: the direction in which it grows lighter: 0 to the right, degrees anticlockwise. Chosen: any.
        grain_range: standard deviation of the noise, as a fraction of full scale; a photograph's is about 0.004 to 0.015, and
            without it a colour looks like a computer's. DSR: none.
    """

    kind: Literal["solid"] = "solid"
    colour: Literal["random", "local"] | Colour = "random"
    light_range: FactorRange = (1.0, 1.0)
    shift_range: ShiftRange = (0.0, 0.0)
    gradient_range: FractionRange = (0.0, 0.0)
    gradient_angle_range: AngleRange = (-180.0, 180.0)
    grain_range: FractionRange = (0.0, 0.0)

    @field_validator("colour", mode="before")
    @classmethod
    def _name_or_numbers(cls, colour: Any) -> Any:
        if colour in ("random", "local"):
            return colour
        numbers = colour if isinstance(colour, (list, tuple)) and len(colour) == 3 else ()
        if not numbers or not all(isinstance(one, (int, float)) and 0.0 <= one <= 1.0 for one in numbers):
            raise ValueError(f"{colour!r} is no colour: give random, local, or [red, green, blue], each from 0 to 1")
        return colour

    def draw(self, draws: Draws, banks: Banks, mask: MaskParams) -> SolidParams:
        """The parameters of one colour."""
        gradient, grain = draws.uniform("gradient", self.gradient_range), draws.uniform("grain", self.grain_range)
        return SolidParams.drawn(
            colour=self._draw_colour(draws),
            light=draws.uniform("light", self.light_range),
            shift=draws.uniform("shift", self.shift_range),
            gradient=gradient,
            angle=draws.uniform("angle", self.gradient_angle_range) if gradient > 0.0 else 0.0,
            grain=grain,
            noise=draws.noise_seed("noise") if grain > 0.0 else 0,
        )

    def _draw_colour(self, draws: Draws) -> Colour | None:
        if self.colour == "local":
            return None
        if self.colour == "random":
            red, green, blue = (draws.uniform("colour", (0.0, 1.0), slot) for slot in range(3))
            return red, green, blue
        return self.colour


def _slope(shape: tuple[int, int], angle: float) -> FloatField:
    """``(h, w)``: -0.5 to 0.5 across the rectangle, growing in the direction of ``angle``."""
    sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))
    y, x = np.arange(shape[0]) - (shape[0] - 1) / 2, np.arange(shape[1]) - (shape[1] - 1) / 2
    across = abs(sine) * (shape[0] - 1) + abs(cosine) * (shape[1] - 1)
    return ((cosine * x[None, :] - sine * y[:, None]) / max(across, 1.0)).astype(np.float32)


def _grain(shape: tuple[int, int], seed: int) -> FloatField:
    """``(h, w)``: nearly normal noise, mean 0 and deviation 1, as soft as a picture's own after demosaicing or resizing.

    The sum of the four bytes of a word is nearly normal; sums of integers are the same on every machine.
    """
    tile = min(max(shape[0], 3), _TILE), min(max(shape[1], 3), _TILE)
    four = rng.words(seed, tile).astype("<u4").view(np.uint8).reshape(*tile, 4)
    values = sum(four[:, :, byte].astype(np.int32) for byte in range(4)) - np.int32(510)
    for axis in (0, 1):  # 1, 2, 1, round the tile's border so that it repeats without a seam
        values = 2 * values + np.roll(values, 1, axis) + np.roll(values, -1, axis)
    grain = values.astype(np.float32) / np.float32(_SUM_DEVIATION)
    return np.tile(grain, (-(-shape[0] // tile[0]), -(-shape[1] // tile[1])))[: shape[0], : shape[1]]
