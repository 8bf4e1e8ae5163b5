"""The commands ``lkad train | ablate``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from defectsynth.cli.base import INTERRUPTED_EXIT, AsJson, console
from defectsynth.errors import InputError
from defectsynth.recipe import apply_settings
from defectsynth.spec import describe

if TYPE_CHECKING:
    from lkad_models.training_config import TrainingConfig

__all__ = ["ablate", "register", "train"]


class SizeChoice(str, Enum):
    """Of the networks."""

    tiny = "tiny"
    small = "small"
    base = "base"


class ScheduleChoice(str, Enum):
    """Of the learning rate."""

    fast = "fast"
    paper = "paper"


class PrecisionChoice(str, Enum):
    """Of products on the device."""

    single = "32"
    bf16 = "bf16"


class AcceleratorChoice(str, Enum):
    """Where to train."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class SyncChoice(str, Enum):
    """How the deep features follow the reconstruction."""

    copy = "copy"
    ema = "ema"
    frozen = "frozen"
    grad = "grad"


class ProtocolChoice(str, Enum):
    """Whether defects of the product's own test set may be learned from."""

    honest = "honest"
    leaky = "leaky"


_OWN_SIZE = {"tiny": 128, "small": 256, "base": 256}

Data = Annotated[Path, typer.Option(help="Folder in the MVTec AD layout.")]
MaybeData = Annotated[Path | None, typer.Option(help="Folder in the MVTec AD layout; only train/good is learned from.")]
Textures = Annotated[str, typer.Option(help="Folder of textures (DTD or any other), or builtin:all.")]
Defects = Annotated[
    Path | None, typer.Option(help="Folder of real defects in the MVTec AD layout, or of such folders, one a product.")
]
Masks = Annotated[Path | None, typer.Option(help="Folder of real masks.")]
Exclude = Annotated[list[Path] | None, typer.Option(help="Folder whose pictures no source may share; repeatable.")]
ProtocolOption = Annotated[
    ProtocolChoice,
    typer.Option(help="Refuse defects of the product's own test set, or learn from them and mark every result."),
]
Size = Annotated[SizeChoice, typer.Option(help="Of the networks.")]
ImageSize = Annotated[int | None, typer.Option(min=32, help="Side in pixels; 128 for tiny, else 256.")]
Crop = Annotated[
    int | None,
    typer.Option(min=32, help="Side of squares that are cut from the pictures to learn from; whole ones if not given."),
]
Channels = Annotated[int | None, typer.Option(min=1, help="Of the pictures; if not given, 1 where they are grey, else 3.")]
Schedule = Annotated[ScheduleChoice, typer.Option(help="One cycle of --max-steps, or 700 epochs.")]
MaxSteps = Annotated[int, typer.Option(min=1, help="Of the schedule `fast`.")]
MaxTime = Annotated[float | None, typer.Option("--max-time", help="Minutes after which `fast` has ended.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Pictures of a step, on each device.")]
Precision = Annotated[PrecisionChoice, typer.Option(help="Of products on the device.")]
Accelerator = Annotated[AcceleratorChoice, typer.Option(help="Where to train.")]
Devices = Annotated[int, typer.Option(min=1, help="How many GPUs.")]
Seed = Annotated[int, typer.Option(min=0, help="Of every random number.")]
Options = Annotated[
    list[str] | None,
    typer.Option(
        "--option", help="Any other value of the configuration: model.score=top_k, loss_weights=[1,0.8,0.2]; repeatable."
    ),
]


def register(app: typer.Typer) -> None:
    """Adds the commands to an application, whose ``main`` shows every ``DefectSynthError`` and ends with its exit code."""
    for command in (train, ablate):
        app.command()(command)


def train(
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    data: MaybeData = None,
    recipe: Annotated[str, typer.Option(help="A preset (see `defectsynth recipes list`) or a .yaml file.")] = "draem-code",
    textures: Textures = "builtin:all",
    defects: Defects = None,
    masks: Masks = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="Change the recipe: kinds.*.weight=1.")] = None,
    exclude: Exclude = None,
    protocol: ProtocolOption = ProtocolChoice.honest,
    size: Size = SizeChoice.base,
    image_size: ImageSize = None,
    crop: Crop = None,
    channels: Channels = None,
    schedule: Schedule = ScheduleChoice.fast,
    max_steps: MaxSteps = 20_000,
    max_minutes: MaxTime = None,
    batch_size: BatchSize = 8,
    learning_rate: Annotated[float | None, typer.Option(help="The largest; 2e-3 (fast) or 1e-4 (paper).")] = None,
    rotation: Annotated[float, typer.Option(min=0, max=180, help="Degrees that pictures are turned by, up to.")] = 90.0,
    feature_sync: Annotated[
        SyncChoice, typer.Option(help="How the deep features follow the reconstruction.")
    ] = SyncChoice.copy,
    features: Annotated[bool, typer.Option(help="Whether deep features are compared.")] = True,
    backbone: Annotated[
        str | None, typer.Option(help="A pretrained network of timm whose features are compared instead, by name.")
    ] = None,
    backbone_weights: Annotated[Path | None, typer.Option(help="A file of its weights; else they are downloaded.")] = None,
    precision: Precision = PrecisionChoice.single,
    accelerator: Accelerator = AcceleratorChoice.auto,
    devices: Devices = 1,
    seed: Seed = 0,
    options: Options = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")] = False,
    demo: Annotated[bool, typer.Option("--demo", help="A built-in product, tiny, in minutes; data in OUT/demo.")] = False,
) -> None:
    """Train a detector on normal pictures, with defects painted into them."""
    from lkad_models.data import channels_of, normal_files
    from lkad_models.demo import DEMO_MINUTES, demo_data
    from lkad_models.training import is_first_process
    from lkad_models.training import train as run

    if demo:
        data, size, max_minutes = demo_data(out / "demo"), SizeChoice.tiny, max_minutes or DEMO_MINUTES
    if data is None:
        raise InputError("no data: give --data FOLDER in the MVTec AD layout, or --demo for a built-in product")
    side = image_size or _OWN_SIZE[size.value]
    model = {
        "size": size.value,
        "channels": channels or channels_of(normal_files(data)),
        "image_size": crop or side,
        "features": features,
        "feature_sync": feature_sync.value,
        "backbone": backbone,
    }
    values = {
        "data": data,
        "out": out,
        "recipe": recipe,
        "textures": textures,
        "defects": defects,
        "masks": masks,
        "settings": settings or [],
        "exclude": exclude or [],
        "protocol": protocol.value,
        "model": model,
        "picture_size": side if crop else None,
        "backbone_weights": backbone_weights,
        "schedule": schedule.value,
        "max_steps": max_steps,
        "max_minutes": max_minutes,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "rotation": rotation,
        "precision": precision.value,
        "accelerator": accelerator.value,
        "devices": devices,
        "seed": seed,
    }
    config = _config(values, options)
    with _interruptible(out):
        run(config, resume=resume)
    if is_first_process():
        typer.echo(f"{out}: `lkad eval {out} --data {data}`")


def ablate(
    out: Annotated[Path, typer.Option(help="Folder for a run of each row, and ablation.json.")],
    data: Data,
    textures: Textures = "builtin:all",
    defects: Defects = None,
    rows: Annotated[list[int] | None, typer.Option("--row", help="Number of a row, from 1; repeatable; all if none.")] = None,
    exclude: Exclude = None,
    protocol: ProtocolOption = ProtocolChoice.honest,
    size: Size = SizeChoice.base,
    image_size: ImageSize = None,
    channels: Channels = None,
    schedule: Schedule = ScheduleChoice.fast,
    max_steps: MaxSteps = 20_000,
    max_minutes: Annotated[float | None, typer.Option("--max-time", help="Minutes of each row.")] = None,
    batch_size: BatchSize = 8,
    precision: Precision = PrecisionChoice.single,
    accelerator: Accelerator = AcceleratorChoice.auto,
    seed: Seed = 0,
    options: Options = None,
    as_json: AsJson = False,
) -> None:
    """The eight rows of the paper's ablation under one budget, beside the paper's figures; done rows are not done again."""
    from lkad_models.ablation import Row, ablation_table
    from lkad_models.ablation import ablate as run
    from lkad_models.data import channels_of, normal_files

    def begun(number: int, row: Row) -> None:
        typer.echo(f"row {number}: {row.recipe}, features {row.training or 'none'}, large kernel {row.large_kernel}", err=True)

    values = {
        "data": data,
        "out": out,
        "textures": textures,
        "defects": defects,
        "exclude": exclude or [],
        "protocol": protocol.value,
        "model": {
            "size": size.value,
            "channels": channels or channels_of(normal_files(data)),
            "image_size": image_size or _OWN_SIZE[size.value],
        },
        "schedule": schedule.value,
        "max_steps": max_steps,
        "max_minutes": max_minutes,
        "batch_size": batch_size,
        "precision": precision.value,
        "accelerator": accelerator.value,
        "seed": seed,
    }
    config = _config(values, options)
    with _interruptible(out, "the same command again goes on"):
        found = run(config, rows or (), progress=begun)
    if as_json:
        print(json.dumps([result._asdict() for result in found]))
    else:
        console.print(ablation_table(found))


def _config(values: dict[str, Any], options: list[str] | None) -> TrainingConfig:
    """Of the options; raises ``InputError`` where one breaks a rule."""
    from lkad_models.training_config import TrainingConfig

    apply_settings(values, options or [])
    try:
        return TrainingConfig.model_validate(values)
    except ValidationError as error:
        raise InputError(describe(error, TrainingConfig)) from None


@contextmanager
def _interruptible(out: Path, advice: str | None = None) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        typer.secho(f"interrupted: {advice or f'go on with --resume --out {out}'}", fg="yellow", err=True)
        raise typer.Exit(INTERRUPTED_EXIT) from None
