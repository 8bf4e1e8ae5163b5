"""Commands about recipes: ``recipes list``, ``recipes show`` and ``recipes check``."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.table import Table

from defectsynth.cli.base import AsJson, Imports, Settings, console
from defectsynth.plugins import load_plugins
from defectsynth.recipe import load_recipe, preset_names

__all__ = ["check_recipe", "list_recipes", "show_recipe"]


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


def show_recipe(
    recipe: Annotated[str, typer.Argument(help="A preset or a .yaml file.")],
    settings: Settings = None,
    imports: Imports = None,
) -> None:
    """A recipe as YAML, every value written out."""
    load_plugins(imports or [])
    print(load_recipe(recipe).with_settings(settings or []).to_yaml(), end="")


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
