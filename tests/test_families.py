"""Laws of the procedural texture bank."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defectsynth import rng
from defectsynth.errors import SourceError
from defectsynth.sources.families import FAMILIES, texture
from defectsynth.sources.families.cells import scatter

EVERY = pytest.mark.parametrize("family", FAMILIES)
SEEDS = st.integers(0, 2**64 - 1)


@given(family=st.sampled_from(list(FAMILIES)), seed=SEEDS, height=st.integers(1, 64), width=st.integers(1, 64))
@settings(max_examples=60, deadline=None)
def test_any_size_gives_rgb_and_the_same_bytes_twice(family: str, seed: int, height: int, width: int) -> None:
    picture = texture(family, seed, (height, width))
    assert picture.shape == (height, width, 3)
    assert picture.dtype == np.uint8
    assert np.array_equal(picture, texture(family, seed, (height, width)))


@EVERY
@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (1, 200), (200, 1)])
def test_thin_shapes(family: str, shape: tuple[int, int]) -> None:
    assert texture(family, 3, shape).shape == (*shape, 3)


@EVERY
@given(seed=st.integers(0, 2**64 - 2))
@settings(max_examples=3, deadline=None)
def test_two_seeds_are_two_photographs(family: str, seed: int) -> None:
    one, other = (texture(family, s, (64, 64)).astype(int) for s in (seed, seed + 1))
    assert np.abs(one - other).mean() > 2


@EVERY
@given(seed=SEEDS)
@settings(max_examples=3, deadline=None)
def test_no_texture_is_flat_white_or_black(family: str, seed: int) -> None:
    picture = texture(family, seed, (32, 32))
    assert picture.std(axis=(0, 1)).max() > 1
    assert 8 < picture.mean() < 247


@EVERY
def test_a_larger_render_is_the_same_picture(family: str) -> None:
    small, large = texture(family, 5, (256, 256)).astype(np.float32), texture(family, 5, (512, 512)).astype(np.float32)
    assert np.abs(small.mean(axis=(0, 1)) - large.mean(axis=(0, 1))).max() < 6
    views = [cv2.resize(picture.mean(axis=2), (64, 64), interpolation=cv2.INTER_AREA).ravel() for picture in (small, large)]
    assert np.corrcoef(*views)[0, 1] > 0.93


@EVERY
def test_threads_change_nothing(family: str) -> None:
    threads = cv2.getNumThreads()
    many = texture(family, 1, (150, 200))
    try:
        cv2.setNumThreads(1)
        assert np.array_equal(many, texture(family, 1, (150, 200)))
    finally:
        cv2.setNumThreads(threads)


def test_the_names_are_the_functions() -> None:
    assert len(FAMILIES) >= 12
    assert all(function.__name__ == name for name, function in FAMILIES.items())


def test_an_unknown_family_lists_the_known_ones() -> None:
    with pytest.raises(SourceError, match="velvet") as caught:
        texture("velvet", 0, (8, 8))
    assert all(name in str(caught.value) for name in FAMILIES)


def test_cells_are_exact() -> None:
    words = rng.words(11, (16, 16))
    y, x = (axis.astype(np.float32) / 9 + 2 for axis in np.mgrid[0:90, 0:90])
    cells = scatter(y, x, words)
    nearest, second = _two_nearest_by_search(y, x, words)
    assert np.abs(cells.near - nearest[0]).max() < 1e-5
    apart = np.hypot(nearest[1] - second[1], nearest[2] - second[2])
    assert np.abs(cells.edge - (second[0] ** 2 - nearest[0] ** 2) / (2 * apart)).max() < 1e-4


def _two_nearest_by_search(y: np.ndarray, x: np.ndarray, words: np.ndarray) -> list[list[np.ndarray]]:
    """Distance, down and right of the nearest two among all points, which lie within 0.1 to 0.9 of their squares."""
    rows, columns = np.indices(words.shape)
    down = (rows + 0.1 + 0.8 * (words & 0xFFFF) / 65536).ravel()
    right = (columns + 0.1 + 0.8 * (words >> 16) / 65536).ravel()
    distance = np.hypot(y[..., None] - down, x[..., None] - right)
    order = np.argsort(distance, axis=2)
    found = []
    for rank in (0, 1):
        which = order[..., rank]
        found.append([np.take_along_axis(distance, which[..., None], 2)[..., 0], down[which], right[which]])
    return found
