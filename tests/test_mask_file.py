"""Masks from a folder: placed inside the ROI whatever its form, in the file's own form, and with the area that is asked for."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import picture
from hypothesis import given
from hypothesis import strategies as st

from defectsynth import AnomalySynthesizer, MaskBank, Plan, rng
from defectsynth.banks import Banks, DefectBank
from defectsynth.errors import LeakageError, PlanError, RecipeError, SourceError
from defectsynth.files import write_image
from defectsynth.job import Job
from defectsynth.masks import MASK_PARAMS, MASKS, MaskFile, Outline
from defectsynth.masks.control import count_pieces
from defectsynth.masks.fitting import Cut, Room
from defectsynth.noise import perlin
from defectsynth.recipe import Recipe
from defectsynth.render import render
from defectsynth.rng import Draws
from defectsynth.verify import verify

SIDE = st.integers(1, 90)
INDEX = st.integers(0, 500)


def shapes() -> dict[str, np.ndarray]:
    """A disc, a long hair, an L, a ring, two pieces, one pixel."""
    disc, hair, angle, ring, two, dot = (np.zeros((60, 80), np.uint8) for _ in range(6))
    cv2.circle(disc, (40, 30), 20, 255, -1)
    cv2.line(hair, (3, 5), (75, 50), 255, 1)
    angle[5:50, 5:12], angle[44:50, 5:70] = 255, 255
    cv2.circle(ring, (40, 30), 22, 255, 4)
    two[5:15, 5:15], two[40:44, 50:70] = 1, 1  # labels: 0 and 1
    dot[7, 9] = 255
    return {"a/disc": disc, "a/hair": hair, "b/angle": angle, "b/ring": ring, "b/c/two": two, "dot": dot}


BANKS = Banks(masks=MaskBank(shapes()))


def draw(index: int = 0, banks: Banks = BANKS, **changes: object):
    return MaskFile(**changes).draw(Draws(5, index), banks)


def regions(shape: tuple[int, int], form: str) -> np.ndarray:
    """ROIs of every kind: whole, a disc, a thin ring, one full of holes, a line, a pixel."""
    height, width = shape
    y, x = np.mgrid[:height, :width]
    away = ((y - height / 2) / (0.45 * height)) ** 2 + ((x - width / 2) / (0.45 * width)) ** 2
    inside = {
        "whole": np.ones(shape, bool),
        "disc": away < 1,
        "ring": (away < 1) & (away > 0.8),
        "holes": rng.words(3, shape) % np.uint32(50) > 0,
        "line": y == height // 2,
        "pixel": (y == height // 2) & (x == width // 3),
    }[form]
    return np.where(inside, np.uint8(255), np.uint8(0))


FORMS = st.sampled_from(["whole", "disc", "ring", "holes", "line", "pixel"])


def uncut(params, roi: np.ndarray) -> np.ndarray:
    """The shape before it is cut at the ROI's edge, as 0 and 255."""
    return np.where(params.field(roi, BANKS) > 0, np.uint8(255), np.uint8(0))


# --- laws -----------------------------------------------------------------------------------------------------------------


@given(SIDE, SIDE, FORMS, INDEX, st.sampled_from(["each", "whole"]), st.sampled_from([(0.7, 1.4), (2.0, 8.0), (0.01, 900.0)]))
def test_all_of_it_lies_inside_the_roi(height, width, form, index, piece, scales):
    roi = regions((height, width), form)
    if not roi.any():
        return
    params = draw(index, piece=piece, scale_range=scales)
    shape = uncut(params, roi)
    assert shape.any()
    assert not shape[roi == 0].any()  # not cut off: nothing of it hangs over the edge
    painted = params.paint(roi, BANKS)
    assert painted.dtype == np.uint8
    assert (painted == shape).all()
    assert not params.model_copy(update={"inside": False}).paint(roi, BANKS)[roi == 0].any()


@pytest.mark.parametrize("stretch", [0.02, 0.5, 3.0, 80.0])
def test_stretched_shapes_stay_inside_too(stretch):
    roi = regions((70, 90), "disc")
    for index in range(12):
        params = draw(index, stretch_range=(stretch, stretch), scale_range=(0.5, 900.0))
        shape = uncut(params, roi)
        assert shape.any()
        assert not shape[roi == 0].any()


@given(SIDE, SIDE, FORMS, INDEX)
def test_area_is_met_to_the_pixel(height, width, form, index):
    roi = regions((height, width), form)
    pixels = int(np.count_nonzero(roi))
    if not pixels:
        return
    params = draw(index, area_range=(0.01, 0.9))
    painted = params.paint(roi, BANKS)
    assert np.count_nonzero(painted) == max(1, round(params.area * pixels))
    assert not painted[roi == 0].any()


@given(st.integers(3, 40), st.integers(3, 40), st.integers(1, 12), st.integers(1, 12), st.integers(0, 10_000))
def test_fitting_centres_are_those_of_an_erosion(height, width, tall, wide, seed):
    roi = np.where(perlin(seed, (height, width), (3, 3)) > -0.3, np.uint8(255), np.uint8(0))
    shape = np.where(perlin(seed + 1, (tall, wide), (2, 2)) > -0.1, np.uint8(255), np.uint8(0))
    anchor = (int(seed % tall), int(seed % wide))
    if not roi.any() or not shape.any():
        return
    fits = cv2.erode(roi, shape // 255, anchor=(anchor[1], anchor[0]), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    fits[roi == 0] = 0  # the anchor is a pixel of the ROI
    assert Room(roi, 0.4).centres(Cut(shape, anchor)).tolist() == np.flatnonzero(fits).tolist()


@lru_cache(maxsize=1)
def _defects(folder: Path) -> Banks:
    return Banks(defects=DefectBank(folder))


@given(INDEX, st.sampled_from(["disc", "ring"]))
def test_defects_own_picture_follows_an_outline_that_stays_inside(defect_folder, index, form):
    banks, roi = _defects(defect_folder), regions((120, 90), form)
    params = Outline(inside=True, scale_range=(0.5, 4.0)).draw(Draws(1, index), banks)
    piece = params.shape(banks)
    follows = cv2.warpAffine(piece, params.matrix(roi, banks), roi.shape[::-1], flags=cv2.INTER_LINEAR) >= 128
    painted = params.paint(roi, banks) != 0
    assert not (params.field(roi, banks) > 0)[roi == 0].any()
    if painted.sum() > 60:
        assert (follows & painted).sum() / (follows | painted).sum() > 0.8


# --- special --------------------------------------------------------------------------------------------------------------


def test_without_a_turn_it_is_the_mask_itself():
    roi = np.full((60, 80), 255, np.uint8)
    for index in range(12):
        still = {"rotation_range": (0, 0), "scale_range": (1, 1), "flip_probability": 0.0, "piece": "whole"}
        params = draw(index, **still)
        own, shape = BANKS.masks.load(params.name).mask, uncut(params, roi)
        assert np.count_nonzero(own) == np.count_nonzero(shape)
        (top, left), (own_top, own_left) = (np.argwhere(mask).min(axis=0) for mask in (shape, own))
        assert (np.roll(own, (top - own_top, left - own_left), (0, 1)) == shape).all()


def test_what_fits_keeps_its_drawn_scale_and_what_does_not_is_shrunk_no_more_than_needed():
    roi, disc = regions((200, 200), "disc"), MaskBank({"disc": shapes()["a/disc"]})  # the ROI's radius is 90
    banks = Banks(masks=disc)
    fits = draw(0, banks, scale_range=(1, 1))
    factor = math.sqrt(200 * 200 / (60 * 80))
    assert np.count_nonzero(fits.paint(roi, banks)) == pytest.approx(np.count_nonzero(shapes()["a/disc"]) * factor**2, rel=0.03)
    for scale in (3.0, 30.0, 900.0):
        large = draw(0, banks, scale_range=(scale, scale)).paint(roi, banks)
        assert np.count_nonzero(large) == pytest.approx(np.count_nonzero(roi), rel=0.15)  # a disc in a disc fills it


def test_it_reaches_everywhere_it_fits():
    roi, banks = regions((64, 64), "whole"), Banks(masks=MaskBank({"disc": shapes()["a/disc"]}))
    covered = np.zeros(roi.shape, bool)
    for index in range(300):
        covered |= draw(index, banks, scale_range=(0.3, 0.4)).paint(roi, banks) != 0
    assert covered[8:-8, 8:-8].all()
    assert all(edge.any() for edge in (covered[0], covered[-1], covered[:, 0], covered[:, -1]))


def test_depth_says_where_among_the_places_where_it_fits():
    roi = regions((120, 120), "disc")
    banks = Banks(masks=MaskBank({"disc": shapes()["a/disc"]}))
    at_edge, deep = (
        [
            np.argwhere(draw(index, banks, scale_range=(0.3, 0.3), depth_range=depth).paint(roi, banks)).mean(axis=0)
            for index in range(20)
        ]
        for depth in ((0.0, 0.3), (0.8, 1.0))
    )
    away = [np.hypot(*(np.array(places) - 60).T) for places in (at_edge, deep)]
    assert away[0].min() > away[1].max()


def test_each_is_one_piece_and_whole_is_all_of_them():
    roi = np.full((120, 160), 255, np.uint8)
    for index in range(12):
        one, whole = (draw(index, folders=("b/c",), piece=piece, scale_range=(1, 1)) for piece in ("each", "whole"))
        assert count_pieces(one.paint(roi, BANKS)) == 1
        assert count_pieces(whole.paint(roi, BANKS)) == 2
    assert {draw(index, folders=("b/c",)).piece >= 0.5 for index in range(20)} == {True, False}


def test_folders_choose_and_an_unknown_one_is_an_error():
    assert {draw(index, folders=("b",)).name for index in range(60)} == {"b/angle", "b/ring", "b/c/two"}
    assert {draw(index).name for index in range(120)} == set(shapes())
    with pytest.raises(SourceError, match="mask folder 'z' is not in the mapping: it has a, b, b/c"):
        MaskFile(folders=("z",)).check(BANKS)


def test_several_components_need_the_whole_mask():
    with pytest.raises(ValueError, match="take 'piece: whole'"):
        MaskFile(components_range=(2, 3))
    assert MaskFile(components_range=(2, 3), piece="whole").piece == "whole"


@pytest.mark.parametrize("spec", [MaskFile(), MaskFile(piece="whole", area_range=(0.01, 0.1), inside=False)])
def test_params_survive_json(spec):
    params = spec.draw(Draws(1, 2), BANKS)
    assert MASK_PARAMS.parse(params.model_dump(mode="json", exclude_defaults=True)) == params
    assert MASKS.parse(spec.model_dump(mode="json")) == spec
    assert len(params.model_dump_json(exclude_defaults=True)) < 300


def test_a_large_picture_is_no_trouble():
    roi = regions((1500, 2000), "ring")
    for index in range(4):
        shape = uncut(draw(index, scale_range=(1, 3)), roi)
        assert shape.any()
        assert not shape[roi == 0].any()


# --- the bank -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def mask_folder(tmp_path: Path) -> Path:
    """Masks as ``ground_truth/<kind>/<name>_mask.png``, without pictures."""
    for name, mask in shapes().items():
        write_image(tmp_path / "set" / "ground_truth" / f"{name}_mask.png", mask)
    return tmp_path / "set"


def test_a_folder_is_read_with_and_without_its_ground_truth(mask_folder):
    (mask_folder / "test" / "a").mkdir(parents=True)
    write_image(mask_folder / "test" / "a" / "photo.png", picture((60, 80, 3)))  # pictures are not taken for masks
    from_root, from_below = MaskBank(mask_folder), MaskBank(mask_folder / "ground_truth")
    assert from_root.names == from_below.names == [f"{name}_mask.png" for name in sorted(shapes())]
    assert from_root.folders == ["a", "b", "b/c"]
    for name, mask in shapes().items():
        assert ((from_root.load(f"{name}_mask.png").mask != 0) == (mask != 0)).all()


def test_what_is_wrong_with_a_bank(mask_folder, tmp_path):
    with pytest.raises(SourceError, match=r"mask folder '.*none' does not exist"):
        MaskBank(tmp_path / "none")
    with pytest.raises(SourceError, match="the mapping of masks is empty"):
        MaskBank({})
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=r"mask folder '.*empty' holds no pictures"):
        MaskBank(tmp_path / "empty")
    write_image(tmp_path / "blank" / "b" / "nothing.png", np.zeros((9, 9), np.uint8))
    with pytest.raises(SourceError, match=r"mask 'b/nothing.png' of '.*blank' is empty: remove it, or mark the defect in it"):
        MaskBank(tmp_path / "blank").load("b/nothing.png")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "x.png").write_text("no picture")
    with pytest.raises(SourceError, match=r"mask picture '.*x.png' is not a picture"):
        MaskBank(tmp_path / "broken").load("x.png")
    with pytest.raises(PlanError, match="mask 'gone' is not in"):
        MaskBank(mask_folder).load("gone")


RECIPE = {
    "name": "from masks",
    "foreground": "none",
    "kinds": {
        "real": {
            "mask": {"kind": "mask_file", "area_range": [0.01, 0.1]},
            "source": {"kind": "procedural", "tone": {"shift_range": [0.2, 0.3], "match_range": [1, 1]}},
            "blend": {"kind": "linear", "opacity_range": [0.8, 1.0]},
        }
    },
}


def test_a_synthesizer_needs_the_masks_and_replays_them(mask_folder):
    with pytest.raises(RecipeError, match=r"draws from masks and none were given: pass masks=FOLDER \(--masks FOLDER\)"):
        AnomalySynthesizer(RECIPE)
    synth, image = AnomalySynthesizer(RECIPE, masks=mask_folder, seed=4), picture((70, 90, 3))
    sample = synth(image, index=3)
    again = synth.paint(image, Plan.from_json(sample.plan.to_json()))
    assert again.image.tobytes() == sample.image.tobytes()
    other = AnomalySynthesizer(RECIPE, masks={f"{name}_mask.png": 255 - mask for name, mask in shapes().items()}, seed=4)
    with pytest.raises(PlanError, match=r"mask '.*' has changed since the plan was drawn"):
        other.paint(image, sample.plan)


def test_masks_of_the_evaluated_set_are_refused(mask_folder):
    with pytest.raises(LeakageError, match=r"6 anomaly sources share a picture with the excluded set: mask 'a/disc_mask\.png'"):
        AnomalySynthesizer(RECIPE, masks=mask_folder, exclude=mask_folder)


def test_render_and_verify_with_masks(mask_folder, photo_folder, tmp_path):
    job = Job(images=str(photo_folder), masks=str(mask_folder), count=4, train_fraction=0.0)
    render(job, Recipe.from_mapping(RECIPE), tmp_path / "out", workers=2)
    assert verify(tmp_path / "out").problems == []
    mask_folder.rename(tmp_path / "moved")
    with pytest.raises(SourceError, match=r"source folder .* does not exist"):
        verify(tmp_path / "out")
    assert verify(tmp_path / "out", replacements={"masks": str(tmp_path / "moved")}).problems == []
