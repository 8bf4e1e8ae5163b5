"""Banks of anomaly sources: textures, real defects, masks and other normal pictures, decoded once, in a bounded cache."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from defectsynth.errors import ImageError, PlanError, SourceError
from defectsynth.files import binary_mask, list_images, read_image
from defectsynth.foreground import estimate_foreground
from defectsynth.formats.mvtec import LabelledPicture, datasets_below, read_defects, read_labelled
from defectsynth.images import (
    AnyImage,
    Box,
    Histogram,
    Mask,
    check_image,
    content_hash,
    histogram_of,
    pieces_of,
    resize_image,
    smoothed,
    split_alpha,
    to_rgb8,
)
from defectsynth.rng import Draws

__all__ = ["Banks", "Defect", "DefectBank", "MaskBank", "NormalBank", "TextureBank"]

RGB8 = npt.NDArray[np.uint8]
CACHE_BYTES = 256 * 2**20
"""Decoded pixels that a bank keeps by default: about 1,300 textures of 256 x 256."""


LEAST_CONFIDENCE = 0.3
"""Below it the foreground of a defect's picture is not used; the default of ``foreground.min_confidence`` in a recipe."""
PLAN_HASH_DIGITS = 16
"""Digits of a content hash that a plan keeps: 64 bits."""


@dataclass(frozen=True)
class TextureImage:
    """A decoded texture: ``(H, W, 3)`` uint8 RGB, and its content hash."""

    rgb: RGB8
    hash: str

    @cached_property
    def histogram(self) -> Histogram:
        """See ``images.histogram_of``; counted when it is first asked for."""
        return histogram_of(self.rgb)

    @cached_property
    def smooth(self) -> RGB8:
        """See ``images.smoothed``; made when it is first asked for."""
        return smoothed(self.rgb)

    @property
    def nbytes(self) -> int:
        """Bytes that it takes in a cache, with its smooth copy."""
        return 2 * self.rgb.nbytes


@dataclass(frozen=True)
class Defect:
    """A real defect: its picture ``(H, W, 3)`` uint8 RGB, the mask ``(H, W)`` 0 or 255, and the picture's content hash."""

    rgb: RGB8
    mask: Mask
    hash: str

    @property
    def nbytes(self) -> int:
        """Bytes that it takes in a cache."""
        return self.rgb.nbytes + 2 * self.mask.nbytes

    @cached_property
    def pieces(self) -> list[tuple[Box, Mask]]:
        """See ``images.pieces_of``."""
        return pieces_of(self.mask)

    @cached_property
    def foreground(self) -> Mask | None:
        """The product in its picture, ``(H, W)`` 0 or 255; None where the estimate is not certain."""
        found = estimate_foreground(self.rgb, "auto")
        return found.mask if found.confidence >= LEAST_CONFIDENCE and found.mask.any() else None


ValueT = TypeVar("ValueT", "TextureImage", "Defect", "NormalImage", "MaskImage")


class _Cache(Generic[ValueT]):
    """The values used last, up to a number of bytes (always at least one)."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._held = 0
        self._lock = Lock()
        self._values: OrderedDict[Any, ValueT] = OrderedDict()
        self._hashes: dict[Any, str] = {}
        self._last: tuple[Any, ValueT] | None = None

    def get(self, key: Any, make: Callable[[], ValueT]) -> ValueT:
        """The value of a key, made where it is not held."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()  # outside the lock: threads may decode side by side
        with self._lock:
            self._hashes[key] = value.hash
            if key not in self._values:
                self._values[key] = value
                self._held += value.nbytes
            while self._held > self._capacity and len(self._values) > 1:
                self._held -= self._values.popitem(last=False)[1].nbytes
        return value

    def hash_of(self, key: Any) -> str | None:
        """The content hash of a value that was made, which is remembered when the value is not."""
        return self._hashes.get(key)

    def get_last(self, key: Any, make: Callable[[], ValueT]) -> ValueT:
        """The value of a key, of which only that which was asked for last is held, beside the others."""
        last = self._last
        if last is not None and last[0] == key:
            return last[1]
        value = make()
        self._hashes[key] = value.hash
        self._last = key, value
        return value

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process starts with an empty cache."""
        return _Cache, (self._capacity,)


class TextureBank:
    """Textures by name.

    Args:
        textures: a folder (DTD's ``images/<class>/*.jpg`` or any other nesting), a mapping of names to images, or the names
            alone where ``read`` is given.
        read: the image of a name.
        cache_bytes: decoded pixels that are kept.

    Raises:
        SourceError: the folder is missing or holds no pictures, or the mapping is empty.
    """

    def __init__(
        self,
        textures: str | Path | Mapping[str, AnyImage] | Sequence[str],
        *,
        read: Callable[[str], AnyImage] | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self.root: Path | None = None
        self._open: Callable[[str], AnyImage]
        if read is not None and not isinstance(textures, (str, Path)):
            self.names, self._open = sorted(textures), read
        elif isinstance(textures, Mapping):
            arrays = {str(name): check_image(image, f"texture {name!r}") for name, image in textures.items()}
            self.names, self._open = sorted(arrays), arrays.__getitem__
        else:
            self.root = Path(str(textures))
            self.names, self._open = _names_below(self.root, "texture"), partial(_read_below, self.root, "texture")
        if not self.names:
            raise SourceError("the mapping of textures is empty: give at least one name and image")
        self._known = frozenset(self.names)
        self._cache: _Cache[TextureImage] = _Cache(cache_bytes)

    def __len__(self) -> int:
        return len(self.names)

    def hash_of(self, name: str) -> str:
        """A texture's content hash."""
        return self._cache.hash_of(name) or self.load(name).hash

    def load(self, name: str) -> TextureImage:
        """A texture in its own size; only the last one is kept, as it can be many times as large as the pictures."""
        return self._cache.get_last(name, lambda: self._read(name))

    def fitted(self, name: str, shape: tuple[int, int]) -> TextureImage:
        """A texture that is at most ``shape = (H, W)`` along each axis, shrunk by area averaging where it is larger."""

        def fit() -> TextureImage:
            own = self.load(name)
            smaller = min(own.rgb.shape[0], shape[0]), min(own.rgb.shape[1], shape[1])
            return TextureImage(resize_image(own.rgb, smaller), own.hash)

        return self._cache.get((name, shape), fit)

    def _read(self, name: str) -> TextureImage:
        if name not in self._known:
            raise PlanError(f"texture {name!r} is not in {_where(self.root)}: give the folder that the plan was drawn from")
        image = self._open(name)
        return TextureImage(to_rgb8(image), content_hash(image))


class DefectBank:
    """Real defects by name: ``<kind>/<stem>``, or ``<product>/<kind>/<stem>`` where there are several products.

    Args:
        defects: a folder in the MVTec AD layout (``test/<kind>/<stem>.*`` and ``ground_truth/<kind>/<stem>_mask.png``), or a
            folder of such folders, one a product.
        omit: products of it that are left out.
        cache_bytes: decoded pixels that are kept.

    Raises:
        SourceError: the folder is missing, or holds no picture with a mask.
    """

    def __init__(self, defects: str | Path, *, omit: Sequence[str] = (), cache_bytes: int = CACHE_BYTES) -> None:
        self.root = Path(defects)
        try:
            self._pictures = {
                f"{kind}/{picture.image.stem}": picture for kind, picture in _defects_below(self.root, omit) if picture.mask
            }
        except ImageError as error:
            raise SourceError(str(error)) from None
        self.names = sorted(self._pictures)
        self.kinds = sorted({name.rpartition("/")[0] for name in self.names})
        self._names_of = {kind: [name for name in self.names if name.startswith(f"{kind}/")] for kind in self.kinds}
        self._cache: _Cache[Defect] = _Cache(cache_bytes)

    def __len__(self) -> int:
        return len(self.names)

    def path(self, name: str) -> Path:
        """The picture's file."""
        return self._pictures[name].image

    def hash_of(self, name: str) -> str:
        """A defect's content hash."""
        return self._cache.hash_of(name) or self.load(name).hash

    def names_of(self, kind: str) -> list[str]:
        """The names of one of the kinds."""
        return self._names_of[kind]

    def load(self, name: str) -> Defect:
        """A defect's picture and mask."""
        return self._cache.get(name, lambda: self._read(name))

    def _read(self, name: str) -> Defect:
        if name not in self._pictures:
            raise PlanError(f"defect {name!r} is not in {_where(self.root)}: give the folder that the plan was drawn from")
        try:
            image, mask = read_labelled(self._pictures[name])
        except ImageError as error:
            raise SourceError(f"defect {error}") from None
        return Defect(to_rgb8(image), mask, content_hash(image))


@dataclass(frozen=True)
class NormalImage:
    """A normal picture ``(H, W, C)`` in its own type, and its content hash."""

    image: AnyImage
    hash: str
    _foregrounds: dict[str, Mask] = field(default_factory=dict, repr=False, compare=False)

    def foreground(self, method: str) -> Mask:
        """Where the product is, ``(H, W)`` 0 or 255, by one of the methods; estimated once."""
        if method not in self._foregrounds:
            self._foregrounds[method] = estimate_foreground(self.image, method).mask
        return self._foregrounds[method]

    @property
    def nbytes(self) -> int:
        """Bytes that it takes in a cache."""
        return self.image.nbytes


class NormalBank:
    """Other normal pictures of the same product, by name, in their own type.

    Args:
        normals: a folder, a mapping of names to images, or the names alone where ``read`` is given.
        read: (image, content hash) of a name.
        cache_bytes: decoded pixels that are kept.

    Raises:
        SourceError: the folder is missing or holds no pictures, or there is no name.
    """

    def __init__(
        self,
        normals: str | Path | Mapping[str, AnyImage] | Sequence[str],
        *,
        read: Callable[[str], tuple[AnyImage, str]] | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self.root: Path | None = None
        if read is not None and not isinstance(normals, (str, Path)):
            self.names, self._read = list(normals), read
        elif isinstance(normals, Mapping):
            arrays = {str(name): check_image(image, f"normal image {name!r}") for name, image in normals.items()}
            self.names, self._read = sorted(arrays), lambda name: (arrays[name], content_hash(arrays[name]))
        else:
            root = self.root = Path(str(normals))
            self.names, self._read = _names_below(root, "normal"), lambda name: _read_normal(root / name)
        if not self.names:
            raise SourceError("there are no other normal pictures: give at least one")
        self._known = frozenset(self.names)
        self._cache: _Cache[NormalImage] = _Cache(cache_bytes)

    def __len__(self) -> int:
        return len(self.names)

    def hash_of(self, name: str) -> str:
        """A picture's content hash."""
        return self._cache.hash_of(name) or self.load(name).hash

    def load(self, name: str) -> NormalImage:
        """A picture in its own size."""
        if name not in self._known:
            raise PlanError(
                f"normal picture {name!r} is not in {_where(self.root)}: give the folder that the plan was drawn from"
            )
        return self._cache.get(name, lambda: NormalImage(*self._read(name)))

    def fitted(self, name: str, shape: tuple[int, int]) -> NormalImage:
        """A picture brought to ``shape = (H, W)``."""

        def fit() -> NormalImage:
            own = self.load(name)
            return NormalImage(resize_image(own.image, shape), own.hash)

        return self._cache.get((name, shape), fit)


@dataclass(frozen=True, slots=True)
class MaskImage:
    """A real mask ``(H, W)`` uint8, 0 or 255, and the content hash of its file."""

    mask: Mask
    hash: str

    @property
    def nbytes(self) -> int:
        """Bytes that it takes in a cache."""
        return self.mask.nbytes


class MaskBank:
    """Real masks by name, without pictures.

    Args:
        masks: a folder of mask files, however nested (of a dataset in the MVTec AD layout, its ``ground_truth`` is taken), or a
            mapping of names to masks. Set is what ``files.binary_mask`` says: of a file with 0 and one other value, the other.
        cache_bytes: decoded pixels that are kept.

    Raises:
        SourceError: the folder is missing or holds no pictures, or the mapping is empty.
    """

    def __init__(self, masks: str | Path | Mapping[str, AnyImage], *, cache_bytes: int = CACHE_BYTES) -> None:
        if isinstance(masks, Mapping):
            self.root, self._arrays = None, {str(name): check_image(mask, f"mask {name!r}") for name, mask in masks.items()}
            self.names = sorted(self._arrays)
            if not self.names:
                raise SourceError("the mapping of masks is empty: give at least one name and mask")
        else:
            below = Path(masks) / "ground_truth"
            self.root, self._arrays = below if below.is_dir() else Path(masks), {}
            self.names = _names_below(self.root, "mask")
        self._known = frozenset(self.names)
        self._cache: _Cache[MaskImage] = _Cache(cache_bytes)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def folders(self) -> list[str]:
        """Every folder that holds a mask, at any depth."""
        parents = {str(parent) for name in self.names for parent in PurePosixPath(name).parents}
        return sorted(parents - {"."})

    def hash_of(self, name: str) -> str:
        """A mask's content hash."""
        return self._cache.hash_of(name) or self.load(name).hash

    def load(self, name: str) -> MaskImage:
        """A mask in its own size.

        Raises:
            SourceError: the file cannot be read, or nothing is set in it.
        """
        return self._cache.get(name, lambda: self._read(name))

    def _read(self, name: str) -> MaskImage:
        if name not in self._known:
            raise PlanError(f"mask {name!r} is not in {_where(self.root)}: give the folder that the plan was drawn from")
        image = self._arrays[name] if self.root is None else _read_source(self.root / name, "mask")
        mask = binary_mask(image)
        if not mask.any():
            raise SourceError(f"mask {name!r} of {_where(self.root)} is empty: remove it, or mark the defect in it")
        return MaskImage(mask, content_hash(image))


@dataclass(frozen=True, slots=True)
class Banks:
    """The sources that a synthesizer was given; None where none was."""

    textures: TextureBank | None = None
    defects: DefectBank | None = None
    normals: NormalBank | None = None
    masks: MaskBank | None = None

    def texture_bank(self) -> TextureBank:
        """The textures.

        Raises:
            PlanError: none were given.
        """
        if self.textures is None:
            raise PlanError(
                "this plan uses textures and none were given: pass textures=FOLDER (--textures FOLDER, or builtin:all)"
            )
        return self.textures

    def defect_bank(self) -> DefectBank:
        """The real defects.

        Raises:
            PlanError: none were given.
        """
        if self.defects is None:
            raise PlanError("this plan uses real defects and none were given: pass defects=FOLDER (--defects FOLDER)")
        return self.defects

    def normal_bank(self) -> NormalBank:
        """The other normal pictures.

        Raises:
            PlanError: none were given.
        """
        if self.normals is None:
            raise PlanError("this plan uses other normal pictures and none were given: pass normals=FOLDER")
        return self.normals

    def mask_bank(self) -> MaskBank:
        """The masks.

        Raises:
            PlanError: none were given.
        """
        if self.masks is None:
            raise PlanError("this plan uses masks from files and none were given: pass masks=FOLDER (--masks FOLDER)")
        return self.masks

    def check_mask_folders(self, folders: tuple[str, ...] | None) -> None:
        """Raises ``SourceError`` for a folder that the mask bank does not have."""
        bank = self.mask_bank()
        for folder in folders or ():
            if folder not in bank.folders:
                raise SourceError(f"mask folder {folder!r} is not in {_where(bank.root)}: it has {', '.join(bank.folders)}")

    def draw_mask(self, draws: Draws, folders: tuple[str, ...] | None) -> tuple[str, str]:
        """A mask's name and the first digits of its content hash: every mask below these folders as likely."""
        bank = self.mask_bank()
        names = [name for name in bank.names if _is_below(name, folders)] if folders else bank.names
        name = names[draws.integer("name", (0, len(names) - 1))]
        return name, bank.hash_of(name)[:PLAN_HASH_DIGITS]

    def mask(self, name: str, expected_hash: str) -> Mask:
        """A mask that a plan names, ``(H, W)`` 0 or 255; it must not have changed."""
        found = self.mask_bank().load(name)
        _check_hash("mask", name, found.hash, expected_hash)
        return found.mask

    def draw_normal(self, draws: Draws) -> tuple[str, str]:
        """A normal picture's name and the first digits of its content hash, every one as likely."""
        bank = self.normal_bank()
        name = bank.names[draws.integer("name", (0, len(bank) - 1))]
        return name, bank.hash_of(name)[:PLAN_HASH_DIGITS]

    def normal(self, name: str, expected_hash: str, shape: tuple[int, int]) -> AnyImage:
        """A normal picture that a plan names, brought to ``shape``, ``(H, W, C)`` in its own type; it must not have changed."""
        found = self.normal_bank().fitted(name, shape)
        _check_hash("normal picture", name, found.hash, expected_hash)
        return found.image if found.image.ndim == 3 else found.image[:, :, None]

    def normal_foreground(self, name: str, shape: tuple[int, int], method: str) -> Mask:
        """The product in a normal picture that was brought to ``shape``, ``(H, W)`` 0 or 255."""
        return self.normal_bank().fitted(name, shape).foreground(method)

    def draw_texture(self, draws: Draws) -> tuple[str, str]:
        """A texture's name and the first digits of its content hash, every one as likely."""
        bank = self.texture_bank()
        name = bank.names[draws.integer("name", (0, len(bank) - 1))]
        return name, bank.hash_of(name)[:PLAN_HASH_DIGITS]

    def check_defect_kinds(self, kinds: tuple[str, ...] | None) -> None:
        """Raises ``SourceError`` for a kind that the defect bank does not have."""
        bank = self.defect_bank()
        for kind in kinds or ():
            if kind not in bank.kinds:
                raise SourceError(f"defect kind {kind!r} is not in {_where(bank.root)}: it has {', '.join(bank.kinds)}")

    def draw_defect(self, draws: Draws, kinds: tuple[str, ...] | None) -> tuple[str, str]:
        """A defect's name and the first digits of its content hash: every kind as likely, then every picture of it."""
        bank = self.defect_bank()
        wanted = list(kinds) if kinds else bank.kinds
        kind = wanted[draws.integer("kind", (0, len(wanted) - 1))]
        names = bank.names_of(kind)
        name = names[draws.integer("name", (0, len(names) - 1))]
        return name, bank.hash_of(name)[:PLAN_HASH_DIGITS]

    def defect(self, name: str, expected_hash: str) -> Defect:
        """A defect that a plan names; its picture must be the one that the plan was drawn from."""
        defect = self.defect_bank().load(name)
        _check_hash("defect", name, defect.hash, expected_hash)
        return defect

    def defect_foreground(self, name: str, expected_hash: str) -> Mask | None:
        """The product in the picture of a defect that a plan names; None where it is not certain."""
        return self.defect(name, expected_hash).foreground

    def texture(self, name: str, expected_hash: str, shape: tuple[int, int]) -> TextureImage:
        """A texture that a plan names, at most as large as ``shape``; it must be the one that the plan was drawn from."""
        texture = self.texture_bank().fitted(name, shape)
        _check_hash("texture", name, texture.hash, expected_hash)
        return texture


def _check_hash(what: str, name: str, found: str, expected: str) -> None:
    if not found.startswith(expected):
        raise PlanError(
            f"{what} {name!r} has changed since the plan was drawn (hash {found[:16]}, was {expected}): restore the file"
        )


def _names_below(root: Path, what: str) -> list[str]:
    try:
        return [path.relative_to(root).as_posix() for path in list_images(root, what)]
    except ImageError as error:
        raise SourceError(str(error)) from None


def _defects_below(root: Path, omit: Sequence[str]) -> list[tuple[str, LabelledPicture]]:
    """The defects of every product that is not omitted, each with its kind's full name."""
    products = {name: folder for name, folder in datasets_below(root).items() if name not in omit}
    if not products:
        raise ImageError(f"dataset {str(root)!r} has no product but those that are left out ({', '.join(omit)})")
    return [
        (f"{product}/{picture.kind}" if product else picture.kind, picture)
        for product, folder in products.items()
        for picture in read_defects(folder)
    ]


def _read_source(path: Path, what: str) -> AnyImage:
    try:
        return read_image(path)
    except ImageError as error:
        raise SourceError(f"{what} {error}") from None


def _read_below(root: Path, what: str, name: str) -> AnyImage:
    return _read_source(root / name, what)


def _read_normal(path: Path) -> tuple[AnyImage, str]:
    image = _read_source(path, "normal picture")
    return (image if path.suffix == ".npy" else split_alpha(image)[0]), content_hash(image)


def _is_below(name: str, folders: tuple[str, ...]) -> bool:
    return any(name.startswith(f"{folder}/") for folder in folders)


def _where(root: Path | None) -> str:
    return "the mapping" if root is None else repr(str(root))
