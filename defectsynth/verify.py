"""Verification: paints every plan of a dataset again and compares every pixel with what is on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from defectsynth.canvases import Canvas, KeptCanvases
from defectsynth.encoding import digest
from defectsynth.errors import DefectSynthError, ImageError
from defectsynth.files import decode_image, read_image
from defectsynth.formats.manifest import MANIFEST_FILE, Line, read_manifest
from defectsynth.formats.mvtec import NORMAL_KIND, mask_path
from defectsynth.images import AnyImage
from defectsynth.job import RECIPE_FILE, Job, measured, read_job, recipe_hash
from defectsynth.plan import Plan
from defectsynth.plugins import load_plugins
from defectsynth.pool import run_tasks
from defectsynth.recipe import Recipe

__all__ = ["Verification", "verify"]


@dataclass(slots=True)
class Verification:
    """What was found.

    Attributes:
        pictures: how many pictures the manifest lists.
        problems: one sentence for each file that is missing, was not listed, or differs; empty for a dataset that is whole.
    """

    pictures: int = 0
    problems: list[str] = field(default_factory=list)


def verify(
    root: Path,
    *,
    replacements: dict[str, str] | None = None,
    imports: Sequence[str] = (),
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Verification:
    """Paints a dataset's plans again.

    Args:
        root: a folder that ``render`` wrote.
        replacements: other folders for ``images``, ``roi``, ``textures``, ``defects``, ``masks``, where they have moved.
        imports: modules and files with the recipe's own kinds, the ones that it was rendered with; they are imported. What only
            the dataset names is not.
        workers: processes.
        progress: called with (pictures done, pictures in all).

    Raises:
        StorageError: the folder is not a rendered dataset, or its manifest is damaged.
        InputError: it was rendered with ``imports`` that are not given, or one of them cannot be imported.
        DefectSynthError: the normal pictures or the sources cannot be opened.
    """
    given = load_plugins(imports)
    job, recipe = read_job(root, imports=given)
    changed = [] if job.recipe == recipe_hash(recipe) else [f"{RECIPE_FILE}: is not the recipe that was rendered"]
    job = job.model_copy(update=replacements or {})
    job.open_canvases()
    job.synthesizer(recipe, guard=False)
    lines = list(read_manifest(root / MANIFEST_FILE))
    result = Verification(len(lines))
    by_canvas = sorted(lines, key=_normal_of)  # so that each normal picture is decoded about once
    found = run_tasks(_Verifier, (job, recipe, root), by_canvas, workers, given, _normal_of)
    for done, problems in enumerate(found, start=1):
        result.problems += problems
        if progress:
            progress(done, len(lines))
    result.problems = sorted(result.problems + changed + _unlisted(root, lines))
    return result


class _Verifier:
    """Compares the files of one manifest line with what its plan paints; lives in a worker process."""

    def __init__(self, job: Job, recipe: Recipe, root: Path) -> None:
        self._canvases = KeptCanvases(job.open_canvases())
        self._synthesizer = job.synthesizer(recipe, guard=False)
        self._root, self._encoding = root, job.encoding

    def __call__(self, line: Line) -> list[str]:
        """The problems of this line's files."""
        try:
            canvas = self._canvases.load(line["normal"])
            if canvas.hash != line["normal_hash"]:
                return [f"{line['file']}: normal picture {line['normal']!r} has changed since"]
            return self._compare(line, canvas)
        except DefectSynthError as error:
            return [f"{line['file']}: {error}"]

    def _compare(self, line: Line, canvas: Canvas) -> list[str]:
        if line["split"] == "train":
            return self._picture_differences(line, canvas.with_alpha(canvas.image))
        plan = Plan.from_dict(line["plan"])
        if (plan.seed, plan.index) != (self._synthesizer.seed, line["number"]):
            return [f"{line['file']}: its plan is that of sample {plan.index} of seed {plan.seed}"]
        sample = self._synthesizer.paint(canvas.image, plan, roi=canvas.roi)
        problems = [
            f"{line['file']}: the manifest says {key} {line.get(key)!r}, its plan paints {value!r}"
            for key, value in measured(sample).items()
            if line.get(key) != value
        ]
        problems += self._picture_differences(line, canvas.with_alpha(sample.image))
        if sample.is_anomalous:
            problems += self._differences(_mask_file(line), sample.mask)
        return problems

    def _picture_differences(self, line: Line, expected: AnyImage) -> list[str]:
        """The problems of a picture's file.

        A lossy one is right if it holds what encoding the painted picture again gives. Where another version of the encoder
        gives other bytes, it is right if it is byte by byte the file that was written, and the picture that was encoded into
        it pixel by pixel the one that is painted now.
        """
        if self._encoding.lossless:
            return self._differences(line["file"], expected)
        written, again = self._bytes_of(line["file"]), self._encoding.encode(expected)
        if written == again or (line.get("file_hash"), line.get("image_hash")) == (digest(written), digest(expected)):
            return []
        return _differences(line["file"], decode_image(written, line["file"]), decode_image(again, "the picture painted again"))

    def _bytes_of(self, file: str) -> bytes:
        try:
            return (self._root / file).read_bytes()
        except FileNotFoundError:
            raise ImageError(f"picture {str(self._root / file)!r} does not exist: check the path") from None
        except OSError as error:
            raise ImageError(f"picture {str(self._root / file)!r} cannot be read ({error.strerror})") from None

    def _differences(self, file: str, expected: AnyImage) -> list[str]:
        return _differences(file, read_image(self._root / file), expected)


def _differences(file: str, found: AnyImage, expected: AnyImage) -> list[str]:
    expected = expected[:, :, 0] if expected.ndim == 3 and expected.shape[2] == 1 and found.ndim == 2 else expected
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return [f"{file}: is {found.shape} {found.dtype}, its plan paints {expected.shape} {expected.dtype}"]
    wrong = int(np.count_nonzero((found != expected).reshape(found.shape[0], found.shape[1], -1).any(axis=2)))
    return [f"{file}: {wrong} pixels differ from what its plan paints"] if wrong else []


def _normal_of(line: Line) -> str:
    return str(line["normal"])


def _mask_file(line: Line) -> str:
    return mask_path(Path(), line["kind"], Path(line["file"]).stem).as_posix()


def _unlisted(root: Path, lines: list[Line]) -> list[str]:
    listed = {line["file"] for line in lines} | {_mask_file(line) for line in lines if line["kind"] != NORMAL_KIND}
    parts = [root / part for part in ("train", "test", "ground_truth")]
    found = {path.relative_to(root).as_posix() for part in parts for path in part.rglob("*") if path.is_file()}
    return [f"{file}: is not in the manifest" for file in found - listed]
