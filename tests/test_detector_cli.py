"""The commands of the detector, one after the other, as a user without data types them."""

from __future__ import annotations

import csv
import json

import pytest
from typer.testing import CliRunner

from lkad_models.cli import app, main

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*LeafSpec.*:FutureWarning",  # of Lightning, about torch
    "ignore::lightning.pytorch.utilities.warnings.PossibleUserWarning",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "demo"
    options = ["--demo", "--image-size", "32", "--max-steps", "2", "--batch-size", "2", "--accelerator", "cpu"]
    ended = CliRunner().invoke(app, ["train", "--out", str(out), *options], catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    assert f"lkad eval {out}" in ended.output.replace("\n", "")
    return out


def test_the_demo_is_judged(run, tmp_path):
    arguments = ["eval", str(run), "--data", str(run / "demo"), "--resamples", "20", "--report", str(tmp_path / "report.html")]
    ended = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    found = json.loads(ended.stdout)
    assert "image_auroc" in json.dumps(found)
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_pictures_are_scored(run, tmp_path):
    ended = CliRunner().invoke(
        app, ["predict", str(run), str(run / "demo" / "test" / "good"), "--out", str(tmp_path)], catch_exceptions=False
    )
    assert ended.exit_code == 0, ended.output
    with (tmp_path / "scores.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 20


def test_errors_are_one_message_and_an_exit_code(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("sys.argv", ["lkad", "train", "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "--demo" in capsys.readouterr().err
