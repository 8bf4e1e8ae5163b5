"""One task of a job made: the picture painted and encoded, its mask, and its line of the manifest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from defectsynth.canvases import Canvas, KeptCanvases
from defectsynth.encoding import digest
from defectsynth.errors import DefectSynthError
from defectsynth.formats.manifest import Line
from defectsynth.formats.mvtec import NORMAL_KIND
from defectsynth.formats.record import Record
from defectsynth.images import AnyImage, Mask
from defectsynth.job import Job, Task, measured
from defectsynth.recipe import Recipe
from defectsynth.sample import AnomalySample

__all__ = ["CACHE_BYTES", "Made", "Maker", "OnError", "unmade"]

CACHE_BYTES = 72 * 2**20
"""Bytes of decoded pixels that each bank of a process keeps: about 380 textures of 256 x 256."""

OnError = Literal["stop", "skip"]


@dataclass(frozen=True, slots=True)
class Made:
    """One picture, ready to be written.

    Attributes:
        task: what it was made for.
        kind: ``good``, the kind of its defects, or ``combined``.
        encoded: the bytes of its file.
        suffix: of its file.
        mask: ``(H, W)`` uint8, 0 or 255; None for a normal picture.
        line: its line of the manifest.
        sample: what it is made of; None for a picture of ``train``.
    """

    task: Task
    kind: str
    encoded: bytes
    suffix: str
    mask: Mask | None
    line: Line
    sample: AnomalySample | None

    def record(self) -> Record:
        """The same for any format."""
        pieces = self.sample.pieces() if self.sample is not None else ()
        return Record(self.task.stem, self.task.split, self.kind, self.encoded, self.suffix, self.mask, pieces, self.line)


class Maker:
    """Makes the pictures of tasks; one lives in each process that works.

    Args:
        job, recipe: what to render.
        canvas_bytes: decoded normal pictures that are kept; 0 keeps the last one, for work that takes all pictures of one
            normal picture in turn.
    """

    def __init__(self, job: Job, recipe: Recipe, *, canvas_bytes: int = 0) -> None:
        self._canvases = KeptCanvases(job.open_canvases(), canvas_bytes)
        self._synthesizer = job.synthesizer(recipe, guard=False, cache_bytes=CACHE_BYTES)
        self._encoding = job.encoding
        self._plain: tuple[str, bytes] | None = None  # the last canvas as it is, encoded: many pictures stay normal

    def __call__(self, task: Task) -> Made:
        """The picture of a task; raises ``DefectSynthError`` where it cannot be made."""
        canvas = self._canvases.load(task.canvas)
        if task.split == "train":
            return self._made(task, canvas, NORMAL_KIND, canvas.image, None)
        sample = self._synthesizer(canvas.image, index=task.number, roi=canvas.roi)
        return self._made(task, canvas, sample.plan.kind, sample.image, sample)

    def _made(self, task: Task, canvas: Canvas, kind: str, painted: AnyImage, sample: AnomalySample | None) -> Made:
        mask = sample.mask if sample is not None and sample.is_anomalous else None
        image = canvas.with_alpha(painted)
        suffix, encoded = self._encoding.suffix(image), self._encoded(canvas, image, is_normal=mask is None)
        line: Line = {"file": f"{task.split}/{kind}/{task.stem}{suffix}", "split": task.split, "number": task.number}
        line |= {"kind": kind, "normal": canvas.name, "normal_hash": canvas.hash}
        line |= {} if self._encoding.lossless else {"file_hash": digest(encoded), "image_hash": digest(image)}
        return Made(task, kind, encoded, suffix, mask, line | (measured(sample) if sample is not None else {}), sample)

    def _encoded(self, canvas: Canvas, image: AnyImage, *, is_normal: bool) -> bytes:
        if not is_normal:
            return self._encoding.encode(image)
        if self._plain is None or self._plain[0] != canvas.name:
            self._plain = canvas.name, self._encoding.encode(image)
        return self._plain[1]


def unmade(task: Task, error: DefectSynthError) -> Line:
    """The line of ``skipped.jsonl`` for a picture that could not be made."""
    return {"split": task.split, "number": task.number, "normal": task.canvas, "error": str(error)}
