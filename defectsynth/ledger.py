"""The lines of finished pictures while a job runs: kept on disk, so that memory does not grow with them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple

from defectsynth.errors import StorageError
from defectsynth.files import storage_error, write_parts
from defectsynth.formats.manifest import Line

__all__ = ["Entry", "Ledger"]

Key = tuple[str, int]


class Entry(NamedTuple):
    """One line of a manifest, ready to be written: as text it travels between processes faster than its parts."""

    split: str
    number: int
    kind: str
    text: bytes

    @classmethod
    def of(cls, line: Line) -> Entry:
        """The entry of a line."""
        return cls(line["split"], line["number"], line["kind"], json.dumps(line, separators=(",", ":")).encode() + b"\n")


class _Place(NamedTuple):
    """Where a line lies in the file, in bytes."""

    start: int
    length: int
    kind: str


class Ledger:
    """Lines by split and number, in one file that holds no torn line once it is open.

    Args:
        path: the file; written anew.
        entries: those of an earlier run.

    Raises:
        StorageError: it cannot be written.
    """

    def __init__(self, path: Path, entries: Iterable[Entry] = ()) -> None:
        self._path = path
        self._places: dict[Key, _Place] = {}
        self._end = 0
        write_parts(path, (self._noted(entry) for entry in entries))
        try:
            self._file: BinaryIO = path.open("r+b", buffering=0)  # unbuffered: a line that was added is in the file
            self._file.seek(0, 2)
        except OSError as error:
            raise storage_error(path, error) from None

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def __contains__(self, key: Key) -> bool:
        return key in self._places

    def __len__(self) -> int:
        return len(self._places)

    @property
    def kinds(self) -> dict[str, int]:
        """How many pictures of each kind, sorted by name."""
        return dict(sorted(Counter(place.kind for place in self._places.values()).items()))

    def add(self, entry: Entry) -> None:
        """Takes one line; raises ``StorageError`` where it cannot be written."""
        try:
            if self._file.write(entry.text) != len(entry.text):
                raise StorageError(
                    f"cannot write {str(self._path)!r} (no space left): free some space or choose another folder"
                )
        except OSError as error:
            raise storage_error(self._path, error) from None
        self._noted(entry)

    def kind(self, key: Key) -> str:
        """The kind of a picture that is here."""
        return self._places[key].kind

    def texts(self, keys: Iterable[Key]) -> Iterator[bytes]:
        """The lines of those of ``keys`` that are here, in the order of ``keys``."""
        with self._path.open("rb") as file:
            for place in (self._places[key] for key in keys if key in self._places):
                file.seek(place.start)
                yield file.read(place.length)

    def _noted(self, entry: Entry) -> bytes:
        self._places[entry.split, entry.number] = _Place(self._end, len(entry.text), entry.kind)
        self._end += len(entry.text)
        return entry.text
