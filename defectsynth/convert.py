"""Conversion: a dataset in one format read, and written in another, its pictures byte by byte as they were."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from defectsynth.errors import InputError, StorageError
from defectsynth.files import storage_error, write_bytes
from defectsynth.formats.card import Contents
from defectsynth.formats.record import Record
from defectsynth.formats.shards import SHARD_SIZE
from defectsynth.formats.table import FORMATS, format_of

__all__ = ["Conversion", "check_target", "convert", "resplit", "write_dataset"]

_ASIDE = ".converting"
_CARRIED = ("recipe.yaml", "render.json")


@dataclass(slots=True)
class Conversion:
    """What was written.

    Attributes:
        format: of what was read.
        splits: pictures of each split.
        kinds: pictures of each kind.
        pieces: connected pieces of defects.
    """

    format: str
    splits: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    pieces: int = 0


def convert(
    source: Path,
    target: Path,
    format: str,
    *,
    source_format: str | None = None,
    val_fraction: float | None = None,
    shard_size: int = SHARD_SIZE,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Conversion:
    """Writes a dataset in another format.

    Args:
        source: the dataset.
        target: a folder, new or empty.
        format: ``mvtec``, ``coco``, ``yolo``, ``imagefolder``, ``webdataset`` or ``parquet``.
        source_format: of ``source``; None looks at what is in it.
        val_fraction: share of the labelled pictures that go to ``val``, the others to ``train``; no normal picture is in both.
            None: the format's own (``yolo`` 0.2), or the splits as they are.
        shard_size: pictures of a shard, for ``webdataset`` and ``parquet``.
        overwrite: replace what is in ``target``, if that is a dataset.
        progress: called with the number of pictures done.

    Raises:
        InputError: an unknown format, a fraction outside [0, 1), source and target inside each other.
        ImageError: the source is damaged, or the format cannot hold a picture.
        StorageError: the target cannot be written, or is not empty; what was in it is as it was.
    """
    for name in (format, source_format):
        if name is not None and name not in FORMATS:
            raise InputError(f"format {name!r} is not known: give one of {', '.join(FORMATS)}")
    found = source_format or format_of(source)
    here, there = source.resolve(), target.resolve()
    if here.is_relative_to(there) or there.is_relative_to(here):
        raise InputError(f"{str(source)!r} and {str(target)!r} lie inside each other: choose another target")
    report = Conversion(found)
    fraction = FORMATS[format].val_fraction if val_fraction is None else val_fraction

    def read() -> Iterator[Record]:
        return FORMATS[found].read(source)

    records = read() if fraction is None else _by_split(read, fraction)
    carried = {name: (source / name).read_bytes() for name in _CARRIED if (source / name).is_file()}
    write_dataset(
        _counted(records, report, progress), target, format, shard_size=shard_size, overwrite=overwrite, carried=carried
    )
    return report


def write_dataset(
    records: Iterable[Record],
    target: Path,
    format: str,
    *,
    shard_size: int = SHARD_SIZE,
    overwrite: bool = False,
    carried: Mapping[str, bytes] | None = None,
) -> None:
    """Writes records, and the files of ``carried``, beside ``target`` and renames: a dataset is there whole or not at all.

    Raises what ``convert`` does.
    """
    check_target(target, overwrite=overwrite)
    aside = target.with_name(f"{target.name}{_ASIDE}")
    try:
        if aside.exists():
            shutil.rmtree(aside)
        aside.mkdir(parents=True)
        FORMATS[format].write(records, aside, shard_size)
        for name, data in (carried or {}).items():
            write_bytes(aside / name, data)
        if target.exists():
            shutil.rmtree(target)
        aside.rename(target)
    except OSError as error:
        raise storage_error(target, error) from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def resplit(records: Iterable[Record], val_fraction: float) -> Iterator[Record]:
    """Pictures of ``test`` to ``train`` and ``val`` by the normal picture that they were painted on; the others stay.

    Raises:
        InputError: the fraction is not in [0, 1), or leaves ``val`` empty.
    """
    if not 0 <= val_fraction < 1:
        raise InputError(f"val fraction is {val_fraction:g}: give 0 or more and less than 1")
    places: dict[str, bool] = {}
    held = False
    for record in records:
        if record.split != "test":
            held = held or record.split == "val"
            yield record
            continue
        if record.normal not in places:
            place = len(places)
            places[record.normal] = _count(place + 1, val_fraction) > _count(place, val_fraction)
        yield replace(record, split="val" if places[record.normal] else "train")
    if val_fraction > 0 and not held and not any(places.values()):
        raise InputError(
            f"a val fraction of {val_fraction:g} of {len(places)} normal pictures is none: raise it, or render on more pictures"
        )


def _count(pictures: int, fraction: float) -> int:
    """How many of so many a fraction is, to the nearest."""
    return math.floor(pictures * fraction + 0.5)


def _by_split(read: Callable[[], Iterable[Record]], val_fraction: float) -> Iterator[Record]:
    """Those of ``train``, then those of ``val``: read twice, so that none of them is held."""
    for split in ("train", "val"):
        yield from (record for record in resplit(read(), val_fraction) if record.split == split)


def _counted(records: Iterable[Record], report: Conversion, progress: Callable[[int], None] | None) -> Iterator[Record]:
    contents = Contents()
    for done, record in enumerate(contents.counted(records), start=1):
        report.pieces += len(record.pieces)
        yield record
        if progress is not None:
            progress(done)
    for (split, kind), number in sorted(contents.kinds.items()):
        report.splits[split] = report.splits.get(split, 0) + number
        report.kinds[kind] = report.kinds.get(kind, 0) + number


def check_target(target: Path, *, overwrite: bool) -> None:
    """Raises ``StorageError`` where a dataset cannot be written to ``target``."""
    if not target.exists():
        return
    if not target.is_dir():
        raise StorageError(f"target {str(target)!r} is a file: choose a folder")
    if not any(target.iterdir()):
        return
    if not overwrite:
        raise StorageError(f"target {str(target)!r} is not empty: choose another, or give --overwrite to replace it")
    try:
        format_of(target)
    except InputError:
        raise StorageError(
            f"target {str(target)!r} is not a dataset, so --overwrite does not delete it: empty it yourself"
        ) from None
