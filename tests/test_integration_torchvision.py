"""The transforms of torchvision v2: the synthesizer's samples, in whatever class a sample has, and masks that never lie."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from conftest import DTYPES, picture, real_folder
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import tv_tensors
from torchvision.transforms import v2

from defectsynth import AnomalySynthesizer, load_recipe
from defectsynth.batched import BatchSynthesizer
from defectsynth.errors import DefectSynthError, ImageError, InputError
from defectsynth.files import list_images
from defectsynth.integrations.torchvision import SynthesizeAnomaly, SynthesizeAnomalyPair

RECIPE = {
    "recipe": load_recipe("draem-code").with_settings(["normal_fraction=0"]),
    "textures": "builtin:rust",
    "seed": 3,
}
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
SYNTHESIZER = AnomalySynthesizer(**RECIPE)


def planes(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def batch(count: int = 4, shape: tuple[int, ...] = (40, 48, 3), dtype: type = np.uint8) -> torch.Tensor:
    return torch.stack([planes(picture(shape, dtype, seed=number)) for number in range(count)])


def nothing(*shape: int) -> tv_tensors.Mask:
    return tv_tensors.Mask(torch.zeros(shape, dtype=torch.uint8))


def after(seed: int, call, *args):
    torch.manual_seed(seed)
    return call(*args)


# --- the synthesizer's samples -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_the_drawn_index_gives_the_synthesizers_pixels_and_mask(dtype, channels):
    transform, image = SynthesizeAnomaly(SYNTHESIZER), picture((40, 48, channels), dtype)
    sample = tv_tensors.Image(planes(image)), nothing(40, 48)
    params = after(1, transform.make_params, list(sample))
    painted, mask = after(1, transform, *sample)
    expected = SYNTHESIZER(image, index=int(params["indices"][0]))
    assert 0 <= int(params["indices"][0]) < 2**62
    assert np.array_equal(painted.permute(1, 2, 0).numpy(), expected.image)
    assert np.array_equal(mask.numpy(), expected.mask > 0)
    again = [transform.transform(part, params) for part in sample]
    assert torch.equal(again[0], painted) and torch.equal(again[1], mask)


@pytest.mark.parametrize("how", [{}, {"layout": "nhwc"}, {"way": "dense"}])
@pytest.mark.parametrize("p", [1.0, 0.5])
def test_both_synthesizers_paint_the_same_plans(how, p):
    images = batch()
    expected = after(2, SynthesizeAnomaly(SYNTHESIZER, p=p), images, nothing(4, 40, 48))
    found = after(2, SynthesizeAnomaly(BatchSynthesizer(**RECIPE, **how), p=p), images, nothing(4, 40, 48))
    assert torch.equal(found[1], expected[1])
    assert (found[0].int() - expected[0].int()).abs().max() <= (2 if how.get("way") == "dense" else 0)


def test_pictures_of_a_batch_are_samples_of_their_own():
    images = picture((40, 48, 3))
    pair = SynthesizeAnomalyPair(SYNTHESIZER)
    painted, masks = after(5, pair, planes(images).expand(2, 3, 3, 40, 48))
    assert painted.shape == (2, 3, 3, 40, 48) and masks.shape == (2, 3, 1, 40, 48)
    assert len({mask.numpy().tobytes() for mask in masks.reshape(6, 40, 48)}) == 6


@settings(max_examples=40)
@given(
    st.sampled_from([torch.uint8, torch.uint16, *FLOATS]),
    st.lists(st.integers(1, 2), max_size=3),
    st.tuples(st.integers(1, 6), st.integers(16, 70), st.integers(16, 70)),
    st.integers(0, 2**31),
)
def test_outside_the_mask_not_a_bit_changes(dtype, leading, shape, seed):
    values = torch.rand(*leading, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 0.5 + 0.25
    images = values.to(dtype) if dtype in FLOATS else (values * torch.iinfo(dtype).max).to(dtype)
    before = images.clone()
    painted, mask = after(seed, SynthesizeAnomalyPair(SYNTHESIZER), images)
    assert painted.dtype == dtype and painted.shape == images.shape and torch.equal(images, before)
    assert mask.dtype == torch.float32 and mask.shape == (*leading, 1, *shape[1:]) and set(mask.unique().tolist()) == {0.0, 1.0}
    same = (painted.double() == images.double()).all(-3, keepdim=True)
    assert bool(same[mask == 0].all())
    assert not bool(same.flatten(-3).all(-1).any())


@pytest.mark.parametrize("dtype", FLOATS)
def test_other_floats_are_painted_as_float32_is(dtype):
    image = batch(1, dtype=np.float32)[0].to(dtype)
    painted, mask = after(7, SynthesizeAnomalyPair(SYNTHESIZER), image)
    expected, same = after(7, SynthesizeAnomalyPair(SYNTHESIZER), image.float())
    assert torch.equal(mask, same)
    assert torch.equal(painted.float(), expected.to(dtype).float())


def test_what_resizing_leaves_above_one_is_no_error_and_stays():
    image = v2.functional.resize(torch.ones(3, 100, 100), [64, 64], antialias=True)
    assert image.max() > 1.0
    painted, mask = after(7, SynthesizeAnomalyPair(SYNTHESIZER), image)
    assert torch.equal(painted[:, mask[0] == 0], image[:, mask[0] == 0]) and mask.any()
    assert painted.amax() <= image.amax() and painted.amin() >= 0.0


# --- samples of any class ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16", "F"])
def test_pil_pictures_stay_pil_pictures_with_their_alpha(mode):
    shape = (40, 48) if mode in ("L", "I;16", "F") else (40, 48, len(mode))
    array = picture(shape, {"I;16": np.uint16, "F": np.float32}.get(mode, np.uint8))
    image = Image.fromarray(array)
    assert image.mode == mode
    painted, mask = after(1, SynthesizeAnomaly(SYNTHESIZER), image, nothing(40, 48))
    assert isinstance(painted, Image.Image) and painted.mode == mode and painted.size == image.size
    changed = np.asarray(painted) != array
    assert mask.any() and not changed[mask.numpy() == 0].any() and changed.any()
    if mode in ("LA", "RGBA"):
        assert np.array_equal(np.asarray(painted)[:, :, -1], array[:, :, -1])
    same, own = after(1, SynthesizeAnomalyPair(SYNTHESIZER), image)
    assert np.array_equal(np.asarray(same), np.asarray(painted)) and torch.equal(own[0].byte(), mask)


def test_every_part_keeps_its_class_and_what_is_no_image_or_mask_passes():
    boxes = tv_tensors.BoundingBoxes([[1, 2, 3, 4]], format="XYXY", canvas_size=(40, 48))
    given = {
        "label": torch.tensor(3),
        "image": tv_tensors.Image(batch(1)[0]),
        "masks": [nothing(40, 48), nothing(1, 40, 48)],
        "boxes": boxes,
        "name": "a",
    }
    found = SynthesizeAnomaly(SYNTHESIZER)(given)
    assert found["label"] is given["label"] and found["boxes"] is boxes and found["name"] == "a"
    assert type(found["image"]) is tv_tensors.Image
    assert all(type(mask) is tv_tensors.Mask for mask in found["masks"])
    assert found["masks"][0].any() and torch.equal(found["masks"][0][None], found["masks"][1])
    assert not given["masks"][0].any()


def test_the_first_plain_tensor_is_the_image_where_there_is_no_other():
    image, other = batch(2)
    found = SynthesizeAnomaly(SYNTHESIZER)(image, other)
    assert not torch.equal(found[0], image) and found[1] is other
    assert type(found[0]) is torch.Tensor


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float32])
def test_a_mask_gets_the_value_and_keeps_the_rest(dtype):
    before = tv_tensors.Mask((torch.arange(40 * 48).reshape(40, 48) % 3).to(dtype))
    value = 1 if dtype == torch.bool else 7
    _, mask = after(1, SynthesizeAnomaly(SYNTHESIZER, mask_value=7), batch(1)[0], before)
    _, defects = after(1, SynthesizeAnomalyPair(SYNTHESIZER), batch(1)[0])
    assert mask.dtype == dtype and type(mask) is tv_tensors.Mask
    assert bool((mask[defects[0] > 0] == value).all())
    assert torch.equal(mask[defects[0] == 0], before[defects[0] == 0])


def test_in_a_pipeline_masks_follow_what_comes_after():
    image = picture((64, 64, 3))
    steps = [v2.ToImage(), SynthesizeAnomaly(SYNTHESIZER), v2.ToDtype(torch.float32, scale=True)]
    found = after(1, v2.Compose(steps), Image.fromarray(image))
    assert found.dtype == torch.float32 and found.min() >= 0.0 and found.max() <= 1.0
    turned = v2.Compose([*steps, v2.RandomHorizontalFlip(1.0), v2.RandomCrop(40)])
    plain = v2.Compose([steps[0], steps[2], v2.RandomHorizontalFlip(1.0)])(Image.fromarray(image))
    for seed in range(4):
        torch.manual_seed(seed)
        painted, mask = turned(Image.fromarray(image), nothing(64, 64))
        windows = plain.unfold(1, 40, 1).unfold(2, 40, 1)
        changed = ((windows - painted[:, None, None]) != 0).any(0)
        assert not (changed & (mask == 0)).flatten(2).any(2).all()  # at the crop's own place nothing else has changed


# --- what is random ------------------------------------------------------------------------------------------------------


def test_torchs_seed_repeats_and_p_chooses_among_the_same_samples():
    images = batch(8)
    whole, masks = after(3, SynthesizeAnomalyPair(SYNTHESIZER), images)
    assert torch.equal(after(3, SynthesizeAnomalyPair(SYNTHESIZER), images)[0], whole)
    assert not torch.equal(after(4, SynthesizeAnomalyPair(SYNTHESIZER), images)[0], whole)
    half, some = after(3, SynthesizeAnomalyPair(SYNTHESIZER, p=0.5), images)
    assert torch.equal(after(3, SynthesizeAnomalyPair(SYNTHESIZER, p=0.5), images)[0], half)
    chosen = some.flatten(1).any(1)
    assert 0 < chosen.sum() < 8
    assert torch.equal(half[chosen], whole[chosen]) and torch.equal(some[chosen], masks[chosen])
    assert torch.equal(half[~chosen], images[~chosen])


@pytest.mark.parametrize("make", [AnomalySynthesizer, BatchSynthesizer])
def test_nothing_is_painted_with_p_0(make):
    images, mask = batch(), nothing(4, 40, 48)
    found = SynthesizeAnomaly(make(**RECIPE), p=0.0)(images, mask)
    assert torch.equal(found[0], images) and torch.equal(found[1], mask)


class Pictures(torch.utils.data.Dataset):
    """Transformed pictures."""

    def __init__(self, transform):
        self.transform = transform

    def __len__(self):
        return 4

    def __getitem__(self, position):
        return self.transform(planes(picture((40, 48, 3), seed=7)), nothing(40, 48))


@pytest.mark.parametrize("make", [AnomalySynthesizer, BatchSynthesizer])
def test_it_is_pickled_for_workers_which_draw_samples_of_their_own(make):
    transform = SynthesizeAnomaly(make(**RECIPE), p=1.0)
    again = pickle.loads(pickle.dumps(transform))
    assert torch.equal(after(1, again, batch()), after(1, transform, batch()))
    loader = DataLoader(
        Pictures(transform), num_workers=1, multiprocessing_context="spawn", generator=torch.Generator().manual_seed(1)
    )
    found = [mask.numpy().tobytes() for _, mask in loader]
    assert len(set(found)) == 4


def test_workers_differ():
    loader = DataLoader(Pictures(SynthesizeAnomaly(SYNTHESIZER)), num_workers=2, generator=torch.Generator().manual_seed(1))
    masks = [mask.numpy().tobytes() for _, mask in loader]
    assert len(set(masks)) == 4
    loader = DataLoader(Pictures(SynthesizeAnomaly(SYNTHESIZER)), num_workers=2, generator=torch.Generator().manual_seed(1))
    assert [mask.numpy().tobytes() for _, mask in loader] == masks


# --- devices -------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu():
    images = batch(8, dtype=np.float32)
    expected = after(1, SynthesizeAnomalyPair(SYNTHESIZER), images)
    found = after(1, SynthesizeAnomalyPair(SYNTHESIZER), images.cuda())
    assert all(one.is_cuda and torch.equal(one.cpu(), other) for one, other in zip(found, expected, strict=True))
    engine = BatchSynthesizer(**RECIPE, device="cuda")
    for p in (1.0, 0.5):
        expected = after(1, SynthesizeAnomalyPair(SYNTHESIZER, p=p), images)
        painted, masks = after(1, SynthesizeAnomalyPair(engine, p=p), images.cuda())
        assert painted.is_cuda and masks.is_cuda and torch.equal(masks.cpu(), expected[1])
        assert (painted.cpu() - expected[0]).abs().max() < 0.02
    with pytest.raises(ImageError, match="images is on cpu and the engine on cuda"):
        SynthesizeAnomalyPair(engine)(images)
    SynthesizeAnomalyPair(engine)(images.cuda() * 3.0)
    with pytest.raises(ImageError):
        engine.check()
    with pytest.raises(ImageError, match="images is on cuda:0 and the engine on cpu"):
        SynthesizeAnomalyPair(BatchSynthesizer(**RECIPE))(images.cuda())
    image, mask = SynthesizeAnomaly(SYNTHESIZER)(images.cuda(), nothing(8, 40, 48))
    assert image.is_cuda and not mask.is_cuda and mask.any()


# --- real pictures -------------------------------------------------------------------------------------------------------


def test_real_pictures():
    paths = list_images(real_folder("mvtec_bottle") / "train" / "good")[:4]
    transform = v2.Compose([v2.Resize((128, 128)), SynthesizeAnomalyPair(AnomalySynthesizer("industrial"))])
    for path in paths:
        with Image.open(path) as image:
            painted, mask = transform(image.convert("RGB"))
        assert painted.size == (128, 128) and mask.shape == (1, 128, 128) and mask.any()


# --- what cannot be ------------------------------------------------------------------------------------------------------

GOOD = batch(1)[0]


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        ((torch.full((3, 9, 9), float("nan")),), "holds NaN"),
        ((torch.full((3, 9, 9), 7.0),), r"values from 7.0 to 7.0: float32 images lie in \[0, 1\]"),
        ((torch.full((3, 9, 9), -0.1, dtype=torch.float64),), r"float32 images lie in \[0, 1\]"),
        ((torch.zeros(9, 9),), r"tensor \(9, 9\): give \(..., C, H, W\); where a sample has no PIL picture"),
        ((torch.zeros(3, 0, 9),), "every side at least 1"),
        ((torch.zeros(0, 3, 9, 9),), "every side at least 1"),
        ((torch.zeros(3, 9, 9, dtype=torch.complex64),), "torch.complex64: give torch.uint8"),
        ((torch.zeros(3, 9, 9, dtype=torch.int64),), "torch.int64: give torch.uint8"),
        ((torch.zeros(3, 9, 9, dtype=torch.bool),), "torch.bool: give torch.uint8"),
        ((Image.new("CMYK", (9, 9)),), "mode 'CMYK'"),
        ((Image.new("1", (9, 9)),), "mode '1'"),
        ((tv_tensors.Image(GOOD), tv_tensors.Image(GOOD)), "2 images"),
        ((Image.new("RGB", (9, 9)), Image.new("L", (9, 9))), "2 images .* wrapped in tv_tensors.Mask"),
        ((nothing(9, 9),), r"0 images \(it is Mask\)"),
        (("a",), r"0 images \(it is str\)"),
        ((tv_tensors.Video(torch.zeros(2, 3, 9, 9)),), "0 images"),
        ((GOOD, nothing(48, 40)), r"mask is \(48, 40\) and the image \('C', 40, 48\)"),
        ((GOOD, nothing(2, 40, 48)), r"give a mask \(40, 48\) or \(1, 40, 48\)"),
        ((GOOD[None], nothing(40, 48)), r"give a mask \(1, 40, 48\) or \(1, 1, 40, 48\)"),
    ],
)
def test_samples_that_cannot_be_painted_are_refused(sample, said):
    with pytest.raises(DefectSynthError, match=said) as caught:
        SynthesizeAnomaly(SYNTHESIZER)(*sample)
    assert isinstance(caught.value, (ImageError, InputError))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: SynthesizeAnomaly("industrial"), "synthesizer is a str: give an AnomalySynthesizer"),
        (lambda: SynthesizeAnomaly(SYNTHESIZER, p=1.5), "p is 1.5: give a number from 0 to 1"),
        (lambda: SynthesizeAnomalyPair(SYNTHESIZER, p=None), "p is None"),
        (lambda: SynthesizeAnomaly(SYNTHESIZER, mask_value=0), "mask_value is 0"),
        (
            lambda: SynthesizeAnomaly(SYNTHESIZER, mask_value=300)(GOOD, nothing(40, 48)),
            "which a mask of torch.uint8 cannot hold",
        ),
        (lambda: SynthesizeAnomalyPair(SYNTHESIZER)((GOOD, 3)), "the image is a tuple"),
        (lambda: SynthesizeAnomalyPair(BatchSynthesizer(**RECIPE))(GOOD.to(torch.uint16)), "torch.uint16"),
        (lambda: SynthesizeAnomalyPair(BatchSynthesizer(**RECIPE))(GOOD * torch.nan), "NaN|nan"),
    ],
)
def test_what_cannot_be_used_is_said(make, said):
    with pytest.raises(InputError, match=said):
        make()


def test_without_torchvision_the_way_to_get_it_is_named():
    code = (
        "import sys; sys.modules['torchvision'] = None\n"
        "from defectsynth.errors import InputError\n"
        "try:\n    import defectsynth.integrations.torchvision\n"
        "except InputError as error: print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.startswith("the torchvision integration needs") and 'pip install "defectsynth[torch]"' in said
