"""COCO: ``<split>/<name>.png`` and ``annotations/instances_<split>.json``, an annotation for each piece of a defect.

``segmentation`` are run lengths, which keep holes and every pixel; ``area`` is in pixels of the mask, ``bbox`` is
``[x, y, width, height]``, ``iscrowd`` 0; categories are the kinds of defects, from 1 on, the same in every split. What else is
known of a picture (its plan) is under ``defectsynth``, which readers pass over.

Source: cocodataset.org/#format-data; ``pycocotools`` 2.0.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.errors import ImageError
from defectsynth.files import write_bytes, write_parts
from defectsynth.formats.record import Record, mask_of, one_kind
from defectsynth.formats.runs import decode_runs, encode_runs
from defectsynth.images import Mask, bounding_box
from defectsynth.sample import Piece

__all__ = ["read", "write"]

_PREFIX, _SUFFIX = "instances_", ".json"
_FINE = 8


def write(records: Iterable[Record], root: Path) -> None:
    """Writes pictures as they come, and the annotations last.

    Raises:
        ImageError: a picture is in no picture format.
        StorageError: they cannot be written.
    """
    images: dict[str, list[dict[str, Any]]] = {}
    pieces: dict[str, list[dict[str, Any]]] = {}
    for number, record in enumerate(records, start=1):
        name = f"{record.drawn('coco').name}{record.suffix}"
        write_bytes(root / record.split / name, record.picture)
        images.setdefault(record.split, []).append(_image(record, number, name))
        pieces.setdefault(record.split, []).extend(_annotation(piece, number, record.size) for piece in record.pieces)
    kinds = sorted({entry["kind"] for found in pieces.values() for entry in found})
    for split in images:
        write_parts(root / f"annotations/{_PREFIX}{split}{_SUFFIX}", _document(images[split], pieces[split], kinds))


def read(root: Path) -> Iterator[Record]:
    """Every picture of ``annotations/instances_*.json``; of other makers too, with polygons as well as run lengths.

    Raises:
        ImageError: a file is missing, or is not what the format asks for.
    """
    files = sorted((root / "annotations").glob(f"{_PREFIX}*{_SUFFIX}"))
    if not files:
        raise ImageError(f"dataset {str(root)!r} has no annotations/{_PREFIX}<split>{_SUFFIX}: it needs the COCO format")
    for path in files:
        yield from _read_split(root, path, path.name.removeprefix(_PREFIX).removesuffix(_SUFFIX))


def _image(record: Record, number: int, name: str) -> dict[str, Any]:
    height, width = record.size
    image = {"id": number, "file_name": name, "width": width, "height": height, "license": 0, "kind": record.kind}
    return image | ({"defectsynth": record.line} if record.line else {})


def _annotation(piece: Piece, image: int, size: tuple[int, int]) -> dict[str, Any]:
    top, left, bottom, right = piece.box
    return {
        "image_id": image,
        "kind": piece.kind,
        "segmentation": encode_runs(mask_of([piece], size)),
        "area": piece.pixels,
        "bbox": [left, top, right - left, bottom - top],
        "iscrowd": 0,
        "anomaly": piece.anomaly,
    }


def _document(images: list[dict[str, Any]], pieces: list[dict[str, Any]], kinds: list[str]) -> Iterator[bytes]:
    """The file in parts, a line for each picture and piece."""
    categories = [{"id": number, "name": kind, "supercategory": "defect"} for number, kind in enumerate(kinds, start=1)]
    numbers = {entry["name"]: entry["id"] for entry in categories}
    yield (
        b'{"info": {"description": "defects by defectsynth"}, "licenses": [], "categories": ' + json.dumps(categories).encode()
    )
    yield b',\n"images": [\n'
    yield from _lines(images)
    yield b'],\n"annotations": [\n'
    yield from _lines(
        {"id": number, "category_id": numbers[entry["kind"]]} | {key: value for key, value in entry.items() if key != "kind"}
        for number, entry in enumerate(pieces, start=1)
    )
    yield b"]}\n"


def _lines(entries: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    for number, entry in enumerate(entries):
        yield (b",\n" if number else b"") + json.dumps(entry, separators=(",", ":")).encode()
    yield b"\n"


def _read_split(root: Path, path: Path, split: str) -> Iterator[Record]:
    try:
        document = json.loads(path.read_bytes())
        kinds = {int(entry["id"]): str(entry["name"]) for entry in document["categories"]}
        annotations: dict[int, list[dict[str, Any]]] = {int(image["id"]): [] for image in document["images"]}
        for entry in document["annotations"]:
            annotations[int(entry["image_id"])].append(entry)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ImageError(f"{str(path)!r} is not a COCO file ({error!r}): write it again") from None
    for image in document["images"]:
        yield _record(root, split, image, annotations[int(image["id"])], kinds)


def _record(root: Path, split: str, image: dict[str, Any], entries: list[dict[str, Any]], kinds: dict[int, str]) -> Record:
    path = root / split / str(image["file_name"])
    if not path.resolve().is_relative_to(root.resolve()):
        raise ImageError(f"picture {image['file_name']!r} lies outside of {str(root)!r}: write the file again")
    size = int(image["height"]), int(image["width"])
    pieces = [piece for entry in entries if (piece := _piece(entry, size, kinds, path)) is not None]
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"picture {str(path)!r} cannot be read ({error.strerror}): check the path") from None
    mask = mask_of(pieces, size) if pieces else None
    kind = str(image.get("kind", one_kind(pieces)))
    return Record(path.stem, split, kind, data, path.suffix.lower(), mask, pieces, image.get("defectsynth", {}))


def _piece(entry: dict[str, Any], size: tuple[int, int], kinds: dict[int, str], path: Path) -> Piece | None:
    mask = _mask(entry["segmentation"], size, str(path))
    if mask.shape != size:
        raise ImageError(f"an annotation of {str(path)!r} is {mask.shape} and its picture {size}: write the file again")
    box = bounding_box(mask)
    if box is None:
        return None
    if int(entry["category_id"]) not in kinds:
        raise ImageError(f"an annotation of {str(path)!r} has category {entry['category_id']}, which is not listed")
    top, left, bottom, right = box
    own = np.ascontiguousarray(mask[top:bottom, left:right])
    return Piece(kinds[int(entry["category_id"])], int(entry.get("anomaly", 0)), box, own)


def _mask(segmentation: Any, size: tuple[int, int], name: str) -> Mask:
    if isinstance(segmentation, dict):
        return decode_runs(segmentation, name)
    mask = np.zeros(size, dtype=np.uint8)
    for polygon in segmentation:
        _fill(mask, np.asarray(polygon, dtype=np.float64).reshape(-1, 2))
    return mask


def _fill(mask: Mask, points: npt.NDArray[np.float64]) -> None:
    """Sets the pixels whose centres lie in a polygon of corners ``(n, 2)``; a pixel is looked at as eight by eight."""
    left, top = np.maximum(np.floor(points.min(axis=0)).astype(int), 0).tolist()
    right, bottom = np.minimum(np.ceil(points.max(axis=0)).astype(int), mask.shape[::-1]).tolist()
    if right <= left or bottom <= top:
        return
    fine = np.zeros((_FINE * (bottom - top), _FINE * (right - left)), dtype=np.uint8)
    cv2.fillPoly(fine, [np.rint((points - (left, top)) * _FINE).astype(np.int32)], 255)
    mask[top:bottom, left:right] |= fine[_FINE // 2 :: _FINE, _FINE // 2 :: _FINE]
