"""What stands out from the background at first sight: one level on the distance, chosen by Otsu."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from defectsynth.foreground.ground import Ground, decode, encode, histogram, split_level
from defectsynth.foreground.pieces import tidy
from defectsynth.images import Mask, as_mask

__all__ = ["NOISE", "Standout", "stand_out"]

NOISE = encode(3.0)
"""The code of three spreads: nearly all of the background's own noise lies below."""


@dataclass(frozen=True, slots=True)
class Standout:
    """A rough mask; shadows may be in it, dark parts of the product may be missing.

    Attributes:
        mask: ``(h, w)`` 0 or 255, at least one pixel set.
        level: the code from which on a pixel stands out.
        typical: the median code of all that does.
        separation: the share of the variance of distances that the level explains, 0 to 1.
    """

    mask: Mask
    level: int
    typical: int
    separation: float


def stand_out(ground: Ground) -> Standout | None:
    """The rough mask; None where the whole picture looks like its border."""
    counts = histogram(ground.code)
    if not counts[NOISE:].any():
        return None
    split, separation = split_level(decode(np.arange(256)), counts)
    level = max(split + 1, NOISE)
    above = np.cumsum(counts[level:])
    typical = level + int(np.searchsorted(above, (above[-1] + 1) // 2))
    return Standout(tidy(as_mask(ground.code >= level)), level, typical, separation)
