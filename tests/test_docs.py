"""The documentation is true: its Python, its commands and its examples run, and no option or parameter is missing."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import typer

from defectsynth import AnomalySynthesizer, Plan, Recipe, canvases, cli, errors, load_recipe, preset_names
from defectsynth.blends import BLENDS
from defectsynth.files import write_image
from defectsynth.formats.mvtec import write_mvtec
from defectsynth.job import Job, measured, recipe_hash
from defectsynth.masks import MASK_PARAMS, MASKS
from defectsynth.recipe import AnomalyKind
from defectsynth.samples import PRODUCTS, product
from defectsynth.sources import SOURCES
from defectsynth.sources.families import FAMILIES, texture

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
GALLERY = sorted((ROOT / "docs" / "gallery").glob("*.md"))
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
HOSTS = ("torch", "torchvision", "albumentations", "datasets", "anomalib")
"""Packages that examples and pages may need, by extras."""

SHAPE = (96, 96)
FEW = 6


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def pages_with(language: str) -> list[object]:
    return [pytest.param(page, id=page.stem) for page in PAGES if blocks(page, language)]


def missing_host(code: str) -> str | None:
    """The first package that this code imports and that is not here."""
    imported = (host for host in HOSTS if re.search(rf"^\s*(?:import|from) {host}\b", code, flags=re.MULTILINE))
    return next((host for host in imported if importlib.util.find_spec(host) is None), None)


@pytest.fixture(autouse=True)
def own_kinds_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page or an example may register a kind of its own."""
    for registry in (MASKS, MASK_PARAMS):
        monkeypatch.setattr(registry, "_classes", dict(registry._classes))


# --- Python -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", pages_with("python"))
def test_python_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": f"docs_{page.stem.replace('-', '_')}"}
    for number, block in enumerate(blocks(page, "python")):
        if missing_host(block):
            continue
        exec(compile(block, f"{page.name}, Python block {number + 1}", "exec", dont_inherit=True), namespace)


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in EXAMPLES])
def test_example_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = missing_host(path.read_text(encoding="utf-8"))
    if missing:
        pytest.skip(f"{missing} is not installed")
    module = load_example(path, monkeypatch)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert module.main(tmp_path / "out")
    assert any((tmp_path / "out").iterdir())
    assert not any(Path.cwd().iterdir()), "an example writes below its folder and nowhere else"


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in sorted((ROOT / "examples").glob("*.ipynb"))])
def test_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "mkdtemp", lambda: str(tmp_path))
    namespace: dict[str, object] = {"__name__": path.stem}
    for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
        if cell["cell_type"] == "code":
            assert not cell["outputs"], "a notebook is kept without its outputs"
            exec(compile("".join(cell["source"]), f"{path.name}, cell {number}", "exec", dont_inherit=True), namespace)


def load_example(path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


# --- commands ---------------------------------------------------------------------------------------------------------


@dataclass
class Command:
    """A ``defectsynth`` line of a console block."""

    line: str
    arguments: list[str]
    redirect: str | None
    expected: int
    runs: bool

    @classmethod
    def parse(cls, line: str, expected: int) -> Command:
        words = shlex.split(line, comments=True)[1:]
        redirect = words[words.index(">") + 1] if ">" in words else None
        arguments = words[: words.index(">")] if redirect else words
        return cls(line, arguments, redirect, expected, "# needs your pictures" not in line)

    def quickened(self) -> list[str]:
        """The same command for few pictures in this process: the bytes of a picture depend on neither."""
        arguments = list(self.arguments)
        if arguments[0] in ("render", "preview"):
            count = FEW
            if "--count" in arguments:
                place = arguments.index("--count")
                count = min(FEW, int(arguments[place + 1]))
                del arguments[place : place + 2]
            arguments += ["--count", str(count)]
        if arguments[0] in ("render", "verify"):
            arguments += ["--workers", "1"]
        return arguments


def commands(page: Path) -> Iterator[Command]:
    """The command lines of a page; ``$ echo $?`` and a number after one say which exit code it has (0 otherwise)."""
    for block in blocks(page, "console"):
        lines = block.splitlines()
        for number, line in enumerate(lines):
            if line.startswith("$ defectsynth"):
                prompts = [later for later in range(number + 1, len(lines)) if lines[later].startswith("$ ")]
                fails = bool(prompts) and lines[prompts[0]] == "$ echo $?"
                yield Command.parse(line.removeprefix("$ "), int(lines[prompts[0] + 1]) if fails else 0)


@pytest.mark.parametrize("page", pages_with("console"))
def test_commands_run(page: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos.parent)
    monkeypatch.setattr(canvases, "BUILTIN_COUNT", FEW)
    monkeypatch.setattr(canvases, "BUILTIN_SHAPE", SHAPE)
    for command in commands(page):
        if command.runs:
            code, printed = run(command.quickened(), monkeypatch)
            assert code == command.expected, f"{page.name}: {command.line} ended with {code}:\n{printed}"
            if command.redirect:
                Path(command.redirect).write_text(printed, encoding="utf-8")
        else:
            check_syntax(command.arguments)


@pytest.mark.parametrize("page", pages_with("console"))
def test_commands_parse(page: Path) -> None:
    for command in commands(page):
        check_syntax(command.arguments)
    for block in blocks(page, "console"):
        for line in block.splitlines():
            if line.startswith("$ lkad "):
                check_syntax(shlex.split(line)[2:], of_the_detector())


def of_the_detector() -> typer.Typer:
    pytest.importorskip("torch")
    from lkad_models.cli import app

    return app


def run(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["defectsynth", *arguments])
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
        cli.main()
    code = ended.value.code
    return (code if isinstance(code, int) else 0), out.getvalue() or err.getvalue()


def check_syntax(arguments: list[str], app: typer.Typer = cli.app) -> None:
    """Parses a command line as ``defectsynth`` would, and runs nothing; a usage error is raised."""
    command, words = typer.main.get_command(app), list(arguments)
    context = None
    while hasattr(command, "commands"):
        name = words.pop(0)
        assert name in command.commands, f"there is no command {name!r} in `{' '.join(arguments)}`"
        command = command.commands[name]
    context = command.make_context(arguments[0], words)
    context.close()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """What the pages call ``photos/``: good parts, their ROI, textures, two datasets of defects; and ``examples/``."""
    root = tmp_path / "photos"
    for index in range(FEW):
        part = product("pill", index, SHAPE)
        write_image(root / "good" / f"{index:03d}.png", part.image)
        write_image(root / "roi" / f"{index:03d}_mask.png", part.foreground)
    middle = np.zeros(SHAPE, dtype=np.uint8)
    middle[30:66, 30:66] = 255
    write_image(root / "roi.png", middle)
    (tmp_path / "examples").mkdir()
    for name in ("own_recipe.yaml", "own_mask_kind.py", "own_mask_kind.yaml", "one_kind.yaml"):
        shutil.copy(ROOT / "examples" / name, tmp_path / "examples")
    for number, family in enumerate(("rust", "leather", "marble")):
        write_image(root / "textures" / family / f"{number}.png", texture(family, number, SHAPE))
    for name, made_from, seed in (("real", "pill", 1), ("defects", "plate", 2)):
        write_defects(root / name, made_from, seed)
    return root


def write_defects(folder: Path, made_from: str, seed: int) -> None:
    synthesizer = AnomalySynthesizer("industrial", seed=seed)
    for index in range(FEW):
        sample = synthesizer(product(made_from, index, SHAPE, seed=seed).image, index=index)
        kind = ("scratch_head", "thread_side")[index % 2]
        write_mvtec(folder, "test", kind, f"{index:03d}", sample.image, sample.mask)


# --- nothing is missing -----------------------------------------------------------------------------------------------


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_readme_has_its_two_commands() -> None:
    lines = [line for block in blocks(ROOT / "README.md", "sh") for line in block.splitlines()]
    assert "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/defectsynth render --out dataset/" in lines
    assert 'python3 -m venv .venv-test && .venv-test/bin/pip install ".[test]" && .venv-test/bin/pytest' in lines


def test_every_option_is_in_the_command_line_page() -> None:
    page, group = text("docs/cli.md"), typer.main.get_command(cli.app)
    pending = list(group.commands.values())
    while pending:
        command = pending.pop()
        pending += getattr(command, "commands", {}).values()
        for parameter in command.params:
            for option in parameter.opts:
                assert not option.startswith("--") or option == "--help" or option in page, f"docs/cli.md lacks {option}"


def test_every_exit_code_is_in_the_command_line_page() -> None:
    page = text("docs/cli.md")
    codes = {getattr(errors, name).exit_code for name in errors.__all__}
    for code in codes | {0, cli.SKIPPED_EXIT, cli.INTERRUPTED_EXIT}:
        assert f"| {code} |" in page, f"docs/cli.md lacks exit code {code}"


def test_every_kind_and_parameter_is_in_the_recipes_page() -> None:
    page = text("docs/recipes.md")
    for registry in (MASKS, SOURCES, BLENDS):
        for kind in registry.kinds:
            for name in [kind, *registry._classes[kind].model_fields]:
                assert f"`{name}`" in page or name == "kind", (
                    f"docs/recipes.md lacks `{name}` of the {registry.what} kind {kind!r}"
                )
    for name in [*Recipe.model_fields, *FAMILIES, *preset_names()]:
        assert f"`{name}`" in page, f"docs/recipes.md lacks `{name}`"


def test_numbers_of_presets_are_those_of_the_pages() -> None:
    page = text("docs/recipes.md")
    for name, kind in load_recipe("industrial").kinds.items():
        row = industrial_row(name, kind)
        assert row in page, f"docs/recipes.md lacks, under 'The kinds of industrial', the row\n{row}"
    for name in ("draem-code", "draem-paper", "anomalib", "peng2024"):
        opacity = span(next(iter(load_recipe(name).kinds.values())).blend.opacity_range)
        rows = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
        assert rows and all(f"opacity {opacity}" in row for row in rows), f"docs/recipes.md: {name} has opacity {opacity}"
    for kind in load_recipe("peng2024").kinds.values():
        assert f"`area_range` {span(kind.mask.area_range)}" in text("docs/paper.md")
        assert f"`opacity_range` {span(kind.blend.opacity_range)}" in text("docs/paper.md")


def industrial_row(name: str, kind: AnomalyKind) -> str:
    named = f"`{name}` | `{kind.name or name}` | {kind.weight:g}"
    where = f"`{kind.mask.kind}` | {span(kind.mask.area_range)}"
    what = getattr(kind.source, "families", None) or [kind.source.kind]
    how = [kind.blend.kind, *([kind.blend.profile] if hasattr(kind.blend, "profile") else [])]
    return f"| {named} | {where} | {quoted(what)} | {quoted(how)} |"


def quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def span(bounds: tuple[float, float]) -> str:
    low, high = bounds
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def test_every_figure_of_the_gallery_is_drawn_by_the_command_below_it() -> None:
    drawn = {"overview": ["overview"]}
    for page in GALLERY:
        for command in commands(page):
            if command.arguments[0] == "preview":
                path = option(command.arguments, "--out")
                drawn[Path(path).stem] = command.arguments
                assert path == f"docs/images/gallery/{Path(path).stem}.png"
                assert f"](../images/gallery/{Path(path).name})" in page.read_text(encoding="utf-8"), f"{page.name}: {path}"
    shown = {
        name for page in GALLERY for name in re.findall(r"images/gallery/([\w-]+)\.png\)", page.read_text(encoding="utf-8"))
    }
    files = {path.stem for path in (ROOT / "docs" / "images" / "gallery").iterdir()}
    assert shown == files == set(drawn)
    for name in preset_names():
        assert option(drawn[name], "--recipe") == name, f"the figure of {name!r} shows another preset"
        assert any(f"\n## `{name}`\n" in page.read_text(encoding="utf-8") for page in GALLERY), (
            f"no page has the heading {name!r}"
        )
    for registry, part in ((MASKS, "mask"), (SOURCES, "source"), (BLENDS, "blend")):
        for kind in registry.kinds:
            settings = " ".join(drawn.get(f"{part}-{kind}", []))
            assert f"kinds.defect.{part}={{kind: {kind}" in settings, f"docs/gallery/kinds.md lacks the {part} kind {kind!r}"


def option(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(name) + 1]


def test_every_product_is_in_the_command_line_page() -> None:
    for name in PRODUCTS:
        assert f"`{name}`" in text("docs/cli.md")


def test_job_and_line_of_the_dataset_page_are_true() -> None:
    job, line = (json.loads(block) for block in reversed(blocks(ROOT / "docs/dataset.md", "json")))
    assert list(job) == list(Job.model_fields)
    opened = Job.model_validate(job).open_canvases()
    assert opened.fingerprint() == job["canvases"]
    assert recipe_hash(load_recipe("industrial").model_copy(update={"normal_fraction": cli.DATASET_NORMALS})) == job["recipe"]
    canvas, plan = opened.load(line["normal"]), Plan.from_dict(line["plan"])
    found = measured(AnomalySynthesizer("industrial", seed=plan.seed).paint(canvas.image, plan))
    assert {key: line[key] for key in found} == found
    assert (line["normal_hash"], line["number"], line["kind"]) == (canvas.hash, plan.index, plan.kind)


@pytest.mark.parametrize("page", pages_with("yaml"))
def test_recipes_in_pages_are_sound(page: Path) -> None:
    for block in blocks(page, "yaml"):
        if re.search(r"^kinds:", block, flags=re.MULTILINE):
            Recipe.from_yaml(block, page.name)
