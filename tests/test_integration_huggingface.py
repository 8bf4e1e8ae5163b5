"""Hugging Face datasets: mapped, on access, as a stream: the samples of the synthesizer, by their numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from defectsynth import AnomalySynthesizer
from defectsynth.errors import ImageError, InputError
from defectsynth.files import write_image
from defectsynth.samples import product

datasets = pytest.importorskip("datasets")
from defectsynth.integrations.huggingface import features, on_access, stream, synthesized  # noqa: E402

datasets.disable_progress_bars()
IMAGES = [product("plate", number, (48, 40)).image for number in range(6)]


@pytest.fixture
def synthesizer():
    return AnomalySynthesizer("industrial", seed=4)


def dataset(images=IMAGES, **columns):
    pictures = [Image.fromarray(image) for image in images]
    kinds = datasets.Features({"image": datasets.Image(), **{name: datasets.Value("int64") for name in columns}})
    return datasets.Dataset.from_dict({"image": pictures, **columns}, features=kinds)


def same(row, sample):
    assert (np.asarray(row["image"]) == sample.image).all() and (np.asarray(row["mask"]) == sample.mask).all()
    assert (row["label"], row["kind"], row["plan"]) == (int(sample.is_anomalous), sample.plan.kind, sample.plan.to_json())


def test_mapped(synthesizer):
    mapped = synthesized(dataset(batch=list(range(6))), synthesizer, epoch=2)
    assert mapped.features == datasets.Features({"batch": datasets.Value("int64")} | dict(features()))
    for place, image in enumerate(IMAGES):
        same(mapped[place], synthesizer(image, index=12 + place))
    assert mapped["batch"][:] == list(range(6))


def test_on_access_whatever_the_order(synthesizer):
    painted, transform = on_access(dataset(), synthesizer)
    shuffled = painted.shuffle(seed=1)
    for row in shuffled:
        same(row, synthesizer(IMAGES[row["sample_index"]], index=row["sample_index"]))
    transform.epoch = 3
    same(painted[5], synthesizer(IMAGES[5], index=23))


def test_a_stream_is_shared_by_workers_and_nodes(synthesizer):
    from datasets.distributed import split_dataset_by_node

    numbers = stream(IMAGES, synthesizer, count=11, shards=4, start=5)
    rows = {row["sample_index"]: row for row in numbers}
    assert sorted(rows) == list(range(5, 16))
    for number, row in rows.items():
        same(row, synthesizer(IMAGES[number % 6], index=number))
    nodes = [[row["sample_index"] for row in split_dataset_by_node(numbers, node, 2)] for node in range(2)]
    assert not set(nodes[0]) & set(nodes[1]) and sorted(nodes[0] + nodes[1]) == list(range(5, 16))
    loader = torch.utils.data.DataLoader(numbers.select_columns(["sample_index"]), batch_size=None, num_workers=2)
    assert sorted(int(row["sample_index"]) for row in loader) == list(range(5, 16))


def test_sixteen_bits_and_one_channel_survive(synthesizer):
    grey = [(image[:, :, 0].astype(np.uint16) * 257) for image in IMAGES[:2]]
    row = next(iter(stream(grey, synthesizer, count=1)))
    assert (np.asarray(row["image"]) == synthesizer(grey[0], index=0).image).all()
    assert np.asarray(row["image"]).max() > 255


def test_a_folder(synthesizer, tmp_path):
    for number, image in enumerate(IMAGES):
        write_image(tmp_path / f"{number}.png", image)
    assert len(list(stream(tmp_path, synthesizer, count=7))) == 7


def test_bad_input(synthesizer, tmp_path):
    with pytest.raises(InputError, match="no column 'picture': it has image"):
        synthesized(dataset(), synthesizer, column="picture")
    with pytest.raises(InputError, match="no column"):
        on_access(dataset(), synthesizer, column="picture")
    with pytest.raises(InputError, match="count 0"):
        stream(IMAGES, synthesizer, count=0)
    with pytest.raises(ImageError, match="no normal pictures"):
        stream([], synthesizer, count=1)
    with pytest.raises(ImageError, match="fits into no PNG"):
        next(iter(stream([IMAGES[0].astype(np.float32) / 255], synthesizer, count=1)))
    with pytest.raises(ImageError, match="picture 0 is NoneType"):
        next(iter(stream([None], synthesizer, count=1)))
