"""Sources: banks, enhancement, tone, real defects, the leakage guard."""

from __future__ import annotations

from typing import get_args

import cv2
import numpy as np
import pytest
from conftest import picture, whole
from PIL import Image, ImageEnhance, ImageOps

from defectsynth import AnomalySynthesizer, DefectBank, TextureBank, load_recipe
from defectsynth.banks import Banks
from defectsynth.errors import LeakageError, PlanError, SourceError
from defectsynth.files import write_image
from defectsynth.images import bounding_box, smoothed
from defectsynth.masks import Perlin
from defectsynth.rng import Draws
from defectsynth.site import Site
from defectsynth.sources import SOURCES
from defectsynth.sources.enhance import DRAEM_OPERATIONS, Enhance, OperationName, rotation_of
from defectsynth.sources.operations import apply_operations
from defectsynth.sources.texture import sample
from defectsynth.sources.tone import ToneParams

RGB = picture((40, 50, 3))

# --- banks --------------------------------------------------------------------------------------------------------------


def test_texture_bank_names_and_cache(texture_folder):
    bank = TextureBank(texture_folder, cache_bytes=60_000)
    assert bank.names == sorted(bank.names)
    assert "made/rust.png" in bank.names
    first = bank.load("made/rust.png")
    assert bank.load("made/rust.png") is first
    for name in bank.names:
        bank.load(name)
    assert bank._cache._held <= 60_000
    assert bank.load("made/rust.png") is not first


def test_texture_is_shrunk_but_never_magnified(texture_folder):
    bank = TextureBank(texture_folder)
    assert bank.fitted("made/rust.png", (30, 200)).rgb.shape == (30, 90, 3)


def test_smooth_copies_are_kept_only_where_textures_leave_room():
    pictures = {str(number): picture((20, 20, 3), seed=number) for number in range(4)}
    read = []

    def open_one(name):
        read.append(name)
        return pictures[name]

    bank = TextureBank(list(pictures), read=open_one, cache_bytes=5 * 1200)  # all textures, and one smooth copy
    for name in ("0", "1", "2", "3", "0", "1"):
        assert (bank.smooth(name, (20, 20)).rgb == smoothed(pictures[name])).all()
        assert bank.smooth(name, (20, 20)).hash == bank.fitted(name, (20, 20)).hash
    assert bank.smooth("1", (20, 20)) is bank.smooth("1", (20, 20))
    assert read == ["0", "1", "2", "3"]
    for name in pictures:
        bank.fitted(name, (10, 10))  # they need the room of the smooth copy
    assert bank.smooth("1", (20, 20)) is not bank.smooth("1", (20, 20))
    assert bank._cache._held <= 5 * 1200


def test_banks_say_what_is_missing(tmp_path):
    with pytest.raises(SourceError, match=r"texture folder '.*' does not exist"):
        TextureBank(tmp_path / "none")
    with pytest.raises(SourceError, match="holds no pictures"):
        TextureBank(tmp_path)
    with pytest.raises(SourceError, match="the mapping of textures is empty"):
        TextureBank({})
    with pytest.raises(SourceError, match="has no pictures in train/<kind> or test/<kind>"):
        DefectBank(tmp_path)
    write_image(tmp_path / "test" / "crack" / "0.png", RGB)
    with pytest.raises(SourceError, match=r"has no mask: expected '.*0_mask\.png'"):
        DefectBank(tmp_path)
    write_image(tmp_path / "ground_truth" / "crack" / "0_mask.png", np.zeros((40, 50), np.uint8))
    with pytest.raises(SourceError, match=r"0_mask\.png' is empty: remove the pair"):
        DefectBank(tmp_path).load("crack/0")
    write_image(tmp_path / "ground_truth" / "crack" / "0_mask.png", np.full((9, 50), 255, np.uint8))
    with pytest.raises(SourceError, match="is 50 x 9 but its picture is 50 x 40: a mask has the size of its picture"):
        DefectBank(tmp_path).load("crack/0")


def test_an_unreadable_texture_is_an_error_not_grey_noise(tmp_path):
    write_image(tmp_path / "a.png", RGB)
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    synth = AnomalySynthesizer(load_recipe("draem-code").with_settings(["normal_fraction=0"]), textures=tmp_path)
    with pytest.raises(SourceError, match=r"texture picture '.*a\.png' is damaged"):
        synth(RGB)


def test_textures_from_arrays():
    synth = AnomalySynthesizer(
        load_recipe("draem-code").with_settings(["normal_fraction=0"]), textures={"one": picture((20, 30), np.float32)}
    )
    assert synth(RGB).plan.anomalies[0].source.name == "one"


def test_a_changed_source_is_noticed(tmp_path):
    write_image(tmp_path / "a.png", RGB)
    recipe = load_recipe("draem-code").with_settings(["normal_fraction=0"])
    plan = AnomalySynthesizer(recipe, textures=tmp_path).plan(RGB)
    write_image(tmp_path / "a.png", 255 - RGB)
    with pytest.raises(PlanError, match=r"texture 'a\.png' has changed since the plan was drawn"):
        AnomalySynthesizer(recipe, textures=tmp_path).paint(RGB, plan)
    (tmp_path / "a.png").rename(tmp_path / "b.png")
    with pytest.raises(PlanError, match=r"texture 'a\.png' is not in"):
        AnomalySynthesizer(recipe, textures=tmp_path).paint(RGB, plan)


# --- enhancement: against Pillow, whose operations imgaug's pillike ones are --------------------------------------------


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (("invert", ()), ImageOps.invert),
        (("posterize", (3.0,)), lambda image: ImageOps.posterize(image, 3)),
        (("solarize", (100.0,)), lambda image: ImageOps.solarize(image, 100)),
        (("sharpness", (2.0,)), lambda image: ImageEnhance.Sharpness(image).enhance(2.0)),
        (("equalize", ()), ImageOps.equalize),
        (("autocontrast", (10.0,)), lambda image: ImageOps.autocontrast(image, 10)),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_operations_are_those_of_pillow(operation, expected):
    rgb = picture((240, 250, 3))
    found = apply_operations(rgb, [operation]).astype(int)
    wanted = np.asarray(expected(Image.fromarray(rgb))).astype(int)
    inner = (slice(1, -1), slice(1, -1))  # Pillow leaves a border of one pixel unfiltered
    assert np.abs(found - wanted)[inner].max() <= 6
    assert np.abs(found - wanted)[inner].mean() < 1


def test_every_operation_keeps_the_type_and_changes_something():
    for name in get_args(OperationName):
        operations = Enhance(operations=(name,), count=1, solarize_probability=1.0).draw(Draws(3, 4))
        found = apply_operations(RGB, operations)
        assert found.shape == RGB.shape
        assert found.dtype == np.uint8
        assert (rotation_of(operations) != 0) if name == "affine" else (found != RGB).any()


def test_operations_hold_on_one_pixel_and_on_a_flat_picture():
    for shape in ((1, 1, 3), (4, 4, 3)):
        for name in get_args(OperationName):
            for value in (0, 77, 255):
                operations = Enhance(operations=(name,), count=1).draw(Draws(1, 2))
                assert apply_operations(np.full(shape, value, np.uint8), operations).shape == shape


def test_three_different_of_ten_are_drawn():
    drawn = [Enhance().draw(Draws(0, index)) for index in range(500)]
    assert all(len({name for name, _ in operations}) == 3 for operations in drawn)
    counts = np.array([sum(name == one for operations in drawn for name, _ in operations) for one in DRAEM_OPERATIONS])
    assert np.allclose(counts / 500, 0.3, atol=0.08)


def test_a_drawn_solarize_is_left_out_as_often_as_it_says():
    rule = Enhance(operations=("solarize",), count=1)
    thresholds = np.array([rule.draw(Draws(0, index))[0][1][0] for index in range(500)])
    left_out = thresholds > 255
    assert 0.44 < left_out.mean() < 0.56
    assert ((thresholds[~left_out] >= 32) & (thresholds[~left_out] <= 128)).all()
    assert (apply_operations(RGB, [("solarize", (256.0,))]) == RGB).all()
    always = rule.model_copy(update={"solarize_probability": 1.0})
    assert all(always.draw(Draws(0, index))[0][1][0] <= 128 for index in range(100))


def test_enhance_asks_for_no_more_than_it_lists():
    with pytest.raises(ValueError, match="count 3 is more than the 1 operations listed"):
        Enhance(operations=("invert",), count=3)


# --- sampling and tone --------------------------------------------------------------------------------------------------


def test_sample_without_turn_or_stretch_is_a_crop():
    assert (sample(RGB, (40, 50), (5, 6, 15, 26), 0.0) == RGB[5:15, 6:26]).all()


def test_sample_turns_anticlockwise_about_the_centre():
    square = picture((31, 31, 3))
    assert np.abs(sample(square, (31, 31), (0, 0, 31, 31), 90.0).astype(int) - np.rot90(square).astype(int)).max() <= 1
    box = (3, 4, 20, 22)
    assert (sample(square, (31, 31), box, 30.0) == sample(square, (31, 31), (0, 0, 31, 31), 30.0)[3:20, 4:22]).mean() > 0.95


def test_sample_stretches_over_the_picture():
    found = sample(RGB, (80, 100), (0, 0, 80, 100), 0.0)
    assert found.shape == (80, 100, 3)
    assert abs(float(found.mean()) - float(RGB.mean())) < 1


def test_tone():
    patch, reference, local = np.full((2, 2, 3), 100, np.uint8), np.full(3, 80.0), np.full(3, 150.0)
    assert ToneParams().neutral
    assert (ToneParams().apply(patch, reference, local) == patch).all()
    assert (ToneParams(match=1.0).apply(patch, reference, local) == 170).all()  # keeps its 20 levels over its surroundings
    assert (ToneParams(match=1.0, gain=0.5).apply(patch, reference, local) == 160).all()
    assert (ToneParams(match=1.0, shift=-0.2).apply(patch, reference, local) == 119).all()
    dark, black = np.full(3, 50.0), np.full(3, 20.0)
    assert (ToneParams(match=1.0, shift=-0.2).apply(patch, reference, dark) == 33).all()  # 50 - 51 ends at 12.75
    assert (ToneParams(match=1.0, shift=-0.2).apply(patch, reference, black) == 91).all()  # turned round: 20 + 51


def test_a_real_defect_keeps_its_contrast(defect_folder):
    recipe = load_recipe("peng2024").with_settings(
        [
            "normal_fraction=0",
            "foreground=none",
            "kinds.perlin.weight=0",
            "kinds.defect.mask.area_range=[0.05,0.05]",
            "kinds.*.source.enhance={count: 0}",
            "kinds.*.source.tone={match_range: [1, 1]}",
            "kinds.*.blend={kind: linear, opacity_range: [1, 1]}",
        ]
    )
    synth = AnomalySynthesizer(recipe, defects=defect_folder)
    image = np.full((100, 100, 3), 220, np.uint8)
    for index in range(8):
        result = synth(image, index=index)
        assert (
            60 < 220 - result.image[result.mask != 0].mean() < 130
        )  # the defects are about 85 levels darker than their pictures


# --- leakage ------------------------------------------------------------------------------------------------------------


def test_a_shared_picture_is_refused_whatever_its_name_and_format(defect_folder, texture_folder, tmp_path):
    shared = DefectBank(defect_folder)
    from defectsynth.files import read_image

    write_image(tmp_path / "unseen" / "elsewhere.bmp", read_image(shared.path("crack/000")))
    write_image(tmp_path / "unseen" / "other.png", 255 - RGB)
    with pytest.raises(LeakageError, match=r"1 anomaly sources share a picture .*defect 'crack/000' is '.*elsewhere\.bmp'"):
        AnomalySynthesizer("peng2024", defects=defect_folder, exclude=[tmp_path / "unseen"])
    (tmp_path / "unseen" / "elsewhere.bmp").unlink()
    AnomalySynthesizer("peng2024", defects=defect_folder, exclude=[tmp_path / "unseen"])
    with pytest.raises(LeakageError, match="5 anomaly sources share a picture"):
        AnomalySynthesizer("draem-code", textures=texture_folder, exclude=[texture_folder])


def test_defects_of_one_kind_only(defect_folder):
    recipe = load_recipe("peng2024").with_settings(
        ["normal_fraction=0", 'kinds.defect.mask.kinds=["hole"]', 'kinds.*.source.kinds=["hole"]']
    )
    synth = AnomalySynthesizer(recipe, defects=defect_folder)
    image = picture((80, 80, 3))
    names = {synth(image, index=index, roi=whole(image)).plan.anomalies[0].source.name for index in range(20)}
    assert all(name.startswith("hole/") for name in names)
    wrong = recipe.with_settings(['kinds.*.source.kinds=["scratch"]', 'kinds.defect.mask.kinds=["scratch"]'])
    with pytest.raises(SourceError, match=r"defect kind 'scratch' is not in .*: it has crack, hole"):
        AnomalySynthesizer(wrong, defects=defect_folder)(image, roi=whole(image))


@pytest.mark.parametrize("operations", [(), *((name,) for name in get_args(OperationName)), DRAEM_OPERATIONS])
@pytest.mark.parametrize("kind", ["texture", "procedural", "shuffle"])
def test_pixels_are_those_of_the_rectangle(texture_folder, kind, operations):
    """What is made at the mask's pixels alone is what the whole rectangle would have there.

    But for single values after ``hue_saturation``: OpenCV rounds the last pixels of a row another way than the others.
    """
    enhance = Enhance(operations=operations, count=len(operations)) if operations else Enhance(count=0)
    more = {} if kind == "shuffle" else {"tone": {"match_range": [0.3, 0.9], "gain_range": [0.5, 2]}, "rotation_range": [0, 90]}
    spec = SOURCES.parse({"kind": kind, "enhance": enhance, **more})
    image, mask = picture((50, 70, 3)), np.zeros((50, 70), np.uint8)
    cv2.ellipse(mask, (40, 20), (18, 9), 30, 0, 360, 255, -1)
    banks = Banks(TextureBank(texture_folder))
    params = Perlin().draw(Draws(1, 1), banks)
    for index in range(4):
        site = Site(image, np.full_like(mask, 255), mask, params, bounding_box(mask), banks)
        source = spec.draw(Draws(2, index), banks, params)
        assert (source.render_pixels(site) == source.render(site)[mask[site.window] != 0]).mean() > 0.99
