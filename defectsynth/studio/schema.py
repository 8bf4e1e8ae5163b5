"""The controls of the page: every field of every part of a recipe, with its limits, unit and documentation, from the models."""

from __future__ import annotations

import inspect
import re
import sys
import types
from collections.abc import Iterator
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel
from pydantic.fields import FieldInfo

from defectsynth.blends import BLENDS
from defectsynth.foreground import METHODS
from defectsynth.labels import Label
from defectsynth.masks import MASKS
from defectsynth.recipe import AnomalyKind, ForegroundRule, Recipe, load_recipe, preset_names
from defectsynth.sources import SOURCES
from defectsynth.sources.families import FAMILIES
from defectsynth.spec import Part, Registry

__all__ = ["schema"]

Field = dict[str, Any]

_UNITS = (
    (r"degrees", "°"),
    (r"fractions? of the ROI's", "of the ROI's area"),
    (r"of the picture's area", "of the picture's area"),
    (r"picture's side|picture's smaller side|side of the picture", "of the picture's side"),
    (r"of its length|its own length", "of its length"),
    (r"full scale", "of full scale"),
    (r"levels? of 255", "levels of 255"),
    (r"cells along|lattice", "cells"),
    (r"noise level|level of the noise|DRAEM's code; its paper draws it", "noise level"),
)
"""What a documentation says of a number's unit, in the order in which they are looked for."""
_ANGLE_LIMIT = 360.0
_LOGARITHMIC = re.compile(r"area|size|width|length|aspect|elongation|scale|cells|radius|half_|edge|halo|sigma|stretch")
_SMALL = re.compile(r"area|size|width|length|radius|half_|edge|halo|sigma|face|waver|grain")
_ENDS = {
    "min_area": (0.0, 0.02),
    "lens_range": (0.0, 3.0),
    "min_difference": (0.0, 0.3),
    "outside": (0.0, 0.5),
    "tolerance": (0.0, 0.1),
    "shift_range": (-1.0, 1.0),
    "steepness": (0.0, 1.0),
    "weight": (0.0, 5.0),
}
"""Sliders whose limits are far from what is ever used."""
_UNSET = 0.05  # what a range that is not set is taken for
_HARD_ENOUGH = 400.0
"""Limits up to here are those of the slider; further ones are only limits of what may be typed."""


@cache
def schema() -> dict[str, Any]:
    """Presets, and for every model of a recipe its fields: plain values for JSON."""
    return {
        "presets": [_preset(name) for name in preset_names()],
        "recipe": _model(Recipe),
        "kind": _model(AnomalyKind),
        "foreground": _model(ForegroundRule),
        "label": _model(Label),
        "mask": _registry(MASKS),
        "source": _registry(SOURCES),
        "blend": _registry(BLENDS),
        "families": sorted(FAMILIES),
    }


def _preset(name: str) -> dict[str, Any]:
    recipe = load_recipe(name)
    return {"name": name, "description": recipe.description, "needs": sorted(recipe.needs)}


def _registry(registry: Registry[Any]) -> dict[str, Any]:
    return {kind: _model(registry._classes[kind]) for kind in registry.kinds}


def _model(model: type[BaseModel]) -> dict[str, Any]:
    documents = _documents(model)
    fields = [_field(name, info, documents.get(name, "")) for name, info in model.model_fields.items() if name != "kind"]
    return {"summary": _summary(model), "fields": fields}


def _field(name: str, info: FieldInfo, document: str) -> Field:
    annotation, optional, metadata = _plain(info.annotation, list(info.metadata))
    found: Field = {"name": name, "doc": document, "optional": optional}
    if not info.is_required():
        found["default"] = _dumped(info.get_default(call_default_factory=True))
    return found | _shape(name, annotation, metadata, document, found.get("default"))


def _shape(name: str, annotation: Any, metadata: list[Any], document: str, default: Any) -> Field:
    """What kind of control a field has, and its limits."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if annotation is bool:
        return {"type": "switch"}
    if origin is Literal:
        return {"type": "choice", "choices": list(parts)}
    if annotation in (int, float):
        return {"type": "number"} | _limits(name, metadata, annotation is int, document, default)
    if origin is tuple and len(parts) == 2 and name.endswith("_range") and set(parts) <= {int, float}:
        return {"type": "range"} | _limits(name, metadata, parts[0] is int, document, default)
    if name == "method":
        return {"type": "choice", "choices": list(METHODS)}
    if annotation is str:
        return {"type": "text"}
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel) and not issubclass(annotation, Part):
        return {"type": "group", **_model(annotation)}
    if origin is tuple and len(parts) == 2 and parts[1] is Ellipsis and get_origin(parts[0]) is Literal:
        return {"type": "choices", "choices": list(get_args(parts[0]))}
    if name == "families":
        return {"type": "choices", "choices": sorted(FAMILIES)}
    return {"type": "value"}


def _limits(name: str, metadata: list[Any], whole: bool, document: str, default: Any) -> Field:
    low, high = _hard_limits(metadata)
    unit = "°" if (low, high) == (-_ANGLE_LIMIT, _ANGLE_LIMIT) else _unit(document, whole, high)
    slider_low, slider_high = _slider(name, low, high, whole, unit, default)
    logarithmic = not whole and slider_low > 0 and _LOGARITHMIC.search(name) is not None
    return {"whole": whole, "low": low, "high": high, "unit": unit, "slider": [slider_low, slider_high], "log": logarithmic}


def _slider(name: str, low: float | None, high: float | None, whole: bool, unit: str, default: Any) -> tuple[float, float]:
    """Where the slider ends: at the hard limits where they are near, else around the default."""
    if name in _ENDS:
        return _ENDS[name]
    if unit == "°":
        return (-180.0, 180.0) if low is None or low < 0 else (low, min(high or 180.0, 180.0))
    values = [abs(float(one)) for one in (default if isinstance(default, list) else [default]) if isinstance(one, (int, float))]
    largest = max(values, default=_UNSET if high is not None and high <= 1.0 else 1.0) or 1.0
    if high is not None and high <= 1.0:
        small = _SMALL.search(name) is not None
        bottom = (0.0001 if unit == "of the ROI's area" else 0.001) if small and (low or 0.0) == 0.0 and largest < 1 else low
        if name.startswith(("halo", "edge", "grain", "face", "sigma", "waver")):
            return 0.0, max(0.1, 2 * largest) if largest < 1 else 0.1
        return bottom if bottom is not None else 0.0, high
    if whole:
        return float(low if low is not None else 0), float(min(high or 1e9, max(12, 4 * largest)))
    if high is not None and high <= _HARD_ENOUGH and low is not None:
        return low, high
    bottom = low if low is not None else -4 * largest
    return (0.1 if bottom == 0.0 and _LOGARITHMIC.search(name) else bottom), max(4.0, 4 * largest)


def _unit(document: str, whole: bool, high: float | None) -> str:
    for pattern, unit in _UNITS:
        if re.search(pattern, document) and not (whole and unit != "cells"):
            return unit
    if whole:
        return "number"
    return "share" if high is not None and high <= 1.0 else "times"


def _hard_limits(metadata: list[Any]) -> tuple[float | None, float | None]:
    """The tightest limits that validators set; those of ``spec.within`` are in its closure."""
    lows: list[float] = []
    highs: list[float] = []
    for one in metadata:
        if isinstance(one, AfterValidator):
            bound = inspect.getclosurevars(one.func).nonlocals
            lows += [bound["low"]] if "low" in bound else []
            highs += [bound["high"]] if "high" in bound else []
        for limit, kept in (("ge", lows), ("gt", lows), ("le", highs), ("lt", highs)):
            value = getattr(one, limit, None)
            if value is not None:
                kept.append(float(value))
    return max(lows, default=None), min(highs, default=None)


def _plain(annotation: Any, metadata: list[Any]) -> tuple[Any, bool, list[Any]]:
    """An annotation without ``None`` and ``Annotated``, whether it had ``None``, and what it was annotated with."""
    optional = False
    while True:
        if hasattr(annotation, "__metadata__"):
            metadata = [*metadata, *annotation.__metadata__]
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in (Union, types.UnionType) and type(None) in get_args(annotation):
            optional = True
            others = [one for one in get_args(annotation) if one is not type(None)]
            if len(others) != 1:
                return annotation, True, metadata
            annotation = others[0]
        else:
            return annotation, optional, metadata


def _dumped(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return list(value) if isinstance(value, tuple) else value


def _summary(model: type[BaseModel]) -> str:
    return " ".join((inspect.getdoc(model) or "").split("\n\n")[0].split())


def _documents(model: type[BaseModel]) -> dict[str, str]:
    """By field: what the docstring of the class that has it says."""
    found: dict[str, str] = {}
    for one in model.__mro__:
        if issubclass(one, BaseModel):
            for name, text in _attributes(inspect.cleandoc(one.__doc__ or "")):
                found.setdefault(name, _followed(one, name, text))
    return found


def _followed(model: type[BaseModel], name: str, text: str) -> str:
    """``see ToneParams.`` is replaced by what that says; the names of what is drawn have no ``_range``."""
    other = re.fullmatch(r"see (\w+)\.", text)
    known = getattr(sys.modules[model.__module__], other.group(1), None) if other else None
    if not inspect.isclass(known) or not issubclass(known, BaseModel):
        return text
    return _documents(known).get(name.removesuffix("_range"), text)


def _attributes(document: str) -> Iterator[tuple[str, str]]:
    """Names and texts of the ``Attributes`` section; ``a, b: text`` gives both the text."""
    _, _, section = document.partition("Attributes:\n")
    for entry in re.split(r"\n(?=    \S)", section.split("\n\n")[0]):
        names, colon, text = entry.strip().partition(": ")
        if colon:
            for name in names.split(", "):
                yield name.strip(), " ".join(text.split()).replace("``", "")
