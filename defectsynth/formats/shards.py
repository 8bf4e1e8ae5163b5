"""Shards: large files of many pictures each, in a folder or at any address that fsspec knows (``s3://``, ``gs://``, ...)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO

from defectsynth.errors import ImageError, StorageError
from defectsynth.extras import needed
from defectsynth.files import storage_error
from defectsynth.formats import parquet, webdataset
from defectsynth.formats.record import Record

__all__ = ["SHARD_FORMATS", "SHARD_SIZE", "Store", "open_store", "read_shards", "shard_name", "write_shard", "write_shards"]

SHARD_FORMATS: dict[str, Any] = {"webdataset": webdataset, "parquet": parquet}
SHARD_SIZE = 1000
"""Pictures of a shard."""


class Store:
    """A folder of files, here or elsewhere; a file is there whole or not at all.

    Args:
        address: a folder, or an address with ``://``.

    Raises:
        InputError: fsspec, or what it needs for this address, is not installed.
        StorageError: the address is not known.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        self._fs = _filesystem(self.address) if "://" in address else None

    def __str__(self) -> str:
        return self.address

    def names(self) -> list[str]:
        """Files in it, sorted; none where it does not exist."""
        if self._fs is None:
            folder = Path(self.address)
            return sorted(path.name for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
        with self._errors("listed"):
            self._fs.invalidate_cache()
            exists = self._fs.exists(self.address)
            return sorted(found.rpartition("/")[2] for found in self._fs.ls(self.address, detail=False)) if exists else []

    def read(self, name: str) -> BinaryIO:
        """A file, open."""
        with self._errors(f"read ({name})"):
            return self._fs.open(self._path(name), "rb") if self._fs is not None else Path(self._path(name)).open("rb")

    def write(self, name: str, writer: Callable[[BinaryIO], None]) -> None:
        """Makes a file of what ``writer`` writes; raises ``StorageError`` and what that raises, and leaves nothing then."""
        target, temporary = self._path(name), self._path(f".{name}.{os.getpid()}.tmp")
        try:
            if self._fs is None:
                Path(self.address).mkdir(parents=True, exist_ok=True)
                with Path(temporary).open("wb") as file:
                    writer(file)
                Path(temporary).replace(target)
                return
            self._fs.makedirs(self.address, exist_ok=True)
            with self._fs.open(temporary, "wb") as file:
                writer(file)
            self._fs.mv(temporary, target)
        except OSError as error:
            self._remove(temporary)
            raise storage_error(Path(target), error) from None
        except BaseException:
            self._remove(temporary)
            raise

    def clear_temporary(self) -> None:
        """Removes what writers that were killed have left."""
        for name in self.names():
            if name.startswith(".") and name.endswith(".tmp"):
                self._remove(self._path(name))

    def remove(self, name: str) -> None:
        """Removes a file."""
        self._remove(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self.address}/{name}"

    def _remove(self, path: str) -> None:
        with suppress(OSError):
            Path(path).unlink() if self._fs is None else self._fs.rm(path)

    def _errors(self, verb: str) -> Any:
        return _Translated(f"{self.address!r} cannot be {verb}")


class _Translated:
    """Turns what a file system raises into our own."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, (OSError, ValueError)) and not isinstance(error, StorageError):
            raise StorageError(f"{self._what} ({error}): check the address") from None


def open_store(address: str | Path) -> Store:
    """The store of a folder or an address."""
    return Store(str(address))


def shard_name(format: str, split: str, number: int) -> str:
    """``test-000000.tar``: readers take the split from it."""
    return f"{split}-{number:06d}{SHARD_FORMATS[format].SUFFIX}"


def write_shard(records: Iterable[Record], store: Store, format: str, name: str) -> None:
    """One shard; raises ``StorageError`` and what making the records raises, and leaves nothing then."""
    store.write(name, lambda file: SHARD_FORMATS[format].write_shard(records, file))


def write_shards(records: Iterable[Record], store: Store, format: str, shard_size: int = SHARD_SIZE) -> None:
    """All of them, in shards of one split each; records of a split follow each other."""
    numbers: dict[str, int] = {}
    written: set[str] = set()

    def shard_of(record: Record) -> tuple[str, int]:
        place = numbers[record.split] = numbers.get(record.split, -1) + 1
        return record.split, place // shard_size

    for (split, number), found in groupby(records, key=shard_of):
        name = shard_name(format, split, number)
        if name in written:
            raise ImageError(f"the records of split {split!r} do not follow each other: sort them by split")
        written.add(name)
        write_shard(found, store, format, name)


def read_shards(store: Store, format: str) -> Iterator[Record]:
    """Every record of every shard, in the order of their names.

    Raises:
        ImageError: there is none, or one is damaged.
    """
    names = [name for name in store.names() if name.endswith(SHARD_FORMATS[format].SUFFIX) and not name.startswith(".")]
    if not names:
        raise ImageError(f"{str(store)!r} has no {SHARD_FORMATS[format].SUFFIX} files: it needs the format {format}")
    for name in names:
        with store.read(name) as file:
            yield from SHARD_FORMATS[format].read_shard(file, name)


def _filesystem(address: str) -> Any:
    fsspec = needed("fsspec", "shards", f"the address {address!r}")
    try:
        return fsspec.core.url_to_fs(address)[0]
    except (ImportError, ValueError, OSError) as error:
        raise StorageError(f"{address!r} cannot be opened ({error}): install what it needs, or give a folder") from None
