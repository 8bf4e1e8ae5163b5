"""A rectangular patch on the object: the mask of NSA, and with other settings that of FPI and PII.

Sources: Schlueter et al., *Natural Synthetic Anomalies*, ECCV 2022, ``hmsch/natural-synthetic-anomalies``
``self_sup_data/self_sup_tasks.py`` (how) and ``train_mvtec.py`` (its constants); Tan et al., ``jemtan/FPI``
``self_sup_task.py`` and ``jemtan/PII`` ``self_sup_task_poisson.py``. NSA tries 200 places and then leaves the picture as it
was; here the places that are allowed are counted and one of them is drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from defectsynth.banks import Banks
from defectsynth.images import Mask, positions_of
from defectsynth.masks.base import MASK_PARAMS, MASKS, MaskParams
from defectsynth.masks.shapes import OnePiece, SideRange, offsets, rectangle_field, to_fit, whole_pixels
from defectsynth.noise import FloatField
from defectsynth.rng import Draws
from defectsynth.spec import FractionRange, PositiveRange

__all__ = ["Patch", "PatchParams"]

Counts = npt.NDArray[np.int64]
Ends = npt.NDArray[np.intp]


@MASK_PARAMS.register
class PatchParams(MaskParams):
    """What was drawn for a patch.

    Attributes:
        height, width: as fractions of the picture's side.
        place: which of the allowed places it has, a number in [0, 1): row by row.
        whole: whether it lies wholly inside the picture; otherwise what hangs over the border is cut off.
        centre_range: where its centre may lie along both axes, as fractions of the picture's height and width.
        min_overlap: least share of the patch that lies on the ROI.
    """

    kind: Literal["patch"] = "patch"
    height: float = Field(gt=0.0, le=2.0)
    width: float = Field(gt=0.0, le=2.0)
    place: float = Field(ge=0.0, lt=1.0)
    whole: bool = True
    centre_range: FractionRange = (0.0, 1.0)
    min_overlap: float = Field(default=0.25, ge=0.0, le=1.0)

    def field(self, roi: Mask, banks: Banks) -> FloatField:
        """Nearness, in about pixels; each level set is a rectangle of the same aspect."""
        sides = self._sides(roi)
        top, left = self._corner(roi, sides)
        whole = (0, roi.shape[0]), (0, roi.shape[1])
        return rectangle_field(*offsets(whole, (top + (sides[0] - 1) / 2, left + (sides[1] - 1) / 2)), sides)

    def above_zero(self, roi: Mask, banks: Banks) -> Mask:
        """See ``MaskParams.above_zero``: the patch."""
        sides = self._sides(roi)
        top, left = self._corner(roi, sides)
        mask = np.zeros_like(roi)
        mask[max(0, top) : max(0, top + sides[0]), max(0, left) : max(0, left + sides[1])] = 255
        return mask

    def _sides(self, roi: Mask) -> tuple[int, int]:
        """(height, width) in pixels; with ``area`` of that area and of the same aspect."""
        side = math.sqrt(roi.size)
        if self.area is not None:
            side = math.sqrt(self.area * int(np.count_nonzero(roi)) / (self.height * self.width))
        sides = (self.height * side, self.width * side)
        return whole_pixels(to_fit(sides, (roi.shape[0], roi.shape[1])) if self.whole else sides)

    def _corner(self, roi: Mask, sides: tuple[int, int]) -> tuple[int, int]:
        """(top, left) of the patch at one of the places where it lies on the ROI enough, or else as far as it can."""
        rows, columns = (_spans(size, side, self.centre_range, self.whole) for size, side in zip(roi.shape, sides, strict=True))
        on_roi = _counts(roi, rows, columns)
        allowed = positions_of(on_roi >= self._enough(rows, columns))
        if not allowed.size:
            allowed = positions_of(on_roi == on_roi.max())
        row, column = divmod(int(allowed[int(self.place * allowed.size)]), columns.first.size)
        return int(rows.first[row]), int(columns.first[column])

    def _enough(self, rows: _Spans, columns: _Spans) -> int | npt.NDArray[np.float64]:
        """Least pixels of the ROI at each place; one number where the patch is as large at all of them."""
        if self.whole or self.min_overlap == 0.0:
            return max(1, math.ceil(self.min_overlap * int(rows.lengths[0] * columns.lengths[0])))
        return np.maximum(1, np.ceil(self.min_overlap * (rows.lengths[:, None] * columns.lengths[None, :])))


@MASKS.register
class Patch(OnePiece):
    """What may be drawn for a patch.

    The order is NSA's: half of each side is drawn; with ``shift`` the patch ends where the picture ends that it is cut out of;
    it is resized, and set down. For FPI and PII: ``half_width_range`` (0.05, 0.2), ``half_width_gamma`` None, ``square``,
    ``scale_range`` None, not ``shift``, ``centre_range`` (0.1, 0.9), ``min_overlap`` 0.

    Attributes:
        half_width_range: limits of half of the patch's width, as a fraction of the picture's side. NSA: (0.03, 0.4), with other
            numbers for some products (screw: (0.03, 0.12)).
        half_height_range: the same for its height; None takes those of the width.
        half_width_gamma: (shape, scale, offset) of the gamma distribution that half of each side is drawn from before it is
            limited; the shape is whole, 1 to 4. None draws it uniformly. NSA: (2, 0.05, 0.03).
        square: one draw for both sides. NSA: false; FPI and PII: true.
        scale_range: limits of the resize. NSA: (0.7, 1.3), for textures (0.5, 2). None leaves the patch as it was cut. As in
            NSA's code, the limits of the half sides hold for the whole sides after it.
        scale_normal: (mean, deviation) of the resize before it is limited; None draws it uniformly. NSA: (1, 0.5).
        shift: true: cut out anywhere and set down wholly inside the picture (NSA); false: set down where it was cut out, with
            what hangs over the picture's border cut off (FPI, PII).
        centre_range: where its centre may lie along both axes, as fractions of the picture's height and width. FPI and PII:
            (0.1, 0.9).
        min_overlap: least share of the patch that lies on the ROI; where no place has that, the places with most. NSA: 0.25,
            and 0.25 to 0.7, by product, of the patch as it is cut out.
    """

    kind: Literal["patch"] = "patch"
    half_width_range: SideRange = (0.03, 0.4)
    half_height_range: SideRange | None = None
    half_width_gamma: tuple[Annotated[int, Field(ge=1, le=4)], Annotated[float, Field(gt=0.0, le=1.0)], float] | None = (
        2,
        0.05,
        0.03,
    )
    square: bool = False
    scale_range: PositiveRange | None = (0.7, 1.3)
    scale_normal: tuple[float, Annotated[float, Field(ge=0.0)]] | None = (1.0, 0.5)
    shift: bool = True
    centre_range: FractionRange = (0.0, 1.0)
    min_overlap: float = Field(default=0.25, ge=0.0, le=1.0)

    @model_validator(mode="after")
    def _one_half_side(self) -> Patch:
        if self.square and self.half_height_range is not None:
            raise ValueError(f"half_height_range {list(self.half_height_range)}: leave it out, a square has one half side")
        return self

    def draw(self, draws: Draws, banks: Banks) -> PatchParams:
        """The parameters of one patch."""
        height, width = self._draw_sides(draws)
        return PatchParams.drawn(
            height=round(height, 6),
            width=round(width, 6),
            place=draws.uniform("place", (0.0, 0.999999)),
            whole=self.shift,
            centre_range=self.centre_range,
            min_overlap=self.min_overlap,
            **self.draw_controls(draws),
        )

    @property
    def _limits(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Of the height, of the width."""
        return self.half_height_range or self.half_width_range, self.half_width_range

    def _draw_sides(self, draws: Draws) -> tuple[float, float]:
        height, width = (self._draw_side(draws, axis) for axis in (0, 1))
        if self.square:
            height = width
        return (height, width) if self.scale_range is None else self._resized(height, width, self._draw_scale(draws))

    def _draw_side(self, draws: Draws, axis: int) -> float:
        """A whole side, as it is cut out."""
        low, high = self._limits[axis]
        if self.half_width_gamma is None:
            half = draws.uniform("half_side", (low, high), slot=axis)
        else:
            shape, scale, offset = self.half_width_gamma
            half = min(max(offset + draws.gamma("half_side", shape, scale, slot=axis), low), high)
        if not self.shift:
            return 2.0 * half
        edge = min(low, 0.5)
        centre = draws.uniform("cut_out_at", (edge, 1.0 - edge), slot=axis)
        return min(centre + half, 1.0) - max(centre - half, 0.0)

    def _draw_scale(self, draws: Draws) -> float:
        bounds = self.scale_range or (1.0, 1.0)
        if self.scale_normal is None:
            return draws.uniform("scale", bounds)
        return draws.normal("scale", self.scale_normal, bounds)

    def _resized(self, height: float, width: float, scale: float) -> tuple[float, float]:
        """Both sides scaled, then limited one after the other with the aspect kept, as far as the limits let it."""
        of_height, of_width = self._limits
        aspect = width / height
        height = _clip(scale * height, of_height)
        width = _clip(height * aspect, of_width)
        return _clip(width / aspect, of_height), width


@dataclass(frozen=True, slots=True)
class _Spans:
    """Where a patch may lie along one axis."""

    first: Ends  # of the patch; below 0 where it hangs over the border
    start: Ends  # of the part inside the picture
    end: Ends

    @property
    def lengths(self) -> Counts:
        return (self.end - self.start).astype(np.int64)


def _spans(size: int, side: int, centre_range: tuple[float, float], whole: bool) -> _Spans:
    """The places along an axis of ``size`` pixels with the centre in ``centre_range``; moved inside if it must be whole."""
    low = min(math.floor(centre_range[0] * size), size - 1)
    start, end = low - side // 2, max(low + 1, math.ceil(centre_range[1] * size)) - side // 2
    if whole:
        last = max(0, size - side)
        start, end = min(max(start, 0), last), min(max(end - 1, 0), last) + 1
    first = np.arange(start, end)
    return _Spans(first, np.clip(first, 0, size), np.clip(first + side, 0, size))


def _counts(roi: Mask, rows: _Spans, columns: _Spans) -> Counts:
    """``(rows, columns)``: pixels of the ROI under the patch at each place."""
    total = cv2.integral((roi != 0).view(np.uint8), sdepth=cv2.CV_32S)
    strips = total[_in_turn(rows.end)] - total[_in_turn(rows.start)]
    return strips[:, _in_turn(columns.end)] - strips[:, _in_turn(columns.start)]


def _in_turn(places: Ends) -> slice | Ends:
    """Places that follow one another as a slice, which copies nothing."""
    first, last = int(places[0]), int(places[-1])
    return slice(first, last + 1) if last - first + 1 == places.size else places


def _clip(value: float, bounds: tuple[float, float]) -> float:
    return min(max(value, bounds[0]), bounds[1])
