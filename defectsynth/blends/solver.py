"""Solving Poisson's equation on a mask of any outline: conjugate gradients, with one multigrid cycle as the preconditioner.

A whole rectangle and a few pixels are solved directly (``rectangle.py``, ``few.py``).

The unknowns are the mask's pixels; each equation is ``sum over the neighbours q in the picture of (u_p - u_q) = wanted_p``,
with ``u = 0`` at every pixel outside the mask (Dirichlet) and no neighbour at all beyond the picture's border (Neumann).
Rectangles, blobs, combs, noise and single holes take 4 to 6 iterations, whatever their size.

Source: O. Tatebe, *The multigrid preconditioned conjugate gradient method* (1993); in its flexible form (Y. Notay, *Flexible
conjugate gradients*, 2000), because a cycle is not quite symmetric.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.blends.few import FEW, solve_few
from defectsynth.blends.multigrid import Axis, Grid, cycle, hierarchy
from defectsynth.blends.rectangle import LARGEST, solve_rectangle
from defectsynth.images import Box, bounding_box
from defectsynth.noise import FloatField

__all__ = ["Sides", "solve"]

Sides = tuple[bool, bool, bool, bool]
"""Which of a rectangle's top, left, bottom and right sides lie on the picture's border."""
BoolField = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]
"""``(planes,)``: one number for each plane."""

_MOST_ITERATIONS = 40
_MOST_PARTS = 32
_TOGETHER = 3 * 128 * 128  # values; planes of larger rectangles are solved one by one, which the caches like better


def solve(mask: BoolField, wanted: FloatField, on_border: Sides, tolerance: float) -> FloatField:
    """The field ``u`` of the equations above.

    Args:
        mask: ``(h, w)``; what lies beyond a side that is not on the picture's border counts as outside.
        wanted: ``(C, h, w)`` float32; read inside the mask only.
        on_border: sides of the rectangle that lie on the picture's border.
        tolerance: the iteration ends when a cycle would correct no pixel by more than this, and that correction is still made:
            the error is several times smaller.

    Returns:
        ``(C, h, w)`` float32, 0 outside the mask. Where the mask is the whole picture, the mean of each plane is 0.
    """
    solution = np.zeros(wanted.shape, dtype=np.float32)
    for part, (top, left, bottom, right) in _parts(mask):
        window = slice(top, bottom), slice(left, right)
        ends = (top == 0, left == 0, bottom == mask.shape[0], right == mask.shape[1])
        begins_y, begins_x, ends_y, ends_x = (on and end for on, end in zip(on_border, ends, strict=True))
        down, across = (-1 if ends_y and not begins_y else 1), (-1 if ends_x and not begins_x else 1)
        turn = slice(None, None, down), slice(None, None, across)  # grids begin where the picture does
        axes = (begins_y or ends_y, begins_y and ends_y), (begins_x or ends_x, begins_x and ends_x)
        solved = _solve_part(part[turn], wanted[(..., *window)][(..., *turn)], axes, tolerance)[(..., *turn)]
        np.copyto(solution[(..., *window)], solved, where=part)
    return solution


def _parts(mask: BoolField) -> Iterator[tuple[BoolField, Box]]:
    """The mask in its rectangle; or, where they are few and far between, each of its pieces in its own."""
    whole = bounding_box(mask)
    if whole is None:
        return
    inner = mask[whole[0] : whole[2], whole[1] : whole[3]]
    if inner.all():
        yield inner, whole
        return
    _, labels, stats, _ = cv2.connectedComponentsWithStats(np.ascontiguousarray(mask).view(np.uint8), connectivity=4)
    boxes = [(top, left, top + height, left + width) for left, top, width, height, _ in stats[1:].tolist()]
    pixels = sum((bottom - top) * (right - left) for top, left, bottom, right in boxes)
    if len(boxes) > _MOST_PARTS or 2 * pixels > (whole[2] - whole[0]) * (whole[3] - whole[1]):
        yield inner, whole
        return
    for number, (top, left, bottom, right) in enumerate(boxes, start=1):
        yield labels[top:bottom, left:right] == number, (top, left, bottom, right)


def _solve_part(mask: BoolField, wanted: FloatField, axes: tuple[Axis, Axis], tolerance: float) -> FloatField:
    """The solution for a mask that touches every side of its rectangle."""
    if max(mask.shape) <= LARGEST and mask.all():
        return solve_rectangle(wanted, *axes)
    if np.count_nonzero(mask) <= FEW:
        return solve_few(mask, wanted, *axes)
    planes = wanted.shape[0] if wanted.size <= _TOGETHER else 1
    grids = hierarchy(mask, *axes, planes)
    solution = np.empty(wanted.shape, dtype=np.float32)
    for start in range(0, wanted.shape[0], planes):
        some = slice(start, start + planes)
        stack = grids[0].stacked(np.where(mask, wanted[some], np.float32(0.0)))
        solution[some] = grids[0].unstacked(_conjugate_gradients(grids, stack, tolerance), mask.shape)
    return solution


def _conjugate_gradients(grids: list[Grid], residual: FloatField, tolerance: float) -> FloatField:
    """The solution, stacked; ``residual`` is what is wanted at first, and is used up. Every plane has its own steps."""
    grid = grids[0]
    solution, direction, image = (np.zeros_like(residual) for _ in range(3))
    curvature = np.zeros(grid.planes)
    for _ in range(_MOST_ITERATIONS):
        correction = cycle(grids, residual)
        if not grid.pinned:
            _remove_mean(grid, correction)
        if cv2.norm(correction, cv2.NORM_INF) <= tolerance:
            break
        _add(grid, direction, -_ratio(_products(grid, correction, image), curvature), correction, direction)
        _apply(grid, direction, image)
        curvature = _products(grid, direction, image)
        step = _ratio(_products(grid, direction, residual), curvature)
        _add(grid, direction, step, solution, solution)
        _add(grid, image, -step, residual, residual)
    return np.asarray(cv2.add(solution, correction, solution), dtype=np.float32)


def _apply(grid: Grid, values: FloatField, image: FloatField) -> None:
    """The equations' left side; not by way of ``inverse``, whose rounding is the same everywhere and adds up."""
    grid.filter(values, image)
    cv2.multiply(values, grid.diagonal, grid.scratch)
    cv2.subtract(grid.scratch, image, image)
    cv2.multiply(image, grid.mask, image)


def _products(grid: Grid, left: FloatField, right: FloatField) -> Numbers:
    """Scalar products."""
    cv2.multiply(left, right, grid.scratch)
    return np.array([cv2.sumElems(plane)[0] for plane in grid.planes_of(grid.scratch)])


def _ratio(above: Numbers, below: Numbers) -> Numbers:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def _add(grid: Grid, values: FloatField, weights: Numbers, to: FloatField, out: FloatField) -> None:
    """``out = to + weight * values``, each plane with its own weight."""
    planes = (grid.planes_of(values), grid.planes_of(to), grid.planes_of(out))
    for weight, plane, other, result in zip(weights, *planes, strict=True):
        cv2.scaleAdd(plane, float(weight), other, result)


def _remove_mean(grid: Grid, values: FloatField) -> None:
    pixels = float(np.count_nonzero(grid.inside))
    for plane, mask in zip(grid.planes_of(values), grid.planes_of(grid.mask), strict=True):
        cv2.scaleAdd(mask, -cv2.sumElems(plane)[0] / pixels, plane, plane)
