"""Painting at the masks' pixels alone, on the CPU: plans drawn in a batch, painted by the plain painter's own code."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from defectsynth.banks import Banks, TextureBank
from defectsynth.batched.attempts import until_none_is_left
from defectsynth.batched.parts import rows_of
from defectsynth.batched.planning import BatchPlan, Planner
from defectsynth.batched.sample import BatchSample
from defectsynth.batched.sheets import Sheets
from defectsynth.batched.shuffle import ShuffleSource
from defectsynth.blends.mixing import ONE, interpolate
from defectsynth.fill import Fill
from defectsynth.images import Mask, as_mask, bounding_box, whole_mask
from defectsynth.masks.base import MaskParams
from defectsynth.recipe import Recipe
from defectsynth.site import Site
from defectsynth.sources.base import SourceParams
from defectsynth.visibility import is_visible

__all__ = ["SparseWay"]


class SparseWay:
    """Paints until every sample has its defect: the same bytes as ``AnomalySynthesizer``.

    Args:
        planner: draws the plans.
        recipe: what is refused, and how labels are made.
        bank: the textures; None for a recipe without.
    """

    def __init__(self, planner: Planner, recipe: Recipe, bank: TextureBank | None) -> None:
        self._planner, self._recipe = planner, recipe
        self._banks = Banks(bank, None, None, None)

    def __call__(self, images: Tensor, indices: Tensor, regions: Tensor | None) -> BatchSample:
        """The samples of ``(B, C, H, W)`` pictures, ``(B,)`` int64 indices and ``(B, H, W)`` bool ROIs."""
        sheets = Sheets(images)
        roi = _each(regions, sheets.shape)

        def paint(plan: BatchPlan, rows: Tensor) -> Tensor:
            at = rows.tolist()
            own = [roi[row % len(roi)] for row in at]
            parts = zip(at, own, self._masks(plan, own), self._sources(plan), plan.weight.tolist(), strict=True)
            return torch.tensor([self._paint(sheets, *part) for part in parts])

        anomalous = until_none_is_left(self._planner, self._recipe, indices, paint)
        return BatchSample(sheets.images, sheets.masks, sheets.degrees, anomalous)

    def _paint(
        self, sheets: Sheets, row: int, roi: Mask, painted: tuple[MaskParams, Mask], source: SourceParams, weight: int
    ) -> bool:
        """Paints one defect, and says whether it is accepted; nothing is changed where it is not."""
        mask_params, mask = painted
        box = bounding_box(mask)
        if box is None or weight == 0:
            return False
        site = Site(sheets.picture(row), roi, mask, mask_params, box, self._banks)
        before = sheets.pixels(row, site.positions)
        after = interpolate(before, Fill(source, site).pixels, np.full((1, 1), weight, dtype=np.uint32))
        large_enough = len(before) >= self._recipe.min_area * mask.size
        if not large_enough or not is_visible(before, after, np.arange(len(before)), self._recipe.min_difference):
            return False
        degree = 1.0 if self._recipe.label.kind == "binary" else weight / ONE
        sheets.write(row, site.positions, after, degree)
        return True

    def _masks(self, plan: BatchPlan, roi: list[Mask]) -> list[tuple[MaskParams, Mask]]:
        """Parameters and mask of each sample."""
        found: dict[int, tuple[MaskParams, Mask]] = {}
        for number, (mask, drawn) in enumerate(zip(self._planner.masks, plan.masks, strict=True)):
            rows = (plan.mask == number).nonzero()[:, 0]
            at = rows.tolist()
            found |= zip(at, mask.one_by_one(rows_of(drawn, rows), [roi[row] for row in at]), strict=True)
        return [found[row] for row in range(len(roi))]

    def _sources(self, plan: BatchPlan) -> list[SourceParams]:
        """The source of each sample."""
        found: dict[int, SourceParams] = {}
        for number, (source, drawn) in enumerate(zip(self._planner.sources, plan.sources, strict=True)):
            rows = (plan.source == number).nonzero()[:, 0]
            own = rows_of(drawn, rows)
            made = (
                source.one_by_one(own)
                if isinstance(source, ShuffleSource)
                else source.one_by_one(own, self._banks.texture_bank())
            )
            found |= zip(rows.tolist(), made, strict=True)
        return [found[row] for row in range(len(plan.source))]


def _each(regions: Tensor | None, shape: tuple[int, int]) -> list[Mask]:
    """The ROI of each picture, ``(H, W)`` uint8, 0 or 255; one alone where all have the same."""
    if regions is None:
        return [whole_mask(shape)]
    different = regions[:1] if regions.stride(0) == 0 else regions
    return [as_mask(region.contiguous().numpy()) for region in different]
