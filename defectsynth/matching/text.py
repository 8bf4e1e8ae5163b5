"""The fitted recipe as YAML for people: what was chosen and nothing that is a default, with what it was chosen from."""

from __future__ import annotations

import re
from collections.abc import Sequence

import yaml

from defectsynth.matching.examples import Example
from defectsynth.recipe import Recipe

__all__ = ["recipe_text", "summary_of"]

_HEAD = """\
# Fitted to {count} by `defectsynth match`; every number may be changed.
# An entry named like a kind sets its examples down again; <kind>_drawn draws shapes like them. weight: how often, relative to
# the others. halo_range and label.outside: how far, and how much, a defect shows beyond its mask.
"""


def recipe_text(recipe: Recipe, examples: Sequence[Example]) -> str:
    """The recipe as YAML, with a line above each kind that says what its examples measure."""
    values = recipe.model_dump(mode="json", exclude_defaults=True)
    text = yaml.safe_dump(values, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)
    for kind in sorted({example.kind for example in examples}):
        own = [example for example in examples if example.kind == kind]
        key = rf"^  ('?){re.escape(kind)}\1:$"  # a kind called 012 or no stands in quotes
        text = re.sub(key, rf"  # {summary_of(own)}\n\g<0>", text, count=1, flags=re.MULTILINE)
    return _HEAD.format(count=f"{len(examples)} real defect{'s' if len(examples) > 1 else ''}") + text


def summary_of(examples: Sequence[Example]) -> str:
    """``5 examples: area 0.0006 .. 0.0046 of the foreground, ...``."""
    parts = [
        _spread("area {} of the foreground", [example.area for example in examples]),
        _spread("{} pieces", [float(example.pieces) for example in examples]),
        _spread("elongation {}", [example.elongation for example in examples]),
        _spread("contrast {}", [example.contrast for example in examples]),
    ]
    return f"{len(examples)} example{'s' if len(examples) > 1 else ''}: " + ", ".join(parts)


def _spread(what: str, values: Sequence[float]) -> str:
    low, high = f"{min(values):.2g}", f"{max(values):.2g}"
    return what.format(low if low == high else f"{low} .. {high}")
