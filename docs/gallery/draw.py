"""Draws the figures of the gallery: runs the commands beside them, and saves each figure in few colours.

python docs/gallery/draw.py                      every figure, and the overview
python docs/gallery/draw.py cutpaste overview    these
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from overview import draw_overview
from PIL import Image

from defectsynth.cli import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(Path(__file__).parent.glob("*.md"))
FIGURES = Path("docs/images/gallery")
COLOURS = 96


def commands(page: Path) -> list[list[str]]:
    """The words of every ``$ defectsynth`` line of a page."""
    lines = re.findall(r"^\$ defectsynth (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [shlex.split(line) for line in lines]


def option(words: Sequence[str], name: str) -> str:
    """What follows an option, or nothing."""
    return words[words.index(name) + 1] if name in words else ""


def needed(page: Path, names: set[str]) -> Iterator[list[str]]:
    """The commands that draw these figures (all if none is named), each after the one that renders what it reads."""
    every = commands(page)
    wanted = [words for words in every if words[0] == "preview" and (not names or Path(option(words, "--out")).stem in names)]
    rendered = {option(words, "--out"): words for words in every if words[0] == "render"}
    read = {option(words, name) for words in wanted for name in ("--defects", "--masks")}
    yield from (rendered[folder] for folder in rendered if folder in read)
    yield from wanted


def draw(names: set[str]) -> None:
    """Draws in an empty folder, so that the commands leave nothing else here."""
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        shutil.copytree(ROOT / "examples", "examples")
        for page in PAGES:
            for words in needed(page, names):
                app(words, standalone_mode=False)
        if not names or "overview" in names:
            draw_overview(FIGURES / "overview.png")
        for path in sorted(FIGURES.glob("*.png")):
            save_small(path, ROOT / path)


def save_small(path: Path, target: Path) -> None:
    """A palette of few colours takes a fifth of the bytes; ``MAXCOVERAGE`` keeps the rare ones, which are the defects'."""
    target.parent.mkdir(parents=True, exist_ok=True)
    sheet = Image.open(path).convert("RGB")
    sheet.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, kmeans=2).save(target, optimize=True)
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="Figures to draw: the files' names without .png; all if none is given.")
    draw(set(parser.parse_args().names))
