"""Stroke, crack, pits, stain, blob and simplex noise: inside the ROI, of their area, and of the form they are named for."""

from __future__ import annotations

import math
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from conftest import picture
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from defectsynth import AnomalySynthesizer
from defectsynth.banks import Banks
from defectsynth.errors import RecipeError
from defectsynth.masks import MASK_PARAMS, MASKS, Blob, Crack, Pits, Simplex, Stain, Stroke, Union
from defectsynth.masks.blob import _polygon
from defectsynth.masks.control import choose_pixels, count_pieces
from defectsynth.masks.figures import Grid, draw_around
from defectsynth.masks.lines import draw_line
from defectsynth.masks.simplex import simplex
from defectsynth.recipe import Recipe
from defectsynth.rng import Draws

FIGURES = [Stroke, Crack, Blob, Stain, Pits]
ONE_PIECE = [Crack, Blob, Stain]
KINDS = [*FIGURES, Simplex]
SIDE = st.integers(1, 90)
INDEX = st.integers(0, 500)
KIND = st.sampled_from(KINDS)


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


def pixels(mask: np.ndarray) -> int:
    return int(np.count_nonzero(mask))


def reach(mask: np.ndarray) -> float:
    """Pixels along the longest side of the smallest rectangle, however turned, around a mask."""
    (_, sides, _) = cv2.minAreaRect(np.argwhere(mask).astype(np.float32))
    return max(sides) + 1.0


# --- what holds for all of them -------------------------------------------------------------------------------------------


@given(KIND, SIDE, SIDE, INDEX, st.booleans())
def test_masks_lie_inside_the_roi(kind, height, width, index, round_roi):
    roi = disc(height, width) if round_roi else whole(height, width)
    if not roi.any():
        return
    params = draw(kind(), index)
    field, mask = params.field(roi, Banks()), params.paint(roi, Banks())
    assert field.dtype == np.float32
    assert field.shape == mask.shape == roi.shape
    assert np.isfinite(field).all()
    assert set(np.unique(mask)) <= {0, 255}
    assert not mask[roi == 0].any()
    assert mask.any() or kind is Simplex
    assert (params.paint(roi, Banks()) == mask).all()


def stripes(height: int, width: int) -> np.ndarray:
    """Little of any figure lies on it."""
    roi = np.zeros((height, width), np.uint8)
    roi[::7] = 255
    return roi


@pytest.mark.parametrize("kind", FIGURES)
def test_a_mask_is_chosen_near_its_figure_as_in_the_whole_picture(kind, monkeypatch):
    wholes = []

    def watched(field, inside, pixels, pieces, floor=None):
        wholes.append(floor is None)
        return choose_pixels(field, inside, pixels, pieces, floor)

    monkeypatch.setattr("defectsynth.masks.figures.choose_pixels", watched)
    for shape in ((200, 260), (61, 90)):
        for roi in (whole(*shape), disc(*shape), stripes(*shape)):
            for index, components in enumerate((None, (1, 1), (1, 3), None, (1, 1), (1, 3))):
                spec = kind(area_range=(0.002, 0.3), **({} if components is None else {"components_range": components}))
                params = draw(spec, index)
                asked = max(1, round(params.area * pixels(roi)))
                expected = choose_pixels(params.field(roi, Banks()), roi != 0, asked, params.components)
                assert (params.paint(roi, Banks()) == expected).all(), (shape, index, components)
    assert wholes.count(False) == 36
    assert 0 < wholes.count(True) < 36  # where the figure has no room, its level is one of the whole picture


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 70), (3, 200), (200, 3), (2, 2)])
@pytest.mark.parametrize(
    "controls", [{}, {"area_range": (0.001, 0.3)}, {"area_range": (0.01, 0.2), "components_range": (1, 1)}]
)
def test_any_shape_of_picture(kind, shape, controls):
    for index in range(6):
        mask = paint(kind(**controls), whole(*shape), index)
        assert mask.any() or (kind is Simplex and not controls)


@given(KIND, SIDE, SIDE, INDEX)
def test_area_alone_is_met_to_the_pixel(kind, height, width, index):
    roi = disc(height, width)
    if roi.any():
        params = draw(kind(area_range=(0.002, 0.5)), index)
        assert pixels(params.paint(roi, Banks())) == max(1, round(params.area * pixels(roi)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("roi", [whole(160, 160), disc(150, 220)], ids=["whole", "disc"])
def test_area_in_one_piece_is_met_within_the_tolerance(kind, roi):
    for index in range(25):
        params = draw(kind(area_range=(0.001, 0.02), components_range=(1, 1)), index)
        mask, wanted = params.paint(roi, Banks()), params.area * pixels(roi)
        assert count_pieces(mask) == 1
        assert abs(pixels(mask) - wanted) <= 0.15 * wanted + 1.5


@pytest.mark.parametrize("kind", FIGURES)
def test_level_that_meets_the_area_is_close_to_zero(kind):
    """So the figure is the one that was drawn, and not a fatter one."""
    for index in range(12):
        params = draw(kind(area_range=(0.001, 0.02)), index)
        roi = disc(200, 200)
        levels = params.field(roi, Banks())[params.paint(roi, Banks()) != 0]
        assert abs(levels.min()) < 1.0


@pytest.mark.parametrize("kind", ONE_PIECE)
def test_kinds_of_one_piece_have_one(kind):
    counts = [count_pieces(paint(kind(components_range=(1, 3)), disc(128, 128), index)) for index in range(20)]
    assert set(counts) == {1}
    with pytest.raises(ValidationError, match="one piece"):
        kind(components_range=(2, 3))


@pytest.mark.parametrize("kind", KINDS)
def test_specs_and_plans_survive_json_and_plans_are_small(kind):
    spec = kind(area_range=(0.001, 0.02), components_range=(1, 1))
    params = draw(spec, 3)
    assert MASKS.parse(spec.model_dump(mode="json")) == spec
    assert MASK_PARAMS.parse(params.model_dump(mode="json", exclude_defaults=True)) == params
    assert len(params.model_dump_json(exclude_defaults=True)) < 400


def test_figures_can_be_parts_of_a_union():
    both = draw(Union(masks=(Stroke(), Pits())))
    roi = whole(128, 128)
    stroke, pits = (part.paint(roi, Banks()) for part in both.masks)
    assert (both.paint(roi, Banks()) == (stroke | pits)).all()


@pytest.mark.parametrize("kind", FIGURES)
def test_a_large_picture_has_the_same_figures(kind):
    middle = {"depth": (1.0, 1.0), "place": 0.0}
    small, large = (paint(kind(area_range=(0.02, 0.02)), whole(side, side), 4, **middle) for side in (151, 1057))
    shrunk, small = cv2.resize(large, (151, 151), interpolation=cv2.INTER_AREA) >= 128, small != 0
    assert np.count_nonzero(shrunk & small) > 0.6 * np.count_nonzero(shrunk | small)


# --- stroke ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec", [Stroke(), Stroke(area_range=(0.001, 0.02)), Stroke(area_range=(0.001, 0.01), components_range=(1, 1))]
)
def test_a_stroke_is_thin(spec):
    roi, side = whole(256, 256), 256
    inner = [paint(spec, roi, index, depth=(0.7, 1.0)) for index in range(40)]  # away from the border, which would cut it
    for mask in inner:
        assert reach(mask) ** 2 / pixels(mask) > 6.0  # length over mean width
    widths = [2 * cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_5).max() - 1 for mask in inner]
    assert np.median(widths) < 0.03 * side


def test_a_hair_is_connected_whatever_its_angle():
    for angle in range(0, 180, 7):
        hair = Stroke(length_range=(0.6, 0.6), width_range=(1e-5, 1e-5), rotation_range=(angle, angle))
        mask = paint(hair, whole(150, 150), angle, depth=(1.0, 1.0))
        assert count_pieces(mask) == 1
        assert pixels(mask) < 3 * reach(mask)


def test_angles_are_anticlockwise():
    straight = {"curvature_range": (0, 0), "segments_range": (1, 1), "waver_range": (0, 0), "length_range": (0.5, 0.5)}
    y, x = np.nonzero(paint(Stroke(rotation_range=(30, 30), **straight), whole(200, 200), depth=(1.0, 1.0)))
    slope = np.polyfit(x, y, 1)[0]
    assert math.degrees(math.atan(-slope)) == pytest.approx(30, abs=3)


def test_taper_thins_the_ends_and_curvature_bends():
    free = {"curvature_range": (0, 0), "segments_range": (1, 1), "waver_range": (0, 0), "roughness_range": (0, 0)}
    size = {"length_range": (0.6, 0.6), "width_range": (0.03, 0.03), "rotation_range": (0, 0)}
    plain, tapered = (
        paint(Stroke(taper_range=(taper, taper), **free, **size), whole(300, 300), depth=(1.0, 1.0)) for taper in (0.0, 1.0)
    )
    assert np.ptp(np.count_nonzero(plain, axis=0)[70:230]) <= 1
    columns = np.count_nonzero(tapered, axis=0)
    ends = np.flatnonzero(columns)[[3, -4]]
    assert columns.max() >= 8
    assert (columns[ends] <= 4).all()
    bent = paint(Stroke(**{**free, **size, "curvature_range": (90, 90)}), whole(300, 300), depth=(1.0, 1.0))
    assert np.ptp(np.nonzero(bent)[0]) > 0.1 * 0.6 * 300  # the rise of an arc of 90 degrees is 0.19 of its length


def test_an_interrupted_stroke_has_its_pieces():
    roi = whole(200, 200)
    for gaps in (1, 2, 4):
        spec = Stroke(gaps_range=(gaps, gaps), length_range=(0.5, 0.8))
        assert all(count_pieces(paint(spec, roi, index, depth=(0.9, 1.0))) == gaps + 1 for index in range(10))
    asked = Stroke(components_range=(2, 3), area_range=(0.004, 0.01))
    found = [(draw(asked, index), paint(asked, disc(200, 200), index)) for index in range(30)]
    assert np.mean([count_pieces(mask) == params.components for params, mask in found]) > 0.9


def test_a_stroke_near_the_edge_is_moved_along_itself_until_most_of_it_is_seen():
    spec = Stroke(length_range=(0.4, 0.4), rotation_range=(0, 0), curvature_range=(0, 0))
    masks = [paint(spec, whole(160, 160), place=row * 160 / 25600) for row in range(5, 155, 10)]  # in the first column
    assert min(reach(mask) for mask in masks) > 0.6 * 0.4 * 160


def test_a_line_is_as_far_as_its_distance():
    field = np.full((40, 60), -np.inf, np.float32)
    draw_line(field, np.array([[10.3, 12.1], [45.6, 29.9]]), np.array([3.0, 3.0]))
    y, x = np.mgrid[:40, :60]
    dx, dy = 45.6 - 10.3, 29.9 - 12.1
    way = np.clip(((x - 10.3) * dx + (y - 12.1) * dy) / (dx * dx + dy * dy), 0, 1)
    exact = 3.0 - np.hypot(x - 10.3 - way * dx, y - 12.1 - way * dy)
    assert np.abs(field - exact)[np.isfinite(field)].max() < 1e-4
    assert np.isfinite(field[exact > -2.9]).all()


# --- crack ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", [Crack(), Crack(area_range=(0.001, 0.02)), Crack(branches_range=(4, 8))])
def test_a_crack_is_one_thin_piece(spec):
    for index in range(40):
        mask = paint(spec, whole(256, 256), index, depth=(0.7, 1.0))
        assert count_pieces(mask) == 1
        outline = cv2.arcLength(cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0][0], True)
        assert pixels(mask) / (outline / 2) < 0.1 * outline / 2  # mean width over length


def test_branches_reach_out():
    roi, size = whole(300, 300), {"length_range": (0.5, 0.5), "width_range": (0.005, 0.005), "jaggedness_range": (5, 5)}
    bare, branched = (
        [paint(Crack(branches_range=(count, count), **size), roi, index, depth=(1.0, 1.0)) for index in range(12)]
        for count in (0, 5)
    )
    assert np.mean([pixels(mask) for mask in branched]) > 1.4 * np.mean([pixels(mask) for mask in bare])


def test_jaggedness_makes_a_crack_longer_than_its_reach():
    size = {"length_range": (0.5, 0.5), "branches_range": (0, 0)}
    straight, jagged = (
        np.mean([reach(paint(Crack(jaggedness_range=(j, j), **size), whole(256, 256), i, depth=(1.0, 1.0))) for i in range(12)])
        for j in (0, 60)
    )
    assert straight == pytest.approx(0.5 * 256, rel=0.1)
    assert jagged < 0.85 * straight


# --- pits -----------------------------------------------------------------------------------------------------------------


def test_pits_are_as_many_as_were_drawn():
    roi = whole(256, 256)
    drawn = [draw(Pits(count_range=(1, 12)), index) for index in range(40)]
    found = [count_pieces(params.paint(roi, Banks())) for params in drawn]
    assert np.mean([count == params.count for count, params in zip(found, drawn, strict=True)]) > 0.9
    assert all(count <= params.count for count, params in zip(found, drawn, strict=True))


def test_components_are_the_number_of_pits():
    spec = Pits(components_range=(1, 6), area_range=(0.002, 0.01))
    drawn = [draw(spec, index) for index in range(40)]
    assert all(params.count == params.components for params in drawn)
    found = [count_pieces(params.paint(disc(200, 200), Banks())) for params in drawn]
    assert np.mean([count == params.components for count, params in zip(found, drawn, strict=True)]) > 0.9


def test_pits_have_radii_within_their_range_and_lie_together():
    spec = Pits(count_range=(8, 8), radius_range=(0.01, 0.03), elongation_range=(1, 1), irregularity_range=(0, 0))
    for index in range(10):
        mask = paint(spec, whole(300, 300), index, depth=(1.0, 1.0), spread=0.08)
        _, _, stats, centroids = cv2.connectedComponentsWithStats(mask, connectivity=8)
        radii = np.sqrt(stats[1:, cv2.CC_STAT_AREA] / np.pi)
        assert radii.min() > 0.01 * 300 - 0.7
        assert radii.max() < 0.03 * 300 + 0.7
        assert np.abs(centroids[1:] - 150).max() < 0.5 * 300


# --- stain ----------------------------------------------------------------------------------------------------------------


def test_a_stain_is_smooth_and_its_level_sets_grow_round():
    for index in range(12):
        field = (
            draw(Stain(size_range=(0.02, 0.04)), index).model_copy(update={"depth": (1.0, 1.0)}).field(whole(256, 256), Banks())
        )
        radius = math.sqrt(np.count_nonzero(field > 0) / np.pi)
        near = field > -0.8 * radius
        steps = [
            np.abs(np.diff(field, axis=axis))[(near[1:] & near[:-1]) if axis == 0 else (near[:, 1:] & near[:, :-1])]
            for axis in (0, 1)
        ]
        assert max(step.max() for step in steps) < 3.0  # a distance changes by 1 from pixel to pixel
        assert roundness(field > -0.7 * radius) > roundness(field > 0)


def roundness(mask: np.ndarray) -> float:
    contours = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    largest = max(contours, key=cv2.contourArea)
    return 4 * math.pi * cv2.contourArea(largest) / cv2.arcLength(largest, True) ** 2


def test_warp_makes_the_outline_wander():
    calm, wild = (
        np.mean(
            [roundness(paint(Stain(size_range=(0.05, 0.05), warp_range=(w, w)), whole(256, 256), i) != 0) for i in range(10)]
        )
        for w in (0.0, 0.4)
    )
    assert wild < 0.9 * calm


# --- blob -----------------------------------------------------------------------------------------------------------------


def test_a_blob_has_corners():
    for vertices in (3, 5, 8):
        spec = Blob(size_range=(0.1, 0.1), vertices_range=(vertices, vertices), spikiness_range=(0, 0))
        mask = paint(spec.model_copy(update={"irregularity_range": (0, 0)}), whole(300, 300), depth=(1.0, 1.0))
        contour = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0][0]
        assert len(cv2.approxPolyDP(contour, 3.0, True)) == vertices


def test_distance_from_a_polygon_is_exact():
    corners = [(-11.3, -7.2), (3.5, -9.1), (14.2, 4.4), (1.1, 1.7), (-6.0, 12.9)]
    y, x = (np.arange(-20, 21, dtype=np.float32) for _ in range(2))
    found = _polygon(Grid(y[:, None], x[None, :], 1), corners)
    contour = np.array(corners, np.float32)
    for row, down in enumerate(y.tolist()):
        for column, right in enumerate(x.tolist()):
            assert found[row, column] == pytest.approx(cv2.pointPolygonTest(contour, (right, down), True), abs=1e-3)


@settings(max_examples=30)
@given(st.floats(-40, 130), st.floats(-40, 130), st.floats(0.5, 900))
def test_figures_on_coarse_grids_and_beyond_the_border_are_where_they_belong(row, column, radius):
    field = np.full((70, 90), -np.inf, np.float32)
    draw_around(field, (row, column), radius, lambda grid: np.float32(radius) - np.sqrt(grid.y**2 + grid.x**2))
    y, x = np.mgrid[:70, :90]
    exact = radius - np.hypot(y - row, x - column)
    inner = exact > -2
    assert np.isfinite(field[inner]).all()
    near_middle = np.hypot(y - row, x - column) < 12  # where a coarse grid rounds off the cone's tip
    off = np.abs(field - exact)[np.isfinite(field) & ~near_middle]
    assert off.size == 0 or off.max() < 0.6


# --- simplex --------------------------------------------------------------------------------------------------------------

# snoise2(x, y, octaves, persistence, lacunarity) of the package noise 1.2.2
POINTS = [(0.3, 0.7), (-1.25, 2.5), (12.5, -3.75), (100.1875, 200.3125), (-7, -7), (0, 0), (255.5, 0.25), (63.90625, -41.28125)]
PACKAGE = {
    (1, 0.5, 2.0): [0.255220652, -0.565972447, -0.277624667, 0.831003487, 0.0, 0.0, 0.395268559, -0.677666724],
    (4, 0.5, 2.0): [0.147593111, -0.519509435, -0.174901679, 0.330245346, -0.06858328, 0.0, 0.414410144, -0.571379721],
    (3, 0.75, 1.5): [0.014789005, -0.201842159, 0.089999132, 0.530544519, -0.019504637, 0.0, 0.293503642, -0.333201498],
}


@pytest.mark.parametrize("settings", PACKAGE)
def test_simplex_noise_is_that_of_the_package(settings):
    x, y = np.array(POINTS, np.float32).T
    values = simplex(x, y, *settings)
    assert values.dtype == np.float32
    assert np.abs(values - np.array(PACKAGE[settings], np.float32)).max() < 2e-7


def test_simplex_field_is_the_noise_at_the_pixels_less_the_threshold():
    params = draw(Simplex(octaves=3, threshold_range=(0.2, 0.2), elongation_range=(2, 2)))
    field = params.field(whole(60, 350), Banks())
    x, y = params.coordinates((60, 350), 0, 60)
    assert (field == simplex(x, y, 3) - np.float32(0.2)).all()
    assert np.hypot(x[1, 0] - x[0, 0], y[1, 0] - y[0, 0]) * math.sqrt(60 * 350) < 2 * params.cells


def test_simplex_covers_as_much_as_the_mask_of_draem():
    shares = [pixels(paint(Simplex(), whole(100, 100), index)) / 10_000 for index in range(100)]
    assert 0.042 < np.mean(shares) < 0.054


def test_backend_noise_asks_the_package(monkeypatch):
    asked = []

    def snoise2(x, y, octaves, persistence, lacunarity):
        asked.append((octaves, persistence, lacunarity))
        return float(simplex(np.float32([x]), np.float32([y]), octaves, persistence, lacunarity)[0])

    monkeypatch.setitem(sys.modules, "noise", SimpleNamespace(snoise2=snoise2))
    own = draw(Simplex(octaves=2, persistence=0.6))
    theirs = draw(Simplex(octaves=2, persistence=0.6, backend="noise"))
    roi = whole(9, 14)
    assert (own.field(roi, Banks()) == theirs.field(roi, Banks())).all()
    assert asked == [(2, 0.6, 2.0)] * 126
    assert theirs.model_dump(mode="json", exclude_defaults=True)["backend"] == "noise"


def test_backend_noise_without_the_package_is_an_error_before_anything_is_painted(monkeypatch):
    monkeypatch.setitem(sys.modules, "noise", None)
    kind = {
        "mask": {"kind": "simplex", "backend": "noise"},
        "source": {"kind": "procedural"},
        "blend": {"kind": "linear"},
    }
    with pytest.raises(RecipeError, match="pip install noise"):
        AnomalySynthesizer(Recipe.from_mapping({"name": "x", "kinds": {"k": kind}}))


# --- in a recipe ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(90, 110, 3), (64, 64), (17, 80, 5)])
def test_recipes_paint_them(kind, shape):
    mask = {"kind": kind.model_fields["kind"].default, "area_range": [0.005, 0.02], "components_range": [1, 1]}
    source = {"kind": "procedural", "tone": {"match_range": [0, 0], "shift_range": [0.2, 0.3]}}
    recipe = {"name": "x", "kinds": {"k": {"mask": mask, "source": source, "blend": {"kind": "linear"}}}}
    image = picture(shape)
    sample = AnomalySynthesizer(recipe, seed=1)(image, roi=whole(*shape[:2]))
    assert sample.mask.any()
    assert (sample.image[sample.mask == 0] == image[sample.mask == 0]).all()


@pytest.mark.parametrize(
    ("kind", "values", "rule"),
    [
        (Stroke, {"gaps_range": (1, 2), "components_range": (2, 2)}, "leave gaps_range out"),
        (Stroke, {"gaps_range": (0, 21)}, "from 0 to 20"),
        (Stroke, {"segments_range": (0, 2)}, "from 1 to 20"),
        (Stroke, {"taper_range": (0.2, 1.2)}, "from 0 to 1"),
        (Crack, {"branches_range": (2, 31)}, "from 0 to 30"),
        (Crack, {"jaggedness_range": (-5, 20)}, "from 0 to 180"),
        (Blob, {"vertices_range": (2, 5)}, "from 3 to 60"),
        (Stain, {"lobes_range": (1, 21)}, "from 1 to 20"),
        (Pits, {"count_range": (1, 201)}, "from 1 to 200"),
        (Pits, {"radius_range": (1e-7, 0.9)}, "times the smaller"),
        (Simplex, {"backend": "opensimplex"}, "own"),
        (Simplex, {"octaves": 9}, "less than or equal to 8"),
    ],
)
def test_impossible_values_are_errors_that_say_the_rule(kind, values, rule):
    with pytest.raises(ValidationError, match=rule):
        kind(**values)
