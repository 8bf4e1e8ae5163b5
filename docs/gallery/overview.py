"""The overview of the gallery: every preset on a built-in object and on a built-in texture, in one picture."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from defectsynth import load_recipe
from defectsynth.files import write_image
from defectsynth.images import AnyImage, resize_image
from defectsynth.job import Job
from defectsynth.render import render
from defectsynth.sample import AnomalySample

PAGES = [Path(__file__).with_name(f"{name}.md") for name in ("self-contained", "external", "physical")]
PRODUCTS = ("disc", "fabric")
DEFECTS_FROM = "gear"
TRIED = 8
"""Samples of each preset and product; the one that is seen best is shown."""

CELL = 128
COLUMNS = 10
GAP = 4
CAPTION = 16
INK, PAPER = (40, 40, 40), (250, 250, 250)

Cell = tuple[str, list[AnyImage]]


def draw_overview(path: Path) -> None:
    """Writes the picture."""
    normal = [_job(product, seed=0).open_canvases().load(f"{product}/000").image for product in PRODUCTS]
    cells: list[Cell] = [("normal", normal)]
    with TemporaryDirectory() as folder:
        defects = str(Path(folder) / "defects")
        render(_job(DEFECTS_FROM, seed=1, count=60), load_recipe("industrial"), Path(defects))
        for seed, preset in enumerate(in_order(), start=1):
            jobs = [_job(product, seed=seed, defects=defects) for product in PRODUCTS]
            cells.append((preset, [best_seen(job, preset) for job in jobs]))
    write_image(path, _sheet(cells))


def in_order() -> list[str]:
    """The presets in the order of the pages."""
    return [name for page in PAGES for name in re.findall(r"^## `(.+)`$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)]


def best_seen(job: Job, preset: str) -> AnyImage:
    """Of the first samples the one that changes most, whether by its area or by its strength."""
    canvases = job.open_canvases()
    synthesizer = job.synthesizer(load_recipe(preset).model_copy(update={"normal_fraction": 0.0}))
    samples = (synthesizer(canvases.load(task.canvas).image, index=task.number) for task in job.tasks(canvases))
    return max(samples, key=_change).image


def _change(sample: AnomalySample) -> float:
    change = np.abs(sample.image.astype(np.float64) - sample.normal).max(axis=2)
    return float(np.sqrt(change).sum())


def _job(product: str, *, seed: int, count: int = TRIED, defects: str | None = None) -> Job:
    images, textures = f"builtin:{product}", "builtin:all"
    return Job(images=images, textures=textures, defects=defects, count=count, seed=seed, train_fraction=0.0)


def _sheet(cells: list[Cell]) -> AnyImage:
    """``(H, W, 3)``: each preset's name above its pictures, one for each product, below each other."""
    width, height = CELL + GAP, CAPTION + len(PRODUCTS) * (CELL + GAP)
    rows = -(-len(cells) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * width + GAP, rows * height + GAP), PAPER)
    pen = ImageDraw.Draw(sheet)
    for place, (name, pictures) in enumerate(cells):
        left, top = GAP + place % COLUMNS * width, place // COLUMNS * height
        pen.text((left, top + 2), name, fill=INK, font=ImageFont.load_default(size=12))
        for number, picture in enumerate(pictures):
            small = Image.fromarray(np.asarray(resize_image(picture, (CELL, CELL))))
            sheet.paste(small, (left, top + CAPTION + number * (CELL + GAP)))
    return np.asarray(sheet)
