"""What is wrong with a recipe, each complaint with the path of the field that it belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from defectsynth.blends import BLENDS
from defectsynth.masks import MASKS
from defectsynth.recipe import Recipe
from defectsynth.sources import SOURCES
from defectsynth.spec import Registry, describe

__all__ = ["Complaint", "complaints"]

_REGISTRIES: dict[str, Registry[Any]] = {"mask": MASKS, "masks": MASKS, "source": SOURCES, "blend": BLENDS}

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Complaint:
    """One broken rule.

    Attributes:
        path: the field, from the recipe's root; empty for the recipe as a whole.
        message: its value and the rule, in the library's own words.
    """

    path: Path
    message: str


def complaints(values: Mapping[str, Any]) -> list[Complaint]:
    """Everything that is wrong with a recipe's mapping; nothing where it is sound."""
    return list(_complaints(Recipe, values, ()))


def _complaints(model: type[BaseModel], values: Any, above: Path) -> Iterator[Complaint]:
    try:
        model.model_validate(values)
    except ValidationError as error:
        for item in error.errors(include_url=False):
            place = tuple(part for part in item["loc"] if part != "function-wrap")
            part = _part(place, values) if item["type"] == "value_error" else None
            if part is not None:
                yield from _complaints(*part, (*above, *place))
                continue
            message = _message(item, place, model)
            yield Complaint((*above, *place, *_named(message, model if not place else None)), message)


def _part(place: Path, values: Any) -> tuple[type[BaseModel], Any] | None:
    """The model and the mapping of the part at a place, where one of its own fields is to blame."""
    name = next((one for one in reversed(place) if isinstance(one, str)), "")
    value = _at(values, place)
    registry = _REGISTRIES.get(name)
    if registry is None or not isinstance(value, dict):
        return None
    kind = value.get("kind")
    known = registry._classes.get(kind) if isinstance(kind, str) else None
    if known is None:
        return None
    return known, value


def _at(values: Any, place: Path) -> Any:
    for part in place:
        in_mapping = isinstance(values, Mapping) and part in values
        in_list = isinstance(values, (list, tuple)) and isinstance(part, int) and part < len(values)
        if not in_mapping and not in_list:
            return None
        values = values[part]
    return values


def _message(item: Any, place: Path, model: type[BaseModel]) -> str:
    """The library's own words, without the place, which the page shows by itself."""
    last = str(place[-1]) if place else ""
    alone = {"type": item["type"], "loc": (last,) if last else (), "input": item["input"], "ctx": item.get("ctx", {})}
    told = describe(ValidationError.from_exception_data("", [alone]), model if len(place) == 1 else None)  # type: ignore[list-item, unused-ignore]
    return told.removeprefix(f"{last}: ")


def _named(message: str, model: type[BaseModel] | None) -> Path:
    """The field that a rule about several begins with: ``cells_range ... must be`` belongs beside ``cells_range``."""
    first = message.split(" ", 1)[0].split(".", 1)[0]
    return (first,) if model is not None and first in model.model_fields else ()
