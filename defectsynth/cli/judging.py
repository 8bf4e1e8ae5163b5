"""Commands that judge: ``stats``, ``match`` and ``score``."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from defectsynth.charts import histograms
from defectsynth.cli.base import SKIPPED_EXIT, AsJson, Seed, Size, Workers, console, kinds_of, parse_size, progress_bar
from defectsynth.files import write_image
from defectsynth.matching import match as match_defects
from defectsynth.matching.match import MATCHED_FILE, REPORT_FILE, SHEET_FILE, SYNTHETIC_FOLDER
from defectsynth.pool import available_cores
from defectsynth.render import SKIPPED_FILE
from defectsynth.statistics import MEASURES, QUANTILES, Comparison, as_rows, compare, dataset_measures

__all__ = ["match", "score", "stats"]

Kinds = Annotated[str | None, typer.Option(help="Kinds of the real defects, separated by commas; all if not given.")]


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


def match(
    defects: Annotated[Path, typer.Argument(help="1 to about 50 real defects with masks, in the MVTec AD layout.")],
    out: Annotated[Path, typer.Option(help="Folder for the recipe, a rendered sample and the report.")],
    images: Annotated[Path | None, typer.Option(help="Normal pictures to paint on; train/good of the defects' folder.")] = None,
    kinds: Kinds = None,
    count: Annotated[int, typer.Option(min=1, help="Pictures of the sample.")] = 100,
    seed: Seed = 0,
    size: Size = None,
    workers: Workers = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the match in --out.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fit a recipe to a handful of real defects, and render a sample of it beside them."""
    with progress_bar("rendering") as report:
        result = match_defects(
            defects,
            out,
            images=images,
            kinds=kinds_of(kinds),
            count=count,
            seed=seed,
            size=parse_size(size),
            workers=workers or available_cores(),
            overwrite=overwrite,
            progress=report,
        )
    if as_json:
        rows = list(as_rows(result.comparison))
        summary = {"recipe": str(out / MATCHED_FILE), "examples": len(result.examples), "skipped": result.rendered.skipped}
        print(json.dumps(summary | {"statistics": rows}))
        raise typer.Exit(SKIPPED_EXIT if result.rendered.skipped else 0)
    console.print(_stats_table(result.comparison, Path("synthetic"), Path("real")))
    typer.echo(f"recipe fitted to {len(result.examples)} defects: {out / MATCHED_FILE}")
    typer.echo(f"look at {out / SHEET_FILE}, read {out / REPORT_FILE}")
    if result.rendered.skipped:
        skipped = out / SYNTHETIC_FOLDER / SKIPPED_FILE
        typer.echo(f"{result.rendered.skipped} of {count} pictures could not be painted: see {skipped}", err=True)
        raise typer.Exit(SKIPPED_EXIT)


class CopiesChoice(str, Enum):
    """How synthetic defects that were made from one real example are treated."""

    together = "together"
    apart = "apart"


def score(
    real: Annotated[Path, typer.Argument(help="Real defects, in the MVTec AD layout.")],
    synthetic: Annotated[Path, typer.Argument(help="Synthetic ones.")],
    weights: Annotated[Path | None, typer.Option(help="Weights of --backbone; without them, features made by hand.")] = None,
    backbone: Annotated[str, typer.Option(help="A network of timm.")] = "tf_efficientnet_lite0",
    kinds: Kinds = None,
    synthetic_kinds: Annotated[str | None, typer.Option(help="Kinds of the synthetic defects, separated by commas.")] = None,
    copies: Annotated[
        CopiesChoice, typer.Option(help="Synthetic copies of one real example: kept in one fold, or taken for different ones.")
    ] = CopiesChoice.together,
    folds: Annotated[int, typer.Option(min=2, help="Parts of the cross-validation.")] = 5,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="Also write the most and the least convincing samples as a PNG.")] = None,
    as_json: AsJson = False,
) -> None:
    """How far synthetic defects are from real ones: distances, and whether a classifier can tell them apart."""
    from defectsynth.scoring import score as score_datasets
    from defectsynth.scoring.report import measure_table, score_sheet, score_table

    with progress_bar("measuring") as report:
        result = score_datasets(
            real,
            synthetic,
            kinds=kinds_of(kinds),
            synthetic_kinds=kinds_of(synthetic_kinds),
            weights=weights,
            backbone=backbone,
            copies=copies.value,
            folds=folds,
            seed=seed,
            progress=report,
        )
    if out is not None:
        write_image(out, score_sheet(result))
    if as_json:
        print(json.dumps(result.to_dict()))
        return
    console.print(measure_table(result))
    console.print(score_table(result))
    for note in result.notes:
        typer.echo(f"- {note}")
