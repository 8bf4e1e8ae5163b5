"""What may be drawn: ranges and weights, readable and writable as YAML, with named presets in ``presets/``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, SerializeAsAny, ValidationError, field_validator, model_validator

from defectsynth.blends import BLENDS, BlendSpec
from defectsynth.errors import RecipeError
from defectsynth.foreground import METHODS
from defectsynth.labels import Label
from defectsynth.masks import MASKS, MaskSpec
from defectsynth.sources import SOURCES, Product, SourceSpec
from defectsynth.spec import CountRange, FactorRange, FractionRange, Spec, closest, describe

__all__ = ["AnomalyKind", "ForegroundRule", "Recipe", "apply_settings", "load_recipe", "preset_names"]

MOST_ANOMALIES = 255
"""Defects in one picture: their numbers fit into 8 bits."""
RESERVED_KINDS = frozenset({"good", "combined"})


class ForegroundRule(Spec):
    """Where defects may lie when the caller gives no ROI.

    Attributes:
        method: ``auto``, ``none`` (the whole picture) or a method of ``foreground.METHODS``.
        min_confidence: below it an estimate is not used.
        fallback: what happens then: ``error``, or ``whole_picture``.
    """

    method: str = "auto"
    min_confidence: float = Field(default=0.3, ge=0.0, le=1.0)
    fallback: Literal["error", "whole_picture"] = "error"

    @field_validator("method")
    @classmethod
    def _known(cls, method: str) -> str:
        known = ["auto", *(name for name in METHODS if name != "auto")]
        if method not in known:
            raise ValueError(
                f"foreground method {method!r} is unknown: the methods are {', '.join(known)}.{closest(method, known)}"
            )
        return method


class AnomalyKind(Spec):
    """One kind of defect: where, what and how.

    Attributes:
        weight: how often it is drawn, relative to the other kinds.
        name: the name that is recorded, where several entries draw one kind of defect; None takes the entry's own.
        halo_range: how far it shows beyond its mask, as a fraction of the picture's side, by at most ``label.outside``: real
            defects are blurred, and their outlines are drawn where they are plain.
        mask: where.
        source: what; without it, the product itself (for blends that only light, move, darken or blur).
        blend: how.
    """

    weight: float = Field(default=1.0, ge=0.0)
    name: str | None = None
    halo_range: FractionRange = (0.0, 0.0)
    mask: Annotated[SerializeAsAny[MaskSpec], MASKS.field()]
    source: Annotated[SerializeAsAny[SourceSpec], SOURCES.field()] = Field(default_factory=Product)
    blend: Annotated[SerializeAsAny[BlendSpec], BLENDS.field()]


class Recipe(Spec):
    """What may be drawn for a picture.

    Attributes:
        name: a short name.
        description: one sentence.
        reference: the paper or repository that its numbers come from.
        kinds: the kinds of defect, by the name that becomes the folder below ``test/``.
        anomalies_per_image_range: how many defects a picture gets.
        anomalies_per_image_weights: how likely each number of that range is, relative to the others; None for equally likely.
        normal_fraction: share of samples that stay normal.
        foreground: where defects may lie.
        lens_range: how far what is painted is blurred, relative to the sharpest edges that the picture has around it: 1 is as
            soft as they are, 2 out of focus. It then has the picture's grain, too, and no colours where the picture has none.
            [0, 0] leaves it as it was painted.
        label: what the defect map is; see ``labels.py``.
        min_area: smallest mask as a fraction of the picture's area (at least one pixel); a smaller one is drawn again.
        min_difference: smallest visible change of a defect: the mean over its pixels of the largest change of any channel, as a
            fraction of full scale; a weaker one is drawn again.
        max_attempts: how many plans are drawn before giving up.
    """

    name: str
    description: str = ""
    reference: str = ""
    kinds: dict[str, AnomalyKind] = Field(min_length=1)
    anomalies_per_image_range: CountRange = (1, 1)
    anomalies_per_image_weights: tuple[float, ...] | None = None
    normal_fraction: float = Field(default=0.0, ge=0.0, le=1.0)
    foreground: ForegroundRule = Field(default_factory=ForegroundRule)
    lens_range: FactorRange = (0.0, 0.0)
    label: Label = Field(default_factory=Label)
    min_area: float = Field(default=0.0, ge=0.0, le=1.0)
    min_difference: float = Field(default=0.02, ge=0.0, le=1.0)
    max_attempts: int = Field(default=100, ge=1, le=65_535)

    @field_validator("foreground", mode="before")
    @classmethod
    def _method_alone(cls, value: Any) -> Any:
        """``foreground: none`` is short for ``foreground: {method: none}``."""
        return {"method": value} if isinstance(value, str) else value

    @field_validator("anomalies_per_image_range")
    @classmethod
    def _few(cls, value: tuple[int, int]) -> tuple[int, int]:
        if value[1] > MOST_ANOMALIES:
            raise ValueError(f"{list(value)} leaves its limits: a picture gets at most {MOST_ANOMALIES} defects")
        return value

    @model_validator(mode="after")
    def _a_weight_for_each_number(self) -> Recipe:
        weights, (low, high) = self.anomalies_per_image_weights, self.anomalies_per_image_range
        if weights is not None and (len(weights) != high - low + 1 or min(weights) < 0 or not sum(weights) > 0):
            raise ValueError(
                f"anomalies_per_image_weights {list(weights)} must be {high - low + 1} numbers from 0, one for each of "
                f"anomalies_per_image_range {[low, high]}, not all 0"
            )
        return self

    @model_validator(mode="after")
    def _a_limit_for_halos(self) -> Recipe:
        for name, kind in self.kinds.items():
            if kind.halo_range[1] > 0 and self.label.outside == 0:
                raise ValueError(
                    f"kinds.{name}.halo_range is {list(kind.halo_range)} but label.outside is 0, which allows no change "
                    "outside the mask: set label.outside, for example to 0.1"
                )
        return self

    @field_validator("kinds")
    @classmethod
    def _names(cls, kinds: dict[str, AnomalyKind]) -> dict[str, AnomalyKind]:
        for name in [*kinds, *(kind.name for kind in kinds.values() if kind.name is not None)]:
            if not re.fullmatch(r"[A-Za-z0-9_-]+", name) or name in RESERVED_KINDS:
                raise ValueError(
                    f"kind name {name!r} becomes a folder: use letters, digits, _ and -, but not "
                    + " or ".join(sorted(RESERVED_KINDS))
                )
        if not any(kind.weight > 0 for kind in kinds.values()):
            raise ValueError("every kind has weight 0: give at least one a positive weight")
        return kinds

    @property
    def needs(self) -> frozenset[str]:
        """The banks that its kinds read: ``textures``, ``defects``, ``normals``."""
        parts = [kind for kind in self.kinds.values() if kind.weight > 0]
        return frozenset().union(*(kind.mask.requirements() | kind.source.needs for kind in parts))

    def to_yaml(self) -> str:
        """The recipe as YAML, every value written out."""
        return yaml.safe_dump(
            self.model_dump(mode="json"), sort_keys=False, default_flow_style=None, width=120, allow_unicode=True
        )

    @classmethod
    def from_yaml(cls, text: str, name: str = "recipe") -> Recipe:
        """The recipe of a YAML text; ``name`` is used in messages.

        Raises:
            RecipeError: it is not YAML, or breaks a rule; the message names each key, value and rule.
        """
        try:
            values = yaml.load(text, _Loader)
        except yaml.YAMLError as error:
            raise RecipeError(f"recipe {name!r} is not YAML: {' '.join(str(error).split())}") from None
        if not isinstance(values, Mapping):
            raise RecipeError(
                f"recipe {name!r} is a {type(values).__name__}: it must be a mapping with the keys name and kinds"
            )
        return cls.from_mapping(values, name)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], name: str = "recipe") -> Recipe:
        """The recipe of a mapping, as YAML gives it; see ``from_yaml``."""
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise RecipeError(f"recipe {name!r}: {describe(error, cls)}") from None

    def with_settings(self, settings: Iterable[str]) -> Recipe:
        """The recipe after changes such as ``kinds.*.mask.area_range=[0.01, 0.06]`` (``*`` is every key; the value is YAML).

        Raises:
            RecipeError: a setting without ``=``, a path that leads nowhere, or a value that breaks a rule.
        """
        values = self.model_dump(mode="json")
        apply_settings(values, settings)
        return Recipe.from_mapping(values, f"{self.name} with {', '.join(settings)}" if settings else self.name)


def apply_settings(values: dict[str, Any], settings: Iterable[str]) -> None:
    """Changes such as ``kinds.*.mask.area_range=[0.01, 0.06]`` to nested values, in place.

    Raises:
        RecipeError: a setting without ``=``, a value that is not YAML, or a path that leads nowhere.
    """
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals:
            raise RecipeError(f"setting {setting!r} has no '=': write path=value, e.g. kinds.*.mask.area_range=[0.01,0.06]")
        try:
            value = yaml.load(text, _Loader)
        except yaml.YAMLError as error:
            raise RecipeError(f"setting {setting!r}: the value is not YAML: {' '.join(str(error).split())}") from None
        _assign(values, path.strip().split("."), value, setting)


def load_recipe(recipe: Recipe | str | Path | Mapping[str, Any]) -> Recipe:
    """A recipe from a preset's name, a YAML file, a mapping, or itself.

    Raises:
        RecipeError: no such preset or file, or the recipe breaks a rule.
    """
    if isinstance(recipe, Recipe):
        return recipe
    if isinstance(recipe, Mapping):
        return Recipe.from_mapping(recipe)
    if isinstance(recipe, str) and recipe in preset_names():
        return Recipe.from_yaml(_preset_text(recipe), recipe)
    if not isinstance(recipe, (str, Path)):
        raise RecipeError(f"recipe is a {type(recipe).__name__}: give a preset's name, a .yaml file, a mapping or a Recipe")
    path = Path(recipe)
    if path.suffix.lower() not in (".yaml", ".yml"):
        known = preset_names()
        raise RecipeError(
            f"recipe {str(recipe)!r} is neither a preset nor a .yaml file: "
            f"the presets are {', '.join(known)}.{closest(str(recipe), known)}"
        )
    try:
        return Recipe.from_yaml(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"recipe file {str(path)!r} cannot be read ({error}): check the path") from None


@lru_cache(maxsize=1)
def preset_names() -> list[str]:
    """The names of the presets, sorted."""
    folder = resources.files("defectsynth") / "presets"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def _preset_text(name: str) -> str:
    return (resources.files("defectsynth") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")


def _assign(values: Any, path: list[str], value: Any, setting: str) -> None:
    """Sets a value in nested mappings, along a path whose ``*`` stands for every key."""
    key, rest = path[0], path[1:]
    if not isinstance(values, dict):
        raise RecipeError(
            f"setting {setting!r}: there is nothing below {key!r}; see the keys with `defectsynth recipes show NAME`"
        )
    if key != "*" and key not in values and rest:
        raise RecipeError(f"setting {setting!r}: {key!r} is not one of {', '.join(values)}.{closest(key, values)}")
    for name in list(values) if key == "*" else [key]:
        if rest:
            _assign(values[name], rest, value, setting)
        else:
            values[name] = value


class _Loader(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error: the first one would be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.YAMLError(f"the key {key!r} stands twice, {node.start_mark}")
        return super().construct_mapping(node, deep)
