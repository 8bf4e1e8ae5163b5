"""The MVTec AD layout as records: one picture after another, read with what its manifest says, and written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from defectsynth.errors import ImageError
from defectsynth.files import read_mask, write_parts
from defectsynth.formats.manifest import MANIFEST_FILE, Line, read_manifest
from defectsynth.formats.mvtec import NORMAL_KIND, LabelledPicture, read_mvtec, write_encoded
from defectsynth.formats.record import Record, pieces_of_mask
from defectsynth.formats.runs import decode_runs
from defectsynth.images import Mask
from defectsynth.sample import Piece

__all__ = ["pieces_of_line", "read", "write"]


def read(root: Path) -> Iterator[Record]:
    """Every picture, with the plan and the kinds of its pieces where there is a manifest.

    Raises:
        ImageError: the folder is not in the layout, or a picture or mask cannot be read.
        StorageError: the manifest is damaged.
    """
    pictures = read_mvtec(root)
    lines = {line["file"]: line for line in read_manifest(root / MANIFEST_FILE)} if (root / MANIFEST_FILE).is_file() else {}
    names = _names(pictures)
    for picture, name in zip(pictures, names, strict=True):
        yield _record(root, picture, name, lines.get(picture.image.relative_to(root).as_posix(), {}))


def write(records: Iterable[Record], root: Path) -> None:
    """Writes them, and the manifest where there are plans; a ``val`` split goes to ``test``.

    Raises:
        StorageError: they cannot be written.
    """
    lines: list[Line] = []
    for record in records:
        split = "train" if record.split == "train" and not record.is_anomalous else "test"
        name = f"{record.name}{record.suffix}"
        write_encoded(root, split, record.kind, name, record.picture, record.mask)
        if record.line:
            lines.append(record.line | {"file": f"{split}/{record.kind}/{name}"})
    if lines:
        write_parts(root / MANIFEST_FILE, (json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines))


def pieces_of_line(line: Line, mask: Mask) -> list[Piece]:
    """The pieces that a manifest line lists, out of the mask.

    Raises:
        ImageError: the mask is not the one that they were counted in.
    """
    found = {(piece.box, piece.pixels): piece.mask for piece in pieces_of_mask(mask, line["kind"])}
    pieces = []
    for entry in line["pieces"]:
        top, left, bottom, right = box = tuple(entry["box"])
        if "runs" in entry:
            own = decode_runs({"size": [bottom - top, right - left], "counts": entry["runs"]}, str(line["file"]))
        elif (box, entry["pixels"]) in found:
            own = found[box, entry["pixels"]]
        else:
            raise ImageError(
                f"the mask of {line['file']!r} is not the one that its manifest line was written with: render it again, or "
                f"take {MANIFEST_FILE} away"
            )
        pieces.append(Piece(entry["kind"], entry.get("anomaly", 0), box, own))
    return pieces


def _record(root: Path, picture: LabelledPicture, name: str, line: Line) -> Record:
    try:
        data = picture.image.read_bytes()
    except OSError as error:
        raise ImageError(f"picture {str(picture.image)!r} cannot be read ({error.strerror})") from None
    suffix = picture.image.suffix.lower()
    if picture.mask is None:
        return Record(name, picture.split, NORMAL_KIND, data, suffix, line=line)
    mask = read_mask(picture.mask)
    if not mask.any():
        raise ImageError(f"mask {str(picture.mask)!r} is empty: remove the pair, or mark the defect in it")
    pieces = pieces_of_line(line, mask) if "pieces" in line else pieces_of_mask(mask, picture.kind)
    return Record(name, picture.split, picture.kind, data, suffix, mask, pieces, line)


def _names(pictures: list[LabelledPicture]) -> list[str]:
    """Stems, with split and kind before them where a stem is there more than once."""
    stems = [picture.image.stem.replace(".", "_") for picture in pictures]
    often = max(Counter(stems).values()) > 1
    return [f"{picture.split}_{picture.kind}_{stem}" if often else stem for picture, stem in zip(pictures, stems, strict=True)]
