"""The command ``convert``: a dataset in another format."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from defectsynth.cli.base import AsJson, FormatChoice, ShardSize, ValFraction
from defectsynth.convert import convert as convert_dataset
from defectsynth.formats.shards import SHARD_SIZE

__all__ = ["convert"]


def convert(
    source: Annotated[Path, typer.Argument(help="The dataset.")],
    target: Annotated[Path, typer.Argument(help="The folder to write: new, or empty.")],
    format: Annotated[FormatChoice, typer.Option(help="What to write.")],
    source_format: Annotated[
        FormatChoice | None, typer.Option("--from", help="What the dataset is in; looked at if not given.")
    ] = None,
    val_fraction: ValFraction = None,
    shard_size: ShardSize = SHARD_SIZE,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the dataset in TARGET.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a dataset in another format: mvtec, coco, yolo, imagefolder, webdataset, parquet."""
    done = convert_dataset(
        source,
        target,
        format.value,
        source_format=None if source_format is None else source_format.value,
        val_fraction=val_fraction,
        shard_size=shard_size,
        overwrite=overwrite,
    )
    if as_json:
        print(json.dumps(asdict(done)))
        return
    splits = ", ".join(f"{split} {number}" for split, number in done.splits.items())
    written = f"{sum(done.splits.values())} pictures ({splits}) with {done.pieces} pieces of defects"
    typer.echo(f"{written}, {done.format} to {format.value}, in {target}")
