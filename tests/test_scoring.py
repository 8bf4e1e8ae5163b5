"""Scoring: two sets of one origin cannot be told apart, two of different ones can, and every number means what it says."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import picture, real_folder
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from defectsynth import rng
from defectsynth.errors import ImageError, InputError
from defectsynth.files import read_image, write_image
from defectsynth.formats.mvtec import mask_path, write_mvtec
from defectsynth.scoring import Score, score
from defectsynth.scoring.appearance import appearance_features
from defectsynth.scoring.backbone import Backbone
from defectsynth.scoring.copies import together
from defectsynth.scoring.defects import read_set
from defectsynth.scoring.distances import wasserstein
from defectsynth.scoring.report import measure_table, score_sheet, score_table
from defectsynth.scoring.shape import SHAPE_FEATURES, shape_features
from defectsynth.scoring.two_sample import Sides, halves, tell_apart
from defectsynth.scoring.views import MAX_SIDE, View, cut_view, regions_of

SIDE = 72
COUNT = 30


def unit(seed: int, count: int) -> np.ndarray:
    return rng.words(seed, (1, count))[0] / 2.0**32


def write_set(folder: Path, count: int, seed: int, *, boxes: bool = False, dark: float = 0.6, suffix: int = 3) -> Path:
    """Defects on noise: ellipses of many sizes and directions, or upright boxes."""
    for number in range(count):
        x, y, size, aspect, angle, _ = unit(1000 * seed + number, 6)
        mask, place = np.zeros((SIDE, SIDE), np.uint8), (int(20 + 32 * x), int(20 + 32 * y))
        axes = (round(4 + 7 * size), round((4 + 7 * size) * (0.4 + 0.5 * aspect)))
        if boxes:
            cv2.rectangle(mask, (place[0] - axes[0], place[1] - 2), (place[0] + axes[0], place[1] + 2), 255, -1)
        else:
            cv2.ellipse(mask, place, axes, 360 * angle, 0, 360, 255, -1)
        image = picture((SIDE, SIDE, suffix), seed=1000 * seed + 500 + number)
        image[mask != 0] = (image[mask != 0] * dark).astype(np.uint8)
        write_mvtec(folder, "test", "box" if boxes else "spot", f"{number:03d}", image, mask)
    return folder


# --- distances --------------------------------------------------------------------------------------------------------

values = arrays(np.float64, st.integers(1, 12), elements=st.floats(-5, 5, width=32))


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [
        ([0.0], [3.0], 3.0),
        ([0.0, 1.0], [5.0, 6.0], 5.0),
        ([0.0, 1.0, 3.0], [5.0, 6.0, 8.0], 5.0),
        ([0.0, 2.0], [1.0], 1.0),
        ([0.0, 1.0], [0.0, 0.0, 1.0], 1 / 6),  # levels 1/3, 1/2, 2/3: they differ between 1/2 and 2/3
        ([1.0, 1.0, 1.0, 5.0], [1.0, 1.0, 1.0, 1.0], 1.0),
    ],
)
def test_wasserstein_by_hand(first, second, distance):
    assert wasserstein(np.array(first), np.array(second)) == pytest.approx(distance)


@given(values, values, st.floats(-3, 3))
def test_wasserstein_is_a_distance(first, second, moved):
    there, back = wasserstein(first, second), wasserstein(second, first)
    assert there == pytest.approx(back)
    assert there >= 0
    assert wasserstein(first, first[::-1]) == 0
    assert wasserstein(first, first + moved) == pytest.approx(abs(moved), abs=1e-9)
    assert wasserstein(np.repeat(first, 3), second) == pytest.approx(there)


# --- features ---------------------------------------------------------------------------------------------------------


@st.composite
def pictures_with_masks(draw):
    height, width = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    mask = draw(arrays(np.uint8, (height, width), elements=st.sampled_from([0, 255]), fill=st.just(0)))
    mask[draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))] = 255
    channels = draw(st.sampled_from([None, 1, 3, 5]))
    shape = (height, width) if channels is None else (height, width, channels)
    return picture(shape, draw(st.sampled_from([np.uint8, np.uint16, np.float32]))), mask


@settings(max_examples=25)
@given(pictures_with_masks())
def test_any_picture_and_mask_have_features(given_one):
    image, mask = given_one
    kept = image.copy()
    view = cut_view(image, mask)
    assert view.rgb.shape == (*view.mask.shape, 3) and view.mask.any()
    assert max(view.mask.shape) <= MAX_SIDE
    assert np.isfinite(shape_features(mask)).all()
    assert np.isfinite(appearance_features(view)).all()
    regions = regions_of(view.mask)
    assert all(plane.any() for plane in (regions.inside, regions.core, regions.edge, regions.ring))
    assert not (regions.ring & regions.inside).any() or view.mask.all()
    assert (image == kept).all()


@pytest.mark.parametrize("shape", [(700, 500), (40, 900)])
@pytest.mark.parametrize("filled", ["all", "half", "corner", "line"])
def test_huge_masks_and_those_at_the_border(shape, filled):
    mask = np.zeros(shape, np.uint8)
    mask[{"all": np.s_[:], "half": np.s_[:, : shape[1] // 2], "corner": np.s_[:3, :1], "line": np.s_[5:6]}[filled]] = 255
    view = cut_view(picture(shape), mask)
    features = appearance_features(view)
    assert np.isfinite(features).all() and np.isfinite(shape_features(mask)).all()
    assert max(view.mask.shape) <= MAX_SIDE and min(view.mask.shape) >= 1
    if filled == "all":
        assert (view.mask == 255).all()
        assert features[: len((0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98))] == pytest.approx(0)  # there is nothing to differ from


def test_shape_does_not_depend_on_place_direction_or_picture():
    mask = np.zeros((200, 200), np.uint8)
    cv2.fillPoly(mask, [np.array([[40, 40], [90, 50], [70, 60], [95, 100], [45, 80]])], 255)
    features = shape_features(mask)
    assert features.shape == (len(SHAPE_FEATURES),)
    assert shape_features(np.roll(mask, (70, 80), (0, 1))) == pytest.approx(features)
    for turned in (np.rot90(mask), mask[:, ::-1], mask.T):
        assert shape_features(np.ascontiguousarray(turned)) == pytest.approx(features, abs=0.02)
    larger = cv2.copyMakeBorder(mask, 0, 200, 0, 0, cv2.BORDER_CONSTANT, value=0)
    assert shape_features(larger)[1:] == pytest.approx(features[1:])
    assert shape_features(larger)[0] == pytest.approx(features[0] - np.log(2))


def test_shape_features_of_known_shapes():
    disc, ring, bar = (np.zeros((200, 200), np.uint8) for _ in range(3))
    cv2.circle(disc, (100, 100), 60, 255, -1)
    cv2.circle(ring, (100, 100), 60, 255, 12)
    cv2.rectangle(bar, (20, 90), (179, 97), 255, -1)
    masks = {"disc": disc, "ring": ring, "bar": bar}
    of = {name: dict(zip(SHAPE_FEATURES, shape_features(mask), strict=True)) for name, mask in masks.items()}
    assert of["disc"]["solidity"] > 0.95
    assert of["disc"]["log perimeter squared over area"] == pytest.approx(np.log(4 * np.pi), abs=0.15)
    assert of["disc"]["log thickness"] == pytest.approx(np.log(1 / np.pi), abs=0.1)
    assert of["disc"]["log elongation"] == pytest.approx(0, abs=0.02)
    assert of["ring"]["log holes"] == pytest.approx(np.log(2)) and of["ring"]["share of the holes"] > 0.5
    assert of["disc"]["log holes"] == 0
    assert np.exp(of["bar"]["log elongation"]) == pytest.approx(20, rel=0.1)
    assert of["bar"]["log thickness"] < of["disc"]["log thickness"]


def test_appearance_is_of_the_defect_and_not_of_the_product():
    mask = np.zeros((64, 64), np.uint8)
    cv2.circle(mask, (32, 32), 9, 255, -1)
    noise = picture((64, 64, 3), np.float32, 5)
    defect = np.where(mask[:, :, None] != 0, noise * 0.7, noise).astype(np.float32)
    steps = {level: appearance_features(View(np.clip(defect + level, 0, 1), mask)) for level in (0.0, 0.2)}
    assert steps[0.0] == pytest.approx(steps[0.2], abs=1e-3)  # a brighter product is the same defect
    plain = appearance_features(View(noise, mask))
    assert np.linalg.norm(plain - steps[0.0]) > 1


# --- the test ---------------------------------------------------------------------------------------------------------


def normal(seed: int, rows: int, columns: int) -> np.ndarray:
    drawn = rng.words(seed, (rows, 12 * columns)).reshape(rows, columns, 12) / 2.0**32
    return drawn.sum(axis=2) - 6  # twelve uniform numbers: mean 0, deviation 1


def sides(features: np.ndarray, groups: np.ndarray | None = None) -> Sides:
    labels = (np.arange(len(features)) >= len(features) // 2).astype(np.int64)
    return Sides(features, labels, np.arange(len(features)) if groups is None else groups)


def test_one_distribution_is_near_a_half_and_two_are_not():
    same = [tell_apart(sides(normal(seed, 60, 20)), 4, seed, repeats=1).auroc for seed in range(3)]
    assert 0.4 < np.mean(same) < 0.6
    moved = normal(9, 80, 5)
    moved[40:] += 1.5
    verdict = tell_apart(sides(moved), 4, 0)
    assert verdict.auroc > 0.9
    assert 0.8 < verdict.interval[0] <= verdict.auroc <= verdict.interval[1] <= 1
    assert verdict.probabilities[40:].mean() > 0.7 > 0.3 > verdict.probabilities[:40].mean()


def test_a_set_that_is_only_more_varied_is_told_apart():
    features = normal(3, 100, 3)
    features[50:] *= 4
    assert tell_apart(sides(features), 3, 0, repeats=1).auroc > 0.85


def test_more_columns_than_rows_and_columns_that_do_not_vary():
    features = np.concatenate([normal(4, 24, 200), np.zeros((24, 3)), np.full((24, 2), 7.0)], axis=1)
    assert 0.1 < tell_apart(sides(features), 3, 0, repeats=1).auroc < 0.9
    assert tell_apart(sides(np.zeros((20, 4))), 5, 0).auroc == 0.5
    features[12:, 0] += 100
    assert tell_apart(sides(features), 3, 0, repeats=1).auroc > 0.6


def test_pictures_of_one_defect_are_never_on_both_sides():
    """Six exposures of each of eight defects, half of them called synthetic: memory must not help."""
    labels = np.repeat([0, 1], 24)
    groups = np.repeat(np.arange(8), 6)
    features = normal(6, 8, 40)[groups] + 0.01 * normal(7, 48, 40)
    grouped = tell_apart(Sides(features, labels, groups), 4, 0, repeats=1)
    blind = tell_apart(Sides(features, labels, np.arange(48)), 4, 0, repeats=1)
    assert blind.auroc > 0.95 > grouped.auroc
    assert np.diff(grouped.interval) > np.diff(blind.interval)


def test_halves_keep_groups_whole():
    groups = np.repeat(np.arange(9), [1, 2, 3, 1, 2, 3, 1, 2, 3])
    drawn = halves(groups, 5, 3)
    assert all(len(set(half[groups == group])) == 1 for half in drawn for group in range(9))
    assert {sum(half[groups == group][0] for group in range(9)) for half in drawn} == {4}
    assert len({half.tobytes() for half in drawn}) > 1


# --- the score --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("sets") / "real", COUNT, 1)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("defectsynth.scoring.comparison.HALVES", 4)


def test_a_set_of_the_same_origin(real, tmp_path, hurried):
    other = write_set(tmp_path / "other", COUNT, 3)
    found = score(real, other, folds=3)
    for test in (found.shape, found.appearance):
        assert 0.25 < test.auroc < 0.75
        assert test.interval[0] < 0.7
        assert 0.2 < test.floor.mean < 0.8
        assert test.floor.low <= test.floor.mean <= test.floor.high
    assert all(row.distance_in_real_spreads is None or row.distance_in_real_spreads < 0.6 for row in found.measures)
    assert found.notes == ()


def test_a_set_of_another_origin(real, tmp_path, hurried):
    other = write_set(tmp_path / "other", 20, 3, boxes=True, dark=1.5)
    found = score(real, other, folds=3, kinds=("spot",), synthetic_kinds=("box",))
    assert found.shape.auroc > 0.9 and found.appearance.auroc > 0.9
    assert found.shape.interval[0] > 0.8
    assert (found.real.used, found.synthetic.used, found.real.kinds) == (COUNT, 20, ("spot",))
    rows = {row.name: row for row in found.measures}
    assert rows["elongation"].distance_in_real_spreads > 1 > rows["elongation"].floor_in_real_spreads
    assert rows["components"].distance == 0 and rows["components"].distance_in_real_spreads is None
    assert [one.probability for one in found.synthetic_pictures] == sorted(one.probability for one in found.synthetic_pictures)
    assert {one.name for one in found.real_pictures} == {f"test/spot/{number:03d}.png" for number in range(COUNT)}
    check_reports(found, tmp_path)


def check_reports(found: Score, tmp_path: Path) -> None:
    from rich.console import Console

    console = Console(width=100, record=True, file=(tmp_path / "printed.txt").open("w"))
    console.print(score_table(found), measure_table(found))
    console.file.close()
    text = console.export_text()
    assert f"{found.shape.auroc:.2f}" in text and "elongation" in text
    sheet = score_sheet(found, count=4, cell=80)
    assert sheet.dtype == np.uint8 and sheet.shape[1] == 8 + 4 * 88
    assert (sheet == score_sheet(found, count=4, cell=80)).all()
    assert (sheet == (255, 60, 190)).all(axis=2).sum() > 200  # outlines are drawn
    (Path(found.synthetic.folder) / found.synthetic_pictures[0].name).unlink()
    with pytest.raises(ImageError, match="no longer there"):
        score_sheet(found, count=4, cell=80)


def test_notes_say_what_else_differs_and_a_seed_gives_the_same_bytes(real, tmp_path, hurried):
    grey = tmp_path / "grey"
    write_set(grey, 12, 4, suffix=1)
    for path in sorted((grey / "test/spot").glob("*.png")):
        write_image(path.with_suffix(".jpg"), cv2.resize(read_image(path), (90, 90)))
        write_image(mask_path(grey, "spot", path.stem), cv2.resize(read_image(mask_path(grey, "spot", path.stem)), (90, 90)))
        path.unlink()
    seen: list[tuple[int, int]] = []
    found = score(real, grey, folds=2, at_most=10, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 10) for done in range(1, 11)] * 2
    again = score(real, grey, folds=2, at_most=10)
    assert json.dumps(found.to_dict()) == json.dumps(again.to_dict())
    notes = " ".join(found.notes)
    for part in (
        f"10 of the {COUNT} real",
        "10 of the 12 synthetic",
        "side 72 pixels real, 90",
        "coloured",
        "compressed with loss",
    ):
        assert part in notes


def test_exposures_of_one_defect_are_one(tmp_path):
    for number in range(6):
        mask, image = np.zeros((64, 64), np.uint8), picture((64, 64), seed=number)
        cv2.circle(mask, (10 + 9 * number, 30 + 5 * (number % 2)), 3, 255, -1)
        image[mask != 0] //= 2
        for exposure in range(3):
            write_mvtec(
                tmp_path, "test", "hole", f"{exposure}_{number}", (image * (0.6 + 0.2 * exposure)).astype(np.uint8), mask
            )
    found = read_set(tmp_path, None, 400, 0, 0)
    assert len(found.defects) == 18 and found.distinct == 6
    with pytest.raises(InputError, match=r"18 defects, 6 different ones: 5 folds need at least 10 .* or folds=3"):
        score(tmp_path, tmp_path)


def test_copies_of_one_example_are_one():
    groups = np.array([0, 1, 2, 3, 3, 4])
    assert together(groups, [None] * 6).tolist() == groups.tolist()
    assert together(groups, ["a", None, "a", "b", "c", "c"]).tolist() == [0, 1, 0, 2, 2, 2]


# --- bad input --------------------------------------------------------------------------------------------------------


def test_sets_that_cannot_be_scored(real, tmp_path):
    few = write_set(tmp_path / "few", 3, 1)
    with pytest.raises(InputError, match=r"the synthetic set '.*few' has 3 defects: 5 folds need at least 5 .* or folds=3"):
        score(real, few)
    with pytest.raises(InputError, match=r"the real set '.*few' has 3 defects: 5 folds need at least 10 .*give at least 4"):
        score(few, real)
    with pytest.raises(InputError, match=r"no defects of the kinds \['hole'\]: it has spot"):
        score(real, few, kinds=("hole",))
    with pytest.raises(InputError, match="folds is 1: a cross-validation needs at least 2"):
        score(real, few, folds=1)
    with pytest.raises(InputError, match="at_most is 9: 5 folds need at least 10"):
        score(real, few, at_most=9)
    with pytest.raises(InputError, match="seed is -1"):
        score(real, few, seed=-1)
    with pytest.raises(ImageError, match="is not a folder"):
        score(real, tmp_path / "none")
    write_image(mask_path(few, "spot", "001"), np.zeros((SIDE, SIDE), np.uint8))
    with pytest.raises(ImageError, match=r"001_mask\.png' is empty"):
        score(few, real)
    write_image(mask_path(few, "spot", "001"), np.full((9, 8), 255, np.uint8))
    with pytest.raises(ImageError, match=rf"is 8 x 9 but its picture is {SIDE} x {SIDE}"):
        score(few, real)


def test_missing_packages_name_the_way_out(real, tmp_path, monkeypatch):
    with monkeypatch.context() as hidden:
        hidden.setitem(sys.modules, "sklearn.linear_model", None)
        with pytest.raises(InputError, match=r'needs the package .*sklearn.* pip install "defectsynth\[score\]"'):
            score(real, real)
    with monkeypatch.context() as hidden:
        hidden.setitem(sys.modules, "torch", None)
        with pytest.raises(InputError, match=r'needs the package .*torch.* pip install "defectsynth\[train\]"'):
            Backbone(tmp_path / "weights.pth", "tf_efficientnet_lite0")


def test_features_of_a_network(real, tmp_path):
    torch, timm = pytest.importorskip("torch"), pytest.importorskip("timm")
    torch.manual_seed(0)
    name, path = "tf_mobilenetv3_small_minimal_100", tmp_path / "weights.pth"
    torch.save(timm.create_model(name, pretrained=False).state_dict(), path)
    views = [defect.view for defect in read_set(real, None, 6, 0, 0).defects]
    views.append(View(np.full((40, 9, 3), 0.5, np.float32), np.full((40, 9), 255, np.uint8)))
    features = Backbone(path, name).features(views)
    assert features.shape[0] == 7 and features.shape[1] > 100
    assert np.isfinite(features).all()
    assert features[-1] == pytest.approx(0, abs=1e-4)  # no surroundings, no difference
    assert Backbone(path, name).features(views[2:4]) == pytest.approx(features[2:4], abs=1e-4)
    with pytest.raises(InputError, match=r"do not belong to 'resnet18' \(Missing key"):
        Backbone(path, "resnet18")
    with pytest.raises(InputError, match=r"none\.pth' are not a file: give a state dict"):
        Backbone(tmp_path / "none.pth", name)
    path.write_text("not weights")
    with pytest.raises(InputError, match="cannot be read"):
        Backbone(path, name)
    with pytest.raises(InputError, match="backbone 'nothing' is not a network of timm"):
        Backbone(path, "nothing")


# --- real pictures ----------------------------------------------------------------------------------------------------


@pytest.mark.real
def test_real_screws_against_draem(tmp_path, hurried):
    from defectsynth import AnomalySynthesizer, load_recipe

    screws, textures = real_folder("mvtec_screw"), real_folder("textures")
    recipe = load_recipe("draem-code").model_copy(update={"normal_fraction": 0.0})
    synthesizer = AnomalySynthesizer(recipe, seed=3, textures=textures)
    for number, path in enumerate(sorted((screws / "train" / "good").glob("*.png"))[:50]):
        sample = synthesizer(read_image(path), index=number)
        write_mvtec(tmp_path, "test", "perlin", f"{number:03d}", sample.image, sample.mask)
    found = score(screws, tmp_path)
    for test in (found.shape, found.appearance):
        assert 0.3 < test.floor.mean < 0.7
        assert test.auroc > 0.9
