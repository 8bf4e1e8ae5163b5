"""Kinds of a user's own: known to YAML after --import, in every process, and never imported because a dataset says so."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from defectsynth.blends import BLEND_PARAMS, BLENDS
from defectsynth.cli import app
from defectsynth.errors import InputError, RecipeError
from defectsynth.job import Job, check_imports, read_job
from defectsynth.masks import MASK_PARAMS, MASKS
from defectsynth.plugins import load_plugins, missing_plugins
from defectsynth.recipe import load_recipe
from defectsynth.render import render
from defectsynth.sources import SOURCE_PARAMS, SOURCES
from defectsynth.verify import verify

PLUGIN = '''
"""A mask kind of one pixel, a source of one grey."""
from typing import Literal
import numpy as np
from defectsynth.masks import MASK_PARAMS, MASKS
from defectsynth.masks.placement import Placed, PlacedParams
from defectsynth.sources import SOURCE_PARAMS, SOURCES, SourceParams, SourceSpec

@MASK_PARAMS.register
class DotParams(PlacedParams):
    kind: Literal["dot"] = "dot"
    def field(self, roi, banks):
        field = np.full(roi.shape, -1.0, np.float32)
        field[self.centre(roi)] = 1.0
        return field

@MASKS.register
class Dot(Placed):
    kind: Literal["dot"] = "dot"
    def draw(self, draws, banks):
        return DotParams(**self.draw_place(draws), **self.draw_controls(draws))

@SOURCE_PARAMS.register
class GreyParams(SourceParams):
    kind: Literal["grey"] = "grey"
    def render(self, site):
        return np.full((*site.product.shape[:2], 3), 250, np.uint8)

@SOURCES.register
class Grey(SourceSpec):
    kind: Literal["grey"] = "grey"
    def draw(self, draws, banks, mask):
        return GreyParams()
'''
TRACE = (
    PLUGIN
    + """
with open({!r}, 'a') as trace:
    trace.write('x')
"""
)
RECIPE = """
name: dots
foreground: none
kinds:
  dot: {mask: {kind: dot}, source: {kind: grey}, blend: {kind: linear, opacity_range: [1, 1]}}
"""
REGISTRIES = (MASKS, MASK_PARAMS, SOURCES, SOURCE_PARAMS, BLENDS, BLEND_PARAMS)


@pytest.fixture(autouse=True)
def nothing_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test imports is forgotten after it."""
    for registry in REGISTRIES:
        monkeypatch.setattr(registry, "_classes", dict(registry._classes))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith(("defectsynth_plugin_", "my_kinds")):
            del sys.modules[name]


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "kinds" / "my kinds.py"
    path.parent.mkdir()
    path.write_text(PLUGIN)
    return path


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    (tmp_path / "dots.yaml").write_text(RECIPE)
    return tmp_path / "dots.yaml"


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def script(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "defectsynth.cli", *map(str, arguments)], capture_output=True, text=True)


# --- importing ------------------------------------------------------------------------------------------------------------


def test_a_file_is_imported_once_and_known_by_a_stable_name(plugin, tmp_path, monkeypatch):
    plugin.write_text(TRACE.format(str(tmp_path / "count")))
    monkeypatch.chdir(plugin.parent)
    assert load_plugins([str(plugin)]) == load_plugins(["my kinds.py"]) == (str(plugin),)
    assert (tmp_path / "count").read_text() == "x"
    module = sys.modules[MASKS._classes["dot"].__module__]
    assert module.__name__.startswith("defectsynth_plugin_my kinds_")
    assert Path(module.__file__) == plugin


def test_a_module_is_imported_by_name(tmp_path, monkeypatch):
    (tmp_path / "my_kinds").mkdir()
    (tmp_path / "my_kinds" / "__init__.py").write_text("")
    (tmp_path / "my_kinds" / "dots.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    assert load_plugins(["my_kinds.dots"]) == ("my_kinds.dots",)
    assert "dot" in MASKS.kinds
    assert load_recipe({"name": "a", "kinds": {"b": {"mask": {"kind": "dot"}, "blend": {"kind": "linear"}}}}).needs == set()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere/kinds.py", r"--import 'nowhere/kinds\.py': there is no such file: check the path"),
        (
            "no_such_module",
            r"--import 'no_such_module': there is no such module: install it, or give the path of its \.py file",
        ),
        ("defectsynth.no_such", r"--import 'defectsynth\.no_such': there is no such module"),
        ("my kinds", r"--import 'my kinds' is neither a module's name nor a path that ends in \.py"),
        ("../kinds", "is neither a module's name nor a path"),
        ("", "is neither a module's name nor a path"),
    ],
)
def test_what_cannot_be_found(name, message):
    with pytest.raises(InputError, match=message):
        load_plugins([name])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n\nx = 1 / 0\n", r"failed: ZeroDivisionError: division by zero \(.*kinds\.py, line 3\): correct it"),
        ("import no_such_module\n", r"failed: ModuleNotFoundError: No module named 'no_such_module' \(.*, line 1\)"),
        ("x = (\n", r"failed: SyntaxError: .*line 1\): correct it"),
    ],
)
def test_a_broken_file_says_where_and_can_be_corrected(plugin, text, message):
    plugin.write_text(text)
    with pytest.raises(InputError, match=message):
        load_plugins([str(plugin)])
    plugin.write_text(PLUGIN)
    load_plugins([str(plugin)])
    assert "dot" in MASKS.kinds


def test_a_moved_file_is_the_same_and_another_one_is_not():
    assert missing_plugins(["/a/x.py", "m.n"], ["/b/x.py", "m.n", "other"]) == []
    assert missing_plugins(["/a/x.py", "m.n"], ["/a/y.py", "m"]) == ["/a/x.py", "m.n"]


# --- the command line -----------------------------------------------------------------------------------------------------


def test_render_verify_and_the_others_know_the_kind(plugin, recipe_file, photo_folder, tmp_path):
    out, own = tmp_path / "out", ("--import", plugin)
    assert "recipe 'dots' is sound" in run("recipes", "check", recipe_file, *own)
    assert "kind: dot" in run("recipes", "show", recipe_file, *own)
    run("preview", "--out", tmp_path / "a.png", "--images", photo_folder, "--recipe", recipe_file, "--count", 2, *own)
    arguments = ("render", "--out", out, "--images", photo_folder, "--recipe", recipe_file, "--count", 9, "--workers", 2)
    run(*arguments, *own)  # two processes: each must import the file before it is sent the recipe
    assert json.loads((out / "render.json").read_text())["imports"] == [str(plugin)]
    assert "13 pictures are what their plans paint" in run("verify", out, "--workers", 1, *own)
    assert "13 of them there before" in run(*arguments, "--resume", *own)


def test_an_unknown_kind_names_the_way_out(recipe_file):
    with pytest.raises(RecipeError, match=r"mask kind 'dot' is unknown: .*once its module is imported: --import"):
        run("recipes", "check", recipe_file)


# --- a dataset from elsewhere ---------------------------------------------------------------------------------------------


@pytest.fixture
def dataset(plugin, recipe_file, photo_folder, tmp_path):
    """Rendered with a plugin that leaves a trace wherever it is imported."""
    job = Job(images=str(photo_folder), count=3, imports=load_plugins([str(plugin)]))
    render(job, load_recipe(recipe_file), tmp_path / "out")
    plugin.write_text(TRACE.format(str(tmp_path / "trace")))
    return tmp_path / "out"


def test_nothing_is_imported_because_a_dataset_names_it(dataset, plugin, recipe_file, photo_folder, tmp_path):
    again = f"this dataset was rendered with --import {plugin}: give it again"
    arguments = ["render", "--out", dataset, "--images", photo_folder, "--recipe", recipe_file, "--count", 3, "--resume"]
    for words in (["verify", dataset, "--workers", 2], arguments):
        said = script(*words)
        assert said.returncode == 2
        assert again in said.stderr
        assert "Traceback" not in said.stderr
    for call in (lambda: verify(dataset), lambda: read_job(dataset), lambda: check_imports(dataset, ["other.py"])):
        with pytest.raises(InputError, match="give it again, if you trust it"):
            call()
    assert not (tmp_path / "trace").exists()


def test_only_what_is_given_is_imported_also_by_workers(dataset, plugin, tmp_path):
    elsewhere = tmp_path / "elsewhere" / plugin.name
    elsewhere.parent.mkdir()
    elsewhere.write_text(PLUGIN)
    assert verify(dataset, imports=[str(elsewhere)], workers=2).problems == []
    assert not (tmp_path / "trace").exists()
    with pytest.raises(InputError, match="give it again"):
        verify(dataset, imports=[str(_another(tmp_path))])


def _another(folder: Path) -> Path:
    path = folder / "harmless.py"
    path.write_text("")
    return path
