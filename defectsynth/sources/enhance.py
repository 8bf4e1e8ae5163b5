"""Image enhancement as in DRAEM: k of n operations on the source, on 8-bit RGB.

Sources: ``VitjanZ/DRAEM`` ``data_loader.py`` (3 of 10, imgaug); ranges are imgaug's there. ``cqylunlun/GLASS``
``datasets/mvtec.py`` (3 of 9; greyscale and the flips are its). Here an operation sees the rectangle that is painted and
nothing else, so ``autocontrast`` and ``equalize`` take that rectangle's histogram; ``affine`` is drawn here and applied where
the source is sampled (``texture.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, Field, model_validator

from defectsynth.rng import Draws
from defectsynth.spec import Spec

__all__ = ["Enhance", "Operation", "OperationName", "apply_operations", "no_enhancement", "rotation_of"]

RGB8 = npt.NDArray[np.uint8]
Table = npt.NDArray[np.uint8]
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


def apply_operations(rgb: RGB8, operations: Sequence[Operation]) -> RGB8:
    """``(h, w, 3)`` uint8 RGB after the operations in order; ``affine`` is left to the sampler."""
    for name, numbers in operations:
        if name != "affine":
            rgb = _APPLY[name](rgb, numbers)
    return rgb


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


# --- apply: one operation on a picture ----------------------------------------------------------------------------------

_RAMP = np.arange(256, dtype=np.float64)


def _to_table(values: npt.NDArray[np.float64]) -> Table:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _look_up(rgb: RGB8, tables: Sequence[Table]) -> RGB8:
    """One table for all channels, or one each."""
    table = tables[0] if len(tables) == 1 else np.stack(tables, axis=-1)[None]
    return np.asarray(cv2.LUT(rgb, table), dtype=np.uint8)


def _gamma(rgb: RGB8, numbers: Sequence[float]) -> RGB8:
    return _look_up(rgb, [_to_table(255.0 * (_RAMP / 255.0) ** gamma) for gamma in numbers])


def _brightness(rgb: RGB8, numbers: Sequence[float]) -> RGB8:
    return _look_up(rgb, [_to_table(_RAMP * numbers[0] + numbers[1])])


def _sharpness(rgb: RGB8, numbers: Sequence[float]) -> RGB8:
    smooth = cv2.filter2D(rgb, -1, np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], dtype=np.float32) / 13.0)  # Pillow's SMOOTH
    return np.asarray(cv2.addWeighted(rgb, numbers[0], smooth, 1.0 - numbers[0], 0.0), dtype=np.uint8)


def _hue_saturation(rgb: RGB8, numbers: Sequence[float]) -> RGB8:
    hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV)  # hue 0..179
    hue = np.mod(np.rint(_RAMP + numbers[0] * 180.0 / 255.0), 180.0).astype(np.uint8)  # imgaug maps +-255 to +-360 degrees
    saturation = _to_table(_RAMP + numbers[1])
    shifted = _look_up(np.asarray(hsv, dtype=np.uint8), [hue, saturation, _to_table(_RAMP)])
    return np.asarray(cv2.cvtColor(shifted, cv2.COLOR_HSV2RGB), dtype=np.uint8)


def _solarize(rgb: RGB8, numbers: Sequence[float]) -> RGB8:
    return _look_up(rgb, [_to_table(np.where(numbers[0] <= _RAMP, 255.0 - _RAMP, _RAMP))])


def _posterize(rgb: RGB8, numbers: Sequence[float]) -> RGB8:
    step = 2.0 ** (8 - int(numbers[0]))
    return _look_up(rgb, [_to_table(np.floor(_RAMP / step) * step)])


def _invert(rgb: RGB8, numbers: Sequence[float]) -> RGB8:
    return np.asarray(cv2.bitwise_not(rgb), dtype=np.uint8)


def _autocontrast(rgb: RGB8, numbers: Sequence[float]) -> RGB8:
    cut = rgb.shape[0] * rgb.shape[1] * numbers[0] / 100.0
    return _look_up(rgb, [_stretched(_histogram(rgb, channel), cut) for channel in range(3)])


def _stretched(histogram: npt.NDArray[np.int64], cut: float) -> Table:
    """The table that maps the darkest and lightest values, after ``cut`` pixels at each end, to 0 and 255."""
    low = int(np.searchsorted(np.cumsum(histogram), cut, side="right"))
    high = 255 - int(np.searchsorted(np.cumsum(histogram[::-1]), cut, side="right"))
    if high <= low:
        return _to_table(_RAMP)
    return _to_table((_RAMP - low) * 255.0 / (high - low))


def _equalize(rgb: RGB8, numbers: Sequence[float]) -> RGB8:
    return _look_up(rgb, [_equalised(_histogram(rgb, channel)) for channel in range(3)])


def _equalised(histogram: npt.NDArray[np.int64]) -> Table:
    below = np.cumsum(histogram) - histogram
    levels = int(histogram.sum()) - int(histogram[np.flatnonzero(histogram)[-1]])
    if levels == 0:
        return _to_table(_RAMP)
    return _to_table(below * 255.0 / levels)


def _histogram(rgb: RGB8, channel: int) -> npt.NDArray[np.int64]:
    return np.bincount(rgb[:, :, channel].ravel(), minlength=256)


def _contrast(rgb: RGB8, numbers: Sequence[float]) -> RGB8:
    grey = float(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).sum(dtype=np.int64) / (rgb.shape[0] * rgb.shape[1]))
    return _look_up(rgb, [_to_table((_RAMP - grey) * numbers[0] + grey)])


def _greyscale(rgb: RGB8, numbers: Sequence[float]) -> RGB8:
    return np.asarray(cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), dtype=np.uint8)


def _flip_horizontal(rgb: RGB8, numbers: Sequence[float]) -> RGB8:
    return np.asarray(cv2.flip(rgb, 1), dtype=np.uint8)


def _flip_vertical(rgb: RGB8, numbers: Sequence[float]) -> RGB8:
    return np.asarray(cv2.flip(rgb, 0), dtype=np.uint8)


_APPLY: dict[str, Callable[[RGB8, Sequence[float]], RGB8]] = {
    "gamma": _gamma,
    "brightness": _brightness,
    "sharpness": _sharpness,
    "hue_saturation": _hue_saturation,
    "solarize": _solarize,
    "posterize": _posterize,
    "invert": _invert,
    "autocontrast": _autocontrast,
    "equalize": _equalize,
    "contrast": _contrast,
    "greyscale": _greyscale,
    "flip_horizontal": _flip_horizontal,
    "flip_vertical": _flip_vertical,
}
