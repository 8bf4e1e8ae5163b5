"""Masks: inside the ROI, with the area and the pieces that were asked for, whatever the kind."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from defectsynth.banks import Banks, DefectBank
from defectsynth.images import is_whole, pixel_at, whole_mask
from defectsynth.masks import MASK_PARAMS, MASKS, Intersection, Outline, Perlin, Union
from defectsynth.masks.control import _Levels, choose_pixels, count_pieces
from defectsynth.noise import perlin
from defectsynth.rng import Draws

SIDE = st.integers(1, 90)


def draw(spec, index=0, banks=None):
    return spec.draw(Draws(5, index), banks or Banks())


def disc(shape: tuple[int, int]) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    inside = ((y - shape[0] / 2) / (0.45 * shape[0])) ** 2 + ((x - shape[1] / 2) / (0.45 * shape[1])) ** 2 < 1
    return np.where(inside, np.uint8(255), np.uint8(0))


@given(SIDE, SIDE, st.integers(0, 500), st.booleans())
def test_masks_lie_inside_the_roi(height, width, index, union):
    roi = disc((height, width))
    kind = Union if union else Intersection
    for spec in (
        Perlin(threshold_range=(-0.5, 0.5)),
        kind(masks=(Perlin(threshold_range=(-0.5, 0)), Perlin(threshold_range=(-0.5, 0)))),
    ):
        mask = draw(spec, index).paint(roi, Banks())
        assert mask.shape == roi.shape
        assert mask.dtype == np.uint8
        assert set(np.unique(mask)) <= {0, 255}
        assert not mask[roi == 0].any()


@given(SIDE, SIDE, st.integers(0, 500))
def test_area_alone_is_met_to_the_pixel(height, width, index):
    roi = disc((height, width))
    pixels = int(np.count_nonzero(roi))
    assume(pixels > 0)
    params = draw(Perlin(area_range=(0.01, 0.9)), index)
    found = int(np.count_nonzero(params.paint(roi, Banks())))
    assert found == max(1, round(params.area * pixels))


@pytest.mark.parametrize("pieces", [1, 2, 4])
@pytest.mark.parametrize("share", [0.002, 0.02, 0.1])
def test_area_and_components_together(pieces, share):
    roi = disc((160, 200))
    wanted = share * np.count_nonzero(roi)
    spec = Perlin(cells_range=(4, 16), area_range=(share, share), components_range=(pieces, pieces))
    masks = [draw(spec, index).paint(roi, Banks()) for index in range(40)]
    counts = [count_pieces(mask) for mask in masks]
    areas = [np.count_nonzero(mask) / wanted for mask in masks]
    assert np.mean([count == pieces for count in counts]) > 0.8
    assert np.mean([0.7 < area < 1.3 for area in areas]) > 0.9


@given(st.integers(0, 300), st.integers(1, 400), st.integers(1, 5))
def test_chosen_pieces_never_exceed_what_was_asked(seed, pixels, pieces):
    field = perlin(seed, (40, 40), (6, 6))
    inside = np.ones((40, 40), bool)
    assert 1 <= count_pieces(choose_pixels(field, inside, pixels, pieces)) <= pieces


@given(st.integers(0, 300), st.lists(st.integers(1, 2000), min_size=1, max_size=5), st.integers(1, 40))
def test_a_level_is_what_so_many_pixels_reach(seed, ranks, grid):
    values = np.round(perlin(seed, (40, 50), (3, 4)).reshape(-1) * grid)  # many are level with each other
    levels = _Levels(values)
    for rank in ranks:
        assert levels.reached_by(rank) == np.sort(values)[-rank]
    assert levels.reached_by(0) == np.inf


@given(SIDE, SIDE, st.floats(0.0, 0.999999), st.data())
def test_a_whole_roi_has_the_places_of_any_other_with_all_pixels(height, width, share, data):
    rows, columns = (sorted(data.draw(st.tuples(st.integers(0, side), st.integers(0, side)))) for side in (height, width))
    window, other = (slice(*rows), slice(*columns)), np.full((height, width), 255, np.uint8)
    whole = whole_mask((height, width))
    assert is_whole(whole)
    assert not is_whole(other)
    assert pixel_at(whole, share, window) == pixel_at(other, share, window)
    assert (pixel_at(whole, share, window) is None) == (other[window].size == 0)
    assert pixel_at(whole, share) == pixel_at(other, share)
    assert (draw(Perlin(), 3).paint(whole, Banks()) == draw(Perlin(), 3).paint(other, Banks())).all()


def test_a_large_picture_gets_its_area_and_pieces_too():
    roi = disc((1500, 1100))
    wanted = 0.01 * np.count_nonzero(roi)
    spec = Perlin(cells_range=(4, 16), area_range=(0.01, 0.01), components_range=(2, 2), octaves=3)
    for index in range(6):
        mask = draw(spec, index).paint(roi, Banks())
        assert count_pieces(mask) == 2
        assert 0.7 < np.count_nonzero(mask) / wanted < 1.3
        assert not mask[roi == 0].any()


def test_levels_are_nested():
    field, inside = perlin(9, (64, 64), (5, 5)), np.ones((64, 64), bool)
    masks = [choose_pixels(field, inside, pixels, None) for pixels in (10, 100, 1000, 4096)]
    for smaller, larger in pairwise(masks):
        assert (larger[smaller != 0] == 255).all()
    assert masks[-1].all()


def test_draem_masks_have_their_published_size():
    """Median 4.7 % of the picture in about eleven pieces, over 2,000 draws of the published code."""
    spec = Perlin(cover=False)
    roi = np.full((256, 256), 255, np.uint8)
    masks = [draw(spec, index).paint(roi, Banks()) for index in range(400)]
    masks = [mask for mask in masks if mask.any()]
    assert 0.02 < 1 - len(masks) / 400 < 0.09  # 5 % are empty
    assert 0.042 < np.median([np.count_nonzero(mask) / mask.size for mask in masks]) < 0.054
    assert 7 <= np.median([count_pieces(mask) for mask in masks]) <= 16


def test_rotation_without_cover_leaves_corners_empty_and_with_cover_does_not():
    roi = np.full((64, 64), 255, np.uint8)
    always = {"threshold_range": (-3.0, -3.0), "rotation_range": (45, 45)}
    assert draw(Perlin(cover=False, **always)).paint(roi, Banks())[0, 0] == 0
    assert draw(Perlin(cover=True, **always)).paint(roi, Banks()).all()


def test_rotation_by_90_degrees_turns_the_field_anticlockwise():
    roi = np.full((48, 48), 255, np.uint8)
    straight = draw(Perlin(rotation_range=(0, 0), area_range=(0.2, 0.2)))
    turned = straight.model_copy(update={"angle": 90.0, "cover": False})
    agreement = np.rot90(straight.paint(roi, Banks())) == turned.paint(roi, Banks())
    assert agreement.mean() > 0.95


def test_square_cells_keep_their_shape_on_a_long_picture():
    spec = Perlin(elongation_range=(1, 1), cells_range=(6, 6), cells_scale="log_uniform", rotation_range=(0, 0))
    field = draw(spec).field(np.full((40, 640), 255, np.uint8), Banks())
    steps_y, steps_x = np.abs(np.diff(field, axis=0)).mean(), np.abs(np.diff(field, axis=1)).mean()
    assert 0.6 < steps_y / steps_x < 1.6


def test_rescale_gives_a_mask_where_noise_is_weak():
    flat = draw(Perlin(cells_range=(1, 1), threshold_range=(0.99, 0.99), rotation_range=(0, 0)))
    roi = np.full((32, 32), 255, np.uint8)
    assert not flat.paint(roi, Banks()).any()
    assert flat.model_copy(update={"rescale": True}).paint(roi, Banks()).any()
    turned = flat.model_copy(update={"rescale": True, "angle": 30.0, "cover": False, "threshold": 0.8})
    assert 0 < np.count_nonzero(turned.paint(roi, Banks())) < 0.3 * roi.size  # the empty corners do not stretch with it


def test_union_and_intersection_of_two():
    pair = tuple(Perlin(threshold_range=(0.1, 0.1), rotation_range=(0, 0)) for _ in range(2))
    roi = np.full((64, 64), 255, np.uint8)
    union, intersection = draw(Union(masks=pair)), draw(Intersection(masks=pair))
    first, second = (params.paint(roi, Banks()) for params in union.masks)
    assert (union.paint(roi, Banks()) == (first | second)).all()
    assert (intersection.paint(roi, Banks()) == (first & second)).all()


def test_outline_keeps_its_area_or_takes_the_one_asked_for(defect_folder):
    banks = Banks(defects=DefectBank(defect_folder))
    roi = np.full((160, 200), 255, np.uint8)
    own = draw(Outline(scale_range=(1, 1)), banks=banks).model_copy(update={"place": 0.503, "piece": 0.0})
    piece = own.mask_of_piece(banks.defect(own.name, own.hash))
    share = np.count_nonzero(piece) / piece.size
    assert np.count_nonzero(own.paint(roi, banks)) / roi.size == pytest.approx(share, rel=0.15)
    asked = own.model_copy(update={"area": 0.03})
    assert np.count_nonzero(asked.paint(roi, banks)) / roi.size == pytest.approx(0.03, rel=0.15)


def test_outline_without_a_turn_is_the_mask_itself(defect_folder):
    banks = Banks(defects=DefectBank(defect_folder))
    params = draw(Outline(), banks=banks).model_copy(update={"angle": 0.0, "flip": False, "scale": 1.0, "piece": 0.0})
    roi = np.full((80, 100), 255, np.uint8)
    piece = params.mask_of_piece(banks.defect(params.name, params.hash))
    y, x = np.nonzero(piece)
    centre = (y.min() + y.max()) // 2 * 100 + (x.min() + x.max()) // 2
    placed = params.model_copy(update={"place": (centre + 0.5) / 8000})
    painted = placed.paint(roi, banks)
    assert np.count_nonzero(painted) == pytest.approx(np.count_nonzero(piece), rel=0.05)


@pytest.mark.parametrize("spec", [Perlin(area_range=(0.1, 0.2)), Union(masks=(Perlin(), Perlin()))])
def test_params_survive_json(spec):
    params = draw(spec)
    again = MASK_PARAMS.parse(params.model_dump(mode="json", exclude_defaults=True))
    assert again == params
    assert MASKS.parse(spec.model_dump(mode="json")) == spec
