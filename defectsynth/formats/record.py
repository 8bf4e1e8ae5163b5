"""A labelled picture between two formats: its file as it is, its mask, and the pieces of its defects."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from defectsynth.errors import ImageError
from defectsynth.files import decode_image, decode_npy, encode_image
from defectsynth.formats.mvtec import NORMAL_KIND
from defectsynth.images import AnyImage, Mask, pieces_of
from defectsynth.sample import Piece

__all__ = ["COMBINED_KIND", "Record", "mask_of", "one_kind", "pieces_of_mask"]

COMBINED_KIND = "combined"
"""Of a picture whose defects are of several kinds."""
_DRAWN = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}


@dataclass(frozen=True, slots=True)
class Record:
    """One picture of a dataset, whatever its format.

    Attributes:
        name: unique in the dataset, without dots and slashes; the stem of its file.
        split: ``train``, ``val`` or ``test``.
        kind: ``good``, the kind of its defects, or ``combined``.
        picture: the bytes of its file.
        suffix: of its file, ``.png`` as a rule.
        mask: ``(H, W)`` uint8, 0 or 255; None for a normal picture.
        pieces: the connected pieces of its defects; together they are the mask.
        line: what the manifest says of it: ``plan``, ``normal``, ``normal_hash`` and so on; empty for pictures of other makers.
    """

    name: str
    split: str
    kind: str
    picture: bytes = field(repr=False)
    suffix: str
    mask: Mask | None = field(default=None, repr=False)
    pieces: Sequence[Piece] = field(default=(), repr=False)
    line: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def is_anomalous(self) -> bool:
        """Whether it has a defect."""
        return self.mask is not None

    @property
    def number(self) -> int:
        """Of the sample in its split; -1 where that is not known."""
        return int(self.line.get("number", -1))

    @property
    def size(self) -> tuple[int, int]:
        """``(H, W)`` in pixels: the mask's, or what the header of the file says."""
        if self.mask is not None:
            return self.mask.shape[0], self.mask.shape[1]
        if self.suffix in _DRAWN:
            with suppress(OSError), Image.open(io.BytesIO(self.picture)) as picture:
                return picture.height, picture.width
        height, width = self.image().shape[:2]
        return height, width

    @property
    def plan_json(self) -> str:
        """Its plan as one line of JSON; empty where there is none."""
        return json.dumps(self.line["plan"], separators=(",", ":")) if "plan" in self.line else ""

    @property
    def normal(self) -> str:
        """The name of the normal picture that it was painted on; its own name where that is not known."""
        return str(self.line.get("normal", self.name))

    def image(self) -> AnyImage:
        """The decoded picture; raises ``ImageError`` where it is damaged."""
        if self.suffix == ".npy":
            return decode_npy(self.picture, f"{self.name}{self.suffix}")
        return decode_image(self.picture, f"{self.name}{self.suffix}")

    def mask_png(self) -> bytes:
        """Its mask as a PNG file, all zero for a normal picture."""
        return encode_image(np.zeros(self.size, np.uint8) if self.mask is None else self.mask, ".png")

    def drawn(self, format: str) -> Record:
        """Itself, if a reader of ``format`` can decode its file; raises ``ImageError`` otherwise."""
        if self.suffix not in _DRAWN:
            raise ImageError(
                f"picture {self.name!r} is a {self.suffix} file, and {format} holds pictures ({' '.join(sorted(_DRAWN))}): "
                "use mvtec or webdataset, or render 8-bit pictures"
            )
        return self


def mask_of(pieces: Iterable[Piece], size: tuple[int, int]) -> Mask:
    """The mask ``(H, W)`` of pieces."""
    mask = np.zeros(size, dtype=np.uint8)
    for piece in pieces:
        top, left, bottom, right = piece.box
        np.maximum(mask[top:bottom, left:right], piece.mask, out=mask[top:bottom, left:right])
    return mask


def pieces_of_mask(mask: Mask, kind: str) -> list[Piece]:
    """The 8-connected pieces of a mask, all of one kind."""
    return [Piece(kind, 0, box, piece) for box, piece in pieces_of(mask)]


def one_kind(pieces: Iterable[Piece]) -> str:
    """The kind of a picture by those of its pieces."""
    kinds = {piece.kind for piece in pieces}
    return NORMAL_KIND if not kinds else kinds.pop() if len(kinds) == 1 else COMBINED_KIND
