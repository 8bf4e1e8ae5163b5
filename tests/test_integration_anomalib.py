"""anomalib: its models train on our generator, its data modules read our datasets, and their splits can be ours."""

from __future__ import annotations

import subprocess
import sys
import warnings
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import REAL, picture

from defectsynth import AnomalySynthesizer, load_recipe
from defectsynth.batched import BatchSynthesizer
from defectsynth.errors import ImageError, InputError
from defectsynth.files import read_image, read_mask, write_image
from defectsynth.formats.mvtec import read_mvtec
from defectsynth.integrations.anomalib import AnomalyGenerator, synthetic_split
from defectsynth.job import Job
from defectsynth.render import render
from defectsynth.samples import product
from defectsynth.verify import verify

RECIPE = {
    "recipe": load_recipe("draem-code").with_settings(["normal_fraction=0"]),
    "textures": "builtin:rust",
    "seed": 3,
}
WEIGHTS = REAL.parent / "weights" / "efficientnet_lite0_imagenet.pth"
LITE = "tf_efficientnet_lite0"
SYNTHESIZER = AnomalySynthesizer(**RECIPE)


def images(count=4, dtype=np.float32):
    return torch.stack([torch.from_numpy(picture((40, 48, 3), dtype, seed=seed).transpose(2, 0, 1)) for seed in range(count)])


def after(seed, call, *args):
    torch.manual_seed(seed)
    return call(*args)


# --- the generator: needs torch and torchvision alone --------------------------------------------------------------------


@pytest.mark.parametrize("make", [AnomalySynthesizer, BatchSynthesizer])
def test_the_generator_has_the_interface_of_anomalibs(make):
    generator, batch = AnomalyGenerator(make(**RECIPE), probability=1.0), images()
    augmented, masks = after(1, generator, batch)
    assert type(augmented) is type(masks) is torch.Tensor
    assert augmented.shape == batch.shape and augmented.dtype == masks.dtype == torch.float32
    assert masks.shape == (4, 1, 40, 48) and set(masks.unique().tolist()) == {0.0, 1.0}
    assert masks.flatten(1).any(1).all()
    assert torch.equal(augmented * (1 - masks), batch * (1 - masks))
    one, mask = after(1, generator, batch[0])
    assert one.shape == (3, 40, 48) and mask.shape == (1, 40, 48)
    expected = after(1, AnomalyGenerator(SYNTHESIZER, probability=1.0), batch)
    assert torch.equal(augmented, expected[0]) and torch.equal(masks, expected[1])


def test_the_probability_is_that_of_each_picture():
    generator, batch = AnomalyGenerator(SYNTHESIZER), images(16)
    augmented, masks = after(1, generator, batch)
    painted = masks.flatten(1).any(1)
    assert generator.probability == 0.5 and 0 < painted.sum() < 16
    assert torch.equal(augmented[~painted], batch[~painted])
    assert not AnomalyGenerator(SYNTHESIZER, probability=0.0)(batch)[1].any()


def test_normalised_pictures_and_wrong_arguments_are_refused():
    with pytest.raises(ImageError, match=r"float32 images lie in \[0, 1\]"):
        AnomalyGenerator(SYNTHESIZER, probability=1.0)((images() - 0.45) / 0.22)
    with pytest.raises(InputError, match="probability is 2"):
        AnomalyGenerator(SYNTHESIZER, probability=2)
    with pytest.raises(InputError, match="synthesizer is a str"):
        AnomalyGenerator("draem-code")


def test_without_anomalib_the_way_to_get_it_is_named():
    code = (
        "import sys; sys.modules['anomalib'] = None\n"
        "from defectsynth.errors import InputError\n"
        "from defectsynth.integrations.anomalib import synthetic_split\n"
        "try:\n    synthetic_split(None, None, 'out')\n"
        "except InputError as error: print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert 'pip install "defectsynth[anomalib]"' in said


# --- the host: what follows runs anomalib --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def host():
    """anomalib, on one thread: its models are small here, and its warnings are its own."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("anomalib", reason='needs pip install "defectsynth[anomalib]"')
        import_module("anomalib.models")
    yield
    torch.set_num_threads(threads)


quiet = pytest.mark.filterwarnings("ignore")


def folder_of(root, **changes):
    """anomalib's ``Folder`` of a dataset in the MVTec AD layout."""
    kinds = sorted(path.name for path in (root / "ground_truth").glob("*"))
    how = {
        "name": "rendered",
        "root": root,
        "normal_dir": "train/good",
        "normal_test_dir": "test/good" if (root / "test/good").is_dir() else None,
        "abnormal_dir": [f"test/{kind}" for kind in kinds] or None,
        "mask_dir": [f"ground_truth/{kind}" for kind in kinds] or None,
        "train_batch_size": 2,
        "eval_batch_size": 4,
        "num_workers": 0,
        "seed": 1,
    }
    return import_module("anomalib.data").Folder(**{**how, **changes})


QUIET = {"accelerator": "cpu", "devices": 1, "logger": False, "enable_progress_bar": False, "enable_model_summary": False}


def engine_at(path):
    return import_module("anomalib.engine").Engine(default_root_dir=path, max_epochs=1, **QUIET)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Twelve normal pictures and nothing else."""
    root = tmp_path_factory.mktemp("good")
    for number in range(12):
        write_image(root / f"train/good/{number:02d}.png", product("plate", number, (64, 64)).image)
    return root


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """A dataset of ours where anomalib's ``MVTecAD`` looks for one; of real bottles, where they are here."""
    bottles = REAL / "mvtec_bottle/train/good"
    images = str(bottles) if bottles.is_dir() else "builtin:plate"
    out = tmp_path_factory.mktemp("rendered") / "bottle"
    recipe = load_recipe("industrial").with_settings(["normal_fraction=0.5"])
    render(Job(images=images, count=24, seed=2, size=(64, 64), train_fraction=0.08), recipe, out)
    assert not verify(out).problems
    return out


def model_of_lite(monkeypatch):
    """PatchCore on EfficientNet-Lite0, whose weights are a file."""
    if not WEIGHTS.is_file():
        pytest.skip(f"the weights {WEIGHTS} are not here")
    registry = import_module("timm.models._registry")
    for full, config in registry._model_pretrained_cfgs.items():
        if full.split(".")[0] == LITE:
            for name, value in {"file": str(WEIGHTS), "hf_hub_id": None, "url": None}.items():
                monkeypatch.setattr(config, name, value)
    models = import_module("anomalib.models")
    return models.Patchcore(
        backbone=LITE,
        layers=["blocks.2", "blocks.4"],
        coreset_sampling_ratio=0.05,
        pre_processor=models.Patchcore.configure_pre_processor((64, 64)),
        visualizer=False,
    )


@quiet
def test_draem_takes_a_training_step_with_our_generator(host, good, tmp_path):
    kind = import_module("anomalib.models").Draem
    model = kind(
        dtd_dir=tmp_path,  # a folder that is there: without one it downloads textures that it would not use
        pre_processor=kind.configure_pre_processor((64, 64)),
        evaluator=False,
        visualizer=False,
    )
    seen = []

    class Watched(AnomalyGenerator):
        """Remembers what it was given, and what it gave."""

        def forward(self, img):
            seen.append((img, *super().forward(img)))
            return seen[-1][1:]

    model.augmenter = Watched(BatchSynthesizer(**RECIPE), probability=1.0)
    before = [parameter.detach().clone() for parameter in model.model.parameters()]
    trainer = import_module("lightning.pytorch").Trainer(  # not its Engine, which writes a checkpoint of more than a gigabyte
        default_root_dir=tmp_path, max_steps=1, limit_val_batches=0, enable_checkpointing=False, **QUIET
    )
    trainer.fit(model, folder_of(good, test_split_mode="none", val_split_mode="none"))
    assert trainer.global_step == 1 == len(seen)
    assert any(not torch.equal(one, other) for one, other in zip(before, model.model.parameters(), strict=True))
    for given, augmented, masks in seen:
        assert given.shape == augmented.shape == (2, 3, 64, 64) and masks.shape == (2, 1, 64, 64)
        assert masks.flatten(1).any(1).all() and not torch.equal(given, augmented)


@quiet
@pytest.mark.parametrize("module", ["Folder", "MVTecAD"])
def test_data_modules_read_a_rendered_dataset_with_every_mask_at_its_picture(module, host, rendered, tmp_path):
    if module == "Folder":
        data = folder_of(rendered, val_split_mode="none")
    else:
        read_by = import_module("anomalib.data").MVTecAD
        data = read_by(root=rendered.parent, category=rendered.name, num_workers=0, val_split_mode="none")
        data.prepare_data()
    data.setup()
    labelled = {str(found.image): found for found in read_mvtec(rendered)}
    read = []
    for split, subset in (("train", data.train_data), ("test", data.test_data)):
        for item in subset:
            found = labelled[item.image_path]
            assert found.split == split and int(item.gt_label) == int(found.mask is not None)
            image = read_image(found.image)
            assert np.array_equal((item.image.numpy() * 255).round().astype(np.uint8), image.transpose(2, 0, 1))
            mask = np.zeros(image.shape[:2], np.uint8) if found.mask is None else read_mask(found.mask)
            assert item.gt_mask is not None and np.array_equal(item.gt_mask.numpy() > 0, mask > 0)
            read.append(item.image_path)
    assert sorted(read) == sorted(labelled) and any(found.mask for found in labelled.values())


@quiet
def test_patchcore_fits_and_predicts_a_rendered_dataset(host, rendered, tmp_path, monkeypatch):
    model, data = model_of_lite(monkeypatch), folder_of(rendered, val_split_mode="same_as_test")
    engine = engine_at(tmp_path)
    engine.fit(model=model, datamodule=data)
    batches = engine.predict(model=model, datamodule=data)
    maps = torch.cat([batch.anomaly_map.flatten(0, -3) for batch in batches])
    assert maps.shape == (len(data.test_data), 64, 64) and maps.isfinite().all()
    labels, scores = (torch.cat([getattr(batch, name) for batch in batches]) for name in ("gt_label", "pred_score"))
    assert set(labels.tolist()) == {0, 1} and scores.isfinite().all()


# --- splits --------------------------------------------------------------------------------------------------------------


def split_of(data, name):
    """Pictures and labels of a split."""
    samples = getattr(data, f"{name}_data").samples
    return dict(zip(samples.image_path.astype(str), samples.label_index.tolist(), strict=True))


def check_items(data, folder, name):
    """Every item is what its row says; painted ones are the synthesizer's samples of the pictures that are sorted so."""
    for item in getattr(data, f"{name}_data"):
        assert item.gt_mask.shape == item.image.shape[1:]
        assert bool(item.gt_mask.any()) == bool(item.gt_label) == Path(item.image_path).is_relative_to(folder)


@quiet
def test_a_module_without_test_pictures_gives_some_of_its_training_pictures(host, good, tmp_path):
    data = folder_of(good, test_split_mode="none", val_split_mode="none")
    synthetic_split(data, SYNTHESIZER, tmp_path / "synthetic", held_out=0.5)
    splits = {name: split_of(data, name) for name in ("train", "val", "test")}
    assert {name: (len(found), sum(found.values())) for name, found in splits.items()} == {
        "train": (6, 0),
        "val": (3, 2),
        "test": (3, 2),
    }
    held = [f"{number:02d}.png" for number in (1, 3, 5, 7, 9, 11)]
    assert sorted(Path(path).name for path in splits["train"]) == [f"{number:02d}.png" for number in range(0, 12, 2)]
    for place, name in enumerate(("val", "test")):
        check_items(data, tmp_path / "synthetic", name)
        for path in (Path(path) for path, label in splits[name].items() if label):
            position = int(path.stem.removeprefix("synthetic_"))
            expected = SYNTHESIZER(read_image(good / "train/good" / held[position]), index=position)
            assert position % 2 == place and np.array_equal(read_image(path), expected.image)
            masks = list((tmp_path / "synthetic/ground_truth").rglob(f"{path.stem}_mask.png"))
            assert len(masks) == 1 and np.array_equal(read_mask(masks[0]), expected.mask)


@quiet
def test_the_normal_test_pictures_are_shared_and_training_stays(host, rendered, tmp_path):
    plain = folder_of(rendered)
    plain.setup()
    normal = {path for name in ("val", "test") for path, label in split_of(plain, name).items() if not label}
    trained = split_of(plain, "train")
    found = []
    for module, folder in ((plain, "a"), (folder_of(rendered), "b")):
        synthetic_split(module, SYNTHESIZER, tmp_path / folder)
        assert split_of(module, "train") == trained
        val, test = split_of(module, "val"), split_of(module, "test")
        assert len(val) + len(test) == len(normal) and not set(val) & set(test)
        assert {path for split in (val, test) for path, label in split.items() if not label} < normal
        assert all(0 < sum(split.values()) < len(split) for split in (val, test))
        written = {path.relative_to(tmp_path / folder): path.read_bytes() for path in (tmp_path / folder).rglob("*.png")}
        found.append((written, [sorted(Path(path).name for path in split) for split in (val, test)]))
    assert found[0] == found[1] and len(found[0][0]) == 2 * sum(sum(split.values()) for split in (val, test))


@quiet
@pytest.mark.parametrize("which", ["val", ["test"]])
def test_one_split_shares_no_picture_with_those_that_stay(which, host, rendered, tmp_path):
    data = folder_of(rendered, val_split_mode="same_as_test")
    data.setup()
    before = {name: split_of(data, name) for name in ("train", "val", "test")}
    synthetic_split(data, SYNTHESIZER, tmp_path, which=which, anomalous_fraction=1.0)
    new, kept = ("val", "test") if which == "val" else ("test", "val")
    assert split_of(data, kept) == before[kept]
    assert set(split_of(data, new).values()) == {1}
    assert set(split_of(data, "train")) < set(before["train"])
    assert len(split_of(data, new)) == len(before["train"]) - len(split_of(data, "train"))


@quiet
def test_the_trainer_keeps_the_splits_and_the_engine_tests_them(host, good, tmp_path, monkeypatch):
    model, data = model_of_lite(monkeypatch), folder_of(good)
    synthetic_split(data, SYNTHESIZER, tmp_path / "synthetic", held_out=0.5)
    before = {name: split_of(data, name) for name in ("train", "val", "test")}
    engine = engine_at(tmp_path)
    engine.fit(model=model, datamodule=data)
    (found,) = engine.test(model=model, datamodule=data)
    assert {name: split_of(data, name) for name in before} == before
    assert {"image_AUROC", "pixel_AUROC"} <= set(found) and all(0.0 <= value <= 1.0 for value in found.values())


@quiet
@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"which": "train"}, "which is 'train': give 'val' or 'test', or both"),
        ({"which": ()}, "which is"),
        ({"anomalous_fraction": 1.5}, "anomalous_fraction is 1.5"),
        ({"held_out": 1.0}, "12 of the 12 normal pictures in the training split are to be held out"),
        ({"held_out": -1}, "held_out is -1"),
    ],
)
def test_splits_that_cannot_be_are_refused(how, said, host, good, tmp_path):
    data = folder_of(good, test_split_mode="none", val_split_mode="none")
    with pytest.raises(InputError, match=said):
        synthetic_split(data, SYNTHESIZER, tmp_path, **how)
    assert not any(tmp_path.iterdir())


@quiet
def test_folders_and_modules_that_cannot_be_are_refused(host, good, tmp_path):
    for folder in (good, good / "train/good", good / "train/good/synthetic"):
        with pytest.raises(InputError, match="lies among them: give a folder of its own"):
            synthetic_split(folder_of(good), SYNTHESIZER, folder)
    with pytest.raises(InputError, match="datamodule is a PosixPath: give one of anomalib's"):
        synthetic_split(good, SYNTHESIZER, tmp_path)
    with pytest.raises(InputError, match="synthesizer is a BatchSynthesizer: give an AnomalySynthesizer"):
        synthetic_split(folder_of(good), BatchSynthesizer(**RECIPE), tmp_path)


@quiet
def test_the_example(host, tmp_path, monkeypatch):
    path = Path(__file__).parents[1] / "examples/in_anomalib.py"
    spec = spec_from_file_location("example_in_anomalib", path)
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    found = module.main(tmp_path)
    assert {"image_AUROC", "pixel_AUROC"} <= set(found)
