"""The score: how far the defects of one folder are from the real ones of another, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from defectsynth.errors import InputError
from defectsynth.rng import address
from defectsynth.scoring.appearance import appearance_features
from defectsynth.scoring.backbone import Backbone
from defectsynth.scoring.defects import Copies, DefectSet, read_set
from defectsynth.scoring.distances import wasserstein
from defectsynth.scoring.two_sample import HALVES, Sides, halves, tell_apart
from defectsynth.statistics import MEASURES, Measure

__all__ = ["Floor", "MeasureDistance", "PictureScore", "Score", "SetSummary", "TwoSampleTest", "score"]

Values = npt.NDArray[np.float64]
Progress = Callable[[int, int], None]

HAND_MADE = "made by hand"
"""The name of the features of ``appearance.py``."""
AT_MOST = 400
"""Defects of each set that are used, drawn from a larger one; chosen here: more change an AUROC by less than its interval."""
_SIZES_DIFFER = 1.1  # ratio of the pictures' sides that is worth a note
_RECUR = 0.9  # share of different defects below which it is worth one
_DIGITS = 6  # of what is reported: the last bits of a matrix product are the machine's


@dataclass(frozen=True, slots=True)
class SetSummary:
    """What was compared.

    Attributes:
        folder: the dataset.
        kinds: the kinds of its defects.
        found: defects of these kinds.
        used: how many of them were used.
        distinct: how many different defects they show (exposures of one part show one).
        side: median over the pictures of the square root of their area, in pixels.
    """

    folder: str
    kinds: tuple[str, ...]
    found: int
    used: int
    distinct: int
    side: float


@dataclass(frozen=True, slots=True)
class MeasureDistance:
    """One statistic of both sets.

    Attributes:
        name: its key in ``statistics.MEASURES``.
        logarithmic: whether distance and spread are of its natural logarithm.
        real_median, synthetic_median: the middle values.
        median_ratio: synthetic over real; None where the real median is 0.
        distance: Wasserstein's distance between the two distributions.
        real_spread: standard deviation of the real ones.
        distance_in_real_spreads: one over the other; None where all real ones are equal.
        floor_in_real_spreads: the same of one half of the real set against the other, mean over the halvings.
    """

    name: str
    logarithmic: bool
    real_median: float
    synthetic_median: float
    median_ratio: float | None
    distance: float
    real_spread: float
    distance_in_real_spreads: float | None
    floor_in_real_spreads: float | None


@dataclass(frozen=True, slots=True)
class Floor:
    """The same test between two random halves of the real set: what "cannot be told apart" looks like with these pictures.

    Attributes:
        mean, low, high: AUROC over the halvings: mean, lowest, highest.
        halvings: how many there were.
    """

    mean: float
    low: float
    high: float
    halvings: int


@dataclass(frozen=True, slots=True)
class TwoSampleTest:
    """A classifier's attempt to tell synthetic from real, out of fold.

    Attributes:
        features: what it sees.
        columns: how many numbers that is.
        auroc: 0.5 cannot be told apart, 1 always can; below 0.5 is noise around 0.5.
        interval: 95 %, bootstrap over the defects.
        floor: the yardstick.
    """

    features: str
    columns: int
    auroc: float
    interval: tuple[float, float]
    floor: Floor


@dataclass(frozen=True, slots=True)
class PictureScore:
    """How synthetic one picture looked to the appearance test, which had not seen it.

    Attributes:
        name: the picture's path within its folder.
        kind: the kind of its defect.
        probability: of being synthetic, out of fold; 0.5 is undecided, both sets counting equally.
    """

    name: str
    kind: str
    probability: float


@dataclass(frozen=True, slots=True)
class Score:
    """How far synthetic defects are from real ones.

    Attributes:
        real, synthetic: what was compared.
        measures: a row per statistic.
        shape: the test that sees the masks alone.
        appearance: the test that sees the defects against their surroundings.
        real_pictures, synthetic_pictures: the appearance test's opinion of each, the least synthetic first.
        notes: what else may have been told apart, or limits the numbers.
        folds, seed: how it was asked.
    """

    real: SetSummary
    synthetic: SetSummary
    measures: tuple[MeasureDistance, ...]
    shape: TwoSampleTest
    appearance: TwoSampleTest
    real_pictures: tuple[PictureScore, ...]
    synthetic_pictures: tuple[PictureScore, ...]
    notes: tuple[str, ...]
    folds: int
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, six decimals; the same text for the same pictures and the same seed."""
        return _plain(self)


def score(
    real: Path,
    synthetic: Path,
    *,
    kinds: Sequence[str] | None = None,
    synthetic_kinds: Sequence[str] | None = None,
    weights: Path | None = None,
    backbone: str = "tf_efficientnet_lite0",
    copies: Copies = "together",
    seed: int = 0,
    folds: int = 5,
    at_most: int = AT_MOST,
    progress: Progress | None = None,
) -> Score:
    """Compares the defects of two folders in the MVTec AD layout.

    Args:
        real: real defects.
        synthetic: synthetic ones.
        kinds: of the real ones, only these kinds; all if None.
        synthetic_kinds: the same for the synthetic ones.
        weights: a state dict of ``backbone``; without it the appearance is measured by features made by hand.
        backbone: a network of timm.
        copies: ``together`` keeps synthetic defects that were made from one real example in one fold (``copies.py``), as the
            pictures of one real defect are; ``apart`` takes them for different ones.
        seed: of every division into folds and halves.
        folds: of the cross-validation, 2 or more.
        at_most: defects of each set that are used; larger sets are thinned out by ``seed``.
        progress: called with (pictures read, pictures in all) for each set, and so for the network.

    Raises:
        InputError: too few different defects for ``folds``, an unknown kind, a missing package, unusable weights.
        ImageError: a folder without defects, a file that cannot be read, a mask that is empty or of another size.
    """
    address("seed", seed)
    _check_counts(folds, at_most)
    network = None if weights is None else Backbone(weights, backbone)
    sets = (
        read_set(real, kinds, at_most, seed, 300, progress),
        read_set(synthetic, synthetic_kinds, at_most, seed, 301, progress, copies),
    )
    _check_enough(sets[0], "real", folds, in_each=2)
    _check_enough(sets[1], "synthetic", folds, in_each=1)
    divisions = halves(sets[0].groups, HALVES, seed)
    shape, _ = _test("shape of the mask", tuple(_shapes(one) for one in sets), sets, divisions, folds, seed)
    looks = tuple(_looks(one, network, progress) for one in sets)
    name = network.name if network else HAND_MADE
    appearance, probabilities = _test(name, looks, sets, divisions, folds, seed)
    return Score(
        real=_summary(sets[0]),
        synthetic=_summary(sets[1]),
        measures=tuple(_distance(measure, *sets, divisions) for measure in MEASURES),
        shape=shape,
        appearance=appearance,
        real_pictures=_ranked(sets[0], probabilities[: len(sets[0].defects)]),
        synthetic_pictures=_ranked(sets[1], probabilities[len(sets[0].defects) :]),
        notes=tuple(_notes(*sets)),
        folds=folds,
        seed=seed,
    )


def _check_counts(folds: int, at_most: int) -> None:
    if folds < 2:
        raise InputError(f"folds is {folds}: a cross-validation needs at least 2")
    if at_most < 2 * folds:
        raise InputError(f"at_most is {at_most}: {folds} folds need at least {2 * folds} defects of each set")


def _check_enough(one: DefectSet, what: str, folds: int, in_each: int) -> None:
    """Every fold needs ``in_each`` different defects: two of the real ones, since each half of them needs one."""
    if one.distinct >= in_each * folds:
        return
    shown = f"{len(one.defects)} defects" + (f", {one.distinct} different ones" if one.distinct < len(one.defects) else "")
    most = one.distinct // in_each
    way_out = f"give more, or folds={most}" if most >= 2 else f"give at least {2 * in_each}"
    if what == "synthetic" and one.distinct < len(one.defects):
        way_out += ', or take copies of one example for different ones (copies="apart", --copies apart)'
    raise InputError(
        f"the {what} set {str(one.root)!r} has {shown}: {folds} folds need at least {in_each * folds} different ones; {way_out}"
    )


# --- features -------------------------------------------------------------------------------------------------------------


def _shapes(one: DefectSet) -> Values:
    return np.stack([defect.shape for defect in one.defects])


def _looks(one: DefectSet, network: Backbone | None, progress: Progress | None) -> Values:
    views = [defect.view for defect in one.defects]
    if network is None:
        return np.stack([appearance_features(view) for view in views])
    return network.features(views, progress)


# --- tests ----------------------------------------------------------------------------------------------------------------


def _test(
    name: str,
    features: tuple[Values, ...],
    sets: tuple[DefectSet, DefectSet],
    divisions: Sequence[npt.NDArray[np.int64]],
    folds: int,
    seed: int,
) -> tuple[TwoSampleTest, Values]:
    """The test between the sets, its yardstick, and the probabilities of the rows, the real ones first."""
    labels = np.repeat(np.arange(2), [len(one.defects) for one in sets])
    groups = np.concatenate([sets[0].groups, sets[1].groups + sets[0].distinct])
    verdict = tell_apart(Sides(np.concatenate(features), labels, groups), folds, seed)
    areas = [tell_apart(Sides(features[0], division, sets[0].groups), folds, seed, repeats=1).auroc for division in divisions]
    floor = Floor(float(np.mean(areas)), min(areas), max(areas), len(areas))
    return TwoSampleTest(name, features[0].shape[1], verdict.auroc, verdict.interval, floor), verdict.probabilities


def _distance(
    measure: Measure, real: DefectSet, synthetic: DefectSet, divisions: Sequence[npt.NDArray[np.int64]]
) -> MeasureDistance:
    values = (real.measure(measure.name), synthetic.measure(measure.name))
    medians = [float(np.median(one)) for one in values]
    scaled = tuple(np.log(one) if measure.logarithmic else one for one in values)
    spread, distance = float(scaled[0].std()), wasserstein(*scaled)
    floor = float(np.mean([wasserstein(scaled[0][half == 0], scaled[0][half == 1]) for half in divisions]))
    return MeasureDistance(
        name=measure.name,
        logarithmic=measure.logarithmic,
        real_median=medians[0],
        synthetic_median=medians[1],
        median_ratio=medians[1] / medians[0] if medians[0] else None,
        distance=distance,
        real_spread=spread,
        distance_in_real_spreads=distance / spread if spread else None,
        floor_in_real_spreads=floor / spread if spread else None,
    )


# --- reporting ------------------------------------------------------------------------------------------------------------


def _summary(one: DefectSet) -> SetSummary:
    return SetSummary(str(one.root), one.kinds, one.found, len(one.defects), one.distinct, one.side)


def _ranked(one: DefectSet, probabilities: Values) -> tuple[PictureScore, ...]:
    rows = [
        PictureScore(one.name_of(defect), defect.picture.kind, float(probability))
        for defect, probability in zip(one.defects, probabilities, strict=True)
    ]
    return tuple(sorted(rows, key=lambda row: (round(row.probability, _DIGITS), row.name)))


def _notes(real: DefectSet, synthetic: DefectSet) -> list[str]:
    notes = []
    for one, what in ((real, "real"), (synthetic, "synthetic")):
        if one.found > len(one.defects):
            notes.append(f"{len(one.defects)} of the {one.found} {what} defects were used, drawn by the seed")
        if one.distinct < _RECUR * len(one.defects):
            notes.append(
                f"the {len(one.defects)} {what} pictures show about {one.distinct} different defects: pictures of one are kept "
                "in one fold, and drawn together for the interval"
            )
    larger, smaller = max(real.side, synthetic.side), min(real.side, synthetic.side)
    if larger > _SIZES_DIFFER * smaller:
        notes.append(
            f"the pictures differ in size (side {real.side:.0f} pixels real, {synthetic.side:.0f} synthetic): where one set "
            "shows the parts larger, that alone can be told apart; bring both to one scale first"
        )
    notes += _differences(real, synthetic)
    return notes


def _differences(real: DefectSet, synthetic: DefectSet) -> list[str]:
    notes = []
    coloured = [np.mean([defect.coloured for defect in one.defects]) > 0.5 for one in (real, synthetic)]
    if coloured[0] != coloured[1]:
        which = ("real", "synthetic") if coloured[0] else ("synthetic", "real")
        notes.append(f"the {which[0]} pictures are coloured and the {which[1]} ones are grey: that alone can be told apart")
    lossy = [np.mean([defect.lossy for defect in one.defects]) > 0.5 for one in (real, synthetic)]
    if lossy[0] != lossy[1]:
        which = ("real", "synthetic") if lossy[0] else ("synthetic", "real")
        notes.append(
            f"the {which[0]} pictures were compressed with loss and the {which[1]} ones were not: "
            "traces of that can be told apart"
        )
    return notes


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return round(float(value), _DIGITS)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return value
