"""Noise: equal to the textbook form, exact whatever the order of its sums, any size."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from defectsynth import noise, rng

SIDE = st.integers(1, 70)
CELLS = st.floats(0.5, 20)


def textbook(seed: int, shape: tuple[int, int], cells: tuple[float, float]) -> np.ndarray:
    """Perlin noise pixel by pixel, in float64, with the same gradients."""
    angle = rng.words(seed, (64, 64)) & np.uint32(1023)
    result = np.zeros(shape)
    for row in range(shape[0]):
        for column in range(shape[1]):
            y, x = (row + 0.5) * cells[0] / shape[0], (column + 0.5) * cells[1] / shape[1]
            top, left = int(y), int(x)
            fade_y, fade_x = (t**3 * (t * (t * 6 - 15) + 10) for t in (y - top, x - left))
            for down in (0, 1):
                for right in (0, 1):
                    turn = 2 * math.pi * angle[top + down, left + right] / 1024
                    dot = math.sin(turn) * (y - top - down) + math.cos(turn) * (x - left - right)
                    weight = (fade_y if down else 1 - fade_y) * (fade_x if right else 1 - fade_x)
                    result[row, column] += weight * dot
    return result * math.sqrt(2)


@pytest.mark.parametrize("shape", [(1, 1), (7, 30), (24, 24), (33, 17)])
@pytest.mark.parametrize("cells", [(1, 1), (4, 7), (2.5, 11.3)])
def test_matrix_form_is_the_textbook_form(shape, cells):
    assert np.abs(noise.perlin(5, shape, cells) - textbook(5, shape, cells)).max() < 2e-3  # the quantisation of weights


def test_values_of_the_noise_package():
    """With the gradients of the C package ``noise`` 1.2.2, its values.

    ``pnoise2(x, y)`` at x = (column + 0.5) / 4, y = (row + 0.5) / 4, rows 0..3 and columns 0..3 of cell (0, 0); the four
    gradients were read from it as ``pnoise2(point + 1e-4 e) / 1e-4``.
    """
    gradients = np.array(NOISE_PACKAGE_GRADIENTS)
    field = noise.perlin_from_gradients(np.moveaxis(gradients, 2, 0), (4, 4), (0.25, 0.25))
    assert np.abs(field - np.array(NOISE_PACKAGE_VALUES)).max() < 2e-3


@given(SIDE, SIDE, CELLS, CELLS, st.integers(0, 2**52 - 1))
def test_any_size_is_finite_and_bounded(height, width, cells_y, cells_x, seed):
    field = noise.perlin(seed, (height, width), (cells_y, cells_x))
    assert field.shape == (height, width)
    assert field.dtype == np.float32
    assert np.abs(field).max() <= 1.5


@given(st.integers(0, 2**52 - 1), st.integers(1, 12), st.integers(30, 70))
def test_sums_are_exact(seed, cells, width):
    """Every value is a whole number of steps of 2^-22 and below 2^24 of them: no float32 sum was rounded, in whatever order."""
    shape = (40, width)
    pitch = (cells / 40, cells / width)
    index = rng.words(seed, noise.lattice_shape(shape, pitch)) & np.uint32(1023)
    field = noise.perlin_from_gradients(noise.direction_table()[:, index], shape, pitch)
    steps = field * np.float32(2.0**22)  # rows rounded to 2^-11 times weights of 2^-11
    assert field.dtype == np.float32
    assert (steps == np.rint(steps)).all()
    assert np.abs(steps).max() < 2**24


@pytest.mark.parametrize("shape", [(64, 64), (64, 63), (257, 1), (1, 257), (600, 700)])
@pytest.mark.parametrize("cells", [(8, 8), (5.5, 7.3), (0.3, 0.2)])
def test_cells_at_once_and_one_by_one_agree(shape, cells):
    """A picture's left part is the same noise, whether its columns divide evenly into the cells or not."""
    pitch = cells[0] / shape[0], cells[1] / shape[1]
    part = (shape[0], max(1, shape[1] - 3))
    whole = noise.perlin(3, shape, cells)
    assert (noise.perlin(3, part, (pitch[0] * part[0], pitch[1] * part[1])) == whole[:, : part[1]]).mean() > 0.999


def test_fbm_adds_finer_octaves():
    coarse, fine = noise.fbm(3, (64, 64), (4, 4), 1), noise.fbm(3, (64, 64), (4, 4), 5)
    assert (coarse == noise.perlin(3, (64, 64), (4, 4))).all()
    assert np.abs(np.diff(fine)).mean() > np.abs(np.diff(coarse)).mean()
    assert np.abs(np.diff(fine, 2)).mean() > 2 * np.abs(np.diff(coarse, 2)).mean()


@pytest.mark.parametrize("octaves", [1, 3])
def test_noise_at_coordinates_is_the_noise_of_the_grid(octaves):
    y, x = np.broadcast_arrays(((np.arange(30) + 0.5) * 4 / 30)[:, None], ((np.arange(50) + 0.5) * 6 / 50)[None, :])
    assert np.abs(noise.fbm_at(7, y, x, octaves) - noise.fbm(7, (30, 50), (4, 6), octaves)).max() < 2e-3


def test_seeds_and_tags_give_other_fields():
    fields = [noise.perlin(seed, (16, 16), (4, 4), tag=tag) for seed in (0, 1) for tag in (0, 1)]
    assert len({field.tobytes() for field in fields}) == 4


# [row][column] of the cell's corners: (along y, along x)
NOISE_PACKAGE_GRADIENTS = [[(0.0, 1.0), (0.0, 1.0)], [(0.0, 1.0), (1.0, 1.0)]]
NOISE_PACKAGE_VALUES = [
    [0.108722, 0.095927, -0.109973, -0.122768],
    [0.106187, 0.052455, -0.224460, -0.278191],
    [0.104585, 0.024992, -0.296789, -0.376382],
    [0.106973, 0.065944, -0.188937, -0.229967],
]
