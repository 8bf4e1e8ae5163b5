"""Statistics of labelled defects: area, pieces, elongation and contrast, of one dataset or of two side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.formats.mvtec import read_defects, read_labelled
from defectsynth.images import AnyImage, Mask, luminance

__all__ = [
    "MEASURES",
    "QUANTILES",
    "Comparison",
    "Measure",
    "Measures",
    "Summary",
    "compare",
    "dataset_measures",
    "elongation_of",
    "measure_defect",
    "summarise",
]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_RING = 0.02  # width of the surroundings that contrast is taken against, of the picture's side


@dataclass(frozen=True, slots=True)
class Measure:
    """One number that every defect has.

    Attributes:
        name: its key.
        meaning: one line, with its unit.
        logarithmic: whether it spans orders of magnitude.
    """

    name: str
    meaning: str
    logarithmic: bool


MEASURES = (
    Measure("area", "pixels of the mask, as a fraction of the picture's", True),
    Measure("components", "8-connected pieces of the mask", False),
    Measure("elongation", "longer over shorter axis of the largest piece (square root of its second moments' ratio)", True),
    Measure("contrast", "difference of mean brightness between the mask and a ring around it, of full scale", False),
)


@dataclass(frozen=True, slots=True)
class Summary:
    """Quantiles (``QUANTILES``) of one measure over one dataset."""

    count: int
    quantiles: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return self.quantiles[2]

    def holds(self, value: float) -> bool:
        """Whether a value lies within the interquartile range."""
        return self.quantiles[1] <= value <= self.quantiles[3]


Measures = dict[str, npt.NDArray[np.float64]]
"""By measure: its value for every defect of a dataset, arrays of one length."""
Comparison = dict[str, tuple[Summary, Summary | None]]
"""By measure: the summary of a dataset, and of another beside it."""


def measure_defect(image: AnyImage, mask: Mask) -> dict[str, float]:
    """The measures of one picture: ``image (H, W[, C])`` and its ``mask (H, W)``, which is not empty."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    return {
        "area": float(np.count_nonzero(mask)) / mask.size,
        "components": float(count - 1),
        "elongation": elongation_of(labels == largest),
        "contrast": _contrast(luminance(image), mask),
    }


def dataset_measures(root: Path, kinds: Sequence[str] | None = None) -> Measures:
    """Every measure of every defect of a dataset in the MVTec AD layout, or of some kinds of it: arrays of one length, by name.

    Raises:
        ImageError: the folder holds no defects, a file cannot be read, or a mask is empty or of another size than its picture.
    """
    rows = [measure_defect(*read_labelled(picture)) for picture in read_defects(root) if kinds is None or picture.kind in kinds]
    return {measure.name: np.array([row[measure.name] for row in rows]) for measure in MEASURES}


def summarise(values: npt.NDArray[np.float64]) -> Summary:
    """Quantiles of one measure."""
    return Summary(len(values), tuple(float(value) for value in np.quantile(values, QUANTILES)))


def compare(own: Measures, other: Measures | None = None) -> Comparison:
    """The summary of every measure of a dataset, and of another beside it."""
    return {name: (summarise(values), None if other is None else summarise(other[name])) for name, values in own.items()}


def elongation_of(piece: npt.NDArray[np.bool_]) -> float:
    """Longer over shorter axis of the set pixels, from 1: the square root of their second moments' ratio."""
    y, x = np.nonzero(piece)
    pixel = 1.0 / 12.0  # a pixel is a square, not a point: a single one has elongation 1
    spread_y, spread_x = float(y.var()) + pixel, float(x.var()) + pixel
    together = float(((y - y.mean()) * (x - x.mean())).mean())
    middle, half = (spread_y + spread_x) / 2, np.hypot((spread_y - spread_x) / 2, together)
    return float(np.sqrt((middle + half) / max(middle - half, pixel)))


def _contrast(brightness: npt.NDArray[np.float32], mask: Mask) -> float:
    width = max(1, round(_RING * np.sqrt(mask.size)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
    ring = (cv2.dilate(mask, kernel) != 0) & (mask == 0)
    if not ring.any():
        return 0.0
    return abs(float(brightness[mask != 0].mean()) - float(brightness[ring].mean()))


def as_rows(comparison: Comparison) -> Iterable[dict[str, object]]:
    """Plain values for JSON: a row per measure."""
    for name, (own, other) in comparison.items():
        row: dict[str, object] = {"measure": name, "count": own.count, "quantiles": list(own.quantiles)}
        if other is not None:
            row |= {"against_count": other.count, "against_quantiles": list(other.quantiles)}
            row |= {
                "median_ratio": own.median / other.median if other.median else None,
                "median_in_iqr": other.holds(own.median),
            }
        yield row
