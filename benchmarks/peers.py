"""The field's own ways of making an anomaly, after their published code, for ``synthesis.py`` to measure beside ours.

Each is a function of a picture ``(H, W, 3)`` uint8 RGB and a number, which seeds what it draws. anomalib's generator is its
own code; the others are the steps of published code, one after the other, with nothing left out that changes a pixel: tiled
noise, textures decoded anew and whole-image float64 blends (DRAEM, without its texture augmentation), Pillow and torchvision's
``ColorJitter`` (CutPaste), ``cv2.seamlessClone`` (NSA).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from defectsynth.images import AnyImage
from defectsynth.rng import Draws, words

__all__ = ["ANOMALIB", "PUBLISHED", "Way", "peers"]

Way = Callable[[AnyImage, int], object]

ANOMALIB, DRAEM = "anomalib's generator", "straightforward way"
CUTPASTE, SCAR, NSA = "CutPaste's steps", "CutPaste's scar, its steps", "NSA's steps"
PUBLISHED = {
    "anomalib": ANOMALIB,
    "cutpaste": CUTPASTE,
    "cutpaste-scar": SCAR,
    "draem-code": DRAEM,
    "nsa-object": NSA,
}
"""The way that a preset follows."""


def peers(images: Sequence[AnyImage], textures: Path, files: list[Path]) -> dict[str, Way]:
    """Every way whose packages are installed, by name; ``files`` are the textures that the straightforward way takes."""
    ways = {ANOMALIB: of_anomalib(textures), DRAEM: straightforward(files), **of_cutpaste(), NSA: of_nsa(images)}
    return {name: way for name, way in ways.items() if way is not None}


def tiled_perlin(seed: int, side: int, cells: tuple[int, int]) -> AnyImage:
    """Perlin noise with gradients repeated to the picture's size; ``side`` must be divisible by the cells."""
    angles = words(seed, (cells[0] + 1, cells[1] + 1)) * (2 * np.pi / 2**32)
    gradients = np.dstack((np.cos(angles), np.sin(angles)))
    step = (cells[0] / side, cells[1] / side)
    grid = np.mgrid[0 : cells[0] : step[0], 0 : cells[1] : step[1]].transpose(1, 2, 0) % 1
    repeat = (side // cells[0], side // cells[1])

    def corner(down: int, right: int) -> AnyImage:
        own = gradients[down : down + cells[0], right : right + cells[1]].repeat(repeat[0], 0).repeat(repeat[1], 1)
        return np.sum((grid - (down, right)) * own, axis=2)

    fade = 6 * grid**5 - 15 * grid**4 + 10 * grid**3
    top = corner(0, 0) * (1 - fade[:, :, 0]) + corner(1, 0) * fade[:, :, 0]
    bottom = corner(0, 1) * (1 - fade[:, :, 0]) + corner(1, 1) * fade[:, :, 0]
    return np.sqrt(2) * (top * (1 - fade[:, :, 1]) + bottom * fade[:, :, 1])


def straightforward(textures: list[Path]) -> Way:
    """DRAEM's steps (without its texture augmentation), one after the other, over the whole image."""

    def augment(image: AnyImage, index: int) -> object:
        draws, side = Draws(0, index), image.shape[0]
        texture = cv2.imread(str(textures[draws.integer("texture", (0, len(textures) - 1))]))
        texture = cv2.resize(np.asarray(texture), (side, side)).astype(np.float64) / 255
        cells = 2 ** draws.integer("cells", (0, 5), 0), 2 ** draws.integer("cells", (0, 5), 1)
        noise = tiled_perlin(index, side, cells)
        turn = cv2.getRotationMatrix2D((side / 2, side / 2), draws.uniform("angle", (-90, 90)), 1.0)
        mask = (cv2.warpAffine(noise, turn, (side, side)) > 0.5).astype(np.float64)[:, :, None]
        beta = draws.uniform("beta", (0.0, 0.8))
        normal = image.astype(np.float64) / 255
        return normal * (1 - mask) + (1 - beta) * texture * mask + beta * normal * mask, mask

    return augment


def of_anomalib(textures: Path) -> Way | None:
    """anomalib's generator, or None where anomalib is not installed."""
    try:
        import torch
        from anomalib.data.utils.generators.perlin import PerlinAnomalyGenerator
    except ImportError:
        return None
    torch.set_num_threads(1)
    generator = PerlinAnomalyGenerator(anomaly_source_path=str(textures), probability=1.0)
    return lambda image, index: generator(torch.from_numpy(image).permute(2, 0, 1).float() / 255)


def of_cutpaste() -> dict[str, Way]:
    """``cutpaste.py`` of ``Runinho/pytorch-cutpaste``: a rectangle and a scar; they return no mask."""
    try:
        from PIL import Image
        from torchvision.transforms import ColorJitter
    except ImportError:
        return {}
    jitter = ColorJitter(0.1, 0.1, 0.1, 0.1)

    def place(draws: Draws, name: str, image: Image.Image, size: tuple[int, int]) -> tuple[int, int]:
        free = image.width - size[0], image.height - size[1]
        return draws.integer(name, (0, max(0, free[0])), 0), draws.integer(name, (0, max(0, free[1])), 1)

    def cut(draws: Draws, image: Image.Image, size: tuple[int, int]) -> Image.Image:
        left, top = place(draws, "from", image, size)
        return jitter(image.crop((left, top, left + size[0], top + size[1])))

    def rectangle(picture: AnyImage, index: int) -> object:
        draws, image = Draws(0, index), Image.fromarray(picture)
        area = draws.uniform("area", (0.02, 0.15)) * image.width * image.height
        aspect = draws.log_uniform("aspect", (0.3, 1 / 0.3))
        size = min(image.width, round(math.sqrt(area * aspect))), min(image.height, round(math.sqrt(area / aspect)))
        painted = image.copy()
        painted.paste(cut(draws, image, size), place(draws, "to", image, size))
        return painted

    def scar(picture: AnyImage, index: int) -> object:
        draws, image = Draws(0, index), Image.fromarray(picture)
        size = draws.integer("width", (2, 16)), draws.integer("length", (10, 25))
        patch = cut(draws, image, size).convert("RGBA").rotate(draws.uniform("angle", (-45.0, 45.0)), expand=True)
        painted = image.copy()
        painted.paste(patch, place(draws, "to", image, patch.size), patch.split()[-1])
        return painted

    return {CUTPASTE: rectangle, SCAR: scar}


def of_nsa(images: Sequence[AnyImage]) -> Way:
    """``self_sup_tasks.py`` of ``hmsch/natural-synthetic-anomalies``: up to three patches, Poisson, the logistic label.

    Its search for a place on the object is left out. Where scikit-image, with which it takes the median over a disc, is not
    installed, OpenCV's over a square stands for it, which is many times as fast.
    """
    try:
        from skimage.filters import median
        from skimage.morphology import disk
    except ImportError:
        smooth = partial(cv2.medianBlur, ksize=9)
    else:
        smooth = partial(median, footprint=disk(5))

    def side(draws: Draws, slot: int) -> float:
        half = min(max(0.03 + draws.gamma("half", 2, 0.05, slot), 0.03), 0.4)
        centre = draws.uniform("centre", (0.03, 0.97), slot)
        return min(centre + half, 1.0) - max(centre - half, 0.0)

    def augment(image: AnyImage, index: int) -> object:
        height, width = image.shape[:2]
        other, painted = images[(index - 1) % len(images)], image.copy()
        for number in range(3):
            draws = Draws(0, index, path=f"{number}.")
            if number and draws.chance("coin", 0.5):
                continue
            rows, columns = max(8, round(side(draws, 0) * height)), max(8, round(side(draws, 1) * width))
            top, left = draws.integer("top", (0, height - rows)), draws.integer("left", (0, width - columns))
            scale = draws.normal("scale", (1.0, 0.5), (0.7, 1.3))
            size = min(width, max(8, round(columns * scale))), min(height, max(8, round(rows * scale)))
            patch = cv2.resize(other[top : top + rows, left : left + columns], size)
            to = draws.integer("x", (0, width - size[0])), draws.integer("y", (0, height - size[1]))
            middle = to[0] + size[0] // 2, to[1] + size[1] // 2
            painted = cv2.seamlessClone(patch, painted, np.full(patch.shape[:2], 255, np.uint8), middle, cv2.NORMAL_CLONE)
        change = np.mean(np.abs(painted.astype(np.float64) - image), axis=2)
        mask = cv2.medianBlur((change > 1).astype(np.uint8), 5)
        strength = smooth((change * mask).astype(np.uint8)).astype(np.float64)
        return painted, mask / (1 + np.exp(-(strength - 24) / 12))

    return augment
