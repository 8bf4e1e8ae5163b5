"""Labels: the defect map of a picture with several defects, the rule that turns it into the published ones.

The degree of anomaly of a pixel is the share of it that is no longer the product: the weight ``a`` of the source in the blend
(opacity times soft edge). Where defects overlap, what is left of the product is the product of what each leaves:

    defect_map = 1 - (1 - a_1)(1 - a_2)...        mask = defect_map > 0

Why the weight and not the difference that can be seen: a source that happens to resemble the product at a pixel is still a
defect there, and a regression target should not have holes that depend on chance; the weight is smooth, bounded, and means the
same at every bit depth. Methods that label otherwise say so in their recipe (``label``).
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from defectsynth.images import AnyImage, bounding_box, to_float, widened_box
from defectsynth.spec import Spec

__all__ = ["Label", "add_degree"]

DefectMap = npt.NDArray[np.float32]
LOWEST = np.float32(1 / 255)
"""The smallest degree inside a mask: the defect map and the mask never contradict each other."""
_MEDIAN = 5  # pixels at 256 x 256: cv2.medianBlur(mask, 5) in NSA
_FEW_CHANNELS = 7  # up to which numpy's mean is a plain sum, over a number, at ten times the price
_DISC = 9  # a square of the area of NSA's disk(5)


class Label(Spec):
    """What the defect map is, and which pixels belong to the mask.

    Attributes:
        kind: ``degree``: the weight of the source. ``binary``: 1. ``factor``: the weight where the picture really changed (FPI:
            ``label = factor * changed``). ``intensity``: the median-filtered visible difference; ``logistic``: the same through
            ``1 / (1 + exp(-steepness (d - midpoint)))`` (NSA, ``self_sup_tasks.py``).
        tolerance: pixels that change by no more than this fraction of full scale (mean over the channels) are not part of the
            mask unless most of their neighbours are, and get the product's own value back. None keeps the whole mask;
            ``factor`` takes 0, and ``intensity`` and ``logistic`` take 1/255 (NSA: ``mean |diff| > 1``) where it is None.
        outside: the largest change of a pixel outside the mask, in any channel, as a fraction of full scale: what the faint rim
            of a defect may be that an annotator leaves out. Only kinds with a ``halo_range`` change any; 0 allows none.
        steepness: of ``logistic``, per level of 255. NSA: 1/12 to 1.
        midpoint: of ``logistic``, in levels of 255. NSA: 3 to 24.
    """

    kind: Literal["degree", "binary", "factor", "intensity", "logistic"] = "degree"
    tolerance: float | None = Field(default=None, ge=0.0, lt=1.0)
    outside: float = Field(default=0.0, ge=0.0, lt=1.0)
    steepness: float = Field(default=1 / 12, gt=0.0)
    midpoint: float = Field(default=24.0, ge=0.0)

    @property
    def plain(self) -> bool:
        """Whether it leaves degrees and picture as the blends made them."""
        return self.kind == "degree" and self.tolerance is None

    def apply(
        self, degree: DefectMap, painted: AnyImage, normal: AnyImage, white: float | None
    ) -> tuple[DefectMap, npt.NDArray[np.bool_]]:
        """The defect map by this rule, and the pixels that stay painted; the others are to get the product's value back.

        Args:
            degree: ``(H, W)`` float32, what the blends gave.
            painted, normal: the picture with its defects and without.
            white: the value of white.
        """
        touched = degree > 0
        if self.kind == "binary" and self.tolerance is None:
            return touched.astype(np.float32), touched
        box = bounding_box(touched)
        result, kept = np.zeros(degree.shape, dtype=np.float32), np.zeros(degree.shape, dtype=np.bool_)
        if box is not None:
            top, left, bottom, right = widened_box(box, _odd(_DISC, degree.shape) // 2, (degree.shape[0], degree.shape[1]))
            window = slice(top, bottom), slice(left, right)
            change = _mean_change(painted[window], normal[window], white)
            result[window], kept[window] = self._applied(degree[window], change, degree.shape)
        return result, kept

    def _applied(self, degree: DefectMap, change: DefectMap, shape: tuple[int, ...]) -> tuple[DefectMap, npt.NDArray[np.bool_]]:
        """``apply`` within a rectangle that leaves room for medians around what was painted, of a picture of ``shape``."""
        kept = (degree > 0) & self._visible(change, shape)
        if self.kind in ("degree", "factor"):
            return np.where(kept, degree, np.float32(0.0)), kept
        if self.kind == "binary":
            return kept.astype(np.float32), kept
        strength = _median(np.where(kept, change, np.float32(0.0)), _odd(_DISC, shape))
        if self.kind == "logistic":
            levels = strength.astype(np.float64) * 255.0
            strength = (1.0 / (1.0 + np.exp(-self.steepness * (levels - self.midpoint)))).astype(np.float32)
        return np.where(kept, np.maximum(strength, LOWEST), np.float32(0.0)), kept

    def _visible(self, change: DefectMap, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
        tolerance = self.tolerance
        if tolerance is None:
            defaults = {"degree": None, "binary": None, "factor": 0.0, "intensity": 1 / 255, "logistic": 1 / 255}
            tolerance = defaults[self.kind]
        if tolerance is None:
            return np.ones(change.shape, dtype=np.bool_)
        changed = change > np.float32(tolerance)
        most = cv2.medianBlur(changed.view(np.uint8), _odd(_MEDIAN, shape)) if tolerance > 0 else changed
        return changed | (most != 0)


def add_degree(defect_map: DefectMap, degree: DefectMap) -> DefectMap:
    """The defect map after one more defect; both ``(h, w)`` float32 in [0, 1]."""
    return np.asarray(np.float32(1.0) - (np.float32(1.0) - defect_map) * (np.float32(1.0) - degree), dtype=np.float32)


def _mean_change(painted: AnyImage, normal: AnyImage, white: float | None) -> DefectMap:
    change = np.abs(to_float(painted, white) - to_float(normal, white))
    if change.ndim == 2:
        return change
    if change.shape[2] > _FEW_CHANNELS:
        return np.asarray(change.mean(axis=2), dtype=np.float32)
    total = change[:, :, 0].copy()
    for channel in range(1, change.shape[2]):
        total += change[:, :, channel]
    return total / np.float32(change.shape[2])


def _median(values: DefectMap, size: int) -> DefectMap:
    """The median over a square of ``size`` pixels, in 255 levels."""
    levels = np.rint(values * np.float32(255.0)).astype(np.uint8)
    return np.asarray(cv2.medianBlur(levels, size), dtype=np.float32) / np.float32(255.0)


def _odd(size: int, shape: tuple[int, ...]) -> int:
    """The nearest odd number of pixels to ``size`` at 256 x 256."""
    scaled = size * float(np.sqrt(shape[0] * shape[1])) / 256.0
    return 2 * round((max(scaled, 3.0) - 1) / 2) + 1
