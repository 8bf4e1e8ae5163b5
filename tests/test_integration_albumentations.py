"""The transform of albumentations: seeded, saved and replayed by its host, and the synthesizer's samples all the same."""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest
from conftest import DTYPES, picture, real_folder
from torch.utils.data import DataLoader, Dataset, get_worker_info

from defectsynth import AnomalySynthesizer, load_recipe
from defectsynth.errors import ImageError, InputError, RegionError, SourceError
from defectsynth.files import list_images, read_image

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # or importing it asks the network for a newer one
A = pytest.importorskip("albumentations", reason='needs pip install "defectsynth[albumentations]"')
SynthesizeAnomaly = import_module("defectsynth.integrations.albumentations").SynthesizeAnomaly

RECIPE = load_recipe("draem-code").with_settings(["normal_fraction=0"]).model_dump(mode="json")
ARGUMENTS = {"recipe": RECIPE, "textures": "builtin:rust", "seed": 3}
SHAPE = (40, 48)
GOOD = picture((*SHAPE, 3))


def transform(**changes):
    return SynthesizeAnomaly(**{**ARGUMENTS, "p": 1.0, **changes})


def nothing(shape=SHAPE, dtype=np.uint8):
    return np.zeros(shape, dtype)


def same(found, other, *names):
    return all(np.array_equal(found[name], other[name]) for name in names or ("image", "mask"))


# --- the synthesizer's samples -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [None, 1, 2, 3, 5])
def test_the_drawn_index_gives_the_synthesizers_pixels_and_mask(dtype, channels):
    image, own = picture(SHAPE if channels is None else (*SHAPE, channels), dtype), transform()
    before = image.copy()
    found = A.Compose([own], seed=1)(image=image, mask=nothing())
    expected = AnomalySynthesizer(RECIPE, textures="builtin:rust", seed=3)(image, index=own.params["index"])
    assert 0 <= own.params["index"] < 2**62 and found["image"].dtype == dtype
    assert np.array_equal(found["image"], expected.image) and np.array_equal(found["mask"] > 0, expected.mask > 0)
    assert np.array_equal(image, before) and found["mask"].any()


def test_what_resizing_leaves_above_one_is_no_error_and_stays():
    image = np.full((*SHAPE, 3), 1.0 + 2.0**-22, np.float32)
    found = transform()(image=image, mask=nothing())
    outside = found["mask"] == 0
    assert np.array_equal(found["image"][outside], image[outside]) and not outside.all()


@pytest.mark.parametrize("order", [("image", "mask", "masks"), ("masks", "mask", "image")])
def test_targets_are_painted_alike_in_any_order(order):
    whole = {"image": GOOD, "mask": nothing(), "masks": [nothing(), nothing() + 2]}
    expected = A.Compose([transform(mask_value=7)], seed=5)(**whole)
    found = A.Compose([transform(mask_value=7)], seed=5)(**{name: whole[name] for name in order})
    assert same(found, expected) and same(found, {**expected, "masks": np.stack(expected["masks"])}, "masks")
    assert isinstance(found["masks"], list) and np.array_equal(found["masks"][0], found["mask"])
    assert np.array_equal(found["masks"][1], np.where(found["mask"] == 7, 7, 2))
    assert not whole["mask"].any()


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int32, np.float32])
def test_masks_keep_their_type_and_the_rest(dtype):
    before = (np.arange(SHAPE[0] * SHAPE[1]).reshape(*SHAPE, 1) % 2).astype(dtype)
    found = transform(mask_value=7)(image=GOOD, mask=before)["mask"]
    value = np.asarray(7).astype(dtype)
    assert found.dtype == dtype and found.shape == before.shape
    assert (found == value).any() and np.array_equal(found[found != value], before[found != value])


def test_boxes_and_keypoints_pass():
    pipeline = A.Compose(
        [transform()],
        bbox_params=A.BboxParams(format="pascal_voc", label_fields=["labels"]),
        keypoint_params=A.KeypointParams(format="xy"),
    )
    found = pipeline(image=GOOD, bboxes=[[1, 2, 30, 20]], labels=[4], keypoints=[(5, 6)])
    assert np.allclose(found["bboxes"], [[1, 2, 30, 20]]) and np.allclose(found["keypoints"], [(5, 6)])
    assert list(found["labels"]) == [4]


# --- a pipeline ----------------------------------------------------------------------------------------------------------


def test_the_pipelines_seed_repeats_it():
    def run(seed):
        pipeline = A.Compose([transform(p=0.5), A.HorizontalFlip()], seed=seed)
        return [pipeline(image=GOOD, mask=nothing()) for _ in range(8)]

    first = run(1)
    assert all(same(one, other) for one, other in zip(first, run(1), strict=True))
    assert not all(same(one, other) for one, other in zip(first, run(2), strict=True))
    assert 0 < sum(bool(found["mask"].any()) for found in first) < 8
    never = A.Compose([transform(p=0.0)], seed=1)(image=GOOD, mask=nothing())
    assert same(never, {"image": GOOD, "mask": nothing()})


def test_masks_follow_what_comes_after():
    moves = [A.HorizontalFlip(), A.VerticalFlip(), A.Transpose(), A.RandomCrop(28, 28)]
    moved = A.ReplayCompose([transform(), *moves])
    changes = 0
    for _ in range(8):
        found = moved(image=GOOD, mask=nothing())
        replay = found["replay"]
        replay["transforms"][0]["applied"] = False
        plain = A.ReplayCompose.replay(replay, image=GOOD, mask=nothing())
        changed = (found["image"] != plain["image"]).any(axis=2)
        assert not changed[found["mask"] == 0].any()
        changes += int(changed.sum())
    assert changes


def test_an_roi_is_kept_to_and_moves_with_the_picture():
    roi = nothing()
    roi[:, 30:] = 255
    masks = [transform()(image=GOOD, roi=roi, mask=nothing())["mask"] for _ in range(4)]
    assert all(mask.any() and not mask[:, :30].any() for mask in masks)
    pipeline = A.Compose([A.HorizontalFlip(p=1.0), transform()], additional_targets={"roi": "mask"}, seed=1, strict=True)
    found = pipeline(image=GOOD, roi=roi, mask=nothing())
    assert found["mask"].any() and not found["mask"][:, 18:].any()
    assert np.array_equal(found["roi"], roi[:, ::-1])
    A.Compose([transform()], strict=True)(image=GOOD, roi=roi)


@pytest.mark.parametrize("names", [("image", "mask"), ("mask", "image"), ("image",)])
def test_replay_paints_the_same_pixel_for_pixel(names):
    targets = {"image": GOOD, "mask": nothing()}
    pipeline = A.ReplayCompose([A.RandomCrop(32, 32), transform(p=0.7), A.HorizontalFlip(), transform(mask_value=9)])
    for _ in range(4):
        found = pipeline(**targets)
        again = A.ReplayCompose.replay(json.loads(json.dumps(found["replay"])), **{name: targets[name] for name in names})
        assert same(again, found, *names)
    assert len(pickle.dumps(found["replay"])) < 20_000


@pytest.mark.parametrize("form", ["json", "yaml"])
@pytest.mark.parametrize("recipe", ["industrial", RECIPE])
def test_a_saved_pipeline_is_the_same_pipeline(form, recipe, tmp_path):
    image = picture((*SHAPE, 3)) if recipe is RECIPE else picture((96, 96, 3))
    roi = np.full(image.shape[:2], 255, np.uint8)
    pipeline = A.Compose([transform(recipe=recipe, mask_value=5, p=0.8), A.HorizontalFlip(p=0.5)], seed=1)
    A.save(pipeline, tmp_path / "pipeline", data_format=form)
    loaded = [A.load(tmp_path / "pipeline", data_format=form), A.from_dict(A.to_dict(pipeline))]
    expected = pipeline(image=image, mask=nothing(image.shape[:2]), roi=roi)
    for other in loaded:
        other.set_random_seed(1)
        assert A.to_dict(other) == A.to_dict(pipeline)
        assert same(other(image=image, mask=nothing(image.shape[:2]), roi=roi), expected)


def test_a_recipe_file_and_a_recipe_are_saved(tmp_path):
    (tmp_path / "own.yaml").write_text(load_recipe("draem-code").to_yaml(), encoding="utf-8")
    for recipe in (tmp_path / "own.yaml", load_recipe("draem-code")):
        state = json.loads(json.dumps(A.to_dict(transform(recipe=recipe))))
        assert A.to_dict(A.from_dict(state)) == state
    assert "mask_value=1" in repr(transform())


def test_the_synthesizer_is_made_when_it_is_used_and_not_copied():
    own = transform(textures="/nowhere")
    with pytest.raises(SourceError, match="nowhere"):
        own(image=GOOD)
    own = transform()
    assert own.synthesizer is own.synthesizer
    copies = copy.deepcopy(own), pickle.loads(pickle.dumps(own))
    expected = own(image=GOOD, mask=nothing())
    for other in copies:
        assert other.synthesizer is not own.synthesizer
        assert same(other(image=GOOD, mask=nothing()), expected)


# --- workers -------------------------------------------------------------------------------------------------------------


class Pictures(Dataset):
    """Transformed pictures."""

    def __init__(self, pipeline):
        self.pipeline = pipeline

    def __len__(self):
        return 6

    def __getitem__(self, position):
        found = self.pipeline(image=picture((*SHAPE, 3), seed=7), mask=nothing())
        return found["image"], found["mask"]


def seed_worker(_):
    worker = get_worker_info()
    worker.dataset.pipeline.set_random_seed(worker.seed % 2**32)


def test_it_is_pickled_for_workers():
    loader = DataLoader(Pictures(A.Compose([transform()], seed=1)), num_workers=1, multiprocessing_context="spawn")
    plain = Pictures(A.Compose([transform()], seed=1))
    for position, (image, mask) in enumerate(loader):
        expected = plain[position]
        assert np.array_equal(image[0].numpy(), expected[0]) and np.array_equal(mask[0].numpy(), expected[1])


def test_workers_that_are_seeded_paint_different_samples():
    loader = DataLoader(Pictures(A.Compose([transform()])), num_workers=2, worker_init_fn=seed_worker)
    assert len({mask.numpy().tobytes() for _ in range(2) for _, mask in loader}) == 12


# --- real pictures -------------------------------------------------------------------------------------------------------


def test_real_pictures():
    pipeline = A.Compose([A.Resize(128, 128), SynthesizeAnomaly(p=1.0), A.RandomBrightnessContrast()], seed=1)
    for path in list_images(real_folder("magnetic_tile") / "train" / "good")[:4]:
        found = pipeline(image=read_image(path), mask=nothing(read_image(path).shape[:2]))
        assert found["mask"].shape == (128, 128) and found["mask"].any()


# --- what cannot be ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"recipe": "nothing"}, "recipe 'nothing' is neither a preset nor a .yaml file"),
        ({"recipe": {"name": "a"}}, "kinds"),
        ({"recipe": 3}, "recipe is a int"),
        ({"textures": GOOD}, "textures is a ndarray, .* give the folder that it is read from"),
        ({"normals": {"a": GOOD}}, "normals is a dict"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"mask_value": 0}, "greater than or equal to 1"),
        ({"p": 2.0}, "less than or equal to 1"),
    ],
)
def test_arguments_that_cannot_be_are_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        transform(**changes)


@pytest.mark.parametrize(
    ("targets", "error", "said"),
    [
        ({"image": np.full((*SHAPE, 3), 7.0, np.float32)}, ImageError, r"float32 images lie in \[0, 1\]"),
        ({"image": np.full((*SHAPE, 3), np.nan, np.float32)}, ImageError, "NaN"),
        ({"image": GOOD.astype(np.int32)}, ImageError, "dtype int32"),
        ({"image": GOOD[:0]}, ImageError, "every side at least 1"),
        ({"image": GOOD, "mask": nothing((48, 40))}, InputError, r"a mask is \(48, 40\) and the image \(40, 48\)"),
        ({"image": GOOD, "mask": nothing((40, 48, 3))}, InputError, "has a channel for each class"),
        ({"image": GOOD, "roi": nothing((48, 40))}, RegionError, "48"),
        ({"image": GOOD, "roi": nothing()}, RegionError, "empty"),
        ({"image": GOOD, "images": np.stack([GOOD, GOOD])}, InputError, "has image, images: give one image"),
        ({"volume": np.stack([GOOD, GOOD])}, InputError, "has volume: give one image"),
    ],
)
def test_targets_that_cannot_be_painted_are_refused(targets, error, said):
    with pytest.raises(error, match=said):
        transform()(**targets)


def test_several_images_and_masks_that_cannot_hold_the_value_are_refused():
    with pytest.raises(InputError, match="has image, other: give one image"):
        A.Compose([transform()], additional_targets={"other": "image"})(image=GOOD, other=GOOD)
    with pytest.raises(InputError, match="mask_value is 300, which a mask of uint8 cannot hold"):
        transform(mask_value=300)(image=GOOD, mask=nothing())


def test_without_albumentations_the_way_to_get_it_is_named():
    code = (
        "import sys; sys.modules['albumentations'] = None\n"
        "from defectsynth.errors import InputError\n"
        "try:\n    import defectsynth.integrations.albumentations\n"
        "except InputError as error: print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert 'pip install "defectsynth[albumentations]"' in said
