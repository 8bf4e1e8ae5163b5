"""Image enhancement as in DRAEM: which k of n operations on the source may be drawn; ``operations.py`` applies them.

Sources: ``VitjanZ/DRAEM`` ``data_loader.py`` (3 of 10, imgaug); ranges are imgaug's there. ``cqylunlun/GLASS``
``datasets/mvtec.py`` (3 of 9; greyscale and the flips are its).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from defectsynth.rng import Draws
from defectsynth.spec import Spec

__all__ = ["Enhance", "Operation", "OperationName", "no_enhancement", "rotation_of"]

OperationName = Literal[
    "gamma",
    "brightness",
    "sharpness",
    "hue_saturation",
    "solarize",
    "posterize",
    "invert",
    "autocontrast",
    "equalize",
    "affine",
    "contrast",
    "greyscale",
    "flip_horizontal",
    "flip_vertical",
]
_NUMBERS = {"gamma": 3, "brightness": 2, "hue_saturation": 2}  # the others have one,
_NUMBERS |= dict.fromkeys(("invert", "equalize", "greyscale", "flip_horizontal", "flip_vertical"), 0)  # or none
_UNREACHED = 256.0  # a threshold of solarize that no value reaches


def _complete(operation: tuple[OperationName, tuple[float, ...]]) -> tuple[OperationName, tuple[float, ...]]:
    name, numbers = operation
    if len(numbers) != _NUMBERS.get(name, 1):
        raise ValueError(f"operation {name} has {len(numbers)} numbers: it needs {_NUMBERS.get(name, 1)}")
    return operation


Operation = Annotated[tuple[OperationName, tuple[float, ...]], AfterValidator(_complete)]
"""A name and its numbers, as ``draw`` makes them."""
DRAEM_OPERATIONS: tuple[OperationName, ...] = get_args(OperationName)[:10]


class Enhance(Spec):
    """Which operations may be drawn.

    Attributes:
        operations: the list that is drawn from. DRAEM's code: the first ten (the default); its paper: seven.
        count: how many different ones are applied, in random order. DRAEM: 3.
        solarize_probability: how often ``solarize`` does anything once it is drawn. DRAEM's code: 0.5, imgaug's
            ``Solarize(0.5, ...)``: a coin for each picture, on top of the draw of ``count`` operations.
    """

    operations: tuple[OperationName, ...] = DRAEM_OPERATIONS
    count: int = Field(default=3, ge=0)
    solarize_probability: float = Field(default=0.5, ge=0.0, le=1.0)

    @model_validator(mode="after")
    def _enough(self) -> Enhance:
        if self.count > len(self.operations):
            raise ValueError(
                f"count {self.count} is more than the {len(self.operations)} operations listed: lower it or list more"
            )
        return self

    def draw(self, draws: Draws) -> tuple[Operation, ...]:
        """The operations of one source, each with its numbers."""
        chosen = draws.subset("operations", len(self.operations), self.count)
        return tuple((self.operations[place], self._numbers(self.operations[place], draws)) for place in chosen)

    def _numbers(self, name: OperationName, draws: Draws) -> tuple[float, ...]:
        if name == "solarize" and not draws.chance("solarize_coin", self.solarize_probability):
            return (_UNREACHED,)
        return _DRAW[name](draws)


def no_enhancement() -> Enhance:
    """The rule that leaves a source as it is."""
    return Enhance(count=0)


def rotation_of(operations: Sequence[Operation]) -> float:
    """Degrees anticlockwise that ``affine`` adds, or 0."""
    return sum(numbers[0] for name, numbers in operations if name == "affine")


# --- draw: the numbers of one operation ---------------------------------------------------------------------------------


def _draw_gamma(draws: Draws) -> tuple[float, ...]:
    return tuple(draws.uniform("gamma", (0.5, 2.0), slot) for slot in range(3))  # GammaContrast((0.5, 2.0), per_channel=True)


def _draw_brightness(draws: Draws) -> tuple[float, ...]:
    # MultiplyAndAddToBrightness(mul=(0.8, 1.2), add=(-30, 30))
    return draws.uniform("brightness_mul", (0.8, 1.2)), draws.uniform("brightness_add", (-30, 30))


def _draw_sharpness(draws: Draws) -> tuple[float, ...]:
    return (draws.uniform("sharpness", (0.0, 3.0)),)  # pillike.EnhanceSharpness(): factor (0.0, 3.0)


def _draw_hue_saturation(draws: Draws) -> tuple[float, ...]:
    # AddToHueAndSaturation((-50, 50), per_channel=True)
    return draws.uniform("hue", (-50, 50)), draws.uniform("saturation", (-50, 50))


def _draw_solarize(draws: Draws) -> tuple[float, ...]:
    return (draws.uniform("solarize", (32, 128)),)  # Solarize(0.5, threshold=(32, 128)); for its coin see ``Enhance``


def _draw_posterize(draws: Draws) -> tuple[float, ...]:
    return (float(draws.integer("posterize", (1, 8))),)  # Posterize(): nb_bits (1, 8)


def _draw_nothing(draws: Draws) -> tuple[float, ...]:
    return ()


def _draw_autocontrast(draws: Draws) -> tuple[float, ...]:
    return (draws.uniform("autocontrast", (0, 20)),)  # pillike.Autocontrast(): cutoff (0, 20) per cent


def _draw_affine(draws: Draws) -> tuple[float, ...]:
    return (draws.uniform("affine", (-45, 45)),)  # Affine(rotate=(-45, 45))


def _draw_contrast(draws: Draws) -> tuple[float, ...]:
    return (draws.uniform("contrast", (0.5, 2.0)),)  # anomalib: v2.ColorJitter(contrast=(0.5, 2.0))


_DRAW: dict[str, Callable[[Draws], tuple[float, ...]]] = {
    "gamma": _draw_gamma,
    "brightness": _draw_brightness,
    "sharpness": _draw_sharpness,
    "hue_saturation": _draw_hue_saturation,
    "solarize": _draw_solarize,
    "posterize": _draw_posterize,
    "invert": _draw_nothing,
    "autocontrast": _draw_autocontrast,
    "equalize": _draw_nothing,
    "affine": _draw_affine,
    "contrast": _draw_contrast,
    "greyscale": _draw_nothing,
    "flip_horizontal": _draw_nothing,
    "flip_vertical": _draw_nothing,
}
