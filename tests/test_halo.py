"""The faint rim beyond a mask: never more than ``label.outside``, replayed exactly, and nowhere without being asked for."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from conftest import picture, whole
from hypothesis import given
from hypothesis import strategies as st

from defectsynth import AnomalySample, AnomalySynthesizer, Plan, Recipe
from defectsynth.errors import RecipeError
from defectsynth.labels import Label

SIDE = st.integers(1, 90)
INDEX = st.integers(0, 2**40)
DEPTHS = {
    "uint8": (np.uint8, None),
    "12 of 16 bits": (np.uint16, 4095),
    "16 bits": (np.uint16, None),
    "float32": (np.float32, None),
}
BLENDS: dict[str, dict[str, Any]] = {
    "linear": {"edge_range": [0, 0.05]},
    "poisson": {},
    "multiply": {},
    "relief": {},
    "displacement": {},
    "blur": {},
    "shadowed": {},
}


def recipe(outside: float = 0.1, halo: tuple[float, float] = (0.02, 0.2), blend: str = "linear", **changes: Any) -> Recipe:
    """Much brighter patches than their surroundings, one or two to a picture."""
    return Recipe.from_mapping(
        {
            "name": "halo",
            "foreground": "none",
            "anomalies_per_image_range": [1, 2],
            "min_difference": 0.0,
            "label": {"outside": outside},
            "kinds": {
                "patch": {
                    "halo_range": list(halo),
                    "mask": {"kind": "perlin", "area_range": [0.02, 0.3], "cells_range": [1, 4]},
                    "source": {"kind": "procedural", "tone": {"shift_range": [0.4, 0.5], "match_range": [1, 1]}},
                    "blend": {"kind": blend, **BLENDS[blend]},
                }
            },
            **changes,
        }
    )


def canvas(shape: tuple[int, ...], depth: str) -> np.ndarray:
    """A picture that uses the scale of its camera; its brightest pixel is white."""
    dtype, white = DEPTHS[depth]
    values = picture(shape, np.float32)
    values.flat[:: max(1, values.size // 7)] = 1.0  # at the end of the scale, too
    return values if dtype == np.float32 else np.rint(values * (white or np.iinfo(dtype).max)).astype(dtype)


def change(sample: AnomalySample) -> np.ndarray:
    """``(H, W)``: the largest change of any channel, in levels or, of float32, as a fraction of full scale."""
    wide = np.float64 if sample.image.dtype == np.float32 else np.int64
    return np.abs(sample.image.astype(wide) - sample.normal.astype(wide)).reshape(*sample.mask.shape, -1).max(axis=2)


def limit(sample: AnomalySample, outside: float) -> float:
    """The largest change that is allowed, in the units of ``change``."""
    if sample.image.dtype == np.float32:
        return outside + 1e-7  # a sum and a difference of float32 in [0, 1] are right to 2^-24 each
    return outside * (sample.plan.white or np.iinfo(sample.image.dtype).max)


def reach(sample: AnomalySample) -> np.ndarray:
    """``(H, W)`` bool: the mask and what lies within the widest halo of the plan."""
    away = cv2.distanceTransform(255 - sample.mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    widest = max(anomaly.halo for anomaly in sample.plan.anomalies)
    return away <= widest * np.sqrt(sample.mask.size) * 1.02 + 0.01  # the library's distance is right to 2 %


# --- laws -----------------------------------------------------------------------------------------------------------------


@given(
    SIDE,
    SIDE,
    st.sampled_from([None, 1, 3, 4]),
    st.sampled_from(list(DEPTHS)),
    st.sampled_from(list(BLENDS)),
    st.floats(0.001, 0.5),
    INDEX,
)
def test_laws_outside_the_mask(height, width, channels, depth, blend, outside, index):
    image = canvas((height, width) if channels is None else (height, width, channels), depth)
    before = image.copy()
    synth = AnomalySynthesizer(recipe(outside, blend=blend), seed=4, white=DEPTHS[depth][1])
    sample = synth(image, index=index)
    assert (image == before).all()
    beyond = sample.mask == 0
    assert change(sample)[beyond].max(initial=0) <= limit(sample, outside)
    assert not change(sample)[~reach(sample)].any()  # what the halo does not reach stays as it is
    if depth == "12 of 16 bits":
        assert sample.image.max() <= 4095
    again = synth.paint(image, Plan.from_json(sample.plan.to_json()))
    for name in ("image", "mask", "defect_map", "kinds"):
        assert getattr(again, name).tobytes() == getattr(sample, name).tobytes()


@given(SIDE, SIDE, INDEX)
def test_a_halo_moves_no_mask(height, width, index):
    image = canvas((height, width, 3), "uint8")
    plain = AnomalySynthesizer(recipe(0.0, (0.0, 0.0)), seed=4)(image, index=index)
    sample = AnomalySynthesizer(recipe(), seed=4)(image, index=index)
    assert sample.mask.tobytes() == plain.mask.tobytes()
    assert sample.kinds.tobytes() == plain.kinds.tobytes()
    assert [anomaly.mask for anomaly in sample.plan.anomalies] == [anomaly.mask for anomaly in plain.plan.anomalies]
    assert [anomaly.source for anomaly in sample.plan.anomalies] == [anomaly.source for anomaly in plain.plan.anomalies]
    assert (sample.defect_map[sample.mask == 0] == 0).all()
    assert ((sample.defect_map > 0) == (sample.mask != 0)).all()
    assert not change(plain)[plain.mask == 0].any()


@given(st.integers(0, 500), st.integers(0, 40), st.integers(6, 30))
def test_the_mask_stays_inside_the_roi_and_its_rim_within_the_limit(index, left, width):
    image, roi = canvas((60, 80, 3), "uint8"), np.zeros((60, 80), np.uint8)
    roi[8:50, left : left + width] = 255
    sample = AnomalySynthesizer(recipe(0.08), seed=4)(image, index=index, roi=roi)
    assert not sample.mask[roi == 0].any()
    assert change(sample)[roi == 0].max() <= limit(sample, 0.08)


# --- what is seen ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", list(DEPTHS))
@pytest.mark.parametrize("index", range(3))
def test_the_rim_shows_up_to_the_limit(depth, index):
    image = canvas((128, 128, 3), depth)
    sample = AnomalySynthesizer(recipe(0.06), seed=4, white=DEPTHS[depth][1])(image, index=index)
    rim = (cv2.dilate(sample.mask, np.ones((3, 3), np.uint8)) != 0) & (sample.mask == 0)
    assert change(sample)[sample.mask == 0].max() > 0.9 * limit(sample, 0.06)
    assert np.median(change(sample)[rim]) > 0.4 * limit(sample, 0.06)  # the defect goes on beyond its outline
    assert change(sample)[sample.mask != 0].max() > 2 * limit(sample, 0.06)  # inside it nothing is limited


def test_a_halo_and_its_limit_are_in_the_plan_only_where_there_is_one():
    image = canvas((40, 40, 3), "uint8")
    with_halo = AnomalySynthesizer(recipe(0.06), seed=4)(image).plan.to_dict()
    without = AnomalySynthesizer(recipe(0.0, (0.0, 0.0)), seed=4)(image).plan.to_dict()
    assert with_halo["label"] == {"outside": 0.06}
    assert 0.02 <= with_halo["anomalies"][0]["halo"] <= 0.2
    assert "label" not in without
    assert "halo" not in without["anomalies"][0]


def test_a_limit_alone_changes_nothing():
    image = canvas((64, 64, 3), "uint8")
    limited, plain = (AnomalySynthesizer(recipe(outside, (0.0, 0.0)), seed=4)(image) for outside in (0.1, 0.0))
    assert limited.image.tobytes() == plain.image.tobytes()
    assert not change(limited)[limited.mask == 0].any()


def test_a_halo_in_a_plan_without_a_limit_changes_nothing_outside():
    image = canvas((64, 64, 3), "uint8")
    synth = AnomalySynthesizer(recipe(), seed=4)
    plan = synth.plan(image).model_copy(update={"label": Label()})
    sample = synth.paint(image, plan)
    assert not change(sample)[sample.mask == 0].any()


@pytest.mark.parametrize("kind", ["binary", "factor", "intensity", "logistic"])
def test_the_law_holds_for_every_label(kind):
    image = canvas((80, 80, 3), "uint8")
    label = {"kind": kind, "outside": 0.1, "tolerance": 0.01}
    for index in range(3):
        sample = AnomalySynthesizer(recipe(label=label), seed=4)(image, index=index)
        assert change(sample)[sample.mask == 0].max() <= limit(sample, 0.1)
        assert ((sample.defect_map > 0) == (sample.mask != 0)).all()


def test_a_mask_that_fills_the_roi_has_a_rim_too():
    image = canvas((50, 50, 3), "uint8")
    full = recipe(kinds={"all": {**_kind(), "mask": {"kind": "perlin", "area_range": [1, 1]}, "halo_range": [1, 1]}})
    sample = AnomalySynthesizer(full, seed=1)(image, roi=whole(image))
    assert (sample.mask == 255).all()
    roi = np.zeros((50, 50), np.uint8)
    roi[20:30, 20:30] = 1
    sample = AnomalySynthesizer(full, seed=1)(image, roi=roi)
    assert ((sample.mask != 0) == (roi != 0)).all()
    assert 0 < change(sample)[roi == 0].max() <= limit(sample, 0.1)


# --- errors ---------------------------------------------------------------------------------------------------------------


def test_a_halo_needs_a_limit():
    with pytest.raises(
        RecipeError, match=r"kinds\.patch\.halo_range is \[0\.02, 0\.2\] but label\.outside is 0.*set label\.out"
    ):
        recipe(outside=0.0)
    with pytest.raises(RecipeError, match="halo_range"):
        recipe(halo=(0.1, 1.5))
    with pytest.raises(RecipeError, match="outside"):
        recipe(outside=1.0)
    with pytest.raises(RecipeError, match="outside"):
        recipe(outside=-0.1)


def _kind() -> dict[str, Any]:
    return recipe().model_dump(mode="json")["kinds"]["patch"]
