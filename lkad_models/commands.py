"""The commands ``lkad eval | calibrate | predict | export``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from defectsynth.cli.base import INTERRUPTED_EXIT, SKIPPED_EXIT, AsJson, Seed, console, progress_bar
from defectsynth.files import write_bytes

__all__ = ["calibrate", "evaluate", "export", "predict", "register"]


class RuntimeChoice(str, Enum):
    """What runs the detector."""

    torch = "torch"
    onnx = "onnx"


class FormatChoice(str, Enum):
    """What a detector is exported as."""

    onnx = "onnx"
    torch = "torch"


Run = Annotated[Path, typer.Argument(help="Folder of a run, as `lkad train --out` wrote it.")]
Device = Annotated[str, typer.Option(help="Where the detector runs: cpu, cuda, cuda:1, ...")]
Runtime = Annotated[RuntimeChoice, typer.Option(help="What runs it: torch, or what `lkad export` wrote.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Pictures of one pass.")]


def register(app: typer.Typer) -> None:
    """Adds the commands to an application, whose ``main`` shows every ``DefectSynthError`` and ends with its exit code."""
    app.command("eval")(evaluate)
    for command in (calibrate, predict, export):
        app.command()(command)


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """The bar of ``defectsynth``, without its advice on what to do after an interrupt."""
    with progress_bar(what) as shown:
        try:
            yield shown
        except KeyboardInterrupt:
            typer.echo("interrupted", err=True)
            raise typer.Exit(INTERRUPTED_EXIT) from None


def evaluate(
    run: Run,
    data: Annotated[Path, typer.Option(help="Folder in the MVTec AD layout: its test/ and ground_truth/ are used.")],
    report: Annotated[Path | None, typer.Option(help="Also write a report as one HTML file.")] = None,
    out: Annotated[Path | None, typer.Option(help="Also write the metrics and every picture's score as JSON.")] = None,
    worst: Annotated[int, typer.Option(min=0, help="Of the report: worst defects, and worst normal pictures.")] = 8,
    resamples: Annotated[int, typer.Option(min=0, help="Of the bootstrap; 0 for no intervals.")] = 1000,
    seed: Seed = 0,
    device: Device = "cpu",
    runtime: Runtime = RuntimeChoice.torch,
    batch_size: BatchSize = 8,
    as_json: AsJson = False,
) -> None:
    """Judge a detector by a test set: AUROC, AP, F1 and AUPRO, in all and by kind of defect, with 95 % intervals."""
    from lkad_models.evaluation import evaluate as judge
    from lkad_models.evaluation import kinds_table, metrics_table
    from lkad_models.prediction import load
    from lkad_models.report import write_report

    detector = load(run, device, runtime.value)
    with _progress("judging") as shown:
        found = judge(detector, data, batch_size=batch_size, resamples=resamples, seed=seed, progress=shown)
    if out is not None:
        write_bytes(out, (found.to_json() + "\n").encode())
    if report is not None:
        write_report(found, detector, report, worst=worst)
    if as_json:
        print(found.to_json())
        return
    console.print(metrics_table(found))
    if found.kinds:
        console.print(kinds_table(found))
    if found.rates is not None:
        typer.echo(
            f"at the calibrated threshold: {found.rates.found} of {found.rates.defects} defective pictures found, "
            f"{found.rates.alarms} of {found.rates.normals} normal ones flagged"
        )
    if report is not None:
        typer.echo(f"look at {report}")


def calibrate(
    run: Run,
    normal: Annotated[Path, typer.Option(help="Folder of normal pictures that the run was not trained on.")],
    fpr: Annotated[float, typer.Option(help="Share of normal pictures that may be flagged.")] = 0.01,
    allow_few: Annotated[
        bool,
        typer.Option("--allow-few", help="Set thresholds from fewer pictures than --fpr takes, and say what they promise."),
    ] = False,
    recipe: Annotated[
        str | None, typer.Option(help="Of the defects that recall is measured by; the run's if not given.")
    ] = None,
    textures: Annotated[str | None, typer.Option(help="Folder of textures, or builtin:all, for --recipe.")] = None,
    defects: Annotated[str | None, typer.Option(help="Folder of real defects in the MVTec AD layout, for --recipe.")] = None,
    masks: Annotated[str | None, typer.Option(help="Folder of real masks, for --recipe.")] = None,
    painted: Annotated[int, typer.Option(min=0, help="Synthetic defects that recall is measured by; 0 for none.")] = 200,
    seed: Seed = 0,
    device: Device = "cpu",
    runtime: Runtime = RuntimeChoice.torch,
    batch_size: BatchSize = 8,
    as_json: AsJson = False,
) -> None:
    """Set the thresholds of a run from held-out normal pictures, and say which false positive rate they promise."""
    from lkad_models.calibration import calibrate as set_thresholds
    from lkad_models.calibration import recall_table
    from lkad_models.painter import Painter

    painter = None if recipe is None else Painter(recipe, textures, defects, masks)
    with _progress("calibrating") as shown:
        found = set_thresholds(
            run,
            normal,
            fpr,
            allow_few=allow_few,
            painter=painter,
            painted=painted,
            seed=seed,
            device=device,
            runtime=runtime.value,
            batch_size=batch_size,
            progress=shown,
        )
    if as_json:
        print(found.model_dump_json())
        return
    for name, limit in (("image", found.image), ("pixel", found.pixel)):
        typer.echo(
            f"{name} threshold {limit.threshold:.6g}: at most {limit.promised:.2%} of normal pictures are flagged, with "
            f"{found.confidence:.0%} confidence ({limit.alarms} of {found.normals} were)"
        )
    if found.recall is not None:
        console.print(recall_table(found))
    if not found.kept:
        from lkad_models.calibration import pictures_needed

        typer.secho(
            f"warning: {found.normals} normal pictures cannot promise {found.fpr:.2%}; that takes {pictures_needed(found.fpr)}",
            fg="yellow",
            err=True,
        )


def predict(
    run: Run,
    images: Annotated[Path, typer.Argument(help="Folder of pictures.")],
    out: Annotated[Path, typer.Option(help="Folder for scores.csv, masks/ and overlays/.")],
    overlays: Annotated[bool, typer.Option(help="Write heat maps over the pictures.")] = True,
    device: Device = "cpu",
    runtime: Runtime = RuntimeChoice.torch,
    batch_size: BatchSize = 8,
    as_json: AsJson = False,
) -> None:
    """Score every picture of a folder, and say where the defects are."""
    from lkad_models.prediction import SCORES_FILE, load, predict_folder

    detector = load(run, device, runtime.value)
    with _progress("predicting") as shown:
        found = predict_folder(detector, images, out, batch_size=batch_size, overlays=overlays, progress=shown)
    if as_json:
        skipped = [{"name": one.name, "reason": one.reason} for one in found.skipped]
        print(json.dumps({"pictures": found.pictures, "anomalous": found.anomalous, "skipped": skipped}))
    else:
        flagged = "not calibrated: no verdicts" if found.anomalous is None else f"{found.anomalous} anomalous"
        typer.echo(f"{found.pictures} pictures ({flagged}): {out / SCORES_FILE}")
        for one in found.skipped:
            typer.secho(f"skipped {one.name}: {one.reason}", fg="yellow", err=True)
    raise typer.Exit(SKIPPED_EXIT if found.skipped else 0)


def export(
    run: Run,
    format: Annotated[FormatChoice, typer.Option(help="ONNX, or a program of torch.export.")] = FormatChoice.onnx,
    out: Annotated[Path | None, typer.Option(help="The file; model.onnx or model.pt2 in the run if not given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a detector as one file for other runtimes, after checking that it says the same."""
    from lkad_models.export import export as write_exported

    found = write_exported(run, format.value, out)
    if as_json:
        print(json.dumps({"path": str(found.path), "format": found.format, "size": found.size, "difference": found.difference}))
        return
    typer.echo(f"{found.path}, {found.size / 2**20:.1f} MiB; differs from torch by {found.difference:.1g} at most")
