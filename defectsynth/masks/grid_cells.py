"""Some cells of a grid: missing cells of a solar panel, or the squares that a structure anomaly is shuffled in.

Sources: ``TooTouch/MemSeg`` ``data/dataset.py`` (a grid of 8 x 8); Chen et al., *GridMask Data Augmentation*, 2020 (cells with
gaps between). Which cells are chosen, and how many, is decided here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, Field

from defectsynth import rng
from defectsynth.banks import Banks
from defectsynth.images import Mask, bounding_box
from defectsynth.masks.base import MASK_PARAMS, MASKS, MaskParams, MaskSpec
from defectsynth.masks.placement import distance_from
from defectsynth.noise import FloatField
from defectsynth.rng import Draws
from defectsynth.spec import AreaRange, CountRange

__all__ = ["GridCells", "GridCellsParams"]

_MOST_CELLS = 64  # along an axis
_BESIDE = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=np.uint8)
_TOUCHING = np.ones((3, 3), dtype=np.uint8)

Cells = npt.NDArray[np.int64]
BoolCells = npt.NDArray[np.bool_]


def _few(value: tuple[int, int]) -> tuple[int, int]:
    if value[1] > _MOST_CELLS:
        raise ValueError(f"{list(value)} leaves its limits: a grid has at most {_MOST_CELLS} cells along an axis")
    return value


LinesRange = Annotated[CountRange, AfterValidator(_few)]
"""Cells along an axis, 1 to 64."""


@MASK_PARAMS.register
class GridCellsParams(MaskParams):
    """What was drawn for cells of a grid.

    Attributes:
        rows, columns: of the grid.
        over: what the grid is laid over: the ``picture``, or the ``roi``'s bounding box.
        count: how many cells are chosen, where ``share`` and ``area`` are None.
        share: which part of the cells on the ROI is chosen.
        fill: filled part of a cell's sides, 1 without gaps.
        min_overlap: least share of a cell that lies on the ROI.
        order: seed of the order in which cells are chosen, 52 bits.
    """

    kind: Literal["grid_cells"] = "grid_cells"
    rows: int = Field(ge=1, le=_MOST_CELLS)
    columns: int = Field(ge=1, le=_MOST_CELLS)
    over: Literal["picture", "roi"] = "picture"
    count: int = Field(default=1, ge=1)
    share: float | None = Field(default=None, gt=0.0, le=1.0)
    fill: float = Field(default=1.0, gt=0.0, le=1.0)
    min_overlap: float = Field(default=0.5, ge=0.0, le=1.0)
    order: int = Field(ge=0, lt=2**64)

    def field(self, roi: Mask, banks: Banks) -> FloatField:
        """Distance from the outline of the chosen cells in pixels, positive inside; with ``area`` they just cover it."""
        return distance_from(self.above_zero(roi, banks))

    def above_zero(self, roi: Mask, banks: Banks) -> Mask:
        """See ``MaskParams.above_zero``: the chosen cells."""
        top, left, bottom, right = (bounding_box(roi) if self.over == "roi" else None) or (0, 0, *roi.shape)
        down, across = _lines(top, bottom, self.rows, self.fill), _lines(left, right, self.columns, self.fill)
        painted = np.zeros_like(roi)
        for row, column in np.argwhere(self._choose(roi, down, across)):
            painted[down.start[row] : down.end[row], across.start[column] : across.end[column]] = 255
        return painted

    def _choose(self, roi: Mask, down: _Lines, across: _Lines) -> BoolCells:
        """``(rows, columns)``: which cells."""
        on_roi = _counts(roi, down, across)
        enough = np.maximum(1, np.ceil(self.min_overlap * (down.lengths[:, None] * across.lengths[None, :])))
        allowed = on_roi >= enough if (on_roi >= enough).any() else on_roi == on_roi.max()
        weight, wanted = self._wanted(allowed, on_roi, int(np.count_nonzero(roi)))
        order = [int(cell) for cell in np.argsort(rng.words(self.order, on_roi.shape), axis=None, kind="stable")]
        if self.components is None:
            return _first(order, allowed, weight, wanted)
        return _pieces(order, allowed, weight, _parts(wanted, self.components), joined=not (down.gaps or across.gaps))

    def _wanted(self, allowed: BoolCells, on_roi: Cells, roi_pixels: int) -> tuple[Cells, float]:
        """What each cell counts, and how much of that is wanted."""
        if self.area is not None:
            return on_roi, self.area * roi_pixels
        wanted = float(self.count) if self.share is None else self.share * int(np.count_nonzero(allowed))
        return np.ones_like(on_roi), float(max(1, round(wanted)))


@MASKS.register
class GridCells(MaskSpec):
    """What may be drawn for cells of a grid.

    Without ``components_range`` the cells are chosen one by one and may touch. With it, that many pieces begin apart from each
    other and grow cell by cell. With ``area_range`` there are as many cells as cover that area, and they shrink to meet it;
    ``count_range`` and ``share_range`` are not used then.

    Attributes:
        rows_range, columns_range: of the grid, at most 64. MemSeg: 8 and 8.
        over: what the grid is laid over: the ``picture`` (MemSeg, GridMask) or the ``roi``'s bounding box (cells of a panel).
        count_range: how many cells are chosen. Chosen: 1 to 3.
        share_range: which part of the cells on the ROI is chosen, in place of ``count_range``.
        fill_range: filled part of a cell's sides, 1 without gaps. MemSeg: 1. GridMask: 0.4, with ``share_range`` [1, 1].
        min_overlap: least share of a cell that lies on the ROI; where no cell has that, the cells with most. Chosen: 0.5.
    """

    kind: Literal["grid_cells"] = "grid_cells"
    rows_range: LinesRange = (8, 8)
    columns_range: LinesRange = (8, 8)
    over: Literal["picture", "roi"] = "picture"
    count_range: CountRange = (1, 3)
    share_range: AreaRange | None = None
    fill_range: AreaRange = (1.0, 1.0)
    min_overlap: float = Field(default=0.5, ge=0.0, le=1.0)

    def draw(self, draws: Draws, banks: Banks) -> GridCellsParams:
        """The parameters of some cells."""
        return GridCellsParams.drawn(
            rows=draws.integer("rows", self.rows_range),
            columns=draws.integer("columns", self.columns_range),
            over=self.over,
            count=draws.integer("count", self.count_range),
            share=None if self.share_range is None else draws.uniform("share", self.share_range),
            fill=draws.uniform("fill", self.fill_range),
            min_overlap=self.min_overlap,
            order=draws.noise_seed("order"),
            **self.draw_controls(draws),
        )


@dataclass(frozen=True, slots=True)
class _Lines:
    """The filled parts of a grid's rows, or of its columns."""

    start: Cells
    end: Cells
    gaps: bool

    @property
    def lengths(self) -> Cells:
        return self.end - self.start


def _lines(first: int, last: int, count: int, fill: float) -> _Lines:
    """``count`` lines between two pixels; each at least one pixel wide where there are enough."""
    edges = first + np.arange(count + 1, dtype=np.int64) * (last - first) // count
    sizes = np.diff(edges)
    margin = np.maximum(0, np.minimum(np.floor(sizes * ((1.0 - fill) / 2)).astype(np.int64), (sizes - 1) // 2))
    return _Lines(edges[:-1] + margin, edges[1:] - margin, bool(margin.any()))


def _counts(roi: Mask, down: _Lines, across: _Lines) -> Cells:
    """``(rows, columns)``: pixels of the ROI in each cell."""
    total = cv2.integral((roi != 0).view(np.uint8), sdepth=cv2.CV_32S).astype(np.int64)
    below, above = total[down.end], total[down.start]
    return below[:, across.end] - above[:, across.end] - below[:, across.start] + above[:, across.start]


def _parts(wanted: float, pieces: int) -> list[float]:
    """The second piece half as large as the first, the third a third, and so on, as ``control.py`` sizes them."""
    norm = math.fsum(1.0 / number for number in range(1, pieces + 1))
    return [wanted / (number * norm) for number in range(1, pieces + 1)]


def _first(order: list[int], allowed: BoolCells, weight: Cells, wanted: float) -> BoolCells:
    """The first allowed cells that make up what is wanted; at least one."""
    chosen, found = np.zeros_like(allowed), 0
    for cell in order:
        if found >= wanted:
            break
        if allowed.flat[cell]:
            chosen.flat[cell] = True
            found += int(weight.flat[cell])
    return chosen


def _pieces(order: list[int], allowed: BoolCells, weight: Cells, parts: list[float], *, joined: bool) -> BoolCells:
    """Cells in pieces that do not touch; where the cells are joined, each grows until it has its part."""
    pieces: list[BoolCells] = []
    for _ in parts:
        cell = _next(order, allowed & ~_near(_all(pieces, allowed), _TOUCHING))
        if cell is None:
            break
        pieces.append(np.zeros_like(allowed))
        pieces[-1].flat[cell] = True
    for number, piece in enumerate(pieces if joined else []):
        others = _near(_all(pieces[:number] + pieces[number + 1 :], allowed), _TOUCHING)
        while int(weight[piece].sum()) < round(parts[number]):
            cell = _next(order, allowed & _near(piece, _BESIDE) & ~piece & ~others)
            if cell is None:
                break
            piece.flat[cell] = True
    return _all(pieces, allowed)


def _next(order: list[int], cells: BoolCells) -> int | None:
    return next((cell for cell in order if cells.flat[cell]), None)


def _near(cells: BoolCells, kernel: npt.NDArray[np.uint8]) -> BoolCells:
    """The cells and those around them."""
    return np.asarray(cv2.dilate(cells.view(np.uint8), kernel), dtype=np.bool_)


def _all(pieces: list[BoolCells], like: BoolCells) -> BoolCells:
    return np.asarray(np.logical_or.reduce([np.zeros_like(like), *pieces]), dtype=np.bool_)
