"""On the CPU: plans are drawn again, of the samples alone whose plan was refused, until none is left."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from defectsynth.batched.planning import BatchPlan, Planner
from defectsynth.errors import RegionError, SynthesisError
from defectsynth.recipe import Recipe

__all__ = ["check_regions", "until_none_is_left"]

_TOGETHER = 2  # attempts: most batches have a sample whose first plan is refused, and few plans take as long to draw as many


def until_none_is_left(
    planner: Planner, recipe: Recipe, indices: Tensor, paint: Callable[[BatchPlan, Tensor], Tensor]
) -> Tensor:
    """``(B,)`` bool: which samples are anomalous; each of them was painted.

    Args:
        planner: draws the plans.
        recipe: how many are drawn before giving up.
        indices: ``(B,)`` int64.
        paint: paints the plans of some samples, ``(R,)`` int64 positions in the batch, and says ``(R,)`` bool which it accepts.

    Raises:
        SynthesisError: no plan out of ``max_attempts`` of a sample was accepted.
    """
    anomalous = ~planner.are_normal(indices)
    rows = anomalous.nonzero()[:, 0]
    for first in range(0, recipe.max_attempts, _TOGETHER):
        if not len(rows):
            return anomalous
        rows = _refused(planner, indices, rows, range(first, min(first + _TOGETHER, recipe.max_attempts)), paint)
    if len(rows):
        index = int(indices[rows[0]]) % 2**64
        raise SynthesisError(
            f"recipe {recipe.name!r} gave no usable defect for {len(rows)} samples, the first of them {index}, in "
            f"{recipe.max_attempts} plans: none lies inside the ROI, is as large as min_area and can be seen (min_difference). "
            "Enlarge the ROI or the pictures, or widen the recipe's ranges"
        )
    return anomalous


def _refused(
    planner: Planner, indices: Tensor, rows: Tensor, attempts: range, paint: Callable[[BatchPlan, Tensor], Tensor]
) -> Tensor:
    """Those of ``rows`` of which no plan is accepted in some attempts, whose plans are drawn together."""
    count = len(rows)
    plans = planner.draw(indices[rows].repeat(len(attempts)), torch.tensor(attempts).repeat_interleave(count))
    left = torch.arange(count)
    for number in range(len(attempts)):
        if len(left):
            left = left[~paint(plans.of(left + number * count), rows[left])]
    return rows[left]


def check_regions(regions: Tensor, min_area: float) -> None:
    """Refuses ROIs, ``(B, H, W)`` bool, that no defect can lie in.

    Raises:
        RegionError: one is empty, or smaller than the smallest allowed defect.
    """
    shared = regions.stride(0) == 0
    pixels = (regions[:1] if shared else regions).sum(dim=(1, 2))
    smallest, place = min_area * regions[0].numel(), int(pixels.argmin())
    which = "the ROI" if shared else f"the ROI of picture {place}"
    if not int(pixels[place]):
        raise RegionError(f"{which} is empty: mark at least one pixel where a defect may lie")
    if int(pixels[place]) < smallest:
        raise RegionError(
            f"{which} has {int(pixels[place])} pixels but the smallest allowed defect has {smallest:.1f} "
            f"(min_area {min_area:g} of the picture): enlarge the ROI or lower min_area"
        )
