"""Draws the plans of a batch: for every sample the same numbers that ``AnomalySynthesizer`` draws for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from defectsynth.batched.blending import draw_weight
from defectsynth.batched.constants import constant
from defectsynth.batched.draws import BatchDraws, Foreseen
from defectsynth.batched.parts import Drawn, rows_of
from defectsynth.batched.perlin import PerlinForm, PerlinMasks, form_of
from defectsynth.batched.shuffle import ShuffleSource
from defectsynth.batched.texture import TextureSource
from defectsynth.blends import Linear
from defectsynth.recipe import Recipe
from defectsynth.sources import Shuffle, SourceSpec, Texture

__all__ = ["BatchPlan", "Planner"]

PartT = TypeVar("PartT")


@dataclass(frozen=True)
class BatchPlan:
    """What was drawn for ``R`` samples, one defect each.

    Attributes:
        masks, sources: for each of the planner's masks and sources, what was drawn.
        mask, source: ``(R,)`` int64: which of them each sample has.
        weight: ``(R,)`` int32: the source's weight in the blend, out of ``ONE``.
    """

    masks: tuple[Drawn, ...]
    sources: tuple[Drawn, ...]
    mask: Tensor
    source: Tensor
    weight: Tensor

    def of(self, rows: Tensor) -> BatchPlan:
        """The plans of some of the samples, by their positions."""
        masks, sources = (tuple(rows_of(drawn, rows) for drawn in parts) for parts in (self.masks, self.sources))
        return BatchPlan(masks, sources, self.mask[rows], self.source[rows], self.weight[rows])


class Planner:
    """Draws plans.

    Args:
        recipe: what may be drawn; all of its parts can be painted in batches.
        seed: the dataset's seed.
        textures: how many textures there are.

    Attributes:
        masks, sources: what draws and paints the masks and sources, one for all kinds that can share it.
    """

    def __init__(self, recipe: Recipe, seed: int, textures: int) -> None:
        self._recipe, self._seed = recipe, seed
        self._weights = [kind.weight for kind in recipe.kinds.values()]
        self._foreseen, self._normal = Foreseen(), Foreseen()
        kinds = {number: kind for number, kind in enumerate(recipe.kinds.values()) if kind.weight > 0}
        forms = _alike({number: form_of(kind.mask) for number, kind in kinds.items()})
        sources = _alike({number: kind.source for number, kind in kinds.items()})
        blends = _alike({number: kind.blend for number, kind in kinds.items()})
        self.masks = [
            PerlinMasks([kinds[number].mask for number in numbers], form)
            for form, numbers in forms
            if isinstance(form, PerlinForm)
        ]
        self.sources = [_source(spec, textures) for spec, _ in sources]
        self._blends = [spec for spec, _ in blends if isinstance(spec, Linear)]
        self._mask, self._source, self._blend = self._which(forms), self._which(sources), self._which(blends)
        self._place = self._by_kind({number: place for _, numbers in forms for place, number in enumerate(numbers)})

    def are_normal(self, indices: Tensor) -> Tensor:
        """``(B,)`` bool: which samples stay normal."""
        draws = BatchDraws(self._seed, indices, torch.zeros_like(indices), self._normal)
        return draws.chance("normal", self._recipe.normal_fraction)

    def draw(self, indices: Tensor, attempts: Tensor) -> BatchPlan:
        """The plans of samples.

        Args:
            indices: ``(R,)`` int64, see ``BatchDraws``.
            attempts: ``(R,)`` int64, how many plans of each were refused before.
        """
        draws = BatchDraws(self._seed, indices, attempts, self._foreseen).within("0")
        kind = draws.weighted("kind", self._weights)
        place = _of(self._place, kind)
        masks = tuple(mask.draw(draws.within("mask"), place) for mask in self.masks)
        sources = tuple(source.draw(draws.within("source")) for source in self.sources)
        blend, weights = _of(self._blend, kind), [draw_weight(spec, draws.within("blend")) for spec in self._blends]
        weight = weights[0]
        for number, other in enumerate(weights[1:], start=1):
            weight = torch.where(blend == number, other, weight)
        return BatchPlan(masks, sources, _of(self._mask, kind), _of(self._source, kind), weight)

    def rehearse(self, device: torch.device) -> None:
        """Draws plans until every number that the recipe asks for is foreseen."""
        first = torch.zeros(1, dtype=torch.int64, device=device)
        for _ in range(2):
            self.are_normal(first)
            self.draw(first, first)

    def _which(self, parts: list[tuple[PartT, list[int]]]) -> tuple[int, ...]:
        """For each kind, which of several parts it has."""
        return self._by_kind({number: which for which, (_, numbers) in enumerate(parts) for number in numbers})

    def _by_kind(self, values: dict[int, int]) -> tuple[int, ...]:
        """The value of each kind; 0 for those that are never drawn."""
        return tuple(values.get(number, 0) for number in range(len(self._weights)))


def _source(spec: SourceSpec, textures: int) -> TextureSource | ShuffleSource:
    if isinstance(spec, Shuffle):
        return ShuffleSource(spec)
    assert isinstance(spec, Texture)  # see ``support.py``
    return TextureSource(spec, textures)


def _alike(parts: dict[int, PartT]) -> list[tuple[PartT, list[int]]]:
    """The parts that differ, and the kinds, by number, that have each."""
    found: list[tuple[PartT, list[int]]] = []
    for number, part in parts.items():
        numbers = next((numbers for other, numbers in found if other == part), None)
        if numbers is None:
            found.append((part, [number]))
        else:
            numbers.append(number)
    return found


def _of(by_kind: tuple[int, ...], kind: Tensor) -> Tensor:
    return constant(by_kind, torch.int64, kind.device)[kind]
