"""What the formats that have columns say of a picture, beside picture and mask."""

from __future__ import annotations

import json
from typing import Any

from defectsynth.errors import ImageError
from defectsynth.formats.layout import pieces_of_line
from defectsynth.formats.mvtec import NORMAL_KIND
from defectsynth.formats.record import Record, pieces_of_mask
from defectsynth.images import Mask

__all__ = ["meta_of", "record_of"]


def meta_of(record: Record) -> dict[str, Any]:
    """``label``, ``kind``, ``name``, ``normal``, ``plan`` and ``line``: see ``card.COLUMNS``."""
    rest = {key: value for key, value in record.line.items() if key != "plan"}
    return {
        "label": int(record.is_anomalous),
        "kind": record.kind,
        "name": record.name,
        "normal": record.normal,
        "plan": record.plan_json,
        "line": json.dumps(rest, separators=(",", ":")) if rest else "",
    }


def record_of(meta: dict[str, Any], picture: bytes, suffix: str, mask: Mask | None, where: str) -> Record:
    """The record of the columns, with ``name`` and ``split`` among them.

    Raises:
        ImageError: they contradict each other, or the pieces are not those of the mask.
    """
    mask = None if mask is None or not mask.any() else mask
    kind = str(meta.get("kind") or (NORMAL_KIND if mask is None else "defect"))
    if (mask is None) != (kind == NORMAL_KIND):
        raise ImageError(f"{where} is of kind {kind!r} and has {'no' if mask is None else 'a'} mask: write it again")
    try:
        line = json.loads(meta["line"]) if meta.get("line") else {}
        line |= {"plan": json.loads(meta["plan"])} if meta.get("plan") else {}
    except (ValueError, TypeError) as error:
        raise ImageError(f"the columns 'line' and 'plan' of {where} are not JSON ({error}): write it again") from None
    if mask is None:
        return Record(str(meta["name"]), str(meta["split"]), kind, picture, suffix, line=line)
    pieces = pieces_of_line(line, mask) if "pieces" in line else pieces_of_mask(mask, kind)
    return Record(str(meta["name"]), str(meta["split"]), kind, picture, suffix, mask, pieces, line)
