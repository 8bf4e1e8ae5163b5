"""Light and shade: brighter where a slope faces the light, darker where it turns away or lies deep; and its glint."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from defectsynth.noise import FloatField

__all__ = ["lit"]

_ONE = np.float32(1.0)
_SHEEN = np.float32(0.15)  # chosen: what a slope that faces the light adds to black, relative to white


def lit(
    values: npt.NDArray[np.float32], facing: FloatField, hidden: FloatField | None = None, glint: FloatField | None = None
) -> npt.NDArray[np.float32]:
    """Pixels after light and shade; what they show stays visible, since light multiplies.

    Args:
        values: ``(n, C)`` float32 in [0, 1].
        facing: ``(n,)`` float32: -1 takes all the light, 1 doubles that of a bright surface (and adds a sheen to a black one).
        hidden: ``(n,)`` float32 in [0, 1]: share of the light that does not reach the place.
        glint: ``(n,)`` float32 in [0, 1]: how far towards white.
    """
    gain = np.maximum(_ONE + np.minimum(facing, np.float32(0.0)), np.float32(0.0))
    sheen = np.maximum(facing, np.float32(0.0))[:, None]
    shaded = np.minimum(values * gain[:, None] + sheen * (_SHEEN + (_ONE - _SHEEN) * values), _ONE)
    if hidden is not None:
        shaded *= (_ONE - hidden)[:, None]
    return shaded if glint is None else shaded + glint[:, None] * (_ONE - shaded)
