"""The command line of the detector: ``lkad train | ablate | eval | calibrate | predict | export``.

Exit codes are those of ``defectsynth``: 0 done; 1 unexpected, or training that cannot go on; 2 bad input or usage; 3 done, but
pictures were skipped; 5 sources that are in the test set; 130 interrupted, with a checkpoint to go on from.
"""

from __future__ import annotations

from typing import Annotated

import typer

from defectsynth import __version__
from defectsynth.errors import DefectSynthError
from lkad_models import commands, training_commands

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Anomaly detection and localisation, trained on synthetic defects alone.",
)
training_commands.register(app)
commands.register(app)


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
