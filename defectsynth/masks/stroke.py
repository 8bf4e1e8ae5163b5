"""A stroke: a scratch, a cut, a hair, a thread; a line that is thin for its length and thins out towards its ends.

No published method draws one (CutPaste's scar is a rectangle), so its numbers are chosen here, beside the masks of MVTec AD
(grid ``thread``: 2 to 10 of 256 pixels wide, up to the whole side long; hazelnut ``cut``) and of magnetic tiles (``crack``,
``blowhole``: one piece, 2 to 9 pixels wide in the labels, which are drawn wider than the defect is).
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from defectsynth import noise
from defectsynth.banks import Banks
from defectsynth.images import Mask
from defectsynth.masks.base import MASK_PARAMS, MASKS
from defectsynth.masks.figures import THINNEST, Drawing, FigureParams, uniforms
from defectsynth.masks.lines import Floats, Line, drawing_of, lies_inside, set_down
from defectsynth.masks.placement import Placed
from defectsynth.masks.shapes import SideRange, direction
from defectsynth.rng import Draws
from defectsynth.spec import AngleRange, FractionRange, PositiveRange, WholeRange

__all__ = ["Stroke", "StrokeParams"]

_MOST_SEGMENTS = 20
_MOST_GAPS = 20
_FEWEST_POINTS, _MOST_POINTS = 8, 48
_WIDTHS_A_POINT = 3.0  # lengths between two points of the line, in widths
_WAVES = 2.5  # how often the line swings along its length
_WIDTH_CHANGES = 0.4  # how often its width changes from one point to the next
_ROUGHNESS = 1.5  # of the noise, whose values lie mostly within 0.5
_KINKS_MOVE = 0.6  # of a segment's length: how far a kink lies from where even segments would have it
_LOOKS = 201  # places along the line at which it is looked up whether it is seen
_GAP_SHARE = (0.04, 0.12)  # of the length
_APART = 2.5  # pixels between two pieces of an interrupted line, so that they stay two


@MASK_PARAMS.register
class StrokeParams(FigureParams):
    """What was drawn for a stroke.

    Attributes:
        noise: seed of what is left: where it bends, swings and breaks off, 52 bits.
        length: as a fraction of the picture's side; with ``area`` only its ratio to ``width`` counts.
        width: where it is widest, as a fraction of the picture's side.
        angle: degrees anticlockwise, of the way from one end to the other.
        bend: degrees by which it turns from one end to the other, evenly.
        segments: parts of the line; between two of them it has a kink.
        kink: degrees by which it turns at most at a kink.
        waver: how far it swings to either side, as a fraction of its length.
        taper: how far the ends thin out: 0 not at all, 1 to nothing.
        roughness: how much the width changes along the way, as a fraction of it.
        gaps: interruptions.
    """

    kind: Literal["stroke"] = "stroke"
    noise: int = Field(ge=0, lt=2**64)
    length: float = Field(gt=0.0, le=1e6)
    width: float = Field(gt=0.0, le=1.0)
    angle: float = 0.0
    bend: float = 0.0
    segments: int = Field(default=1, ge=1, le=_MOST_SEGMENTS)
    kink: float = 0.0
    waver: float = Field(default=0.0, ge=0.0, le=1.0)
    taper: float = Field(default=0.0, ge=0.0, le=1.0)
    roughness: float = Field(default=0.0, ge=0.0, le=1.0)
    gaps: int = Field(default=0, ge=0, le=_MOST_GAPS)

    def own_size(self, roi: Mask) -> float:
        """See ``FigureParams.own_size``."""
        return math.sqrt(self.length * self.width * roi.size)

    def drawing(self, roi: Mask, centre: tuple[int, int], size: float) -> Drawing:
        """See ``FigureParams.drawing``."""
        aspect = self.length / self.width
        length, width = size * math.sqrt(aspect), size / math.sqrt(aspect)
        (line,) = set_down([self._line()], roi, centre, length, self.angle)
        if not self.gaps:
            return drawing_of([line], roi, centre, aspect)
        seen = _seen(line, roi, centre, length)
        pieces = [_part(line, start, end) for start, end in self._pieces(seen, (width + _APART + 2 * THINNEST) / length)]
        return drawing_of(pieces, roi, centre, aspect)

    def _line(self) -> Line:
        """The whole line, of length 1."""
        count = min(max(round(self.length / self.width / _WIDTHS_A_POINT), _FEWEST_POINTS, 4 * self.segments), _MOST_POINTS)
        steps = [direction(self.angle + turn) for turn in self._turns(count)]
        points = np.zeros((count + 1, 2))
        points[1:] = np.cumsum([(cosine, -sine) for sine, cosine in steps], axis=0) / count
        swing = noise.perlin(self.noise, (1, count + 1), (1, _WAVES), tag=1)[0].astype(np.float64) * self.waver
        sine, cosine = direction(self.angle)
        return Line(points - swing[:, None] * np.array([sine, cosine]), self._widths(count))

    def _turns(self, count: int) -> Floats:
        """``(count,)``: degrees by which each step of the line turns off its angle; their mean is 0."""
        turns = self.bend * ((np.arange(count) + 0.5) / count - 0.5)
        units = uniforms(self.noise, 2 * self.segments, tag=2)
        for kink in range(1, self.segments):
            place = round(count * (kink + _KINKS_MOVE * (units[2 * kink] - 0.5)) / self.segments)
            turns[place:] += self.kink * (2.0 * units[2 * kink + 1] - 1.0)
        return turns - turns.mean()

    def _widths(self, count: int) -> Floats:
        """``(count + 1,)``: width at each point, at most about 1."""
        way = np.arange(count + 1) / count
        widest = 0.25 + 0.5 * uniforms(self.noise, 1, tag=4)[0]  # a tool digs in faster than it lifts off, or the other way
        off = np.where(way < widest, 1.0 - way / widest, 1.0 - (1.0 - way) / (1.0 - widest))
        changes = noise.fbm(self.noise, (1, count + 1), (1, max(1.0, _WIDTH_CHANGES * count)), 2, tag=5)[0]
        rough = 1.0 + self.roughness * _ROUGHNESS * changes.astype(np.float64)
        return (1.0 - self.taper * off * off) * np.maximum(rough, 0.2)

    def _pieces(self, seen: tuple[float, float], smallest_gap: float) -> list[tuple[float, float]]:
        """Start and end of each piece, on a way of length 1 and where it is seen; as ``components`` shares an area out."""
        order = uniforms(self.noise, self.gaps + 1, tag=6)
        shares = [1.0 / (1 + rank) for rank in range(self.gaps + 1)]
        shares = [shares[rank] for rank in sorted(range(self.gaps + 1), key=order.__getitem__)]
        low, high = _GAP_SHARE
        gaps = [max(smallest_gap, low + (high - low) * unit) for unit in uniforms(self.noise, self.gaps, tag=7)]
        left = seen[1] - seen[0] - sum(gaps)
        if left <= 0.0:
            return [seen]
        pieces, start = [], seen[0]
        for share, gap in zip(shares, [*gaps, 0.0], strict=True):
            length = left * share / sum(shares)
            pieces.append((start, start + length))
            start += length + gap
        return pieces


def _seen(line: Line, roi: Mask, centre: tuple[int, int], length: float) -> tuple[float, float]:
    """Start and end of the longest run of a line that lies inside the ROI, on its way of length 1."""
    places = np.linspace(0.0, 1.0, _LOOKS)
    inside = lies_inside(_at(line, places).points, roi, centre, length)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]]).astype(np.int8)))
    if edges.size == 0:
        return 0.0, 1.0
    longest = int(np.argmax(edges[1::2] - edges[::2]))
    return float(places[edges[2 * longest]]), float(places[edges[2 * longest + 1] - 1])


def _part(line: Line, start: float, end: float) -> Line:
    """The part of a line between two places on its way of length 1."""
    way = np.linspace(0.0, 1.0, len(line.widths))
    return _at(line, np.concatenate([[start], way[(way > start) & (way < end)], [end]]))


def _at(line: Line, places: Floats) -> Line:
    """The line through what lies at some places on its way of length 1."""
    way = np.linspace(0.0, 1.0, len(line.widths))
    x, y, widths = (np.interp(places, way, part) for part in (*line.points.T, line.widths))
    return Line(np.column_stack([x, y]), widths)


@MASKS.register
class Stroke(Placed):
    """What may be drawn for a stroke.

    One of its points, where the ROI has room for it the middle, lies on a pixel of the ROI; what hangs over the ROI's edge is
    cut off. It is nowhere thinner than a pixel or so.

    Attributes:
        length_range: as a fraction of the picture's side, drawn log-uniformly, as is the width. Chosen: (0.1, 0.5). Not used
            with ``area_range``.
        width_range: where it is widest, as a fraction of the picture's side. Chosen: 1.2 to 3 of 256 pixels. Not used with
            ``area_range``.
        aspect_range: length over width with ``area_range``, drawn log-uniformly. Chosen: (20, 70).
        rotation_range: degrees. Chosen: any angle.
        curvature_range: degrees by which it turns from one end to the other, evenly. Chosen: (-35, 35).
        segments_range: parts of the line; between two of them it has a kink. Chosen: (1, 2).
        kink_range: degrees by which it turns at most at a kink. Chosen: (5, 20).
        waver_range: how far it swings to either side, as a fraction of its length. Chosen: (0, 0.02).
        taper_range: how far the ends thin out: 0 not at all, 1 to nothing. Chosen: (0.4, 1).
        roughness_range: how much the width changes along the way, as a fraction of it. Chosen: (0.1, 0.5).
        gaps_range: interruptions. None gives none, or with ``components_range`` one less than pieces.
    """

    kind: Literal["stroke"] = "stroke"
    length_range: SideRange = (0.1, 0.5)
    width_range: SideRange = (1.2 / 256, 3 / 256)
    aspect_range: PositiveRange = (20.0, 70.0)
    rotation_range: AngleRange = (-180.0, 180.0)
    curvature_range: AngleRange = (-35.0, 35.0)
    segments_range: WholeRange = (1, 2)
    kink_range: AngleRange = (5.0, 20.0)
    waver_range: FractionRange = (0.0, 0.02)
    taper_range: FractionRange = (0.4, 1.0)
    roughness_range: FractionRange = (0.1, 0.5)
    gaps_range: WholeRange | None = None

    @model_validator(mode="after")
    def _few(self) -> Stroke:
        low, high = self.segments_range
        if not 1 <= low <= high <= _MOST_SEGMENTS:
            raise ValueError(f"segments_range {[low, high]} leaves its limits: both ends must lie from 1 to {_MOST_SEGMENTS}")
        if self.gaps_range is not None and self.gaps_range[1] > _MOST_GAPS:
            raise ValueError(f"gaps_range {list(self.gaps_range)} leaves its limits: both ends must lie from 0 to {_MOST_GAPS}")
        if self.gaps_range is not None and self.components_range is not None:
            raise ValueError(
                f"gaps_range {list(self.gaps_range)} and components_range {list(self.components_range)} both say how many "
                "pieces there are: leave gaps_range out"
            )
        if self.components_range is not None and self.components_range[1] > _MOST_GAPS + 1:
            raise ValueError(f"components_range {list(self.components_range)}: a stroke has at most {_MOST_GAPS + 1} pieces")
        return self

    def draw(self, draws: Draws, banks: Banks) -> StrokeParams:
        """The parameters of one stroke."""
        controls = self.draw_controls(draws)
        width = draws.log_uniform("width", self.width_range)
        return StrokeParams.drawn(
            noise=draws.noise_seed("noise"),
            length=self._draw_length(draws, width),
            width=width,
            angle=draws.uniform("angle", self.rotation_range),
            bend=draws.uniform("bend", self.curvature_range),
            segments=draws.integer("segments", self.segments_range),
            kink=draws.uniform("kink", self.kink_range),
            waver=draws.uniform("waver", self.waver_range),
            taper=draws.uniform("taper", self.taper_range),
            roughness=draws.uniform("roughness", self.roughness_range),
            gaps=self._draw_gaps(draws, controls["components"]),
            **self.draw_place(draws),
            **controls,
        )

    def _draw_length(self, draws: Draws, width: float) -> float:
        if self.area_range is None:
            return draws.log_uniform("length", self.length_range)
        return float(f"{width * draws.log_uniform('aspect', self.aspect_range):.6g}")

    def _draw_gaps(self, draws: Draws, components: float | int | None) -> int:
        if components is not None:
            return int(components) - 1
        return 0 if self.gaps_range is None else draws.integer("gaps", self.gaps_range)
