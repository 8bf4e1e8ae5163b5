"""From a handful of defects to a recipe: what is measured, what is fitted, what is written, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from statistics import NormalDist
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import picture
from hypothesis import given, settings
from hypothesis import strategies as st

from defectsynth import Recipe, load_recipe
from defectsynth.banks import Defect, DefectBank
from defectsynth.errors import DefectSynthError, InputError, SourceError, StorageError
from defectsynth.files import read_image, write_image
from defectsynth.formats.mvtec import read_defects, write_mvtec
from defectsynth.matching import MatchReport, fit_recipe, match
from defectsynth.matching.examples import Example, measure_bank, measure_example
from defectsynth.matching.ranges import (
    bounded_range,
    directed,
    mean_axis,
    prior_spread,
    rounded,
    shrunk_range,
    spread_of_angles,
    varied_scale,
)
from defectsynth.matching.text import recipe_text, summary_of
from defectsynth.sources.tone import ToneParams
from defectsynth.statistics import MEASURES
from defectsynth.verify import verify

SHAPE = (128, 128)
PLATE = 0.475  # mean brightness of ``picture``
DTYPES = {"rgb8": (3, np.uint8), "grey8": (None, np.uint8), "grey16": (None, np.uint16), "rgb16": (3, np.uint16)}


def ellipse(area: float, elongation: float, angle: float, place: tuple[float, float] = (0.5, 0.5)) -> np.ndarray:
    """A mask of a plate: ``area`` of the picture, ``place`` (down, across), ``angle`` degrees anticlockwise."""
    half = math.sqrt(area * SHAPE[0] * SHAPE[1] / math.pi / elongation)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    y, x = y - place[0] * (SHAPE[0] - 1), x - place[1] * (SHAPE[1] - 1)
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    along, across = x * cosine - y * sine, x * sine + y * cosine
    return np.where((along / elongation) ** 2 + across**2 <= half**2, np.uint8(255), np.uint8(0))


def plate(mask: np.ndarray, contrast: float, seed: int = 0, *, channels: int | None = 3, dtype: type = np.uint8) -> np.ndarray:
    """A textured plate that fills the picture, brighter under the mask by ``contrast`` of full scale."""
    values = picture((*SHAPE, channels) if channels else SHAPE, np.float32, seed)
    values[mask != 0] += contrast
    scale = np.iinfo(dtype).max
    return np.clip(np.rint(values * scale), 0, scale).astype(dtype)


def write_plates(root: Path, truths: list[dict[str, Any]], kind: str = "spot", **types: Any) -> Path:
    """A folder of examples: each truth is what ``ellipse`` takes, and a ``contrast``."""
    for number, truth in enumerate(truths):
        mask = ellipse(**{key: value for key, value in truth.items() if key != "contrast"})
        write_mvtec(root, "test", kind, f"{number:03d}", plate(mask, truth["contrast"], number, **types), mask)
    return root


def write_normals(folder: Path, count: int = 3, **types: Any) -> Path:
    for number in range(count):
        write_image(folder / f"{number}.png", plate(np.zeros(SHAPE, np.uint8), 0.0, 100 + number, **types))
    return folder


def pin(along: float, angle: float = 30.0) -> tuple[np.ndarray, np.ndarray]:
    """A bright pin with a head on a dark ground, which points to ``angle``, and a mark across it at ``along`` of its length."""
    height, width, length = 150, 150, 120.0
    y, x = np.mgrid[:height, :width]
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    x, y = x - (width - 1) / 2, y - (height - 1) / 2
    way, off = (x * cosine - y * sine) / length + 0.5, np.abs(x * sine + y * cosine) / length
    product = (way >= 0) & (way <= 1) & (off < np.where(way < 0.25, 0.17, 0.08))
    mask = np.where(product & (np.abs(way - along) < 0.018) & (off < 0.06), np.uint8(255), np.uint8(0))
    image = 0.15 * picture((height, width, 3)).astype(np.float32) + 20
    image[product] += 120
    image[mask != 0] -= 60
    return np.rint(image).astype(np.uint8), mask


def one(area: float = 0.01, **changes: Any) -> Example:
    """An example as it is measured, for what is fitted to it."""
    measured = measure_example("spot/000", defect(ellipse(area, 1.5, 0.0), -0.2))
    return dataclasses.replace(measured, **changes)


def defect(mask: np.ndarray, contrast: float, seed: int = 0) -> Defect:
    return Defect(plate(mask, contrast, seed), mask, "0" * 64)


# --- what is measured -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0, 155.0])
@pytest.mark.parametrize(("area", "elongation", "contrast"), [(0.004, 2.0, -0.3), (0.02, 6.0, 0.25)])
def test_examples_measure_what_they_were_made_of(area, elongation, angle, contrast):
    found = measure_example("spot/000", defect(ellipse(area, elongation, angle), contrast))
    assert (found.kind, found.name, found.pieces) == ("spot", "spot/000", 1)
    assert found.area == pytest.approx(area, rel=0.06)
    assert found.elongation == pytest.approx(elongation, rel=0.08)
    assert found.angle is not None
    assert abs((found.angle - angle + 90) % 180 - 90) < 3
    assert found.contrast == pytest.approx(contrast, abs=0.03)
    assert found.around == pytest.approx(PLATE, abs=0.06)
    assert found.depth > 0.9  # in the middle
    assert found.begins > 0.8  # the outline is drawn on the defect
    assert found.along is None  # a square plate is not long
    assert found.outside == 0.0
    assert not found.at_edge


def test_a_round_defect_points_nowhere():
    assert measure_example("spot/0", defect(ellipse(0.01, 1.0, 0.0), -0.3)).angle is None


def test_an_outline_drawn_wide_and_a_blurred_defect_are_seen_as_such():
    sharp = measure_example("spot/0", defect(ellipse(0.02, 1.5, 0.0), -0.3))
    mask = ellipse(0.02, 1.5, 0.0)
    wide = Defect(plate(mask, -0.3), cv2.dilate(mask, np.ones((7, 7), np.uint8)), "")
    assert measure_example("spot/0", wide).begins < 0.3
    blurred = cv2.GaussianBlur(plate(mask, -0.3), (0, 0), 3.0)
    assert measure_example("spot/0", Defect(blurred, mask, "")).halo > 1.3 * sharp.halo


@pytest.mark.parametrize("along", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("angle", [0.0, 30.0, 200.0])
def test_the_place_along_a_long_product_is_measured(along, angle):
    image, mask = pin(along, angle)
    found = measure_example("mark/0", Defect(image, mask, ""))
    assert found.along == pytest.approx(along, abs=0.04)
    assert found.angle is not None
    assert abs(found.angle - 90) < 10  # across the pin, however that lies


@pytest.mark.parametrize("shape", [(60, 128), (128, 61)])
def test_a_long_picture_of_a_texture_is_no_long_product(shape):
    mask = np.zeros(shape, np.uint8)
    cv2.line(mask, (20, 20), (45, 20), 255, 2)
    image = picture((*shape, 3))
    image[mask != 0] -= 60
    found = measure_example("spot/0", Defect(image, mask, ""))
    assert found.along is None
    assert found.angle is not None
    assert min(found.angle, 180 - found.angle) < 2  # from the picture's rows, whichever side of it is long


def test_a_missing_piece_lies_outside_of_the_product():
    image, mask = pin(0.95)
    missing = cv2.dilate(mask, np.ones((15, 15), np.uint8))
    image[missing != 0] = 35
    found = measure_example("gap/0", Defect(image, missing, ""))
    assert found.outside > 0.5
    assert found.at_edge


def test_the_largest_piece_speaks_for_a_defect_in_several():
    mask = ellipse(0.02, 5.0, 0.0)
    mask[5:8, 5:8] = 255
    found = measure_example("spot/0", defect(mask, -0.3))
    assert found.pieces == 2
    assert found.elongation == pytest.approx(5.0, rel=0.08)


@settings(max_examples=10)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 1000))
def test_any_example_can_be_fitted_and_its_recipe_read_again(height, width, seed):
    mask = np.where(picture((height, width), seed=seed) > 125, np.uint8(255), np.uint8(0))
    mask.flat[seed % mask.size] = 255
    found = measure_example("spot/0", Defect(picture((height, width, 3), seed=seed + 1), mask, ""))
    values = [value for value in dataclasses.astuple(found) if isinstance(value, float)]
    assert np.isfinite(values).all()
    assert 0 < found.area <= 1
    assert 0 <= found.halo <= 1
    recipe = fit_recipe([found])
    assert Recipe.from_yaml(recipe_text(recipe, [found])) == recipe


# --- ranges ---------------------------------------------------------------------------------------------------------------


def width(bounds: tuple[float, float]) -> float:
    """Deviation of a log-uniform draw."""
    return math.log(bounds[1] / bounds[0]) / (2 * math.sqrt(3))


def bell(count: int) -> np.ndarray:
    """Values of a normal distribution, evenly spread over its quantiles."""
    return np.array([NormalDist().inv_cdf((place + 0.5) / count) for place in range(count)])


PRIOR = prior_spread(load_recipe("industrial"))


def test_one_example_takes_the_priors_spread_and_thirty_their_own():
    assert width(shrunk_range([0.001], PRIOR)) == pytest.approx(PRIOR, rel=0.01)
    draws = bell(30)
    for spread in (0.1, 0.4, 1.0):
        areas = 0.002 * np.exp(spread * draws)
        found = shrunk_range(areas.tolist(), PRIOR)
        own = float(np.log(areas).std(ddof=1))
        assert abs(width(found) - own) < 0.35 * abs(PRIOR - own) + 0.01
        assert math.sqrt(found[0] * found[1]) == pytest.approx(float(np.median(areas)), rel=0.01)


def test_the_more_examples_agree_the_narrower_the_range():
    widths = [width(shrunk_range([0.002] * count, PRIOR)) for count in (1, 3, 10, 30)]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.5 * widths[0]
    scales = [varied_scale([0.002] * count, PRIOR) for count in (1, 3, 10, 30)]
    assert [high for _, high in scales] == sorted((high for _, high in scales), reverse=True)
    assert all(low * high == pytest.approx(1, rel=0.01) for low, high in scales)


@given(st.lists(st.floats(1e-7, 1.0), min_size=1, max_size=50))
def test_ranges_of_areas_are_ranges(areas):
    low, high = shrunk_range(areas, PRIOR)
    assert 0 < low <= high <= 1
    low, high = varied_scale(areas, PRIOR)
    assert 0 < low <= 1 <= high < 10


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=50))
def test_bounded_ranges_hold_their_values(values):
    low, high = bounded_range(values, 0.05)
    assert 0 <= low <= min(values) + 0.001
    assert max(values) - 0.001 <= high <= 1
    if len(values) == 1:
        assert (low, high) == (0.0, 1.0)


@pytest.mark.parametrize("middle", [0.0, 3.0, 44.0, 90.0, 177.0])
@pytest.mark.parametrize("spread", [4.0, 12.0])
def test_axes_around_a_direction_have_its_spread(middle, spread):
    axes = (middle + spread * bell(40)) % 180.0
    assert spread_of_angles(axes.tolist()) == pytest.approx(spread, rel=0.25)
    assert abs((mean_axis(axes.tolist()) - middle + 90) % 180 - 90) < 3
    low, high = directed(spread_of_angles(axes.tolist()))
    assert 1.2 * spread < high < 4 * spread + 10
    assert low == -high


def test_axes_that_point_anywhere_have_none():
    assert spread_of_angles([]) is None
    assert spread_of_angles([40.0]) is None
    assert spread_of_angles([0.0, 90.0]) is None
    assert spread_of_angles(np.linspace(0, 180, 12, endpoint=False).tolist()) is None
    assert directed(None) == (-180.0, 180.0)


@given(st.floats(0.0, 180.0), st.integers(2, 50))
def test_equal_axes_have_no_spread(angle, count):
    assert spread_of_angles([angle] * count) == pytest.approx(0.0, abs=1e-3)


@given(st.lists(st.floats(0.0, 180.0), min_size=2, max_size=50))
def test_any_axes_have_a_spread_or_none(angles):
    spread = spread_of_angles(angles)
    low, high = directed(spread)
    assert -180 <= low < 0 < high <= 180
    assert -90 <= mean_axis(angles) <= 90


@given(st.floats(1e-9, 1e9))
def test_rounded_keeps_three_digits(value):
    assert rounded(value) == pytest.approx(value, rel=0.0051)
    assert len(f"{rounded(value):.12g}".replace(".", "").lstrip("0").split("e")[0].rstrip("0")) <= 3


# --- what is fitted -------------------------------------------------------------------------------------------------------


def fitted(truths: list[dict[str, Any]]) -> tuple[Recipe, list[Example]]:
    examples = [
        measure_example(
            f"spot/{number:03d}",
            defect(ellipse(**{key: value for key, value in truth.items() if key != "contrast"}), truth["contrast"], number),
        )
        for number, truth in enumerate(truths)
    ]
    return fit_recipe(examples), examples


def truth(
    area: float = 0.01, elongation: float = 1.6, angle: float = 0.0, contrast: float = -0.25, **place: Any
) -> dict[str, Any]:
    return {"area": area, "elongation": elongation, "angle": angle, "contrast": contrast, **place}


def test_two_entries_for_each_kind_and_shapes_are_drawn_where_examples_are_few():
    for count, drawn in ((1, 1.0), (2, 1.0), (3, 0.0), (20, 0.0)):
        recipe = fit_recipe([one()] * count)
        assert list(recipe.kinds) == ["spot", "spot_drawn"]
        assert recipe.kinds["spot"].mask.kind == "outline"
        assert recipe.kinds["spot"].weight == count
        assert recipe.kinds["spot_drawn"].weight == drawn
        assert recipe.kinds["spot_drawn"].name == "spot"
        assert recipe.needs == {"defects"}


def test_a_kind_called_like_a_drawn_one_loses_nothing():
    examples = [one(kind=kind, name=f"{kind}/0") for kind in ("spot", "spot_drawn", "012", "no")]
    recipe = fit_recipe(examples)
    assert len(recipe.kinds) == 8
    assert sorted(kind.name or "" for kind in recipe.kinds.values()) == ["", "", "", "", "012", "no", "spot", "spot_drawn"]
    text = recipe_text(recipe, examples)
    assert text.count("# 1 example:") == 4
    assert Recipe.from_yaml(text) == recipe


def test_sizes_follow_the_examples():
    for area in (0.003, 0.03):
        recipe, _ = fitted([truth(area * step) for step in (0.8, 0.9, 1.0, 1.1, 1.25)])
        low, high = recipe.kinds["spot_drawn"].mask.area_range
        assert math.sqrt(low * high) == pytest.approx(area, rel=0.05)
        assert low < 0.8 * area
        assert high > 1.25 * area


def test_long_ones_are_drawn_as_lines_and_round_ones_as_patches():
    lines, _ = fitted([truth(elongation=elongation) for elongation in (7.0, 8.0, 9.0)])
    assert lines.kinds["spot_drawn"].mask.kind == "stroke"
    low, high = lines.kinds["spot_drawn"].mask.aspect_range
    assert low < 8 < high
    patches, _ = fitted([truth(elongation=elongation) for elongation in (1.3, 1.8, 2.4)])
    assert patches.kinds["spot_drawn"].mask.kind != "stroke"
    assert patches.kinds["spot_drawn"].mask.elongation_range[1] == pytest.approx(1.8, rel=0.1)


def test_directions_follow_the_examples():
    recipe, _ = fitted([truth(elongation=6.0, angle=angle) for angle in (26, 28, 30, 32, 34)])
    low, high = recipe.kinds["spot"].mask.rotation_range
    assert -40 < low < 0 < high < 40  # an example is turned a little
    low, high = recipe.kinds["spot_drawn"].mask.rotation_range
    assert low < 28
    assert high > 32
    assert (low + high) / 2 == pytest.approx(30, abs=4)
    assert high - low < 60
    recipe, _ = fitted([truth(elongation=6.0, angle=angle) for angle in (0, 36, 72, 108, 144)])
    assert recipe.kinds["spot"].mask.rotation_range == (-180, 180)
    assert recipe.kinds["spot_drawn"].mask.rotation_range == (-180, 180)


def test_directions_that_are_measured_from_different_axes_are_not_mixed():
    """An angle is from the product's axis where that is long: one product that was not found must not spoil the others."""
    upright = [one(elongation=6.0, angle=angle) for angle in (88.0, 90.0, 92.0)]
    along = [one(elongation=6.0, angle=0.0, along=0.5)]
    assert fit_recipe(upright + along).kinds["spot_drawn"].mask.rotation_range == pytest.approx((80, 100), abs=8)


def test_equal_directions_can_be_fitted():
    recipe, _ = fitted([truth(elongation=6.0, angle=90.0)] * 4)
    assert recipe.kinds["spot"].mask.rotation_range[1] < 90


def test_depth_follows_the_examples():
    at_the_rim, _ = fitted([truth(area=0.004, place=(0.06, across)) for across in (0.3, 0.5, 0.7)])
    for kind in at_the_rim.kinds.values():
        assert kind.mask.depth_range[1] < 0.5
    anywhere, _ = fitted([truth(area=0.004, place=(0.06, 0.5))])
    assert anywhere.kinds["spot"].mask.depth_range == (0, 1)  # one example says nothing of the others' places


def test_the_place_along_a_long_product_is_fitted():
    places = (0.7, 0.75, 0.8, 0.85)
    examples = [measure_example(f"mark/{along}", Defect(*pin(along, 40 * along), "")) for along in places]
    for kind in fit_recipe(examples).kinds.values():
        low, high = kind.mask.along_range
        assert 0.5 < low < 0.71
        assert 0.84 < high < 1
    outlined = fit_recipe(examples).kinds["mark"].mask
    assert outlined.aligned
    assert outlined.alike < 1


def test_gaps_in_the_product_keep_the_backgrounds_tone():
    gap = fit_recipe([one(outside=0.8, at_edge=True, kind="gap")] * 3)
    assert list(gap.kinds) == ["gap"]  # nothing is drawn that the background would have to fill
    assert gap.kinds["gap"].source.tone.match_range == (0, 0)
    pit = fit_recipe([one()] * 3)
    assert pit.kinds["spot"].source.tone.match_range[1] > 0.5
    assert pit.kinds["spot"].source.tone.relative


def test_what_follows_the_light_is_matched_and_what_keeps_its_brightness_is_not():
    lights = np.linspace(0.3, 0.8, 6)
    pits = fit_recipe([one(around=light, contrast=-0.4 * light) for light in lights])
    paint = fit_recipe([one(around=light, contrast=0.2 - light) for light in lights])
    assert pits.kinds["spot"].source.tone.match_range[0] > paint.kinds["spot"].source.tone.match_range[1]


@pytest.mark.parametrize(("match_share", "expected"), [(1.0, 2.0), (0.5, 1.5), (0.0, 1.0)])
def test_a_relative_tone_is_stronger_in_more_light(match_share, expected):
    patch, under = np.full((2, 2, 3), 80, np.uint8), np.full(3, 200.0)
    around = np.full(3, 99.5)  # (200 + 1) / (99.5 + 1) is 2
    for relative, times in ((False, 1.0), (True, expected)):
        toned = ToneParams(match=match_share, relative=relative).apply(patch, around, under)
        level = (1 - match_share) * 99.5 + match_share * 200
        assert toned.mean() - level == pytest.approx(-19.5 * times, abs=0.6)
    dark = ToneParams(match=1.0, relative=True).apply(patch, np.zeros(3), under)
    assert dark.max() == 255  # 200 times as much light makes it four times as strong, and no more


def test_what_may_show_outside_and_what_must_show_inside_follow_the_contrast():
    faint, strong = (fit_recipe([one(contrast=contrast)] * 3) for contrast in (-0.05, -0.5))
    assert 0 < faint.label.outside < strong.label.outside < 0.5
    assert 0 < faint.min_difference < strong.min_difference < 0.5
    assert all(kind.halo_range[1] > 0 for kind in strong.kinds.values())
    sharp, blurred = (fit_recipe([one(halo=halo)] * 3).kinds["spot"].halo_range for halo in (0.004, 0.02))
    assert sharp[1] < blurred[0]


def test_there_must_be_an_example():
    with pytest.raises(InputError, match="no defects to match"):
        fit_recipe([])


def test_the_recipe_is_short_and_says_what_it_was_fitted_to():
    recipe, examples = fitted([truth(area) for area in (0.005, 0.01, 0.02)])
    text = recipe_text(recipe, examples)
    assert Recipe.from_yaml(text) == recipe
    assert len(text.splitlines()) < 60
    assert f"  # {summary_of(examples)}\n  spot:\n" in text
    assert summary_of(examples).startswith("3 examples: area 0.0049 .. 0.02 of the foreground, 1 pieces, elongation 1.5 .. 1.6")
    assert text.startswith("# Fitted to 3 real defects by `defectsynth match`")
    changed = text.replace("weight: 3.0", "weight: 7")
    assert Recipe.from_yaml(changed).kinds["spot"].weight == 7


# --- a match --------------------------------------------------------------------------------------------------------------

FIVE = [
    truth(0.006, 2.0, 20.0, -0.3),
    truth(0.008, 2.2, 80.0, -0.25, place=(0.4, 0.6)),
    truth(0.01, 1.8, 130.0, -0.28, place=(0.6, 0.3)),
    truth(0.012, 2.4, 50.0, -0.22, place=(0.55, 0.7)),
    truth(0.015, 2.1, 160.0, -0.26, place=(0.35, 0.45)),
]


@pytest.fixture(scope="module")
def normals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_normals(tmp_path_factory.mktemp("normals"))


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five dark spots, and one bright scratch of another kind."""
    folder = write_plates(tmp_path_factory.mktemp("five"), FIVE)
    return write_plates(folder, [truth(0.01, 9.0, 90.0, 0.3)], "scratch")


@pytest.fixture(scope="module")
def matched(five: Path, normals: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[MatchReport, Path]:
    out = tmp_path_factory.mktemp("matched") / "out"
    return match(five, out, images=normals, kinds=["spot"], count=40, seed=3), out


def test_a_match_writes_a_recipe_a_dataset_a_sheet_and_a_report(matched):
    report, out = matched
    assert sorted(path.name for path in out.iterdir()) == ["matched.yaml", "report.md", "samples.png", "synthetic"]
    assert load_recipe(out / "matched.yaml") == report.recipe
    assert report.rendered.anomalous == 40
    assert report.rendered.kinds == {"spot": 40}  # what is drawn goes by the examples' name
    assert len(report.examples) == 5
    lines = [json.loads(line) for line in (out / "synthetic" / "manifest.jsonl").read_text().splitlines()]
    entries = {line["plan"]["anomalies"][0].get("entry", "spot") for line in lines}
    assert entries == {"spot"}
    assert verify(out / "synthetic").problems == []
    sheet = read_image(out / "samples.png")
    assert sheet.ndim == 3
    assert sheet.std() > 10
    text = (out / "report.md").read_text()
    assert summary_of(report.examples) in text
    for measure in MEASURES:
        assert f"| {measure.name} | synthetic |" in text
    assert f"defectsynth render --recipe {out / 'matched.yaml'} --defects " in text


def test_medians_of_a_match_are_near_the_examples(matched):
    report, _ = matched
    for name, least, most in (("area", 0.6, 1.6), ("elongation", 0.7, 1.4), ("contrast", 0.6, 1.5), ("components", 1, 1)):
        own, real = report.comparison[name]
        assert real is not None
        assert least <= own.median / real.median <= most, name


def test_dark_defects_are_matched_by_dark_ones(matched):
    _, out = matched
    for found in measure_bank(DefectBank(out / "synthetic")):
        assert found.contrast < 0


def test_kinds_choose_among_the_examples(matched, five, normals, tmp_path):
    chosen, _ = matched
    assert all(example.kind == "spot" for example in chosen.examples)
    both = match(five, tmp_path / "both", images=normals, count=8)
    assert list(both.recipe.kinds) == ["scratch", "scratch_drawn", "spot", "spot_drawn"]
    assert len(both.examples) == 6


def test_a_match_is_the_same_again_and_other_with_another_seed(five, normals, tmp_path):
    seen = []
    outs = [tmp_path / name for name in ("one", "two", "three")]
    for out, seed in zip(outs, (1, 1, 2), strict=True):
        match(five, out, images=normals, count=3, seed=seed, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (3, 3)
    recipes = [(out / "matched.yaml").read_bytes() for out in outs]
    assert recipes[0] == recipes[1] == recipes[2]  # the recipe does not depend on the sample's seed
    pictures = [b"".join(sorted(one.image.read_bytes() for one in read_defects(out / "synthetic"))) for out in outs]
    assert pictures[0] == pictures[1] != pictures[2]


def test_one_example_is_enough(normals, tmp_path):
    folder = write_plates(tmp_path / "real", FIVE[2:3])
    report = match(folder, tmp_path / "out", images=normals, count=12)
    assert report.rendered.anomalous == 12
    own, real = report.comparison["area"]
    assert real is not None
    assert 0.4 < own.median / real.median < 2.5
    assert load_recipe(tmp_path / "out" / "matched.yaml") == report.recipe


def test_a_defect_of_three_pixels(normals, tmp_path):
    mask = np.zeros(SHAPE, np.uint8)
    mask[60, 60:63] = 255
    write_mvtec(tmp_path / "real", "test", "speck", "0", plate(mask, -0.4), mask)
    report = match(tmp_path / "real", tmp_path / "out", images=normals, count=8)
    assert report.examples[0].area == 3 / mask.size
    assert report.rendered.anomalous == 8
    own, _ = report.comparison["area"]
    assert own.median * mask.size < 12


def test_a_defect_that_fills_the_picture(normals, tmp_path):
    mask = np.full(SHAPE, 255, np.uint8)
    write_mvtec(tmp_path / "real", "test", "all", "0", plate(mask, -0.2), mask)
    report = match(tmp_path / "real", tmp_path / "out", images=normals, count=6)
    assert report.examples[0].area == 1
    assert report.rendered.anomalous + report.rendered.skipped == 6
    own, _ = report.comparison["area"]
    assert own.median > 0.2


@pytest.mark.parametrize("kind", list(DTYPES))
def test_pictures_of_every_type(kind, tmp_path):
    channels, dtype = DTYPES[kind]
    folder = write_plates(tmp_path / "real", FIVE[:2], channels=channels, dtype=dtype)
    images = write_normals(tmp_path / "normals", 2, channels=channels, dtype=dtype)
    report = match(folder, tmp_path / "out", images=images, count=5)
    assert report.rendered.anomalous == 5
    assert report.examples[0].contrast == pytest.approx(-0.3, abs=0.04)
    for made in read_defects(tmp_path / "out" / "synthetic"):
        image = read_image(made.image)
        assert image.dtype == dtype
        assert image.ndim == (3 if channels else 2)
    own, real = report.comparison["contrast"]
    assert real is not None
    assert 0.4 < own.median / real.median < 1.8


def test_a_size_and_several_processes(five, normals, tmp_path):
    report = match(five, tmp_path / "out", images=normals, kinds=["spot"], count=4, size=(64, 80), workers=2)
    assert report.rendered.anomalous == 4
    for made in read_defects(tmp_path / "out" / "synthetic"):
        assert read_image(made.image).shape[:2] == (64, 80)


def test_normal_pictures_beside_the_defects_are_taken(tmp_path):
    folder = write_plates(tmp_path / "real", FIVE[:1])
    write_normals(folder / "train" / "good", 2)
    assert match(folder, tmp_path / "out", count=2).rendered.anomalous == 2


def test_defects_on_a_long_product_stay_where_they_were(tmp_path):
    for number, along in enumerate((0.78, 0.82, 0.86)):
        image, mask = pin(along, 60.0 * number)
        write_mvtec(tmp_path / "real", "test", "mark", f"{number}", image, mask)
        clean, _ = pin(along=-1.0, angle=25.0 + 100.0 * number)  # no mark
        write_image(tmp_path / "normals" / f"{number}.png", clean)
    report = match(tmp_path / "real", tmp_path / "out", images=tmp_path / "normals", count=12)
    assert report.rendered.anomalous == 12
    found = measure_bank(DefectBank(tmp_path / "out" / "synthetic"))
    assert all(example.along is not None and 0.6 < example.along <= 1 for example in found)


# --- what is refused ------------------------------------------------------------------------------------------------------


def refused(error: type[DefectSynthError], text: str, defects: Path, out: Path, **options: Any) -> None:
    before = sorted(out.rglob("*")) if out.exists() else None
    with pytest.raises(error, match=text):
        match(defects, out, **{"count": 2, **options})
    assert (sorted(out.rglob("*")) if out.exists() else None) == before  # nothing was written


def test_defects_that_cannot_be_used(five, normals, tmp_path):
    out = tmp_path / "out"
    refused(SourceError, "not a folder", tmp_path / "none", out, images=normals)
    (tmp_path / "empty").mkdir()
    refused(SourceError, "has no pictures", tmp_path / "empty", out, images=normals)
    good = tmp_path / "only_good"
    write_normals(good / "train" / "good", 1)
    refused(SourceError, "has no defects", good, out, images=normals)
    unmarked = write_plates(tmp_path / "unmarked", FIVE[:2])
    write_image(unmarked / "ground_truth" / "spot" / "001_mask.png", np.zeros(SHAPE, np.uint8))
    refused(SourceError, "001_mask.png' is empty", unmarked, out, images=normals)
    write_image(unmarked / "ground_truth" / "spot" / "001_mask.png", np.full((10, 12), 255, np.uint8))
    refused(SourceError, "is 12 x 10 but its picture is 128 x 128", unmarked, out, images=normals)
    (unmarked / "ground_truth" / "spot" / "001_mask.png").unlink()
    refused(SourceError, "has no mask", unmarked, out, images=normals)
    refused(InputError, "kind 'dent' is not in .*: it has scratch, spot", five, out, images=normals, kinds=["spot", "dent"])
    refused(InputError, "no defects to match", five, out, images=normals, kinds=[])


def test_a_kind_that_is_left_out_is_not_even_read(normals, tmp_path):
    folder = write_plates(tmp_path / "real", FIVE[:1])
    write_plates(folder, FIVE[:1], "broken")
    write_image(folder / "ground_truth" / "broken" / "000_mask.png", np.zeros(SHAPE, np.uint8))
    refused(SourceError, "is empty", folder, tmp_path / "out", images=normals)
    assert len(measure_bank(DefectBank(folder), ["spot"])) == 1


def test_normal_pictures_that_cannot_be_used(five, tmp_path):
    out = tmp_path / "out"
    refused(SourceError, "is not there: give normal pictures with --images", five, out)
    refused(SourceError, "does not exist: check the path", five, out, images=tmp_path / "none")
    (tmp_path / "empty").mkdir()
    refused(InputError, "no pictures", five, out, images=tmp_path / "empty")


def test_outputs_that_cannot_be_used(five, normals, tmp_path):
    out = tmp_path / "out"
    match(five, out, images=normals, count=2)
    recipe = (out / "matched.yaml").read_text()
    refused(StorageError, "holds a match already", five, out, images=normals)
    assert (out / "matched.yaml").read_text() == recipe
    again = match(five, out, images=normals, kinds=["spot"], count=3, overwrite=True)
    assert again.rendered.anomalous == 3
    assert load_recipe(out / "matched.yaml") == again.recipe
    assert len(read_defects(out / "synthetic")) == 3
    (out / "synthetic" / "mine.txt").write_text("kept")
    recipe = (out / "matched.yaml").read_text()
    refused(StorageError, "mine.txt", five, out, images=normals, overwrite=True)
    assert (out / "matched.yaml").read_text() == recipe
    foreign = tmp_path / "foreign"
    (foreign / "synthetic").mkdir(parents=True)
    (foreign / "synthetic" / "mine.txt").write_text("kept")
    refused(StorageError, "is not empty", five, foreign, images=normals)
    refused(StorageError, "lie inside each other", five, normals / "out", images=normals)
    refused(StorageError, "lie inside each other", five, five / "out", images=normals)
    (tmp_path / "file").write_text("")
    refused(StorageError, "file", five, tmp_path / "file", images=normals)


@pytest.mark.parametrize(("option", "value"), [("count", 0), ("count", -3), ("seed", -1), ("seed", 2**64)])
def test_numbers_that_leave_their_limits(five, normals, tmp_path, option, value):
    refused(InputError, option, five, tmp_path / "out", images=normals, **{option: value})


def test_samples_that_cannot_be_painted_are_an_error(five, tmp_path):
    write_image(tmp_path / "flat" / "0.png", np.full((*SHAPE, 3), 128, np.uint8))  # no evidence for anything
    with pytest.raises(InputError, match=r"none of the 2 samples could be painted: see .*skipped\.jsonl"):
        match(five, tmp_path / "out", images=tmp_path / "flat", count=2)
    assert "foreground" in (tmp_path / "out" / "synthetic" / "skipped.jsonl").read_text()
