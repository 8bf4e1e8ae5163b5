"""The application: every command under its name, and the entry point."""

from __future__ import annotations

import warnings
from typing import Annotated

import typer

from defectsynth import __version__
from defectsynth.cli.converting import convert
from defectsynth.cli.judging import match, score, stats
from defectsynth.cli.painting import preview, render, verify
from defectsynth.cli.recipes import check_recipe, list_recipes, show_recipe
from defectsynth.cli.studio import studio
from defectsynth.errors import DefectSynthError

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Realistic, pixel-labelled surface defects out of photographs of good products.",
)
recipes_app = typer.Typer(no_args_is_help=True, help="List, show and check recipes.")

for command in (render, preview, studio, verify, convert, match, stats, score):
    app.command()(command)
app.add_typer(recipes_app, name="recipes")
recipes_app.command("list")(list_recipes)
recipes_app.command("show")(show_recipe)
recipes_app.command("check")(check_recipe)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """The entry point: every deliberate error is one message on standard error and its own exit code; so is a warning."""
    warnings.showwarning = lambda message, *_, **__: typer.secho(f"warning: {message}", fg="yellow", err=True)
    try:
        app()
    except DefectSynthError as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        raise SystemExit(error.exit_code) from None
