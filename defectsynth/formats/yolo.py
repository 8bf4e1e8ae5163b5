"""YOLO segmentation: ``images/<split>/<name>.png``, ``labels/<split>/<name>.txt`` and ``data.yaml``.

A label file has a line for each piece, ``<class> x1 y1 ... xn yn`` as fractions of width and height, at least three points;
that of a normal picture is empty. A polygon goes through the centres of the border pixels. It cannot have holes: they are
joined to the outline by bridges, and where filling it gives other pixels than the mask had, that is counted in a warning.

Source: docs.ultralytics.com/datasets/segment (the format alone; nothing of that package is used).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from defectsynth.errors import ImageError
from defectsynth.files import find_images, read_form, write_bytes
from defectsynth.formats.polygons import Points, fill, outline
from defectsynth.formats.record import Record, mask_of, one_kind
from defectsynth.images import bounding_box
from defectsynth.sample import Piece

__all__ = ["read", "write"]

_DATA_FILE = "data.yaml"


def write(records: Iterable[Record], root: Path) -> None:
    """Writes pictures and labels as they come, ``data.yaml`` last.

    Warns:
        UserWarning: how many pieces are not what their polygons fill, and by how many pixels.

    Raises:
        ImageError: a picture is in no picture format.
        StorageError: they cannot be written.
    """
    kinds: dict[str, int] = {}
    splits: set[str] = set()
    pieces, inexact, pixels = 0, 0, 0
    for record in records:
        lines = []
        for piece in record.drawn("yolo").pieces:
            points, _ = outline(piece.mask)
            wrong = int(np.count_nonzero(fill(points, piece.mask.shape) != piece.mask))
            pieces, inexact, pixels = pieces + 1, inexact + (wrong > 0), pixels + wrong
            number = kinds.setdefault(piece.kind, len(kinds))
            lines.append(_line(number, points + np.array([piece.box[1], piece.box[0]]), record.size))
        write_bytes(root / f"images/{record.split}/{record.name}{record.suffix}", record.picture)
        write_bytes(root / f"labels/{record.split}/{record.name}.txt", "".join(lines).encode())
        splits.add(record.split)
    document: dict[str, Any] = {"path": "."} | {split: f"images/{split}" for split in sorted(splits)}
    names = {"names": {number: kind for kind, number in kinds.items()}}
    write_bytes(root / _DATA_FILE, yaml.safe_dump(document | names, sort_keys=False).encode())
    if inexact:
        warnings.warn(
            f"{inexact} of {pieces} pieces are not exactly what their polygons fill ({pixels} pixels in all): a polygon has no "
            "holes and no corners that touch; COCO keeps every pixel",
            stacklevel=2,
        )


def read(root: Path) -> Iterator[Record]:
    """Every picture of the splits that ``data.yaml`` names.

    Raises:
        ImageError: a file is missing, or is not what the format asks for.
    """
    try:
        document = yaml.safe_load((root / _DATA_FILE).read_text(encoding="utf-8"))
        names = document["names"]
        kinds = dict(enumerate(names)) if isinstance(names, list) else {int(key): str(value) for key, value in names.items()}
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ImageError(
            f"dataset {str(root)!r} has no {_DATA_FILE} with names ({error!r}): it needs the format yolo"
        ) from None
    for split in ("train", "val", "test"):
        folder = root / str(document.get(split) or f"images/{split}")
        for path in find_images(folder) if folder.is_dir() else ():
            yield _record(path, _label_file(root, path), split, kinds)


def _line(number: int, points: Points, size: tuple[int, int]) -> str:
    """Seven digits: a thousandth of a pixel in the largest of pictures."""
    fractions = (points + 0.5) / (size[1], size[0])
    return f"{number} {' '.join(f'{value:.7f}' for value in fractions.reshape(-1).tolist())}\n"


def _label_file(root: Path, picture: Path) -> Path:
    parts = list(picture.relative_to(root).parts)
    return root.joinpath("labels", *parts[1:]).with_suffix(".txt")


def _record(path: Path, label: Path, split: str, kinds: dict[int, str]) -> Record:
    shape, _ = read_form(path)
    size = shape[0], shape[1]
    try:
        lines = label.read_text(encoding="ascii").splitlines() if label.is_file() else []
        data = path.read_bytes()
    except (OSError, UnicodeDecodeError) as error:
        raise ImageError(f"{str(label)!r} or its picture cannot be read ({error})") from None
    found = (
        _piece(line.split(), size, kinds, f"line {number} of {str(label)!r}") for number, line in enumerate(lines, start=1)
    )
    pieces = [piece for piece in found if piece is not None]
    mask = mask_of(pieces, size) if pieces else None
    return Record(path.stem, split, one_kind(pieces), data, path.suffix.lower(), mask, pieces)


def _piece(words: list[str], size: tuple[int, int], kinds: dict[int, str], where: str) -> Piece | None:
    if not words:
        return None
    try:
        kind = kinds[int(words[0])]
        fractions = np.array([float(word) for word in words[1:]], dtype=np.float64).reshape(-1, 2)
    except (KeyError, ValueError) as error:
        raise ImageError(f"{where} is not `class x1 y1 x2 y2 x3 y3 ...` ({error!r}): write it again") from None
    if len(fractions) < 3 or not bool(((fractions >= 0) & (fractions <= 1)).all()):
        raise ImageError(f"{where} has {len(fractions)} points: at least three, of fractions from 0 to 1, make a polygon")
    points = np.clip(np.rint(fractions * (size[1], size[0]) - 0.5), 0, (size[1] - 1, size[0] - 1)).astype(np.int32)
    mask = fill(points, size)
    box = bounding_box(mask)
    if box is None:
        return None
    top, left, bottom, right = box
    return Piece(kind, 0, box, np.ascontiguousarray(mask[top:bottom, left:right]))
