"""Grids of a mask, each half as fine as the one before, and the multigrid cycle that nearly solves Poisson's equation on them.

A coarse grid has the same five-point stencil as the fine one. Only the pull of the outline is carried down: as conductances in
series (from a coarse centre the outline is farther by a quarter of the coarse cell), stronger where the mask fills but a part
of a cell; a cell that it hardly fills is fixed. Along an axis on which the rectangle is as long as the picture, cells are
stretched to fit; along any other there is room for padding beyond the outline.

Source: W. Hackbusch, *Multi-Grid Methods and Applications* (1985), cell-centred; the pull is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.noise import FloatField

__all__ = ["Axis", "Grid", "cycle", "hierarchy"]

Axis = tuple[bool, bool]
"""Whether a rectangle begins on the picture's border along an axis, and whether it also ends there."""

_SWEEPS = (0.55, 1.4)  # relaxation; both together leave less than a quarter of what is too fine for the next grid; chosen
_COARSEST = 8  # cells along a side; the equations of the coarsest grid are solved directly
_NEAREST = 0.1  # of a cell: how near to a centre the outline may come; chosen
_HARDLY = 0.2  # of a cell; chosen: with less, a cell's centre lies beyond the outline
_PULL_OF_HARDLY = 1.5  # of a neighbour's conductance: the outline lies before its centre


@dataclass(frozen=True)
class Grid:
    """One level: planes under each other in one array, each in a ring of zeros, so that OpenCV filters all of them at once.

    Attributes:
        planes: how many.
        inside: ``(H, W)`` bool, the unknowns.
        y, x: see ``Axis``.
        kernel: ``(3, 3)`` float32, the conductances between neighbours.
        mask, diagonal, inverse: stacked; 1, the coefficient of a pixel in its own equation, and 1 over it; 0 outside.
        pinned: whether some unknown has a neighbour that is fixed.
    """

    planes: int
    inside: npt.NDArray[np.bool_]
    y: Axis
    x: Axis
    kernel: FloatField
    mask: FloatField
    diagonal: FloatField
    inverse: FloatField
    pinned: bool

    def filter(self, stack: FloatField, out: FloatField) -> None:
        """The sum of each pixel's neighbours, weighted by their conductances."""
        cv2.filter2D(stack, -1, self.kernel, out, borderType=cv2.BORDER_CONSTANT)

    def planes_of(self, stack: FloatField) -> FloatField:
        """``(planes, H + 2, W + 2)``, a view."""
        height, width = self.inside.shape
        return stack.reshape(self.planes, height + 2, width + 2)

    def stacked(self, planes: FloatField) -> FloatField:
        """``(planes, h, w)`` in rings of zeros."""
        return _stack(planes, self.planes, (self.inside.shape[0], self.inside.shape[1]))

    def unstacked(self, stack: FloatField, shape: tuple[int, ...]) -> FloatField:
        """The inverse of ``stacked``, a view."""
        return self.planes_of(stack)[:, 1 : shape[0] + 1, 1 : shape[1] + 1]

    # What a cycle writes to, made once: fresh memory for each step takes longer than the step.
    @cached_property
    def solution(self) -> FloatField:
        """What a cycle returns, stacked."""
        return np.zeros_like(self.mask)

    @cached_property
    def wanted(self) -> FloatField:
        """What the finer grid asks for, stacked."""
        return np.zeros_like(self.mask)

    @cached_property
    def scratch(self) -> FloatField:
        """For any one step, stacked."""
        return np.zeros_like(self.mask)

    @cached_property
    def magnified(self) -> FloatField:
        """For one plane of the coarser grid; with the ring, two cells wide, along an axis on which something is fixed."""
        height, width = self.inside.shape
        return np.empty((height if self.y[1] else height + 4, width if self.x[1] else width + 4), dtype=np.float32)

    @cached_property
    def inverse_matrix(self) -> FloatField:
        """``(n, n)``: the inverse of the equations, for the coarsest grid."""
        y, x = np.nonzero(self.inside)
        down, across = np.abs(y[:, None] - y), np.abs(x[:, None] - x)
        matrix = np.diag(self.planes_of(self.diagonal)[0, y + 1, x + 1].astype(np.float64))
        matrix -= self.kernel[0, 1] * ((down == 1) & (across == 0)) + self.kernel[1, 0] * ((down == 0) & (across == 1))
        if not self.pinned:
            matrix += 1.0 / y.size  # the solution whose mean is 0
        return cv2.invert(matrix, flags=cv2.DECOMP_CHOLESKY)[1].astype(np.float32)


@dataclass(frozen=True)
class _Shape:
    """What of a mask is carried from a grid to a coarser one.

    Attributes:
        y, x: see ``Axis``.
        fill: ``(H, W)`` float32, how much of each cell is mask, 0 to 1.
        pull_y, pull_x: conductance between a cell's centre and the fixed pixels above and below, left and right.
        cell: height and width of a cell in pixels.
    """

    y: Axis
    x: Axis
    fill: FloatField
    pull_y: FloatField
    pull_x: FloatField
    cell: tuple[float, float] = (1.0, 1.0)

    @property
    def pull(self) -> FloatField:
        """Both conductances; an outline that cuts a cell is nearer to its centre than one that passes it."""
        full = 0.5 + 0.5 / max(self.cell)  # of a cell, from the centre of a full one to the fixed pixel beyond it
        distance = np.maximum(self.fill - np.float32(1.0 - full), np.float32(_NEAREST))
        return (self.pull_y + self.pull_x) * (np.float32(full) / distance)

    def grid(self, planes: int) -> Grid:
        """The level with this shape."""
        kernel = _conductances(self.cell)
        inside, cut = self._unknowns()
        pull = self.pull + cv2.filter2D(cut, -1, kernel * np.float32(_PULL_OF_HARDLY), borderType=cv2.BORDER_CONSTANT)
        diagonal = (cv2.filter2D(inside, -1, kernel, borderType=cv2.BORDER_CONSTANT) + pull) * inside
        inverse = np.divide(np.float32(1.0), diagonal, out=np.zeros_like(diagonal), where=diagonal > 0)
        shape = (inside.shape[0], inside.shape[1])
        mask, diagonal, inverse = (_stack(plane, planes, shape) for plane in (inside, diagonal, inverse))
        return Grid(planes, inside != 0, self.y, self.x, kernel, mask, diagonal, inverse, bool(pull.any()))

    def _unknowns(self) -> tuple[FloatField, FloatField]:
        """1 at the unknowns; 1 at the cells that the mask hardly fills (none where it fills no cell better)."""
        some = self.fill > 0
        inside = self.fill > np.float32(_HARDLY)
        if not inside.any():
            inside = some
        return inside.astype(np.float32), (some & ~inside).astype(np.float32)

    def coarser(self) -> _Shape:
        """The same mask on half as many cells."""
        height, width = self.fill.shape
        shape = ((height + 1) // 2, (width + 1) // 2)
        ratio = (height / shape[0], width / shape[1])
        cell = (self.cell[0] * ratio[0], self.cell[1] * ratio[1])
        fill, pull_y, pull_x = (_means(values, shape) for values in (self.fill, self.pull_y, self.pull_x))
        pull_y = _in_series(pull_y * np.float32(ratio[0] * ratio[1]), 0.5 * self.cell[0] / cell[1])
        pull_x = _in_series(pull_x * np.float32(ratio[0] * ratio[1]), 0.5 * self.cell[1] / cell[0])
        down, across = _padding(shape[0], self.y), _padding(shape[1], self.x)
        if down or across:
            fill, pull_y, pull_x = (_padded(values, down, across) for values in (fill, pull_y, pull_x))
        return _Shape(self.y, self.x, fill, pull_y, pull_x, cell)


def hierarchy(mask: npt.NDArray[np.bool_], y: Axis, x: Axis, planes: int) -> list[Grid]:
    """Grids from the finest to the coarsest.

    Args:
        mask: ``(h, w)``; where an axis has but one end on the picture's border, it is the first.
        y, x: see ``Axis``.
        planes: how many planes are solved together.
    """
    shape = _finest(mask, y, x)
    grids = [shape.grid(planes)]
    while max(grids[-1].inside.shape) > _COARSEST:
        shape = shape.coarser()
        grids.append(shape.grid(planes))
    return grids


def _finest(mask: npt.NDArray[np.bool_], y: Axis, x: Axis) -> _Shape:
    height, width = mask.shape
    fixed = np.ones((height + _padding(height, y) + 2, width + _padding(width, x) + 2), dtype=np.float32)
    fixed[1 : height + 1, 1 : width + 1] = ~mask
    inside = np.float32(1.0) - fixed[1:-1, 1:-1]
    for begins, ends, rim in ((*y, fixed), (*x, fixed.T)):
        if begins:
            rim[0] = 0.0
        if ends:
            rim[-1] = 0.0
    pull_y = (fixed[:-2, 1:-1] + fixed[2:, 1:-1]) * inside
    pull_x = (fixed[1:-1, :-2] + fixed[1:-1, 2:]) * inside
    return _Shape(y, x, inside, pull_y, pull_x)


def _padding(size: int, axis: Axis) -> int:
    """What makes a size even, where there is room: beyond a picture's border there is none."""
    return 0 if axis[1] else size % 2


def _padded(values: FloatField, down: int, across: int) -> FloatField:
    return np.asarray(cv2.copyMakeBorder(values, 0, down, 0, across, cv2.BORDER_CONSTANT, value=0.0), dtype=np.float32)


def _conductances(cell: tuple[float, float]) -> FloatField:
    down, across = cell[1] / cell[0], cell[0] / cell[1]
    return np.array([[0, down, 0], [across, 0, across], [0, down, 0]], dtype=np.float32)


def _in_series(conductance: FloatField, resistance: float) -> FloatField:
    return conductance / (np.float32(1.0) + np.float32(resistance) * conductance)


def _means(values: FloatField, shape: tuple[int, int]) -> FloatField:
    return np.asarray(cv2.resize(values, shape[::-1], interpolation=cv2.INTER_AREA), dtype=np.float32).reshape(shape)


def _stack(values: FloatField, planes: int, shape: tuple[int, int]) -> FloatField:
    """One plane for all, or one for each, in rings of zeros."""
    stack = np.zeros((planes, shape[0] + 2, shape[1] + 2), dtype=np.float32)
    stack[:, 1 : values.shape[-2] + 1, 1 : values.shape[-1] + 1] = values
    return stack.reshape(-1, shape[1] + 2)


# --- the cycle --------------------------------------------------------------------------------------------------------


def cycle(grids: list[Grid], wanted: FloatField) -> FloatField:
    """One V-cycle from nothing: nearly the solution for ``wanted``, stacked; valid until the next cycle."""
    grid, coarser = grids[0], grids[1:]
    if not coarser:
        return _solve_directly(grid, wanted)
    cv2.multiply(wanted, grid.inverse, grid.solution, _SWEEPS[0])
    for weight in _SWEEPS[1:]:
        _sweep(grid, wanted, weight)
    _restrict_residual(grid, coarser[0], wanted)
    _prolong(coarser[0], grid, cycle(coarser, coarser[0].wanted))
    for weight in reversed(_SWEEPS):
        _sweep(grid, wanted, weight)
    return grid.solution


def _solve_directly(grid: Grid, wanted: FloatField) -> FloatField:
    known = np.ascontiguousarray(grid.planes_of(wanted)[:, 1:-1, 1:-1][:, grid.inside])
    solved = cv2.gemm(known, grid.inverse_matrix, 1.0, None, 0.0)  # type: ignore[call-overload]
    grid.solution[:] = 0.0
    grid.planes_of(grid.solution)[:, 1:-1, 1:-1][:, grid.inside] = solved
    return grid.solution


def _sweep(grid: Grid, wanted: FloatField, weight: float) -> None:
    """One step of damped Jacobi relaxation."""
    scratch, solution = grid.scratch, grid.solution
    grid.filter(solution, scratch)
    cv2.add(scratch, wanted, scratch)
    cv2.multiply(scratch, grid.inverse, scratch)
    cv2.addWeighted(solution, 1.0 - weight, scratch, weight, 0.0, solution)


def _restrict_residual(fine: Grid, coarse: Grid, wanted: FloatField) -> None:
    """What the solution leaves over, summed over each coarse cell, is what the coarse grid is asked for."""
    scratch, (height, width) = fine.scratch, fine.inside.shape
    rows, columns = (height + 1) // 2, (width + 1) // 2
    fine.filter(fine.solution, scratch)
    cv2.add(scratch, wanted, scratch)
    cv2.multiply(scratch, fine.inverse, scratch)
    cv2.subtract(scratch, fine.solution, scratch)
    cv2.multiply(scratch, fine.diagonal, scratch, (height / rows) * (width / columns))  # OpenCV takes means
    for plane, half in zip(fine.planes_of(scratch), coarse.planes_of(coarse.wanted), strict=True):
        cells = half[1 : rows + 1, 1 : columns + 1]
        cv2.resize(plane[1:-1, 1:-1], (columns, rows), cells, interpolation=cv2.INTER_AREA)


def _prolong(coarse: Grid, fine: Grid, correction: FloatField) -> None:
    """Adds a coarse grid's solution, interpolated bilinearly, to the fine one's."""
    (rows, cut_rows), (columns, cut_columns) = _reach(fine.inside.shape[0], fine.y), _reach(fine.inside.shape[1], fine.x)
    added, size = fine.magnified[cut_rows, cut_columns], fine.magnified.shape[::-1]
    cells = (coarse.planes_of(correction), fine.planes_of(fine.mask), fine.planes_of(fine.solution))
    for plane, mask, solution in zip(*cells, strict=True):
        if fine.y == (True, False):  # the picture's first cells are repeated beyond its border
            plane[0] = plane[1]
        if fine.x == (True, False):
            plane[:, 0] = plane[:, 1]
        cv2.resize(plane[rows, columns], size, fine.magnified, interpolation=cv2.INTER_LINEAR)
        inner = solution[1:-1, 1:-1]
        cv2.multiply(added, mask[1:-1, 1:-1], added)
        cv2.add(inner, added, inner)


def _reach(size: int, axis: Axis) -> tuple[slice, slice]:
    """The coarse cells that reach into a fine grid, with the ring where that is fixed, and what to keep of them magnified."""
    cells = (size + 1) // 2
    return (slice(1, cells + 1), slice(None)) if axis[1] else (slice(0, cells + 2), slice(2, -2))
