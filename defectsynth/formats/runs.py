"""Masks as run lengths, the way COCO writes them: column by column, zeros first, packed into text.

Source: ``maskApi.c`` of ``cocodataset/cocoapi`` (``rleEncode``, ``rleToString``, ``rleFrString``), whose text this reproduces.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from defectsynth.errors import ImageError
from defectsynth.images import Mask, as_mask

__all__ = ["decode_runs", "encode_runs"]

_BITS, _MORE, _FIRST = 5, 0x20, 48


def encode_runs(mask: Mask) -> dict[str, Any]:
    """``(H, W)``, nonzero where set, as ``{"size": [H, W], "counts": text}``."""
    flat = (mask != 0).T.reshape(-1)
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    bounds = np.concatenate(([0] if flat.size and flat[0] else [], [0], changes, [flat.size]))
    return {"size": [int(side) for side in mask.shape], "counts": _packed(np.diff(bounds).astype(np.int64).tolist())}


def decode_runs(runs: dict[str, Any], name: str) -> Mask:
    """The mask ``(H, W)`` uint8, 0 or 255, of runs as text or as a list of numbers; ``name`` is for the message.

    Raises:
        ImageError: they are not runs, or do not fill the size that they claim.
    """
    try:
        height, width = (int(side) for side in runs["size"])
        counts = runs["counts"]
        lengths = [int(length) for length in counts] if isinstance(counts, list) else _unpacked(counts)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ImageError(f"the run lengths of {name} cannot be read ({error!r}): write the file again") from None
    if height < 1 or width < 1 or min(lengths, default=-1) < 0 or sum(lengths) != height * width:
        raise ImageError(f"the run lengths of {name} do not fill {height} x {width} pixels: write the file again")
    values = as_mask(np.arange(len(lengths)) % 2 == 1)
    return np.ascontiguousarray(np.repeat(values, lengths).reshape(width, height).T)


def _packed(lengths: list[int]) -> str:
    """Five bits a character, least first, from the third on as the difference to the length two before."""
    text = bytearray()
    for place, length in enumerate(lengths):
        left = length - lengths[place - 2] if place > 2 else length
        more = True
        while more:
            low = left & 0x1F
            left >>= _BITS
            more = left != (-1 if low & 0x10 else 0)
            text.append(_FIRST + (low | (_MORE if more else 0)))
    return text.decode("ascii")


def _unpacked(text: str | bytes) -> list[int]:
    codes = [code - _FIRST for code in (text.encode("ascii") if isinstance(text, str) else text)]
    lengths: list[int] = []
    place = 0
    while place < len(codes):
        value, shift, more = 0, 0, True
        while more:
            code = codes[place]
            value |= (code & 0x1F) << shift
            more, place, shift = bool(code & _MORE), place + 1, shift + _BITS
            if not more and code & 0x10:
                value |= -1 << shift
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
    return lengths
