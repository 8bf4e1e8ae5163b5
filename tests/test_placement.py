"""Where on a product a defect is set down: along its axis, turned with it, where its edge runs alike; what fills its mask."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import picture
from hypothesis import assume, given
from hypothesis import strategies as st

from defectsynth import AnomalySynthesizer
from defectsynth.banks import Banks, DefectBank
from defectsynth.errors import RecipeError
from defectsynth.formats.mvtec import write_mvtec
from defectsynth.masks import Ellipse, Outline
from defectsynth.masks.base import MaskSpec
from defectsynth.masks.kept import Kept
from defectsynth.masks.outline import OutlineParams
from defectsynth.masks.placement import axis_of
from defectsynth.masks.silhouette import most_alike
from defectsynth.rng import Draws
from defectsynth.statistics import elongation_of

SHAPE = (160, 160)
LENGTH = 120.0
TIP = 0.85  # of the length: what is cut off of a damaged one
ANGLES = range(0, 360, 15)


def screw(angle: float, shape: tuple[int, int] = SHAPE, length: float = LENGTH, upto: float = 1.0) -> np.ndarray:
    """A silhouette, 0 or 255: a head, and a thinner shank that points ``angle`` degrees anticlockwise from it."""
    return drawn([(0.0, 0.2, 0.16), (0.2, upto, 0.07)], angle, shape, length)


def drawn(parts: list[tuple[float, float, float]], angle: float, shape: tuple[int, int], length: float) -> np.ndarray:
    """Boxes along an axis: from, to, half of the width, in lengths; in the middle of the picture."""
    mask = np.zeros(shape, np.uint8)
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    for start, end, half in parts:
        corners = [(x - 0.5, y) for x, y in ((start, -half), (start, half), (end, half), (end, -half))]
        points = [
            ((shape[1] - 1) / 2 + length * (x * cosine - y * sine), (shape[0] - 1) / 2 - length * (x * sine + y * cosine))
            for x, y in corners
        ]
        cv2.fillPoly(mask, [np.rint(points).astype(np.int32)], 255)
    return mask


def apart(one: float, other: float, turn: float = 360.0) -> float:
    """Degrees between two directions, or with ``turn`` 180 between two axes."""
    return abs((one - other + turn / 2) % turn - turn / 2)


def painted(spec: MaskSpec, roi: np.ndarray, index: int, banks: Banks | None = None) -> np.ndarray:
    banks = banks or Banks()
    return spec.draw(Draws(5, index), banks).paint(roi, banks)


def middle(mask: np.ndarray) -> tuple[int, int]:
    """(row, column) of its mass."""
    rows, columns = np.nonzero(mask)
    return round(rows.mean()), round(columns.mean())


def folder_of(root: Path, mask: np.ndarray, product: np.ndarray, defect: int) -> DefectBank:
    """One defect on a product, dark on a bright background."""
    image = 0.5 * picture((*mask.shape, 3)).astype(np.float32) + 140.0
    image[product != 0] -= 120.0
    image[(mask != 0) & (product != 0)] = defect
    write_mvtec(root, "test", "mark", "0", np.clip(image, 0, 255).astype(np.uint8), mask)
    return DefectBank(root)


# --- the axis -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("angle", ANGLES)
def test_the_axis_points_from_the_head_to_the_tip(angle):
    roi = screw(angle)
    axis = axis_of(roi)
    assert axis is not None
    assert apart(axis.angle, angle) < 1.5
    along = axis.along(roi)
    inside = along[roi != 0]
    assert inside.min() == 0
    assert inside.max() == 1
    head, shank = drawn([(0.0, 0.2, 0.16)], angle, SHAPE, LENGTH), drawn([(0.6, 1.0, 0.07)], angle, SHAPE, LENGTH)
    assert along[head != 0].mean() < 0.2
    assert along[shank != 0].mean() > 0.7


@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 10_000))
def test_any_region_has_an_axis_or_none(height, width, seed):
    roi = np.where(picture((height, width), seed=seed) > 125, np.uint8(255), np.uint8(0))
    axis = axis_of(roi)
    if axis is not None:
        along = axis.along(roi)
        assert 0 <= axis.angle < 360
        assert along[roi != 0].min() == 0
        assert along[roi != 0].max() <= 1
        assert axis_of(roi) == axis


@pytest.mark.parametrize("shape", [(1, 1), (40, 40), (40, 50)])
def test_a_round_region_has_no_axis(shape):
    assert axis_of(np.full(shape, 255, np.uint8)) is None
    assert axis_of(np.zeros(shape, np.uint8)) is None


def test_a_disc_has_no_axis_and_a_bar_has_one():
    disc = cv2.circle(np.zeros((90, 90), np.uint8), (45, 45), 30, 255, -1)
    assert axis_of(disc) is None
    bar = drawn([(0, 1, 0.1)], 30, SHAPE, 120)
    found = axis_of(bar)
    assert found is not None
    assert apart(found.angle, 30, 180) < 1


# --- along ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bounds", [(0.0, 0.1), (0.4, 0.5), (0.9, 1.0)])
@pytest.mark.parametrize("angle", [0, 70, 205])
def test_defects_lie_along_the_product_where_they_may(bounds, angle):
    roi = screw(angle)
    axis = axis_of(roi)
    assert axis is not None
    spec = Ellipse(along_range=bounds, area_range=(0.005, 0.01))
    for index in range(12):
        params = spec.draw(Draws(5, index), Banks())
        assert bounds[0] <= axis.along(roi)[params.centre(roi)] <= bounds[1]
        mask = params.paint(roi, Banks())
        assert bounds[0] - 0.1 <= axis.along(roi)[middle(mask)] <= bounds[1] + 0.1


def test_along_and_depth_hold_together():
    roi = screw(20)
    axis = axis_of(roi)
    assert axis is not None
    spec = Ellipse(along_range=(0.0, 0.3), depth_range=(0.9, 1.0), area_range=(0.005, 0.01))
    middles = {middle(painted(spec, roi, index)) for index in range(12)}
    head = drawn([(0.05, 0.15, 0.05)], 20, SHAPE, LENGTH)
    assert all(head[place] for place in middles)  # the deepest place of a screw is in its head


@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 500), st.floats(0, 1), st.floats(0, 1))
def test_a_range_that_nothing_meets_takes_what_is_nearest(height, width, index, low, high):
    bounds = (min(low, high), max(low, high))
    roi = np.full((height, width), 255, np.uint8)
    mask = painted(Ellipse(along_range=bounds, depth_range=bounds, area_range=(0.01, 0.1)), roi, index)
    assert mask.any()
    assert not mask[roi == 0].any()


def test_a_round_product_has_no_along():
    roi = cv2.circle(np.zeros((90, 90), np.uint8), (45, 45), 35, 255, -1)
    plain, ranged = (
        [painted(Ellipse(along_range=bounds, area_range=(0.01, 0.02)), roi, index).tobytes() for index in range(5)]
        for bounds in ((0.0, 1.0), (0.8, 1.0))
    )
    assert plain == ranged


# --- turned with the product, and where its edge runs alike ---------------------------------------------------------------


@pytest.fixture(scope="module")
def scratched(tmp_path_factory: pytest.TempPathFactory) -> Banks:
    """A screw that points to 20 degrees with a thin scratch along its shank, 40 degrees off its axis."""
    product = screw(20)
    mask = np.zeros(SHAPE, np.uint8)
    row, column = SHAPE[0] / 2, SHAPE[1] / 2
    step = np.array([math.cos(math.radians(60)), -math.sin(math.radians(60))]) * 10
    ends = [np.rint(np.array([column, row]) + sign * step).astype(int) for sign in (-1, 1)]
    cv2.line(mask, tuple(map(int, ends[0])), tuple(map(int, ends[1])), 255, 1)
    return Banks(defects=folder_of(tmp_path_factory.mktemp("scratched"), mask, product, 150))


def direction(mask: np.ndarray) -> float:
    """Degrees anticlockwise of the longer axis of a mask's pixels."""
    rows, columns = np.nonzero(mask)
    values, vectors = np.linalg.eigh(np.cov(columns, -rows))
    assert values[1] > 2 * values[0]
    return math.degrees(math.atan2(vectors[1, 1], vectors[0, 1]))


@pytest.mark.parametrize("angle", range(0, 360, 45))
@pytest.mark.parametrize("flip", [0, 1])
def test_an_aligned_defect_keeps_its_direction_to_the_product(scratched, angle, flip):
    roi = screw(angle, (220, 220))
    spec = Outline(aligned=True, rotation_range=(0, 0), flip_probability=flip, scale_range=(1, 1), depth_range=(0.5, 1))
    off_axis = -40 if flip else 40  # mirrored across the product's own axis
    masks = [painted(spec, roi, index, scratched) for index in range(4)]
    whole_ones = [mask for mask in masks if np.count_nonzero(mask) > 20]  # not cut off by the edge
    assert whole_ones
    for mask in whole_ones:
        assert apart(direction(mask), angle + off_axis, 180) < 8


def test_a_defect_that_is_not_aligned_keeps_its_own_direction(scratched):
    roi = np.full((220, 220), 255, np.uint8)
    spec = Outline(rotation_range=(0, 0), flip_probability=0, scale_range=(1, 1), inside=True)
    assert all(apart(direction(painted(spec, roi, index, scratched)), 60, 180) < 5 for index in range(4))
    aligned = Outline(aligned=True, rotation_range=(0, 0), flip_probability=0, scale_range=(1, 1), inside=True)
    assert direction(painted(aligned, roi, 0, scratched)) == direction(painted(spec, roi, 0, scratched))  # a round ROI


@pytest.fixture(scope="module")
def tipless(tmp_path_factory: pytest.TempPathFactory) -> Banks:
    """A screw that points to 110 degrees, without its tip; the mask is the tip that is missing."""
    product = screw(110, upto=TIP)
    mask = cv2.subtract(drawn([(TIP, 1.0, 0.08)], 110, SHAPE, LENGTH), product)
    banks = Banks(defects=folder_of(tmp_path_factory.mktemp("tipless"), mask, product, 0))
    name, content = banks.draw_defect(Draws(0, 0), None)
    found = banks.defect_foreground(name, content)
    assert found is not None
    assert float(((found != 0) == (product != 0)).mean()) > 0.98  # the tests below say something
    return banks


@pytest.mark.parametrize("angle", range(0, 360, 60))
def test_a_missing_tip_goes_to_the_tip(tipless, angle):
    roi = screw(angle, (220, 220), 165)
    axis = axis_of(roi)
    assert axis is not None
    spec = Outline(aligned=True, alike=0.03, rotation_range=(-10, 10), scale_range=(1, 1.1))
    masks = [painted(spec, roi, index, tipless) for index in range(6)]
    assert all(axis.along(roi)[middle(mask)] > 0.8 for mask in masks)
    tip = drawn([(0.97, 1.0, 0.05)], angle, (220, 220), 165)
    assert all(mask[tip != 0].mean() > 100 for mask in masks)  # it takes the very end away


def test_without_it_a_missing_tip_goes_anywhere(tipless):
    roi = screw(0, (220, 220), 165)
    axis = axis_of(roi)
    assert axis is not None
    spec = Outline(aligned=True, rotation_range=(-10, 10), scale_range=(1, 1.1))
    places = [axis.along(roi)[middle(painted(spec, roi, index, tipless))] for index in range(20)]
    assert min(places) < 0.3
    assert np.mean([place > 0.8 for place in places]) < 0.5


@given(st.integers(2, 60), st.integers(2, 60), st.floats(0.001, 1), st.integers(0, 100))
def test_places_that_are_alike_are_some_of_those_that_were_given(height, width, share, seed):
    roi = np.where(picture((height, width), seed=seed) > 120, np.uint8(255), np.uint8(0))
    assume(roi.any())
    among = np.flatnonzero(roi)[:: 1 + seed % 3]
    around = np.where(picture((30, 40), seed=seed + 1) > 125, np.uint8(255), np.uint8(0))
    found = most_alike(around, (5, 8, 20, 30), 0.5 * np.eye(2), roi, among, share)
    assert found.size >= math.ceil(share * among.size)
    assert np.isin(found, among).all()
    if share == 1:
        assert found.size == among.size


def test_the_most_alike_place_is_where_the_silhouette_was_cut_from():
    roi = screw(0)
    around, box = roi.copy(), (70, 120, 90, 145)  # the tip
    found = most_alike(around, box, np.eye(2), roi, np.flatnonzero(np.ones(SHAPE)), 1e-9)
    rows, columns = np.divmod(found, SHAPE[1])
    assert abs(rows.mean() - 79.5) < 2
    assert abs(columns.mean() - 132) < 2


@pytest.mark.parametrize("key", ["alike=0", "alike=1.5", "alike=-0.1"])
def test_alike_is_a_share(key):
    from defectsynth import load_recipe

    with pytest.raises(RecipeError, match="alike"):
        load_recipe("peng2024").with_settings([f"kinds.*.mask.{key}"])


# --- stretched ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spot(tmp_path_factory: pytest.TempPathFactory) -> Banks:
    """A disc of 200 on a grey plate, whose surroundings are darker."""
    image = np.full((100, 100, 3), 90, np.uint8)
    mask = cv2.circle(np.zeros((100, 100), np.uint8), (50, 40), 14, 255, -1)
    image[mask != 0] = 200
    root = tmp_path_factory.mktemp("spot")
    write_mvtec(root, "test", "mark", "0", image, mask)
    return Banks(defects=DefectBank(root))


@pytest.mark.parametrize("stretch", [1.0, 2.0, 4.0])
def test_a_stretched_outline_is_longer_thinner_and_as_large(spot, stretch):
    roi = np.full((200, 200), 255, np.uint8)
    spec = Outline(scale_range=(1, 1), stretch_range=(stretch, stretch), inside=True)
    disc = int(np.count_nonzero(spot.defect("mark/0", "").mask)) * 4  # the picture is twice as large
    angles = []
    for index in range(6):
        mask = painted(spec, roi, index, spot)
        assert elongation_of(mask != 0) == pytest.approx(stretch, rel=0.06)
        assert np.count_nonzero(mask) == pytest.approx(disc, rel=0.05)
        angles.append(0.0 if stretch == 1 else direction(mask) % 180)
    assert stretch == 1 or np.ptp(angles) > 30  # along any direction


def test_a_stretch_of_one_draws_no_direction(spot):
    params = Outline().draw(Draws(5, 0), spot)
    assert (params.stretch, params.stretch_angle) == (1.0, 0.0)
    assert "stretch" not in params.model_dump(mode="json", exclude_defaults=True)


# --- what fills a mask that is not the defect's own -----------------------------------------------------------------------


@pytest.mark.parametrize("index", range(4))
def test_a_core_is_nothing_but_defect(spot, index):
    images = {}
    for part in ("box", "core"):
        recipe = {
            "name": "part",
            "foreground": "none",
            "kinds": {
                "mark": {
                    "mask": {"kind": "rectangle", "area_range": [0.05, 0.1]},
                    "source": {"kind": "defect", "part": part},
                    "blend": {"kind": "linear", "opacity_range": [1, 1], "edge_range": [0, 0]},
                }
            },
        }
        synth = AnomalySynthesizer(recipe, defects=spot.defects, seed=3)
        sample = synth(picture((120, 120, 3)), index=index)
        images[part] = sample.image[sample.mask != 0]
    assert (images["core"] == 200).all()
    assert (images["box"] < 150).any()  # the corners of the rectangle around a disc


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 200))
def test_a_core_of_any_size_fills_any_mask(height, width, index):
    defect = picture((height, width, 3), seed=8)
    mask = np.zeros((height, width), np.uint8)
    mask[: 1 + index % height, : 1 + (index * 7) % width] = 255
    from defectsynth.sources.defect import _core, _mirrored

    core = defect[_core(mask)]
    assert core.size
    assert (mask[_core(mask)] != 0).all()
    for angle in (0.0, 37.0):
        patch = _mirrored(core, (height, 2 * width), angle)
        assert patch.shape == (height, 2 * width, 3)
        assert patch.dtype == np.uint8
    if core.shape[0] == 1:
        assert (patch == core[0, 0]).all()


def test_what_was_found_is_kept_for_an_roi_that_cannot_change():
    kept, asked = Kept(), []

    def find(roi, *others):
        return kept.get(roi, others, lambda: asked.append(others) or len(asked))

    roi, one, other = np.full((4, 4), 255, np.uint8), object(), object()
    assert [find(roi, one), find(roi, one)] == [1, 2]  # it might be written to in between
    roi.flags.writeable = False
    assert [find(roi, one), find(roi, one), find(roi, other), find(roi, one)] == [3, 3, 4, 5]
    same = roi.copy()
    same.flags.writeable = False
    assert find(same, one) == 6
    found_by_another = []
    thread = threading.Thread(target=lambda: found_by_another.append(find(same, one)))
    thread.start()
    thread.join()
    assert found_by_another == [7] and find(same, one) == 6


def test_an_roi_that_is_written_to_is_looked_at_again(defect_folder):
    banks = Banks(defects=DefectBank(defect_folder))
    name = banks.defects.names[0]
    params = OutlineParams(name=name, hash=banks.defects.hash_of(name)[:16], angle=30.0, scale=1.0, flip=False, place=0.5)
    roi = np.zeros((80, 80), np.uint8)
    roi[:, :30] = 255
    left = params.paint(roi, banks)
    roi[:] = np.roll(roi, 50, axis=1)
    right = params.paint(roi, banks)
    assert left[:, :30].any() and not left[:, 30:].any() and right[:, 50:].any() and not right[:, :50].any()
