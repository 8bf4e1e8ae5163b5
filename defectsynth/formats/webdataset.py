"""WebDataset: tar files whose members ``<name>.png``, ``<name>.mask.png`` and ``<name>.json`` are one sample.

The same samples give the same bytes: members are in order, owned by nobody, of 1970. A normal picture has a mask too, all
zero, since readers want every sample to have the same parts. The JSON holds ``card.COLUMNS`` and the split.

Source: ``webdataset`` 1.0; huggingface.co/docs/hub/datasets-webdataset.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import BinaryIO

from defectsynth.errors import ImageError
from defectsynth.files import binary_mask, decode_image
from defectsynth.formats.columns import meta_of, record_of
from defectsynth.formats.record import Record

__all__ = ["SUFFIX", "read_shard", "write_shard"]

SUFFIX = ".tar"
_MASK, _META = ".mask.png", ".json"
_END = 1024  # bytes of zeros that end an archive


def write_shard(records: Iterable[Record], file: BinaryIO) -> None:
    """One tar file."""
    with tarfile.open(fileobj=file, mode="w|", format=tarfile.USTAR_FORMAT) as archive:
        for record in records:
            meta = json.dumps(meta_of(record) | {"split": record.split}, separators=(",", ":")).encode()
            for suffix, data in ((_META, meta), (_MASK, record.mask_png()), (record.suffix, record.picture)):
                member = tarfile.TarInfo(record.name + suffix)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))


def read_shard(file: BinaryIO, name: str) -> Iterator[Record]:
    """Its records; ``name`` is for messages.

    Raises:
        ImageError: the file is truncated, or is no such archive.
    """
    _check_end(file, name)
    try:
        with tarfile.open(fileobj=file, mode="r|") as archive:
            for key, members in groupby(archive, key=_key):
                parts = {member.name[len(key) :]: _data(archive, member) for member in members if member.isfile()}
                yield _record(key, parts, f"sample {key!r} of {name}")
    except tarfile.TarError as error:
        raise ImageError(f"shard {name} is damaged ({error}): write it again") from None


def _key(member: tarfile.TarInfo) -> str:
    folder, slash, file = member.name.rpartition("/")
    return folder + slash + file.partition(".")[0]


def _data(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return b"" if file is None else file.read()


def _record(key: str, parts: dict[str, bytes], where: str) -> Record:
    pictures = [suffix for suffix in parts if suffix not in (_MASK, _META)]
    if len(pictures) != 1 or _META not in parts:
        raise ImageError(f"{where} has the parts {', '.join(sorted(parts)) or 'none'}: it needs one picture and {_META}")
    try:
        meta = json.loads(parts[_META])
    except ValueError as error:
        raise ImageError(f"{where}: its {_META} is damaged ({error}): write the shard again") from None
    mask = binary_mask(decode_image(parts[_MASK], where)) if _MASK in parts else None
    return record_of({"name": key, "split": "train"} | meta, parts[pictures[0]], pictures[0], mask, where)


def _check_end(file: BinaryIO, name: str) -> None:
    """A tar that ends between two members looks whole, but for the zeros at its end."""
    if not file.seekable():
        return
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - _END))
    if size < _END or any(file.read(_END)):
        raise ImageError(f"shard {name} is truncated ({size:,} bytes): write it again")
    file.seek(0)
