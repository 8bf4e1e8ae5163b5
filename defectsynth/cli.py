"""The command line: ``defectsynth render | recipes | preview | stats | verify``.

Exit codes: 0 done; 1 unexpected; 2 bad input or usage; 3 done, but pictures were skipped; 4 verify found a difference;
5 an anomaly source shares a picture with an excluded set; 6 no usable defect; 7 the output cannot be written; 130 interrupted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from defectsynth import __version__
from defectsynth.charts import histograms
from defectsynth.errors import DefectSynthError, InputError, VerificationError
from defectsynth.files import MAX_PIXELS, write_image
from defectsynth.job import JOB_FILE, Job, check_imports
from defectsynth.plugins import load_plugins
from defectsynth.pool import available_cores
from defectsynth.preview import contact_sheet
from defectsynth.recipe import load_recipe, preset_names
from defectsynth.render import render as render_dataset
from defectsynth.samples import PRODUCTS
from defectsynth.spec import describe
from defectsynth.statistics import MEASURES, QUANTILES, Comparison, as_rows, compare, dataset_measures
from defectsynth.verify import verify as verify_dataset

__all__ = ["app", "main"]

SKIPPED_EXIT = 3
INTERRUPTED_EXIT = 130
DATASET_NORMALS = 0.2

app = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, help=__doc__
)
recipes_app = typer.Typer(no_args_is_help=True, help="List, show and check recipes.")
app.add_typer(recipes_app, name="recipes")

console = Console()
messages = Console(stderr=True)


class OnErrorChoice(str, Enum):
    """What happens to a picture that cannot be made."""

    stop = "stop"
    skip = "skip"


class FormatChoice(str, Enum):
    """How a dataset lies on disk."""

    mvtec = "mvtec"


Images = Annotated[str, typer.Option(help=f"Folder of normal pictures, or builtin:<product> ({', '.join(PRODUCTS)}, all).")]
Roi = Annotated[str | None, typer.Option(help="Folder of ROI masks named like the pictures, or one mask for all.")]
Textures = Annotated[str | None, typer.Option(help="Folder of textures (DTD or any other).")]
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
MaxPixels = Annotated[int, typer.Option(min=1, help="Refuse larger picture files.")]


@app.command()
def render(
    out: Annotated[Path, typer.Option(help="The dataset's folder: new, or empty.")],
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
    format: Annotated[FormatChoice, typer.Option(help="Layout on disk.")] = FormatChoice.mvtec,
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
    exclude: Annotated[list[str] | None, typer.Option(help="Folder that no anomaly source may share a picture with.")] = None,
    workers: Workers = 0,
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
    if resume and (out / JOB_FILE).is_file():
        check_imports(out, modules)
    chosen = load_recipe(recipe)
    if normal_fraction is not None or chosen.normal_fraction == 0:
        chosen = chosen.model_copy(update={"normal_fraction": DATASET_NORMALS if normal_fraction is None else normal_fraction})
    chosen = chosen.with_settings(settings or [])
    job = _job(images, roi, textures, defects, masks, exclude, count, seed, size, white, train_fraction, max_pixels, modules)
    with _progress("rendering") as report:
        result = render_dataset(
            job,
            chosen,
            out,
            workers=workers or available_cores(),
            resume=resume,
            overwrite=overwrite,
            on_error=on_error.value,
            progress=report,
        )
    if as_json:
        print(json.dumps(result.to_dict()))
    else:
        kinds = ", ".join(f"{kind} {number}" for kind, number in result.kinds.items())
        rate = (result.pictures - result.resumed) / max(result.seconds, 1e-9)
        typer.echo(f"{result.pictures} pictures in {out} ({kinds}), {result.seconds:.1f} s, {rate:.0f} pictures/s")
        typer.echo(f"look at {out / 'preview.png'}")
        if result.skipped:
            typer.echo(f"{result.skipped} pictures were skipped: see {out / 'skipped.jsonl'}", err=True)
    raise typer.Exit(SKIPPED_EXIT if result.skipped else 0)


@app.command()
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
    job = _job(images, roi, textures, defects, masks, None, count, seed, size, white, 0.0, max_pixels, modules)
    canvases, synthesizer = job.open_canvases(), job.synthesizer(chosen)
    samples = []
    for task in job.tasks(canvases):
        canvas = canvases.load(task.canvas)
        samples.append(synthesizer(canvas.image, index=task.number, roi=canvas.roi))
    write_image(out, contact_sheet(samples, cell=cell))
    typer.echo(f"{len(samples)} samples in {out}")


@app.command()
def stats(
    dataset: Annotated[Path, typer.Argument(help="A dataset in the MVTec AD layout, rendered or real.")],
    against: Annotated[Path | None, typer.Option(help="Another one beside it, for example a real one.")] = None,
    out: Annotated[Path | None, typer.Option(help="Also write the distributions as a PNG.")] = None,
    as_json: AsJson = False,
) -> None:
    """Area, pieces, elongation and contrast of the defects of a dataset."""
    own, other = dataset_measures(dataset), dataset_measures(against) if against else None
    comparison = compare(own, other)
    if out is not None:
        write_image(out, histograms(own, other, (dataset.name or "dataset", against.name if against else "")))
    if as_json:
        print(json.dumps(list(as_rows(comparison))))
        return
    console.print(_stats_table(comparison, dataset, against))
    for measure in MEASURES:
        typer.echo(f"{measure.name}: {measure.meaning}")


def _stats_table(comparison: Comparison, dataset: Path, against: Path | None) -> Table:
    table = Table(title=f"{dataset.name}" + (f" against {against.name}" if against else ""))
    table.add_column("measure", no_wrap=True)
    table.add_column("of", no_wrap=True)
    for quantile in QUANTILES:
        table.add_column("median" if quantile == 0.5 else f"{quantile:.0%}", justify="right", no_wrap=True)
    if against:
        table.add_column("ratio", justify="right", no_wrap=True)
    for name, (first, second) in comparison.items():
        ratio = [f"{first.median / second.median:.2f}" if second.median else "-"] if second else []
        table.add_row(name, dataset.name, *(f"{value:.2g}" for value in first.quantiles), *ratio)
        if second and against:
            table.add_row("", against.name, *(f"{value:.2g}" for value in second.quantiles), "")
    return table


@app.command()
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
    with _progress("verifying") as report:
        result = verify_dataset(
            dataset,
            replacements={
                key: str(Path(value).absolute()) if not value.startswith("builtin:") else value
                for key, value in moved.items()
                if value
            },
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


@recipes_app.command("list")
def list_recipes(as_json: AsJson = False) -> None:
    """Every preset, with its source."""
    recipes = [load_recipe(name) for name in preset_names()]
    if as_json:
        print(
            json.dumps(
                [{"name": recipe.name, "description": recipe.description, "reference": recipe.reference} for recipe in recipes]
            )
        )
        return
    table = Table()
    for heading in ("name", "what it draws", "needs", "source"):
        table.add_column(heading, overflow="fold")
    for recipe in recipes:
        table.add_row(recipe.name, recipe.description, ", ".join(sorted(recipe.needs)) or "nothing", recipe.reference)
    console.print(table)


@recipes_app.command("show")
def show_recipe(
    recipe: Annotated[str, typer.Argument(help="A preset or a .yaml file.")],
    settings: Settings = None,
    imports: Imports = None,
) -> None:
    """A recipe as YAML, every value written out."""
    load_plugins(imports or [])
    print(load_recipe(recipe).with_settings(settings or []).to_yaml(), end="")


@recipes_app.command("check")
def check_recipe(
    recipe: Annotated[str, typer.Argument(help="A preset or a .yaml file.")],
    settings: Settings = None,
    imports: Imports = None,
) -> None:
    """Check a recipe; a broken one is an error that names the key, the value and the rule."""
    load_plugins(imports or [])
    found = load_recipe(recipe).with_settings(settings or [])
    needs = " and ".join(sorted(found.needs)) or "nothing but normal pictures"
    typer.echo(f"recipe {found.name!r} is sound: {len(found.kinds)} kinds, needs {needs}")


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """The entry point: every deliberate error is one message on standard error and its own exit code."""
    try:
        app()
    except DefectSynthError as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        raise SystemExit(error.exit_code) from None


# --- helpers --------------------------------------------------------------------------------------------------------------


def _job(
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
) -> Job:
    try:
        return Job(
            images=images if images.startswith("builtin:") else _absolute(images),
            roi=roi and _absolute(roi),
            textures=textures and _absolute(textures),
            defects=defects and _absolute(defects),
            masks=masks and _absolute(masks),
            exclude=tuple(_absolute(folder) for folder in exclude or ()),
            count=count,
            seed=seed,
            size=_parse_size(size),
            white=white,
            train_fraction=train_fraction,
            max_pixels=max_pixels,
            imports=imports,
        )
    except ValidationError as error:
        raise InputError(describe(error, Job)) from None


def _absolute(folder: str) -> str:
    return str(Path(folder).absolute())


def _parse_size(text: str | None) -> tuple[int, int] | None:
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


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:.0f} images/s")


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None] | None]:
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


if __name__ == "__main__":
    main()
