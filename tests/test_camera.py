"""The picture's own camera: blur, grain and colours are found in the picture, and what is painted gets them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from conftest import picture, real_folder, whole
from hypothesis import given
from hypothesis import strategies as st

from defectsynth import AnomalySynthesizer, Plan, Recipe, rng
from defectsynth.batched.support import check_supported
from defectsynth.camera import PLAIN, blur_of, grain_of, is_monochrome, through_lens, with_grain, without_colours
from defectsynth.errors import PlanError, RecipeError
from defectsynth.files import read_image
from defectsynth.images import convert
from defectsynth.recipe import load_recipe
from defectsynth.sources.tone import ToneParams

SIDE = st.integers(1, 80)
MIDDLE = (60, 60, 68, 68)
PHYSICAL = [
    "bent", "burn", "chip", "contamination", "crack", "dent", "industrial", "misprint", "pit", "scratch", "smudge", "stain",
]  # fmt: skip


def edge(blur: float, angle: float, side: int = 128, grain: float = 2.0) -> np.ndarray:
    """``(side, side, 3)`` uint8: a straight edge through the middle as a lens of that blur shows it."""
    fine = 8
    y, x = (np.mgrid[0 : side * fine, 0 : side * fine] - side * fine / 2) / fine
    bright = (x * np.cos(np.deg2rad(angle)) + y * np.sin(np.deg2rad(angle)) > 0).astype(np.float32) * 120 + 60
    seen = cv2.resize(cv2.GaussianBlur(bright, (0, 0), blur * fine), (side, side), interpolation=cv2.INTER_AREA)
    return np.repeat(np.clip(np.rint(seen + noise(seen.shape, grain)), 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def noise(shape: tuple[int, ...], deviation: float) -> np.ndarray:
    """Nearly normal: the sums of the four bytes of random words."""
    four = rng.words(3, (shape[0], int(np.prod(shape[1:])))).astype("<u4").view(np.uint8).reshape(*shape, 4)
    return (four.sum(axis=-1) - 510.0) * (deviation / np.sqrt(4 * (256**2 - 1) / 12))


def recipe(lens: tuple[float, float], blend: dict[str, Any] | None = None, source: dict[str, Any] | None = None) -> Recipe:
    """Bright discs."""
    return Recipe.from_mapping(
        {
            "name": "discs",
            "foreground": "none",
            "lens_range": list(lens),
            "min_difference": 0.0,
            "kinds": {
                "disc": {
                    "mask": {"kind": "ellipse", "area_range": [0.05, 0.08], "aspect_range": [1, 1]},
                    "source": source or {"kind": "solid", "colour": [0.9, 0.9, 0.9]},
                    "blend": blend or {"kind": "linear", "opacity_range": [1, 1]},
                }
            },
        }
    )


# --- blur -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("angle", [0, 20, 45, 90])
@pytest.mark.parametrize("blur", [0.7, 1.0, 1.4, 2.0])
def test_the_blur_of_an_edge_is_found(blur: float, angle: float) -> None:
    image = cv2.copyMakeBorder(edge(blur, angle), 0, 128, 0, 128, cv2.BORDER_REPLICATE)  # the largest is 2.6 of 256 pixels
    assert blur_of(image, MIDDLE) == pytest.approx(np.hypot(blur, 0.29), rel=0.12, abs=0.13)  # and a pixel's own width


def test_the_sharpest_edges_decide_and_those_near_the_place() -> None:
    both = np.concatenate([edge(0.7, 0, 256), edge(2.0, 0, 256)], axis=1)
    at_the_left, at_the_right = blur_of(both, (120, 120, 136, 136)), blur_of(both, (120, 376, 136, 392))
    assert at_the_left < 1.0 < 1.6 < at_the_right
    assert blur_of(edge(2.0, 0, 256), (0, 10, 8, 18)) > 1.6  # no edge is near: one further off tells


def test_where_no_edge_is_a_pixel_s_own_width_is_all() -> None:
    grain = (128 + noise((64, 64, 3), 2.0)).astype(np.uint8)
    shading = np.tile(np.linspace(0, 255, 128).astype(np.uint8)[None, :, None], (128, 1, 3))
    for image in (np.full((64, 64, 3), 7, np.uint8), grain, shading):
        assert blur_of(image, (10, 10, 20, 20)) == PLAIN


@given(height=SIDE, width=SIDE, channels=st.sampled_from([1, 3, 4, 5]), seed=st.integers(0, 99), data=st.data())
def test_any_picture_has_a_blur(height: int, width: int, channels: int, seed: int, data: st.DataObject) -> None:
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    image = picture((height, width, channels), seed=seed)
    found = blur_of(image, (top, left, top + 1, left + 1))
    assert PLAIN <= found <= max(1.5, 0.01 * np.sqrt(height * width)) + 1 / 32
    assert found * 16 == round(found * 16)


def test_every_type_of_one_picture_has_one_blur() -> None:
    image = edge(1.2, 30)
    twelve = (image.astype(np.uint32) * 4095 // 255).astype(np.uint16)
    found = {blur_of(image, MIDDLE), blur_of(image[:, :, :1], MIDDLE), blur_of(convert(image, np.float32, 3), MIDDLE)}
    assert found == {blur_of(convert(image, np.uint16, 3), MIDDLE)}
    assert blur_of(twelve, MIDDLE, white=4095) == pytest.approx(found.pop(), abs=1 / 16)


@pytest.mark.parametrize("name", ["mvtec_screw", "mvtec_bottle", "mvtec_grid", "magnetic_tile"])
def test_a_photograph_that_is_made_softer_is_found_softer(name: str) -> None:
    for file in sorted((real_folder(name) / "train" / "good").iterdir())[:4]:
        image = convert(read_image(file), np.uint8, 3)
        height, width = image.shape[:2]
        box = (height // 3, width // 3, 2 * height // 3, 2 * width // 3)
        larger = cv2.resize(image, (3 * width, 3 * height), interpolation=cv2.INTER_CUBIC)
        assert blur_of(larger, (height, width, 2 * height, 2 * width)) > 1.6 * blur_of(image, box)


# --- grain ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_the_grain_is_that_of_the_picture(dtype: type) -> None:
    grainy = ((128 + noise((80, 90, 3), 1.6)) / 255).astype(np.float32)
    image = convert(grainy, dtype, 3)
    scale = 1.0 if dtype == np.float32 else np.iinfo(dtype).max
    positions = np.arange(80 * 90)
    found = grain_of(image, positions) / scale * 255
    assert found.shape == (7200, 3) and abs(found.mean()) < 0.1
    assert 0.7 * 1.6 < found.std() < 1.0 * 1.6  # what is slower than three pixels is not grain
    assert np.array_equal(grain_of(image, positions[100:200]).shape, (100, 3))


def test_texture_is_no_grain() -> None:
    """A wire that goes through the mask is not seen through what lies on it."""
    image = picture((60, 60, 3)) // 64 + np.uint8(100)
    image[:, 28:31] = 250
    inside = np.zeros((60, 60), dtype=bool)
    inside[20:40, 20:40] = True
    assert np.abs(grain_of(image, np.flatnonzero(inside))).max() <= 0.025 * 255


@given(height=SIDE, width=SIDE, dtype=st.sampled_from([np.uint8, np.uint16, np.float32]), channels=st.sampled_from([1, 3, 5]))
def test_grain_is_defined_everywhere(height: int, width: int, dtype: type, channels: int) -> None:
    image = picture((height, width, channels), dtype)
    positions = np.arange(height * width)
    grain = grain_of(image, positions)
    assert grain.shape == (height * width, channels) and np.isfinite(grain).all()
    grainy = with_grain(image.reshape(-1, channels), grain)
    assert grainy.dtype == dtype and (dtype != np.float32 or (grainy.min() >= 0 and grainy.max() <= 1))
    flat = np.full_like(image, image.flat[0])
    assert np.abs(grain_of(flat, positions)).max() < 1e-6


# --- colours --------------------------------------------------------------------------------------------------------------


def test_a_picture_without_colours_is_known() -> None:
    grey = np.repeat(picture((50, 40))[:, :, None], 3, axis=2)
    assert is_monochrome(grey) and not is_monochrome(picture((50, 40, 3)))
    assert not is_monochrome(grey[:, :, :1]) and not is_monochrome(np.repeat(grey[:, :, :1], 4, axis=2))
    pixels = picture((50, 40, 3)).reshape(-1, 3)
    assert is_monochrome(without_colours(pixels)[None]) and without_colours(pixels).dtype == np.uint8
    assert np.array_equal(without_colours(grey.reshape(-1, 3)), grey.reshape(-1, 3))


@pytest.mark.parametrize("name", PHYSICAL)
def test_no_colour_comes_into_a_grey_picture(name: str) -> None:
    grey = edge(0.8, 30, 96, grain=3.0)
    synthesizer = AnomalySynthesizer(load_recipe(name).model_copy(update={"normal_fraction": 0.0}), seed=4)
    for index in range(12):
        assert is_monochrome(synthesizer(grey, index=index, roi=whole(grey)).image)


def test_a_pattern_without_saturation_has_the_product_s_hue() -> None:
    patch, reference = picture((20, 20, 3)), np.array([100.0, 120.0, 140.0])
    local = np.array([90.0, 60.0, 30.0])
    toned = ToneParams(match=1.0, saturation=0.0, gain=0.4).apply(patch, reference, local) - local
    red, blue = toned[..., 0].ravel(), toned[..., 2].ravel()
    assert np.corrcoef(red, blue)[0, 1] > 0.9 and 2.4 < red.std() / blue.std() < 3.5
    kept = ToneParams(match=1.0, saturation=1.0, gain=0.4).apply(patch, reference, local)
    assert np.array_equal(kept, ToneParams(match=1.0, gain=0.4).apply(patch, reference, local))


# --- what is painted ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blur", [1.0, 2.0])
def test_an_outline_is_as_soft_as_the_picture(blur: float) -> None:
    image = cv2.copyMakeBorder(edge(blur, 90, grain=0.0), 0, 128, 0, 128, cv2.BORDER_REPLICATE)
    roi = np.zeros(image.shape[:2], np.uint8)
    roi[128:, :] = 255
    steepest = float(np.abs(np.diff(image[:, :, 0].astype(int), axis=0)).max()) / 120
    for index in range(6):
        hard = AnomalySynthesizer(recipe((0, 0)), seed=2)(image, index=index, roi=roi)
        soft = AnomalySynthesizer(recipe((1, 1)), seed=2)(image, index=index, roi=roi)
        assert np.array_equal(hard.mask, soft.mask)
        height = float(hard.image[hard.mask > 0].max()) - 180
        steps = [np.abs(np.diff(one.image[128:, :, 0].astype(int), axis=1)).max() / height for one in (hard, soft)]
        assert steps[0] > 0.95 and steps[1] < 1.35 * steepest
        assert soft.image.max() == hard.image.max()  # the middle is what it was


@pytest.mark.parametrize("blend", [{"kind": "linear"}, {"kind": "shadowed"}, {"kind": "relief"}, {"kind": "multiply"}])
@given(height=SIDE, width=SIDE, channels=st.sampled_from([None, 1, 3, 4]), index=st.integers(0, 2**40))
def test_the_laws_hold_behind_a_lens(blend: dict[str, Any], height: int, width: int, channels: int | None, index: int) -> None:
    shape = (height, width) if channels is None else (height, width, channels)
    image = picture(shape)
    rule = recipe((0.5, 4), blend, {"kind": "procedural"})
    synthesizer = AnomalySynthesizer(rule, seed=1)
    sample = synthesizer(image, index=index)
    assert sample.mask.any() and (sample.image[sample.mask == 0] == image[sample.mask == 0]).all()
    again = synthesizer.paint(image, Plan.from_json(sample.plan.to_json()))
    assert again.image.tobytes() == sample.image.tobytes() and again.mask.tobytes() == sample.mask.tobytes()
    assert 0.5 <= sample.plan.anomalies[0].lens <= 4


def test_pictures_of_the_product_were_seen_through_the_lens_already() -> None:
    image = edge(2.0, 30, 96, grain=4.0)
    cut = {"kind": "same_image", "jitter": {}}
    blend = {"kind": "linear", "opacity_range": [1, 1]}
    hard, soft = (AnomalySynthesizer(recipe(lens, blend, cut), seed=5)(image) for lens in ((0, 0), (1, 1)))
    middle = cv2.erode(hard.mask, np.ones((13, 13), np.uint8)) > 0
    assert middle.any() and np.array_equal(hard.image[middle], soft.image[middle])


def test_a_drawn_texture_is_no_sharper_than_the_picture() -> None:
    image = edge(2.0, 30, 128, grain=0.0)
    source = {"kind": "procedural", "families": ["granite"]}
    hard, soft = (
        AnomalySynthesizer(recipe(lens, {"kind": "linear", "opacity_range": [1, 1]}, source), seed=5)(image)
        for lens in ((0, 0), (1, 1))
    )
    middle = cv2.erode(hard.mask, np.ones((11, 11), np.uint8)) > 0
    fine = [np.abs(cv2.Laplacian(one.image[:, :, 0], cv2.CV_32F))[middle].mean() for one in (hard, soft)]
    assert fine[1] < 0.4 * fine[0]


@pytest.mark.parametrize(("profile", "kept"), [("dent", True), ("bump", True), ("groove", False), ("pit", False)])
def test_what_fades_at_its_outline_is_not_softened_again(profile: str, kept: bool) -> None:
    blend = {"kind": "relief", "profile": profile, "strength_range": [0.4, 0.4], "roughness_range": [0, 0]}
    image = edge(1.5, 30, 96, grain=0.0)
    hard, soft = (AnomalySynthesizer(recipe(lens, blend, {"kind": "product"}), seed=5)(image) for lens in ((0, 0), (1, 1)))
    assert np.array_equal(hard.image, soft.image) == kept


def test_plans_without_a_lens_say_nothing_of_it() -> None:
    image = picture((64, 64, 3))
    without = AnomalySynthesizer(recipe((0, 0)), seed=1).plan(image)
    assert "lens" not in without.to_json() and without.anomalies[0].lens == 0.0
    assert '"lens":1.0' in AnomalySynthesizer(recipe((1, 1)), seed=1).plan(image).to_json()


def test_bad_input_is_named() -> None:
    with pytest.raises(RecipeError, match=r"lens_range.*\[-1.*from 0 to 16"):
        recipe((-1, 1))
    with pytest.raises(RecipeError, match=r"lens_range.*inverted"):
        recipe((2, 1))
    with pytest.raises(RecipeError, match=r"not painted in batches, because of lens_range \[1\.0, 1\.3\]: use An"):
        check_supported(load_recipe("draem-code").with_settings(["lens_range=[1, 1.3]"]))
    plan = AnomalySynthesizer(recipe((1, 1)), seed=1).plan(picture((64, 64, 3))).to_dict()
    plan["anomalies"][0]["lens"] = 40
    with pytest.raises(PlanError, match=r"lens.*16"):
        Plan.from_dict(plan)


def test_through_no_lens_nothing_changes() -> None:
    patch = picture((9, 9, 3))
    assert through_lens(patch, 0.0) is patch
    assert through_lens(patch[:, :, :1], 1.0).shape == (9, 9, 1)
