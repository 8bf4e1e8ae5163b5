"""A shape that the border of its own picture cuts off is set down against the same border, turned and mirrored with it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from defectsynth.banks import Banks, Defect, MaskBank
from defectsynth.errors import RecipeError
from defectsynth.masks import MaskFile
from defectsynth.masks.border import cut_offs
from defectsynth.matching.examples import measure_example
from defectsynth.recipe import Recipe
from defectsynth.rng import Draws

SIDES = ("top", "bottom", "left", "right")
STILL = {"rotation_range": (0, 0), "scale_range": (1, 1), "flip_probability": 0}


def crack(side: str, gap: int = 0) -> np.ndarray:
    """A crooked line that runs in from one side of a 60 x 80 picture, or begins ``gap`` pixels from it."""
    mask = np.zeros((60, 80), np.uint8)
    ends = {
        "top": [(30, gap), (26, 12), (33, 25)],
        "bottom": [(30, 59 - gap), (26, 47), (33, 35)],
        "left": [(gap, 30), (12, 26), (25, 33)],
        "right": [(79 - gap, 30), (67, 26), (54, 33)],
    }
    cv2.polylines(mask, [np.array(ends[side])], False, 255, 3)
    if gap:
        mask[:gap], mask[60 - gap :], mask[:, :gap], mask[:, 80 - gap :] = 0, 0, 0, 0
    return mask


def touched(mask: np.ndarray) -> set[str]:
    edges = (mask[0], mask[-1], mask[:, 0], mask[:, -1])
    return {side for side, edge in zip(SIDES, edges, strict=True) if edge.any()}


def painted(mask: np.ndarray, roi: np.ndarray, index: int = 0, **changes: object) -> np.ndarray:
    banks = Banks(masks=MaskBank({"one": mask}))
    return MaskFile(at_border=True, **changes).draw(Draws(3, index), banks).paint(roi, banks)


@pytest.mark.parametrize("side", SIDES)
def test_it_is_seen_what_cuts_a_shape_off(side):
    assert len(cut_offs(crack(side))) == 1
    assert len(cut_offs(crack(side, gap=1))) == 1  # annotators leave a pixel or two
    assert not cut_offs(crack(side, gap=3))


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("shape", [(60, 80), (200, 90), (97, 301)])
def test_it_lies_against_its_own_side(side, shape):
    roi = np.full(shape, 255, np.uint8)
    masks = [painted(crack(side), roi, index, **STILL) for index in range(8)]
    assert all(touched(mask) == {side} for mask in masks)
    assert len({mask.tobytes() for mask in masks}) > 4  # anywhere along it


def test_a_mirrored_one_lies_against_the_other_side():
    roi = np.full((100, 120), 255, np.uint8)
    mirrored = {**STILL, "flip_probability": 1}
    assert touched(painted(crack("left"), roi, **mirrored)) == {"right"}
    assert touched(painted(crack("top"), roi, **mirrored)) == {"top"}


@pytest.mark.parametrize(("angle", "expected"), [(90, "left"), (180, "bottom"), (-90, "right"), (30, "top"), (-60, "right")])
def test_a_turned_one_lies_against_the_side_that_is_nearest(angle, expected):
    roi = np.full((120, 120), 255, np.uint8)
    mask = painted(crack("top"), roi, **{**STILL, "rotation_range": (angle, angle)})
    assert touched(mask) == {expected}


def test_a_corner_goes_to_the_corner():
    mask = np.zeros((60, 80), np.uint8)
    mask[:20, :15] = 255
    found = painted(mask, np.full((120, 160), 255, np.uint8), **STILL)
    assert found[0, 0] and touched(found) == {"top", "left"}


def test_the_cut_is_straight_along_the_border():
    """Turned by 20 degrees its cut is aslant: what is beyond the innermost end of it is taken away."""
    wide = np.zeros((60, 80), np.uint8)
    wide[:25, 20:50] = 255
    turned = painted(wide, np.full((120, 120), 255, np.uint8), **{**STILL, "rotation_range": (20, 20)})
    assert touched(turned) == {"top"}
    assert np.count_nonzero(turned[0]) > 20  # a corner alone would touch with one or two


def test_where_the_region_does_not_reach_that_border_it_lies_anywhere_inside():
    roi = np.zeros((100, 120), np.uint8)
    roi[20:, :] = 255
    banks = Banks(masks=MaskBank({"one": crack("top")}))
    free = MaskFile(**STILL).draw(Draws(3, 0), banks).paint(roi, banks)
    assert np.array_equal(painted(crack("top"), roi, **STILL), free)


def test_a_shape_that_nothing_cuts_off_lies_where_it_would():
    roi = np.full((100, 120), 255, np.uint8)
    banks = Banks(masks=MaskBank({"one": crack("top", gap=5)}))
    for index in range(4):
        free = MaskFile(**STILL).draw(Draws(3, index), banks).paint(roi, banks)
        assert np.array_equal(painted(crack("top", gap=5), roi, index, **STILL), free)


@given(height=st.integers(1, 70), width=st.integers(1, 70), side=st.sampled_from(SIDES), index=st.integers(0, 300))
def test_it_is_never_empty_and_never_leaves_the_region(height, width, side, index):
    roi = np.full((height, width), 255, np.uint8)
    roi[: height // 3, width // 2 + 1 :] = 0
    mask = painted(crack(side), roi, index, stretch_range=(0.5, 2))
    assert mask.any() and not mask[roi == 0].any()


def test_an_area_that_is_asked_for_holds():
    roi = np.full((100, 120), 255, np.uint8)
    mask = painted(crack("top"), roi, area_range=(0.01, 0.01), rotation_range=(0, 0))
    assert np.count_nonzero(mask) == round(0.01 * roi.size)
    assert "top" in touched(mask)


def test_it_needs_to_lie_inside():
    kinds = {"one": {"mask": {"kind": "outline", "at_border": True}, "source": {"kind": "defect"}, "blend": {"kind": "linear"}}}
    with pytest.raises(RecipeError, match="add 'inside: true'"):
        Recipe.from_mapping({"name": "wrong", "kinds": kinds}, "wrong")


@pytest.mark.parametrize(("gap", "expected"), [(0, True), (8, False)])
def test_a_match_measures_it(gap, expected):
    mask = crack("bottom", gap)
    rgb = np.where(mask[..., None] != 0, np.uint8(60), np.uint8(140)).repeat(3, axis=2)
    assert measure_example("crack/0", Defect(rgb=rgb, mask=mask, hash="0")).at_border is expected
