"""The manifest: a line of JSON for each picture of a rendered dataset."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from defectsynth.errors import StorageError

__all__ = ["MANIFEST_FILE", "Line", "read_manifest"]

MANIFEST_FILE = "manifest.jsonl"

Line = dict[str, Any]


def read_manifest(path: Path) -> Iterator[Line]:
    """The lines of a manifest; a last line that was cut off by a crash is left out.

    Raises:
        StorageError: the file is missing, or a line before the last is damaged.
    """
    seen: set[tuple[str, int]] = set()
    for number, text in enumerate(_whole_lines(path), start=1):
        line = _parse_line(text, f"line {number} of manifest {str(path)!r}")
        if (line["split"], line["number"]) in seen:
            raise StorageError(f"line {number} of manifest {str(path)!r} lists {line['file']!r} again: render again")
        seen.add((line["split"], line["number"]))
        yield line


def _whole_lines(path: Path) -> Iterator[str]:
    """The lines that have an end."""
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            yield from (text for text in file if text.endswith("\n"))
    except UnicodeDecodeError as error:
        raise StorageError(f"manifest {str(path)!r} is not text ({error}): render again") from None
    except OSError as error:
        raise StorageError(f"manifest {str(path)!r} cannot be read ({error.strerror}): is this a rendered dataset?") from None


def _parse_line(text: str, where: str) -> Line:
    try:
        line = json.loads(text)
    except json.JSONDecodeError as error:
        raise StorageError(f"{where} is damaged ({error}): render again with --resume") from None
    needed = {"file": str, "split": str, "number": int, "kind": str, "normal": str, "normal_hash": str}
    needed |= {"plan": dict} if isinstance(line, dict) and line.get("split") == "test" else {}
    for key, kind in needed.items():
        if not isinstance(line, dict) or not isinstance(line.get(key), kind):
            raise StorageError(f"{where} has no {key!r}: render again with --resume")
    return dict(line)
