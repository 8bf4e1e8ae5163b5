"""The command line: what a person types, what comes out, and the exit code."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from conftest import picture
from typer.testing import CliRunner

from defectsynth import cli
from defectsynth.cli import app
from defectsynth.errors import DefectSynthError, InputError, RecipeError, StorageError
from defectsynth.files import read_image, write_image

run_command = CliRunner()


def run(*arguments: object) -> str:
    result = run_command.invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def script(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "defectsynth.cli", *map(str, arguments)], capture_output=True, text=True)


def test_first_command_needs_no_data(tmp_path):
    out = tmp_path / "dataset"
    said = script("render", "--out", out, "--count", 12)
    assert said.returncode == 0, said.stderr
    assert "62 pictures in" in said.stdout  # 50 in train/good
    assert said.stderr == ""  # no progress bar where nobody looks
    assert (out / "preview.jpg").is_file()
    assert "62 pictures are what their plans paint" in run("verify", out)
    assert "components" in run("stats", out)


def test_render_reports_to_machines(tmp_path, photo_folder):
    report = json.loads(
        run("render", "--out", tmp_path / "a", "--images", photo_folder, "--count", 6, "--workers", 1, "--json")
    )
    assert report["pictures"] == 10
    assert report["anomalous"] + report["kinds"]["good"] == 10
    assert json.loads(run("verify", tmp_path / "a", "--json")) == {"pictures": 10, "problems": []}


def test_skipped_pictures_have_their_own_exit_code(tmp_path, photo_folder):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.png").write_bytes(next(photo_folder.iterdir()).read_bytes())
    (folder / "b.png").write_text("no picture")
    result = run_command.invoke(
        app,
        [
            "render",
            "--out",
            str(tmp_path / "o"),
            "--images",
            str(folder),
            "--count",
            "4",
            "--train-fraction",
            "0",
            "--on-error",
            "skip",
        ],
    )
    assert result.exit_code == 3
    assert "2 pictures were skipped" in result.output


def test_verify_exit_code(tmp_path, photo_folder):
    out = tmp_path / "a"
    run("render", "--out", out, "--images", photo_folder, "--count", 3)
    next((out / "train" / "good").iterdir()).unlink()
    said = script("verify", out)
    assert said.returncode == 4
    assert "1 problems in" in said.stderr
    assert "does not exist" in said.stderr
    assert script("verify", out, "--json").returncode == 4


def test_recipes(tmp_path):
    listing = run("recipes", "list")
    assert all(name in listing for name in ("industrial", "peng2024", "draem-code"))
    assert {entry["name"] for entry in json.loads(run("recipes", "list", "--json"))} >= {"industrial", "anomalib"}
    text = run("recipes", "show", "industrial", "--set", "kinds.*.mask.area_range=[0.01,0.02]")
    (tmp_path / "mine.yaml").write_text(text)
    assert "recipe 'industrial' is sound: 17 kinds, needs nothing but normal pictures" in run(
        "recipes", "check", tmp_path / "mine.yaml"
    )
    (tmp_path / "mine.yaml").write_text(text.replace("area_range", "aera_range", 1))
    with pytest.raises(RecipeError, match="aera_range"):
        run("recipes", "check", tmp_path / "mine.yaml")


def test_preview(tmp_path, photo_folder):
    run("preview", "--out", tmp_path / "sheet.png", "--images", photo_folder, "--count", 3, "--cell", 64)
    sheet = read_image(tmp_path / "sheet.png")
    assert sheet.shape[2] == 3
    assert sheet.shape[1] == 2 * (4 * 64 + 5 * 6)


def test_stats_for_machines_and_as_a_picture(defect_folder, tmp_path):
    rows = json.loads(run("stats", defect_folder, "--against", defect_folder, "--out", tmp_path / "chart.png", "--json"))
    assert [row["median_ratio"] for row in rows] == [1.0] * 4
    assert read_image(tmp_path / "chart.png").shape == (480, 800, 3)


@pytest.mark.parametrize("text", ["0", "12x", "axb", "1x2x3", "-5", "²"])
def test_sizes_that_are_none(text, tmp_path):
    with pytest.raises(InputError, match=f"size '{text}' is not a size: write 256 or 640x480"):
        run("preview", "--out", tmp_path / "a.png", f"--size={text}")


def test_size_is_width_by_height(tmp_path):
    run("render", "--out", tmp_path / "a", "--images", "builtin:plate", "--count", 1, "--size", "80x60", "--train-fraction", 0)
    assert read_image(next((tmp_path / "a" / "test").rglob("*.png"))).shape == (60, 80, 3)


def test_an_error_is_one_message_and_an_exit_code(tmp_path):
    said = script("render", "--out", tmp_path / "a", "--recipe", "industrail")
    assert said.returncode == 2
    assert said.stderr.startswith("error: recipe 'industrail' is neither a preset nor a .yaml file")
    assert "Traceback" not in said.stderr
    assert said.stdout == ""
    assert script("render", "--out", tmp_path / "a", "--seed", "-1").returncode == 2
    assert script("render").returncode == 2
    assert script("--version").stdout.strip()


def test_every_error_has_an_exit_code_of_its_family():
    def family(error: type[DefectSynthError]) -> list[type[DefectSynthError]]:
        return [error, *(sub for child in error.__subclasses__() for sub in family(child))]

    own = [error for error in family(DefectSynthError) if error.__module__ == DefectSynthError.__module__]
    assert {error.__name__: error.exit_code for error in own} == {
        "DefectSynthError": 1,
        "InputError": 2,
        "ImageError": 2,
        "RegionError": 2,
        "RecipeError": 2,
        "PlanError": 2,
        "SourceError": 2,
        "LeakageError": 5,
        "SynthesisError": 6,
        "StorageError": 7,
        "VerificationError": 4,
    }


def test_normal_fraction_is_the_recipe_s_own_where_it_has_one(tmp_path, photo_folder):
    def anomalous(*more: object) -> int:
        return json.loads(
            run("render", "--out", tmp_path / "a", "--overwrite", "--images", photo_folder, "--count", 8, "--json", *more)
        )["anomalous"]

    assert 0 < anomalous("--seed", 3) < 8  # industrial has none: 0.2
    assert anomalous("--set", "normal_fraction=1") == 0
    assert anomalous("--normal-fraction", 0) == 8


def test_odd_names_are_printed_as_they_are(tmp_path):
    out = tmp_path / "b[red]x[/a] ü"
    said = script("render", "--out", out, "--count", 1, "--images", "builtin:plate", "--size", "32", "--train-fraction", 0)
    assert said.returncode == 0, said.stderr
    assert f"1 pictures in {out}" in said.stdout


def test_match_then_score(defect_folder, tmp_path):
    out, sheet = tmp_path / "matched", tmp_path / "score.png"
    assert "recipe fitted to 8 defects" in run("match", defect_folder, "--out", out, "--count", 12, "--workers", 1)
    again = script("match", defect_folder, "--out", out, "--count", 12, "--workers", 1)
    assert again.returncode == StorageError.exit_code
    found = json.loads(run("score", defect_folder, out / "synthetic", "--folds", 2, "--out", sheet, "--json"))
    assert found["real"]["used"] == 8
    assert found["synthetic"]["distinct"] <= 8  # copies of one example count as one
    apart = json.loads(run("score", defect_folder, out / "synthetic", "--folds", 2, "--copies", "apart", "--json"))
    assert apart["synthetic"]["distinct"] > found["synthetic"]["distinct"]
    assert sheet.is_file()


def test_a_match_says_what_could_not_be_painted(defect_folder, tmp_path):
    write_image(tmp_path / "normals" / "a.png", picture((80, 100, 3)))
    write_image(tmp_path / "normals" / "black.png", np.zeros((2, 2, 3), np.uint8))  # nothing can be seen on it
    said = script(
        "match", defect_folder, "--images", tmp_path / "normals", "--out", tmp_path / "m", "--count", 4, "--workers", 1
    )
    assert said.returncode == cli.SKIPPED_EXIT, said.stderr
    assert "of 4 pictures could not be painted: see" in said.stderr
