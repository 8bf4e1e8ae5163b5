"""The command line of the detector: ``lkad train | eval | calibrate | predict | export``.

Exit codes are those of ``defectsynth``: 0 done; 1 unexpected, or training that cannot go on; 2 bad input or usage; 3 done, but
pictures were skipped; 130 interrupted, with a checkpoint to go on from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import ValidationError

from defectsynth import __version__
from defectsynth.cli import INTERRUPTED_EXIT
from defectsynth.errors import DefectSynthError, InputError
from defectsynth.spec import describe
from lkad_models import commands

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Anomaly detection and localisation, trained on synthetic defects alone.",
)
commands.register(app)

_OWN_SIZE = {"tiny": 128, "small": 256, "base": 256}


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    data: Annotated[Path | None, typer.Option(help="Folder in the MVTec AD layout; only train/good is looked at.")] = None,
    recipe: Annotated[str, typer.Option(help="A preset (see `defectsynth recipes list`) or a .yaml file.")] = "draem-code",
    textures: Annotated[str, typer.Option(help="Folder of textures (DTD or any other), or builtin:all.")] = "builtin:all",
    defects: Annotated[Path | None, typer.Option(help="Folder of real defects in the MVTec AD layout.")] = None,
    masks: Annotated[Path | None, typer.Option(help="Folder of real masks.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="Change the recipe: kinds.*.weight=1.")] = None,
    exclude: Annotated[list[Path] | None, typer.Option(help="Folder whose pictures no source may share; repeatable.")] = None,
    size: Annotated[Literal["tiny", "small", "base"], typer.Option(help="Of the networks.")] = "base",
    image_size: Annotated[int | None, typer.Option(min=32, help="Side in pixels; 128 for tiny, else 256.")] = None,
    channels: Annotated[int, typer.Option(min=1, help="Of the pictures.")] = 3,
    schedule: Annotated[Literal["fast", "paper"], typer.Option(help="One cycle of --max-steps, or 700 epochs.")] = "fast",
    max_steps: Annotated[int, typer.Option(min=1, help="Of the schedule `fast`.")] = 20_000,
    max_minutes: Annotated[float | None, typer.Option("--max-time", help="Minutes after which `fast` has ended.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures of a step, on each device.")] = 8,
    learning_rate: Annotated[float | None, typer.Option(help="The largest; 2e-3 (fast) or 1e-4 (paper).")] = None,
    rotation: Annotated[float, typer.Option(min=0, max=180, help="Degrees that normal pictures are turned by, up to.")] = 90.0,
    feature_sync: Annotated[
        Literal["copy", "ema", "frozen", "grad"], typer.Option(help="How the deep features follow the reconstruction.")
    ] = "copy",
    features: Annotated[bool, typer.Option(help="Whether deep features are compared.")] = True,
    precision: Annotated[Literal["32", "bf16"], typer.Option(help="Of products on the device.")] = "32",
    accelerator: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where to train.")] = "auto",
    devices: Annotated[int, typer.Option(min=1, help="How many GPUs.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of every random number.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")] = False,
    demo: Annotated[bool, typer.Option("--demo", help="A built-in product, tiny, in minutes; data in OUT/demo.")] = False,
) -> None:
    """Train a detector on normal pictures, with defects painted into them."""
    from lkad_models import LKADConfig
    from lkad_models.demo import DEMO_MINUTES, demo_data
    from lkad_models.training import TrainingConfig
    from lkad_models.training import train as run

    if demo:
        data, size, max_minutes = demo_data(out / "demo"), "tiny", max_minutes or DEMO_MINUTES
    if data is None:
        raise InputError("no data: give --data FOLDER in the MVTec AD layout, or --demo for a built-in product")
    try:
        config = TrainingConfig(
            data=data,
            out=out,
            recipe=recipe,
            textures=textures,
            defects=defects,
            masks=masks,
            settings=tuple(settings or ()),
            exclude=tuple(exclude or ()),
            model=LKADConfig(
                size=size,
                channels=channels,
                image_size=image_size or _OWN_SIZE[size],
                features=features,
                feature_sync=feature_sync,
            ),
            schedule=schedule,
            max_steps=max_steps,
            max_minutes=max_minutes,
            batch_size=batch_size,
            learning_rate=learning_rate,
            rotation=rotation,
            precision=precision,
            accelerator=accelerator,
            devices=devices,
            seed=seed,
        )
    except ValidationError as error:
        raise InputError(describe(error, TrainingConfig)) from None
    try:
        run(config, resume=resume)
    except KeyboardInterrupt:
        typer.secho(f"interrupted: go on with --resume --out {out}", fg="yellow", err=True)
        raise typer.Exit(INTERRUPTED_EXIT) from None
    typer.echo(f"{out}: `lkad eval {out} --data {data}`")


def main() -> None:
    """The entry point: every deliberate error is one message on standard error and its own exit code."""
    try:
        app()
    except DefectSynthError as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        raise SystemExit(error.exit_code) from None
