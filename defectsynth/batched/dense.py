"""Painting at all pixels of all pictures, in fixed shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from defectsynth.batched.acceptance import Limits, accepted
from defectsynth.batched.attempts import until_none_is_left
from defectsynth.batched.blending import degree_of, interpolate
from defectsynth.batched.pictures import breaks_the_scale, converted
from defectsynth.batched.places import Places, spread
from defectsynth.batched.planning import BatchPlan, Planner
from defectsynth.batched.sample import BatchSample
from defectsynth.batched.shuffle import ShuffleSource
from defectsynth.batched.textures import TextureStack, TextureStacks
from defectsynth.batched.watching import Watch
from defectsynth.recipe import Recipe
from defectsynth.rng import address

__all__ = ["DenseInRounds", "DenseWay"]

_ROUNDS = 8
_LEAST_CAPACITY = 4


class Painted(NamedTuple):
    """``R`` samples.

    Attributes:
        images: ``(R, C, H, W)``: the pictures with their defects; those that were refused as they were.
        degree: ``(R, H, W)`` float32; of those that were refused 0.
        accepted: ``(R,)`` bool.
    """

    images: Tensor
    degree: Tensor
    accepted: Tensor


class DenseWay:
    """Paints until every sample has its defect.

    Args:
        planner: draws the plans.
        recipe: what is refused, and how labels are made.
        stacks: the textures; None for a recipe without.
    """

    def __init__(self, planner: Planner, recipe: Recipe, stacks: TextureStacks | None) -> None:
        self._planner, self._recipe, self._stacks = planner, recipe, stacks
        self._limits = Limits(recipe.min_area, recipe.min_difference)
        self._binary = recipe.label.kind == "binary"

    def __call__(self, images: Tensor, indices: Tensor, regions: Tensor | None) -> BatchSample:
        """The samples of ``(B, C, H, W)`` pictures, ``(B,)`` int64 indices and ``(B, H, W)`` bool ROIs."""
        stack = self._stack(images)
        painted = images.clone()
        degree = images.new_zeros((len(images), *images.shape[2:]), dtype=torch.float32)

        def paint(plan: BatchPlan, rows: Tensor) -> Tensor:
            roi = None if regions is None else regions[rows]
            found = self._paint(plan, images[rows], roi, torch.ones_like(rows, dtype=torch.bool), stack)
            kept = rows[found.accepted]
            painted[kept], degree[kept] = found.images[found.accepted], found.degree[found.accepted]
            return found.accepted

        anomalous = until_none_is_left(self._planner, self._recipe, indices, paint)
        return BatchSample(painted, _mask_of(degree), degree, anomalous)

    def _paint(
        self, plan: BatchPlan, images: Tensor, roi: Tensor | None, wanted: Tensor, stack: TextureStack | None
    ) -> Painted:
        """Paints one plan of each sample; those that are not ``wanted``, ``(R,)`` bool, count as refused."""
        mask = self._mask(plan, _shape_of(images))
        mask = mask if roi is None else mask & roi
        places = Places(mask & spread(plan.weight > 0))
        before = images.transpose(0, 1)
        weight = spread(plan.weight)
        after = interpolate(before, converted(self._colours(plan, stack, before, places), before), weight)
        taken = wanted & accepted(before, after, places, self._limits)
        mask = places.mask & spread(taken)
        share = torch.ones_like(weight, dtype=torch.float32) if self._binary else degree_of(weight)
        degree = torch.where(mask, share, 0.0)
        return Painted(torch.where(mask, after, before).transpose(0, 1), degree, taken)

    def _stack(self, images: Tensor) -> TextureStack | None:
        return None if self._stacks is None else self._stacks.of(_shape_of(images))

    def _mask(self, plan: BatchPlan, shape: tuple[int, int]) -> Tensor:
        found = self._planner.masks[0].dense(plan.masks[0], shape)
        for number, mask in enumerate(self._planner.masks[1:], start=1):
            found = torch.where(spread(plan.mask == number), mask.dense(plan.masks[number], shape), found)
        return found

    def _colours(self, plan: BatchPlan, stack: TextureStack | None, before: Tensor, places: Places) -> Tensor:
        found = None
        for number, (source, drawn) in enumerate(zip(self._planner.sources, plan.sources, strict=True)):
            if isinstance(source, ShuffleSource):
                colours = source.colours(drawn, before, places)
            else:
                assert stack is not None  # see ``BatchSynthesizer``
                colours = source.colours(drawn, stack, places)
            found = colours if found is None else torch.where(spread(plan.source == number), colours, found)
        assert found is not None
        return found


class DenseInRounds(DenseWay):
    """Paints in as many rounds as are fixed beforehand, so that nothing waits for the device.

    Args:
        planner: draws the plans.
        recipe: what is refused, and how labels are made.
        stacks: the textures; None for a recipe without.
        watch: is told what went wrong.
        compile: whether a round is compiled, or with which options.
        capacities: how many samples are drawn again at most in each round after the first.
    """

    def __init__(
        self,
        planner: Planner,
        recipe: Recipe,
        stacks: TextureStacks | None,
        watch: Watch,
        compile: bool | Mapping[str, Any],
        capacities: Sequence[int] | None,
    ) -> None:
        super().__init__(planner, recipe, stacks)
        self._watch = watch
        self._fixed = None if capacities is None else [address("capacities", each) for each in capacities]
        self._rehearsed: set[torch.Size] = set()
        self._round, self._compiled = self._draw_and_paint, compile is not False
        if self._compiled:
            options = dict(compile) if isinstance(compile, Mapping) else {}
            self._round = torch.compile(self._draw_and_paint, fullgraph=True, **options)

    def __call__(self, images: Tensor, indices: Tensor, regions: Tensor | None) -> BatchSample:
        """See ``DenseWay``; a sample that no round gives a defect stays as it is, and ``watch`` is told."""
        stack = self._stack(images)
        anomalous, attempts = ~self._planner.are_normal(indices), torch.zeros_like(indices)
        self._rehearse(images, indices, attempts, regions, anomalous, stack)
        first = self._round(images, indices, attempts, regions, anomalous, stack)
        painted, degree = torch.empty_like(images).copy_(first.images), first.degree.clone()  # a CUDA graph writes it again
        refused = anomalous & ~first.accepted
        for capacity in self._capacities(len(images)):
            rows = _first_of(refused)[:capacity]
            wanted = refused[rows]
            attempts = attempts.index_add(0, rows, wanted.long())
            roi = None if regions is None else regions[rows]
            again = self._round(images[rows], indices[rows], attempts[rows], roi, wanted, stack)
            taken = again.accepted[:, None, None]
            painted.index_copy_(0, rows, torch.where(taken[:, None], again.images, painted[rows]))
            degree = degree.index_copy(0, rows, torch.where(taken, again.degree, degree[rows]))
            refused = refused.index_copy(0, rows, wanted & ~again.accepted)
        self._tell(images, regions, anomalous, refused)
        return BatchSample(painted, _mask_of(degree), degree, anomalous & ~refused)

    def _rehearse(
        self,
        images: Tensor,
        indices: Tensor,
        attempts: Tensor,
        roi: Tensor | None,
        wanted: Tensor,
        stack: TextureStack | None,
    ) -> None:
        """Before a round is compiled: paints one sample of each size, so that the constants are there, on the device."""
        if self._compiled and images.shape[1:] not in self._rehearsed:
            self._rehearsed.add(images.shape[1:])
            own = None if roi is None else roi[:1]
            self._draw_and_paint(images[:1], indices[:1], attempts[:1], own, wanted[:1], stack)

    def _stack(self, images: Tensor) -> TextureStack | None:
        """The textures, marked as staying where they are: a CUDA graph would copy them every time it runs."""
        stack = super()._stack(images)
        for pixels in (stack.pixels, stack.smooth) if stack is not None and self._compiled else ():
            if pixels is not None:
                torch._dynamo.mark_static_address(pixels)
        return stack

    def _draw_and_paint(
        self,
        images: Tensor,
        indices: Tensor,
        attempts: Tensor,
        roi: Tensor | None,
        wanted: Tensor,
        stack: TextureStack | None,
    ) -> Painted:
        return self._paint(self._planner.draw(indices, attempts), images, roi, wanted, stack)

    def _capacities(self, count: int) -> list[int]:
        """How many samples each round after the first draws again."""
        fixed = self._fixed
        if fixed is None:
            fixed = [max(_LEAST_CAPACITY, -(-count // 4**number)) for number in range(1, _ROUNDS + 1)]
        return [min(capacity, count) for capacity in fixed[: self._recipe.max_attempts - 1]]

    def _tell(self, images: Tensor, regions: Tensor | None, anomalous: Tensor, refused: Tensor) -> None:
        none = torch.zeros((), dtype=torch.bool, device=images.device)
        off_scale = breaks_the_scale(images) if images.dtype == torch.float32 else none
        empty = none if regions is None else (anomalous & ~regions.flatten(1).any(1)).sum()
        self._watch.note(refused.sum(), off_scale, empty)


def _shape_of(images: Tensor) -> tuple[int, int]:
    return int(images.shape[2]), int(images.shape[3])


def _first_of(refused: Tensor) -> Tensor:
    """``(B,)`` int64: the positions of the samples that were refused, then those of the others."""
    up_to = refused.long().cumsum(0)
    place = torch.where(refused, up_to - 1, up_to[-1] + (~refused).long().cumsum(0) - 1)
    return torch.empty_like(place).scatter_(0, place, torch.arange(len(place), device=place.device))


def _mask_of(degree: Tensor) -> Tensor:
    """``(B, H, W)`` uint8: 255 where the defect map is above zero."""
    return (degree > 0).to(torch.uint8) * 255
