"""Laws of the built-in products, and what their pictures must show."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defectsynth.errors import InputError
from defectsynth.samples import PRODUCTS, Product, product
from defectsynth.samples.scene import Canvas, Pose, Stage, cover

NAMES = tuple(PRODUCTS)
TEXTURES = ("plate", "fabric")
HOLES = {"disc": 8, "pill": 0, "board": 4, "gear": 6}
names = st.sampled_from(NAMES)
sides = st.integers(1, 64)
indices = st.integers(0, 2**64 - 1)


def _same(first: Product, second: Product) -> bool:
    return bool((first.image == second.image).all() and (first.foreground == second.foreground).all())


def _holes(foreground: npt.NDArray[np.uint8]) -> int:
    """Background components that do not touch the picture's border."""
    count, labels = cv2.connectedComponents(255 - np.pad(foreground, 1), connectivity=4)
    return count - len({0, int(labels[0, 0])})


def _upright(name: str, index: int) -> npt.NDArray[Any]:
    """A board's or a tablet's picture, turned and moved back to where its foreground's box is upright."""
    made = product(name, index)
    centre, _, degrees = cv2.minAreaRect(cv2.findNonZero(made.foreground))
    turn = cv2.getRotationMatrix2D(centre, (degrees + 45) % 90 - 45, 1.0)  # versions of OpenCV count from other quadrants
    turn[:, 2] += 128 - np.array(centre)
    return cv2.cvtColor(cv2.warpAffine(made.image, turn, (256, 256)), cv2.COLOR_RGB2GRAY)[70:186, 60:196]


@settings(deadline=None, max_examples=60)
@given(name=names, height=sides, width=sides, index=indices, seed=indices)
def test_any_size_keeps_the_contract_and_is_the_same_again(name: str, height: int, width: int, index: int, seed: int) -> None:
    made = product(name, index, (height, width), seed)
    assert made.image.shape == (height, width, 3) and made.image.dtype == np.uint8
    assert made.foreground.shape == (height, width) and made.foreground.dtype == np.uint8
    assert set(np.unique(made.foreground)) <= {0, 255}
    assert made.image.flags.c_contiguous and made.foreground.flags.c_contiguous
    assert _same(made, product(name, index, (height, width), seed))


@settings(deadline=None, max_examples=20)
@given(name=names, index=st.integers(0, 1000))
def test_another_index_or_seed_is_another_picture(name: str, index: int) -> None:
    made = product(name, index, (64, 64))
    assert (made.image != product(name, index + 1, (64, 64)).image).any()
    assert (made.image != product(name, index, (64, 64), seed=1).image).any()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (300, 7)])
def test_extreme_shapes(name: str, shape: tuple[int, int]) -> None:
    assert product(name, 0, shape).image.shape == (*shape, 3)


@pytest.mark.parametrize("name", TEXTURES)
@pytest.mark.parametrize("shape", [(1, 1), (5, 64), (256, 256)])
def test_a_texture_is_foreground_everywhere(name: str, shape: tuple[int, int]) -> None:
    assert (product(name, 2, shape).foreground == 255).all()


@pytest.mark.parametrize("name", HOLES)
@pytest.mark.parametrize("index", range(4))
def test_a_part_is_one_piece_inside_the_picture_with_its_holes(name: str, index: int) -> None:
    foreground = product(name, index).foreground
    assert _holes(foreground) == HOLES[name]
    assert cv2.connectedComponents(foreground)[0] == 2
    assert not (foreground[0].any() or foreground[-1].any() or foreground[:, 0].any() or foreground[:, -1].any())


@pytest.mark.parametrize("name", HOLES)
def test_every_picture_shows_a_part_of_the_same_size(name: str) -> None:
    areas = [np.count_nonzero(product(name, index).foreground) for index in range(6)]
    assert max(areas) - min(areas) < 0.01 * max(areas)


@pytest.mark.parametrize("name", ["pill", "board"])
def test_every_picture_shows_the_same_design(name: str) -> None:
    first = _upright(name, 0)
    for index in range(1, 4):
        assert np.corrcoef(first.ravel(), _upright(name, index).ravel())[0, 1] > 0.6


@pytest.mark.parametrize("name", HOLES)
def test_the_mask_ends_where_the_part_is_seen_to_end(name: str) -> None:
    made = product(name, 1)
    grey = cv2.cvtColor(made.image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    steep = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    edge = cv2.morphologyEx(made.foreground, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    outside = cv2.dilate(made.foreground, np.ones((15, 15), np.uint8)) == 0
    assert np.median(steep[edge]) > 3 * np.percentile(steep[outside], 90)


@pytest.mark.parametrize("name", NAMES)
def test_a_larger_picture_is_a_sharper_one(name: str) -> None:
    small = product(name, 3, (128, 128)).image
    large = cv2.resize(product(name, 3, (256, 256)).image, (128, 128), interpolation=cv2.INTER_AREA)
    blurred = [cv2.GaussianBlur(picture, (0, 0), 2.0).astype(np.float32) for picture in (small, large)]
    assert np.abs(blurred[0] - blurred[1]).mean() < 4.0


@pytest.mark.parametrize("name", NAMES)
def test_exposure_leaves_room_for_defects(name: str) -> None:
    made = product(name, 0)
    part = made.image[made.foreground > 0]
    assert 40 < part.mean() < 230
    assert (part == 255).mean() < 0.01 and (part == 0).mean() < 0.01


@settings(deadline=None, max_examples=40)
@given(
    side=st.integers(20, 90),
    radius=st.floats(0.1, 0.3),
    place=st.tuples(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2)),
    degrees=st.floats(-180, 180),
)
def test_a_drawn_circle_covers_what_its_distance_says(
    side: int, radius: float, place: tuple[float, float], degrees: float
) -> None:
    stage, pose = Stage((side, side + 7)), Pose(0.03, -0.02, degrees)
    canvas = Canvas(stage, pose)
    canvas.circle(place, radius)
    u, v = pose.to_part(stage)
    exact = cover(np.sqrt((u - place[0]) ** 2 + (v - place[1]) ** 2) - radius, stage)
    assert np.abs(canvas.field() - exact).max() < 0.4
    assert abs(float((canvas.field() - exact).sum())) < 0.25 * 2 * np.pi * radius * side + 1


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="plate, fabric, disc, pill, board") as caught:
        product("teapot", 0)
    assert "'teapot'" in str(caught.value)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (-1, 4)])
def test_a_shape_without_pixels_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="at least 1"):
        product("plate", 0, shape)
