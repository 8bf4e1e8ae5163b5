"""A crack: thin, jagged, branching, in one piece; wide where it began, and a hair at its tips.

A random walk with tapering width. No published method draws one, so its numbers are chosen here, beside the cracks of magnetic
tiles (one piece, median 0.26 % of the picture, 11 times as long as wide in the labels) and of MVTec AD hazelnuts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from defectsynth.banks import Banks
from defectsynth.images import Mask
from defectsynth.masks.base import MASK_PARAMS, MASKS
from defectsynth.masks.figures import Drawing, FigureParams, uniforms
from defectsynth.masks.lines import Floats, Line, drawing_of, set_down
from defectsynth.masks.placement import Placed
from defectsynth.masks.shapes import OnePiece, SideRange, direction
from defectsynth.rng import Draws
from defectsynth.spec import AngleRange, FractionRange, PositiveRange, WholeRange

__all__ = ["Crack", "CrackParams"]

_MOST_BRANCHES = 30
_FEWEST_STEPS, _MOST_STEPS = 8, 64
_WIDTHS_A_STEP = 1.6  # length of a step in widths: kinks are about as fine as the crack is wide
_MEMORY = 0.85  # of the walk: how much of its last deviation it keeps
_DRIFT = 0.5  # of the jaggedness: how much that deviation changes at a step
_STEP_CHANGES = 0.5  # how much steps differ in length
_WIDTH_CHANGES = 0.35  # how much widths differ from one point to the next
_OPENING = 0.15  # of the main line: within which its wide end is as wide as it gets
_LONGEST_STEP = 6.0  # pixels; a longer one is halved
_MOST_HALVINGS = 4
_ASIDE = 0.15  # of a step: how far the middle of a halved one is moved aside at most
_FINE_CHANGES = 0.2  # how much the widths of halves differ
_TAGS_OF_BRANCHES, _TAGS_OF_HALVES = 1000, 2000
_BRANCH_FROM = (0.1, 0.85)  # where a branch leaves, along the crack
_BRANCH_LENGTH = (0.15, 0.5)  # of what is left of the crack from there on, at least a quarter of it
_BRANCH_WIDTH = 0.75  # of the crack's width there


@MASK_PARAMS.register
class CrackParams(FigureParams):
    """What was drawn for a crack.

    Attributes:
        noise: seed of the walk and of its branches, 52 bits.
        length: of its main line, along its kinks, as a fraction of the picture's side; with ``area`` only its ratio to
            ``width`` counts.
        width: where it is widest, as a fraction of the picture's side.
        angle: degrees anticlockwise, of the way from its wide end to its tip.
        jaggedness: degrees by which a step deviates at most from the way before it.
        taper: how far it thins out towards its tips: 0 not at all, 1 to nothing.
        branches: how many leave its main line or each other.
        branch_angle: degrees at which they leave, to either side.
    """

    kind: Literal["crack"] = "crack"
    noise: int = Field(ge=0, lt=2**64)
    length: float = Field(gt=0.0, le=1e6)
    width: float = Field(gt=0.0, le=1.0)
    angle: float = 0.0
    jaggedness: float = Field(default=25.0, ge=0.0, le=180.0)
    taper: float = Field(default=0.8, ge=0.0, le=1.0)
    branches: int = Field(default=0, ge=0, le=_MOST_BRANCHES)
    branch_angle: float = 45.0

    def own_size(self, roi: Mask) -> float:
        """See ``FigureParams.own_size``."""
        return math.sqrt(self.length * self.width * roi.size)

    def drawing(self, roi: Mask, centre: tuple[int, int], size: float) -> Drawing:
        """See ``FigureParams.drawing``."""
        aspect = self.length / self.width
        ways = self._ways()
        length, step = size * math.sqrt(aspect), 1.0 / len(ways[0].angles)
        halvings = max(0, min(_MOST_HALVINGS, math.ceil(math.log2(step * length / _LONGEST_STEP))))
        lines = [self._finer(way, halvings, tag) for tag, way in enumerate(ways)]
        return drawing_of(set_down(lines, roi, centre, length, self.angle), roi, centre, aspect)

    def _ways(self) -> list[_Way]:
        """The main line, of length 1, and the branches."""
        steps = min(max(round(self.length / self.width / _WIDTHS_A_STEP), _FEWEST_STEPS), _MOST_STEPS)
        main = self._walk(_Start(np.zeros(2), self.angle, 1.0), steps, 1.0 / steps, tag=0)
        opening = np.minimum(1.0, np.arange(steps + 1) / (_OPENING * steps))
        ways = [_Way(main.points, main.angles, main.widths * (1.0 - self.taper * (1.0 - opening)))]
        for tag in range(1, self.branches + 1):
            ways.append(self._branch(ways, tag, 1.0 / steps))
        return ways

    def _branch(self, ways: list[_Way], tag: int, step: float) -> _Way:
        which, where, side, much = uniforms(self.noise, 4, tag=_TAGS_OF_BRANCHES + tag)
        parent = ways[int(which * which * len(ways))]  # of the earlier, longer ones rather than of the later
        steps = len(parent.angles)
        low, high = _BRANCH_FROM
        place = min(max(round(steps * (low + (high - low) * where)), 1), steps - 1)
        low, high = _BRANCH_LENGTH
        count = max(2, round((low + (high - low) * much) * max(steps - place, steps / 2)))
        turn = self.branch_angle if side < 0.5 else -self.branch_angle
        around = parent.angles[max(0, place - 2) : place + 3]
        start = _Start(parent.points[place], sum(around) / len(around) + turn, float(parent.widths[place]) * _BRANCH_WIDTH)
        return self._walk(start, count, step, tag)

    def _walk(self, start: _Start, count: int, step: float, tag: int) -> _Way:
        kinks, drifts, lengths, widths = (2.0 * np.array(uniforms(self.noise, 4 * count, tag)).reshape(count, 4) - 1.0).T
        angles, points, deviation = [], [start.point], 0.0
        for kink, drift, length in zip(kinks.tolist(), drifts.tolist(), lengths.tolist(), strict=True):
            deviation = _MEMORY * deviation + _DRIFT * self.jaggedness * drift
            angles.append(start.angle + deviation + self.jaggedness * kink)
            sine, cosine = direction(angles[-1])
            points.append(points[-1] + np.array([cosine, -sine]) * (step * (1.0 + _STEP_CHANGES * length)))
        way = np.arange(count + 1) / count
        rough = 1.0 + _WIDTH_CHANGES * np.concatenate([[0.0], widths])
        return _Way(np.array(points), angles, start.width * (1.0 - self.taper * way) * rough)

    def _finer(self, way: _Way, halvings: int, tag: int) -> Line:
        """The line with every step halved, its middle moved aside, so often: a large crack is as ragged as a small one."""
        points, widths = way.points, way.widths
        for halving in range(halvings):
            count = len(widths) - 1
            aside, much = (
                2.0 * np.array(uniforms(self.noise, 2 * count, _TAGS_OF_HALVES + 64 * tag + halving)).reshape(count, 2) - 1.0
            ).T
            across = np.diff(points, axis=0)[:, ::-1] * np.array([1.0, -1.0])
            middles = (points[1:] + points[:-1]) / 2.0 + across * (_ASIDE * aside)[:, None]
            points = _alternating(points, middles)
            widths = _alternating(widths, (widths[1:] + widths[:-1]) / 2.0 * (1.0 + _FINE_CHANGES * much))
        return Line(points, widths)


def _alternating(ends: Floats, middles: Floats) -> Floats:
    """``(2 n + 1, ...)``: ``n + 1`` ends with ``n`` middles between them."""
    both = np.empty((len(ends) + len(middles), *ends.shape[1:]))
    both[::2], both[1::2] = ends, middles
    return both


@dataclass(frozen=True, slots=True)
class _Start:
    """Where a walk starts: (x, y), degrees, and width relative to the crack's."""

    point: Floats
    angle: float
    width: float


@dataclass(frozen=True, slots=True)
class _Way:
    """A walk: ``(n + 1, 2)`` points (x, y), ``n`` degrees of its steps, and ``(n + 1,)`` widths."""

    points: Floats
    angles: list[float]
    widths: Floats


@MASKS.register
class Crack(OnePiece, Placed):
    """What may be drawn for a crack.

    A point of its main line, where the ROI has room for it the middle, lies on a pixel of the ROI; what hangs over the ROI's
    edge is cut off. It is nowhere thinner than a pixel or so.

    Attributes:
        length_range: of its main line, as a fraction of the picture's side, drawn log-uniformly, as is the width. Chosen:
            (0.1, 0.6). Not used with ``area_range``.
        width_range: where it is widest, as a fraction of the picture's side. Chosen: 1.2 to 4 of 256 pixels. Not used with
            ``area_range``.
        aspect_range: length of the main line over width with ``area_range``, drawn log-uniformly. Chosen: (20, 60).
        rotation_range: degrees. Chosen: any angle.
        jaggedness_range: degrees by which a step deviates at most from the way before it. Chosen: (15, 45).
        taper_range: how far it thins out towards its tips: 0 not at all, 1 to nothing. Chosen: (0.5, 0.95).
        branches_range: how many leave its main line or each other. Chosen: (0, 3).
        branch_angle_range: degrees at which they leave, to either side. Chosen: (25, 65).
    """

    kind: Literal["crack"] = "crack"
    length_range: SideRange = (0.1, 0.6)
    width_range: SideRange = (1.2 / 256, 4 / 256)
    aspect_range: PositiveRange = (20.0, 60.0)
    rotation_range: AngleRange = (-180.0, 180.0)
    jaggedness_range: AngleRange = (15.0, 45.0)
    taper_range: FractionRange = (0.5, 0.95)
    branches_range: WholeRange = (0, 3)
    branch_angle_range: AngleRange = (25.0, 65.0)

    @model_validator(mode="after")
    def _limits(self) -> Crack:
        if self.branches_range[1] > _MOST_BRANCHES:
            raise ValueError(
                f"branches_range {list(self.branches_range)} leaves its limits: both ends must lie from 0 to {_MOST_BRANCHES}"
            )
        if not 0.0 <= self.jaggedness_range[0] <= self.jaggedness_range[1] <= 180.0:
            raise ValueError(f"jaggedness_range {list(self.jaggedness_range)}: both ends must lie from 0 to 180 degrees")
        return self

    def draw(self, draws: Draws, banks: Banks) -> CrackParams:
        """The parameters of one crack."""
        width = draws.log_uniform("width", self.width_range)
        return CrackParams.drawn(
            noise=draws.noise_seed("noise"),
            length=self._draw_length(draws, width),
            width=width,
            angle=draws.uniform("angle", self.rotation_range),
            jaggedness=draws.uniform("jaggedness", self.jaggedness_range),
            taper=draws.uniform("taper", self.taper_range),
            branches=draws.integer("branches", self.branches_range),
            branch_angle=draws.uniform("branch_angle", self.branch_angle_range),
            **self.draw_place(draws),
            **self.draw_controls(draws),
        )

    def _draw_length(self, draws: Draws, width: float) -> float:
        if self.area_range is None:
            return draws.log_uniform("length", self.length_range)
        return float(f"{width * draws.log_uniform('aspect', self.aspect_range):.6g}")
