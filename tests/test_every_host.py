"""One plan, every host: the same pixels through each adapter and each format, on real pictures."""

from __future__ import annotations

import importlib.util
import warnings

import numpy as np
import pytest
import torch
from conftest import real_folder
from PIL import Image

from defectsynth import AnomalySynthesizer
from defectsynth.files import list_images, read_image, write_image
from defectsynth.formats.table import FORMATS
from defectsynth.images import resize_image, to_rgb8
from defectsynth.job import Job
from defectsynth.recipe import load_recipe
from defectsynth.render_as import render_as

SIDE, COUNT = 128, 3
RECIPE = load_recipe("industrial").with_settings(["normal_fraction=0", "foreground.fallback=whole_picture"])

pytestmark = pytest.mark.real


@pytest.fixture(scope="module", params=["mvtec_bottle", "magnetic_tile"])
def images(request):
    files = list_images(real_folder(request.param) / "train" / "good")[:COUNT]
    return [resize_image(to_rgb8(read_image(path)), (SIDE, SIDE)) for path in files]


@pytest.fixture(scope="module")
def expected(images):
    synthesizer = AnomalySynthesizer(RECIPE, seed=11)
    return [synthesizer(image, index=number) for number, image in enumerate(images)]


@pytest.fixture
def synthesizer():
    return AnomalySynthesizer(RECIPE, seed=11)


@pytest.fixture
def numbers_in_turn(monkeypatch):
    """Hosts that draw a sample's number take them in turn."""
    from defectsynth.integrations import tensors

    numbers = iter(range(COUNT))
    monkeypatch.setattr(tensors, "draw", lambda count, p: (torch.tensor([next(numbers)]), torch.ones(1, dtype=torch.bool)))


def check(expected, found):
    """Pictures ``(H, W, 3)`` uint8 and masks ``(H, W)`` of every sample."""
    pairs = list(found)
    assert len(pairs) == len(expected) == COUNT
    for sample, (image, mask) in zip(expected, pairs, strict=True):
        assert np.array_equal(np.asarray(image), sample.image)
        assert np.array_equal(np.asarray(mask) > 0, sample.mask > 0)


def bytes_of(planes):
    """Floats ``(C, H, W)`` as they were painted."""
    return (np.asarray(planes) * 255).round().astype(np.uint8).transpose(1, 2, 0)


@pytest.mark.parametrize("layout", ["dict", "tuple", "draem"])
def test_pytorch(images, expected, synthesizer, layout):
    from defectsynth.integrations.pytorch import SyntheticAnomalyDataset, SyntheticAnomalyStream

    names = {"dict": ("image", "mask"), "tuple": (0, 1), "draem": ("augmented_image", "anomaly_mask")}[layout]
    dataset = SyntheticAnomalyDataset(images, synthesizer, layout=layout)
    check(expected, ((bytes_of(row[names[0]]), row[names[1]][0]) for row in (dataset[place] for place in range(COUNT))))
    batch = next(iter(SyntheticAnomalyStream(images, synthesizer, batch_size=COUNT, layout=layout)))
    check(expected, zip(map(bytes_of, batch[names[0]]), batch[names[1]][:, 0], strict=True))


@pytest.mark.usefixtures("numbers_in_turn")
def test_torchvision(images, expected, synthesizer):
    from torchvision import tv_tensors

    from defectsynth.integrations.torchvision import SynthesizeAnomaly

    transform, nothing = SynthesizeAnomaly(synthesizer), torch.zeros(SIDE, SIDE, dtype=torch.uint8)
    pairs = (transform(tv_tensors.Image(image.transpose(2, 0, 1)), tv_tensors.Mask(nothing)) for image in images)
    check(expected, ((image.numpy().transpose(1, 2, 0), mask) for image, mask in pairs))


@pytest.mark.usefixtures("numbers_in_turn")
def test_the_generator_for_anomalib(images, expected):
    from defectsynth.integrations.anomalib import AnomalyGenerator

    generator = AnomalyGenerator(AnomalySynthesizer(RECIPE, seed=11), probability=1.0)
    floats, alike = AnomalySynthesizer(RECIPE, seed=11), 0  # anomalib's models hold floats, on which a plan paints floats
    for number, image in enumerate(images):
        given = image.astype(np.float32) / np.float32(255)
        found, mask = generator(torch.from_numpy(given.transpose(2, 0, 1)))
        sample = floats(given, index=number)
        assert np.array_equal(found.numpy().transpose(1, 2, 0), sample.image)
        assert np.array_equal(mask[0].numpy() > 0, sample.mask > 0)
        alike += np.abs(bytes_of(found).astype(int) - expected[number].image).max() <= 1
    assert alike >= 2  # the foreground of floats may be estimated a little otherwise


def test_albumentations(images, expected, monkeypatch):
    albumentations = pytest.importorskip("albumentations")
    from defectsynth.integrations.albumentations import SynthesizeAnomaly

    numbers = iter(range(COUNT))
    transform = SynthesizeAnomaly(RECIPE.model_dump(mode="json"), seed=11, p=1.0)
    monkeypatch.setattr(transform, "get_params", lambda: {"index": next(numbers)})
    pipeline, nothing = albumentations.Compose([transform]), np.zeros((SIDE, SIDE), np.uint8)
    check(expected, ((found["image"], found["mask"]) for found in (pipeline(image=image, mask=nothing) for image in images)))


def test_hugging_face(images, expected, synthesizer):
    datasets = pytest.importorskip("datasets")
    from defectsynth.integrations.huggingface import on_access, stream, synthesized

    datasets.disable_progress_bars()
    kinds = datasets.Features({"image": datasets.Image()})
    host = datasets.Dataset.from_dict({"image": [Image.fromarray(image) for image in images]}, features=kinds)
    for rows in (synthesized(host, synthesizer), on_access(host, synthesizer)[0], stream(images, synthesizer, count=COUNT)):
        check(expected, ((row["image"], row["mask"]) for row in rows))


@pytest.mark.parametrize("format", list(FORMATS))
def test_files(images, expected, tmp_path, format):
    if format == "parquet" and importlib.util.find_spec("pyarrow") is None:
        pytest.skip("pyarrow is not installed")
    for number, image in enumerate(images):
        write_image(tmp_path / f"good/{number}.png", image)
    job = Job(images=str(tmp_path / "good"), count=COUNT, seed=11, train_fraction=0.0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*polygon")
        render_as(job, RECIPE, str(tmp_path / "set"), format, **({"val_fraction": 0.0} if format == "yolo" else {}))
    records = sorted(FORMATS[format].read(tmp_path / "set"), key=lambda record: record.name)
    if format == "yolo":  # outlines
        assert [record.image().tobytes() for record in records] == [sample.image.tobytes() for sample in expected]
        return
    check(expected, ((record.image(), record.mask) for record in records))
