"""Compiled loops give the bits of numpy and OpenCV: each of them alone, and in every preset."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import DTYPES, picture, whole
from hypothesis import given
from hypothesis import strategies as st

import defectsynth.compiled
from defectsynth import AnomalySynthesizer, load_recipe, noise, preset_names, rng
from defectsynth.compiled import SWITCH, compiled, loops
from defectsynth.images import gather, positions_of
from defectsynth.masks.turning import rotate
from defectsynth.painting import Painting

SEEDS = st.integers(0, 2**64 - 1)
SIDES = st.integers(1, 70)
CELLS = st.floats(0.3, 40)


def both(make):
    """What is made with compiled loops and without."""
    found = []
    for wanted in (True, False):
        with compiled(wanted):
            found.append(make())
    return found


@given(SEEDS, SIDES, SIDES, st.integers(0, 600))
def test_words(seed, rows, columns, tag):
    ours, plain = both(lambda: rng.words(seed, (rows, columns), tag))
    assert ours.dtype == plain.dtype
    assert np.array_equal(ours, plain)


@given(SEEDS, SIDES, SIDES, CELLS, CELLS, st.integers(1, 3), st.floats(-0.5, 0.7))
def test_noise(seed, height, width, down, across, octaves, level):
    fields = both(lambda: noise.fbm(seed, (height, width), (down, across), octaves))
    masks = both(lambda: noise.above(seed, (height, width), (down, across), octaves, level))
    assert np.array_equal(*fields)
    assert np.array_equal(*masks)
    assert np.array_equal(masks[0] == 255, fields[0] > np.float32(level))


@given(SEEDS, SIDES, SIDES, SIDES, SIDES, st.floats(-360, 360))
def test_turning(seed, height, width, to_height, to_width, angle):
    field = noise.perlin(seed, (height, width), (3, 3))
    mask = (field > 0).view(np.uint8) * np.uint8(255)
    assert np.array_equal(*both(lambda: rotate(field, (to_height, to_width), angle, -4.0)))
    assert np.array_equal(*both(lambda: rotate(mask, (to_height, to_width), angle, 0)))


@given(SEEDS, SIDES, SIDES, st.data())
def test_positions(seed, height, width, data):
    mask = (rng.words(seed, (height, width)) < 2**31).view(np.uint8) * np.uint8(255)
    top = data.draw(st.integers(0, height - 1))
    bottom = data.draw(st.integers(top + 1, height))
    for whole_or_part in (mask, np.repeat(mask, 2, axis=1)[:, ::2]):
        ours, plain = both(lambda values=whole_or_part: positions_of(values, (top, bottom)))
        assert np.array_equal(ours, plain)
        assert ours.dtype == plain.dtype


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS, channels=st.integers(1, 5))
def test_pixels_by_their_positions(dtype, seed, channels):
    pixels = picture((20, 30, channels), dtype).reshape(-1, channels)
    positions = (rng.words(seed, (1, 50)) % 600)[0].astype(np.intp)
    ours, plain = both(lambda: gather(pixels, positions))
    assert np.array_equal(ours, plain)
    assert ours.dtype == dtype
    assert np.array_equal(plain, pixels[positions])


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS, channels=st.integers(1, 5))
def test_painting_two_defects_over_each_other(dtype, seed, channels):
    image, other = picture((20, 30, channels), dtype), picture((20, 30, channels), dtype, seed=5)
    degree = np.maximum(noise.perlin(seed, (20, 30), (3, 3)), 0).reshape(-1)

    def paint() -> Painting:
        painting = Painting.of(image)
        for number, positions in enumerate((np.arange(40, 400), np.arange(7, 300, 3)), start=1):
            painting.add(positions, other.reshape(-1, channels)[positions], degree[positions], number)
        return painting

    ours, plain = both(paint)
    for name in ("image", "degree", "kinds"):
        assert np.array_equal(getattr(ours, name), getattr(plain, name)), name
    assert {number: own.tolist() for number, own in ours.positions.items()} == {
        number: own.tolist() for number, own in plain.positions.items()
    }


@pytest.mark.parametrize("name", preset_names())
def test_every_preset(name, texture_folder, defect_folder):
    recipe = load_recipe(name)
    banks = {
        "textures": texture_folder if "textures" in recipe.needs else None,
        "defects": defect_folder if "defects" in recipe.needs else None,
        "normals": {str(number): picture((90, 110, 3), seed=number) for number in (3, 4)}
        if "normals" in recipe.needs
        else None,
    }
    for dtype in DTYPES:
        image = picture((90, 110, 3), dtype)

        def paint(image=image):
            synth = AnomalySynthesizer(recipe, seed=3, **banks)
            return [synth(image, index=index, roi=whole(image)) for index in range(6)]

        for ours, plain in zip(*both(paint), strict=True):
            assert ours.plan == plain.plan
            for part in ("image", "mask", "defect_map", "kinds"):
                assert np.array_equal(getattr(ours, part), getattr(plain, part)), (part, dtype, ours.plan.index)


def test_they_are_loaded_at_once_or_never_where_that_is_said():
    code = "from defectsynth.compiled import loops; print(loops() is not None)"
    found = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, SWITCH: value}
        )
        for value in ("1", "0")
    ]
    assert [ended.stdout.strip() for ended in found] == ["True", "False"]


def test_they_are_loaded_once_a_process_has_been_at_work_for_a_while(monkeypatch):
    now = [100.0]
    monkeypatch.delenv(SWITCH, raising=False)
    monkeypatch.setattr(defectsynth.compiled, "monotonic", lambda: now[0])
    monkeypatch.setattr(defectsynth.compiled, "_due", None)
    monkeypatch.setattr(defectsynth.compiled, "_found", defectsynth.compiled._UNKNOWN)
    assert loops() is None
    now[0] += 1.9
    assert loops() is None
    now[0] += 0.2
    assert loops() is not None
    now[0] -= 2.0  # what is loaded stays
    assert loops() is not None


def test_the_way_to_them_stays_after_they_were_loaded():
    with compiled(True):
        noise.perlin(1, (4, 4), (2, 2))
    assert callable(defectsynth.compiled.loops)


def test_without_numba_nothing_is_compiled(monkeypatch):
    monkeypatch.setattr(defectsynth.compiled, "find_spec", lambda name: None)
    monkeypatch.setattr(defectsynth.compiled, "_due", None)
    monkeypatch.setattr(defectsynth.compiled, "_found", defectsynth.compiled._UNKNOWN)
    assert loops() is None
    assert noise.perlin(1, (4, 4), (2, 2)).shape == (4, 4)
