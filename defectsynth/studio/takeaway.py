"""What is taken away: the recipe as YAML, the ``defectsynth render`` command, and a folder or a ZIP with all that it names."""

from __future__ import annotations

import io
import re
import shlex
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from defectsynth.errors import InputError
from defectsynth.pool import available_cores
from defectsynth.render import render
from defectsynth.studio.shelf import UPLOAD_PREFIX, Shelf
from defectsynth.studio.state import State

__all__ = ["Command", "bundle", "command", "render_state", "yaml_text"]

RECIPE_NAME, ROI_NAME, DEFECTS_NAME = "tuned.yaml", "roi", "defects"
_FEW = 24  # pictures that are painted before other processes have started
_PACKED = (1980, 1, 1, 0, 0, 0)  # the same ZIP for the same state
_OUT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Command:
    """How the pictures of the page are made in a terminal.

    Attributes:
        line: the command.
        files: what must lie beside it: the recipe, and the masks of an ROI or dropped defects where it names them.
    """

    line: str
    files: tuple[str, ...]


def yaml_text(state: State) -> str:
    """``tuned.yaml``: every value of the recipe written out; raises ``RecipeError`` where it breaks a rule."""
    return state.parsed_recipe().to_yaml()


def command(shelf: Shelf, state: State, out: str = "dataset") -> Command:
    """The ``defectsynth render`` command of a state.

    ``--normal-fraction`` is always given: without it, ``render`` keeps a fifth of the pictures normal where the recipe says 0.

    Raises:
        DefectSynthError: the recipe breaks a rule, or the state names what is not offered.
    """
    recipe, options = state.parsed_recipe(), shelf.options
    job = shelf.job(state.model_copy(update={"roi": None}))
    words = ["defectsynth", "render", "--recipe", RECIPE_NAME, "--images", job.images]
    files = [RECIPE_NAME]
    if state.roi is not None:
        words, files = [*words, "--roi", ROI_NAME], [*files, f"{ROI_NAME}/"]
    elif job.roi is not None:
        words += ["--roi", job.roi]
    if "textures" in recipe.needs and job.textures is not None:
        words += ["--textures", job.textures]
    if "defects" in recipe.needs and job.defects is not None:
        dropped = (state.defects or "").startswith(UPLOAD_PREFIX)
        words += ["--defects", DEFECTS_NAME if dropped else job.defects]
        files += [f"{DEFECTS_NAME}/"] if dropped else []
    if "masks" in recipe.needs and job.masks is not None:
        words += ["--masks", job.masks]
    for name in options.imports:
        words += ["--import", name]
    words += ["--count", str(state.count), "--seed", str(state.seed)]
    if state.size is not None:
        height, width = state.size
        words += ["--size", str(width) if width == height else f"{width}x{height}"]
    if job.white is not None:
        words += ["--white", str(job.white)]
    words += ["--normal-fraction", f"{recipe.normal_fraction!r}", "--train-fraction", f"{state.train_fraction!r}", "--out", out]
    return Command(shlex.join(words), tuple(files))


def bundle(shelf: Shelf, state: State) -> bytes:
    """A ZIP of the recipe, the command, and the masks and defect pictures that it names."""
    told = command(shelf, state)
    parts: list[tuple[str, bytes]] = [(RECIPE_NAME, yaml_text(state).encode()), ("render.sh", f"{told.line}\n".encode())]
    if state.roi is not None:
        folder = whole_roi(shelf, state)
        parts += _files_below(Path(folder), ROI_NAME)
    if f"{DEFECTS_NAME}/" in told.files and state.defects is not None:
        parts += _files_below(shelf.upload(state.defects).root, DEFECTS_NAME)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts:
            archive.writestr(zipfile.ZipInfo(name, _PACKED), data, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def render_state(
    shelf: Shelf, state: State, name: str, *, workers: int | None = None
) -> Callable[[Callable[[int, int], None]], dict[str, Any]]:
    """The work of rendering a state into ``<out>/<name>``, the same files as the command's.

    Raises:
        InputError: the name is not that of a folder beside others.
        RecipeError: the recipe breaks a rule.
    """
    if not _OUT_NAME.fullmatch(name):
        raise InputError(f"folder name {name!r} cannot be used: letters, digits, _ and -, at most 64, no other sign in front")
    recipe, out = state.parsed_recipe(), Path(shelf.options.out) / name
    chosen = workers or (1 if state.count <= _FEW else available_cores())

    def work(progress: Callable[[int, int], None]) -> dict[str, Any]:
        roi = None if state.roi is None else whole_roi(shelf, state)
        job = shelf.job(state, roi=roi)
        report = render(job, recipe, out, workers=chosen, on_error="skip", progress=progress)
        return report.to_dict()

    return work


def whole_roi(shelf: Shelf, state: State) -> str:
    """The folder with the ROI of every picture."""
    folder = shelf.roi_folder(state, shelf.listing(state.images).canvases.names)
    assert folder is not None
    return folder


def _files_below(folder: Path, name: str) -> list[tuple[str, bytes]]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [(f"{name}/{path.relative_to(folder).as_posix()}", path.read_bytes()) for path in files]
