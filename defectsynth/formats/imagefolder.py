"""The image folder of Hugging Face datasets: ``<split>/images``, ``<split>/masks`` and ``<split>/metadata.jsonl``.

``load_dataset("imagefolder", data_dir=...)`` gives ``image``, ``mask`` and the other columns of ``card.COLUMNS``. In a line of
metadata ``file_name`` comes first: datasets 5.2 takes the first name that it meets for the picture. Every picture has a mask,
since a split without any would have another type of column than the others.

Source: huggingface.co/docs/datasets/image_dataset.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from defectsynth.errors import ImageError
from defectsynth.files import read_mask, write_bytes, write_parts
from defectsynth.formats.card import Contents
from defectsynth.formats.columns import meta_of, record_of
from defectsynth.formats.record import Record

__all__ = ["read", "write"]

_METADATA = "metadata.jsonl"


def write(records: Iterable[Record], root: Path) -> None:
    """Writes pictures and masks as they come, then the metadata and the dataset card.

    Raises:
        ImageError: a picture is in no picture format.
        StorageError: they cannot be written.
    """
    contents = Contents()
    lines: dict[str, list[bytes]] = {}
    for record in contents.counted(records):
        name = f"images/{record.drawn('imagefolder').name}{record.suffix}"
        mask = f"masks/{record.name}.png"
        write_bytes(root / record.split / mask, record.mask_png())
        write_bytes(root / record.split / name, record.picture)
        entry = {"file_name": name, "mask_file_name": mask} | meta_of(record)
        lines.setdefault(record.split, []).append(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
    for split, found in lines.items():
        write_parts(root / split / _METADATA, found)
    write_bytes(root / "README.md", contents.card())


def read(root: Path) -> Iterator[Record]:
    """Every picture of ``<split>/metadata.jsonl``.

    Raises:
        ImageError: a file is missing, or is not what the format asks for.
    """
    files = sorted(root.glob(f"*/{_METADATA}"))
    if not files:
        raise ImageError(f"dataset {str(root)!r} has no <split>/{_METADATA}: it needs the format imagefolder")
    for path in files:
        for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            yield _record(path, number, text)


def _record(path: Path, number: int, text: str) -> Record:
    where = f"line {number} of {str(path)!r}"
    try:
        entry: dict[str, Any] = json.loads(text)
        picture = path.parent / entry["file_name"]
        mask = path.parent / entry["mask_file_name"] if entry.get("mask_file_name") else None
    except (ValueError, KeyError, TypeError) as error:
        raise ImageError(f"{where} is not metadata with a file_name ({error!r}): write it again") from None
    for file in (picture, mask):
        if file is not None and not file.resolve().is_relative_to(path.parent.resolve()):
            raise ImageError(f"{where} names {str(file)!r}, which lies outside of its folder: write it again")
    try:
        data = picture.read_bytes()
    except OSError as error:
        raise ImageError(f"picture {str(picture)!r} cannot be read ({error.strerror}): check the path") from None
    known = {"name": picture.stem, "split": path.parent.name} | entry
    return record_of(known, data, picture.suffix.lower(), None if mask is None else read_mask(mask), where)
