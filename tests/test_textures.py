"""Textures that the package paints itself, in place of a folder: the same in every process, recorded, and painted again."""

from __future__ import annotations

import json
import pickle

import pytest
from conftest import picture
from typer.testing import CliRunner

from defectsynth import AnomalySynthesizer
from defectsynth.cli import app
from defectsynth.errors import SourceError, VerificationError
from defectsynth.job import Job
from defectsynth.recipe import load_recipe
from defectsynth.render import render
from defectsynth.sources.families import FAMILIES, texture
from defectsynth.sources.procedural import VARIANTS
from defectsynth.textures import open_textures
from defectsynth.verify import verify

RECIPE = load_recipe("destseg")


def test_every_family_is_in_the_bank_in_its_variants():
    bank = open_textures("builtin:all")
    assert bank.names == sorted(f"{family}/{variant}" for family in FAMILIES for variant in range(VARIANTS))
    assert open_textures("builtin:rust").names == [f"rust/{variant}" for variant in range(VARIANTS)]
    assert (bank.load("rust/3").rgb == texture("rust", 3, (256, 256))).all()
    assert bank.load("rust/3") is bank.load("rust/3")


def test_folders_and_mappings_are_opened_as_ever(texture_folder):
    assert open_textures(texture_folder).names == open_textures(str(texture_folder)).names
    assert open_textures({"one": picture((20, 30, 3))}).names == ["one"]


def test_an_unknown_family_is_named():
    with pytest.raises(
        SourceError, match=r"built-in texture family 'rusty' is unknown: the families are brushed_metal, .*, and all"
    ):
        AnomalySynthesizer("draem-code", textures="builtin:rusty")
    with pytest.raises(SourceError, match="source folder 'builtin:all' does not exist"):
        Job(images="builtin:disc", defects="builtin:all", count=1).synthesizer(RECIPE)


def test_a_synthesizer_with_them_may_be_sent_to_another_process():
    synthesizer = AnomalySynthesizer(RECIPE, textures="builtin:rust", seed=3)
    again = pickle.loads(pickle.dumps(synthesizer))
    image = picture((40, 50, 3))
    assert (again(image).image == synthesizer(image).image).all()
    assert again(image).plan.anomalies[0].source.name.startswith("rust/")


def test_a_dataset_is_the_same_however_it_ran_and_is_verified(photo_folder, tmp_path):
    job = Job(images=str(photo_folder), textures="builtin:marble", count=6, seed=2)
    render(job, RECIPE, tmp_path / "one", workers=1)
    render(job, RECIPE, tmp_path / "two", workers=2)
    lines = [(tmp_path / name / "manifest.jsonl").read_bytes() for name in ("one", "two")]
    assert lines[0] == lines[1]
    assert json.loads((tmp_path / "two" / "render.json").read_text())["textures"] == "builtin:marble"
    assert verify(tmp_path / "two").problems == []
    next((tmp_path / "two" / "test" / "perlin").iterdir()).unlink()
    assert verify(tmp_path / "two").problems
    assert render(job, RECIPE, tmp_path / "two", resume=True).resumed == len(lines[0].splitlines()) - 1
    assert verify(tmp_path / "two").problems == []


def test_the_command_line_takes_them(photo_folder, tmp_path):
    shared = ["--images", str(photo_folder), "--recipe", "draem-code", "--textures", "builtin:foam"]
    made = CliRunner().invoke(app, ["render", *shared, "--count", "2", "--workers", "1", "--out", str(tmp_path / "set")])
    assert made.exit_code == 0, made.output
    checked = CliRunner().invoke(app, ["verify", str(tmp_path / "set"), "--textures", "builtin:foam", "--workers", "1"])
    assert checked.exit_code == 0, checked.output
    other = CliRunner().invoke(app, ["verify", str(tmp_path / "set"), "--textures", "builtin:rust", "--workers", "1"])
    assert isinstance(other.exception, VerificationError)
    assert "texture 'foam/" in str(other.exception)
