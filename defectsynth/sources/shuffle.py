"""The same picture, enhanced and shuffled in a grid of cells, as the source (MemSeg's structural anomaly).

Source: ``TooTouch/MemSeg`` ``data/dataset.py`` ``_structure_source``: three of DRAEM's ten operations on the picture, then its
8 x 8 cells in a random order (the docstring there says 4 x 8). There the picture must be divisible by the grid; here any size
is good: cells differ by a pixel at most, and a piece is taken from the corner of its cell.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from defectsynth import rng
from defectsynth.banks import Banks
from defectsynth.images import AnyImage, histogram_of, smoothed, to_rgb8
from defectsynth.masks.base import MaskParams
from defectsynth.rng import Draws
from defectsynth.site import Site
from defectsynth.sources.base import SOURCE_PARAMS, SOURCES, SourceParams, SourceSpec
from defectsynth.sources.enhance import Enhance, Operation, rotation_of
from defectsynth.sources.operations import enhanced
from defectsynth.sources.sampling import Places, Sampler, flipped, places_of_box, sampler

__all__ = ["Shuffle", "ShuffleParams", "edges_of", "steps_between"]

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

    photographed: ClassVar[bool] = True

    kind: Literal["shuffle"] = "shuffle"
    order: int = Field(ge=0, lt=2**64)
    grid: Grid = (8, 8)
    operations: tuple[Operation, ...] = ()

    def render(self, site: Site) -> AnyImage:
        """``(h, w, 3)`` uint8 RGB; without operations ``(h, w, C)`` of the picture's type, bit for bit."""
        top, left, bottom, right = site.box
        return self._colours(site, places_of_box(site.box, site.shape)).reshape(bottom - top, right - left, -1)

    def render_pixels(self, site: Site) -> AnyImage:
        """See ``SourceParams.render_pixels``."""
        return self._colours(site, Places(site.positions, site.shape))

    def _colours(self, site: Site, places: Places) -> AnyImage:
        """``(n, C)``: the enhanced picture, its cells in disorder."""
        origin = flipped(self._origin(places), (0, 0, *site.shape), self.operations)
        if not self.operations:
            return Sampler(site.image, None).at(origin)
        rgb = to_rgb8(site.image, site.white)
        seen = sampler(rgb, site.shape, rotation_of(self.operations))
        return enhanced(seen.at(origin), self.operations, lambda: histogram_of(rgb), lambda: seen.of(smoothed(rgb)).at(origin))

    def _origin(self, places: Places) -> Places:
        """Where the pixels at these places come from."""
        rows, columns = edges_of(places.shape[0], self.grid[0]), edges_of(places.shape[1], self.grid[1])
        row, column = (
            np.searchsorted(edges, index, side="right") - 1 for edges, index in ((rows, places.rows), (columns, places.columns))
        )
        from_row, from_column = np.divmod(self._order(rows.size - 1, columns.size - 1)[row, column], columns.size - 1)
        down, right = steps_between(rows)[row, from_row], steps_between(columns)[column, from_column]
        return Places.at(places.rows + down, places.columns + right, places.shape)

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
        return ShuffleParams.drawn(
            order=draws.noise_seed("order"), grid=self.grid, operations=self.enhance.draw(draws.within("enhance"))
        )


def edges_of(size: int, cells: int) -> npt.NDArray[np.intp]:
    """Where the cells of ``size`` pixels begin, and where the last one ends."""
    cells = min(cells, size)
    return np.arange(cells + 1) * size // cells


def steps_between(edges: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """``(cells, cells)``: how many pixels the source of a cell lies beyond it.

    A source that is a pixel short begins a pixel earlier at the end.
    """
    length = np.diff(edges)[:, None]
    return np.asarray(np.minimum(edges[None, :-1], edges[-1] - length) - edges[:-1, None])
