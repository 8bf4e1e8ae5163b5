"""How well image scores and anomaly maps tell defects from the good: areas under curves, overlap, F1, and their intervals.

A metric that is not defined (no defects, no masks, no normal pixels) is None: neither 0 nor NaN.

Sources: average precision as in scikit-learn; AUPRO: Bergmann et al., *Uninformed Students*, CVPR 2020, up to a false positive
rate of 0.3; pieces of masks are 8-connected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from defectsynth.rng import words
from lkad_models.counting import Counts, PicturePixels, PixelCounts, Values, count_scores, even_groups, floors_of

__all__ = [
    "FPR_LIMIT",
    "RESAMPLES",
    "Best",
    "Metric",
    "Metrics",
    "aupro",
    "auroc",
    "average_precision",
    "f1_max",
    "measure",
    "overlap_curve",
    "precision_recall_curve",
    "roc_curve",
]

FPR_LIMIT = 0.3
"""False positive rate up to which AUPRO is integrated; Bergmann et al. 2020."""
RESAMPLES = 1000
"""Of the bootstrap; chosen."""
_TAIL = 0.025  # on either side of a 95 % interval
_COARSE = 2048  # levels of a resample
_AT_ONCE = 64  # resamples


class Best(NamedTuple):
    """The highest F1, and the lowest score that counts as anomalous there."""

    f1: float
    threshold: float


# --- metrics --------------------------------------------------------------------------------------------------------------


def auroc(counts: Counts) -> float | None:
    """Area under the ROC curve: how often a positive is above a negative, a tie being half; None without either."""
    return _defined(counts, _auroc)


def average_precision(counts: Counts) -> float | None:
    """Precision, averaged over steps of recall, as in scikit-learn; None without positives or without negatives."""
    return _defined(counts, _average_precision)


def f1_max(counts: Counts) -> Best | None:
    """The highest harmonic mean of precision and recall over all thresholds; None without positives or without negatives."""
    if not _both(counts):
        return None
    f1 = _f1(counts)
    best = int(np.argmax(f1))
    return Best(float(f1[best]), float(counts.thresholds[best]))


def aupro(pixels: PixelCounts, limit: float = FPR_LIMIT) -> float | None:
    """Area under the per-region overlap against the false positive rate up to ``limit``, divided by it.

    None without masks, or where every pixel is anomalous.
    """
    return float(_aupro(pixels, limit)) if _both(pixels.counts) else None


def roc_curve(counts: Counts) -> tuple[Values, Values]:
    """False and true positive rate, ascending from (0, 0) to (1, 1); both kinds must be there."""
    return _rising(counts.negatives) / counts.negatives.sum(), _rising(counts.positives) / counts.positives.sum()


def precision_recall_curve(counts: Counts) -> tuple[Values, Values]:
    """Recall, ascending, and precision at it; both kinds must be there."""
    hits, alarms = _rising(counts.positives)[1:], _rising(counts.negatives)[1:]
    return hits / hits[-1], hits / (hits + alarms)


def overlap_curve(pixels: PixelCounts, limit: float = FPR_LIMIT) -> tuple[Values, Values]:
    """False positive rate, ascending from 0 to ``limit``, and the mean overlap of the pieces at it."""
    rate = _rising(pixels.counts.negatives) / pixels.counts.negatives.sum()
    overlap = _rising(pixels.overlaps) / pixels.pieces
    end = int(np.searchsorted(rate, limit))  # the first of those at the limit: what rises there is beyond it
    last = np.interp(limit, rate[end - 1 : end + 1], overlap[end - 1 : end + 1])
    return np.append(rate[:end], limit), np.append(overlap[:end], last)


def _defined(counts: Counts, metric: Callable[[Counts], Values]) -> float | None:
    return float(metric(counts)) if _both(counts) else None


def _both(counts: Counts) -> bool:
    return bool(counts.positives.sum() > 0 and counts.negatives.sum() > 0)


def _rising(values: Values) -> Values:
    """``(..., L + 1)``: how many are at or above each threshold, the highest first, beginning with none."""
    summed = np.cumsum(values[..., ::-1], axis=-1, dtype=np.float64)
    return np.concatenate([np.zeros_like(summed[..., :1]), summed], axis=-1)


def _auroc(counts: Counts) -> Values:
    """``(...,)``."""
    hits, alarms = _rising(counts.positives), _rising(counts.negatives)
    return np.asarray(_area(alarms, hits) / (alarms[..., -1] * hits[..., -1]))


def _average_precision(counts: Counts) -> Values:
    hits, alarms = _rising(counts.positives), _rising(counts.negatives)
    precision = hits[..., 1:] / np.maximum(hits[..., 1:] + alarms[..., 1:], 1e-300)
    return np.asarray((np.diff(hits, axis=-1) * precision).sum(axis=-1) / hits[..., -1])


def _f1(counts: Counts) -> Values:
    """``(..., L)``: at each threshold, in their order."""
    hits, alarms = _rising(counts.positives), _rising(counts.negatives)
    found = 2.0 * hits[..., 1:] / (hits[..., 1:] + alarms[..., 1:] + hits[..., -1:])
    return np.asarray(found[..., ::-1])


def _best_f1(counts: Counts) -> Values:
    return np.asarray(_f1(counts).max(axis=-1))


def _aupro(pixels: PixelCounts, limit: float = FPR_LIMIT) -> Values:
    alarms = _rising(pixels.counts.negatives)
    rate = alarms / alarms[..., -1:]
    overlap = _rising(pixels.overlaps) / np.asarray(pixels.pieces)[..., None]
    wide = np.diff(rate, axis=-1)
    share = np.clip((limit - rate[..., :-1]) / np.where(wide > 0, wide, 1.0), 0.0, 1.0)  # of each step, how much lies below
    reached = overlap[..., :-1] + share * np.diff(overlap, axis=-1)
    return np.asarray((share * wide * (overlap[..., :-1] + reached) / 2.0).sum(axis=-1) / limit)


def _area(x: Values, y: Values) -> Values:
    return np.asarray((np.diff(x, axis=-1) * (y[..., 1:] + y[..., :-1]) / 2.0).sum(axis=-1))


# --- all of them, with intervals --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric and its 95 % interval.

    Attributes:
        value: None where it is not defined.
        low, high: of the interval; None where there are fewer than two pictures to draw from.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Metrics:
    """What is reported of a test set, or of one kind of defect against the normal pictures.

    Attributes:
        image_auroc, image_ap, image_f1: of image scores.
        pixel_auroc, pixel_ap, pixel_f1, aupro: of anomaly maps, at the size of the masks.
        image_f1_threshold, pixel_f1_threshold: the lowest score that counts as anomalous where F1 is highest.
    """

    image_auroc: Metric
    image_ap: Metric
    image_f1: Metric
    pixel_auroc: Metric
    pixel_ap: Metric
    pixel_f1: Metric
    aupro: Metric
    image_f1_threshold: float | None
    pixel_f1_threshold: float | None

    def named(self) -> dict[str, Metric]:
        """Those that are metrics, by name."""
        found: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in found.items() if isinstance(value, Metric)}


def measure(
    scores: npt.ArrayLike,
    labels: npt.ArrayLike,
    pixels: PixelCounts | None = None,
    pictures: Sequence[PicturePixels] = (),
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Metrics:
    """Every metric, with intervals by bootstrap: pictures are drawn with replacement, normal ones and defective ones apart.

    Args:
        scores, labels: ``(n,)``, one for each picture; see ``count_scores``.
        pixels: the pixels of all pictures; None without masks.
        pictures: the pixels of each picture, ``thinned`` or not, for the intervals; none for none at pixels.
        resamples: how often they are drawn; 0 for no intervals.
        seed: of the draws; the same draws for the same seed and numbers of pictures.
    """
    found, defective = np.asarray(scores, dtype=np.float64), np.asarray(labels).astype(bool)
    counts = count_scores(found, defective)
    times = _resampled(defective, resamples, seed)
    at_images = _intervals(times, lambda some: _image_metrics(some, found, defective))
    at_pixels: dict[str, tuple[float, float]] = {}
    if pixels is not None and len(pictures) and len(times) and _both(pixels.counts):
        rows = _coarse(pictures, pixels.counts)
        pieces = np.array([float(picture.pieces) for picture in pictures])
        at_pixels = _intervals(times, lambda some: _pixel_metrics(some, rows, pieces))
    image_f1, pixel_f1 = f1_max(counts), None if pixels is None else f1_max(pixels.counts)
    values = {
        "image_auroc": auroc(counts),
        "image_ap": average_precision(counts),
        "image_f1": image_f1 and image_f1.f1,
        "pixel_auroc": pixels and auroc(pixels.counts),
        "pixel_ap": pixels and average_precision(pixels.counts),
        "pixel_f1": pixel_f1 and pixel_f1.f1,
        "aupro": pixels and aupro(pixels),
    }
    intervals = at_images | at_pixels
    return Metrics(
        **{name: _metric(value, intervals.get(name)) for name, value in values.items()},
        image_f1_threshold=image_f1 and image_f1.threshold,
        pixel_f1_threshold=pixel_f1 and pixel_f1.threshold,
    )


def _metric(value: float | None, interval: tuple[float, float] | None) -> Metric:
    return Metric() if value is None else Metric(value, *(interval or (None, None)))


def _resampled(defective: npt.NDArray[np.bool_], resamples: int, seed: int) -> Values:
    """``(R, n)``: how often each picture is drawn; no rows where one of the two kinds has fewer than two pictures."""
    times = np.zeros((resamples, len(defective)))
    for tag, chosen in enumerate((np.flatnonzero(defective), np.flatnonzero(~defective))):
        count = len(chosen)
        if count < 2:
            return times[:0]
        drawn = (words(seed, (resamples, count), tag).astype(np.uint64) * np.uint64(count)) >> np.uint64(32)
        for row, places in zip(times, drawn.astype(np.int64), strict=True):
            row[chosen] = np.bincount(places, minlength=count)
    return times


def _intervals(times: Values, metrics: Callable[[Values], dict[str, Values]]) -> dict[str, tuple[float, float]]:
    """The middle 95 % of each metric over all resamples, which are taken some at once to bound the memory."""
    if not len(times):
        return {}
    parts = [metrics(times[start : start + _AT_ONCE]) for start in range(0, len(times), _AT_ONCE)]
    found = {}
    for name in parts[0]:
        low, high = np.quantile(np.concatenate([part[name] for part in parts]), (_TAIL, 1.0 - _TAIL))
        found[name] = (float(low), float(high))
    return found


def _image_metrics(times: Values, scores: Values, defective: npt.NDArray[np.bool_]) -> dict[str, Values]:
    """Of ``(r, n)`` draws; pictures of one score are one level."""
    thresholds, place = np.unique(scores, return_inverse=True)
    level = np.zeros((len(scores), len(thresholds)))
    level[np.arange(len(scores)), place.ravel()] = 1.0
    counts = Counts(thresholds, (times * defective) @ level, (times * ~defective) @ level)
    return {"image_auroc": _auroc(counts), "image_ap": _average_precision(counts), "image_f1": _best_f1(counts)}


def _coarse(pictures: Sequence[PicturePixels], counts: Counts) -> npt.NDArray[np.float32]:
    """``(3, n, C)``: negatives, positives and overlaps of each picture, by levels that share those of all pictures evenly."""
    edges = counts.thresholds[even_groups(counts.negatives, counts.positives, _COARSE)]
    rows = np.zeros((3, len(pictures), len(edges)), dtype=np.float32)
    for number, picture in enumerate(pictures):
        place = np.maximum(np.searchsorted(edges, floors_of(picture.levels.astype(np.int64)), side="right") - 1, 0)
        for row, own in zip(rows, (picture.negatives, picture.positives, picture.overlaps), strict=True):
            row[number] = np.bincount(place, own, len(edges))
    return rows


def _pixel_metrics(times: Values, rows: npt.NDArray[np.float32], pieces: Values) -> dict[str, Values]:
    negatives, positives, overlaps = (times.astype(np.float32) @ row for row in rows)
    counts = Counts(np.arange(rows.shape[2], dtype=np.float64), positives, negatives)
    return {
        "pixel_auroc": _auroc(counts),
        "pixel_ap": _average_precision(counts),
        "pixel_f1": _best_f1(counts),
        "aupro": _aupro(PixelCounts(counts, overlaps, times @ pieces)),
    }
