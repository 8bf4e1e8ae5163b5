"""Which synthetic defects were made from one and the same real example, from the plans in a dataset's manifest.

Turned, mirrored and shaded copies of one example are one defect seen again, as exposures of one part are: a classifier that has
seen one of them knows the next, and would tell individuals apart instead of the real from the synthetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from defectsynth.formats.manifest import MANIFEST_FILE, read_manifest

__all__ = ["examples_of", "together"]

Groups = npt.NDArray[np.int64]


def examples_of(root: Path, files: Sequence[str]) -> list[str | None]:
    """The real example that each of a folder's files was made from; None where it was made from none, or that is not known."""
    manifest = root / MANIFEST_FILE
    if not manifest.is_file():
        return [None] * len(files)
    made_from = {line["file"]: _example(line) for line in read_manifest(manifest) if line["split"] == "test"}
    return [made_from.get(file) for file in files]


def together(groups: Groups, examples: Sequence[str | None]) -> Groups:
    """``groups`` after joining those that share an example; numbered from 0."""
    joined = list(range(int(groups.max()) + 1))
    first: dict[str, int] = {}
    for group, example in zip(groups.tolist(), examples, strict=True):
        if example is None:
            continue
        ours, theirs = _root_of(joined, group), _root_of(joined, first.setdefault(example, group))
        joined[max(ours, theirs)] = min(ours, theirs)
    _, numbered = np.unique([_root_of(joined, group) for group in groups.tolist()], return_inverse=True)
    return np.asarray(numbered, dtype=np.int64)


def _root_of(joined: Sequence[int], group: int) -> int:
    while joined[group] != group:
        group = joined[group]
    return group


def _example(line: dict[str, object]) -> str | None:
    """The first real defect that a plan's sources show."""
    plan = line["plan"]
    anomalies = plan.get("anomalies", []) if isinstance(plan, dict) else []
    names = [anomaly["source"].get("name") for anomaly in anomalies if anomaly["source"]["kind"] == "defect"]
    return next((str(name) for name in names if name), None)
