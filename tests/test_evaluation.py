"""Judging a run by a test set: metrics, report, thresholds and what they promise, and the commands."""

from __future__ import annotations

import base64
import doctest
import json
import re
from pathlib import Path

import numpy as np
import pytest
import typer
from conftest import picture
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score
from test_prediction import save_tiny, set_thresholds
from typer.testing import CliRunner

from defectsynth import rng
from defectsynth.errors import ImageError, InputError
from defectsynth.files import decode_image, read_image, read_mask, write_image
from defectsynth.formats.mvtec import mask_path, write_mvtec
from lkad_models import calibration, commands, load
from lkad_models.calibration import calibrate, limit_of, pictures_needed, promised_rate
from lkad_models.evaluation import evaluate, kinds_table, metrics_table, read_test_set
from lkad_models.painter import Painter
from lkad_models.report import write_report
from lkad_models.run import CONFIG, THRESHOLD
from lkad_models.svg import Axes, curve
from lkad_models.thresholds import read_calibration

SHAPES = [(40, 56), (64, 64), (50, 30)]


def write_data(root: Path, *, normals: int = 4, defects: int = 3) -> Path:
    """A test set whose pictures differ in size, with a bright bar as one kind of defect and a dark disc as another."""
    for number in range(normals):
        shape = SHAPES[number % 3]
        write_mvtec(root, "test", "good", f"{number:03d}", picture((*shape, 3), seed=number))
    for kind, value in (("bar", 255), ("spot", 0)):
        for number in range(defects):
            height, width = SHAPES[number % 3]
            image, mask = picture((height, width, 3), seed=50 + number), np.zeros((height, width), np.uint8)
            mask[height // 2 : height // 2 + 5, 4 : width - 6] = 255
            image[mask != 0] = value
            write_mvtec(root, "test", kind, f"{number:03d}", image, mask)
    return root


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


# --- evaluation -------------------------------------------------------------------------------------------------------------


def test_metrics_are_those_of_every_picture_at_its_own_size(run, data):
    detector, seen = load(run), []
    found = evaluate(detector, data, batch_size=4, resamples=50, progress=lambda *now: seen.append(now))
    assert seen == [(4, 10), (8, 10), (10, 10)]
    scores, labels, values, anomalous = [], [], [], []
    for file in read_test_set(data):
        image = read_image(file.image)
        alone = detector(image)
        mask = np.zeros(image.shape[:2], np.uint8) if file.mask is None else read_mask(file.mask)
        scores.append(alone.score)
        labels.append(file.mask is not None)
        values.append(alone.anomaly_map.ravel())
        anomalous.append(mask.ravel() > 0)
    overall = found.overall
    assert overall.image_auroc.value == pytest.approx(roc_auc_score(labels, scores), abs=1e-9)
    assert overall.image_ap.value == pytest.approx(average_precision_score(labels, scores), abs=1e-9)
    expected = roc_auc_score(np.concatenate(anomalous), np.concatenate(values))
    assert overall.pixel_auroc.value == pytest.approx(expected, abs=1e-3)  # a batch may differ in a float's last bit
    assert [one.name for one in found.pictures] == [file.image.relative_to(data).as_posix() for file in read_test_set(data)]
    assert list(found.kinds) == ["bar", "spot"]
    kept = [place for place, one in enumerate(found.pictures) if one.kind != "spot"]
    bar = roc_auc_score([labels[place] for place in kept], [scores[place] for place in kept])
    assert found.kinds["bar"].image_auroc.value == pytest.approx(bar, abs=1e-9)
    for metric in overall.named().values():
        assert 0.0 <= metric.low <= metric.high <= 1.0
    assert found.rates is None


def test_an_evaluation_as_json_and_as_tables(run, data):
    found = evaluate(run, data, resamples=0)
    said = json.loads(found.to_json())
    assert said["overall"]["aupro"] == {"value": found.overall.aupro.value, "low": None, "high": None}
    assert set(said["kinds"]) == {"bar", "spot"}
    assert len(said["pictures"]) == 10 and said["pictures"][0]["kind"] == "bar"
    assert metrics_table(found).row_count == 7
    assert kinds_table(found).row_count == 2


def test_what_a_test_set_lacks_is_not_defined(run, tmp_path):
    no_normals = evaluate(run, write_data(tmp_path / "a", normals=0), resamples=20)
    assert no_normals.overall.image_auroc.value is None
    assert no_normals.overall.pixel_auroc.value is not None and no_normals.overall.pixel_auroc.low is None
    no_defects = evaluate(run, write_data(tmp_path / "b", defects=0), resamples=20)
    assert all(metric.value is None for metric in no_defects.overall.named().values())
    unlabelled = write_data(tmp_path / "c")
    for kind in ("bar", "spot"):
        for path in (unlabelled / "ground_truth" / kind).iterdir():
            path.unlink()
        (unlabelled / "ground_truth" / kind).rmdir()
    (unlabelled / "ground_truth").rmdir()
    found = evaluate(run, unlabelled, resamples=20)
    assert found.overall.image_auroc.value is not None
    assert found.overall.aupro.value is None and found.pixels is None
    for one in (no_normals, no_defects, found):
        json.loads(one.to_json())
        assert metrics_table(one).row_count == 7
        write_report(one, load(run), tmp_path / "report.html", worst=1)


def damage(root: Path, how: str) -> None:
    if how == "no test":
        (root / "test").rename(root / "elsewhere")
    elif how == "a mask without a picture":
        (root / "test" / "bar" / "001.png").unlink()
    elif how == "a kind of masks without pictures":
        write_image(mask_path(root, "crack", "000"), np.full((9, 9), 255, np.uint8))
    elif how == "a picture without a mask":
        mask_path(root, "bar", "001").unlink()
    elif how == "a mask of another size":
        write_image(mask_path(root, "bar", "001"), np.full((9, 9), 255, np.uint8))
    elif how == "an empty mask":
        write_image(mask_path(root, "bar", "001"), np.zeros((64, 64), np.uint8))
    elif how == "a torn picture":
        path = root / "test" / "good" / "001.png"
        path.write_bytes(path.read_bytes()[:90])
    elif how == "nothing":
        for path in [*root.rglob("*.png")]:
            path.unlink()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("no test", "has no test/"),
        ("a mask without a picture", "1 masks without a picture.*bar/001_mask"),
        ("a kind of masks without pictures", "masks without a picture.*crack"),
        ("a picture without a mask", "has no mask"),
        ("a mask of another size", "9 x 9"),
        ("an empty mask", "is empty"),
        ("a torn picture", "001.png"),
        ("nothing", "."),
    ],
)
def test_a_broken_test_set_is_refused_with_the_reason(run, tmp_path, how, said):
    root = write_data(tmp_path / "data")
    damage(root, how)
    with pytest.raises(ImageError, match=said):
        evaluate(run, root, resamples=0)


# --- report -----------------------------------------------------------------------------------------------------------------


def test_the_report_is_one_file_with_the_worst_first(data, tmp_path):
    run = save_tiny(tmp_path / "run")
    set_thresholds(run, 0.5, 0.5)
    detector = load(run)
    found = evaluate(detector, data, resamples=20)
    text = write_report(found, detector, tmp_path / "report.html", worst=2).read_text()
    assert not re.search(r"<script|https?://(?!www\.w3\.org)|<link", text)
    assert text.count("<svg") == 6
    embedded = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    assert len(embedded) == 4 * 4  # two defects, two normal pictures; four views each
    shapes = {decode_image(base64.b64decode(one), "view").shape for one in embedded}
    assert shapes <= {(*shape, 3) for shape in SHAPES}
    worst = sorted((one for one in found.pictures if one.defective), key=lambda one: one.score)
    first, second = (text.index(f"score {one.score:.4f}") for one in worst[:2])
    assert first <= second
    assert ("missed" in text) == (worst[0].score < 0.5)
    assert f"{found.overall.aupro.value:.4f}" in text


def test_names_cannot_break_the_report(run, tmp_path):
    root = write_data(tmp_path / "a&b")
    (root / "test" / "bar").rename(root / "test" / "<b>")
    (root / "ground_truth" / "bar").rename(root / "ground_truth" / "<b>")
    text = write_report(evaluate(run, root, resamples=0), load(run), tmp_path / "report.html", worst=1).read_text()
    assert "&lt;b&gt;" in text and "<b>" not in text and "a&amp;b" in text


@given(st.integers(2, 3000))
@settings(max_examples=10)
def test_long_curves_are_thinned_and_keep_their_ends(count):
    x = np.linspace(0.0, 1.0, count)
    drawn = re.search(r'points="([^"]+)"', curve(Axes("a", "b", "c"), (x, x**8)))
    points = [tuple(map(float, one.split(","))) for one in drawn.group(1).split()]
    assert len(points) <= 240
    assert points[0] == (46.0, 230.0) and points[-1] == (318.0, 30.0)


# --- calibration ------------------------------------------------------------------------------------------------------------


def test_promises_are_those_of_clopper_and_pearson():
    from scipy.stats import beta

    for alarms, count in ((0, 1), (0, 59), (0, 299), (1, 30), (7, 200), (40, 2000), (5, 5)):
        expected = 1.0 if alarms == count else beta.ppf(0.95, alarms + 1, count - alarms)
        assert promised_rate(alarms, count) == pytest.approx(expected, abs=1e-9)
    for fpr in (0.5, 0.1, 0.01, 0.001):
        needed = pictures_needed(fpr)
        assert promised_rate(0, needed) <= fpr < promised_rate(0, needed - 1)


def test_examples_in_docstrings():
    found = doctest.testmod(calibration)
    assert found.attempted == 2 and found.failed == 0


def test_a_promise_is_kept_in_nineteen_of_twenty_calibrations():
    """Scores are uniform, so the share that a threshold flags is one minus the threshold."""
    scores = rng.words(3, (600, 300)).astype(np.float32) / np.float32(2**32)
    shares = np.array([1.0 - limit_of(row.tolist(), 0.05).threshold for row in scores])
    assert 0.93 <= (shares <= 0.05).mean() <= 0.99
    assert shares.mean() > 0.02  # and it is not kept by flagging nothing


@given(st.lists(st.integers(0, 20).map(lambda value: value / 20), min_size=1, max_size=80), st.sampled_from([0.05, 0.2]))
def test_a_threshold_flags_no_more_than_it_says(scores, fpr):
    limit = limit_of(scores, fpr)
    flagged = int((np.array(scores, np.float32) >= np.float32(limit.threshold)).sum())
    assert flagged == limit.alarms
    assert (limit.promised <= fpr) == (len(scores) >= pictures_needed(fpr))


@pytest.fixture(scope="module")
def normals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("normals")
    for number in range(20):
        write_image(folder / f"{number:03d}.png", picture((48, 48, 3), seed=100 + number))
    return folder


def test_calibration_is_used_by_the_detector(normals, tmp_path):
    run = save_tiny(tmp_path / "run")
    found = calibrate(run, normals, 0.2, painted=24, painter=Painter("scratch"), seed=3)
    assert found == read_calibration(run)
    assert found.kept and found.normals == 20
    detector = load(run)
    assert detector.calibration == found
    predictions = [detector(read_image(path)) for path in sorted(normals.iterdir())]
    assert sum(bool(one.is_anomalous) for one in predictions) == found.image.alarms
    assert sum(bool(one.mask.any()) for one in predictions) == found.pixel.alarms
    assert sum(cell.defects for cell in found.recall.cells) == 24
    assert all(0 <= cell.found <= cell.defects for cell in found.recall.cells)
    areas = [found.recall.cells[start].area for start in (0, 4, 8, 12)]
    assert areas == sorted(areas) and areas[0][0] > 0.0
    again = calibrate(run, normals, 0.2, painted=24, painter=Painter("scratch"), seed=3)
    assert again == found


def test_too_few_normal_pictures_are_refused_with_how_many_it_takes(run, normals, tmp_path):
    with pytest.raises(InputError, match=r"at least 299, ask for 0\.14 or more"):
        calibrate(run, normals)
    assert not (run / THRESHOLD).exists()
    few = save_tiny(tmp_path / "run")
    found = calibrate(few, normals, allow_few=True, painted=0)
    assert not found.kept and found.image.alarms == found.pixel.alarms == 0
    assert found.image.promised == pytest.approx(1 - 0.05 ** (1 / 20))


def test_what_calibration_cannot_use_is_refused(normals, tmp_path):
    run = save_tiny(tmp_path / "run")
    with pytest.raises(InputError, match="is none"):
        calibrate(run, normals, 1.0)
    with pytest.raises(ImageError, match="does not exist"):
        calibrate(run, tmp_path / "none", 0.2)
    (run / THRESHOLD).write_text("{")  # what is replaced need not be readable
    assert calibrate(run, normals, 0.2, painted=0).recall is None


def test_pictures_that_the_run_learned_from_are_refused(normals, tmp_path):
    run = save_tiny(tmp_path / "run")
    for number in range(8):
        write_mvtec(tmp_path / "data", "train", "good", f"{number}", picture((40, 40, 3), seed=number))
    config = json.loads((run / CONFIG).read_text())
    config["training"] = {"data": str(tmp_path / "data"), "held_out": 0.25, "seed": 0, "recipe": "scratch", "settings": []}
    (run / CONFIG).write_text(json.dumps(config))
    with pytest.raises(InputError, match="was trained on"):
        calibrate(run, tmp_path / "data" / "train" / "good", 0.5)
    found = calibrate(run, normals, 0.2, painted=4)
    assert found.recall.recipe == "scratch"  # what it was trained with


# --- commands ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    commands.register(made)
    return made


def test_the_commands(app, data, normals, tmp_path):
    run = str(save_tiny(tmp_path / "run"))

    def ask(*words: str, code: int = 0):
        result = CliRunner().invoke(app, list(words))
        assert result.exit_code == code, result.output
        return result

    judged = json.loads(ask("eval", run, "--data", str(data), "--resamples", "10", "--json").stdout)
    assert judged["overall"]["image_auroc"]["value"] is not None
    rate = ("--fpr", "0.05", "--allow-few")
    few = ask("calibrate", run, "--normal", str(normals), *rate, "--painted", "16", "--recipe", "scratch")
    assert "13.91% of normal pictures" in few.output and "that takes 59" in few.output and "recall to expect" in few.output
    report = tmp_path / "out" / "report.html"
    written = ("--report", str(report), "--out", str(tmp_path / "m.json"))
    said = ask("eval", run, "--data", str(data), *written, "--worst", "1").output
    assert "AUPRO" in said and "at the calibrated threshold" in said
    assert report.is_file() and json.loads((tmp_path / "m.json").read_text())["rates"]["normals"] == 4
    good = data / "test" / "good"
    found = json.loads(ask("predict", run, str(good), "--out", str(tmp_path / "found"), "--json").stdout)
    assert found == {"pictures": 4, "anomalous": found["anomalous"], "skipped": []}
    write_image(tmp_path / "mixed" / "a.png", picture((20, 20, 3)))
    (tmp_path / "mixed" / "b.png").write_bytes(b"torn")
    assert "skipped b.png" in ask("predict", run, str(tmp_path / "mixed"), "--out", str(tmp_path / "f2"), code=3).output
    refused = CliRunner().invoke(app, ["eval", str(tmp_path / "none"), "--data", str(data)])
    assert isinstance(refused.exception, InputError) and "is no run" in str(refused.exception)
