"""The pictures of a batch themselves, enhanced and shuffled in a grid of cells, as the source; see ``sources/shuffle.py``."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from defectsynth.batched.constants import constant
from defectsynth.batched.draws import BatchDraws
from defectsynth.batched.enhance import draw_enhancement, one_by_one, rotation_of, times
from defectsynth.batched.operations import enhanced, sharpened
from defectsynth.batched.parts import Drawn
from defectsynth.batched.pictures import to_rgb8
from defectsynth.batched.places import Places
from defectsynth.batched.sampling import Canvases, packed
from defectsynth.batched.tables import look_up_tables
from defectsynth.rng import philox
from defectsynth.sources.shuffle import Shuffle, ShuffleParams, edges_of, steps_between

__all__ = ["ShuffleSource", "why_not"]


def why_not(spec: Shuffle) -> str | None:
    """Why a shuffled picture cannot be painted here, or None."""
    return None if spec.enhance.count else "shuffle without an enhancement"


class ShuffleSource:
    """One ``shuffle`` source of a recipe.

    Args:
        spec: what may be drawn.
    """

    def __init__(self, spec: Shuffle) -> None:
        self._spec = spec
        self._operations = tuple(spec.enhance.operations)

    def draw(self, draws: BatchDraws) -> Drawn:
        """The parameters of each sample's source."""
        order = torch.stack(draws.noise_seed("order"), dim=1)
        return {**draw_enhancement(self._spec.enhance, draws.within("enhance")), "order": order}

    def one_by_one(self, drawn: Drawn) -> list[ShuffleParams]:
        """The same parameters as the plain painter has them."""
        pairs = zip(drawn["order"].tolist(), one_by_one(drawn), strict=True)
        return [
            ShuffleParams.drawn(order=order[0] | (order[1] << 32), grid=self._spec.grid, operations=operations)
            for order, operations in pairs
        ]

    def colours(self, drawn: Drawn, images: Tensor, places: Places) -> Tensor:
        """``(3, R, H, W)`` uint8: the pictures ``(C, R, H, W)``, enhanced, their cells in disorder."""
        rgb = to_rgb8(images)
        origin = self._origin(drawn["order"], places)
        for name, axis in (("flip_horizontal", 1), ("flip_vertical", 0)):
            if name in self._operations:
                origin = origin.mirrored_whole(times(drawn, name) % 2 == 1, axis)
        canvases = self._canvases(drawn, rgb)
        colours = canvases.at(origin)
        if "sharpness" in drawn:
            smooth = replace(canvases, pixels=_packed(_smoothed(rgb)))
            colours = sharpened(colours, smooth.at(origin), drawn)
        return enhanced(colours, drawn, look_up_tables(drawn, self._operations, _histograms(rgb)))

    def _canvases(self, drawn: Drawn, rgb: Tensor) -> Canvases:
        _, count, height, width = rgb.shape
        size = constant((height, width), torch.int64, rgb.device).expand(count, 2)
        angle = torch.zeros(count, dtype=torch.float64, device=rgb.device) + rotation_of(drawn)
        which = torch.arange(count, device=rgb.device)
        return Canvases(_packed(rgb), which, size, (height, width), angle, "affine" not in self._operations)

    def _origin(self, seed: Tensor, places: Places) -> Places:
        """Where the pixels come from."""
        rows, columns = (_Cells(size, cells, seed.device) for size, cells in zip(places.shape, self._spec.grid, strict=True))
        order = _order(seed, rows.count * columns.count)
        cell = rows.of_pixel[:, None] * columns.count + columns.of_pixel
        source = order[:, cell]
        down = rows.steps[rows.of_pixel[:, None] * rows.count + source // columns.count]
        right = columns.steps[columns.of_pixel * columns.count + source % columns.count]
        return places.at(places.row + down, places.column + right)


class _Cells:
    """The cells of one axis.

    Attributes:
        count: how many.
        of_pixel: ``(size,)`` int64: which one each pixel lies in.
        steps: ``(count * count,)`` int64: how many pixels the source of a cell lies beyond it.
    """

    def __init__(self, size: int, cells: int, device: torch.device) -> None:
        edges = edges_of(size, cells)
        self.count = edges.size - 1
        of_pixel = edges.searchsorted(range(size), side="right") - 1
        self.of_pixel = constant(tuple(of_pixel.tolist()), torch.int64, device)
        self.steps = constant(tuple(steps_between(edges).reshape(-1).tolist()), torch.int64, device)


def _order(seed: Tensor, count: int) -> Tensor:
    """``(R, count)`` int64: which cell, counted row by row, each cell is filled from."""
    block = torch.arange(-(-count // 4), device=seed.device)[None, :]
    words = philox((0, block, 0, 0), (seed[:, :1], seed[:, 1:]))
    return torch.stack(words, dim=-1).flatten(1)[:, :count].argsort(dim=1, stable=True)


def _packed(rgb: Tensor) -> Tensor:
    return packed(rgb.movedim(0, -1)).reshape(-1)


def _histograms(rgb: Tensor) -> Tensor:
    """``(R, 3, 256)`` float64."""
    values = rgb.transpose(0, 1).flatten(2).long()
    counts = torch.zeros((*values.shape[:2], 256), dtype=torch.int64, device=rgb.device)
    return counts.scatter_add(2, values, torch.ones_like(values)).double()


def _smoothed(rgb: Tensor) -> Tensor:
    """See ``images.smoothed``: sums of integers, as thirteenths never lie half-way between two levels."""
    wide = rgb.int()
    total = _three(_three(wide, 2), 3) + 4 * wide
    return ((2 * total + 13) // 26).to(torch.uint8)


def _three(values: Tensor, axis: int) -> Tensor:
    """Each pixel and its two neighbours along an axis, mirrored at the ends."""
    size = values.shape[axis]
    index = torch.arange(size, device=values.device)
    before, after = (index - 1).abs().clamp(max=size - 1), torch.where(index + 1 < size, index + 1, size - 2).clamp(min=0)
    return values + values.index_select(axis, before) + values.index_select(axis, after)
