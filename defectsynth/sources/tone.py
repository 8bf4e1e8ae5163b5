"""Bringing a source's tone to the product's: its share of the local colour, the strength of its pattern, a shift.

    patch' = pattern * gain + (1 - match) * reference + match * local + shift,  pattern = patch - reference

``reference`` is the source's own mean colour (of a real defect: of its surroundings in its own picture, so that a pit stays
darker than what it lies in by as much as it was); ``local`` is the product's mean colour under the mask. A shift ends where the
scale does (0.05 and 0.95), and is turned round where that leaves less than half of it: dirt that darkens a bright part lightens
a black one. A pattern that has lost its saturation is light and dark of the product's own hue: bare metal is no other metal.
``match`` 0, ``saturation`` 1, ``gain`` 1, ``shift`` 0 leave the source as it is, which is what the published methods do.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from pydantic import Field

from defectsynth.rng import Draws
from defectsynth.spec import FractionRange, PositiveRange, Range, Spec

__all__ = ["Tone", "ToneParams", "visible_shift"]

_SCALE_ENDS = (0.05, 0.95)
_MOST_LIGHT = 4.0  # a near-black reference says nothing about a pattern's strength in the light


class ToneParams(Spec):
    """What was drawn.

    Attributes:
        match: share of the product's local colour, 0 to 1.
        gain: strength of the source's pattern.
        saturation: how much of its own colours the pattern keeps, 0 to 1; the rest takes the hue of the product.
        shift: brightness that is added, as a fraction of full scale.
        relative: whether the pattern is stronger on a brighter product, as a mark under more light is.
    """

    match: float = Field(default=0.0, ge=0.0, le=1.0)
    gain: float = Field(default=1.0, ge=0.0, le=100.0)
    saturation: float = Field(default=1.0, ge=0.0, le=1.0)
    shift: float = Field(default=0.0, ge=-1.0, le=1.0)
    relative: bool = False

    @property
    def neutral(self) -> bool:
        """Whether it leaves a source as it is."""
        return self.match == 0.0 and self.gain == self.saturation == 1.0 and self.shift == 0.0

    def apply(
        self, patch: npt.NDArray[np.uint8], reference: npt.NDArray[np.float64], local: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.uint8]:
        """``(h, w, 3)`` uint8 after the formula above; ``reference`` and ``local`` are ``(3,)`` in 0..255."""
        gain = self.gain * (self._light(reference, local) if self.relative else 1.0)
        shift = 255.0 * visible_shift(self.shift, float(local.mean()) / 255.0)
        offset = (1.0 - self.match - gain) * reference + self.match * local + shift
        toned = self._faded(patch, reference, local) * np.float32(gain) + offset.astype(np.float32)
        return np.clip(np.rint(toned), 0, 255).astype(np.uint8)

    def _faded(
        self, patch: npt.NDArray[np.uint8], reference: npt.NDArray[np.float64], local: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.uint8] | npt.NDArray[np.float32]:
        """The patch after the loss of its pattern's own colours; its mean stays the reference."""
        if self.saturation == 1.0:
            return patch
        pattern = patch - reference.astype(np.float32)
        hue = ((local + 1.0) / (float(local.mean()) + 1.0)).astype(np.float32)
        light = (pattern[..., 0] + pattern[..., 1] + pattern[..., 2]) * np.float32((1.0 - self.saturation) / 3.0)
        return np.float32(self.saturation) * pattern + light[..., None] * hue + reference.astype(np.float32)

    def _light(self, reference: npt.NDArray[np.float64], local: npt.NDArray[np.float64]) -> float:
        """How many times brighter the product is than the source's reference, as far as their tones are matched."""
        ratio = float(local.mean() + 1.0) / float(reference.mean() + 1.0)
        return 1.0 + self.match * (min(max(ratio, 1.0 / _MOST_LIGHT), _MOST_LIGHT) - 1.0)


def visible_shift(shift: float, level: float) -> float:
    """A shift in brightness as far as the scale goes; turned round where that is less than half of it.

    Args:
        shift: brightness that is to be added, as a fraction of full scale.
        level: mean brightness of what it is added to, 0 to 1.
    """
    room = max(0.0, level - _SCALE_ENDS[0] if shift < 0 else _SCALE_ENDS[1] - level)
    if room >= abs(shift):
        return shift
    return math.copysign(room, shift) if 2.0 * room >= abs(shift) else -shift


class Tone(Spec):
    """What may be drawn; the defaults leave the source as it is.

    Attributes:
        match_range, gain_range, saturation_range, shift_range: see ``ToneParams``.
        relative: whether the gain grows with the product's brightness over the reference's.
    """

    match_range: FractionRange = (0.0, 0.0)
    gain_range: PositiveRange = (1.0, 1.0)
    saturation_range: FractionRange = (1.0, 1.0)
    shift_range: Range = (0.0, 0.0)
    relative: bool = False

    def draw(self, draws: Draws) -> ToneParams:
        """The tone of one source."""
        return ToneParams.drawn(
            match=draws.uniform("match", self.match_range),
            gain=draws.uniform("gain", self.gain_range),
            saturation=draws.uniform("saturation", self.saturation_range),
            shift=draws.uniform("shift", self.shift_range),
            relative=self.relative,
        )
