"""The dataset card: what a dataset holds, for those who find it on a hub or in a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from defectsynth import __version__
from defectsynth.formats.record import Record

__all__ = ["COLUMNS", "Contents"]

COLUMNS = {
    "image": "the picture",
    "mask": "255 where it is defective, 0 elsewhere",
    "label": "0 good, 1 defective",
    "kind": "`good`, the kind of its defects, or `combined`",
    "name": "unique in the dataset",
    "normal": "the normal picture that it was painted on",
    "plan": "what was drawn, as JSON: defectsynth paints it again from this; empty for a normal picture of `train`",
    "line": "what else the manifest says, as JSON: the pieces of its defects with kinds, boxes and areas, hashes",
}


@dataclass(slots=True)
class Contents:
    """What is counted while a dataset is written.

    Attributes:
        kinds: pictures of each split and kind.
    """

    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)

    def counted(self, records: Iterable[Record]) -> Iterator[Record]:
        """The records, counted as they pass."""
        for record in records:
            self.kinds[record.split, record.kind] += 1
            yield record

    def card(self, *, configs: list[dict[str, Any]] | None = None) -> bytes:
        """``README.md``: front matter as the hub of Hugging Face reads it, then a page for people."""
        total = sum(self.kinds.values())
        front: dict[str, Any] = {
            "pretty_name": "Synthetic defects",
            "tags": ["anomaly-detection", "industrial-inspection", "synthetic", "defectsynth"],
            "task_categories": ["image-segmentation", "image-classification"],
            "size_categories": [_size_category(total)],
        }
        front |= {"configs": configs} if configs else {}
        lines = ["---", yaml.safe_dump(front, sort_keys=False).rstrip(), "---", "", "# Synthetic defects", ""]
        lines += [f"Painted by defectsynth {__version__} on photographs of good products. Masks are exact to the pixel.", ""]
        lines += ["| split | kind | pictures |", "|---|---|---:|"]
        lines += [f"| {split} | {kind} | {number:,} |" for (split, kind), number in sorted(self.kinds.items())]
        lines += ["", "| column | |", "|---|---|", *(f"| `{name}` | {meaning} |" for name, meaning in COLUMNS.items())]
        lines += ["", "The rights in the pictures are those of the photographs and textures that they were painted from.", ""]
        return "\n".join(lines).encode()


def _size_category(total: int) -> str:
    bounds = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
    return next((name for bound, name in bounds if total < bound), "1M<n<10M")
