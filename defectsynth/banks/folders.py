"""Pictures below a folder, named by their path in it."""

from __future__ import annotations

from pathlib import Path

from defectsynth.errors import ImageError, SourceError
from defectsynth.files import list_images, read_image
from defectsynth.images import AnyImage

__all__ = ["names_below", "read_source", "where"]


def names_below(root: Path, what: str) -> list[str]:
    """The pictures below a folder, sorted; raises ``SourceError`` where there is none."""
    try:
        return [path.relative_to(root).as_posix() for path in list_images(root, what)]
    except ImageError as error:
        raise SourceError(str(error)) from None


def read_source(path: Path, what: str) -> AnyImage:
    """The picture of a file; raises ``SourceError`` where it cannot be read."""
    try:
        return read_image(path)
    except ImageError as error:
        raise SourceError(f"{what} {error}") from None


def where(root: Path | None) -> str:
    """What a message calls a bank: its folder, or the mapping that it was made from."""
    return "the mapping" if root is None else repr(str(root))
