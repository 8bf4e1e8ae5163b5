"""The batched engine paints the plans of the plain painter: the same samples, and the laws of every sample."""

from __future__ import annotations

import doctest
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import picture
from hypothesis import given, settings
from hypothesis import strategies as st

import defectsynth.batched.engine
from defectsynth import AnomalySynthesizer, TextureBank, load_recipe
from defectsynth.batched import BatchSample, BatchSynthesizer, supported_presets
from defectsynth.batched.decimals import short
from defectsynth.batched.dense import DenseInRounds
from defectsynth.batched.draws import BatchDraws, Foreseen
from defectsynth.batched.planning import Planner
from defectsynth.batched.textures import TextureStacks
from defectsynth.errors import ImageError, InputError, RecipeError, RegionError, SourceError, SynthesisError
from defectsynth.rng import Draws, words
from defectsynth.samples import product
from defectsynth.sources.families import texture

PAINTED = ["anomalib", "destseg", "draem-code", "draem-paper", "glass", "memseg", "realnet-dtd"]
SHAPES = [(128, 128), (97, 130)]
WAYS = ["sparse", "dense"]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def bank():
    """Six textures, two of them smaller than most pictures here."""
    sides = {"rust": 128, "marble": 256, "gravel": 140, "leather": 200, "foam": 64, "cork": 90}
    return TextureBank({name: texture("rust" if name == "cork" else name, 2, (side, side)) for name, side in sides.items()})


def normals(shape, count, channels=3):
    """Different pictures of a product, ``(count, C, H, W)`` uint8."""
    images = np.stack([product("disc", index % 4, shape).image for index in range(count)])
    planes = np.take(images, [channel % 3 for channel in range(channels)], axis=3)
    return torch.from_numpy(np.ascontiguousarray(planes.transpose(0, 3, 1, 2)))


def region(shape):
    roi = np.zeros(shape, np.uint8)
    roi[shape[0] // 12 : -shape[0] // 14, shape[1] // 10 : -shape[1] // 7] = 255
    return roi


def plain_batch(painter, images, indices, roi=None):
    """The plain painter's samples of a batch of tensors ``(B, C, H, W)``."""
    pictures = images.permute(0, 2, 3, 1).numpy()
    samples = [
        painter(np.ascontiguousarray(image), index=index, roi=roi) for image, index in zip(pictures, indices, strict=True)
    ]
    return BatchSample(
        torch.from_numpy(np.stack([sample.image for sample in samples])).permute(0, 3, 1, 2),
        torch.from_numpy(np.stack([sample.mask for sample in samples])),
        torch.from_numpy(np.stack([sample.defect_map for sample in samples])),
        torch.tensor([sample.is_anomalous for sample in samples]),
    )


def same(first, second):
    return all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


# --- the same samples as the plain painter ------------------------------------------------------------------------------


def test_supported_presets_are_those_that_the_engine_takes(bank):
    assert set(PAINTED) <= set(supported_presets())
    for name in supported_presets():
        BatchSynthesizer(name, textures=bank)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("preset", PAINTED)
def test_same_samples_as_the_plain_painter(preset, shape, bank):
    painter = AnomalySynthesizer(preset, textures=bank, seed=11)
    roi = None if painter.recipe.foreground.method == "none" else region(shape)
    images, indices = normals(shape, 40), range(3, 43)
    wanted = plain_batch(painter, images, indices, roi)
    given_roi = None if roi is None else torch.from_numpy(roi)
    sparse = BatchSynthesizer(preset, textures=bank, seed=11, way="sparse")(images, indices=indices, roi=given_roi)
    assert same(sparse, wanted)  # to the last byte
    dense = BatchSynthesizer(preset, textures=bank, seed=11, way="dense")(images, indices=indices, roi=given_roi)
    assert same(dense[1:], wanted[1:])
    differs = (dense.images.int() - wanted.images.int()).abs().amax(1) > 1
    assert differs.float().mean() <= 0.001
    assert differs[wanted.masks > 0].float().mean() <= 0.003


CONTROLS = {
    "octaves": ["kinds.*.mask.octaves=3"],
    "cover": ["kinds.*.mask.cover=true"],
    "log_uniform": ["kinds.*.mask.cells_scale=log_uniform", "kinds.*.mask.cells_range=[1.5,19]"],
    "elongation": ["kinds.*.mask.elongation_range=[0.3,4]", "kinds.*.mask.cover=true"],
    "rescale": ["kinds.*.mask.rescale=true", "kinds.*.mask.octaves=2", "kinds.*.mask.cover=true"],
    "texture_rotation": ["kinds.*.source.rotation_range=[-40,90]"],
    "min_area": ["min_area=0.03", "label.kind=binary"],
    "min_difference": ["min_difference=0.2"],
    "no_rotation": ["kinds.*.mask.rotation_range=[0,0]"],
    "twice": [
        "kinds.*.source.enhance.operations=[gamma,greyscale,sharpness,hue_saturation,gamma]",
        "kinds.*.source.enhance.count=5",
    ],
}


@pytest.mark.parametrize("name", CONTROLS)
def test_same_samples_with_other_controls(name, bank):
    recipe = load_recipe("draem-code").with_settings(["normal_fraction=0.2", *CONTROLS[name]])
    images = normals((60, 75), 12)
    wanted = plain_batch(AnomalySynthesizer(recipe, textures=bank, seed=2), images, range(12))
    assert same(BatchSynthesizer(recipe, textures=bank, seed=2)(images), wanted)
    dense = BatchSynthesizer(recipe, textures=bank, seed=2, way="dense")(images)
    assert same(dense[1:], wanted[1:])
    differs = (dense.images.int() - wanted.images.int()).abs().amax(1) > 1
    assert differs[wanted.masks > 0].float().mean() <= 0.003


SHUFFLED = {
    "grid": ["kinds.*.source.grid=[3,7]"],
    "small_grid": ["kinds.*.source.grid=[1,256]", "kinds.*.source.enhance.operations=[affine,sharpness,contrast]"],
    "flips": ["kinds.*.source.enhance.operations=[flip_vertical,flip_horizontal,equalize,greyscale]"],
}


@pytest.mark.parametrize("channels", [1, 3, 4, 5])
@pytest.mark.parametrize("name", SHUFFLED)
def test_a_shuffled_picture_needs_no_textures(name, channels):
    recipe = load_recipe("memseg").model_dump(mode="json")
    recipe["kinds"] = {"structure": recipe["kinds"]["structure"]}
    recipe = load_recipe(recipe).with_settings(SHUFFLED[name])
    for images in (normals((33, 50), 8, channels), normals((33, 50), 8, channels).float() / 255.0):
        roi = region((33, 50))
        wanted = plain_batch(AnomalySynthesizer(recipe, seed=4), images, range(8), roi)
        assert same(BatchSynthesizer(recipe, seed=4)(images, roi=torch.from_numpy(roi)), wanted)
        dense = BatchSynthesizer(recipe, seed=4, way="dense")(images, roi=torch.from_numpy(roi))
        assert same(dense[1:], wanted[1:])
        scale = 255.0 if images.dtype == torch.float32 else 1.0
        differs = ((dense.images.double() - wanted.images.double()).abs().amax(1) * scale) > 1.01
        assert differs.float().mean() <= 0.001


def test_rounds_that_are_fixed_beforehand_give_the_same(bank):
    recipe = load_recipe("destseg").with_settings(["min_difference=0.1"])  # about a third is refused
    images = normals((40, 50), 24)
    wanted = BatchSynthesizer(recipe, textures=bank, way="dense")(images)
    assert same(BatchSynthesizer(recipe, textures=bank, capacities=[16] + [6] * 12)(images), wanted)
    assert same(BatchSynthesizer(recipe, textures=bank, capacities=[1] * 60)(images), wanted)


def test_rounds_that_are_too_few_are_an_error(bank):
    recipe = load_recipe("destseg").with_settings(["min_difference=0.1"])
    engine = BatchSynthesizer(recipe, textures=bank, capacities=[1])
    with pytest.raises(SynthesisError, match=r"gave no usable defect for \d+ samples in all of its rounds.*capacities"):
        engine(normals((40, 50), 24))
    engine.check()  # it was said once


def test_a_compiled_round_has_no_branch_on_what_was_drawn(bank):
    recipe = load_recipe("draem-code").with_settings(["kinds.*.mask.cells_range=[16,32]", "min_difference=0"])
    engine = BatchSynthesizer(recipe, textures=bank, compile={"backend": "eager"}, capacities=[])  # one graph, or an error
    wanted = BatchSynthesizer(recipe, textures=bank, way="dense")
    images = normals((24, 30), 6)
    assert same(engine(images, indices=0), wanted(images, indices=0))
    assert same(engine(images, indices=60), wanted(images, indices=60))


@pytest.mark.parametrize("preset", ["draem-code", "glass", "memseg"])
def test_nothing_is_read_from_the_device(preset, bank):
    """Tensors on ``meta`` have no values: what reads one, or mixes it with a tensor on the CPU, fails."""
    recipe, device = load_recipe(preset), torch.device("meta")
    planner, told = Planner(recipe, 3, len(bank)), []
    stacks = TextureStacks(bank, device, smooth=True, limit=None)
    paint = DenseInRounds(planner, recipe, stacks, SimpleNamespace(note=lambda *counts: told.append(counts)), False, [4, 4])
    planner.rehearse(device)
    for dtype in (torch.uint8, torch.float32):
        images = torch.zeros((16, 3, 40, 50), dtype=dtype, device=device)
        roi = torch.zeros((16, 40, 50), dtype=torch.bool, device=device)
        sample = paint(images, torch.zeros(16, dtype=torch.int64, device=device), roi)
        assert [each.shape for each in sample] == [images.shape, (16, 40, 50), (16, 40, 50), (16,)]
        assert sample.images.dtype == dtype
    assert len(told) == 2


# --- draws ----------------------------------------------------------------------------------------------------------------


thousandths = st.integers(-400_000, 400_000).map(lambda number: number / 1000)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**64 - 1),
    first=st.integers(0, 2**64 - 9),
    attempt=st.integers(0, 200),
    bounds=st.tuples(thousandths, thousandths).map(lambda pair: (min(pair), max(pair))),
    positive=st.tuples(st.floats(0.001, 1000), st.floats(0.001, 1000)).map(lambda pair: (min(pair), max(pair))),
    weights=st.lists(st.floats(0, 5), min_size=1, max_size=6).filter(lambda weights: sum(weights) > 0),
)
def test_draws_of_a_batch_are_those_of_each_sample(seed, first, attempt, bounds, positive, weights):
    indices = [first + step for step in range(8)]
    signed = torch.tensor([index - 2**64 if index >= 2**63 else index for index in indices])
    foreseen = Foreseen()
    one_by_one = [Draws(seed, index, attempt=attempt).within("0").within("mask") for index in indices]
    for _ in range(2):  # the second time all of them are foreseen
        draws = BatchDraws(seed, signed, torch.full_like(signed, attempt), foreseen).within("0").within("mask")
        pairs = [
            (draws.unit("a"), [each.unit("a") for each in one_by_one]),
            (draws.uniform("b", bounds), [each.uniform("b", bounds) for each in one_by_one]),
            (draws.uniform("b", bounds, slot=2), [each.uniform("b", bounds, slot=2) for each in one_by_one]),
            (draws.log_uniform("c", positive), [each.log_uniform("c", positive) for each in one_by_one]),
            (draws.normal("d", (0.5, 0.1), (0.2, 0.8)), [each.normal("d", (0.5, 0.1), (0.2, 0.8)) for each in one_by_one]),
            (draws.integer("e", (3, 139)), [each.integer("e", (3, 139)) for each in one_by_one]),
            (draws.chance("f", 0.3), [each.chance("f", 0.3) for each in one_by_one]),
            (draws.weighted("g", weights), [each.weighted("g", weights) for each in one_by_one]),
            (draws.subset("h", 10, 3), [each.subset("h", 10, 3) for each in one_by_one]),
        ]
        for together, apart in pairs:
            assert together.tolist() == apart
        low, high = draws.noise_seed("i")
        assert (low | (high << 32)).tolist() == [each.noise_seed("i") for each in one_by_one]


@given(st.lists(st.floats(1e-16, 1e6) | st.floats(-1e6, -1e-16) | st.just(0.0), min_size=1, max_size=40))
def test_six_significant_digits(values):
    assert short(torch.tensor(values, dtype=torch.float64)).tolist() == [float(f"{value:.6g}") for value in values]


@given(st.integers(100_000, 999_999), st.integers(0, 12))
def test_six_significant_digits_of_ties(digits, places):
    value = (2 * digits + 1) / 2 / 10.0**places
    assert short(torch.tensor([value], dtype=torch.float64)).tolist() == [float(f"{value:.6g}")]


# --- the laws of every sample ---------------------------------------------------------------------------------------------

sizes = st.tuples(st.integers(1, 40), st.integers(1, 40)) | st.sampled_from([(1, 1), (1, 100), (100, 1), (65, 3), (70, 70)])


@settings(max_examples=25)
@given(
    size=sizes,
    channels=st.sampled_from([1, 2, 3, 4, 5]),
    dtype=st.sampled_from([torch.uint8, torch.float32]),
    form=st.sampled_from(["contiguous", "channels_last", "nhwc", "sliced"]),
    way=st.sampled_from(WAYS),
    index=st.integers(0, 2**62),
    left=st.integers(0, 30),
)
def test_laws(bank, size, channels, dtype, form, way, index, left):
    images = torch.from_numpy(
        np.stack([picture((*size, channels), np.dtype(str(dtype).removeprefix("torch."))) for _ in range(4)])
    )
    images = images if form == "nhwc" else images.permute(0, 3, 1, 2)
    if form == "contiguous":
        images = images.contiguous()
    if form == "sliced":
        images = images.repeat(1, 1, 1, 2)[:, :, :, : size[1]]
    roi = torch.zeros(size)
    roi[:, left % size[1] :] = 1
    before = images.clone()
    recipe = load_recipe("draem-code").with_settings(["normal_fraction=0.3", "max_attempts=8", "min_difference=0.01"])
    engine = BatchSynthesizer(recipe, textures=bank, seed=5, way=way, layout="nhwc" if form == "nhwc" else "nchw")
    painter = AnomalySynthesizer(recipe, textures=bank, seed=5)
    planes = images.permute(0, 3, 1, 2) if form == "nhwc" else images
    indices = [index, index + 7, index + 1, index]
    try:
        wanted = plain_batch(painter, planes, indices, roi.numpy())
    except SynthesisError:
        with pytest.raises(SynthesisError, match="gave no usable defect"):
            engine(images, indices=indices, roi=roi)
        return
    sample = engine(images, indices=indices, roi=roi)
    assert torch.equal(images, before)  # the input is never written to
    assert sample.images.shape == images.shape
    assert sample.images.dtype == images.dtype
    if form != "sliced":
        assert sample.images.stride() == images.stride()
    assert sample.images.data_ptr() != images.data_ptr()
    painted = sample.images.permute(0, 3, 1, 2) if form == "nhwc" else sample.images
    outside = (sample.masks == 0)[:, None].expand_as(painted)
    assert torch.equal(painted[outside], planes[outside])  # outside the mask nothing changes
    assert not sample.masks[:, roi == 0].any()
    assert ((sample.defect_maps > 0) == (sample.masks == 255)).all()
    assert sample.masks.flatten(1).any(1).tolist() == sample.anomalous.tolist()
    assert ((painted != planes).flatten(1).any(1)).tolist() == sample.anomalous.tolist()
    assert same(sample[1:], wanted[1:])
    if way == "sparse":  # a level of the dense way's rounding can be many after a steep table: see the presets' test
        assert torch.equal(painted, wanted.images)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_sample_is_the_same_in_every_batch(way, count, bank):
    engine = BatchSynthesizer("destseg", textures=bank, seed=9, way=way)
    image = normals((45, 33), 1)
    whole = engine(image.expand(14, -1, -1, -1), indices=torch.arange(14))
    order = words(count, (1, 14))[0].argsort().tolist()
    for start in range(0, 14, count):
        chosen = order[start : start + count]
        part = engine(image.expand(len(chosen), -1, -1, -1), indices=chosen)
        assert same(part, [each[chosen] for each in whole])


def test_each_picture_has_its_own_roi(bank):
    painter = AnomalySynthesizer("realnet-dtd", textures=bank, seed=1)
    images, rois = normals((50, 60), 6), np.zeros((6, 50, 60), np.uint8)
    for number, roi in enumerate(rois):
        roi[number : number + 30, 5 * number : 60 - number] = 1
    wanted = [plain_batch(painter, images[[number]], [number], rois[number]) for number in range(6)]
    for way in WAYS:
        sample = BatchSynthesizer("realnet-dtd", textures=bank, seed=1, way=way)(images, roi=torch.from_numpy(rois))
        assert same(sample[1:], [torch.cat([each[part] for each in wanted]) for part in (1, 2, 3)])


def test_indices_of_all_forms(bank):
    engine, images = BatchSynthesizer("draem-code", textures=bank), normals((30, 30), 4)
    wanted = engine(images, indices=5)
    for indices in (range(5, 9), [5, 6, 7, 8], torch.arange(5, 9), np.arange(5, 9)):
        assert same(engine(images, indices=indices), wanted)
    painter = AnomalySynthesizer("draem-code", textures=bank)
    last = [2**64 - 4, 2**64 - 3, 2**64 - 2, 2**64 - 1]
    assert same(engine(images, indices=last[0]), plain_batch(painter, images, last))


# --- what is refused, and in which words --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([torch.zeros(3, 4, 4), torch.zeros(3, 5, 5)], r"images is a list of 2 of 2 sizes, .*torch.stack\(images\).*group"),
        (np.zeros((1, 3, 4, 4), np.uint8), "images is a ndarray: give a tensor"),
        (torch.zeros(3, 4, 4), r"images has shape \(3, 4, 4\): give \(B, C, H, W\)"),
        (torch.zeros(0, 3, 4, 4), "every side at least 1"),
        (torch.zeros(1, 3, 4, 4, dtype=torch.float16), "images has dtype torch.float16: give torch.uint8, or torch.float32"),
        (torch.zeros(1, 3, 4, 4, device="meta"), r"images is on meta and the engine on cpu: move it with images.to\('cpu'\)"),
        (torch.full((1, 3, 4, 4), 2.0), r"values from 2.0 to 2.0: float32 images lie in \[0, 1\]; divide"),
        (torch.full((1, 3, 4, 4), float("nan")), r"float32 images lie in \[0, 1\]"),
    ],
)
def test_images_that_break_the_contract(bank, images, message):
    with pytest.raises(ImageError, match=message):
        BatchSynthesizer("draem-code", textures=bank)(images)


def test_values_off_the_scale_are_told_by_the_rounds_too(bank):
    engine = BatchSynthesizer("draem-code", textures=bank, capacities=[])
    with pytest.raises(ImageError, match="float32 images lie in"):
        engine(torch.full((1, 3, 4, 4), float("nan")))


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([1, 2, 3], r"indices are 3 integers and the batch has 2 pictures: give \(2,\) int64"),
        (torch.zeros(2), r"indices are a tensor \(2,\) of torch.float32"),
        (torch.tensor([-1, 2]), "indices go down to -1: they must be integers from 0"),
        (-1, "indices is -1: it must be an integer from 0"),
        ([0, 2.5], "indices is 2.5: it must be an integer from 0"),
        (2**64 - 1, "the last of the indices is 18446744073709551616"),
    ],
)
def test_indices_that_break_the_contract(bank, indices, message):
    with pytest.raises(InputError, match=message):
        BatchSynthesizer("draem-code", textures=bank)(normals((20, 20), 2), indices=indices)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("roi", "message"),
    [
        (None, r"recipe 'glass' looks for the foreground \(foreground: auto\).*pass roi=.*AnomalySynthesizer"),
        (torch.ones(5, 20), r"the ROI is \(5, 20\) but the images are 2 of \(20, 20\): give a tensor \(H, W\) or \(B, H, W\)"),
        (np.ones((20, 20)), r"the ROI is \(20, 20\) but the images are 2 of"),
        (torch.zeros(20, 20), "the ROI is empty: mark at least one pixel"),
        (torch.stack([torch.ones(20, 20), torch.zeros(20, 20)]), "the ROI of picture 1 is empty"),
        (torch.ones(20, 20, device="meta"), r"the ROI is on meta and the images on cpu: move it with roi.to\(images.device\)"),
    ],
)
def test_rois_that_break_the_contract(bank, roi, message, way):
    with pytest.raises(RegionError, match=message):
        BatchSynthesizer("glass", textures=bank, way=way)(normals((20, 20), 2), roi=roi)


def test_an_roi_smaller_than_the_smallest_defect(bank):
    engine = BatchSynthesizer(load_recipe("draem-code").with_settings(["min_area=0.1"]), textures=bank)
    roi = torch.zeros(20, 20)
    roi[0, :5] = 1
    with pytest.raises(RegionError, match=r"the ROI has 5 pixels but the smallest allowed defect has 40.0 \(min_area 0.1"):
        engine(normals((20, 20), 2), roi=roi)


@pytest.mark.parametrize(
    ("recipe", "settings_", "message"),
    [
        ("industrial", [], "is not painted in batches, because of .*: use AnomalySynthesizer, which paints every recipe"),
        ("peng2024", [], r"kinds\.\w+\.mask \(area_range or components_range\)"),
        ("cutpaste", [], r"kinds\.patch\.mask \(kind: rectangle\)"),
        ("draem-code", ["anomalies_per_image_range=[1,2]"], r"anomalies_per_image_range \[1, 2\]"),
        ("draem-code", ["label.tolerance=0.1"], r"label \(kind degree, tolerance 0.1\)"),
        ("draem-code", ["kinds.perlin.blend.edge_range=[0,0.1]"], r"kinds\.perlin\.blend \(edge_range\)"),
        ("draem-code", ["kinds.perlin.halo_range=[0,0.1]", "label.outside=0.1"], r"kinds\.perlin\.halo_range"),
        ("draem-code", ["kinds.perlin.source.tone={gain_range: [1, 2]}"], r"kinds\.perlin\.source \(a tone that changes"),
    ],
)
def test_recipes_that_are_not_painted_in_batches(bank, recipe, settings_, message):
    with pytest.raises(RecipeError, match=message):
        BatchSynthesizer(load_recipe(recipe).with_settings(settings_), textures=bank)


def test_a_kind_that_is_never_drawn_need_not_be_supported(bank):
    recipe = load_recipe("draem-code").model_dump(mode="json")
    recipe["kinds"]["other"] = {**recipe["kinds"]["perlin"], "weight": 0, "mask": {"kind": "rectangle"}}
    images = normals((30, 30), 3)
    wanted = plain_batch(AnomalySynthesizer(recipe, textures=bank), images, range(3))
    assert same(BatchSynthesizer(recipe, textures=bank)(images), wanted)


def test_options_that_are_not_there(bank):
    with pytest.raises(RecipeError, match="draws from textures and none were given: pass textures=FOLDER"):
        BatchSynthesizer("draem-code")
    with pytest.raises(InputError, match="layout is 'chw': give one of nchw, nhwc"):
        BatchSynthesizer("draem-code", textures=bank, layout="chw")
    with pytest.raises(InputError, match="way is 'both': give one of auto, dense, sparse"):
        BatchSynthesizer("draem-code", textures=bank, way="both")
    with pytest.raises(InputError, match="way is 'sparse', which is for the CPU, without compile"):
        BatchSynthesizer("draem-code", textures=bank, way="sparse", compile=True)
    with pytest.raises(InputError, match="device is 'gpu': give cpu, cuda"):
        BatchSynthesizer("draem-code", textures=bank, device="gpu")
    with pytest.raises(InputError, match="device is 'mps', which has no float64"):
        BatchSynthesizer("draem-code", textures=bank, device="mps")


def test_textures_that_do_not_fit(bank):
    engine = BatchSynthesizer("destseg", textures=bank, way="dense", memory_limit=6 * 40 * 40 * 4)
    engine(normals((40, 40), 1))
    with pytest.raises(
        SourceError, match=r"6 textures for pictures of 50 x 50 need 0.1 MiB and 0.0 MiB are free on cpu: give fewer"
    ):
        engine(normals((50, 50), 1))


def test_no_plan_gives_a_defect(bank):
    recipe = load_recipe("destseg").with_settings(["kinds.*.mask.threshold_range=[3,3]", "max_attempts=3"])
    for way in WAYS:
        with pytest.raises(SynthesisError, match="gave no usable defect for 4 samples, the first of them 2, in 3 plans"):
            BatchSynthesizer(recipe, textures=bank, way=way)(normals((20, 20), 4), indices=2)


def test_a_long_picture_whose_noise_would_be_far_larger(bank):
    recipe = load_recipe("destseg").with_settings(["kinds.*.mask.cover=true"])
    images = torch.from_numpy(picture((4, 90, 3)))[None].permute(0, 3, 1, 2).contiguous()
    wanted = plain_batch(AnomalySynthesizer(recipe, textures=bank), images, [0])
    assert same(BatchSynthesizer(recipe, textures=bank)(images), wanted)
    with pytest.raises(ImageError, match=r"the pictures are 4 x 90, so long that .* AnomalySynthesizer"):
        BatchSynthesizer(recipe, textures=bank, way="dense")(images)


@pytest.mark.parametrize("module", [defectsynth.batched, defectsynth.batched.engine])
def test_examples_in_docstrings(module):
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


def test_the_package_is_imported_without_torch():
    code = "import sys, defectsynth; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
