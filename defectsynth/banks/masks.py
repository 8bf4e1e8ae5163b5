"""Real masks by name, without pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from defectsynth.banks.cache import CACHE_BYTES, Cache
from defectsynth.banks.folders import names_below, read_source, where
from defectsynth.errors import PlanError, SourceError
from defectsynth.files import binary_mask
from defectsynth.images import AnyImage, Mask, check_image, content_hash

__all__ = ["MaskBank", "MaskImage"]


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
            self.names = names_below(self.root, "mask")
        self._known = frozenset(self.names)
        self._cache: Cache[MaskImage] = Cache(cache_bytes)

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
            raise PlanError(f"mask {name!r} is not in {where(self.root)}: give the folder that the plan was drawn from")
        image = self._arrays[name] if self.root is None else read_source(self.root / name, "mask")
        mask = binary_mask(image)
        if not mask.any():
            raise SourceError(f"mask {name!r} of {where(self.root)} is empty: remove it, or mark the defect in it")
        return MaskImage(mask, content_hash(image))
