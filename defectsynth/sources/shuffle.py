"""The same picture, enhanced and shuffled in a grid of cells, as the source (MemSeg's structural anomaly).

Source: ``TooTouch/MemSeg`` ``data/dataset.py`` ``_structure_source``: three of DRAEM's ten operations on the picture, then its
8 x 8 cells in a random order (the docstring there says 4 x 8). There the picture must be divisible by the grid; here any size
is good: cells differ by a pixel at most, and a piece is taken from the corner of its cell.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from defectsynth import rng
from defectsynth.banks import Banks
from defectsynth.images import AnyImage, to_rgb8
from defectsynth.masks.base import MaskParams
from defectsynth.rng import Draws
from defectsynth.site import Site
from defectsynth.sources.base import SOURCE_PARAMS, SOURCES, SourceParams, SourceSpec
from defectsynth.sources.enhance import Enhance, Operation, apply_operations, rotation_of
from defectsynth.sources.texture import sample

__all__ = ["Shuffle", "ShuffleParams"]

Grid = tuple[Annotated[int, Field(ge=1, le=256)], Annotated[int, Field(ge=1, le=256)]]
"""Rows and columns of cells."""


@SOURCE_PARAMS.register
class ShuffleParams(SourceParams):
    """What was drawn for a shuffled picture.

    Attributes:
        order: seed of the cells' order.
        grid: rows and columns of cells; a picture with fewer pixels has as many cells as pixels.
        operations: the enhancement, in order.
    """

    kind: Literal["shuffle"] = "shuffle"
    order: int = Field(ge=0, lt=2**64)
    grid: Grid = (8, 8)
    operations: tuple[Operation, ...] = ()

    def render(self, site: Site) -> AnyImage:
        """``(h, w, 3)`` uint8 RGB; without operations ``(h, w, C)`` of the picture's type, bit for bit."""
        if not self.operations:
            return self._shuffled(site.image, site, 0.0)
        angle = rotation_of(self.operations)
        if angle != 0.0:
            rgb = self._shuffled(to_rgb8(site.image, site.white), site, angle)
        else:  # converting the rectangle costs less than converting the picture
            rgb = to_rgb8(self._shuffled(site.image, site, 0.0), site.white)
        return apply_operations(rgb, self.operations)

    def _shuffled(self, canvas: AnyImage, site: Site, angle: float) -> AnyImage:
        """The site's rectangle of a canvas that is turned about its centre and shuffled; nothing else is computed."""
        top, left, bottom, right = site.box
        rows, columns = _edges(site.shape[0], self.grid[0]), _edges(site.shape[1], self.grid[1])
        cells = self._order(len(rows) - 1, len(columns) - 1)
        patch = np.empty((bottom - top, right - left, canvas.shape[2]), canvas.dtype)
        for row, first_y, end_y in _spans(rows, top, bottom):
            for column, first_x, end_x in _spans(columns, left, right):
                from_row, from_column = divmod(int(cells[row, column]), len(columns) - 1)
                y = first_y + _step(rows, row, from_row)
                x = first_x + _step(columns, column, from_column)
                piece = sample(canvas, site.shape, (y, x, y + end_y - first_y, x + end_x - first_x), angle)
                patch[first_y - top : end_y - top, first_x - left : end_x - left] = piece
        return patch

    def _order(self, rows: int, columns: int) -> npt.NDArray[np.intp]:
        """``(rows, columns)``: which cell, counted row by row, each cell is filled from."""
        return np.argsort(rng.words(self.order, (1, rows * columns))[0], kind="stable").reshape(rows, columns)


@SOURCES.register
class Shuffle(SourceSpec):
    """The same picture in disorder.

    Attributes:
        grid: rows and columns of cells. MemSeg: 8 x 8.
        enhance: see ``enhance.py``. MemSeg's code: three of DRAEM's ten, which is the default. ``count: 0`` keeps the picture's
            depth and channels.
    """

    kind: Literal["shuffle"] = "shuffle"
    grid: Grid = (8, 8)
    enhance: Enhance = Field(default_factory=Enhance)

    def draw(self, draws: Draws, banks: Banks, mask: MaskParams) -> ShuffleParams:
        """The parameters of one shuffled picture."""
        return ShuffleParams(
            order=draws.noise_seed("order"), grid=self.grid, operations=self.enhance.draw(draws.within("enhance"))
        )


def _edges(size: int, cells: int) -> list[int]:
    """Where the cells of ``size`` pixels begin, and where the last one ends."""
    cells = min(cells, size)
    return [number * size // cells for number in range(cells + 1)]


def _spans(edges: list[int], start: int, end: int) -> list[tuple[int, int, int]]:
    """(cell, first pixel, end pixel) of each cell that lies between ``start`` and ``end``."""
    return [
        (cell, max(low, start), min(high, end))
        for cell, (low, high) in enumerate(pairwise(edges))
        if low < end and high > start
    ]


def _step(edges: list[int], cell: int, source: int) -> int:
    """How many pixels the source of a cell lies beyond it; a source that is a pixel short begins a pixel earlier at the end."""
    length = edges[cell + 1] - edges[cell]
    return min(edges[source], edges[-1] - length) - edges[cell]
