"""Colour jitter of a patch, at the picture's own depth: brightness, contrast, saturation and hue in a random order.

Source: torchvision's ``ColorJitter``, as CutPaste uses it (``Runinho/pytorch-cutpaste`` and ``LilitYolyan/CutPaste``,
``cutpaste.py``: 0.1 each). Saturation and hue are of three channels; a picture of any other number has neither.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.images import LUMA, AnyImage, from_float, luminance, to_float
from defectsynth.rng import Draws
from defectsynth.spec import AngleRange, PositiveRange, Spec

__all__ = ["Adjustment", "Jitter", "apply_jitter", "cutpaste_jitter"]

Values = npt.NDArray[np.float32]
AdjustmentName = Literal["brightness", "contrast", "saturation", "hue"]
Adjustment = tuple[AdjustmentName, float]
"""A name and what was drawn for it: a factor, of ``hue`` degrees."""
_AS_IT_IS, _TO_GREY = np.eye(3, dtype=np.float32), np.tile(LUMA, (3, 1))  # of three channels


class Jitter(Spec):
    """What may be drawn; the defaults leave a patch as it is.

    Attributes:
        brightness_range: factor of every value. CutPaste: 0.9 to 1.1.
        contrast_range: factor of the distance from the patch's mean grey. CutPaste: 0.9 to 1.1.
        saturation_range: factor of the distance from the pixel's own grey. CutPaste: 0.9 to 1.1.
        hue_range: turn of the hue in degrees. CutPaste: -36 to 36 (0.1 of a turn).
    """

    brightness_range: PositiveRange = (1.0, 1.0)
    contrast_range: PositiveRange = (1.0, 1.0)
    saturation_range: PositiveRange = (1.0, 1.0)
    hue_range: AngleRange = (0.0, 0.0)

    def draw(self, draws: Draws) -> tuple[Adjustment, ...]:
        """The adjustments of one patch, in the order they are made."""
        ranges: list[tuple[AdjustmentName, tuple[float, float], float]] = [
            ("brightness", self.brightness_range, 1.0),
            ("contrast", self.contrast_range, 1.0),
            ("saturation", self.saturation_range, 1.0),
            ("hue", self.hue_range, 0.0),
        ]
        order = [ranges[place] for place in draws.subset("order", len(ranges), len(ranges))]
        return tuple((name, draws.uniform(name, bounds)) for name, bounds, neutral in order if bounds != (neutral, neutral))


def cutpaste_jitter() -> Jitter:
    """CutPaste's: ``ColorJitter(0.1, 0.1, 0.1, 0.1)``."""
    return Jitter(brightness_range=(0.9, 1.1), contrast_range=(0.9, 1.1), saturation_range=(0.9, 1.1), hue_range=(-36.0, 36.0))


def apply_jitter(patch: AnyImage, adjustments: Sequence[Adjustment], white: float | None = None) -> AnyImage:
    """``(h, w, C)`` of the same type after the adjustments in order; the patch itself where there is none.

    Args:
        patch: ``(h, w, C)``, any type and number of channels.
        adjustments: as ``Jitter.draw`` makes them.
        white: the value of white where that is not the type's full scale.
    """
    if not adjustments:
        return patch
    values = np.array(patch) if patch.dtype == np.float32 else to_float(patch, white)
    for name, amount in adjustments:
        values = _APPLY[name](values, np.float32(amount))
        values.clip(np.float32(0.0), np.float32(1.0), out=values)
    return from_float(values, patch.dtype, white)


def _brightness(values: Values, factor: np.float32) -> Values:
    values *= factor
    return values


def _contrast(values: Values, factor: np.float32) -> Values:
    planes = [values] if values.shape[2] <= 4 else [np.ascontiguousarray(plane) for plane in np.moveaxis(values, 2, 0)]
    means = [mean for plane in planes for mean in cv2.mean(plane)[: 1 if plane.ndim == 2 else plane.shape[2]]]
    grey = luminance(np.array(means, dtype=np.float32)[None, None])[0, 0]  # the grey of the mean is the mean of the grey
    values *= factor
    values += (np.float32(1.0) - factor) * grey
    return values


def _saturation(values: Values, factor: np.float32) -> Values:
    if values.shape[2] != 3:
        return values
    to_grey = _TO_GREY * (np.float32(1.0) - factor)
    return np.asarray(cv2.transform(values, to_grey + _AS_IT_IS * factor), dtype=np.float32)


def _hue(values: Values, degrees: np.float32) -> Values:
    if values.shape[2] != 3:
        return values
    hsv = np.asarray(cv2.cvtColor(values, cv2.COLOR_RGB2HSV), dtype=np.float32)  # hue 0 to 360, and round again
    hsv[:, :, 0] += np.mod(degrees, np.float32(360.0))
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), dtype=np.float32)


_APPLY: dict[str, Callable[[Values, np.float32], Values]] = {
    "brightness": _brightness,
    "contrast": _contrast,
    "saturation": _saturation,
    "hue": _hue,
}
