"""Union and intersection of two masks of any kind: the larger, or the smaller, of their fields.

Source: ``cqylunlun/GLASS`` ``datasets/mvtec.py`` (union, intersection or one of two Perlin masks, a third each).
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import SerializeAsAny, model_validator

from defectsynth.banks import Banks
from defectsynth.images import Mask
from defectsynth.masks.base import MASK_PARAMS, MASKS, MaskParams, MaskSpec
from defectsynth.noise import FloatField
from defectsynth.rng import Draws

__all__ = ["Intersection", "IntersectionParams", "Union", "UnionParams"]

_Pair = Annotated[SerializeAsAny[MaskSpec], MASKS.field()]
_PairParams = Annotated[SerializeAsAny[MaskParams], MASK_PARAMS.field()]


@MASK_PARAMS.register
class UnionParams(MaskParams):
    """The two masks that were drawn."""

    kind: Literal["union"] = "union"
    masks: tuple[_PairParams, _PairParams]

    def field(self, roi: Mask, banks: Banks) -> FloatField:
        """The larger of the two fields."""
        return np.maximum(self.masks[0].field(roi, banks), self.masks[1].field(roi, banks))

    def above_zero(self, roi: Mask, banks: Banks) -> Mask:
        """See ``MaskParams.above_zero``."""
        return np.bitwise_or(self.masks[0].above_zero(roi, banks), self.masks[1].above_zero(roi, banks))


@MASK_PARAMS.register
class IntersectionParams(MaskParams):
    """The two masks that were drawn."""

    kind: Literal["intersection"] = "intersection"
    masks: tuple[_PairParams, _PairParams]

    def field(self, roi: Mask, banks: Banks) -> FloatField:
        """The smaller of the two fields."""
        return np.minimum(self.masks[0].field(roi, banks), self.masks[1].field(roi, banks))

    def above_zero(self, roi: Mask, banks: Banks) -> Mask:
        """See ``MaskParams.above_zero``."""
        return np.bitwise_and(self.masks[0].above_zero(roi, banks), self.masks[1].above_zero(roi, banks))


class _Combination(MaskSpec):
    """Two masks without ``area_range`` and ``components_range`` of their own: those of the combination count."""

    masks: tuple[_Pair, _Pair]

    @model_validator(mode="after")
    def _no_inner_controls(self) -> _Combination:
        for mask in self.masks:
            if mask.area_range is not None or mask.components_range is not None:
                raise ValueError(
                    f"area_range and components_range belong to the {self.kind}, not to its parts: move them there"
                )
        return self

    def check(self, banks: Banks) -> None:
        """Checks both masks."""
        for mask in self.masks:
            mask.check(banks)

    def requirements(self) -> frozenset[str]:
        """The banks that either mask reads."""
        return self.masks[0].requirements() | self.masks[1].requirements()

    def draw_pair(self, draws: Draws, banks: Banks) -> tuple[MaskParams, MaskParams]:
        """The two masks' parameters."""
        first, second = self.masks
        return first.draw(draws.within("first"), banks), second.draw(draws.within("second"), banks)


@MASKS.register
class Union(_Combination):
    """Where either of two masks is."""

    kind: Literal["union"] = "union"

    def draw(self, draws: Draws, banks: Banks) -> UnionParams:
        """The parameters of one union."""
        return UnionParams.drawn(masks=self.draw_pair(draws, banks), **self.draw_controls(draws))


@MASKS.register
class Intersection(_Combination):
    """Where both of two masks are."""

    kind: Literal["intersection"] = "intersection"

    def draw(self, draws: Draws, banks: Banks) -> IntersectionParams:
        """The parameters of one intersection."""
        return IntersectionParams.drawn(masks=self.draw_pair(draws, banks), **self.draw_controls(draws))
