"""Metrics: against scikit-learn, against a slow AUPRO that is plainly right, against anomalib; what is not defined is None."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from defectsynth import rng
from defectsynth.errors import InputError
from lkad_models import counting, metrics
from lkad_models.counting import PixelTotals, count_pixels, count_scores
from lkad_models.metrics import (
    aupro,
    auroc,
    average_precision,
    f1_max,
    measure,
    overlap_curve,
    precision_recall_curve,
    roc_curve,
)


def uniform(seed: int, shape: tuple[int, int]) -> np.ndarray:
    return rng.words(seed, shape).astype(np.float64) / 2.0**32


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return (1.0 / (1.0 + np.exp(-logits))).astype(np.float32)


def pair(seed: int, shape: tuple[int, int] = (64, 80), separation: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """A map as a trained network gives it, most of it near 0, and a mask of several pieces, some touching by a corner."""
    mask = np.zeros(shape, np.uint8)
    for number in range(1 + seed % 4):
        row, column = (uniform(seed + 100 * number, (1, 2))[0] * (shape[0] - 12, shape[1] - 12)).astype(int)
        mask[row : row + 4 + number, column : column + 9] = 255
        mask[row + 4 + number, column + 9] = 255  # joined by a corner: still one piece
    noise = cv2.GaussianBlur(uniform(seed, shape), (0, 0), 1.5) * 30.0 - 22.0
    return sigmoid(noise + separation * (mask > 0)), mask


def totals_of(pairs: list[tuple[np.ndarray, np.ndarray | None]]) -> PixelTotals:
    totals = PixelTotals()
    for one in pairs:
        totals.add(count_pixels(*one))
    return totals


# --- image scores -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=40))
def test_scores_and_ties_are_those_of_scikit_learn(rows):
    scores, labels = np.array([row[0] for row in rows]) / 6.0, np.array([row[1] for row in rows])
    counts = count_scores(scores, labels)
    if labels.all() or not labels.any():
        assert auroc(counts) is None and average_precision(counts) is None and f1_max(counts) is None
        return
    assert auroc(counts) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert average_precision(counts) == pytest.approx(average_precision_score(labels, scores), abs=1e-12)
    best = f1_max(counts)
    assert best.f1 == pytest.approx(max(f1_score(labels, scores >= threshold) for threshold in np.unique(scores)))
    assert best.f1 == pytest.approx(f1_score(labels, scores >= best.threshold))


def test_curves_begin_and_end_where_they_must():
    counts = count_scores([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    false, true = roc_curve(counts)
    assert (false[0], true[0], false[-1], true[-1]) == (0.0, 0.0, 1.0, 1.0)
    recall, precision = precision_recall_curve(counts)
    assert recall.tolist() == [0.5, 0.5, 1.0, 1.0]
    assert precision == pytest.approx([1.0, 0.5, 2 / 3, 0.5])


@pytest.mark.parametrize(("scores", "labels", "said"), [([0.1, np.nan], [0, 1], "NaN"), ([0.1], [0, 1], "1 scores and 2")])
def test_scores_that_cannot_be_are_refused(scores, labels, said):
    with pytest.raises(InputError, match=said):
        count_scores(scores, labels)


# --- levels -----------------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=60))
def test_levels_keep_the_order_and_every_value(values):
    ordered = np.sort(np.array(values, np.float32))
    levels = counting._levels_of(ordered[None])
    assert (np.diff(levels) >= 0).all() and levels.min() >= 0
    assert (counting.floors_of(levels.astype(np.int64)) == np.where(ordered < 2.0**-64, 0, ordered)).all()
    for wider in (3, 12):
        floors = counting.floors_of((levels.astype(np.int64) >> wider) << wider).astype(np.float32)
        assert (floors <= ordered).all()  # what is at or above the floor is what has this level or a higher one
        assert (counting._levels_of(floors[None]) >> wider == levels >> wider).all()


@pytest.mark.parametrize("separation", [0.5, 3.0, 8.0, 30.0])
@pytest.mark.parametrize("scale", [1.0, 1e-3])
@pytest.mark.parametrize("most", [2**20, 3000])
def test_levels_lose_less_than_1e_4(separation, scale, most, monkeypatch):
    monkeypatch.setattr(counting, "_MOST", most)
    pairs = [pair(seed, separation=separation) for seed in range(6)]
    pairs = [(found * np.float32(scale), mask) for found, mask in pairs]
    pixels = totals_of(pairs).counts()
    values = np.concatenate([found.ravel() for found, _ in pairs])
    labels = np.concatenate([mask.ravel() > 0 for _, mask in pairs])
    assert auroc(pixels.counts) == pytest.approx(roc_auc_score(labels, values), abs=1e-4)
    assert average_precision(pixels.counts) == pytest.approx(average_precision_score(labels, values), abs=2e-4)
    best = f1_max(pixels.counts)
    assert best.f1 == pytest.approx(f1_score(labels, values >= best.threshold), abs=1e-9)
    exact = f1_max(count_scores(values, labels))
    lost = 1e-9 if most > len(values) else 1e-3
    assert best.f1 == pytest.approx(exact.f1, abs=lost)  # one pixel more or less is 1e-4 here
    assert len(pixels.counts.thresholds) <= most


def test_maps_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="from -1"):
        count_pixels(np.full((2, 2), -1, np.float32), None)
    with pytest.raises(InputError, match="nan"):
        count_pixels(np.full((2, 2), np.nan, np.float32), None)
    with pytest.raises(InputError, match="float64"):
        count_pixels(np.zeros((2, 2)), None)
    with pytest.raises(InputError, match="size of the mask"):
        count_pixels(np.zeros((2, 2), np.float32), np.full((3, 2), 255, np.uint8))


# --- per-region overlap -----------------------------------------------------------------------------------------------------


def slow_aupro(pairs: list[tuple[np.ndarray, np.ndarray]], limit: float = 0.3) -> float:
    """Every different value of every map is a threshold; every piece is looked at by itself."""
    normal = np.concatenate([found[mask == 0] for found, mask in pairs])
    pieces = []
    for found, mask in pairs:
        number, labels = cv2.connectedComponents(mask, connectivity=8)
        pieces += [found[labels == label] for label in range(1, number)]
    rates, overlaps = [0.0], [0.0]
    values = np.unique(np.concatenate([found.ravel() for found, _ in pairs]))[::-1]
    for threshold in values:
        rates.append(float((normal >= threshold).mean()))
        overlaps.append(float(np.mean([(piece >= threshold).mean() for piece in pieces])))
        if rates[-1] > limit:
            break
    area = 0.0
    for number in range(1, len(rates)):
        left, right = rates[number - 1], rates[number]
        if left >= limit:
            break
        end = overlaps[number]
        if right > limit:
            end = overlaps[number - 1] + (end - overlaps[number - 1]) * (limit - left) / (right - left)
            right = limit
        area += (right - left) * (overlaps[number - 1] + end) / 2.0
    return area / limit


@settings(max_examples=8)
@example(53, 1.0, 0.05)  # a threshold whose rate is the limit itself
@given(st.integers(0, 500), st.sampled_from([1.0, 3.0, 6.0]), st.sampled_from([0.05, 0.3, 1.0]))
def test_aupro_is_the_slow_one(seed, separation, limit):
    pairs = [pair(seed + number, (40, 50), separation) for number in range(3)]
    pixels = totals_of(pairs).counts()
    assert aupro(pixels, limit) == pytest.approx(slow_aupro(pairs, limit), abs=1e-9)
    rate, overlap = overlap_curve(pixels, limit)
    assert rate[-1] == limit
    assert float((np.diff(rate) * (overlap[1:] + overlap[:-1]) / 2).sum()) / limit == pytest.approx(aupro(pixels, limit))


def test_a_small_piece_counts_as_much_as_a_large_one():
    mask = np.zeros((20, 40), np.uint8)
    mask[2:12, 2:12] = mask[15:17, 30:32] = 255
    found = np.zeros((20, 40), np.float32)
    found[2:12, 2:12] = 0.9
    assert aupro(totals_of([(found, mask)]).counts()) == pytest.approx(0.5 + 0.5 * 0.15)  # the other rises with chance
    found[15:17, 30:32] = 0.8
    assert aupro(totals_of([(found, mask)]).counts()) == pytest.approx(1.0)


def test_aupro_is_that_of_anomalib():
    pytest.importorskip("anomalib")
    import torch
    from anomalib.metrics.aupro import _AUPRO

    pairs = [pair(seed, (64, 64)) for seed in range(5)]
    theirs = _AUPRO()
    theirs.update(
        torch.from_numpy(np.stack([found for found, _ in pairs])),
        torch.from_numpy(np.stack([mask > 0 for _, mask in pairs])).int(),
    )
    assert aupro(totals_of(pairs).counts()) == pytest.approx(float(theirs.compute()), abs=1e-5)


# --- what is not defined, and intervals -----------------------------------------------------------------------------------


def test_what_is_not_defined_is_none():
    normal = totals_of([(pair(1)[0], None)]).counts()
    assert auroc(normal.counts) is None and aupro(normal) is None and f1_max(normal.counts) is None
    everything = totals_of([(pair(1)[0], np.full((64, 80), 255, np.uint8))]).counts()
    assert auroc(everything.counts) is None and aupro(everything) is None
    found = measure([0.1, 0.2], [0, 0], normal)
    assert all(metric.value is None and metric.low is None for metric in found.named().values())
    assert found.image_f1_threshold is None and found.pixel_f1_threshold is None
    without_masks = measure([0.1, 0.2, 0.7, 0.8], [0, 0, 1, 1])
    assert without_masks.image_auroc == metrics.Metric(1.0, 1.0, 1.0)
    assert without_masks.pixel_auroc.value is None


def measured(seed: int = 0) -> metrics.Metrics:
    pairs = [pair(number, (32, 40), 1.0) for number in range(8)]
    pairs += [(pair(number, (32, 40), 0.0)[0], None) for number in range(8)]
    pictures = [count_pixels(*one) for one in pairs]
    scores = [float(found.max()) for found, _ in pairs]
    labels = [mask is not None for _, mask in pairs]
    thinned = [picture.thinned() for picture in pictures]
    return measure(scores, labels, totals_of(pairs).counts(), thinned, resamples=300, seed=seed)


def test_intervals_hold_the_value_and_depend_on_the_seed_only():
    first = measured()
    for name, metric in first.named().items():
        assert metric.low <= metric.value <= metric.high, name
        assert 0.0 < metric.high - metric.low < 0.8, name
    assert first == measured()
    assert first.image_auroc.low != measured(1).image_auroc.low or first.aupro.low != measured(1).aupro.low


@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_a_resample_is_what_is_counted_of_its_pictures(scale):
    pairs = [pair(number, (48, 60), 2.0) for number in range(3)]
    pairs = [(np.float32(0.4) + found * np.float32(scale / 2), mask) for found, mask in pairs]
    pictures = [count_pixels(*one).thinned() for one in pairs]
    rows = metrics._coarse(pictures, totals_of(pairs).counts().counts)
    found = metrics._pixel_metrics(np.array([[2.0, 0.0, 1.0]]), rows, np.array([float(one.pieces) for one in pictures]))
    exact = totals_of([pairs[0], pairs[0], pairs[2]]).counts()
    assert float(found["pixel_auroc"][0]) == pytest.approx(auroc(exact.counts), abs=5e-4)
    assert float(found["aupro"][0]) == pytest.approx(aupro(exact), abs=2e-3)
    assert float(found["pixel_ap"][0]) == pytest.approx(average_precision(exact.counts), abs=4e-3)
    assert float(found["pixel_f1"][0]) == pytest.approx(f1_max(exact.counts).f1, abs=2e-3)
