"""Where defects may lie in one picture: the ROI that the caller gave, or the foreground that the recipe asks for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from defectsynth.errors import PlanError, RegionError
from defectsynth.foreground import estimate_foreground
from defectsynth.images import AnyImage, Mask
from defectsynth.recipe import ForegroundRule

__all__ = ["GIVEN", "Region", "find_region", "region_of_plan"]

GIVEN = "given"
"""The method's name where the caller gave the ROI."""


@dataclass(frozen=True, slots=True)
class Region:
    """An ROI.

    Attributes:
        mask: ``(H, W)`` uint8, 0 or 255, at least one pixel set.
        method: the foreground method that found it, or ``given``.
    """

    mask: Mask
    method: str


def find_region(image: AnyImage, roi: Mask | None, rule: ForegroundRule) -> Region:
    """The region of a picture.

    Raises:
        RegionError: the ROI is empty or of another size, or the estimate is not certain enough and the rule has no fallback.
    """
    if roi is not None:
        return Region(_checked(image, roi), GIVEN)
    found = estimate_foreground(image, rule.method)
    if found.confidence >= rule.min_confidence and found.mask.any():
        return Region(found.mask, found.method)
    if rule.fallback == "whole_picture":
        return Region(estimate_foreground(image, "none").mask, "none")
    raise RegionError(
        f"the foreground of this picture is not certain (confidence {found.confidence:.2f}, the recipe asks for "
        f"{rule.min_confidence:.2f}): give an ROI, or allow the whole picture with foreground.fallback=whole_picture"
    )


def region_of_plan(image: AnyImage, roi: Mask | None, method: str) -> Mask:
    """The ROI that a plan was drawn for, found again.

    Raises:
        PlanError: it was given then, and is not given now.
        RegionError: it is of another size than the picture, or empty.
    """
    if method != GIVEN:
        return estimate_foreground(image, method).mask
    if roi is None:
        raise PlanError("this plan was drawn for an ROI that was given: pass the same roi to paint")
    return _checked(image, roi)


def _checked(image: AnyImage, roi: Mask) -> Mask:
    if not isinstance(roi, np.ndarray) or roi.shape != image.shape[:2]:
        found = getattr(roi, "shape", type(roi).__name__)
        raise RegionError(f"the ROI is {found} but the image is {image.shape[:2]}: give (H, W), nonzero where defects may lie")
    mask = np.where(roi != 0, np.uint8(255), np.uint8(0))
    if not mask.any():
        raise RegionError("the ROI is empty: mark at least one pixel where a defect may lie")
    return mask
