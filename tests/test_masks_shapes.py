"""Rectangle, scar, ellipse, patch and grid cells: inside the ROI, of the area asked for, and drawn as they were published."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from defectsynth.banks import Banks
from defectsynth.images import bounding_box
from defectsynth.masks import MASK_PARAMS, MASKS, Ellipse, GridCells, MaskSpec, Patch, Rectangle, Scar, Union
from defectsynth.masks.control import count_pieces
from defectsynth.recipe import Recipe
from defectsynth.rng import Draws

SIDE = st.integers(1, 90)
INDEX = st.integers(0, 500)
DRAWN = 2000
CLOSE = 1.63 / math.sqrt(DRAWN)  # the distance between two distributions that one in a hundred fair samples exceeds

FPI = {
    "half_width_range": (0.05, 0.2),
    "half_width_gamma": None,
    "square": True,
    "scale_range": None,
    "shift": False,
    "centre_range": (0.1, 0.9),
    "min_overlap": 0,
}
ONE_PIECE = [Rectangle, Scar, Ellipse, Patch]
SPECS = [Rectangle(), Rectangle(rotation_range=(-90, 90)), Scar(), Ellipse(), Patch(), Patch(**FPI), GridCells()]
SPECS += [GridCells(share_range=(0.1, 1), fill_range=(0.3, 1), over="roi"), GridCells(components_range=(1, 3))]


def named(specs: list[MaskSpec]) -> list[object]:
    return [pytest.param(spec, id=f"{spec.kind}{number}") for number, spec in enumerate(specs)]


def draw(spec, index=0):
    return spec.draw(Draws(5, index), Banks())


def paint(spec, roi, index=0, **update):
    return draw(spec, index).model_copy(update=update).paint(roi, Banks())


def whole(height: int, width: int) -> np.ndarray:
    return np.full((height, width), 255, np.uint8)


def disc(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    inside = ((y - height / 2) / (0.45 * height)) ** 2 + ((x - width / 2) / (0.45 * width)) ** 2 < 1
    return np.where(inside, np.uint8(255), np.uint8(0))


def sides(mask: np.ndarray) -> tuple[int, int]:
    top, left, bottom, right = bounding_box(mask)
    return bottom - top, right - left


# --- laws -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", named(SPECS))
@settings(max_examples=30)
@given(SIDE, SIDE, INDEX, st.booleans())
def test_masks_lie_inside_the_roi(spec, height, width, index, round_roi):
    roi = disc(height, width) if round_roi else whole(height, width)
    assume(roi.any())
    mask = paint(spec, roi, index)
    assert mask.shape == roi.shape
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) <= {0, 255}
    assert not mask[roi == 0].any()


@pytest.mark.parametrize("spec", named([spec for spec in SPECS if spec.components_range is None]))
@settings(max_examples=30)
@given(SIDE, SIDE, INDEX, st.floats(0.001, 0.9))
def test_area_alone_is_met_to_the_pixel(spec, height, width, index, area):
    roi = disc(height, width)
    assume(roi.any())
    mask = paint(spec, roi, index, area=area)
    assert np.count_nonzero(mask) == max(1, round(area * np.count_nonzero(roi)))


@pytest.mark.parametrize("spec", named(SPECS))
@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (90, 1), (2, 3), (7, 80)])
def test_a_whole_picture_of_any_shape_gets_a_mask(spec, shape):
    for index in range(30):
        assert paint(spec, whole(*shape), index).any()


@pytest.mark.parametrize("spec", named(SPECS))
def test_one_pixel_of_roi_is_enough_with_an_area(spec):
    roi = np.zeros((50, 60), np.uint8)
    roi[3, 58] = 255
    for index in range(20):
        assert (paint(spec, roi, index, area=0.5) == roi).all()


@pytest.mark.parametrize("kind", ONE_PIECE)
def test_one_piece_where_the_roi_cuts_it_in_two(kind):
    roi = whole(80, 80)
    roi[:, 38:42] = 0
    roi[38:42] = 0
    for controls in ({"components_range": (1, 3)}, {"components_range": (1, 1), "area_range": (0.02, 0.2)}):
        spec = kind(**controls)
        masks = [paint(spec, roi, index) for index in range(30)]
        assert all(count_pieces(mask) == 1 for mask in masks)
    assert np.mean([spec.accepts(mask, roi) for mask in masks]) > 0.7


@pytest.mark.parametrize("spec", named(SPECS))
def test_params_survive_json(spec):
    for given_spec in (spec, spec.model_copy(update={"area_range": (0.01, 0.1)})):
        params = draw(given_spec)
        again = MASK_PARAMS.parse(params.model_dump(mode="json", exclude_defaults=True))
        assert again == params
        assert MASKS.parse(given_spec.model_dump(mode="json")) == given_spec
        assert len(params.model_dump_json()) < 500


@pytest.mark.parametrize("kind", ONE_PIECE)
def test_more_pieces_than_a_kind_has_are_refused(kind):
    with pytest.raises(ValidationError, match="is one piece"):
        kind(components_range=(2, 3))


def test_keys_that_make_no_sense_are_refused():
    with pytest.raises(ValidationError, match="half_height_range"):
        Patch(square=True, half_height_range=(0.1, 0.2))
    with pytest.raises(ValidationError, match="at most 64"):
        GridCells(rows_range=(8, 65))
    with pytest.raises(ValueError, match="valid integer"):
        MASKS.parse({"kind": "patch", "half_width_gamma": [2.5, 0.05, 0.03]})
    with pytest.raises(ValidationError, match="above 0"):
        Scar(width_range=(0.0, 0.1))


def test_recipes_take_them():
    masks = [spec.model_dump(mode="json") for spec in (*SPECS, Union(masks=(Rectangle(), Scar())))]
    kinds = {f"kind{number}": {"mask": mask, "blend": {"kind": "linear"}} for number, mask in enumerate(masks)}
    recipe = Recipe.from_mapping({"name": "shapes", "kinds": kinds})
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe


# --- rectangle, scar, ellipse -----------------------------------------------------------------------------------------


@given(st.integers(4, 90), st.integers(4, 90), INDEX)
def test_a_rectangle_lies_wholly_in_the_picture_and_has_its_area(height, width, index):
    mask = paint(Rectangle(), whole(height, width), index)
    rows, columns = sides(mask)
    assert np.count_nonzero(mask) == rows * columns
    params = draw(Rectangle(), index)
    assert abs(rows * columns - params.size * mask.size) <= rows + columns


@pytest.mark.parametrize("kind", [Rectangle, Ellipse])
def test_turned_shapes_lie_wholly_in_the_picture(kind):
    for index in range(60):
        spec = kind(size_range=(0.08, 0.08), aspect_range=(2.5, 2.5), rotation_range=(-90, 90))
        assert np.count_nonzero(paint(spec, whole(120, 150), index)) == pytest.approx(0.08 * 120 * 150, rel=0.03)


@pytest.mark.parametrize("kind", [Rectangle, Ellipse])
def test_the_form_stays_at_any_area(kind):
    params = draw(kind(aspect_range=(2, 2), rotation_range=(0, 0))).model_copy(update={"place": 0.502})
    for area in (0.01, 0.05, 0.2):
        rows, columns = sides(params.model_copy(update={"area": area}).paint(whole(301, 301), Banks()))
        assert columns / rows == pytest.approx(2, rel=0.07)


def test_an_upright_rectangle_with_an_area_has_at_most_one_ragged_side():
    for index in range(40):
        mask = paint(Rectangle(), whole(120, 150), index, area=0.0437)
        rows, columns = sides(mask)
        assert rows * columns - np.count_nonzero(mask) < max(rows, columns)


def test_angles_run_anticlockwise():
    upright = draw(Scar(length_range=(0.5, 0.5), width_range=(0.02, 0.02))).model_copy(update={"place": 0.502})
    y, x = np.nonzero(upright.model_copy(update={"angle": 30.0}).paint(whole(200, 200), Banks()))
    assert x[y == y.min()].mean() < x[y == y.max()].mean()  # the upper end has moved to the left
    rise = math.degrees(math.atan2(x[y == y.max()].mean() - x[y == y.min()].mean(), y.max() - y.min()))
    assert rise == pytest.approx(30, abs=2)
    quarter = upright.model_copy(update={"angle": 90.0}).paint(whole(200, 200), Banks())
    assert sides(quarter) == sides(upright.model_copy(update={"angle": 0.0}).paint(whole(200, 200), Banks()))[::-1]


def test_a_thin_scar_is_in_one_piece_at_any_angle():
    for index in range(60):
        mask = paint(
            Scar(width_range=(0.001, 0.001), length_range=(0.3, 0.3), rotation_range=(-90, 90)), whole(128, 128), index
        )
        assert count_pieces(mask) == 1
        assert 25 <= np.count_nonzero(mask) <= 60


def test_depth_places_a_shape():
    roi = disc(200, 200)
    for index in range(20):
        y, x = np.nonzero(paint(Ellipse(depth_range=(0.9, 1)), roi, index))
        assert math.hypot(y.mean() - 100, x.mean() - 100) < 12


# --- patch ------------------------------------------------------------------------------------------------------------


@given(INDEX, st.floats(0.05, 1))
def test_a_patch_lies_on_the_roi_as_far_as_it_must_or_can(index, overlap):
    roi = np.zeros((60, 90), np.uint8)
    roi[20:30, 10:80] = 255
    spec = Patch(min_overlap=overlap)
    on_roi, patch = (np.count_nonzero(paint(spec, area, index, **update)) for area, update in on_and_off(spec, roi, index))
    rows, columns = (max(1, round(part * math.sqrt(roi.size))) for part in (draw(spec, index).height, draw(spec, index).width))
    assert patch == rows * columns
    assert on_roi >= min(math.ceil(overlap * patch), min(rows, 10) * min(columns, 70))


def on_and_off(spec, roi, index):
    """The patch on its ROI, and the same patch whole: painted over everything, at the place that the ROI gave it."""
    params = draw(spec, index)
    top, left = params._corner(roi, params._sides(roi))
    rows, columns = params._sides(roi)
    places = (roi.shape[0] - rows + 1) * (roi.shape[1] - columns + 1)
    place = (top * (roi.shape[1] - columns + 1) + left + 0.5) / places
    return (roi, {}), (whole(*roi.shape), {"place": place})


def test_a_shifted_patch_lies_wholly_in_the_picture_at_any_place():
    corners = []
    for index in range(400):
        mask = paint(Patch(half_width_range=(0.1, 0.1), scale_range=None, half_width_gamma=None), whole(100, 100), index)
        top, left, bottom, right = bounding_box(mask)
        corners.append((top / (100 - bottom + top), left / (100 - right + left)))
    for axis in zip(*corners, strict=True):
        assert np.quantile(axis, [0.1, 0.5, 0.9]) == pytest.approx([0.1, 0.5, 0.9], abs=0.08)


def test_fpi_is_a_square_with_its_centre_in_the_middle():
    cut = 0
    for index in range(200):
        params = draw(Patch(**FPI), index)
        assert params.height == params.width
        assert 0.1 <= params.height <= 0.4
        top, left, bottom, right = bounding_box(params.paint(whole(100, 100), Banks()))
        side = max(bottom - top, right - left)
        inside = min(top, left, 100 - bottom, 100 - right) > 0
        cut += not inside
        if inside:
            assert bottom - top == right - left == round(100 * params.height)
            assert 10 <= top + side // 2 < 90
            assert 10 <= left + side // 2 < 90
    assert 0 < cut < 100  # what hangs over the border is cut off


def test_a_patch_that_can_nowhere_overlap_enough_overlaps_most():
    roi = np.zeros((80, 80), np.uint8)
    roi[40, 40] = 255
    for index in range(20):
        assert (paint(Patch(min_overlap=1), roi, index) == roi).all()


# --- grid cells -------------------------------------------------------------------------------------------------------


def cells_of(mask: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Which part of each cell is in the mask; the picture's sides are multiples of the grid's."""
    height, width = mask.shape[0] // rows, mask.shape[1] // columns
    return (mask != 0).reshape(rows, height, columns, width).mean(axis=(1, 3))


def test_whole_cells_as_many_as_asked_for():
    for index in range(60):
        spec = GridCells(rows_range=(5, 5), columns_range=(8, 8), count_range=(2, 4))
        cells = cells_of(paint(spec, whole(50, 80), index), 5, 8)
        assert set(np.unique(cells)) == {0, 1}
        assert cells.sum() == draw(spec, index).count


def test_every_cell_is_as_likely():
    spec = GridCells(rows_range=(4, 4), columns_range=(4, 4), count_range=(2, 2))
    hits = sum(cells_of(paint(spec, whole(16, 16), index), 4, 4) for index in range(800))
    assert hits.sum() == 1600
    assert 60 < hits.min() <= hits.max() < 145


def test_cells_of_a_share_and_with_gaps():
    spec = GridCells(rows_range=(4, 4), columns_range=(4, 4), share_range=(1, 1), fill_range=(0.5, 0.5))
    mask = paint(spec, whole(80, 80))
    assert count_pieces(mask) == 16
    assert (cells_of(mask, 4, 4) == 0.25).all()
    half = paint(spec, whole(80, 80), share=0.5)
    assert count_pieces(half) == 8


def test_cells_over_the_roi():
    roi = np.zeros((100, 100), np.uint8)
    roi[20:80, 30:90] = 255
    spec = GridCells(rows_range=(6, 6), columns_range=(6, 6), over="roi", count_range=(5, 5))
    cells = cells_of(paint(spec, roi)[20:80, 30:90], 6, 6)
    assert set(np.unique(cells)) == {0, 1}
    assert cells.sum() == 5


def test_cells_that_hardly_lie_on_the_roi_are_left_out_unless_there_is_no_other():
    roi = np.zeros((80, 80), np.uint8)
    roi[:, 44:] = 255  # all but two fifths of a column of cells
    spec = GridCells(share_range=(1, 1), min_overlap=0.7)
    assert (paint(spec, roi) == np.where(np.arange(80) >= 50, roi, 0)).all()
    roi = np.zeros((80, 80), np.uint8)
    roi[3, 5] = roi[55, 66] = roi[56, 66] = 255
    assert bounding_box(paint(spec, roi)) == (55, 66, 57, 67)


@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_pieces_of_several_cells(pieces):
    for index in range(40):
        spec = GridCells(components_range=(pieces, pieces), count_range=(6, 6))
        mask = paint(spec, whole(80, 80), index)
        assert count_pieces(mask) == pieces
        assert 4 <= cells_of(mask, 8, 8).sum() <= 7


def test_cells_shrink_to_their_area():
    spec = GridCells(area_range=(0.03, 0.03))
    for index in range(20):
        cells = cells_of(paint(spec, whole(160, 160), index), 8, 8)
        assert np.count_nonzero(cells) == 2  # of 1/64 each
        assert cells[cells > 0].min() > 0.8


# --- drawn as published -----------------------------------------------------------------------------------------------


def many(spec, *names: str) -> list[np.ndarray]:
    """``DRAWN`` values of each parameter."""
    params = [draw(spec, index) for index in range(DRAWN)]
    return [np.array([getattr(one, name) for one in params]) for name in names]


def distance(values: np.ndarray, share_below: Callable[[np.ndarray], np.ndarray]) -> float:
    """The largest difference between a sample's distribution and a continuous one (Kolmogorov and Smirnov)."""
    expected = share_below(np.sort(values))
    steps = np.arange(values.size + 1) / values.size
    return float(max(np.abs(expected - steps[1:]).max(), np.abs(expected - steps[:-1]).max()))


def between(low: float, high: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda values: (values - low) / (high - low)


def test_cutpaste_area_and_aspect():
    size, aspect = many(Rectangle(), "size", "aspect")
    assert distance(size, between(0.02, 0.15)) < CLOSE
    assert distance(aspect, lambda x: np.where(x < 1, (x - 0.3) / 0.7, 1 + (x - 1) / 2.3) / 2) < CLOSE
    assert abs(np.corrcoef(size, aspect)[0, 1]) < 0.06


def test_cutpaste_aspect_of_the_other_repository():
    (aspect,) = many(Rectangle(aspect_range=(0.3, 1 / 0.3), aspect_scale="log_uniform"), "aspect")
    assert distance(np.log(aspect), between(math.log(0.3), -math.log(0.3))) < CLOSE


def test_cutpaste_corner_is_anywhere_the_patch_fits():
    corners = []
    for index in range(600):
        top, left, bottom, right = bounding_box(paint(Rectangle(), whole(128, 128), index))
        corners.append((top / (128 - bottom + top), left / (128 - right + left)))
    for axis in zip(*corners, strict=True):
        assert np.quantile(axis, [0.1, 0.5, 0.9]) == pytest.approx([0.1, 0.5, 0.9], abs=0.06)


def test_cutpaste_scar_in_pixels_of_256():
    width, length, angle = many(Scar(), "width", "length", "angle")
    assert distance(256 * width, between(2, 16)) < CLOSE
    assert distance(256 * length, between(10, 25)) < CLOSE
    assert distance(angle, between(-45, 45)) < CLOSE
    painted = [np.count_nonzero(paint(Scar(), whole(256, 256), index)) for index in range(200)]
    assert painted == pytest.approx(256**2 * (width * length)[:200], rel=0.35)
    assert np.mean(painted) == pytest.approx(9 * 17.5, rel=0.1)


def test_fpi_half_width_and_centre():
    (side,) = many(Patch(**FPI), "height")
    assert distance(side / 2, between(0.05, 0.2)) < CLOSE


def clipped_gamma(low: float, high: float) -> Callable[[float], float]:
    """Quantiles of 0.03 + Gamma(2, 0.05) between two limits: P(Gamma < x) = 1 - (1 + x / s) exp(-x / s)."""

    def quantile(share: float) -> float:
        below, above = 0.0, 2.0
        for _ in range(60):
            middle = (below + above) / 2
            if 1 - (1 + middle / 0.05) * math.exp(-middle / 0.05) < share:
                below = middle
            else:
                above = middle
        return min(max(0.03 + below, low), high)

    return quantile


@pytest.mark.parametrize("limits", [(0.03, 0.4), (0.03, 0.12)])
def test_nsa_half_widths(limits):
    height, width = many(Patch(half_width_range=limits, scale_range=None, shift=False), "height", "width")
    shares = [0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98]
    expected = [clipped_gamma(*limits)(share) for share in shares]
    for half in (height / 2, width / 2):
        assert np.quantile(half, shares) == pytest.approx(expected, rel=0.06)
    assert abs(np.corrcoef(height, width)[0, 1]) < 0.06


def published_patches(count: int, low: float, high: float, scales: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Heights and widths as NSA's code draws them, in fractions of a square picture."""
    random = np.random.default_rng(20220)  # noqa: TID251  # a reference that shares nothing with what it checks
    half = np.clip(0.03 + random.gamma(2, 0.05, (count, 2)), low, high)
    centre = random.uniform(low, 1 - low, (count, 2))
    cut = np.minimum(centre + half, 1) - np.maximum(centre - half, 0)
    scale = np.clip(random.normal(1, 0.5, count), *scales)
    aspect = cut[:, 1] / cut[:, 0]
    width = np.clip(np.clip(scale * cut[:, 0], low, high) * aspect, low, high)
    return np.clip(width / aspect, low, high), width


@pytest.mark.parametrize(
    ("limits", "scales"), [((0.03, 0.4), (0.7, 1.3)), ((0.03, 0.4), (0.5, 2.0)), ((0.03, 0.12), (0.7, 1.3))]
)
def test_nsa_patches_after_the_resize(limits, scales):
    mine = many(Patch(half_width_range=limits, scale_range=scales), "height", "width")
    published = published_patches(200_000, *limits, scales)
    shares = np.linspace(0.05, 0.95, 10)
    for found, expected in zip((*mine, mine[0] * mine[1], mine[1] / mine[0]), derived(published), strict=True):
        assert np.quantile(found, shares) == pytest.approx(np.quantile(expected, shares), rel=0.1)


def derived(pair: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, ...]:
    height, width = pair
    return height, width, height * width, width / height


def test_nsa_patches_with_limits_of_their_own_on_each_axis():
    height, width = many(Patch(half_height_range=(0.03, 0.15), half_width_range=(0.03, 0.4)), "height", "width")
    assert height.max() <= 0.15 < width.max() <= 0.4
