"""A blob: a polygon with an angular outline, as chips, flakes, splinters and foreign particles have.

No published method draws one alone, so its numbers are chosen here, beside the masks of MVTec AD (bottle ``broken_small`` and
``contamination``: 1 to 8 % of the picture, corners and straight edges) and of magnetic tiles (``break``, ``blowhole``).
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from defectsynth.banks import Banks
from defectsynth.images import Mask
from defectsynth.masks.base import MASK_PARAMS, MASKS
from defectsynth.masks.figures import Drawing, FigureParams, Grid, blank, draw_around, uniforms
from defectsynth.masks.placement import Placed
from defectsynth.masks.shapes import OnePiece, direction
from defectsynth.noise import FloatField
from defectsynth.rng import Draws
from defectsynth.spec import AngleRange, AreaRange, CountRange, FractionRange, PositiveRange

__all__ = ["Blob", "BlobParams"]

Corners = list[tuple[float, float]]

_FEWEST_VERTICES, _MOST_VERTICES = 3, 60
_FREE = 0.8  # of a corner's share of the circle: how far full irregularity moves it


@MASK_PARAMS.register
class BlobParams(FigureParams):
    """What was drawn for a blob.

    Attributes:
        noise: seed of its corners, 52 bits.
        size: area as a fraction of the ROI's, where ``area`` is None.
        vertices: corners.
        irregularity: how unevenly they lie around the middle: 0 evenly, 1 very unevenly.
        spikiness: how differently far they lie from it: 0 equally far, 1 from no distance to twice the mean.
        elongation: length over width, in addition to what the corners give.
        angle: degrees anticlockwise, of its length.
    """

    kind: Literal["blob"] = "blob"
    noise: int = Field(ge=0, lt=2**64)
    size: float = Field(gt=0.0, le=1.0)
    vertices: int = Field(ge=_FEWEST_VERTICES, le=_MOST_VERTICES)
    irregularity: float = Field(default=0.0, ge=0.0, le=1.0)
    spikiness: float = Field(default=0.0, ge=0.0, le=1.0)
    elongation: float = Field(default=1.0, gt=0.0, le=1e6)
    angle: float = 0.0

    def wanted(self, roi: Mask) -> float:
        """See ``FigureParams.wanted``."""
        return max(1.0, (self.area or self.size) * int(np.count_nonzero(roi)))

    def own_size(self, roi: Mask) -> float:
        """See ``FigureParams.own_size``."""
        return math.sqrt(self.wanted(roi))

    def drawing(self, roi: Mask, centre: tuple[int, int], size: float) -> Drawing:
        """See ``FigureParams.drawing``."""
        corners = self._corners()
        reach, middle = max(math.hypot(x, y) for x, y in corners), (float(centre[0]), float(centre[1]))

        def draw(size: float) -> FloatField:
            field = blank(roi)
            draw_around(field, middle, reach * size, lambda grid: _polygon(grid, [(x * size, y * size) for x, y in corners]))
            return field

        return draw

    def _corners(self) -> Corners:
        """(x, y) of a polygon of area 1 around the origin."""
        turns, radii = (uniforms(self.noise, self.vertices, tag=part) for part in range(2))
        sine, cosine = direction(self.angle)
        stretch = math.sqrt(self.elongation)
        corners = []
        for number, (turn, unit) in enumerate(zip(turns, radii, strict=True)):
            at = (number + _FREE * self.irregularity * (turn - 0.5)) * 360.0 / self.vertices
            radius = max(1.0 + self.spikiness * (2.0 * unit - 1.0), 0.05)
            along, across = radius * stretch * direction(at)[1], radius / stretch * direction(at)[0]
            corners.append((along * cosine + across * sine, across * cosine - along * sine))
        scale = math.sqrt(max(_area(corners), 1e-3))
        return [(x / scale, y / scale) for x, y in corners]


def _area(corners: Corners) -> float:
    pairs = zip(corners, [*corners[1:], corners[0]], strict=True)
    return abs(math.fsum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairs)) / 2.0


def _polygon(grid: Grid, corners: Corners) -> FloatField:
    """Distance from a polygon's outline in pixels, positive inside (a ray to the right crosses it an odd number of times)."""
    square = np.full(grid.shape, np.inf, dtype=np.float32)
    inside = np.zeros(grid.shape, dtype=np.bool_)
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        dx, dy = x1 - x0, y1 - y0
        length = max(dx * dx + dy * dy, 1e-12)
        x, y = grid.x - np.float32(x0), grid.y - np.float32(y0)
        way = np.clip(x * np.float32(dx / length) + y * np.float32(dy / length), np.float32(0), np.float32(1))
        off_x, off_y = x - way * np.float32(dx), y - way * np.float32(dy)
        np.minimum(square, off_x * off_x + off_y * off_y, out=square)
        crosses = (grid.y >= np.float32(y0)) != (grid.y >= np.float32(y1))
        if dy:
            inside ^= crosses & (x < y * np.float32(dx / dy))
    distance = np.sqrt(square)
    return np.where(inside, distance, -distance)


@MASKS.register
class Blob(OnePiece, Placed):
    """What may be drawn for a blob.

    Its middle lies on a pixel of the ROI; what hangs over the ROI's edge is cut off, and the rest is made larger for it.

    Attributes:
        size_range: area as a fraction of the ROI's, drawn log-uniformly. Chosen: (0.001, 0.02). Not used with ``area_range``.
        vertices_range: corners, 3 to 60. Chosen: (5, 10).
        irregularity_range: how unevenly they lie around the middle. Chosen: (0.3, 0.9).
        spikiness_range: how differently far they lie from it. Chosen: (0.1, 0.4).
        elongation_range: length over width, in addition to what the corners give, drawn log-uniformly. Chosen: (1, 2.5).
        rotation_range: degrees. Chosen: any angle.
    """

    kind: Literal["blob"] = "blob"
    size_range: AreaRange = (0.001, 0.02)
    vertices_range: CountRange = (5, 10)
    irregularity_range: FractionRange = (0.3, 0.9)
    spikiness_range: FractionRange = (0.1, 0.4)
    elongation_range: PositiveRange = (1.0, 2.5)
    rotation_range: AngleRange = (-180.0, 180.0)

    @model_validator(mode="after")
    def _corners(self) -> Blob:
        low, high = self.vertices_range
        if not _FEWEST_VERTICES <= low <= high <= _MOST_VERTICES:
            raise ValueError(
                f"vertices_range {[low, high]} leaves its limits: both ends must lie from {_FEWEST_VERTICES} to "
                f"{_MOST_VERTICES}"
            )
        return self

    def draw(self, draws: Draws, banks: Banks) -> BlobParams:
        """The parameters of one blob."""
        return BlobParams.drawn(
            noise=draws.noise_seed("noise"),
            size=draws.log_uniform("size", self.size_range),
            vertices=draws.integer("vertices", self.vertices_range),
            irregularity=draws.uniform("irregularity", self.irregularity_range),
            spikiness=draws.uniform("spikiness", self.spikiness_range),
            elongation=draws.log_uniform("elongation", self.elongation_range),
            angle=draws.uniform("angle", self.rotation_range),
            **self.draw_place(draws),
            **self.draw_controls(draws),
        )
