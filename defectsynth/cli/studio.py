"""The command ``studio``: a local page on which a recipe is tuned by eye."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from defectsynth.cli.base import (
    Defects,
    Imports,
    Masks,
    MaxPixels,
    RecipeName,
    Roi,
    Settings,
    Textures,
    White,
    absolute,
)
from defectsynth.files import MAX_PIXELS
from defectsynth.plugins import load_plugins
from defectsynth.recipe import load_recipe
from defectsynth.samples import PRODUCTS
from defectsynth.studio import serve
from defectsynth.studio.safety import is_loopback
from defectsynth.studio.shelf import Options

__all__ = ["studio"]


def studio(
    images: Annotated[
        str | None,
        typer.Option(help=f"Folder of normal pictures, or builtin:<product> ({', '.join(PRODUCTS)}, all)."),
    ] = None,
    roi: Roi = None,
    textures: Textures = None,
    defects: Defects = None,
    masks: Masks = None,
    real: Annotated[str | None, typer.Option(help="Folder of real defects to compare with, in the MVTec AD layout.")] = None,
    recipe: RecipeName = "industrial",
    settings: Settings = None,
    imports: Imports = None,
    out: Annotated[Path, typer.Option(help="Where datasets go that are rendered from the page.")] = Path("studio"),
    white: White = None,
    max_pixels: MaxPixels = MAX_PIXELS,
    host: Annotated[str, typer.Option(help="Address to listen on; any but loopback lets others use the page.")] = ("127.0.0.1"),
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 takes a free one.")] = 8017,
) -> None:
    """Open a local page on which a recipe is tuned by eye."""
    modules = load_plugins(imports or [])
    options = Options(
        recipe=load_recipe(recipe).with_settings(settings or []),
        images=images and absolute(images),
        roi=roi and absolute(roi),
        textures=textures and absolute(textures),
        defects=defects and absolute(defects),
        masks=masks and absolute(masks),
        real=real and absolute(real),
        out=str(out.absolute()),
        white=white,
        max_pixels=max_pixels,
        imports=modules,
    )
    if not is_loopback(host):
        typer.echo(
            f"warning: {host} can be reached by others: whoever opens the page sees the pictures and renders into {out}",
            err=True,
        )
    serve(options, host=host, port=port, on_start=_say)


def _say(address: str) -> None:
    typer.echo(f"the studio is at {address} (Ctrl+C ends it)")
