"""The leakage guard: no anomaly source may share a picture with a set that must stay unseen.

Pictures are compared by the content hash of their pixels, so another name, another format or a grey picture saved as RGB does
not hide one. A picture that was resized or compressed again with loss does not match; keep such copies out by hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from defectsynth.banks import Banks
from defectsynth.errors import LeakageError
from defectsynth.files import list_images, read_image
from defectsynth.images import content_hash

__all__ = ["refuse_leakage"]

_LISTED = 10


def refuse_leakage(banks: Banks, exclude: Iterable[Path]) -> None:
    """Compares every source of every bank with every picture below the ``exclude`` folders.

    Raises:
        LeakageError: at least one picture is in both; the message lists which.
        ImageError: an ``exclude`` folder is missing or empty, or a picture in it cannot be read.
    """
    folders = list(exclude)
    if not folders:
        return
    unseen = {content_hash(read_image(path)): path for folder in folders for path in list_images(folder, "excluded")}
    shared = [(what, name, unseen[found]) for what, name, found in _hashes(banks) if found in unseen]
    if shared:
        listing = "; ".join(f"{what} {name!r} is {str(path)!r}" for what, name, path in shared[:_LISTED])
        more = f"; and {len(shared) - _LISTED} more" if len(shared) > _LISTED else ""
        raise LeakageError(
            f"{len(shared)} anomaly sources share a picture with the excluded set: {listing}{more}. "
            "A detector trained on them has seen its test; take these pictures out of the sources"
        )


def _hashes(banks: Banks) -> Iterable[tuple[str, str, str]]:
    banks_of = {"texture": banks.textures, "defect": banks.defects, "normal picture": banks.normals, "mask": banks.masks}
    for what, bank in banks_of.items():
        for name in bank.names if bank else ():
            yield what, name, bank.load(name).hash  # type: ignore[union-attr]
