"""The classifier two-sample test: can a simple classifier, asked about defects that it has not seen, tell two sets apart?

Source: Lopez-Paz and Oquab, *Revisiting Classifier Two-Sample Tests*, ICLR 2017; here with the area under the ROC curve.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from defectsynth.extras import needed
from defectsynth.rng import words

__all__ = ["HALVES", "REPEATS", "Sides", "Verdict", "halves", "shuffled", "tell_apart"]

Values = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

REPEATS = 3
"""How often the folds are drawn again, so that no single division decides; chosen here."""
HALVES = 10
"""How often the real set is divided into two halves for the yardstick; chosen here."""
_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # C of the logistic regression; chosen inside the training folds
_INNER_FOLDS = 3
_FARTHEST = 5.0  # deviations at which a standardised feature is cut
_STEADY = 1e-9  # deviation, of the mean, below which a column does not vary
_RESAMPLES = 1000
_TAIL = 0.025
_CERTAIN = 1e-6  # probabilities are kept this far from 0 and 1 in a logarithm


@dataclass(frozen=True, slots=True)
class Sides:
    """Two sets of defects, one row each.

    Attributes:
        features: ``(n, d)`` float64.
        labels: ``(n,)`` 0 or 1; the test is of label 1.
        groups: ``(n,)``; rows of one group show one defect and are never in two folds. A group has one label.
    """

    features: Values
    labels: Labels
    groups: Labels


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a cross-validated test gives.

    Attributes:
        auroc: 0.5 where the sets cannot be told apart, 1 where they always are; the share of pairs in one fold, one of
            each label, that are in the right order, over all folds and repeats.
        interval: the middle 95 % of 1000 bootstrap resamples of the defects (of groups, where some show one defect).
        probabilities: ``(n,)`` of label 1, out of fold, the mean over the repeats.
    """

    auroc: float
    interval: tuple[float, float]
    probabilities: Values


def tell_apart(sides: Sides, folds: int, seed: int, *, repeats: int = REPEATS) -> Verdict:
    """The test: an L2 logistic regression that weighs the labels equally, on standardised features and their squares.

    Everything that is fitted (means, axes, the strength of the penalty) is fitted in the training folds.

    Raises:
        InputError: scikit-learn is missing.
    """
    regression = needed("sklearn.linear_model", "score", "a score").LogisticRegression
    one_thread = needed("threadpoolctl", "score", "a score").threadpool_limits
    shape = np.count_nonzero(sides.labels == 1), np.count_nonzero(sides.labels == 0)
    right, pairs, scores = np.zeros(shape), np.zeros(shape), np.zeros(len(sides.labels))
    for repeat in range(repeats):
        fold = _folds(sides, folds, seed, repeat)
        with one_thread(limits=1):  # small matrices: more threads are slower, and sum in another order
            found = _out_of_fold(regression, sides, fold, seed)
        scores += found / repeats
        ordered, together = _pairs(found, fold, sides.labels)
        right, pairs = right + ordered, pairs + together
    auroc, interval = _area(right, pairs, sides, seed)
    return Verdict(auroc, interval, scores)


def halves(groups: Labels, count: int, seed: int) -> list[Labels]:
    """``count`` divisions of a set into two halves, ``(n,)`` 0 or 1, of nearly equal numbers of groups; a group stays whole."""
    number = int(groups.max()) + 1
    orders = (shuffled(number, seed, 100 + draw) for draw in range(count))
    return [(np.argsort(order)[groups] < number // 2).astype(np.int64) for order in orders]


def shuffled(count: int, seed: int, tag: int) -> Labels:
    """The numbers below ``count`` in an order that depends on nothing but ``seed`` and ``tag``."""
    return np.argsort(words(seed, (1, count), tag)[0], kind="stable").astype(np.int64)


# --- folds ----------------------------------------------------------------------------------------------------------------


def _folds(sides: Sides, folds: int, seed: int, tag: int) -> Labels:
    """``(n,)``: the fold of each row. Groups go, in random order, to the fold that has the fewest rows of their label."""
    numbers, sizes = np.unique(sides.groups, return_counts=True)
    label_of = dict(zip(sides.groups.tolist(), sides.labels.tolist(), strict=True))
    filled, fold_of = np.zeros((2, folds), dtype=np.int64), {}
    for place in shuffled(len(numbers), seed, tag).tolist():
        label = label_of[int(numbers[place])]
        chosen = int(np.argmin(filled[label] + filled[1 - label] * 1e-6))
        fold_of[int(numbers[place])] = chosen
        filled[label, chosen] += sizes[place]
    return np.array([fold_of[int(group)] for group in sides.groups], dtype=np.int64)


def _out_of_fold(regression: Any, sides: Sides, fold: Labels, seed: int) -> Values:
    """``(n,)``: the probability of label 1 of each row, by a classifier that has not seen its fold."""
    scores = np.zeros(len(fold))
    for held in np.unique(fold):
        train, test = fold != held, fold == held
        seen = Sides(sides.features[train], sides.labels[train], sides.groups[train])
        columns, asked = _prepared(seen.features, sides.features[test])
        strength = _strength(regression, Sides(columns, seen.labels, seen.groups), seed)
        scores[test] = _probability(regression, columns, seen.labels, asked, strength)
    return scores


def _strength(regression: Any, seen: Sides, seed: int) -> float:
    """The C with the least cross-entropy (labels weighted equally) in folds of the training rows."""
    fold = _folds(seen, _INNER_FOLDS, seed, 50)
    losses = np.zeros(len(_STRENGTHS))
    for held in np.unique(fold):
        train, test = fold != held, fold == held
        if len(np.unique(seen.labels[train])) < 2:
            continue
        for place, strength in enumerate(_STRENGTHS):
            found = _probability(regression, seen.features[train], seen.labels[train], seen.features[test], strength)
            losses[place] += _cross_entropy(found, seen.labels[test])
    return _STRENGTHS[int(np.argmin(losses))]


def _prepared(seen: Values, asked: Values) -> tuple[Values, Values]:
    """Both standardised by the training rows, with their squares, and turned onto the principal axes of the training rows.

    The squares let a straight border see that one set is more varied than the other. The turn loses nothing that the
    regression could use: columns become as few as there are training rows.
    """
    seen, asked = _standardised(seen, asked)
    seen, asked = _standardised(np.concatenate([seen, seen**2], axis=1), np.concatenate([asked, asked**2], axis=1))
    if seen.shape[1] > seen.shape[0]:
        axes = np.linalg.svd(seen, full_matrices=False)[2]
        seen, asked = seen @ axes.T, asked @ axes.T
    return seen, asked


def _standardised(seen: Values, asked: Values) -> tuple[Values, Values]:
    """Mean 0 and deviation 1 in the training rows, cut at 5; a column that does not vary there is 0 everywhere."""
    mean, deviation = seen.mean(axis=0), seen.std(axis=0)
    varies = deviation > _STEADY * (np.abs(mean) + 1)
    scale = np.where(varies, deviation, 1.0)
    first, second = (np.where(varies, (part - mean) / scale, 0.0) for part in (seen, asked))
    return np.clip(first, -_FARTHEST, _FARTHEST), np.clip(second, -_FARTHEST, _FARTHEST)


def _probability(regression: Any, seen: Values, labels: Labels, asked: Values, strength: float) -> Values:
    if not seen.any():  # nothing varies: nothing can be told
        return np.full(len(asked), 0.5)
    with warnings.catch_warnings():  # where Newton's line search ends early, scikit-learn goes on with another solver
        warnings.simplefilter("ignore", needed("sklearn.exceptions", "score", "a score").ConvergenceWarning)
        fitted = regression(C=strength, class_weight="balanced", solver="newton-cholesky").fit(seen, labels)
    return np.asarray(fitted.predict_proba(asked)[:, 1], dtype=np.float64)


def _cross_entropy(found: Values, labels: Labels) -> float:
    clipped = np.clip(found, _CERTAIN, 1 - _CERTAIN)
    losses = -np.log(np.where(labels == 1, clipped, 1 - clipped))
    return sum(float(losses[labels == label].mean()) for label in (0, 1) if (labels == label).any())


# --- the area under the curve ---------------------------------------------------------------------------------------------


def _pairs(scores: Values, fold: Labels, labels: Labels) -> tuple[Values, Values]:
    """``(positives, negatives)``: whether a pair is in the right order (a tie is half), and whether it is in one fold.

    Pairs of different folds do not count: their scores come from different classifiers.
    """
    ones, zeros = labels == 1, labels == 0
    together = (fold[ones][:, None] == fold[zeros][None, :]).astype(np.float64)
    difference = scores[ones][:, None] - scores[zeros][None, :]
    return together * (0.5 + 0.5 * np.sign(difference)), together


def _area(right: Values, pairs: Values, sides: Sides, seed: int) -> tuple[float, tuple[float, float]]:
    weights = [_resampled(sides.groups[sides.labels == label], seed, 200 + label) for label in (1, 0)]
    numerator = np.einsum("bi,bi->b", weights[0] @ right, weights[1])
    denominator = np.einsum("bi,bi->b", weights[0] @ pairs, weights[1])
    drawn = numerator[denominator > 0] / denominator[denominator > 0]
    low, high = (float(value) for value in np.quantile(drawn, (_TAIL, 1 - _TAIL)))
    return float(right.sum() / pairs.sum()), (low, high)


def _resampled(groups: Labels, seed: int, tag: int) -> Values:
    """``(1000, n)``: how often each row is drawn; the groups are drawn with replacement, each with all its rows."""
    _, place = np.unique(groups, return_inverse=True)
    count = int(place.max()) + 1
    drawn = (words(seed, (_RESAMPLES, count), tag).astype(np.uint64) * np.uint64(count)) >> np.uint64(32)
    times = np.stack([np.bincount(row.astype(np.int64), minlength=count) for row in drawn])
    return times[:, place].astype(np.float64)
