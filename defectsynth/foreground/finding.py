"""What a method says of a picture: where the product is, and how much speaks for that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from defectsynth.foreground.evidence import ramp
from defectsynth.foreground.view import View
from defectsynth.images import Mask

__all__ = ["Finding", "certainty", "whole_picture"]

_FLAT, _ALIVE = 1.0, 4.0
"""Standard deviation of lightness, in levels: a picture below the first shows nothing at all, not even a texture."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one method found in one view.

    Attributes:
        method: the method that made the mask.
        mask: ``(h, w)`` 0 or 255 at the view's size, at least one pixel set; None for the whole picture.
        confidence: 0 to 1.
    """

    method: str
    mask: Mask | None
    confidence: float


def certainty(evidence: float) -> float:
    """Confidence that there is a product on a background: 0 where the evidence is one half or less, 1 where it is 1."""
    return max(0.0, 2.0 * evidence - 1.0)


def whole_picture(view: View, evidence: float = 0.0) -> Finding:
    """The finding that nothing stands out: sure where there is little evidence for a product, and a texture is seen at all."""
    texture = ramp(float(np.std(view.planes[0])), _FLAT, _ALIVE)
    return Finding("none", None, certainty(1.0 - evidence) * texture)
