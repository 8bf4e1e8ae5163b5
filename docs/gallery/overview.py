"""The overview of the gallery: every preset on a built-in object and on a built-in texture, in one picture."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from defectsynth import load_recipe, preset_names
from defectsynth.files import write_image
from defectsynth.images import AnyImage, resize_image
from defectsynth.job import Job
from defectsynth.render import render
from defectsynth.sample import AnomalySample

FAMILIES = {
    "self-contained": ["cutpaste", "cutpaste-scar", "cutpaste-3way", "nsa-object", "nsa-texture", "fpi", "pii"],
    "external-dependent": [
        "draem-code", "draem-paper", "anomalib", "memseg", "destseg", "glass", "realnet-dtd", "dsr-smudge", "luxonis", "peng2024",
    ],
}  # fmt: skip
"""The presets in the order of the pages; those that are not named here are the physical ones."""
PRODUCTS = ("disc", "fabric")
DEFECTS_FROM = "gear"
SEED = 5
TRIED = 8
"""Samples of each preset and product; the plainest of them is shown."""

CELL = 128
COLUMNS = 10
GAP = 4
CAPTION = 16
INK, PAPER = (40, 40, 40), (250, 250, 250)


def draw_overview(path: Path) -> None:
    """Writes the picture."""
    with TemporaryDirectory() as folder:
        render(_job(DEFECTS_FROM, 40), load_recipe("industrial"), Path(folder) / "defects")
        jobs = [_job(product, TRIED, defects=str(Path(folder) / "defects")) for product in PRODUCTS]
        cells = [("normal", [job.open_canvases().load(f"{name}/000").image for job, name in zip(jobs, PRODUCTS, strict=True)])]
        cells += [(preset, [plainest(job, preset) for job in jobs]) for preset in in_order()]
    write_image(path, _sheet(cells))


def in_order() -> list[str]:
    """Every preset, family by family."""
    named = [preset for family in FAMILIES.values() for preset in family]
    return named + [preset for preset in preset_names() if preset not in named]


def plainest(job: Job, preset: str) -> AnyImage:
    """Of the first samples the one with the largest change that is seen: the root of area times change."""
    canvases = job.open_canvases()
    synthesizer = job.synthesizer(load_recipe(preset).model_copy(update={"normal_fraction": 0.0}))
    images = [(task.number, canvases.load(task.canvas).image) for task in job.tasks(canvases)]
    return max((synthesizer(image, index=number) for number, image in images), key=_seen).image


def _seen(sample: AnomalySample) -> float:
    change = np.abs(sample.image.astype(np.float64) - sample.normal).max(axis=2)
    return float(np.sqrt(change).sum())


def _job(product: str, count: int, **folders: str) -> Job:
    return Job(images=f"builtin:{product}", textures="builtin:all", count=count, seed=SEED, train_fraction=0.0, **folders)


def _sheet(cells: list[tuple[str, list[AnyImage]]]) -> AnyImage:
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
