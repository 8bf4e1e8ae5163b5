"""What every part of a recipe and of a plan is made of: strict, frozen models, ranges, and registries of kinds."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import cache
from typing import Annotated, Any, Generic, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_serializer,
    model_validator,
)

__all__ = [
    "AngleRange",
    "AreaRange",
    "CellsRange",
    "CountRange",
    "FactorRange",
    "FractionRange",
    "Part",
    "PositiveRange",
    "Range",
    "Registry",
    "ShiftRange",
    "Spec",
    "WholeRange",
    "describe",
    "within",
]


_set = object.__setattr__  # past the model's own, which refuses
SpecT = TypeVar("SpecT", bound="Spec")


class Spec(BaseModel):
    """A model that refuses unknown keys and never changes; its validator is built when it is first used, not on import."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, defer_build=True, allow_inf_nan=False)

    @classmethod
    def drawn(cls: type[SpecT], **values: Any) -> SpecT:
        """The same as ``cls(**values)`` without a look at the values, for those that a checked recipe has drawn."""
        made = cls.__new__(cls)
        _set(made, "__dict__", {**_defaults(cls), **values})
        _set(made, "__pydantic_fields_set__", set(values))
        _set(made, "__pydantic_extra__", None)
        _set(made, "__pydantic_private__", None)
        return made

    @model_validator(mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, values: Any) -> Any:
        """YAML reads ``yes`` as true, and true would pass for 1."""
        for key, value in values.items() if isinstance(values, dict) else ():
            flags = [one for one in (value if isinstance(value, (list, tuple)) else [value]) if isinstance(one, bool)]
            if flags and key in cls.model_fields and cls.model_fields[key].annotation is not bool:
                raise ValueError(f"{key} is {value}: give numbers, not yes, no, true or false")
        return values


@cache
def _defaults(model: type[BaseModel]) -> dict[str, Any]:
    """The default of each field that has one; all are values that never change."""
    fields = model.model_fields.items()
    return {name: field.get_default(call_default_factory=True) for name, field in fields if not field.is_required()}


class Part(Spec):
    """A part of a recipe or a plan that comes in kinds; ``kind`` is always written, also where defaults are left out."""

    kind: str

    @model_serializer(mode="wrap")
    def _with_kind(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"kind": self.kind, **serialise(self)}


def _ordered(value: tuple[Any, Any]) -> tuple[Any, Any]:
    low, high = value
    if not low <= high:
        raise ValueError(f"[{low}, {high}] is inverted: give [low, high] with low <= high")
    return value


def within(low: float, high: float, open_low: bool = False) -> AfterValidator:
    """Both ends of a range from ``low`` (or above it) to ``high``."""

    def check(value: tuple[Any, Any]) -> tuple[Any, Any]:
        if not (low < value[0] if open_low else low <= value[0]) or not value[1] <= high:
            rule = f"above {low:g}" if open_low else f"from {low:g}"
            raise ValueError(f"[{value[0]}, {value[1]}] leaves its limits: both ends must lie {rule} to {high:g}")
        return value

    return AfterValidator(check)


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]
"""``[low, high]``, low <= high."""
FractionRange = Annotated[Range, within(0.0, 1.0)]
"""Both ends in [0, 1]."""
FactorRange = Annotated[Range, within(0.0, 16.0)]
"""Multiples of what a picture has itself, both ends in [0, 16]."""
AreaRange = Annotated[Range, within(0.0, 1.0, open_low=True)]
"""Fractions of the ROI's area, both ends in (0, 1]."""
AngleRange = Annotated[Range, within(-360.0, 360.0)]
"""Degrees, anticlockwise."""
PositiveRange = Annotated[Range, within(0.0, 1e6, open_low=True)]
"""Both ends above 0."""
CellsRange = Annotated[Range, within(0.0, 4096.0, open_low=True)]
"""Lattice cells along a side, both ends above 0."""
ShiftRange = Annotated[Range, within(-1.0, 1.0)]
"""Differences of brightness as fractions of full scale, both ends in [-1, 1]."""
CountRange = Annotated[tuple[int, int], AfterValidator(_ordered), within(1, 10_000)]
"""Integers, both ends included."""
WholeRange = Annotated[tuple[int, int], AfterValidator(_ordered), within(0, 10_000)]
"""Integers from 0, both ends included."""


def closest(word: str, known: Iterable[str]) -> str:
    """`` Did you mean 'x'?``, or nothing."""
    match = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean {match[0]!r}?" if match else ""


def describe(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """A pydantic error as one line: each broken key, the value it had and the rule it broke."""
    lines = []
    for item in error.errors(include_url=False):
        place = ".".join(str(part) for part in item["loc"] if part != "function-wrap")
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            known = list(model.model_fields) if model and len(item["loc"]) == 1 else []
            listing = f": the keys here are {', '.join(known)}." if known else "."
            message = f"is not a key of this part{listing}{closest(str(item['loc'][-1]), known)}"
        elif item["type"] != "value_error" and not isinstance(item["input"], (dict, BaseModel)):
            message += f" (it is {item['input']!r})"
        lines.append(f"{place}: {message}" if place else message)
    return "; ".join(lines)


PartT = TypeVar("PartT", bound=Part)


class Registry(Generic[PartT]):
    """The kinds of one question (where, what, how), found by the ``kind`` key of a recipe or a plan.

    A new kind is a class with a ``kind`` field that has a default; ``@REGISTRY.register`` makes it known to YAML, also from
    outside this package.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._classes: dict[str, type[PartT]] = {}

    def register(self, part: type[PartT]) -> type[PartT]:
        """Makes a class known under the default of its ``kind`` field."""
        self._classes[part.model_fields["kind"].default] = part
        return part

    @property
    def kinds(self) -> list[str]:
        """The names that are known, sorted."""
        return sorted(self._classes)

    def parse(self, value: Any) -> PartT:
        """A part from its mapping; a part that is already one is returned as it is.

        Raises:
            ValueError: no ``kind``, an unknown one, or keys that its class refuses.
        """
        if isinstance(value, Part):
            return value  # type: ignore[return-value]
        known = ", ".join(self.kinds)
        if not isinstance(value, dict) or "kind" not in value:
            raise ValueError(f"{self.what} {value!r} has no 'kind': give one of {known}")
        kind = value["kind"]
        if not isinstance(kind, str) or kind not in self._classes:
            hint = f"{closest(str(kind), self.kinds)} (a kind of your own is known once its module is imported: --import)"
            raise ValueError(f"{self.what} kind {kind!r} is unknown: the kinds are {known}.{hint}")
        part = self._classes[kind]
        try:
            return part.model_validate(value)
        except ValidationError as error:
            raise ValueError(describe(error, part)) from None

    def field(self) -> Any:
        """What annotates a model's field that holds a part: ``Annotated[SerializeAsAny[MaskSpec], MASKS.field()]``."""

        def parse(value: Any, _: ValidatorFunctionWrapHandler) -> PartT:
            return self.parse(value)

        return WrapValidator(parse)
