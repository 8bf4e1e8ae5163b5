"""Sources that need no texture: patches of the same or another normal picture, the picture in disorder, one colour."""

from __future__ import annotations

import colorsys
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import picture, whole
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from defectsynth import AnomalySynthesizer, Plan
from defectsynth.banks import Banks, NormalBank
from defectsynth.errors import PlanError, RecipeError, SourceError, SynthesisError
from defectsynth.files import write_image
from defectsynth.foreground import estimate_foreground
from defectsynth.images import bounding_box, convert, to_float
from defectsynth.masks import Perlin
from defectsynth.rng import Draws
from defectsynth.site import Site
from defectsynth.sources import SOURCE_PARAMS, SOURCES
from defectsynth.sources.jitter import Jitter, apply_jitter, cutpaste_jitter
from defectsynth.sources.normal import _corner_on_object
from defectsynth.sources.tone import visible_shift

MASK = Perlin(area_range=(0.05, 0.6), cells_range=(1, 8))
SPECS: list[dict[str, Any]] = [
    {"kind": "same_image"},
    {"kind": "same_image", "jitter": {}, "rotation_range": [-45, 45], "flip_probability": 0.5},
    {"kind": "shuffle"},
    {"kind": "shuffle", "enhance": {"count": 0}, "grid": [3, 5]},
    {"kind": "normal"},
    {"kind": "normal", "at": "same_place", "scale_range": [0.3, 4], "rotation_range": [-180, 180]},
    {"kind": "normal", "min_object": 0.5, "scale_range": [0.7, 1.3], "scale_normal": [1, 0.5], "flip_probability": 0.5},
    {"kind": "solid"},
    {"kind": "solid", "colour": "local", "shift_range": [-1, 1], "gradient_range": [0, 1], "grain_range": [0, 0.3]},
    {"kind": "solid", "colour": [0, 0.5, 1]},
    {"kind": "solid", "colour": "local", "light_range": [0, 16]},
]
NAMES = [f"{spec['kind']}-{number}" for number, spec in enumerate(SPECS)]
TYPES = {"8": (np.uint8, None), "16": (np.uint16, None), "12": (np.uint16, 4095), "float": (np.float32, None)}
sizes = st.tuples(st.integers(1, 90), st.integers(1, 90))
channels = st.sampled_from([1, 2, 3, 4, 5, 8])


def image_of(shape: tuple[int, ...], depth: str = "8", seed: int = 1) -> np.ndarray:
    image = picture(shape, TYPES[depth][0], seed)
    return (image // 16).astype(np.uint16) if depth == "12" else image


def site_of(image: np.ndarray, box=None, others: dict[str, np.ndarray] | None = None, white=None, foreground="none") -> Site:
    """A site whose mask is a rectangle (the whole picture without one)."""
    top, left, bottom, right = box or (0, 0, *image.shape[:2])
    mask = np.zeros(image.shape[:2], np.uint8)
    mask[top:bottom, left:right] = 255
    params = MASK.draw(Draws(1, 0), Banks())
    banks = Banks(normals=NormalBank(others or {"other": image_of(image.shape, seed=2)}))
    image.flags.writeable = False
    return Site(image, whole(image), mask, params, (top, left, bottom, right), banks, white, foreground)


def drawn(site: Site, index: int = 0, **spec: Any):
    """The parameters of a source, as its recipe's mapping draws them."""
    return SOURCES.parse(spec).draw(Draws(7, index).within("source"), site.banks, site.mask_params)


def recipe(source: dict[str, Any], **more: Any) -> dict[str, Any]:
    kind = {
        "mask": {"kind": "perlin", "area_range": [0.02, 0.1], "cells_range": [2, 8], "components_range": [1, 2]},
        "source": source,
        "blend": {"kind": "linear", "opacity_range": [1, 1]},
    }
    return {"name": "one", "foreground": "none", "min_difference": 0.004, "kinds": {"one": kind}, **more}


# --- every kind ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", SPECS, ids=NAMES)
@given(size=sizes, count=channels, depth=st.sampled_from(list(TYPES)), index=st.integers(0, 10_000), turned=st.booleans())
def test_laws(spec, size, count, depth, index, turned):
    image, white = image_of((*size, count), depth), TYPES[depth][1]
    mask = MASK.draw(Draws(3, index), Banks())
    painted = mask.paint(whole(image), Banks())
    box = bounding_box(painted)
    others = {"other": image_of((*size[::-1], 3) if turned else (*size, count), "8" if turned else depth, seed=2)}
    image.flags.writeable = False
    site = Site(image, whole(image), painted, mask, box, Banks(normals=NormalBank(others)), white, "given")
    params = drawn(site, index, **spec)
    patch = params.render(site)
    as_rgb = spec["kind"] == "shuffle" and "enhance" not in spec
    assert patch.shape == (box[2] - box[0], box[3] - box[1], 3 if as_rgb else count)
    assert patch.dtype == (np.uint8 if as_rgb else image.dtype)
    assert patch.min() >= 0
    assert patch.max() <= (255 if as_rgb or depth == "8" else white or (1.0 if depth == "float" else 65535))
    again = SOURCE_PARAMS.parse(params.model_dump(mode="json", exclude_defaults=True))
    assert again == params
    assert again.render(site).tobytes() == patch.tobytes()


@pytest.mark.parametrize("spec", SPECS, ids=NAMES)
@pytest.mark.parametrize("depth", list(TYPES))
@pytest.mark.parametrize("shape", [(61, 47), (61, 47, 3), (40, 52, 4)])
def test_a_sample_is_replayed_from_its_plan(spec, depth, shape):
    image = image_of(shape, depth)
    others = {f"n{number}": image_of(shape, depth, seed=10 + number) for number in range(3)}
    synth = AnomalySynthesizer(recipe(spec), normals=others, seed=5, white=TYPES[depth][1])
    for index in range(3):
        sample = synth(image, index=index)
        assert sample.image.dtype == image.dtype
        assert (sample.image[sample.mask == 0] == image[sample.mask == 0]).all()
        text = sample.plan.to_json()
        assert len(text) < 1000
        fresh = AnomalySynthesizer(recipe(spec), normals=others, white=TYPES[depth][1])
        assert fresh.paint(image, Plan.from_json(text)).image.tobytes() == sample.image.tobytes()


@pytest.mark.parametrize("spec", SPECS, ids=NAMES)
def test_a_picture_of_one_pixel(spec):
    image = np.full((1, 1, 3), 100, np.uint8)
    assert drawn(site_of(image), **spec).render(site_of(image)).shape == (1, 1, 3)


# --- same_image ---------------------------------------------------------------------------------------------------------


@given(size=sizes, index=st.integers(0, 1000), depth=st.sampled_from(list(TYPES)), data=st.data())
def test_a_patch_of_the_same_picture_is_a_copy(size, index, depth, data):
    height, width = size
    image = image_of((*size, 3), depth)
    bottom, right = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
    box = data.draw(st.integers(0, bottom - 1)), data.draw(st.integers(0, right - 1)), bottom, right
    site = site_of(image, box)
    params = drawn(site, index, kind="same_image", jitter={})
    patch = params.render(site)
    y, x = (int(params.place[axis] * (size[axis] - patch.shape[axis] + 1)) for axis in (0, 1))
    assert (patch == image[y : y + patch.shape[0], x : x + patch.shape[1]]).all()
    mirrored = params.model_copy(update={"flip": True}).render(site)
    assert (mirrored == patch[:, ::-1]).all()


def test_sixteen_bits_stay_sixteen_bits():
    image = image_of((64, 80), "16")
    synth = AnomalySynthesizer(recipe({"kind": "same_image", "jitter": {}}), seed=2)
    for index in range(10):
        sample = synth(image, index=index)
        assert np.isin(sample.image[sample.mask != 0], image).all()
        assert np.unique(sample.image[sample.mask != 0] % 257).size > 20  # not eight bits, spread


def test_places_are_everywhere():
    image = image_of((40, 40, 1))
    site = site_of(image, (10, 10, 20, 20))
    places = {tuple(drawn(site, index, kind="same_image").place) for index in range(400)}
    ys, xs = (np.array([int(place[axis] * 31) for place in places]) for axis in (0, 1))
    for corner in (ys, xs):
        assert corner.min() == 0
        assert corner.max() == 30
        assert 13 < corner.mean() < 17


@given(size=sizes, index=st.integers(0, 1000))
def test_a_patch_from_nearby_lies_as_far_off_as_was_drawn(size, index):
    image = image_of((*size, 2), "16")
    site = site_of(image, (size[0] // 3, size[1] // 3, size[0] // 3 + 1, size[1] // 3 + 1))
    params = drawn(site, index, kind="same_image", jitter={}, distance_range=[0.02, 0.05])
    assert 0.0199 <= np.hypot(*params.step) <= 0.0501
    row, column = (
        min(max(0, round(size[axis] // 3 + 0.5 + params.step[axis] * site.side - 0.5)), size[axis] - 1) for axis in (0, 1)
    )
    assert (params.render(site)[0, 0] == image[row, column]).all()


def test_a_patch_turns_anticlockwise():
    image = image_of((60, 60, 3), "16")
    site = site_of(image, (20, 20, 41, 41))
    params = drawn(site, kind="same_image", jitter={})
    straight, turned = params.render(site), params.model_copy(update={"angle": 90.0}).render(site)
    assert np.abs(turned.astype(int) - np.rot90(straight).astype(int)).max() <= 2
    assert turned.dtype == np.uint16


@pytest.mark.parametrize("shape", [(30_000, 3, 1), (2, 9_000, 3)])
def test_a_long_patch_turns_without_a_square_canvas(shape):
    site = site_of(image_of(shape))
    for kind in ("same_image", "normal"):
        assert drawn(site, kind=kind, rotation_range=[30, 30]).render(site).shape == shape


def test_a_patch_turns_with_its_mask():
    site = site_of(image_of((60, 60, 1)), (20, 20, 41, 41))
    assert site.mask_params.angle != 0
    alone = drawn(site, kind="same_image", rotation_range=[10, 20])
    together = drawn(site, kind="same_image", rotation_range=[10, 20], turn_with_mask=True)
    assert together.angle == alone.angle + site.mask_params.angle


def test_a_turned_patch_too_large_for_the_picture_is_magnified_not_made_up():
    y, x = np.mgrid[:31, :31] - 15
    image = (np.hypot(y, x) * 1000).astype(np.uint16)[:, :, None]  # how far each pixel is from the middle
    patch = drawn(site_of(image), kind="same_image", jitter={}, rotation_range=[45, 45]).render(site_of(image))
    assert patch.shape == (31, 31, 1)
    assert patch[0, 0, 0] == pytest.approx(15_000, abs=600)  # a corner comes from the middle of a side
    assert patch[15, 0, 0] == pytest.approx(15_000 / np.sqrt(2), abs=600)


# --- jitter -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "enhancer"),
    [("brightness", ImageEnhance.Brightness), ("contrast", ImageEnhance.Contrast), ("saturation", ImageEnhance.Color)],
)
@pytest.mark.parametrize("factor", [0.7, 1.3])
def test_jitter_is_that_of_pillow(name, enhancer, factor):
    rgb = picture((40, 50, 3))
    wanted = np.asarray(enhancer(Image.fromarray(rgb)).enhance(factor)).astype(int)
    assert np.abs(apply_jitter(rgb, [(name, factor)]).astype(int) - wanted).max() <= 1


@pytest.mark.parametrize("degrees", [-36.0, 36.0, 120.0])
def test_hue_is_that_of_colorsys(degrees):
    rgb = picture((6, 7, 3), np.float32)
    found = apply_jitter(rgb, [("hue", degrees)])
    for pixel, turned in zip(rgb.reshape(-1, 3), found.reshape(-1, 3), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*map(float, pixel))
        assert turned == pytest.approx(colorsys.hsv_to_rgb((hue + degrees / 360) % 1, saturation, value), abs=1e-3)


def test_jitter_keeps_depth_and_leaves_out_what_a_picture_does_not_have():
    for depth, (dtype, white) in TYPES.items():
        for count in (1, 2, 3, 4, 5):
            patch = image_of((9, 8, count), depth)
            before = patch.copy()
            found = apply_jitter(patch, [("contrast", 1.2), ("hue", 30.0), ("brightness", 1.5), ("saturation", 0.5)], white)
            assert found.dtype == dtype
            assert found.shape == patch.shape
            assert found.max() <= (white or (1.0 if dtype == np.float32 else np.iinfo(dtype).max))
            assert (patch == before).all()
            if count != 3:
                assert (apply_jitter(patch, [("hue", 90.0), ("saturation", 0.0)], white) == patch).all()
    sixteen = apply_jitter(image_of((30, 30, 3), "16"), [("brightness", 1.1)])
    assert np.unique(sixteen % 257).size > 100


def test_jitter_draws_cutpastes_ranges_in_any_order():
    drawn_ones = [cutpaste_jitter().draw(Draws(0, index)) for index in range(200)]
    assert len({tuple(name for name, _ in one) for one in drawn_ones}) == 24
    for one in drawn_ones:
        assert all(-36 <= amount <= 36 if name == "hue" else 0.9 <= amount <= 1.1 for name, amount in one)
    assert Jitter().draw(Draws(0, 0)) == ()
    patch = picture((4, 4, 3))
    assert apply_jitter(patch, ()) is patch


# --- shuffle ------------------------------------------------------------------------------------------------------------


def test_shuffle_is_a_permutation_of_cells():
    image = image_of((64, 96, 5), "16")
    site = site_of(image)
    for index in range(5):
        patch = drawn(site, index, kind="shuffle", enhance={"count": 0}).render(site)

        def cells(of: np.ndarray) -> list[bytes]:
            return [of[y : y + 8, x : x + 12].tobytes() for y in range(0, 64, 8) for x in range(0, 96, 12)]

        before, after = cells(image), cells(patch)
        assert sorted(after) == sorted(before)
        assert sum(one == other for one, other in zip(before, after, strict=True)) < 8


@given(size=sizes, grid=st.tuples(st.integers(1, 12), st.integers(1, 12)), index=st.integers(0, 1000))
def test_cells_of_any_size_are_copies(size, grid, index):
    image = np.arange(size[0] * size[1], dtype=np.uint16).reshape(*size, 1)
    site = site_of(image)
    patch = drawn(site, index, kind="shuffle", enhance={"count": 0}, grid=list(grid)).render(site)[:, :, 0]
    rows = [number * size[0] // min(grid[0], size[0]) for number in range(min(grid[0], size[0]) + 1)]
    columns = [number * size[1] // min(grid[1], size[1]) for number in range(min(grid[1], size[1]) + 1)]
    seen = set()
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            cell = patch[top:bottom, left:right].astype(int)
            y, x = divmod(int(cell[0, 0]), size[1])
            seen.add((max(row for row in rows if row <= y), max(column for column in columns if column <= x)))
            assert (cell == image[y : y + bottom - top, x : x + right - left, 0]).all()
    if size[0] % (len(rows) - 1) == 0 and size[1] % (len(columns) - 1) == 0:
        assert len(seen) == (len(rows) - 1) * (len(columns) - 1)


@given(size=sizes, index=st.integers(0, 1000), angle=st.sampled_from([0.0, 30.0]), data=st.data())
def test_the_rectangle_of_a_shuffled_picture_is_part_of_it(size, index, angle, data):
    image = image_of((*size, 3))
    bottom, right = data.draw(st.integers(1, size[0])), data.draw(st.integers(1, size[1]))
    top, left = data.draw(st.integers(0, bottom - 1)), data.draw(st.integers(0, right - 1))
    params = drawn(site_of(image), index, kind="shuffle", enhance={"count": 0})
    params = params.model_copy(update={"operations": (("affine", (angle,)), ("invert", ()))})
    part = params.render(site_of(image, (top, left, bottom, right)))
    full = params.render(site_of(image))[top:bottom, left:right]
    assert np.abs(part.astype(int) - full.astype(int)).max() <= (0 if angle == 0.0 else 2)


def test_shuffle_is_enhanced_as_memseg_does():
    site = site_of(image_of((40, 40, 3)))
    assert all(len(drawn(site, index, kind="shuffle").operations) == 3 for index in range(20))


# --- normal -------------------------------------------------------------------------------------------------------------

TOP_LEFT = np.full((80, 100, 3), 240, np.uint8)
TOP_LEFT[10:40, 15:50] = picture((30, 35, 3)) // 3  # a dark product on a light ground


def test_the_same_place_is_the_same_place():
    image, other = image_of((40, 50, 4), "16"), image_of((40, 50, 4), "16", seed=2)
    site = site_of(image, (5, 6, 25, 37), {"other": other})
    params = drawn(site, kind="normal", at="same_place")
    assert params.place is None
    assert (params.render(site) == other[5:25, 6:37]).all()


def test_any_place_is_a_copy_of_the_other_picture():
    image, other = image_of((40, 50), "12"), image_of((40, 50), "12", seed=2)
    synth = AnomalySynthesizer(recipe({"kind": "normal"}), normals={"other": other}, white=4095)
    for index in range(8):
        sample = synth(image, index=index)
        assert np.isin(sample.image[sample.mask != 0], other).all()


@given(index=st.integers(0, 2000), share=st.floats(0.05, 1.0), height=st.integers(1, 60), width=st.integers(1, 70))
def test_enough_of_the_patch_is_object(index, share, height, width):
    site = site_of(image_of((80, 100, 3)), (3, 4, 3 + height, 4 + width), {"other": TOP_LEFT}, foreground="given")
    params = drawn(site, index, kind="normal", min_object=share)
    corner = params._corner((height, width), site)
    mask = estimate_foreground(TOP_LEFT, "auto").mask
    found = np.count_nonzero(mask[corner[0] : corner[0] + height, corner[1] : corner[1] + width])
    sums = cv2.boxFilter((mask != 0).astype(np.float64), -1, (width, height), anchor=(0, 0), normalize=False)
    best = sums[: 81 - height, : 101 - width].max()
    assert found >= min(share * height * width, best)


def test_object_places_are_as_likely_as_each_other():
    mask = np.zeros((20, 30), np.uint8)
    mask[4:10, 5:12] = 255  # 3 x 4 places hold a whole window of 4 x 4
    steps = (np.arange(60) + 0.5) / 60
    found = [_corner_on_object(mask, (4, 4), 1.0, (first, second)) for first in steps for second in steps]
    corners, counts = np.unique(np.array(found), axis=0, return_counts=True)
    assert [tuple(corner) for corner in corners.tolist()] == [(y, x) for y in range(4, 7) for x in range(5, 9)]
    assert (counts == 300).all()


def test_a_plain_picture_has_no_object_and_takes_any_place():
    flat = np.full((40, 40, 3), 90, np.uint8)
    synth = AnomalySynthesizer(recipe({"kind": "normal", "min_object": 0.9}), normals={"flat": flat})
    assert (synth(picture((40, 40, 3)), index=1).image[:, :, 0] == 90).any()


def test_a_patch_is_magnified():
    ramp = np.tile(np.arange(200, dtype=np.uint16)[None, :] * 100, (200, 1))[:, :, None]
    site = site_of(np.zeros((200, 200, 1), np.uint16), (50, 50, 110, 110), {"ramp": ramp})
    for scale in (0.5, 0.7, 1.0, 1.3, 2.0):
        patch = drawn(site, kind="normal", scale_range=[scale, scale]).render(site).astype(float)
        assert np.diff(patch[:, :, 0], axis=1).mean() == pytest.approx(100 / scale, rel=0.05)
    middle = drawn(site, kind="normal", at="same_place", scale_range=[2, 2]).render(site)
    assert middle.mean() == pytest.approx(ramp[50:110, 50:110].mean(), rel=0.02)


def test_nsa_draws_its_scale_from_a_clipped_normal_distribution():
    site = site_of(image_of((20, 20, 3)))
    spec = {"kind": "normal", "scale_range": [0.7, 1.3], "scale_normal": [1, 0.5]}
    scales = np.array([drawn(site, index, **spec).scale for index in range(400)])
    assert 0.2 < np.mean(scales == 0.7) < 0.35
    assert 0.2 < np.mean(scales == 1.3) < 0.35
    assert ((scales >= 0.7) & (scales <= 1.3)).all()


@pytest.mark.parametrize("depth", list(TYPES))
@pytest.mark.parametrize("count", [1, 3, 5])
def test_another_type_and_size_is_converted(depth, count):
    other = picture((33, 44, 3), seed=2)
    image, white = image_of((40, 50, count), depth), TYPES[depth][1]
    site = site_of(image, None, {"other": other}, white)
    params = drawn(site, kind="normal", at="same_place")
    wanted = convert(site.banks.normal("other", params.hash, (40, 50)), np.float32, count)
    assert np.abs(to_float(params.render(site), white) - wanted).max() < 1 / 250


def test_what_a_normal_source_refuses():
    for keys, message in (
        ({"at": "same_place", "min_object": 0.2}, "min_object 0.2 chooses the place: leave it out, or set at to any_place"),
        ({"scale_normal": [1, 0]}, "the second number is a deviation, above 0"),
        ({"scale_range": [1, 200]}, "at most 100 times"),
        ({"at": "somewhere"}, "any_place"),
    ):
        with pytest.raises(RecipeError, match=message):
            AnomalySynthesizer(recipe({"kind": "normal", **keys}), normals={"a": picture((8, 8))})
    image = image_of((40, 40), "12")
    synth = AnomalySynthesizer(recipe({"kind": "normal"}), normals={"bright": image_of((40, 40), "16")}, white=4095)
    with pytest.raises(SourceError, match=r"normal picture 'bright' has values up to \d+ but white is 4095: give a larger one"):
        synth(image)


# --- the bank of normal pictures ----------------------------------------------------------------------------------------


def test_no_normals_given():
    with pytest.raises(RecipeError, match=r"recipe 'one' draws from normals and none were given: pass normals=FOLDER"):
        AnomalySynthesizer(recipe({"kind": "normal"}))
    image = picture((30, 30, 3))
    plan = AnomalySynthesizer(recipe({"kind": "normal"}), normals={"a": picture((30, 30, 3), seed=2)}).plan(image)
    with pytest.raises(PlanError, match="this plan uses other normal pictures and none were given: pass normals=FOLDER"):
        AnomalySynthesizer(recipe({"kind": "solid"})).paint(image, plan)


def test_a_normal_folder_that_is_missing_empty_or_damaged(tmp_path):
    with pytest.raises(SourceError, match=r"normal folder '.*none' does not exist"):
        AnomalySynthesizer(recipe({"kind": "normal"}), normals=tmp_path / "none")
    with pytest.raises(SourceError, match=r"normal folder '.*' holds no pictures"):
        AnomalySynthesizer(recipe({"kind": "normal"}), normals=tmp_path)
    with pytest.raises(SourceError, match="there are no other normal pictures: give at least one"):
        AnomalySynthesizer(recipe({"kind": "normal"}), normals={})
    write_image(tmp_path / "a.png", picture((40, 40, 3)))
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    with pytest.raises(SourceError, match=r"normal picture .*a\.png' is damaged"):
        AnomalySynthesizer(recipe({"kind": "normal"}), normals=tmp_path)(picture((40, 40, 3)))


def test_a_changed_normal_picture_is_noticed(tmp_path):
    image, one = picture((40, 40, 3)), recipe({"kind": "normal"})
    write_image(tmp_path / "a.png", picture((40, 40, 3), seed=2))
    plan = AnomalySynthesizer(one, normals=tmp_path).plan(image)
    write_image(tmp_path / "a.png", picture((40, 40, 3), seed=3))
    with pytest.raises(PlanError, match=r"normal picture 'a\.png' has changed since the plan was drawn"):
        AnomalySynthesizer(one, normals=tmp_path).paint(image, plan)
    (tmp_path / "a.png").rename(tmp_path / "b.png")
    with pytest.raises(PlanError, match=r"normal picture 'a\.png' is not in"):
        AnomalySynthesizer(one, normals=tmp_path).paint(image, plan)


def test_the_only_other_picture_may_be_the_same_one(tmp_path):
    image = picture((40, 40, 3))
    write_image(tmp_path / "a.png", image)
    sample = AnomalySynthesizer(recipe({"kind": "normal"}), normals=tmp_path)(image, index=3)
    assert np.isin(sample.image[sample.mask != 0], image).all()
    with pytest.raises(SynthesisError, match="the defect cannot be seen"):  # the same place of the same picture
        AnomalySynthesizer(recipe({"kind": "normal", "at": "same_place"}, max_attempts=3), normals=tmp_path)(image)


# --- solid --------------------------------------------------------------------------------------------------------------


def test_a_solid_source_is_one_colour():
    site = site_of(image_of((20, 30, 3)))
    colours = {tuple(drawn(site, index, kind="solid").render(site).reshape(-1, 3)[0].tolist()) for index in range(50)}
    assert len(colours) == 50
    patch = drawn(site, kind="solid", colour=[1, 0.5, 0]).render(site)
    assert (patch == [255, 128, 0]).all()
    grey = site_of(image_of((20, 30, 1)))
    assert (drawn(grey, kind="solid", colour=[1, 1, 1]).render(grey) == 255).all()


@pytest.mark.parametrize("depth", list(TYPES))
@pytest.mark.parametrize("count", [1, 3, 5])
def test_the_local_colour_is_the_products_at_its_own_depth(depth, count):
    image, white = image_of((30, 40, count), depth), TYPES[depth][1]
    site = site_of(image, (5, 6, 20, 30), white=white)
    patch = drawn(site, kind="solid", colour="local").render(site)
    wanted = image[5:20, 6:30].reshape(-1, count).mean(axis=0, dtype=np.float64)
    assert patch[0, 0] == pytest.approx(wanted, rel=1e-6, abs=0.5 if image.dtype != np.float32 else 1e-6)
    assert (patch == patch[0, 0]).all()


def test_a_shift_is_turned_round_where_the_scale_ends():
    assert visible_shift(-0.2, 0.5) == -0.2
    assert visible_shift(-0.2, 0.2) == pytest.approx(-0.15)
    assert visible_shift(-0.2, 0.1) == 0.2
    assert visible_shift(0.2, 0.97) == -0.2
    for level, wanted in ((128, 77), (20, 71)):
        site = site_of(np.full((5, 5, 3), level, np.uint8))
        assert (drawn(site, kind="solid", colour="local", shift_range=[-0.2, -0.2]).render(site) == wanted).all()


def test_a_gradient_grows_in_its_direction():
    site = site_of(np.full((41, 61, 1), 0.5, np.float32))
    spec = {"kind": "solid", "colour": "local", "gradient_range": [0.4, 0.4]}
    for angle, first, last in (
        (0, (20, 0), (20, 60)),
        (90, (40, 30), (0, 30)),
        (180, (20, 60), (20, 0)),
        (45, (40, 0), (0, 60)),
    ):
        patch = drawn(site, **spec, gradient_angle_range=[angle, angle]).render(site)[:, :, 0]
        assert patch[first] == pytest.approx(0.3, abs=1e-5)
        assert patch[last] == pytest.approx(0.7, abs=1e-5)
        assert patch.mean() == pytest.approx(0.5, abs=1e-5)


def test_grain_has_its_strength_and_no_seam():
    site = site_of(np.full((300, 700, 1), 0.5, np.float32))
    patch = drawn(site, kind="solid", colour="local", grain_range=[0.02, 0.02]).render(site)[:, :, 0]
    assert patch.std() == pytest.approx(0.02, rel=0.05)
    assert patch.mean() == pytest.approx(0.5, abs=0.001)
    assert np.abs(np.diff(patch[:, 511:513], axis=1)).mean() < 1.3 * np.abs(np.diff(patch, axis=1)).mean()
    other = drawn(site, 1, kind="solid", colour="local", grain_range=[0.02, 0.02]).render(site)[:, :, 0]
    assert abs(np.corrcoef(patch.ravel(), other.ravel())[0, 1]) < 0.02


@pytest.mark.parametrize("colour", ["red", [255, 0, 0], [0.5, 0.5], [0.1, 0.2, "a"], 3, None, [0.1, 0.2, float("nan")], {}])
def test_what_is_no_colour(colour):
    with pytest.raises(
        RecipeError, match=r"colour: .* is no colour: give random, local, or \[red, green, blue\], each from 0 to 1"
    ):
        AnomalySynthesizer(recipe({"kind": "solid", "colour": colour}))
    with pytest.raises(RecipeError, match=r"shift_range: \[0\.0, 2\.0\] leaves its limits"):
        AnomalySynthesizer(recipe({"kind": "solid", "shift_range": [0, 2]}))
