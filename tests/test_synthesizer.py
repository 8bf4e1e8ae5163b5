"""The laws of every sample, over sizes 1 to 257, one to eight channels and three types."""

from __future__ import annotations

import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import DTYPES, picture, whole
from hypothesis import given
from hypothesis import strategies as st

from defectsynth import AnomalySynthesizer, Plan, Recipe, load_recipe
from defectsynth.blends.mixing import ONE, interpolate, is_opaque
from defectsynth.errors import ImageError, InputError, PlanError, RecipeError, RegionError, SynthesisError

# sizes of its own, so that the smallest picture can hold it
FREE = {
    "name": "free",
    "foreground": "none",
    "kinds": {
        "blob": {
            "mask": {"kind": "perlin", "area_range": [0.05, 0.9], "cells_range": [1, 8]},
            "source": {"kind": "procedural", "tone": {"shift_range": [0.2, 0.3], "match_range": [1, 1]}},
            "blend": {"kind": "linear", "opacity_range": [0.5, 1.0], "edge_range": [0, 0.05]},
        }
    },
}

sizes = st.one_of(
    st.tuples(st.integers(1, 40), st.integers(1, 40)), st.sampled_from([(257, 3), (1, 257), (128, 129), (64, 64)])
)
channels = st.sampled_from([None, 1, 2, 3, 4, 5, 8])


@pytest.fixture(scope="module")
def free():
    return AnomalySynthesizer(FREE, seed=3)


def image_of(size, channel_count, dtype):
    return picture(size if channel_count is None else (*size, channel_count), dtype)


@given(size=sizes, count=channels, dtype=st.sampled_from(DTYPES), index=st.integers(0, 2**63))
def test_laws(size, count, dtype, index):
    image = image_of(size, count, dtype)
    before = image.copy()
    synth = AnomalySynthesizer(FREE, seed=3)
    sample = synth(image, index=index)
    assert (image == before).all()  # the input is never written to
    assert sample.normal is image
    assert sample.image.shape == image.shape
    assert sample.image.dtype == image.dtype
    assert not np.shares_memory(sample.image, image)
    assert sample.mask.shape == size
    assert sample.mask.dtype == np.uint8
    assert set(np.unique(sample.mask)) <= {0, 255}
    assert sample.defect_map.dtype == np.float32
    assert sample.defect_map.min() >= 0
    assert sample.defect_map.max() <= 1
    assert ((sample.defect_map > 0) == (sample.mask != 0)).all()
    assert sample.is_anomalous
    assert sample.mask.any()
    assert (sample.image[sample.mask == 0] == image[sample.mask == 0]).all()  # outside the mask nothing changes
    assert (sample.image != image).any()
    assert len(sample.plan.to_json()) < 1000
    replayed = synth.paint(image, Plan.from_json(sample.plan.to_json()))
    assert replayed.image.tobytes() == sample.image.tobytes()
    assert replayed.mask.tobytes() == sample.mask.tobytes()
    assert replayed.defect_map.tobytes() == sample.defect_map.tobytes()


@given(index=st.integers(0, 10_000), left=st.integers(0, 50), width=st.integers(3, 14))
def test_defects_stay_inside_the_given_roi(index, left, width):
    image = picture((48, 64, 3))
    roi = np.zeros((48, 64), np.uint8)
    roi[5:40, left : left + width] = 1
    sample = AnomalySynthesizer(FREE, seed=1)(image, index=index, roi=roi)
    assert sample.mask.any()
    assert not sample.mask[roi == 0].any()
    again = AnomalySynthesizer(FREE, seed=1).paint(image, sample.plan, roi=roi)
    assert (again.image == sample.image).all()


def test_a_sample_depends_on_seed_and_index_alone(free):
    image = picture((40, 40, 3))
    forwards = {index: free(image, index=index).image.tobytes() for index in range(6)}
    fresh = AnomalySynthesizer(FREE, seed=3)
    backwards = {index: fresh(image, index=index).image.tobytes() for index in reversed(range(6))}
    assert forwards == backwards
    assert len(set(forwards.values())) == 6
    assert AnomalySynthesizer(FREE, seed=4)(image, index=0).image.tobytes() != forwards[0]


def test_a_parameter_added_to_a_recipe_changes_no_other_draw(free):
    with_edge = load_recipe(FREE).with_settings(["kinds.blob.mask.octaves=3"])
    plans = [synth.plan(picture((32, 32)), index=5).anomalies[0] for synth in (free, AnomalySynthesizer(with_edge, seed=3))]
    assert plans[0].source == plans[1].source
    assert plans[0].blend == plans[1].blend
    assert plans[0].mask.noise == plans[1].mask.noise


def test_plan_then_paint_is_the_sample(free):
    image = picture((40, 50, 3))
    plan = free.plan(image, index=9)
    assert (free.paint(image, plan).image == free(image, index=9).image).all()
    assert json.loads(plan.to_json())["index"] == 9


def test_normal_fraction():
    synth = AnomalySynthesizer(load_recipe(FREE).with_settings(["normal_fraction=0.4"]), seed=2)
    image = picture((16, 16))
    samples = [synth(image, index=index) for index in range(300)]
    normal = [sample for sample in samples if not sample.is_anomalous]
    assert 0.3 < len(normal) / 300 < 0.5
    assert all((sample.image == image).all() and not sample.mask.any() and not sample.defect_map.any() for sample in normal)
    assert all(sample.plan.kind == "good" for sample in normal)


def test_several_defects_in_one_picture():
    synth = AnomalySynthesizer(
        load_recipe(FREE).with_settings(["anomalies_per_image_range=[2,3]", "kinds.*.mask.area_range=[0.02,0.05]"])
    )
    sample = synth(picture((80, 80, 3)), index=1)
    assert len(sample.plan.anomalies) in (2, 3)
    assert set(np.unique(sample.kinds)) == set(range(len(sample.plan.anomalies) + 1))
    assert ((sample.kinds > 0) == (sample.mask > 0)).all()


def test_opacity_zero_is_identity(free):
    image = picture((30, 30, 3))
    plan = free.plan(image, index=2)
    clear = plan.anomalies[0].blend.model_copy(update={"opacity": 0.0, "edge": 0.0})
    sample = free.paint(image, plan.model_copy(update={"anomalies": (plan.anomalies[0].model_copy(update={"blend": clear}),)}))
    assert (sample.image == image).all()
    assert not sample.mask.any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_opacity_one_without_edge_is_the_source(free, dtype):
    image = picture((30, 30, 3), dtype)
    plan = free.plan(image, index=2)
    opaque = plan.anomalies[0].blend.model_copy(update={"opacity": 1.0, "edge": 0.0})
    plan = plan.model_copy(update={"anomalies": (plan.anomalies[0].model_copy(update={"blend": opaque}),)})
    sample = free.paint(image, plan)
    assert (sample.defect_map[sample.mask != 0] == 1.0).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_opaque_need_not_be_interpolated(dtype):
    weights, before, patch = np.full((1, 1), ONE, np.uint32), picture((40, 3), dtype), picture((40, 3), dtype)[::-1]
    assert is_opaque(weights, np.dtype(dtype)) == (dtype != np.float32)
    assert dtype == np.float32 or (interpolate(before, patch, weights) == patch).all()
    assert not is_opaque(weights - 1, np.dtype(dtype))


def test_preset_masks_hold_their_area_and_pieces():
    synth = AnomalySynthesizer("industrial", seed=8)
    image = picture((128, 128, 3))
    for index in range(30):
        sample = synth(image, index=index, roi=whole(image))
        anomaly = sample.plan.anomalies[0]
        rule = synth.recipe.kinds[anomaly.entry or anomaly.kind].mask
        assert rule.area_range[0] * 0.99 <= np.count_nonzero(sample.mask) / sample.mask.size <= rule.area_range[1] * 1.01


# --- what is refused, and in which words --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ([[1, 2]], "image is a list: give a numpy array"),
        (np.zeros((2, 3, 4, 5), np.uint8), r"image has shape \(2, 3, 4, 5\): give \(H, W\)"),
        (np.zeros((0, 3), np.uint8), r"image has shape \(0, 3\)"),
        (np.zeros((4, 4), np.int64), "image has dtype int64: give uint8, uint16, or float32"),
        (np.full((4, 4), 2.0, np.float32), "values from 2.0 to 2.0: float32 images lie in"),
        (np.full((4, 4), np.nan, np.float32), "float32 images lie in"),
    ],
)
def test_images_that_break_the_contract(free, image, message):
    with pytest.raises(ImageError, match=message):
        free(image)


def test_roi_messages(free):
    image = picture((20, 20))
    with pytest.raises(RegionError, match=r"the ROI is \(3, 3\) but the image is \(20, 20\)"):
        free(image, roi=np.ones((3, 3), np.uint8))
    with pytest.raises(RegionError, match="the ROI is empty: mark at least one pixel"):
        free(image, roi=np.zeros((20, 20), np.uint8))
    with pytest.raises(RegionError, match="the ROI is list but"):
        free(image, roi=[1])
    strict = AnomalySynthesizer(load_recipe(FREE).with_settings(["min_area=0.1"]))
    small = np.zeros((20, 20), np.uint8)
    small[0, :39] = 1
    with pytest.raises(RegionError, match=r"the ROI has 20 pixels but the smallest allowed defect has 40\.0"):
        strict(image, roi=small)


def test_an_impossible_recipe_says_why():
    recipe = load_recipe(FREE).with_settings(["kinds.blob.blend.opacity_range=[0,0]", "max_attempts=5"])
    with pytest.raises(
        SynthesisError, match=r"no usable defect for sample 4 in 5 plans.*5 x no pixel of the mask lies inside the ROI"
    ):
        AnomalySynthesizer(recipe)(picture((20, 20)), index=4)
    faint = load_recipe(FREE).with_settings(["min_difference=1.0", "max_attempts=3"])
    with pytest.raises(SynthesisError, match=r"3 x the defect cannot be seen"):
        AnomalySynthesizer(faint)(picture((20, 20)))


def test_missing_banks_are_named():
    with pytest.raises(RecipeError, match=r"recipe 'draem-code' draws from textures and none were given: pass textures=FOLDER"):
        AnomalySynthesizer("draem-code")
    with pytest.raises(RecipeError, match=r"recipe 'peng2024' draws from defects and none were given: pass defects=FOLDER"):
        AnomalySynthesizer("peng2024")


def test_a_plan_for_an_roi_needs_it_again(free):
    image = picture((20, 20))
    plan = free.plan(image, roi=whole(image))
    with pytest.raises(PlanError, match="drawn for an ROI that was given: pass the same roi"):
        free.paint(image, plan)


def test_a_plan_with_a_kind_that_the_painter_does_not_know(free):
    image = picture((20, 20))
    values = free.plan(image).to_dict()
    values["anomalies"][0]["mask"]["kind"] = "perlinn"
    with pytest.raises(PlanError, match=r"mask kind 'perlinn' is unknown.*Did you mean 'perlin'\?"):
        Plan.from_dict(values)


def test_foreground_that_is_not_certain():
    image = np.full((40, 40, 3), 127, np.uint8)
    sure = Recipe.from_mapping({**FREE, "foreground": {"method": "auto", "min_confidence": 0.9}})
    with pytest.raises(RegionError, match=r"not certain \(confidence 0\.\d+, the recipe asks for 0\.90\): give an ROI"):
        AnomalySynthesizer(sure)(image)
    allowed = sure.with_settings(["foreground.fallback=whole_picture"])
    sample = AnomalySynthesizer(allowed)(image)
    assert sample.plan.foreground == "none"
    assert (AnomalySynthesizer(allowed).paint(image, sample.plan).image == sample.image).all()


def test_textures_and_defects_as_sources(texture_folder, defect_folder):
    image = picture((64, 72, 3))
    for name in ("draem-code", "draem-paper", "anomalib", "peng2024"):
        recipe = load_recipe(name).with_settings(["normal_fraction=0", "foreground=none"])
        synth = AnomalySynthesizer(recipe, textures=texture_folder, defects=defect_folder, seed=4)
        for index in range(12):
            sample = synth(image, index=index)
            assert sample.mask.any()
            assert (sample.image[sample.mask == 0] == image[sample.mask == 0]).all()
            assert (synth.paint(image, Plan.from_json(sample.plan.to_json())).image == sample.image).all()


@pytest.mark.parametrize("value", [-1, 2**64, "a", 1.5, None, True])
def test_seeds_and_indices_that_are_none(free, value):
    with pytest.raises(InputError, match=r"seed is .*: it must be an integer from 0 to"):
        AnomalySynthesizer(FREE, seed=value)
    with pytest.raises(InputError, match=r"index is .*: it must be an integer from 0 to"):
        free(picture((8, 8)), index=value)


def test_numpy_integers_are_integers(free):
    image = picture((20, 20))
    for one in (np.int32(5), np.uint64(5), np.uint8(5)):
        assert (free(image, index=one).image == free(image, index=5).image).all()


def test_a_plan_for_another_size_is_refused(free):
    plan = free.plan(picture((20, 20)))
    with pytest.raises(PlanError, match=r"drawn for a picture.*\(20, 20\) and this one is \(20, 21\)"):
        free.paint(picture((20, 21)), plan)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("blend", "opacity"), 5),
        (("blend", "opacity"), "nan"),
        (("mask", "cells"), [-1, -1]),
        (("mask", "octaves"), 100),
        (("source", "tone"), {"match": 3}),
        (("source", "family"), "rst"),
    ],
)
def test_plans_with_impossible_numbers(free, path, value):
    values = free.plan(picture((20, 20))).to_dict()
    values["anomalies"][0][path[0]][path[1]] = value
    with pytest.raises(PlanError, match=path[1]):
        Plan.from_dict(values)


@pytest.mark.parametrize("shape", [(40_000, 3), (2, 9_000)])
def test_long_pictures_take_no_square_canvas(free, shape):
    image = picture(shape)
    sample = free(image, index=1)
    assert sample.mask.any()
    assert (sample.image[sample.mask == 0] == image[sample.mask == 0]).all()


def test_a_synthesizer_goes_to_other_processes_and_threads(texture_folder):
    recipe = load_recipe("draem-code").with_settings(["normal_fraction=0"])
    synth = AnomalySynthesizer(recipe, textures=texture_folder, seed=2)
    image = picture((40, 40, 3))
    expected = [synth(image, index=index).image.tobytes() for index in range(24)]
    assert len(pickle.dumps(synth)) < 20_000  # decoded sources stay behind
    copy = pickle.loads(pickle.dumps(synth))
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda index: copy(image, index=index).image.tobytes(), range(24))) == expected
    cache = copy.banks.textures._cache
    assert cache._held == sum(value.nbytes for value in (*cache._values.values(), *cache._spare.values()))


def test_union_of_outlines_grows_evenly(defect_folder):
    outline = {"kind": "outline", "scale_range": [0.3, 0.3]}
    recipe = {
        "name": "two",
        "foreground": "none",
        "kinds": {
            "two": {
                "mask": {"kind": "union", "masks": [outline, outline], "area_range": [0.3, 0.3]},
                "source": {"kind": "procedural"},
                "blend": {"kind": "linear"},
            }
        },
    }
    sample = AnomalySynthesizer(recipe, defects=defect_folder)(picture((100, 100, 3)), index=1)
    rows = np.flatnonzero(sample.mask.any(axis=1))
    widths = np.count_nonzero(sample.mask, axis=1)[rows]
    assert np.abs(np.diff(widths)).max() < 40  # no straight cut through the picture


def test_twelve_bits_in_sixteen():
    """A 12-bit picture is painted as the 8-bit one is, only finer; not with defects sixteen times too bright."""
    image = (picture((64, 64, 3), np.uint16) // 16).astype(np.uint16)
    eight = np.rint(image / 4095 * 255).astype(np.uint8)
    synth, plain = AnomalySynthesizer(FREE, seed=3, white=4095), AnomalySynthesizer(FREE, seed=3)
    for index in range(6):
        sample, other = synth(image, index=index), plain(eight, index=index)
        assert (sample.mask == other.mask).all()
        assert sample.image.max() <= 4095
        assert np.abs(sample.image / 4095 - other.image / 255).max() < 0.012
        assert (synth.paint(image, Plan.from_json(sample.plan.to_json())).image == sample.image).all()
    with pytest.raises(ImageError, match="white is 4095 but the image is uint8: leave it out"):
        synth(eight)
    with pytest.raises(ImageError, match="values up to 5000 but white is 4095: give a larger one"):
        synth(np.full((8, 8), 5000, np.uint16))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_memory_that_is_given_is_used_again(share):
    image = picture((60, 50, 3))
    synth = AnomalySynthesizer(load_recipe("industrial").with_settings([f"normal_fraction={share}"]), seed=4)
    out = np.empty_like(image)
    for index in range(4):
        sample, expected = synth(image, index=index, roi=whole(image), out=out), synth(image, index=index, roi=whole(image))
        assert sample.image is out
        assert np.array_equal(out, expected.image)
        assert np.array_equal(sample.mask, expected.mask)


def test_memory_that_cannot_be_used_is_refused():
    image = picture((60, 50, 3))
    synth = AnomalySynthesizer("industrial")
    frozen = np.empty_like(image)
    frozen.flags.writeable = False
    for out in (image, frozen, np.empty((60, 50, 4), np.uint8)[:, :, :3], image[::-1]):
        with pytest.raises(ImageError, match="empty_like"):
            synth(image, roi=whole(image), out=out)
    for out in (np.empty((60, 51, 3), np.uint8), np.empty((60, 50, 3), np.uint16), [1]):
        with pytest.raises(ImageError, match="like the image"):
            synth(image, roi=whole(image), out=out)
