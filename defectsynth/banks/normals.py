"""Other normal pictures of the same product, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from defectsynth.banks.cache import CACHE_BYTES, Cache
from defectsynth.banks.folders import names_below, read_source, where
from defectsynth.errors import PlanError, SourceError
from defectsynth.foreground import estimate_foreground
from defectsynth.images import AnyImage, Mask, check_image, content_hash, resize_image, split_alpha

__all__ = ["NormalBank", "NormalImage"]


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
            self.names, self._read = names_below(root, "normal"), lambda name: _read_normal(root / name)
        if not self.names:
            raise SourceError("there are no other normal pictures: give at least one")
        self._known = frozenset(self.names)
        self._cache: Cache[NormalImage] = Cache(cache_bytes)

    def __len__(self) -> int:
        return len(self.names)

    def hash_of(self, name: str) -> str:
        """A picture's content hash."""
        return self._cache.hash_of(name) or self.load(name).hash

    def load(self, name: str) -> NormalImage:
        """A picture in its own size."""
        if name not in self._known:
            raise PlanError(
                f"normal picture {name!r} is not in {where(self.root)}: give the folder that the plan was drawn from"
            )
        return self._cache.get(name, lambda: NormalImage(*self._read(name)))

    def fitted(self, name: str, shape: tuple[int, int]) -> NormalImage:
        """A picture brought to ``shape = (H, W)``."""

        def fit() -> NormalImage:
            own = self.load(name)
            return NormalImage(resize_image(own.image, shape), own.hash)

        return self._cache.get((name, shape), fit)


def _read_normal(path: Path) -> tuple[AnyImage, str]:
    image = read_source(path, "normal picture")
    return (image if path.suffix == ".npy" else split_alpha(image)[0]), content_hash(image)
