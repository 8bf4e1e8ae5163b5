"""Everything that the page can be, as one value: what is painted follows from it and from the user's folders alone."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator

from defectsynth.errors import InputError
from defectsynth.recipe import Recipe
from defectsynth.spec import Spec, describe
from defectsynth.studio.limits import (
    GRID,
    LARGEST_COUNT,
    LARGEST_SEED,
    LARGEST_TILE,
    PINS,
    PREVIEW_PIXELS,
    STROKE_POINTS,
    STROKES,
)

__all__ = ["Place", "Roi", "SamplesWanted", "State", "Stroke", "parse"]

Coordinate = Annotated[float, Field(ge=-1.0, le=2.0)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
View = Literal["anomalous", "normal", "map"]


class Stroke(Spec):
    """One stroke of the brush.

    Attributes:
        mode: ``add`` allows defects, ``erase`` forbids them.
        radius: of the brush, as a fraction of the picture's side.
        points: ``(x, y)``, as fractions of width and height.
    """

    mode: Literal["add", "erase"] = "add"
    radius: float = Field(gt=0.0, le=0.5)
    points: tuple[tuple[Coordinate, Coordinate], ...] = Field(min_length=1, max_length=STROKE_POINTS)


class Roi(Spec):
    """Where the user allows a defect, the same strokes for every picture.

    Attributes:
        base: what the strokes begin with: ``nothing``, ``everything``, or each picture's own ``foreground`` by the recipe.
        strokes: in the order in which they were drawn.
    """

    base: Literal["nothing", "everything", "foreground"] = "nothing"
    strokes: tuple[Stroke, ...] = Field(default=(), max_length=STROKES)


class Place(Spec):
    """One sample: its seed and its index."""

    seed: Seed
    index: int = Field(ge=0, lt=1000)


class State(Spec):
    """What the page shows.

    Attributes:
        recipe: as YAML gives it.
        images, textures, defects: keys of what the server offers (``shelf.Shelf``); never a path.
        masks: whether the folder of masks is used.
        size: ``(H, W)`` that every picture is brought to, or None for its own.
        seed: of the dataset.
        count: labelled pictures that the command renders.
        train_fraction: share of the normal pictures that the command leaves as they are.
        pins: samples that stay while the seed changes.
        roi: None leaves it to ``--roi`` or to the recipe.
        view: what the page alone needs to look the same again.
    """

    recipe: dict[str, Any]
    images: str
    textures: str | None = None
    defects: str | None = None
    masks: bool = False
    size: tuple[int, int] | None = None
    seed: Seed = 0
    count: int = Field(default=100, ge=1, le=LARGEST_COUNT)
    train_fraction: float = Field(default=0.5, ge=0.0, lt=1.0)
    pins: tuple[Place, ...] = Field(default=(), max_length=PINS)
    roi: Roi | None = None
    view: dict[str, Any] = Field(default_factory=dict)

    @field_validator("size")
    @classmethod
    def _paintable(cls, size: tuple[int, int] | None) -> tuple[int, int] | None:
        if size is not None and (min(size) < 1 or size[0] * size[1] > PREVIEW_PIXELS):
            raise ValueError(f"{size[1]} x {size[0]} cannot be painted: from 1 x 1 to {PREVIEW_PIXELS:,} pixels")
        return size

    def parsed_recipe(self) -> Recipe:
        """The recipe; raises ``RecipeError`` where it breaks a rule."""
        return Recipe.from_mapping(self.recipe, str(self.recipe.get("name", "recipe")))


class SamplesWanted(Spec):
    """Samples of a state.

    Attributes:
        state: the state.
        places: which, those that are seen first in front.
        tile: longest side of each picture in pixels.
        views: which pictures of each sample.
    """

    state: State
    places: tuple[Place, ...] = Field(min_length=1, max_length=GRID + PINS)
    tile: int = Field(default=256, ge=16, le=LARGEST_TILE)
    views: tuple[View, ...] = ("anomalous",)


def parse(model: type[Any], values: Any) -> Any:
    """A request's JSON as a model.

    Raises:
        InputError: it breaks a rule; the message names each key, value and rule.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise InputError(f"this request cannot be used: {describe(error, model)}") from None


def digest(value: Spec) -> str:
    """16 hexadecimal digits of a value."""
    return hashlib.sha256(value.model_dump_json().encode()).hexdigest()[:16]
