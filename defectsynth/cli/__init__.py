"""The command line: ``defectsynth render | preview | verify | stats | match | score | recipes``.

Exit codes: 0 done; 1 unexpected; 2 bad input or usage; 3 done, but pictures were skipped; 4 verify found a difference;
5 an anomaly source shares a picture with an excluded set; 6 no usable defect; 7 the output cannot be written; 130 interrupted.
"""

from __future__ import annotations

from defectsynth.cli.base import DATASET_NORMALS, INTERRUPTED_EXIT, SKIPPED_EXIT
from defectsynth.cli.commands import app, main

__all__ = ["DATASET_NORMALS", "INTERRUPTED_EXIT", "SKIPPED_EXIT", "app", "main"]
