"""Parquet: a row for each picture, with the features that Hugging Face datasets reads pictures and labels by.

Columns are those of ``card.COLUMNS``, and ``split``. The same rows give the same bytes by the same version of pyarrow. Pictures
are compressed already, so columns are not.

Source: huggingface.co/docs/datasets (features in the metadata of the schema); ``pyarrow``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, BinaryIO

from defectsynth.errors import ImageError
from defectsynth.extras import needed
from defectsynth.files import binary_mask, decode_image
from defectsynth.formats.columns import meta_of, record_of
from defectsynth.formats.record import Record

__all__ = ["SUFFIX", "read_shard", "write_shard"]

SUFFIX = ".parquet"
_ROWS = 100
"""Of a row group, which readers take whole: what the viewer of the hub asks for."""
_TEXTS = ("kind", "name", "normal", "plan", "line", "split")


def write_shard(records: Iterable[Record], file: BinaryIO) -> None:
    """One file; raises ``ImageError`` for a picture in no picture format."""
    schema = _schema()
    parquet = needed("pyarrow.parquet", "shards", "the format parquet")
    with parquet.ParquetWriter(file, schema, compression="none", use_dictionary=False, write_statistics=False) as writer:
        rows = (_row(record.drawn("parquet")) for record in records)
        while group := list(islice(rows, _ROWS)):
            writer.write_table(needed("pyarrow", "shards", "the format parquet").Table.from_pylist(group, schema))


def read_shard(file: BinaryIO, name: str) -> Iterator[Record]:
    """Its records; ``name`` is for messages.

    Raises:
        ImageError: the file is truncated, or has other columns.
    """
    pyarrow = needed("pyarrow", "shards", "the format parquet")
    parquet = needed("pyarrow.parquet", "shards", "the format parquet")
    try:
        batches = parquet.ParquetFile(file).iter_batches(batch_size=_ROWS)
        for number, row in enumerate(row for batch in batches for row in batch.to_pylist()):
            yield _record(row, f"{name.partition('.')[0]}_{number:06d}", f"row {number} of {name}")
    except (pyarrow.ArrowException, OSError) as error:
        raise ImageError(f"shard {name} is damaged or truncated ({error}): write it again") from None


def _schema() -> Any:
    pyarrow = needed("pyarrow", "shards", "the format parquet")
    picture = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    columns = [("image", picture), ("mask", picture), ("label", pyarrow.int64())]
    features: dict[str, Any] = {"image": {"_type": "Image"}, "mask": {"_type": "Image"}}
    features |= {"label": {"names": ["good", "defective"], "_type": "ClassLabel"}}
    features |= {name: {"dtype": "string", "_type": "Value"} for name in _TEXTS}
    return pyarrow.schema(
        columns + [(name, pyarrow.string()) for name in _TEXTS],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )


def _row(record: Record) -> dict[str, Any]:
    mask = {"bytes": record.mask_png(), "path": f"{record.name}_mask.png"}
    image = {"bytes": record.picture, "path": f"{record.name}{record.suffix}"}
    return {"image": image, "mask": mask, "split": record.split} | meta_of(record)


def _record(row: dict[str, Any], unnamed: str, where: str) -> Record:
    image, mask = row.get("image"), row.get("mask")
    if not isinstance(image, dict) or not isinstance(image.get("bytes"), bytes):
        raise ImageError(f"{where} has no picture in a column 'image': write it again")
    suffix = "." + str(image.get("path") or "x.png").rpartition(".")[2].lower()
    found = None if mask is None else binary_mask(decode_image(mask["bytes"], where))
    return record_of({"name": unnamed, "split": "train"} | row, image["bytes"], suffix, found, where)
