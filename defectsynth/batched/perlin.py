"""Masks of thresholded Perlin noise, alone or two of them united or intersected, of a whole batch."""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from defectsynth.banks import Banks
from defectsynth.batched.constants import constant
from defectsynth.batched.draws import BatchDraws
from defectsynth.batched.lattice import Canvas, octave
from defectsynth.batched.parts import Drawn, chosen
from defectsynth.batched.places import Shape
from defectsynth.errors import ImageError
from defectsynth.images import Mask
from defectsynth.masks.base import MaskParams, MaskSpec
from defectsynth.masks.combine import Intersection, IntersectionParams, Union, UnionParams
from defectsynth.masks.perlin import Perlin, PerlinParams

__all__ = ["PerlinForm", "PerlinMasks", "form_of"]

ALONE, UNION, INTERSECTION = 0, 1, 2
_EXACT_BITS = 21  # of a coordinate, as in ``masks/turning.py``
_LARGEST_CANVAS = 4  # times the picture, as in ``masks/perlin.py``


class PerlinForm(NamedTuple):
    """What is not drawn and must be the same for all that is painted together."""

    octaves: int
    rescale: bool
    square: bool
    cover: bool


def form_of(spec: MaskSpec) -> PerlinForm | str:
    """The form of a mask that can be painted here, or why it cannot."""
    if spec.controlled:
        return "area_range or components_range"
    if isinstance(spec, Perlin):
        return PerlinForm(spec.octaves, spec.rescale, spec.elongation_range is not None, spec.cover)
    if not isinstance(spec, (Union, Intersection)):
        return f"kind: {spec.kind}"
    first, second = spec.masks
    if not (isinstance(first, Perlin) and isinstance(second, Perlin)):
        return f"kind: {spec.kind} of other masks than perlin"
    forms = form_of(first), form_of(second)
    return forms[0] if forms[0] == forms[1] else f"kind: {spec.kind} of noise of two forms"


class PerlinMasks:
    """The masks of all kinds of a recipe that are made of noise of one form.

    Args:
        specs: of each kind.
        form: of all of them.
    """

    def __init__(self, specs: list[MaskSpec], form: PerlinForm) -> None:
        self._form = form
        self._rules = tuple(_rule_of(spec) for spec in specs)
        self._specs = specs
        self._leaves = max(len(_leaves(spec)) for spec in specs)
        self._cells = max(_most_cells(leaf) for spec in specs for leaf, _ in _leaves(spec))

    def draw(self, draws: BatchDraws, which: Tensor) -> Drawn:
        """The parameters of each sample's masks; ``which``: ``(B,)``, the position of its kind in ``specs``."""
        drawn: Drawn = {"rule": constant(self._rules, torch.int64, which.device)[which.clamp(max=len(self._rules) - 1)]}
        for number in range(self._leaves):
            among = [_draw_leaf(*_leaves(spec)[min(number, len(_leaves(spec)) - 1)], draws) for spec in self._specs]
            for name, values in chosen(among, which).items():
                drawn[f"{name}{number}"] = values
        return drawn

    def dense(self, drawn: Drawn, shape: Shape) -> Tensor:
        """``(R, H, W)`` bool: where the masks are, inside the ROI or not.

        Raises:
            ImageError: the noise would have to be far larger than the picture, to cover its turned corners.
        """
        self._check(shape)
        above = [self._above(_leaf(drawn, number), shape) for number in range(self._leaves)]
        if len(above) == 1:
            return above[0]
        rule = drawn["rule"][:, None, None]
        both = torch.where(rule == UNION, above[0] | above[1], above[0] & above[1])
        return torch.where(rule == ALONE, above[0], both)

    def one_by_one(self, drawn: Drawn, roi: list[Mask]) -> list[tuple[MaskParams, Mask]]:
        """Parameters, and the mask ``(H, W)`` uint8, 0 or 255, inside its ROI, of each sample: by the plain painter's code."""
        rules = drawn["rule"].tolist()
        leaves = [self._params(_leaf(drawn, number)) for number in range(self._leaves)]
        return [_painted(rule, [leaf[place] for leaf in leaves], roi[place]) for place, rule in enumerate(rules)]

    def _params(self, leaf: Drawn) -> list[PerlinParams]:
        lists = [leaf[name].tolist() for name in ("noise", "cells", "angle", "threshold")]
        form = self._form._asdict()
        return [
            PerlinParams.drawn(
                noise=noise[0] | (noise[1] << 32), cells=(cells[0], cells[1]), angle=angle, threshold=threshold, **form
            )
            for noise, cells, angle, threshold in zip(*lists, strict=True)
        ]

    def _above(self, leaf: Drawn, shape: Shape) -> Tensor:
        canvas, turned = self._canvas(leaf, shape), _Turned(leaf["angle"], self._size(leaf["angle"], shape), shape)
        count, threshold = leaf["angle"].shape[0], leaf["threshold"].float()[:, None, None]
        number = torch.arange(count, device=threshold.device)[:, None, None]
        fractal = _Fractal(leaf["noise"], canvas, self._form.octaves)
        values = fractal.at(number, turned.row, turned.column)
        if self._form.rescale:
            values = fractal.stretched(values, threshold)
        return turned.inside & (values > threshold)

    def _canvas(self, leaf: Drawn, shape: Shape) -> Canvas:
        """As ``PerlinParams`` chooses it."""
        size = self._size(leaf["angle"], shape)
        side = math.sqrt(shape[0] * shape[1])
        along = (side, side) if self._form.square else (float(shape[0]), float(shape[1]))
        cells = leaf["cells"] / constant(along, torch.float64, size.device) * size
        bounds = self._bounds(shape)
        points = [math.ceil(self._cells * bound / each) + 3 for bound, each in zip(bounds, along, strict=True)]
        return Canvas(size, cells, (bounds, (points[0], points[1])))

    def _size(self, angle: Tensor, shape: Shape) -> Tensor:
        """``(R, 2)`` float64: height and width of the canvases."""
        upright = constant(shape, torch.float64, angle.device).expand(len(angle), 2)
        if not self._form.cover:
            return upright
        sine, cosine = (part.abs() for part in (angle.deg2rad().sin(), angle.deg2rad().cos()))
        height, width = (shape[0] * cosine + shape[1] * sine).ceil() + 1, (shape[1] * cosine + shape[0] * sine).ceil() + 1
        return torch.where((angle == 0.0)[:, None], upright, torch.stack([height, width], dim=1))

    def _bounds(self, shape: Shape) -> Shape:
        if not self._form.cover:
            return shape
        most = math.ceil(math.hypot(*shape)) + 2
        return most, most

    def _check(self, shape: Shape) -> None:
        side = (shape[0] + shape[1]) / math.sqrt(2.0) + 2.0
        if self._form.cover and side * side > _LARGEST_CANVAS * shape[0] * shape[1]:
            raise ImageError(
                f"the pictures are {shape[0]} x {shape[1]}, so long that noise which covers their turned corners is not made "
                'for all pixels at once: give way="sparse" on the CPU, use AnomalySynthesizer, or set cover to false'
            )


class _Turned:
    """Where the pixels of turned pictures lie on their canvases, as ``masks/turning.py`` finds them.

    Attributes:
        row, column: ``(R, H, W)`` int64, inside the canvas.
        inside: ``(R, H, W)`` bool: whether they were inside before.
    """

    def __init__(self, angle: Tensor, size: Tensor, shape: Shape) -> None:
        largest = size.amax(1).clamp(min=float(max(*shape, 2)))
        step = torch.exp2(torch.frexp(largest - 1.0).exponent.double() - _EXACT_BITS)[:, None]
        sine, cosine = ((part[:, None] / step).round() * step for part in (angle.deg2rad().sin(), angle.deg2rad().cos()))
        y, x = (torch.arange(side, dtype=torch.float64, device=angle.device) - (side - 1) / 2 for side in shape)
        start = (size - 1.0) / 2 + step / 4
        self.column, beyond_column = _nearest(-sine * y + start[:, 1:], cosine * x, size[:, 1])
        self.row, beyond_row = _nearest(cosine * y + start[:, :1], sine * x, size[:, 0])
        self.inside = ~(beyond_row | beyond_column)


def _nearest(along_y: Tensor, along_x: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    """``(R, H, W)``: the nearest pixel of an axis, int64, and whether it lies beyond the axis."""
    found = (along_y.float()[:, :, None] + along_x.float()[:, None, :]).round_().long()
    last = size.long()[:, None, None] - 1
    inside = torch.minimum(found.clamp(min=0), last)
    return inside, inside != found


class _Fractal:
    """Octaves of noise, as ``noise.fbm`` sums them."""

    def __init__(self, seed: Tensor, canvas: Canvas, octaves: int) -> None:
        self._octaves = [octave(seed, canvas, number) for number in range(octaves)]
        self._canvas = canvas

    def at(self, number: Tensor, row: Tensor, column: Tensor) -> Tensor:
        """Float32 at pixels of the canvases."""
        total = self._octaves[0].at(number, row, column)
        strength, norm = 0.5, 1.0
        for each in self._octaves[1:]:
            total = total + np.float32(strength).item() * each.at(number, row, column)
            norm += strength
            strength *= 0.5
        return total if len(self._octaves) == 1 else total / norm

    def stretched(self, values: Tensor, threshold: Tensor) -> Tensor:
        """Values, those of a canvas that nowhere exceeds the threshold stretched to [-1, 1]."""
        height, width = self._canvas.bounds[0]
        device = values.device
        row, column = torch.arange(height, device=device)[None, :, None], torch.arange(width, device=device)[None, None, :]
        size = self._canvas.size.long()[:, :, None, None]
        whole = self.at(torch.arange(len(size), device=device)[:, None, None], row, column)
        there = (row < size[:, 0]) & (column < size[:, 1])
        low = torch.where(there, whole, torch.inf).amin((1, 2), keepdim=True)
        high = torch.where(there, whole, -torch.inf).amax((1, 2), keepdim=True)
        span = torch.where(high > low, high - low, 1.0)
        return torch.where((high <= threshold) & (high > low), (values - low) * (2.0 / span) - 1.0, values)


def _painted(rule: int, leaves: list[PerlinParams], roi: Mask) -> tuple[MaskParams, Mask]:
    first = leaves[0].paint(roi, _NO_BANKS)
    if rule == ALONE:
        return leaves[0], first
    kind, combine = (UnionParams, cv2.bitwise_or) if rule == UNION else (IntersectionParams, cv2.bitwise_and)
    return kind.drawn(masks=tuple(leaves)), np.asarray(combine(first, leaves[1].paint(roi, _NO_BANKS)), dtype=np.uint8)


_NO_BANKS = Banks(None, None, None, None)


def _rule_of(spec: MaskSpec) -> int:
    return UNION if isinstance(spec, Union) else INTERSECTION if isinstance(spec, Intersection) else ALONE


def _leaves(spec: MaskSpec) -> list[tuple[Perlin, str]]:
    """The noise that a mask is made of, and the name below which each is drawn."""
    if isinstance(spec, (Union, Intersection)):
        return [(leaf, name) for leaf, name in zip(spec.masks, ("first", "second"), strict=True) if isinstance(leaf, Perlin)]
    return [(spec, "")] if isinstance(spec, Perlin) else []


def _leaf(drawn: Drawn, number: int) -> Drawn:
    """What was drawn for one field of noise."""
    return {name: drawn[f"{name}{number}"] for name in ("noise", "cells", "angle", "threshold")}


def _draw_leaf(spec: Perlin, name: str, draws: BatchDraws) -> Drawn:
    """See ``Perlin.draw``."""
    draws = draws.within(name) if name else draws
    return {
        "noise": torch.stack(draws.noise_seed("noise"), dim=1),
        "cells": _draw_cells(spec, draws),
        "angle": draws.uniform("angle", spec.rotation_range),
        "threshold": draws.uniform("threshold", spec.threshold_range),
    }


def _draw_cells(spec: Perlin, draws: BatchDraws) -> Tensor:
    first = _draw_axis(spec, draws, 0)
    if spec.elongation_range is None:
        return torch.stack([first, _draw_axis(spec, draws, 1)], dim=1)
    stretch = draws.log_uniform("elongation", spec.elongation_range).sqrt()
    return _to_four_places(torch.stack([first * stretch, first / stretch], dim=1))


def _to_four_places(values: Tensor) -> Tensor:
    """``round(value, 4)``."""
    return (values * 1e4).round() / 1e4


def _draw_axis(spec: Perlin, draws: BatchDraws, axis: int) -> Tensor:
    if spec.cells_scale == "log_uniform":
        return draws.log_uniform("cells", spec.cells_range, slot=axis)
    low, high = (round(math.log2(bound)) for bound in spec.cells_range)
    return torch.exp2(draws.integer("cells", (low, high), slot=axis).double())


def _most_cells(spec: Perlin) -> float:
    stretch = max(1.0, *(math.sqrt(max(bound, 1.0 / bound)) for bound in spec.elongation_range or (1.0,)))
    return spec.cells_range[1] * stretch
