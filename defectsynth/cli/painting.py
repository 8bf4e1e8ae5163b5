"""Commands that paint: ``render``, ``preview``, and ``verify``, which paints again and compares."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from defectsynth.cli.base import (
    DATASET_NORMALS,
    SKIPPED_EXIT,
    AsJson,
    Defects,
    FormatChoice,
    Images,
    Imports,
    Masks,
    MaxPixels,
    RecipeName,
    Roi,
    Seed,
    Settings,
    ShardSize,
    Size,
    Textures,
    ValFraction,
    White,
    Workers,
    absolute,
    job_of,
    progress_bar,
)
from defectsynth.errors import VerificationError
from defectsynth.files import MAX_PIXELS, write_image
from defectsynth.formats.shards import SHARD_FORMATS, SHARD_SIZE
from defectsynth.job import JOB_FILE, check_imports
from defectsynth.plugins import load_plugins
from defectsynth.pool import available_cores
from defectsynth.preview import contact_sheet
from defectsynth.recipe import load_recipe
from defectsynth.render import PREVIEW_FILE, SKIPPED_FILE
from defectsynth.render_as import render_as
from defectsynth.sharding import INDEX_FILE
from defectsynth.verify import verify as verify_dataset

__all__ = ["preview", "render", "verify"]


class OnErrorChoice(str, Enum):
    """What happens to a picture that cannot be made."""

    stop = "stop"
    skip = "skip"


class EngineChoice(str, Enum):
    """Who makes the shards."""

    local = "local"
    ray = "ray"


class ImageFormatChoice(str, Enum):
    """What pictures are written as."""

    png = "png"
    jpg = "jpg"
    webp = "webp"


def render(
    out: Annotated[str, typer.Option(help="The dataset's folder: new, or empty. Shards may go to any address: s3://...")],
    images: Images = "builtin:disc",
    roi: Roi = None,
    textures: Textures = None,
    defects: Defects = None,
    masks: Masks = None,
    recipe: RecipeName = "industrial",
    settings: Settings = None,
    imports: Imports = None,
    count: Annotated[int, typer.Option(min=1, help="Labelled pictures, below test/.")] = 100,
    seed: Seed = 0,
    size: Size = None,
    white: White = None,
    format: Annotated[FormatChoice, typer.Option(help="How the dataset lies on disk.")] = FormatChoice.mvtec,
    normal_fraction: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Share of labelled pictures that stay normal (test/good): the recipe's own, or 0.2 if it has none.",
        ),
    ] = None,
    train_fraction: Annotated[
        float,
        typer.Option(min=0, max=0.999, help="Share of the normal pictures that go to train/good; the others are painted on."),
    ] = 0.5,
    image_format: Annotated[
        ImageFormatChoice, typer.Option(help="Of pictures: png is lossless, jpg and webp lose pixels. Masks are always PNG.")
    ] = ImageFormatChoice.png,
    png_level: Annotated[
        int | None, typer.Option(min=0, max=9, help="Compression of PNG pictures, 0 (none) to 9; 1 if not given.")
    ] = None,
    quality: Annotated[int | None, typer.Option(min=1, max=100, help="Of JPEG and WebP pictures; 95 if not given.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Folder that no anomaly source may share a picture with.")] = None,
    workers: Workers = 0,
    shard_size: ShardSize = SHARD_SIZE,
    val_fraction: ValFraction = None,
    engine: Annotated[
        EngineChoice, typer.Option(help="Who paints: processes of this machine, or Ray (webdataset and parquet).")
    ] = EngineChoice.local,
    address: Annotated[str | None, typer.Option(help="Of a Ray cluster; one of this machine alone if not given.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run that began in --out.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the dataset in --out.")] = False,
    on_error: Annotated[
        OnErrorChoice, typer.Option(help="A picture that cannot be made: stop, or skip it.")
    ] = OnErrorChoice.stop,
    max_pixels: MaxPixels = MAX_PIXELS,
    as_json: AsJson = False,
) -> None:
    """Render a labelled dataset of defects from photographs of good parts."""
    modules = load_plugins(imports or [])
    if resume and format is FormatChoice.mvtec and (Path(out) / JOB_FILE).is_file():
        check_imports(Path(out), modules)
    chosen = load_recipe(recipe)
    if normal_fraction is not None or chosen.normal_fraction == 0:
        chosen = chosen.model_copy(update={"normal_fraction": DATASET_NORMALS if normal_fraction is None else normal_fraction})
    chosen = chosen.with_settings(settings or [])
    job = job_of(
        images, roi, textures, defects, masks, exclude, count, seed, size, white, train_fraction, max_pixels, modules,
        image_format.value, png_level, quality,
    )  # fmt: skip
    with progress_bar("rendering") as report:
        result = render_as(
            job,
            chosen,
            out,
            format.value,
            workers=workers or available_cores(),
            engine=engine.value,
            address=address,
            shard_size=shard_size,
            val_fraction=val_fraction,
            resume=resume,
            overwrite=overwrite,
            on_error=on_error.value,
            progress=report,
        )
    if as_json:
        print(json.dumps(result.to_dict()))
    else:
        kinds = ", ".join(f"{kind} {number}" for kind, number in result.kinds.items())
        made = result.pictures - result.resumed
        before = f", {result.resumed} of them there before" if result.resumed else ""
        rate = f", {made / max(result.seconds, 1e-9):.0f} pictures/s" if made else ""
        typer.echo(f"{result.pictures} pictures in {out} ({kinds}){before}, {result.seconds:.1f} s{rate}")
        if format is FormatChoice.mvtec:
            typer.echo(f"look at {Path(out) / PREVIEW_FILE}")
        if result.skipped:
            listed = Path(out) / (INDEX_FILE if format.value in SHARD_FORMATS else SKIPPED_FILE)
            typer.echo(f"{result.skipped} pictures were skipped: see {listed}", err=True)
    raise typer.Exit(SKIPPED_EXIT if result.skipped else 0)


def preview(
    out: Annotated[Path, typer.Option(help="The PNG to write.")] = Path("preview.png"),
    images: Images = "builtin:disc",
    roi: Roi = None,
    textures: Textures = None,
    defects: Defects = None,
    masks: Masks = None,
    recipe: RecipeName = "industrial",
    settings: Settings = None,
    imports: Imports = None,
    count: Annotated[int, typer.Option(min=1, max=200, help="Samples on the sheet.")] = 12,
    seed: Seed = 0,
    size: Size = None,
    white: White = None,
    cell: Annotated[int, typer.Option(min=16, max=1024, help="Side of each picture on the sheet, in pixels.")] = 176,
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Draw a contact sheet: normal, anomalous, mask, defect map."""
    modules = load_plugins(imports or [])
    chosen = load_recipe(recipe).model_copy(update={"normal_fraction": 0.0}).with_settings(settings or [])
    job = job_of(images, roi, textures, defects, masks, None, count, seed, size, white, 0.0, max_pixels, modules)
    canvases, synthesizer = job.open_canvases(), job.synthesizer(chosen)
    samples = []
    for task in job.tasks(canvases):
        canvas = canvases.load(task.canvas)
        samples.append(synthesizer(canvas.image, index=task.number, roi=canvas.roi))
    write_image(out, contact_sheet(samples, cell=cell))
    typer.echo(f"{len(samples)} samples in {out}")


def verify(
    dataset: Annotated[Path, typer.Argument(help="A dataset that `render` wrote.")],
    images: Annotated[str | None, typer.Option(help="Where the normal pictures are now.")] = None,
    roi: Roi = None,
    textures: Textures = None,
    defects: Defects = None,
    masks: Masks = None,
    imports: Imports = None,
    workers: Workers = 0,
    as_json: AsJson = False,
) -> None:
    """Paint every plan of a dataset again and compare every pixel with what is on disk."""
    moved = {"images": images, "roi": roi, "textures": textures, "defects": defects, "masks": masks}
    with progress_bar("verifying") as report:
        result = verify_dataset(
            dataset,
            replacements={key: absolute(value) for key, value in moved.items() if value},
            imports=imports or [],
            workers=workers or available_cores(),
            progress=report,
        )
    if as_json:
        print(json.dumps({"pictures": result.pictures, "problems": result.problems}))
    elif not result.problems:
        typer.echo(f"{result.pictures} pictures are what their plans paint")
    if result.problems and not as_json:
        raise VerificationError(f"{len(result.problems)} problems in {str(dataset)!r}:\n  " + "\n  ".join(result.problems))
    raise typer.Exit(VerificationError.exit_code if result.problems else 0)
