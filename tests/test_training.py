"""Training: the stream of samples, exact resumption, what a run leaves on disk, and what is said when it cannot go on."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from conftest import picture
from hypothesis import given, settings
from hypothesis import strategies as st

from defectsynth import load_recipe
from defectsynth.errors import DefectSynthError, InputError, RegionError, SourceError
from defectsynth.files import write_image
from defectsynth.rng import Draws
from lkad_models import LKADConfig
from lkad_models.data import EpochNumbers, NormalPictures, TrainingSamples, channels_of, cut_of, held_out, normal_files
from lkad_models.learner import Learner, TrainingError, one_cycle, paper_steps
from lkad_models.painter import Painter
from lkad_models.run import CONFIG, WEIGHTS, load_model, save_run
from lkad_models.stream import Stream
from lkad_models.training import train
from lkad_models.training_config import TrainingConfig

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*LeafSpec.*:FutureWarning",  # of Lightning, about torch
    "ignore::lightning.pytorch.utilities.warnings.PossibleUserWarning",
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for number in range(8):
        path = folder / "train" / "good" / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, picture((40, 50, 3), seed=number))
    return folder


def config_of(data, out, **changes) -> TrainingConfig:
    values = {
        "data": data,
        "out": out,
        "recipe": "draem-code",
        "textures": "builtin:rust",
        "model": LKADConfig(size="tiny", image_size=32),
        "max_steps": 4,
        "epoch_steps": 2,
        "batch_size": 2,
        "accelerator": "cpu",
        "progress": False,
    }
    return TrainingConfig(**{**values, **changes})


def state_of(folder):
    return load_model(folder)[0].state_dict()


# --- samples ------------------------------------------------------------------------------------------------------------


def test_no_two_epochs_or_processes_share_a_sample_and_none_is_left_out():
    numbers = [
        number for epoch in range(3) for rank in range(2) for batch in EpochNumbers(epoch, 4, 5, rank, 2) for number in batch
    ]
    assert sorted(numbers) == list(range(3 * 4 * 5 * 2))


def test_what_is_held_out_is_not_learned_and_the_same_again(data):
    files = normal_files(data)
    learned, kept = held_out(files, 0.25, 7)
    assert sorted(learned + kept) == files
    assert len(kept) == 2
    assert held_out(files, 0.25, 7) == (learned, kept)
    assert {tuple(held_out(files, 0.25, seed)[1]) for seed in range(6)} != {tuple(kept)}


def test_every_picture_comes_once_in_each_turn_and_a_number_always_shows_the_same(data):
    pictures = NormalPictures(normal_files(data), (24, 32), 3)
    samples = TrainingSamples(pictures, 3, rotation=0.0)
    for turn in range(2):
        shown = {samples[8 * turn + place][0].numpy().tobytes() for place in range(8)}
        assert len(shown) == 8
    turned = TrainingSamples(pictures, 3, share_turned=1.0)
    for number in (0, 5, 31):
        image, region, own = turned[number]
        assert region.shape == (24, 32) and bool(region.all())
        assert (own, image.shape, image.dtype) == (number, (3, 24, 32), torch.uint8)
        assert torch.equal(image, turned[number][0])
        assert not torch.equal(image, samples[number][0])


def test_squares_are_cut_where_a_defect_may_lie(data):
    pictures = NormalPictures(normal_files(data), (24, 32), 3)
    samples = TrainingSamples(pictures, 3, rotation=0.0, crop=16)
    whole = TrainingSamples(pictures, 3, rotation=0.0)
    places = set()
    for number in range(40):
        image, region, _ = samples[number]
        assert image.shape == (3, 16, 16) and region.shape == (16, 16)
        assert torch.equal(image, samples[number][0])
        windows = whole[number][0].unfold(1, 16, 1).unfold(2, 16, 1)
        same = (windows == image[:, None, None]).flatten(3).all(3).all(0)
        places.add(tuple(same.nonzero()[0].tolist()))
    rows, columns = ({place[axis] for place in places} for axis in (0, 1))
    assert {0, 8} <= rows and {0, 16} <= columns and len(rows) > 4 and len(columns) > 6


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32))
def test_a_square_lies_in_the_picture_and_holds_some_of_the_region(height, width, side, seed):
    side = min(side, height, width)
    region = np.zeros((height, width), np.uint8)
    region[seed % height, seed % width] = 255
    cut = region[cut_of(region, side, Draws(seed, 0, "picture."))]
    assert cut.shape == (side, side) and cut.any()


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_pictures_get_the_channels_that_are_asked_for(data, channels):
    image, region, _ = TrainingSamples(NormalPictures(normal_files(data), (16, 16), channels), 0, share_turned=1.0)[1]
    assert image.shape == (channels, 16, 16)
    assert region.shape == (16, 16)


def test_grey_pictures_are_known_as_such_however_they_are_kept(tmp_path):
    grey, colours = picture((20, 20, 1)), picture((20, 20, 3))
    files = [tmp_path / name for name in ("one.png", "three.png", "alpha.png", "colours.png")]
    for file, image in zip(
        files, (grey[:, :, 0], np.repeat(grey, 3, 2), np.concatenate([np.repeat(grey, 3, 2), grey], 2), colours), strict=True
    ):
        write_image(file, image)
    assert channels_of(files[:3]) == 1
    assert channels_of(files) == 3


def test_defects_lie_on_the_part_even_where_its_picture_is_turned(tmp_path):
    for number in range(4):
        image = np.full((96, 96, 3), 240, np.uint8)
        image[30:66, 38 - number : 60] = (60, 70, 80)
        write_image(tmp_path / f"{number}.png", image)
    recipe = load_recipe("scratch")
    pictures = NormalPictures(sorted(tmp_path.iterdir()), (96, 96), 3, recipe.foreground)
    pictures.check_regions()
    samples = TrainingSamples(pictures, 0, share_turned=1.0)
    stream = Stream(recipe, seed=2)
    images, regions, numbers = (
        torch.stack([torch.as_tensor(one) for one in part]) for part in zip(*map(samples.__getitem__, range(6)), strict=True)
    )
    dark = images.float().mean(1) < 150
    assert (dark == (regions > 0)).float().mean() > 0.97
    painted = stream(images, regions, numbers)
    assert painted.masks.flatten(1).amax(1).all()
    assert torch.equal((painted.masks[:, 0] > 0) & (regions == 0), torch.zeros_like(regions, dtype=torch.bool))


def test_pictures_whose_foreground_is_not_certain_are_named_before_training(tmp_path, data):
    config = config_of(data, tmp_path / "run", recipe="scratch", settings=("foreground.min_confidence=1.0",))
    with pytest.raises(RegionError, match=r"of 6 normal pictures is not certain \(.*1 more\).*fallback=whole_picture"):
        train(config)


def test_half_of_what_is_learned_from_is_good_even_where_a_recipe_paints_everything():
    recipe = load_recipe("scratch")
    assert recipe.normal_fraction == 0.0
    painter = Painter("scratch")
    images, regions = torch.full((64, 3, 32, 32), 128, dtype=torch.uint8), torch.full((64, 32, 32), 255, dtype=torch.uint8)
    painted = painter.stream(0, "cpu")(images, regions, torch.arange(64))
    assert 16 <= int(painted.masks.flatten(1).amax(1).sum()) <= 48


@pytest.mark.parametrize("recipe", ["draem-code", "industrial"])
def test_the_stream_changes_nothing_outside_its_masks(data, recipe):
    stream = Stream(load_recipe(recipe), textures="builtin:rust", seed=2)
    assert stream.painter.startswith("in batches") == (recipe == "draem-code")
    samples = TrainingSamples(NormalPictures(normal_files(data), (64, 64), 3), 0)
    images, numbers = torch.stack([samples[number][0] for number in range(6)]), torch.arange(6)
    regions = torch.full((6, 64, 64), 255, dtype=torch.uint8)
    painted = stream(images, regions, numbers)
    assert torch.equal(painted.normal, images.float() / 255)
    outside = (painted.masks == 0).expand_as(painted.images)
    assert torch.equal(painted.images[outside], painted.normal[outside])
    assert painted.masks.any()
    assert torch.equal(painted.defect_maps > 0, painted.masks > 0)
    again = stream(images[3:], regions[3:], numbers[3:])
    assert torch.equal(again.images, painted.images[3:])


# --- training -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    return train(config_of(data, tmp_path_factory.mktemp("runs") / "whole"))


def test_a_run_leaves_weights_configuration_logs_sheets_and_a_checkpoint(run):
    assert (run / "checkpoints" / "last.ckpt").is_file()
    assert (run / "logs" / "0" / "metrics.csv").is_file()
    assert sorted(path.name for path in (run / "sheets").iterdir()) == ["step_000002.png", "step_000004.png"]
    model, config = load_model(run)
    assert config.resize == (32, 32)
    assert config.training["steps"] == 4
    assert not model.training
    assert model(torch.rand(1, 3, 32, 32)).anomaly_map.shape == (1, 32, 32)


def test_a_detector_that_learned_from_squares_sees_whole_pictures(data, tmp_path):
    folder = train(config_of(data, tmp_path / "run", picture_size=64, max_steps=2))
    model, config = load_model(folder)
    assert config.resize == (64, 64) and config.training["picture_size"] == 64
    assert model.config.image_size == 32
    with pytest.raises(ValueError, match="squares of 32 pixels cannot be cut"):
        config_of(data, tmp_path, picture_size=31)


def test_a_run_that_was_killed_and_resumed_is_the_same_run(run, data, tmp_path, monkeypatch):
    step = Learner.training_step

    def killed(self, batch, number):
        if self.global_step == 3:
            raise KeyboardInterrupt
        return step(self, batch, number)

    monkeypatch.setattr(Learner, "training_step", killed)
    config = config_of(data, tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        train(config)
    monkeypatch.setattr(Learner, "training_step", step)
    assert (tmp_path / "run" / WEIGHTS).is_file()
    train(config, resume=True)
    whole, resumed = state_of(run), state_of(tmp_path / "run")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_the_same_seed_trains_the_same_detector_and_another_one_another(run, data, tmp_path):
    again, other = train(config_of(data, tmp_path / "a")), train(config_of(data, tmp_path / "b", seed=1))
    whole, same, different = state_of(run), state_of(again), state_of(other)
    assert all(torch.equal(whole[name], same[name]) for name in whole)
    assert not all(torch.equal(whole[name], different[name]) for name in whole)


def test_a_loss_that_is_no_number_ends_training_and_says_what_to_do(data, tmp_path, monkeypatch):
    monkeypatch.setattr("lkad_models.learner.reconstruction_loss", lambda *_: torch.tensor(float("nan")))
    with pytest.raises(TrainingError, match=r"nan at step 0: lower --learning-rate"):
        train(config_of(data, tmp_path / "run"))
    assert not (tmp_path / "run" / WEIGHTS).exists()


def test_too_little_memory_names_what_to_lower(data, tmp_path, monkeypatch):
    def full(self, batch, number):
        raise MemoryError("out of memory")

    monkeypatch.setattr(Learner, "training_step", full)
    with pytest.raises(TrainingError, match="lower --batch-size"):
        train(config_of(data, tmp_path / "run"))


def test_a_run_is_not_written_over_and_nothing_is_resumed_that_is_not_there(run, data, tmp_path):
    with pytest.raises(InputError, match="--resume"):
        train(config_of(data, run))
    with pytest.raises(InputError, match="no checkpoint"):
        train(config_of(data, tmp_path / "new"), resume=True)


def test_data_that_cannot_be_learned_from(data, tmp_path):
    with pytest.raises(InputError, match="train/good"):
        train(config_of(tmp_path, tmp_path / "run"))
    write_image(tmp_path / "train" / "good" / "0.png", picture((20, 20, 3)))
    with pytest.raises(InputError, match="too few"):
        train(config_of(tmp_path, tmp_path / "run"))
    with pytest.raises(SourceError, match="nowhere"):
        train(config_of(data, tmp_path / "run", textures=str(tmp_path / "nowhere")))


def test_what_is_not_there_is_said_before_training(data, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for changes, said in (
        ({"accelerator": "cuda"}, "1 GPUs are asked for and 0 are there"),
        ({"textures": "/nowhere"}, "texture folder '/nowhere' does not exist"),
        ({"recipe": "peng2024"}, "draws from defects and none were given"),
        ({"model": LKADConfig(size="tiny", image_size=32, backbone="nothing")}, "none of timm's networks"),
    ):
        with pytest.raises(DefectSynthError, match=said):
            train(config_of(data, tmp_path / "run", **changes))
        assert not list(tmp_path.rglob("*.ckpt")) and not list(tmp_path.rglob("metrics.csv"))


def test_the_schedules():
    assert one_cycle(0.1) == pytest.approx(1.0)
    assert one_cycle(1.0) == one_cycle(7.0) == pytest.approx(0.0)
    assert 0 < one_cycle(0.0) < one_cycle(0.05) < 1
    assert [round(paper_steps(epoch), 6) for epoch in (0, 399.9, 400, 600, 700)] == [1, 1, 0.1, 0.01, 0.01]


# --- a run on disk ------------------------------------------------------------------------------------------------------


def test_runs_that_cannot_be_loaded_say_why(run, tmp_path):
    with pytest.raises(InputError, match=r"no config\.json"):
        load_model(tmp_path)
    model, config = load_model(run)
    save_run(tmp_path, model, (32, 32), {})
    (tmp_path / WEIGHTS).unlink()
    with pytest.raises(InputError, match=WEIGHTS):
        load_model(tmp_path)
    torch.save(model.state_dict(), tmp_path / WEIGHTS)
    with pytest.raises(InputError, match="pickled weights are not read"):
        load_model(tmp_path)
    save_run(tmp_path, model, (32, 32), {})
    broken = json.loads((tmp_path / CONFIG).read_text())
    broken["model"]["channels"] = 5
    (tmp_path / CONFIG).write_text(json.dumps(broken))
    with pytest.raises(InputError, match="another detector"):
        load_model(tmp_path)
    (tmp_path / CONFIG).write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        load_model(tmp_path)
    assert np.isfinite(float(model(torch.rand(1, 3, 20, 20)).image_score.detach()))
    assert config.model.size == "tiny"
