"""The normal pictures that a job paints on: a folder of photographs or the built-in products, each with its ROI, if any."""

from __future__ import annotations

import hashlib
import os
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from defectsynth import samples
from defectsynth.errors import ImageError, InputError, RegionError
from defectsynth.files import BUILTIN_PREFIX, MAX_PIXELS, list_images, read_form, read_image, read_mask
from defectsynth.images import AnyImage, Mask, as_mask, content_hash, resize_image, resize_mask, split_alpha

__all__ = ["Canvas", "Canvases", "KeptCanvases", "open_canvases"]

BUILTIN_COUNT = 100
"""Pictures of each built-in product: as many as a small factory folder has."""
BUILTIN_SHAPE = (256, 256)

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Canvas:
    """One normal picture.

    Attributes:
        name: its path below the folder, or ``<product>/<index>``.
        image: colour only, in its own dtype and channels, already resized.
        alpha: ``(H, W, 1)`` where the file had one; it goes back on unchanged.
        roi: where defects may lie; None leaves it to the recipe.
        hash: content hash of the picture before resizing.
    """

    name: str
    image: AnyImage
    alpha: AnyImage | None
    roi: Mask | None
    hash: str

    def with_alpha(self, painted: AnyImage) -> AnyImage:
        """A painted image as it is written: with the alpha that its canvas had."""
        if self.alpha is None:
            return painted
        planes = painted if painted.ndim == 3 else painted[:, :, None]
        return np.concatenate([planes, self.alpha], axis=2)


class Canvases(Protocol):
    """Normal pictures by name, in a fixed order."""

    names: list[str]

    @abstractmethod
    def load(self, name: str) -> Canvas:
        """One picture; raises ``ImageError`` or ``RegionError`` where it cannot be used."""

    @abstractmethod
    def bytes_of(self, name: str) -> int:
        """Size of its file, 0 where it has none."""

    @abstractmethod
    def form_of(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Shape, with alpha, and type of one picture as it will be written, from its header where that says it."""

    def fingerprint(self) -> str:
        """16 hexadecimal digits of names and sizes, to see whether a folder is the one that a job began with."""
        listing = "\n".join(f"{name} {self.bytes_of(name)}" for name in self.names)
        return hashlib.sha256(os.fsencode(listing)).hexdigest()[:16]


def open_canvases(images: str, *, roi: str | None = None, size: Size | None = None, max_pixels: int = MAX_PIXELS) -> Canvases:
    """The canvases of a folder, or of ``builtin:<product>`` (``builtin:all`` for every product in turn).

    Args:
        images: the folder, or the product.
        roi: a folder of masks (same names as the pictures, with or without ``_mask``), or one mask for all pictures.
        size: ``(H, W)`` that every picture is brought to; None keeps its own (built-in products: 256 x 256).
        max_pixels: larger picture files are refused.

    Raises:
        ImageError: the folder is missing or holds no pictures.
        InputError: an unknown product.
        RegionError: the ROI is missing, or given for a built-in product.
    """
    if images.startswith(BUILTIN_PREFIX):
        if roi is not None:
            raise RegionError("an ROI is for a folder of pictures: the built-in products lie elsewhere in every picture")
        return _Builtin(images.removeprefix(BUILTIN_PREFIX), size or BUILTIN_SHAPE)
    return _Folder(Path(images), None if roi is None else Path(roi), size, max_pixels)


class KeptCanvases:
    """Loads canvases and keeps the last one, and those before it that fit into ``cache_bytes`` with it."""

    def __init__(self, canvases: Canvases, cache_bytes: int = 0) -> None:
        self._canvases, self._most = canvases, cache_bytes
        self._kept: dict[str, Canvas] = {}

    def load(self, name: str) -> Canvas:
        """The canvas of this name; raises what ``Canvases.load`` raises."""
        found = self._kept.pop(name, None)
        if found is None:
            if self._most == 0:
                self._kept.clear()  # two large pictures are not held at a time
            found = self._canvases.load(name)
        self._kept[name] = found
        while len(self._kept) > 1 and sum(canvas.image.nbytes for canvas in self._kept.values()) > self._most:
            del self._kept[next(iter(self._kept))]
        return found


class _Builtin(Canvases):
    def __init__(self, product: str, shape: Size) -> None:
        products = list(samples.PRODUCTS) if product == "all" else [product]
        for name in products:
            if name not in samples.PRODUCTS:
                raise InputError(
                    f"built-in product {name!r} is unknown: the products are {', '.join(samples.PRODUCTS)}, and all"
                )
        self.names = [f"{name}/{index:03d}" for index in range(BUILTIN_COUNT) for name in products]
        self._shape = shape

    def bytes_of(self, name: str) -> int:
        return 0

    def form_of(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        return (*self._shape, 3), np.dtype(np.uint8)

    def load(self, name: str) -> Canvas:
        product, _, index = name.partition("/")
        image = samples.product(product, int(index), self._shape).image
        return Canvas(name, image, None, None, content_hash(image))


class _Folder(Canvases):
    def __init__(self, folder: Path, roi: Path | None, size: Size | None, max_pixels: int) -> None:
        self._folder, self._roi, self._size, self._max_pixels = folder, roi, size, max_pixels
        self.names = [path.relative_to(folder).as_posix() for path in list_images(folder)]
        if roi is not None and not roi.exists():
            raise RegionError(f"ROI {str(roi)!r} does not exist: give a folder of masks or one mask file")

    def bytes_of(self, name: str) -> int:
        return (self._folder / name).stat().st_size

    def form_of(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        shape, dtype = read_form(self._folder / name, max_pixels=self._max_pixels)
        return (*(self._size or shape[:2]), *shape[2:]), dtype

    def load(self, name: str) -> Canvas:
        whole = read_image(self._folder / name, max_pixels=self._max_pixels)
        content = content_hash(whole)
        roi = self._read_roi(name, whole)
        if self._size is not None:
            whole = resize_image(whole, self._size)
            roi = None if roi is None else resize_mask(roi, self._size)
        image, alpha = (whole, None) if name.endswith(".npy") else split_alpha(whole)
        roi = _seen(roi, alpha)
        if roi is not None and not roi.any():
            size = f"{roi.shape[1]} x {roi.shape[0]}"
            raise RegionError(f"the ROI of {name!r} is empty at {size} pixels: mark where a defect may lie")
        return Canvas(name, image, alpha, roi, content)

    def _read_roi(self, name: str, image: AnyImage) -> Mask | None:
        if self._roi is None:
            return None
        path = self._roi if self._roi.is_file() else self._roi_file(name)
        try:
            roi = read_mask(path, max_pixels=self._max_pixels)
        except ImageError as error:
            raise RegionError(f"ROI of {name!r}: {error}") from None
        if roi.shape != image.shape[:2]:
            raise RegionError(
                f"ROI {str(path)!r} is {roi.shape[1]} x {roi.shape[0]} but picture {name!r} is "
                f"{image.shape[1]} x {image.shape[0]}: an ROI has the size of its picture"
            )
        return roi

    def _roi_file(self, name: str) -> Path:
        assert self._roi is not None
        stem = self._roi / Path(name).with_suffix("")
        candidates = [stem.with_name(f"{stem.name}{ending}.png") for ending in ("", "_mask")] + [self._roi / name]
        for path in candidates:
            if path.is_file():
                return path
        raise RegionError(f"picture {name!r} has no ROI: expected {str(candidates[0])!r} or {str(candidates[1])!r}")


def _seen(roi: Mask | None, alpha: AnyImage | None) -> Mask | None:
    """The ROI without the pixels that are wholly transparent: a defect there could not be seen."""
    if alpha is None or alpha.all():
        return roi
    opaque = as_mask(alpha[:, :, 0] > 0)
    return opaque if roi is None else np.minimum(roi, opaque)
