"""Textures by name, shrunk to the pictures that they are painted into."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from defectsynth.banks.cache import CACHE_BYTES, Cache
from defectsynth.banks.folders import names_below, read_source, where
from defectsynth.errors import PlanError, SourceError
from defectsynth.images import AnyImage, Histogram, check_image, content_hash, histogram_of, resize_image, smoothed, to_rgb8

__all__ = ["TextureBank", "TextureImage"]

RGB8 = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class TextureImage:
    """A decoded texture: ``(H, W, 3)`` uint8 RGB, and its content hash."""

    rgb: RGB8
    hash: str

    @cached_property
    def histogram(self) -> Histogram:
        """See ``images.histogram_of``; counted when it is first asked for."""
        return histogram_of(self.rgb)

    @property
    def nbytes(self) -> int:
        """Bytes that it takes in a cache."""
        return self.rgb.nbytes


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
            self.names, self._open = names_below(self.root, "texture"), partial(_read_below, self.root, "texture")
        if not self.names:
            raise SourceError("the mapping of textures is empty: give at least one name and image")
        self._known = frozenset(self.names)
        self._cache: Cache[TextureImage] = Cache(cache_bytes)

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

    def smooth(self, name: str, shape: tuple[int, int]) -> TextureImage:
        """The smooth copy of a texture that was ``fitted``; see ``images.smoothed``."""

        def smooth() -> TextureImage:
            own = self.fitted(name, shape)
            return TextureImage(smoothed(own.rgb), own.hash)

        return self._cache.get_spare((name, shape), smooth)

    def _read(self, name: str) -> TextureImage:
        if name not in self._known:
            raise PlanError(f"texture {name!r} is not in {where(self.root)}: give the folder that the plan was drawn from")
        image = self._open(name)
        return TextureImage(to_rgb8(image), content_hash(image))


def _read_below(root: Path, what: str, name: str) -> AnyImage:
    return read_source(root / name, what)
