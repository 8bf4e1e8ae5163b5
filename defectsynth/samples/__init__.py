"""Built-in example products: pictures of good parts, drawn by arithmetic, so that a first run needs no data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from defectsynth.errors import InputError
from defectsynth.images import as_mask
from defectsynth.rng import Draws
from defectsynth.samples import board, disc, fabric, gear, pill, plate
from defectsynth.samples.camera import photograph, shrink
from defectsynth.samples.scene import Scene, Stage

__all__ = ["PRODUCTS", "Product", "product"]

PRODUCTS: dict[str, Callable[[Draws, Stage], Scene]] = {
    "plate": plate.draw,
    "fabric": fabric.draw,
    "disc": disc.draw,
    "pill": pill.draw,
    "board": board.draw,
    "gear": gear.draw,
}
"""How each product is drawn, by name."""

_DETAILED_SIDE = 192
_MAX_ZOOM = 4


@dataclass(frozen=True, slots=True)
class Product:
    """A picture of a good part.

    Attributes:
        image: ``(H, W, 3)`` uint8, RGB.
        foreground: ``(H, W)`` uint8, 255 where at least half of the pixel is the part, else 0.
    """

    image: npt.NDArray[np.uint8]
    foreground: npt.NDArray[np.uint8]


def product(name: str, index: int, shape: tuple[int, int] = (256, 256), seed: int = 0) -> Product:
    """Picture number ``index`` of a built-in product; the same arguments give the same bytes.

    All pictures of a product show the same design. What changes is what changes on a line: place, turn, lamp, exposure,
    material and sensor noise.

    Args:
        name: a key of ``PRODUCTS``.
        index: 0 to 2**64 - 1.
        shape: ``(H, W)``, each from 1 up; the part's size follows the shorter side.
        seed: another production run, 0 to 2**64 - 1.

    Raises:
        InputError: the name is not known, or a side of the shape is below 1.
    """
    if name not in PRODUCTS:
        raise InputError(f"there is no built-in product {name!r}: choose from {', '.join(PRODUCTS)}")
    if min(shape) < 1:
        raise InputError(f"shape is {shape}: both sides must be at least 1")
    draws = Draws(seed, index, f"samples.{name}.")
    zoom = _zoom(min(shape))
    scene = PRODUCTS[name](draws, Stage((shape[0] * zoom, shape[1] * zoom)))
    image = photograph(shrink(scene.light, zoom), draws)
    return Product(image, as_mask(shrink(scene.coverage, zoom) >= 0.5))


def _zoom(side: int) -> int:
    """Small pictures are drawn larger and averaged, so that weave and traces blur as in a lens instead of aliasing."""
    return max(1, min(_MAX_ZOOM, -(-_DETAILED_SIDE // side)))
