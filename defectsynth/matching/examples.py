"""Measuring a handful of real defects: size, shape, place, contrast, and how sharply they begin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.banks import Defect, DefectBank
from defectsynth.images import Mask, luminance, to_rgb8
from defectsynth.masks.border import cut_offs
from defectsynth.masks.placement import axis_of, depth_of, distance_from
from defectsynth.statistics import elongation_of

__all__ = ["Example", "measure_bank", "measure_example"]

_RING = 6.0  # pixels beyond the outline that count as surroundings, at least
_RING_SHARE = 0.02  # of the picture's side
_ROUND = 1.6  # an elongation below which an axis says little
_ITSELF = 0.5  # share of a foreground that is defect from which it is no product (bottles broken most: 0.42)
_FAINT = 0.1  # share of the contrast that nobody marks
_FARTHEST = 4  # pixels beyond the outline where a rim is looked for
_TRANSITION = 2.0  # pixels beyond the rim over which an example goes over into the product


@dataclass(frozen=True, slots=True)
class Example:
    """One real defect.

    Attributes:
        kind: its folder.
        name: ``<kind>/<stem>`` in its bank.
        area: pixels of the mask, as a fraction of the foreground's.
        pieces: 8-connected pieces.
        elongation: of the largest piece, from 1.
        angle: axis of the largest piece, degrees anticlockwise in [0, 180), from the foreground's own axis where that has one;
            None where the piece is nearly round.
        depth: of its centre in the foreground, 0 at the edge to 1 where that is deepest.
        along: where it lies along the foreground's axis, 0 to 1; None where that has none, or fills the picture.
        outside: share of its pixels that lie outside of what was found to be the product.
        at_edge: whether it touches the product's edge.
        at_border: whether the picture's border cuts it off.
        around: brightness of its surroundings, as a fraction of full scale.
        contrast: brightness of the defect less that of its surroundings, as a fraction of full scale.
        begins: share of the contrast that is there in the outermost pixel of the mask: 1 for an outline drawn on the defect,
            0 for one drawn well outside it.
        halo: how far beyond the outline it can still be seen, as a fraction of the picture's side.
    """

    kind: str
    name: str
    area: float
    pieces: int
    elongation: float
    angle: float | None
    depth: float
    along: float | None
    outside: float
    at_edge: bool
    at_border: bool
    around: float
    contrast: float
    begins: float
    halo: float


def measure_bank(bank: DefectBank, kinds: Sequence[str] | None = None) -> list[Example]:
    """Every defect of a bank, or those of some of its kinds; the others are not read.

    Raises:
        SourceError: a picture cannot be read, or its mask is empty or of another size; the message names the file.
    """
    names = [name for name in bank.names if kinds is None or name.partition("/")[0] in kinds]
    return [measure_example(name, bank.load(name)) for name in names]


def measure_example(name: str, defect: Defect) -> Example:
    """One defect; ``name`` is ``<kind>/<stem>``."""
    product = _product(defect)
    region = np.full(defect.mask.shape, 255, dtype=np.uint8) if product is None else np.maximum(product, defect.mask)
    axis = None if region.all() else axis_of(region)  # a texture's long side is that of its picture: it means nothing
    _, labels, stats, centres = cv2.connectedComponentsWithStats(defect.mask, connectivity=8)
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    piece = labels == largest
    elongation, profile = elongation_of(piece), _profile(defect)
    row, column = _nearest_pixel(centres[largest], piece.shape)
    return Example(
        kind=name.partition("/")[0],
        name=name,
        area=float(np.count_nonzero(defect.mask)) / float(np.count_nonzero(region)),
        pieces=len(stats) - 1,
        elongation=elongation,
        angle=None if elongation < _ROUND else (_axis_angle(piece) - (axis.angle if axis else 0.0)) % 180.0,
        depth=float(depth_of(region)[row, column]),
        along=None if axis is None else float(axis.along(region)[row, column]),
        outside=0.0 if product is None else float((product[defect.mask != 0] == 0).mean()),
        at_edge=product is not None and bool((product[_widened(defect.mask)] == 0).any()),
        at_border=bool(cut_offs(defect.mask)),
        around=profile.around,
        contrast=profile.contrast,
        begins=profile.begins,
        halo=min(1.0, profile.halo / math.sqrt(defect.mask.size)),
    )


def _product(defect: Defect) -> Mask | None:
    """Where the product is; None where that is not certain, or where a defect on a plain surface was taken for a product."""
    found = defect.foreground
    return None if found is None or float((defect.mask[found != 0] != 0).mean()) > _ITSELF else found


def _widened(mask: Mask) -> npt.NDArray[np.bool_]:
    """The mask and the two pixels around it."""
    return cv2.dilate(mask, np.ones((5, 5), dtype=np.uint8)) != 0


def _nearest_pixel(centre: npt.NDArray[np.float64], shape: tuple[int, ...]) -> tuple[int, int]:
    """(row, column) of a centre (x, y)."""
    row, column = round(float(centre[1])), round(float(centre[0]))
    return min(max(row, 0), shape[0] - 1), min(max(column, 0), shape[1] - 1)


def _axis_angle(piece: npt.NDArray[np.bool_]) -> float:
    """Degrees anticlockwise, in [0, 180), of the longer axis (rows point down)."""
    y, x = np.nonzero(piece)
    spread_x, spread_y = float(x.var()), float(y.var())
    together = float(((x - x.mean()) * (y - y.mean())).mean())
    return -math.degrees(0.5 * math.atan2(2.0 * together, spread_x - spread_y)) % 180.0


@dataclass(frozen=True, slots=True)
class _Profile:
    """How brightness goes from the surroundings into a defect; ``halo`` in pixels."""

    around: float
    contrast: float
    begins: float
    halo: float


def _profile(defect: Defect) -> _Profile:
    brightness = luminance(to_rgb8(defect.rgb))
    distance = distance_from(defect.mask)
    reach = max(_RING, _RING_SHARE * math.sqrt(defect.mask.size))
    outside, inside = (distance < -2.0) & (distance >= -reach - 2.0), defect.mask != 0
    around = float(np.median(brightness[outside])) if outside.any() else float(brightness.mean())
    contrast = float(brightness[inside].mean()) - around
    begins = _share(brightness[(distance > 0) & (distance <= 1)], around, contrast)
    beyond = [
        _share(brightness[(distance > -step - 1) & (distance <= -step)], around, contrast) for step in range(1, _FARTHEST)
    ]
    seen = next((step for step, share in enumerate(beyond) if share < _FAINT), len(beyond))
    return _Profile(around, contrast, min(begins, 1.0), float(seen + _TRANSITION))


def _share(values: npt.NDArray[np.float32], around: float, contrast: float) -> float:
    """How much of the contrast some pixels show; 0 where there are none, or no contrast."""
    if values.size == 0 or abs(contrast) < 1 / 255:
        return 0.0
    return max(0.0, (float(values.mean()) - around) / contrast)
