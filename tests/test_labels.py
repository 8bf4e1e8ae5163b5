"""Labels: what the defect map is by each rule, what stays painted, and the pieces that are counted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from conftest import DTYPES, picture
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from defectsynth import AnomalySample, AnomalySynthesizer, Plan, Recipe
from defectsynth.errors import RecipeError
from defectsynth.images import to_float
from defectsynth.labels import LOWEST, Label
from defectsynth.rng import Draws

SIDE = st.integers(1, 90)
INDEX = st.integers(0, 2**40)
LABELS: dict[str, dict[str, Any]] = {
    "degree": {},
    "degree, tolerance": {"tolerance": 0.08},
    "binary": {"kind": "binary"},
    "binary, tolerance": {"kind": "binary", "tolerance": 0.08},
    "factor": {"kind": "factor"},
    "intensity": {"kind": "intensity"},
    "logistic": {"kind": "logistic", "steepness": 0.25, "midpoint": 12},
}


def recipe(label: dict[str, Any] | None = None, **changes: Any) -> Recipe:
    """Two kinds that overlap: one whose source is the product itself but for a part of it, and a plain one."""
    mask = {"kind": "perlin", "area_range": [0.1, 0.6], "cells_range": [1, 8]}
    tone = {"shift_range": [0.2, 0.3], "match_range": [1, 1]}
    kinds = {
        name: {
            "mask": mask,
            "source": {"kind": "procedural", "tone": {**tone, "gain_range": gain}},
            "blend": {"kind": "linear", "opacity_range": [0.3, 1], "edge_range": [0, 0.1]},
        }
        for name, gain in (("plain", [0.1, 0.1]), ("rough", [1, 3]))
    }
    return Recipe.from_mapping(
        {
            "name": "labels",
            "foreground": "none",
            "kinds": kinds,
            "anomalies_per_image_range": [1, 3],
            "min_difference": 0.004,
            "label": label or {},
            **changes,
        }
    )


def mean_change(sample: AnomalySample) -> np.ndarray:
    """``(H, W)``: the change of each pixel, the mean over its channels, as a fraction of full scale."""
    change = np.abs(to_float(sample.image) - to_float(sample.normal)).reshape(*sample.mask.shape, -1)
    return change.mean(axis=2, dtype=np.float32)


def median(values: np.ndarray, size: int) -> np.ndarray:
    """The median of 255 levels over squares of ``size`` pixels; borders are repeated."""
    levels = np.pad(np.rint(values * 255), size // 2, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(levels, (size, size))
    return np.median(windows, axis=(2, 3)).astype(np.float32) / np.float32(255)


def plainly(sample: AnomalySample, synth: AnomalySynthesizer) -> AnomalySample:
    """The same plan, labelled by the weight of the source."""
    return synth.paint(sample.normal, sample.plan.model_copy(update={"label": Label()}))


# --- laws -----------------------------------------------------------------------------------------------------------------


@given(SIDE, SIDE, st.sampled_from([None, 1, 3, 5]), st.sampled_from(DTYPES), INDEX, st.sampled_from(list(LABELS)))
def test_laws_of_every_label(height, width, channels, dtype, index, label):
    image = picture((height, width) if channels is None else (height, width, channels), dtype)
    synth = AnomalySynthesizer(recipe(LABELS[label]), seed=2)
    sample = synth(image, index=index)
    assert sample.is_anomalous
    assert sample.defect_map.dtype == np.float32
    assert sample.defect_map.min() >= 0
    assert sample.defect_map.max() <= 1
    assert ((sample.mask != 0) == (sample.defect_map > 0)).all()
    assert ((sample.kinds != 0) == (sample.mask != 0)).all()
    assert (sample.image[sample.mask == 0] == image[sample.mask == 0]).all()
    again = synth.paint(image, Plan.from_json(sample.plan.to_json()))  # the label is in the plan
    for name in ("image", "mask", "defect_map", "kinds"):
        assert getattr(again, name).tobytes() == getattr(sample, name).tobytes()


@given(SIDE, SIDE, INDEX, st.sampled_from(list(LABELS)))
def test_pieces_cover_the_mask_and_never_mix_kinds(height, width, index, label):
    sample = AnomalySynthesizer(recipe(LABELS[label]), seed=2)(picture((height, width, 3)), index=index)
    covered = np.zeros(sample.mask.shape, int)
    for piece in sample.pieces():
        top, left, bottom, right = piece.box
        window = slice(top, bottom), slice(left, right)
        assert piece.mask.any(axis=1).all()  # the box is as small as can be
        assert piece.mask.any(axis=0).all()
        assert piece.pixels == np.count_nonzero(piece.mask) > 0
        assert (sample.kinds[window][piece.mask != 0] == piece.anomaly + 1).all()
        assert piece.kind == sample.plan.anomalies[piece.anomaly].kind
        covered[window] += piece.mask != 0
    assert (covered == (sample.mask != 0)).all()  # every pixel once


# --- each rule ------------------------------------------------------------------------------------------------------------


@pytest.fixture(params=range(3))
def painted(request: pytest.FixtureRequest):
    """Samples of one plan by any label, 256 x 256, and the one by the weight of the source."""
    image, plain = picture((256, 256, 3)), AnomalySynthesizer(recipe(), seed=2)
    sample = plain(image, index=request.param)

    def by(**label: Any) -> AnomalySample:
        return plain.paint(image, sample.plan.model_copy(update={"label": Label(**label)}))

    return by, sample


def test_degree_is_the_weight_of_the_source(painted):
    by, plain = painted
    left = math.prod(1 - anomaly.blend.opacity for anomaly in plain.plan.anomalies)
    assert plain.defect_map.max() <= 1 - left + 1e-4
    if len(plain.plan.anomalies) == 1:
        assert plain.defect_map.max() == pytest.approx(1 - left, abs=1e-4)
    assert by().defect_map.tobytes() == plain.defect_map.tobytes()


def test_binary_is_one_wherever_the_weight_is_above_zero(painted):
    by, plain = painted
    assert (by(kind="binary").defect_map == (plain.defect_map > 0)).all()
    assert (by(kind="binary").image == plain.image).all()


def test_factor_is_the_weight_where_the_picture_changed(painted):
    by, plain = painted
    changed = mean_change(plain) > 0
    assert (by(kind="factor").defect_map == np.where(changed, plain.defect_map, 0)).all()
    assert (by(kind="factor").image == plain.image).all()  # what did not change needs no restoring


def test_intensity_is_the_median_of_the_change(painted):
    by, _ = painted
    sample = by(kind="intensity")
    inside = sample.mask != 0
    expected = np.maximum(median(mean_change(sample), 9), LOWEST)  # 9 pixels at 256 x 256
    assert np.abs(sample.defect_map - expected)[inside].max() < 1e-6
    assert sample.defect_map[inside].min() >= LOWEST


def test_logistic_puts_the_median_through_a_sigmoid(painted):
    by, _ = painted
    sample = by(kind="logistic", steepness=1 / 12, midpoint=24)
    inside = sample.mask != 0
    levels = median(mean_change(sample), 9).astype(np.float64) * 255
    expected = np.maximum(1 / (1 + np.exp(-(levels - 24) / 12)), LOWEST)
    assert np.abs(sample.defect_map - expected)[inside].max() < 1e-6


@pytest.mark.parametrize("kind", ["degree", "binary", "intensity"])
def test_what_changes_too_little_is_no_defect_and_gets_the_product_back(painted, kind):
    by, plain = painted
    tolerance = float(np.quantile(mean_change(plain)[plain.mask != 0], 0.4))
    sample = by(kind=kind, tolerance=tolerance)
    changed = mean_change(plain) > np.float32(tolerance)
    most_around = median(changed / 255.0, 5) * 255 > 0.5  # of the 25 pixels around it
    kept = (plain.defect_map > 0) & (changed | most_around)
    assert ((sample.mask != 0) == kept).all()
    assert np.count_nonzero(sample.mask) < np.count_nonzero(plain.mask)
    assert (sample.image[~kept] == sample.normal[~kept]).all()
    assert (sample.image[kept] == plain.image[kept]).all()
    assert not sample.kinds[~kept].any()


@pytest.mark.parametrize("kind", ["intensity", "logistic"])
def test_smoothed_labels_leave_out_changes_of_one_level(painted, kind):
    by, plain = painted
    assert ((by(kind=kind).mask != 0) == (by(kind="binary", tolerance=1 / 255).mask != 0)).all()
    with pytest.raises(ValidationError):
        Label(kind=kind, tolerance=1.0)
    assert not (by(kind=kind).mask[plain.mask == 0]).any()


def test_a_tolerance_that_nothing_reaches_leaves_a_normal_picture(painted):
    by, _ = painted
    sample = by(tolerance=0.99)
    assert not sample.is_anomalous
    assert (sample.image == sample.normal).all()
    assert sample.pieces() == []


def test_a_label_at_its_default_is_not_written_into_the_plan():
    image = picture((40, 40, 3))
    assert "label" not in AnomalySynthesizer(recipe(), seed=1)(image).plan.to_dict()
    written = AnomalySynthesizer(recipe({"kind": "binary"}), seed=1)(image).plan.to_dict()
    assert written["label"] == {"kind": "binary"}


def test_a_label_changes_no_other_draw():
    image = picture((64, 64, 3))
    plans = [AnomalySynthesizer(recipe(label), seed=6)(image, index=4).plan for label in (None, {"kind": "binary"})]
    assert plans[0].anomalies == plans[1].anomalies


# --- how many -------------------------------------------------------------------------------------------------------------


def test_numbers_of_anomalies_follow_their_weights():
    weights = [0.5, 0.0, 0.3, 0.2]
    counts = {"anomalies_per_image_range": [2, 5], "anomalies_per_image_weights": weights}
    weighted, even = AnomalySynthesizer(recipe(**counts), seed=9), AnomalySynthesizer(recipe(), seed=9)
    drawn = [weighted._draw_count(Draws(9, index)) for index in range(2000)]  # before any plan is refused
    assert np.abs(np.bincount(drawn, minlength=6) / 2000 - [0, 0, *weights]).max() < 0.04
    drawn = [even._draw_count(Draws(9, index)) for index in range(2000)]
    assert np.abs(np.bincount(drawn, minlength=4) / 2000 - [0, 1 / 3, 1 / 3, 1 / 3]).max() < 0.04
    plan = weighted.plan(picture((90, 90)), index=3)
    assert len(plan.anomalies) in (2, 4, 5)


@pytest.mark.parametrize("weights", [[1], [1, 2, 3], [1, -1], [0, 0]])
def test_weights_that_do_not_fit_their_range(weights):
    with pytest.raises(RecipeError, match=r"must be 2 numbers from 0, one for each of anomalies_per_image_range \[1, 2\]"):
        recipe(anomalies_per_image_range=[1, 2], anomalies_per_image_weights=weights)
