"""Ranges from a handful of values: the spread of the examples, shrunk towards a prior, as wide as a uniform draw needs.

With n examples the variance is ``(n0 v0 + sum of squares) / (n0 + n - 1)``: the prior counts as ``n0 = 3`` examples, so that
one example takes the prior's spread and twenty their own (the posterior mean of a variance under an inverse-gamma prior).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from defectsynth.recipe import Recipe

__all__ = [
    "PRIOR_COUNT",
    "bounded_range",
    "directed",
    "mean_axis",
    "prior_spread",
    "rounded",
    "shrunk_range",
    "shrunk_spread",
    "spread_of_angles",
    "varied_scale",
]

PRIOR_COUNT = 3.0
_UNIFORM = math.sqrt(3.0)  # half the width of a uniform distribution over its deviation


def prior_spread(recipe: Recipe) -> float:
    """Deviation of the logarithm of a defect's area within one kind: the mean over a recipe's kinds."""
    widths = [
        (math.log(kind.mask.area_range[1] / kind.mask.area_range[0]), kind.weight)
        for kind in recipe.kinds.values()
        if kind.mask.area_range is not None
    ]
    return sum(width * weight for width, weight in widths) / sum(weight for _, weight in widths) / (2.0 * _UNIFORM)


def shrunk_spread(values: Sequence[float], prior: float) -> float:
    """Deviation of values, shrunk towards a prior's."""
    squares = float(((np.asarray(values) - np.mean(values)) ** 2).sum())
    return math.sqrt((PRIOR_COUNT * prior**2 + squares) / (PRIOR_COUNT + len(values) - 1))


def varied_scale(areas: Sequence[float], prior: float) -> tuple[float, float]:
    """By how much each example's size is varied: less the more examples already show how sizes spread.

    A size is the square root of an area; n examples leave about ``1 / sqrt(n)`` of the spread between them, and half of that
    is taken, because a picture that is magnified much shows it (what is drawn instead has the whole spread).
    """
    deviation = shrunk_spread(np.log(areas).tolist(), prior) / math.sqrt(len(areas)) / 4.0
    return rounded(math.exp(-_UNIFORM * deviation)), rounded(math.exp(_UNIFORM * deviation))


def shrunk_range(values: Sequence[float], prior: float) -> tuple[float, float]:
    """A range of sizes in (0, 1] around the examples' middle one, as wide as a log-uniform draw of their spread needs."""
    logs = np.log(values)
    middle, half = float(np.median(logs)), _UNIFORM * shrunk_spread(logs.tolist(), prior)
    return rounded(math.exp(middle - half)), rounded(min(1.0, math.exp(middle + half)))


def bounded_range(values: Sequence[float], least_margin: float) -> tuple[float, float]:
    """From the smallest to the largest value in [0, 1], wider on both sides by their deviation; of one value: anywhere."""
    if len(values) < 2:
        return 0.0, 1.0
    margin = max(least_margin, float(np.std(values)) / math.sqrt(len(values) - 1))
    return rounded(max(0.0, min(values) - margin)), rounded(min(1.0, max(values) + margin))


def spread_of_angles(angles: Sequence[float]) -> float | None:
    """Deviation in degrees of axes (angles modulo 180), or None where they point anywhere (Rayleigh's test, 20 %)."""
    doubled = np.radians(2.0 * np.asarray(angles))
    length = float(np.hypot(np.cos(doubled).mean(), np.sin(doubled).mean())) if len(angles) else 0.0
    if len(angles) < 2 or math.exp(-len(angles) * length**2) > 0.2:
        return None
    return math.degrees(math.sqrt(-2.0 * math.log(min(1.0, length)))) / 2.0  # rounding may take equal axes above 1


def mean_axis(angles: Sequence[float]) -> float:
    """The mean of axes (angles modulo 180), degrees in [-90, 90]."""
    doubled = np.radians(2.0 * np.asarray(angles))
    return math.degrees(math.atan2(float(np.sin(doubled).mean()), float(np.cos(doubled).mean()))) / 2.0


def directed(spread: float | None) -> tuple[float, float]:
    """How far an example is turned: as far as the axes spread, at least 5 degrees; any way where they point anywhere."""
    if spread is None:
        return -180.0, 180.0
    reach = min(180.0, max(5.0, _UNIFORM * spread))
    return -rounded(reach), rounded(reach)


def rounded(value: float) -> float:
    """Three digits: a recipe is read by people."""
    return float(f"{value:.3g}")
