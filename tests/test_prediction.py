"""A trained detector in use: any picture goes in, runtimes agree, runs that are broken are refused, bad files are reported."""

from __future__ import annotations

import csv
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import DTYPES, picture
from hypothesis import given, settings
from hypothesis import strategies as st

from defectsynth.errors import ImageError, InputError
from defectsynth.files import read_image, read_mask, write_image
from lkad_models import LKAD, LKADConfig, load
from lkad_models import export as exporting
from lkad_models.export import Exported, export, traceable_scores
from lkad_models.overlays import heat, overlay
from lkad_models.prediction import SCORES_FILE, predict_folder
from lkad_models.run import CONFIG, THRESHOLD, WEIGHTS, save_run
from lkad_models.runtimes import ONNX_FILE
from lkad_models.scoring import image_scores
from lkad_models.thresholds import Calibration, Limit, detector_hash, read_calibration, write_calibration


def save_tiny(folder: Path, *, channels: int = 3, resize: tuple[int, int] = (64, 64), seed: int = 0) -> Path:
    torch.manual_seed(seed)
    save_run(folder, LKAD(LKADConfig(size="tiny", channels=channels, image_size=64)), resize, {})
    return folder


def set_thresholds(run: Path, image: float, pixel: float) -> None:
    limits = (Limit(threshold=value, alarms=0, promised=0.05) for value in (image, pixel))
    first, second = limits
    write_calibration(
        run,
        Calibration(
            detector=detector_hash(run), fpr=0.05, confidence=0.95, normals=60, image=first, pixel=second, background=0.0
        ),
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("run"), resize=(70, 100))


@pytest.fixture(scope="module")
def exported(run: Path) -> dict[str, Exported]:
    """Both formats of one program: tracing takes longest, and is done once."""
    original, programs = exporting._traced, {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            exporting, "_traced", lambda *given: programs[0] if programs else programs.setdefault(0, original(*given))
        )
        return {"onnx": export(run), "torch": export(run, "torch")}


# --- one picture ------------------------------------------------------------------------------------------------------------


@settings(max_examples=15)
@given(
    st.integers(1, 120),
    st.integers(1, 120),
    st.sampled_from([None, 1, 2, 3, 4, 6]),
    st.sampled_from(DTYPES),
)
def test_any_picture_goes_in(run, height, width, channels, dtype):
    image = picture((height, width) if channels is None else (height, width, channels), dtype)
    kept = image.copy()
    found = cached(run)(image)
    assert found.anomaly_map.shape == (height, width) and found.anomaly_map.dtype == np.float32
    assert 0.0 <= found.anomaly_map.min() <= found.anomaly_map.max() <= 1.0
    assert 0.0 <= found.score <= 1.0
    assert found.mask is None and found.is_anomalous is None
    assert found.reconstruction.shape == (70, 100, 3)
    assert (image == kept).all()


_KEPT: dict[Path, object] = {}


def cached(run: Path):
    if run not in _KEPT:
        _KEPT[run] = load(run)
    return _KEPT[run]


def test_a_batch_says_what_each_picture_says(run):
    images = [picture((40, 60, 3), seed=1), picture((90, 30), np.uint16, seed=2), picture((64, 64, 3), np.float32, seed=3)]
    detector = cached(run)
    for one, image in zip(detector.predict(images), images, strict=True):
        alone = detector(image)
        assert one.score == pytest.approx(alone.score, abs=1e-5)
        assert np.allclose(one.anomaly_map, alone.anomaly_map, atol=1e-5)
    assert detector.predict([]) == []


def test_it_is_the_detector_that_was_saved(run):
    torch.manual_seed(0)
    model = LKAD(LKADConfig(size="tiny", image_size=64)).eval()
    image = picture((70, 100, 3))
    with torch.no_grad():
        expected = model(torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32) / 255)[None])
    found = cached(run)(image)
    assert found.score == pytest.approx(float(expected.image_score), abs=1e-5)
    assert np.allclose(found.anomaly_map, expected.anomaly_map[0].numpy(), atol=1e-5)
    assert np.allclose(found.reconstruction, expected.reconstruction[0].permute(1, 2, 0).numpy(), atol=1e-5)


@pytest.mark.parametrize("image", [np.zeros((4, 4)), np.zeros((0, 4, 3), np.uint8), np.full((4, 4), 2.0, np.float32), [[1]]])
def test_what_is_no_picture_is_refused(run, image):
    with pytest.raises(ImageError):
        cached(run)(image)


def test_thresholds_are_used_where_there_are_any(tmp_path):
    run = save_tiny(tmp_path / "run")
    image = picture((50, 80, 3))
    plain = load(run)(image)
    middle = float(np.median(plain.anomaly_map))
    set_thresholds(run, plain.score, middle)
    found = load(run)(image)
    assert found.is_anomalous is True
    assert (found.mask == np.where(plain.anomaly_map >= np.float32(middle), 255, 0)).all()
    set_thresholds(run, float(np.nextafter(np.float32(plain.score), np.float32(1))), 1.0)
    above = load(run)(image)
    assert above.is_anomalous is False and not above.mask.any()


# --- runs that are broken ---------------------------------------------------------------------------------------------------


def spoil(run: Path, how: str) -> None:
    if how == "no config":
        (run / CONFIG).unlink()
    elif how == "no weights":
        (run / WEIGHTS).unlink()
    elif how == "half of the weights":
        (run / WEIGHTS).write_bytes((run / WEIGHTS).read_bytes()[:1000])
    elif how == "pickled weights":
        (run / WEIGHTS).write_bytes(pickle.dumps({"weight": [1.0]}))
    elif how == "other size":
        config = json.loads((run / CONFIG).read_text())
        config["model"]["size"] = "small"
        (run / CONFIG).write_text(json.dumps(config))
    elif how == "config is no JSON":
        (run / CONFIG).write_text("{")
    elif how == "thresholds are no JSON":
        (run / THRESHOLD).write_text("{")
    elif how == "thresholds of other weights":
        set_thresholds(run, 0.5, 0.5)
        save_tiny(run, seed=5)
    elif how == "thresholds of another score":
        set_thresholds(run, 0.5, 0.5)
        config = json.loads((run / CONFIG).read_text())
        config["model"]["score_window"] = 5
        (run / CONFIG).write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("no config", "is no run"),
        ("no weights", "has no weights.safetensors"),
        ("half of the weights", "damaged"),
        ("pickled weights", "pickled weights are not read"),
        ("other size", "of another detector"),
        ("config is no JSON", "config.json.*cannot be read"),
        ("thresholds are no JSON", "threshold.json.*cannot be read"),
        ("thresholds of other weights", "made for other weights"),
        ("thresholds of another score", "or another score"),
    ],
)
def test_a_broken_run_is_refused_with_the_reason(tmp_path, how, said):
    run = save_tiny(tmp_path / "run")
    spoil(run, how)
    with pytest.raises(InputError, match=said):
        load(run)


def test_a_device_that_is_not_there_is_refused(run):
    with pytest.raises(InputError, match="cannot be used"):
        load(run, device="nonsense")


def test_thresholds_survive_the_disk(tmp_path):
    run = save_tiny(tmp_path / "run")
    assert read_calibration(run) is None
    set_thresholds(run, float(np.float32(0.1)), float(np.nextafter(np.float32(0), np.float32(1))))
    found = read_calibration(run)
    assert np.float32(found.image.threshold) == np.float32(0.1)
    assert found.pixel.threshold > 0


# --- a folder ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path) -> Path:
    for number in range(5):
        write_image(tmp_path / "in" / f"line{number % 2}" / f"{number}.png", picture((30 + number, 40, 3), seed=number))
    write_image(tmp_path / "in" / "line0" / "0.jpg", picture((20, 20), seed=9))
    write_image(tmp_path / "in" / "alpha.png", picture((20, 30, 4), seed=10))
    (tmp_path / "in" / "torn.png").write_bytes((tmp_path / "in" / "alpha.png").read_bytes()[:60])
    (tmp_path / "in" / "text.jpg").write_text("no picture")
    (tmp_path / "in" / "notes.txt").write_text("not looked at")
    return tmp_path / "in"


def test_a_folder_is_predicted_and_bad_files_are_reported(tmp_path, folder):
    run = save_tiny(tmp_path / "run")
    set_thresholds(run, 0.0, 0.5)
    seen = []
    found = predict_folder(load(run), folder, tmp_path / "out", batch_size=3, progress=lambda *now: seen.append(now))
    assert (found.pictures, found.anomalous) == (7, 7)
    assert [one.name for one in found.skipped] == ["text.jpg", "torn.png"]
    assert seen == [(3, 9), (6, 9), (9, 9)]
    with (found.out / SCORES_FILE).open() as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert len(rows) == 9
    assert rows["torn.png"]["score"] == "" and "torn.png" in rows["torn.png"]["error"]
    detector = load(run)
    for name, file in (("line1/1.png", "line1/1.png"), ("line0/0.jpg", "line0/0.jpg.png"), ("line0/0.png", "line0/0.png.png")):
        image = read_image(folder / name)
        alone = detector(image)
        assert float(rows[name]["score"]) == pytest.approx(alone.score, rel=1e-4)
        assert rows[name]["anomalous"] == "1"
        mask = read_mask(found.out / "masks" / file)
        assert (mask != alone.mask).mean() < 0.01  # a batch may differ in a float's last bit
        assert read_image(found.out / "overlays" / file).shape == (*image.shape[:2], 3)
    assert not list(tmp_path.rglob("*.tmp"))


def test_without_thresholds_there_are_scores_and_no_verdicts(run, folder, tmp_path):
    found = predict_folder(cached(run), folder, tmp_path / "out", overlays=False)
    assert found.anomalous is None
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [SCORES_FILE]


def test_results_are_never_read_as_pictures(run, folder):
    with pytest.raises(InputError, match="outside"):
        predict_folder(cached(run), folder, folder / "out")
    with pytest.raises(ImageError, match="does not exist"):
        predict_folder(cached(run), folder / "none", folder.parent / "out")


def test_heat_is_nothing_where_the_map_is_nothing():
    image = picture((30, 40, 3))
    assert (overlay(image, np.zeros((30, 40), np.float32)) == image).all()
    field = np.linspace(0, 1, 1200, dtype=np.float32).reshape(30, 40)
    assert len(np.unique(heat(field).reshape(-1, 3), axis=0)) > 200
    mask = np.zeros((30, 40), np.uint8)
    mask[5:20, 5:30] = 255
    assert (overlay(image, np.zeros((30, 40), np.float32), mask, mask)[5, 5:30] == 255).all()


# --- exported ---------------------------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(st.integers(1, 90), st.integers(1, 300), st.sampled_from(["max", "top_k"]), st.sampled_from([1, 5, 21]))
def test_scores_that_can_be_traced_are_the_scores(height, width, method, window):
    maps = torch.rand(2, height, width, generator=torch.Generator().manual_seed(height))
    assert torch.allclose(traceable_scores(maps, method, window), image_scores(maps, method, window), atol=1e-5)


def test_exported_files_say_what_torch_says(run, exported):
    for name, one in exported.items():
        assert one.difference <= 1e-4, name
        assert one.path.stat().st_size == one.size
    detector, other = cached(run), load(run, runtime="onnx")
    images = [picture((33, 57, 3), seed=1), picture((120, 40, 3), seed=2), picture((80, 90), seed=3)]
    for first, second in zip(detector.predict(images), other.predict(images), strict=True):
        assert first.score == pytest.approx(second.score, abs=1e-4)
        assert np.allclose(first.anomaly_map, second.anomaly_map, atol=1e-4)
        assert np.allclose(first.reconstruction, second.reconstruction, atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 64, 160), (2, 256, 96)])
def test_an_exported_file_takes_any_batch_and_size(run, exported, shape):
    import onnx
    import onnxruntime

    graph = onnx.load(exported["onnx"].path).graph
    large = [node for node in graph.node if node.op_type == "Conv" and attribute(node, "kernel_shape", [1])[0] >= 13]
    assert large and all(attribute(node, "group", 1) > 1 for node in large)  # a plain depthwise convolution
    assert [side.dim_param for side in graph.input[0].type.tensor_type.shape.dim] == ["batch", "", "height", "width"]
    count, height, width = shape
    images = torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(1))
    session = onnxruntime.InferenceSession(exported["onnx"].path)
    maps, scores, reconstructions = session.run(None, {"image": images.numpy()})
    torch.manual_seed(0)
    with torch.no_grad():
        expected = LKAD(LKADConfig(size="tiny", image_size=64)).eval()(images)
    assert np.allclose(maps, expected.anomaly_map.numpy(), atol=1e-4)
    assert np.allclose(scores, expected.image_score.numpy(), atol=1e-4)
    assert np.allclose(reconstructions, expected.reconstruction.numpy(), atol=1e-4)


def attribute(node, name: str, otherwise):
    import onnx

    found = [one for one in node.attribute if one.name == name]
    return onnx.helper.get_attribute_value(found[0]) if found else otherwise


def test_an_exported_file_of_other_weights_is_refused(run, exported, tmp_path):
    other = save_tiny(tmp_path / "run", resize=(70, 100), seed=3)
    with pytest.raises(InputError, match="lkad export"):
        load(other, runtime="onnx")
    (other / ONNX_FILE).write_bytes((run / ONNX_FILE).read_bytes())
    with pytest.raises(InputError, match="other weights"):
        load(other, runtime="onnx")
    (other / ONNX_FILE).write_bytes(b"torn")
    with pytest.raises(InputError, match="cannot be read"):
        load(other, runtime="onnx")
