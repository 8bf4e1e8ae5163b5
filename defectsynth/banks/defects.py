"""Real defects by kind and name, each with its mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from defectsynth.banks.cache import CACHE_BYTES, Cache
from defectsynth.banks.folders import where
from defectsynth.errors import ImageError, PlanError, SourceError
from defectsynth.foreground import estimate_foreground
from defectsynth.formats.mvtec import LabelledPicture, datasets_below, read_defects, read_labelled
from defectsynth.images import Box, Mask, content_hash, mean_colour, pieces_of, to_rgb8

__all__ = ["Defect", "DefectBank"]


LEAST_CONFIDENCE = 0.3
"""Below it the foreground of a defect's picture is not used; the default of ``foreground.min_confidence`` in a recipe."""


@dataclass(frozen=True)
class Defect:
    """A real defect: its picture ``(H, W, 3)`` uint8 RGB, the mask ``(H, W)`` 0 or 255, and the picture's content hash."""

    rgb: npt.NDArray[np.uint8]
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
    def _colours(self) -> dict[Box, npt.NDArray[np.float64]]:
        return {}

    def colour_around(self, box: Box) -> npt.NDArray[np.float64]:
        """``(3,)`` in 0..255: the mean colour of what is no defect in a rectangle, of all of it where there is nothing else."""
        found = self._colours.get(box)
        if found is None:
            top, left, bottom, right = box
            found = mean_colour(self.rgb[top:bottom, left:right], self.mask[top:bottom, left:right] == 0)
            found.flags.writeable = False
            self._colours[box] = found
        return found

    @cached_property
    def foreground(self) -> Mask | None:
        """The product in its picture, ``(H, W)`` 0 or 255; None where the estimate is not certain."""
        found = estimate_foreground(self.rgb, "auto")
        return found.mask if found.confidence >= LEAST_CONFIDENCE and found.mask.any() else None


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
        self._cache: Cache[Defect] = Cache(cache_bytes)

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
            raise PlanError(f"defect {name!r} is not in {where(self.root)}: give the folder that the plan was drawn from")
        try:
            image, mask = read_labelled(self._pictures[name])
        except ImageError as error:
            raise SourceError(f"defect {error}") from None
        return Defect(to_rgb8(image), mask, content_hash(image))


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
