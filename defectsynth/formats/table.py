"""Every format by its name: how it is read, how it is written, and what it is known by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from defectsynth.errors import InputError, StorageError
from defectsynth.files import write_bytes
from defectsynth.formats import coco, imagefolder, layout, yolo
from defectsynth.formats.card import Contents
from defectsynth.formats.record import Record
from defectsynth.formats.shards import SHARD_SIZE, open_store, read_shards, write_shards

__all__ = ["FORMATS", "Format", "format_of"]


class Format(NamedTuple):
    """A pair of functions.

    Attributes:
        read: every picture of a folder.
        write: pictures into a folder that is new or empty, and so many to a shard where there are shards; records of a split
            follow each other.
        marks: glob patterns; a folder that has any of them is of this format.
        val_fraction: share of the labelled pictures that go to ``val``, the others to ``train``; None keeps the splits.
    """

    read: Callable[[Path], Iterator[Record]]
    write: Callable[[Iterable[Record], Path, int], None]
    marks: tuple[str, ...]
    val_fraction: float | None = None


def _files(write: Callable[[Iterable[Record], Path], None]) -> Callable[[Iterable[Record], Path, int], None]:
    """Of a format without shards."""

    def write_files(records: Iterable[Record], root: Path, _: int = SHARD_SIZE) -> None:
        write(records, root)

    return write_files


def _read_shards(format: str, root: Path) -> Iterator[Record]:
    return read_shards(open_store(root), format)


def _write_shards(format: str, records: Iterable[Record], root: Path, shard_size: int = SHARD_SIZE) -> None:
    contents = Contents()
    write_shards(contents.counted(records), open_store(root), format, shard_size)
    write_bytes(root / "README.md", contents.card())


FORMATS: dict[str, Format] = {
    "mvtec": Format(layout.read, _files(layout.write), ("train/good", "test/*")),
    "coco": Format(coco.read, _files(coco.write), ("annotations/instances_*.json",)),
    "yolo": Format(yolo.read, _files(yolo.write), ("data.yaml",), val_fraction=0.2),
    "imagefolder": Format(imagefolder.read, _files(imagefolder.write), ("*/metadata.jsonl",)),
    "webdataset": Format(partial(_read_shards, "webdataset"), partial(_write_shards, "webdataset"), ("*.tar",)),
    "parquet": Format(partial(_read_shards, "parquet"), partial(_write_shards, "parquet"), ("*.parquet",)),
}
"""The first whose mark is there is what a folder is taken for."""


def format_of(root: Path) -> str:
    """The format of a dataset.

    Raises:
        StorageError: the folder is missing.
        InputError: it is in none of the formats.
    """
    if not root.is_dir():
        raise StorageError(f"dataset {str(root)!r} is not a folder: check the path")
    for name in ("coco", "yolo", "imagefolder", "webdataset", "parquet", "mvtec"):
        if any(next(root.glob(mark), None) is not None for mark in FORMATS[name].marks):
            return name
    raise InputError(f"dataset {str(root)!r} is in none of the formats {', '.join(FORMATS)}: say which with --from")
