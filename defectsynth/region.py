"""Where defects may lie in one picture: the ROI that the caller gave, or the foreground that the recipe asks for."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any

import numpy as np

from defectsynth.errors import PlanError, RegionError
from defectsynth.foreground import estimate_foreground
from defectsynth.images import AnyImage, Mask, as_mask, whole_mask
from defectsynth.recipe import ForegroundRule

__all__ = ["GIVEN", "Region", "Regions", "region_of_plan"]

GIVEN = "given"
"""The method's name where the caller gave the ROI."""

_GLANCES = 256  # values of a picture that are looked at first


@dataclass(frozen=True, slots=True)
class Region:
    """An ROI.

    Attributes:
        mask: ``(H, W)`` uint8, 0 or 255, at least one pixel set.
        method: the foreground method that found it, or ``given``.
        pixels: how many it has.
    """

    mask: Mask
    method: str
    pixels: int

    @classmethod
    def of(cls, mask: Mask, method: str) -> Region:
        """A mask's region."""
        return cls(mask, method, int(np.count_nonzero(mask)))


class Regions:
    """Finds the region of each picture, of one that comes again by knowing it again: by its pixels, all of them.

    Args:
        rule: how.
        remembered_bytes: of pictures and their regions that are kept; the longest unused are forgotten.
    """

    def __init__(self, rule: ForegroundRule, *, remembered_bytes: int = 128 * 2**20) -> None:
        self._rule = rule
        self._capacity = remembered_bytes
        self._held = 0
        self._known: OrderedDict[object, tuple[AnyImage, Region]] = OrderedDict()
        self._lock = Lock()

    def find(self, image: AnyImage, roi: Mask | None) -> Region:
        """The region of a picture.

        Raises:
            RegionError: the ROI is empty or of another size, or the estimate is not certain enough and the rule has no
                fallback.
        """
        if roi is not None:
            return Region.of(_checked(image, roi), GIVEN)
        if self._rule.method == "none":
            return Region(_whole(image), "none", image.shape[0] * image.shape[1])
        key = _glance(image)
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
        if known is not None and _same(known[0], image):
            return known[1]
        region = _find(image, self._rule)
        self._remember(key, image, region)
        return region

    def _remember(self, key: object, image: AnyImage, region: Region) -> None:
        region.mask.flags.writeable = False
        with self._lock:
            self._forget(self._known.pop(key, None))
            self._known[key] = image.copy(), region
            self._held += image.nbytes + region.mask.nbytes
            while self._held > self._capacity:
                self._forget(self._known.popitem(last=False)[1])

    def _forget(self, known: tuple[AnyImage, Region] | None) -> None:
        if known is not None:
            self._held -= known[0].nbytes + known[1].mask.nbytes

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process gets the rule, and none of the pictures."""
        return partial(Regions, remembered_bytes=self._capacity), (self._rule,)


def _glance(image: AnyImage) -> object:
    """Nearly always another one for another picture, and cheap."""
    flat = image.reshape(-1)
    step = max(1, flat.size // _GLANCES) | 1  # odd: not the first pixel of every row
    return image.shape, image.dtype.str, flat[::step].tobytes()


def _same(one: AnyImage, other: AnyImage) -> bool:
    """Whether two pictures of one shape and type are the same, byte for byte."""
    one, other = (np.ascontiguousarray(picture).reshape(-1).view(np.uint8) for picture in (one, other))
    whole = one.size // 8 * 8  # eight at a time
    return bool((one[:whole].view(np.uint64) == other[:whole].view(np.uint64)).all() and (one[whole:] == other[whole:]).all())


def _whole(image: AnyImage) -> Mask:
    return whole_mask((image.shape[0], image.shape[1]))


def _find(image: AnyImage, rule: ForegroundRule) -> Region:
    found = estimate_foreground(image, rule.method)
    if found.confidence >= rule.min_confidence and found.mask.any():
        return Region.of(found.mask, found.method)
    if rule.fallback == "whole_picture":
        return Region.of(_whole(image), "none")
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
    if method == "none":
        return _whole(image)
    if method != GIVEN:
        return estimate_foreground(image, method).mask
    if roi is None:
        raise PlanError("this plan was drawn for an ROI that was given: pass the same roi to paint")
    return _checked(image, roi)


def _checked(image: AnyImage, roi: Mask) -> Mask:
    if not isinstance(roi, np.ndarray) or roi.shape != image.shape[:2]:
        found = getattr(roi, "shape", type(roi).__name__)
        raise RegionError(f"the ROI is {found} but the image is {image.shape[:2]}: give (H, W), nonzero where defects may lie")
    mask = as_mask(roi != 0)
    if not mask.any():
        raise RegionError("the ROI is empty: mark at least one pixel where a defect may lie")
    mask.flags.writeable = False
    return mask
