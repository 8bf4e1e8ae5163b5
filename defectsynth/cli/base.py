"""What the commands share: the application, its options, and the bars that show progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from defectsynth.encoding import ImageFormat
from defectsynth.errors import InputError
from defectsynth.files import BUILTIN_PREFIX, MAX_PIXELS
from defectsynth.job import Job
from defectsynth.samples import PRODUCTS
from defectsynth.spec import describe

SKIPPED_EXIT = 3
INTERRUPTED_EXIT = 130
DATASET_NORMALS = 0.2

console = Console()
messages = Console(stderr=True)


class FormatChoice(str, Enum):
    """How a dataset lies on disk."""

    mvtec = "mvtec"
    coco = "coco"
    yolo = "yolo"
    imagefolder = "imagefolder"
    webdataset = "webdataset"
    parquet = "parquet"


Images = Annotated[str, typer.Option(help=f"Folder of normal pictures, or builtin:<product> ({', '.join(PRODUCTS)}, all).")]
Roi = Annotated[str | None, typer.Option(help="Folder of ROI masks named like the pictures, or one mask for all.")]
Textures = Annotated[str | None, typer.Option(help="Folder of textures (DTD or any other), or builtin:all.")]
Defects = Annotated[str | None, typer.Option(help="Folder of real defects in the MVTec AD layout.")]
Masks = Annotated[str | None, typer.Option(help="Folder of real masks, without pictures.")]
Imports = Annotated[
    list[str] | None,
    typer.Option("--import", help="Module or .py file with kinds of your own, imported before the recipe is read."),
]
RecipeName = Annotated[str, typer.Option(help="A preset (see `defectsynth recipes list`) or a .yaml file.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="Change the recipe: kinds.*.mask.area_range=[0.01,0.06].")]
Seed = Annotated[int, typer.Option(help="Seed of every random number.")]
Size = Annotated[
    str | None, typer.Option(help="Bring every picture to N x N (256) or W x H (640x480); its own size if not given.")
]
White = Annotated[int | None, typer.Option(min=1, max=65_535, help="White in 16-bit files of 10- to 14-bit cameras: 4095.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes; 0 takes every core. The bytes do not depend on it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
ShardSize = Annotated[int, typer.Option(min=1, help="Pictures of a shard (webdataset, parquet).")]
ValFraction = Annotated[
    float | None,
    typer.Option(min=0, max=0.999, help="Split the labelled pictures into train and val, this share to val; yolo: 0.2."),
]
MaxPixels = Annotated[int, typer.Option(min=1, help="Refuse larger picture files.")]


def job_of(
    images: str,
    roi: str | None,
    textures: str | None,
    defects: str | None,
    masks: str | None,
    exclude: list[str] | None,
    count: int,
    seed: int,
    size: str | None,
    white: int | None,
    train_fraction: float,
    max_pixels: int,
    imports: tuple[str, ...],
    image_format: ImageFormat = "png",
    png_level: int | None = None,
    quality: int | None = None,
) -> Job:
    """The job of the options, with absolute folders; raises ``InputError`` where one breaks a rule."""
    try:
        return Job(
            images=absolute(images),
            roi=roi and absolute(roi),
            textures=textures and absolute(textures),
            defects=defects and absolute(defects),
            masks=masks and absolute(masks),
            exclude=tuple(absolute(folder) for folder in exclude or ()),
            count=count,
            seed=seed,
            size=parse_size(size),
            white=white,
            train_fraction=train_fraction,
            max_pixels=max_pixels,
            imports=imports,
            image_format=image_format,
            png_level=png_level,
            quality=quality,
        )
    except ValidationError as error:
        raise InputError(describe(error, Job)) from None


def absolute(folder: str) -> str:
    """A folder wherever it is asked from; ``builtin:<name>`` is none and stays."""
    return folder if folder.startswith(BUILTIN_PREFIX) else str(Path(folder).absolute())


def parse_size(text: str | None) -> tuple[int, int] | None:
    """``256`` or ``640x480`` (width x height) as ``(H, W)``."""
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise InputError(f"size {text!r} is not a size: write 256 or 640x480 (width x height)")
    width, height = int(parts[0]), int(parts[-1])
    if width * height > MAX_PIXELS:
        raise InputError(f"size {text!r} is {width * height:,} pixels: at most {MAX_PIXELS:,} are painted")
    return height, width


def kinds_of(text: str | None) -> list[str] | None:
    """``crack,hole`` as a list."""
    return None if text is None else [kind.strip() for kind in text.split(",") if kind.strip()]


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:.0f} images/s")


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on standard error, nothing where that is not a terminal; an interrupt ends with its own exit code."""
    try:
        if not messages.is_terminal:
            yield None
            return
        columns: tuple[Any, ...] = (TextColumn(what), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
        with Progress(*columns, console=messages, transient=True) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
    except KeyboardInterrupt:
        typer.echo("interrupted: what was written stays; `render --resume` goes on from there", err=True)
        raise typer.Exit(INTERRUPTED_EXIT) from None
