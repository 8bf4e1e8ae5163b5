"""The PyTorch dataset and stream: one sample for one number, whoever paints it, in the shapes that trainers expect."""

from __future__ import annotations

import subprocess
import sys
from itertools import islice

import numpy as np
import pytest
import torch
from conftest import picture, real_folder
from PIL import Image
from torch.utils.data import DataLoader, DistributedSampler

from defectsynth import AnomalySynthesizer
from defectsynth.errors import DefectSynthError, ImageError, InputError
from defectsynth.files import write_image
from defectsynth.integrations.pytorch import SyntheticAnomalyDataset, SyntheticAnomalyStream

COUNT = 6


def synthesizer(recipe="draem-code", seed=3):
    return AnomalySynthesizer(recipe, textures="builtin:rust", seed=seed)


@pytest.fixture(scope="module")
def images():
    return [picture((40, 48, 3), seed=number) for number in range(COUNT)]


def dataset(images, **how):
    return SyntheticAnomalyDataset(images, synthesizer(), **how)


def stream(images, **how):
    return SyntheticAnomalyStream(images, synthesizer(), batch_size=4, **how)


def bytes_of(batches):
    return [(batch["image"].numpy().tobytes(), batch["mask"].numpy().tobytes()) for batch in batches]


# --- the same, whoever paints it -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
def test_epochs_are_the_same_for_any_number_of_workers_even_of_those_that_stay(images, workers):
    expected, found = [], []
    plain, shared = dataset(images), dataset(images)
    loader = DataLoader(shared, batch_size=2, num_workers=workers, persistent_workers=True)
    for epoch in range(3):
        plain.set_epoch(epoch)
        shared.set_epoch(epoch)
        expected.append(bytes_of(DataLoader(plain, batch_size=2)))
        found.append(bytes_of(loader))
    assert found == expected
    assert len({one for epoch in expected for one in epoch}) == 9


@pytest.mark.parametrize("workers", [1, 2])
def test_streams_are_the_same_for_any_number_of_workers_and_go_on_after_a_restart(images, workers):
    whole = bytes_of(islice(DataLoader(stream(images), batch_size=None), 7))
    assert len(set(whole)) == 7
    assert bytes_of(islice(DataLoader(stream(images), batch_size=None, num_workers=workers), 7)) == whole
    again = DataLoader(stream(images, start=3), batch_size=None, num_workers=workers)
    assert bytes_of(islice(again, 4)) == whole[3:]


def test_two_ranks_share_no_sample_and_leave_none_out(images):
    numbers = [
        [number for batch in islice(stream(images, rank=rank, ranks=2), 3) for number in batch["index"].tolist()]
        for rank in range(2)
    ]
    assert not set(numbers[0]) & set(numbers[1])
    assert sorted(numbers[0] + numbers[1]) == list(range(24))
    whole = dataset(images)
    seen = [
        batch["index"].tolist()
        for rank in range(2)
        for batch in DataLoader(whole, batch_size=1, sampler=DistributedSampler(whole, 2, rank, shuffle=False))
    ]
    assert sorted(number for batch in seen for number in batch) == list(range(COUNT))


def test_an_item_is_the_synthesizers_sample(images):
    found = dataset(images)
    found.set_epoch(2)
    for position in (0, 5):
        expected = synthesizer()(images[position], index=2 * COUNT + position)
        item = found[position]
        assert np.array_equal(item["image"].numpy(), expected.image.transpose(2, 0, 1).astype(np.float32) / np.float32(255))
        assert np.array_equal(item["mask"].numpy()[0] > 0, expected.mask > 0)
        assert np.array_equal(item["defect_map"].numpy()[0], expected.defect_map)
        assert (item["label"], item["index"]) == (int(expected.mask.any()), position)


# --- layouts and pictures ------------------------------------------------------------------------------------------------


def test_the_layout_of_draem_is_what_its_script_takes(images):
    item = dataset(images, layout="draem")[1]
    assert list(item) == ["image", "anomaly_mask", "augmented_image", "has_anomaly", "idx"]
    for key, shape in (
        ("image", (3, 40, 48)),
        ("augmented_image", (3, 40, 48)),
        ("anomaly_mask", (1, 40, 48)),
        ("has_anomaly", (1,)),
    ):
        assert item[key].shape == shape and item[key].dtype == np.float32
        assert item[key].min() >= 0.0 and item[key].max() <= 1.0
    assert item["has_anomaly"][0] == float(item["anomaly_mask"].any())
    outside = np.broadcast_to(item["anomaly_mask"] == 0, item["image"].shape)
    assert np.array_equal(item["image"][outside], item["augmented_image"][outside])
    batch = next(iter(DataLoader(dataset(images, layout="draem"), batch_size=3)))
    assert batch["augmented_image"].shape == (3, 3, 40, 48)


def test_any_kind_of_picture_gives_the_same_sample(images, tmp_path):
    image = images[0]
    write_image(tmp_path / "0.png", image)
    expected = dataset([image], layout="tuple")[0]
    planes = torch.from_numpy(image.transpose(2, 0, 1).copy())
    for given in (
        tmp_path / "0.png",
        str(tmp_path / "0.png"),
        planes,
        Image.fromarray(image),
        (Image.fromarray(image), 7),
        {"label": 0, "image": image},
    ):
        found = dataset([given], layout="tuple")[0]
        assert all(torch.equal(own, other) for own, other in zip(found, expected, strict=True))
    folder = dataset(tmp_path, layout="tuple")
    assert len(folder) == 1 and torch.equal(folder[0][0], expected[0])
    grey = dataset([planes[:1].float() / 255])[0]
    assert grey["image"].shape == (1, 40, 48)


def test_pictures_are_resized_with_their_rois(images):
    roi = np.zeros((40, 48), np.uint8)
    roi[:, 24:] = 255
    found = SyntheticAnomalyDataset(images, synthesizer(), size=(32, 32), rois=[roi] * COUNT)
    items = [found[position] for position in range(COUNT)]
    assert all(item["image"].shape == (3, 32, 32) for item in items)
    assert any(item["label"] for item in items)
    assert not any(item["mask"][..., :16].any() for item in items)


@pytest.mark.parametrize("product", ["mvtec_bottle", "magnetic_tile"])
def test_real_pictures(product):
    found = SyntheticAnomalyDataset(real_folder(product) / "train" / "good", synthesizer("industrial"), size=(128, 128))
    batch = next(iter(DataLoader(found, batch_size=4, num_workers=2)))
    assert batch["image"].shape[2:] == (128, 128)
    assert batch["mask"].flatten(1).amax(1).all()


# --- what cannot be ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: dataset([]), "no normal pictures"),
        (lambda: dataset([None])[0], "picture 0 is NoneType"),
        (lambda: dataset([torch.zeros(1, 3, 8, 8)])[0], r"tensor \(1, 3, 8, 8\): give \(C, H, W\)"),
        (lambda: dataset([np.full((9, 9, 3), 7.0, np.float32)])[0], r"\[0, 1\]"),
        (lambda: dataset([np.zeros((9, 9, 3), np.uint8)], layout="coco"), "layout 'coco' is not known"),
        (lambda: dataset([np.zeros((9, 9, 3), np.uint8)], rois=[]), "0 ROIs for 1 pictures"),
        (lambda: dataset("/nowhere"), "does not exist"),
        (lambda: stream([np.zeros((9, 9, 3), np.uint8)], rank=2, ranks=2), "rank 2 of 2"),
        (lambda: stream([np.zeros((9, 9, 3), np.uint8)], start=-1), "start -1"),
    ],
)
def test_what_cannot_be_used_is_said(make, said):
    with pytest.raises(DefectSynthError, match=said) as caught:
        make()
    assert isinstance(caught.value, (ImageError, InputError))


def test_without_torch_the_way_to_get_it_is_named():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from defectsynth.errors import InputError\n"
        "import defectsynth\n"
        "try:\n    import defectsynth.integrations.pytorch\n"
        "except InputError as error: print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert 'pip install "defectsynth[torch]"' in said
