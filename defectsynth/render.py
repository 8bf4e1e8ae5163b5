"""The job: many normal pictures in, a labelled dataset on disk out; parallel, resumable, the same bytes however it ran.

    OUT/train/good, OUT/test/good, OUT/test/<kind>, OUT/ground_truth/<kind>     the MVTec AD layout
    OUT/manifest.jsonl      a line per picture: file, normal source and its hash, plan, area, components
    OUT/recipe.yaml         the recipe, every value written out
    OUT/render.json         the job: folders, seed, count, size
    OUT/preview.png         a contact sheet
    OUT/skipped.jsonl       with on_error="skip": the pictures that could not be made, and why

While it runs, finished lines are kept in ``manifest.partial.jsonl``; the last step sorts them and renames.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import IO, Any, Literal

import numpy as np

from defectsynth.errors import DefectSynthError, StorageError
from defectsynth.files import BUILTIN_PREFIX, storage_error, write_bytes, write_image
from defectsynth.formats.mvtec import NORMAL_KIND, mask_path, write_mvtec
from defectsynth.job import JOB_FILE, MANIFEST_FILE, RECIPE_FILE, Job, Task, measured, read_job, read_manifest, recipe_hash
from defectsynth.plan import Plan
from defectsynth.pool import run_tasks
from defectsynth.preview import contact_sheet
from defectsynth.recipe import Recipe

__all__ = ["RenderReport", "render"]

PARTIAL_FILE = "manifest.partial.jsonl"
SKIPPED_FILE = "skipped.jsonl"
PREVIEW_FILE = "preview.png"
PREVIEW_SAMPLES = 12

OnError = Literal["stop", "skip"]
Line = dict[str, Any]


@dataclass(slots=True)
class RenderReport:
    """What a run did.

    Attributes:
        out: the dataset's folder.
        pictures: pictures in the dataset, ``train`` and ``test``.
        anomalous: those with a defect.
        resumed: those that an earlier run had written.
        skipped: those that could not be made.
        seconds: wall time.
        kinds: how many pictures of each kind.
    """

    out: str
    pictures: int = 0
    anomalous: int = 0
    resumed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    kinds: dict[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def render(
    job: Job,
    recipe: Recipe,
    out: Path,
    *,
    workers: int = 1,
    resume: bool = False,
    overwrite: bool = False,
    on_error: OnError = "stop",
    progress: Callable[[int, int], None] | None = None,
) -> RenderReport:
    """Renders a dataset.

    Args:
        job: what to render.
        recipe: what may be drawn.
        out: the dataset's folder; must be new or empty, unless ``resume`` or ``overwrite``.
        workers: processes; the bytes do not depend on them.
        resume: go on with the run that began in ``out``.
        overwrite: delete the dataset in ``out`` first (a folder that is not one of ours is never deleted).
        on_error: ``stop`` at the first picture that cannot be made, or ``skip`` it and list it in ``skipped.jsonl``.
        progress: called with (pictures done, pictures in all).

    Raises:
        DefectSynthError: see ``errors.py``; whatever was written before stays, and ``resume`` goes on from there.
    """
    started = perf_counter()
    canvases = job.open_canvases()
    job = job.model_copy(update={"canvases": canvases.fingerprint(), "recipe": recipe_hash(recipe)})
    _refuse_overlap(out, job)
    job.synthesizer(recipe)  # every error of the recipe, its banks and the leakage guard before anything is written
    _prepare(out, job, recipe, resume, overwrite)
    tasks = job.tasks(canvases)
    finished = _finished(out) if resume else {}
    open_tasks = [task for task in tasks if (task.split, task.number) not in finished]
    resumed = len(tasks) - len(open_tasks)
    skipped: list[Line] = []
    results = run_tasks(_Renderer, (job, recipe, out, on_error), open_tasks, workers, job.imports)
    try:
        with _open_partial(out, finished) as partial:
            for done, line in enumerate(results, start=resumed + 1):
                if "error" in line:
                    skipped.append(line)
                else:
                    finished[line["split"], line["number"]] = line
                    partial.write(_dump(line))
                    partial.flush()
                if progress:
                    progress(done, len(tasks))
    except OSError as error:
        raise storage_error(out, error) from None
    finally:
        results.close()
    _finish(out, job, recipe, tasks, finished, skipped)
    return _report(out, finished, skipped, resumed, perf_counter() - started)


class _Renderer:
    """Makes and writes the picture of one task; lives in a worker process."""

    def __init__(self, job: Job, recipe: Recipe, out: Path, on_error: OnError) -> None:
        self._canvases = job.open_canvases()
        self._synthesizer = job.synthesizer(recipe, guard=False)
        self._out, self._on_error = out, on_error

    def __call__(self, task: Task) -> Line:
        """The manifest line of the picture that was written, or the error that kept it from being made."""
        try:
            return self._write(task)
        except StorageError:
            raise
        except DefectSynthError as error:
            if self._on_error == "stop":
                raise
            return {"split": task.split, "number": task.number, "normal": task.canvas, "error": str(error)}

    def _write(self, task: Task) -> Line:
        canvas = self._canvases.load(task.canvas)
        line: Line = {"file": "", "split": task.split, "number": task.number, "kind": NORMAL_KIND}
        line |= {"normal": canvas.name, "normal_hash": canvas.hash}
        if task.split == "train":
            path = write_mvtec(self._out, "train", NORMAL_KIND, task.stem, canvas.with_alpha(canvas.image))
            return line | {"file": path.relative_to(self._out).as_posix()}
        sample = self._synthesizer(canvas.image, index=task.number, roi=canvas.roi)
        mask = sample.mask if sample.is_anomalous else None
        kind = sample.plan.kind
        path = write_mvtec(self._out, "test", kind, task.stem, canvas.with_alpha(sample.image), mask)
        return line | {"file": path.relative_to(self._out).as_posix(), "kind": kind, **measured(sample)}


# --- the folder -----------------------------------------------------------------------------------------------------------


def _refuse_overlap(out: Path, job: Job) -> None:
    """An output inside an input would become input the next time; an input inside the output could be deleted with it."""
    inputs = {"images": job.images, "roi": job.roi, "textures": job.textures, "defects": job.defects, "masks": job.masks}
    named = [(name, folder) for name, folder in inputs.items() if folder and not folder.startswith(BUILTIN_PREFIX)]
    target = out.resolve()
    for name, folder in [*named, *(("exclude", folder) for folder in job.exclude)]:
        source = Path(folder).resolve()
        if source == target or source.is_relative_to(target) or target.is_relative_to(source):
            raise StorageError(
                f"output folder {str(out)!r} and {name} {folder!r} lie inside each other: choose another output folder"
            )


def _prepare(out: Path, job: Job, recipe: Recipe, resume: bool, overwrite: bool) -> None:
    """Makes ``out`` ready for this job, or says why it cannot be."""
    try:
        taken = out.exists() and not out.is_dir()
    except OSError as error:
        raise storage_error(out, error) from None
    if taken:
        raise StorageError(f"output {str(out)!r} is a file: choose a folder")
    holds_something = out.is_dir() and any(out.iterdir())
    if holds_something and resume:
        _check_same(out, job)
        for leftover in out.rglob(".*.tmp"):
            leftover.unlink(missing_ok=True)
        return
    if holds_something and not overwrite:
        raise StorageError(
            f"output folder {str(out)!r} is not empty: choose another, or give --resume to go on or --overwrite to replace it"
        )
    if holds_something:
        _delete_dataset(out)
    write_bytes(out / JOB_FILE, (job.model_dump_json(indent=2) + "\n").encode())
    write_bytes(out / RECIPE_FILE, recipe.to_yaml().encode())


def _check_same(out: Path, job: Job) -> None:
    try:
        begun, _ = read_job(out, imports=job.imports)
    except StorageError as error:
        raise StorageError(f"nothing to resume: {error}; choose an empty folder and leave --resume out") from None
    names = {"canvases": "the normal pictures", "recipe": "the recipe"}
    changed = [
        f"{names[key]} changed" if key in names else f"{key} was {getattr(begun, key)!r} and is {getattr(job, key)!r}"
        for key in Job.model_fields
        if getattr(begun, key) != getattr(job, key)
    ]
    if changed:
        raise StorageError(
            f"the run in {str(out)!r} cannot be resumed with other settings: {'; '.join(changed)}. "
            "Give the same ones, or --overwrite"
        )


def _delete_dataset(out: Path) -> None:
    ours = {"train", "test", "ground_truth", MANIFEST_FILE, PARTIAL_FILE, RECIPE_FILE, JOB_FILE, PREVIEW_FILE, SKIPPED_FILE}
    foreign = sorted(entry.name for entry in out.iterdir() if entry.name not in ours and not entry.name.endswith(".tmp"))
    if foreign or not (out / JOB_FILE).is_file():
        held = f"it holds {', '.join(foreign[:5])}" if foreign else f"it has no {JOB_FILE}"
        raise StorageError(
            f"output folder {str(out)!r} is not a rendered dataset ({held}), "
            "so --overwrite does not delete it: empty it yourself"
        )
    for entry in out.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _finished(out: Path) -> dict[tuple[str, int], Line]:
    """The lines of an earlier run whose files are there."""
    path = next((out / name for name in (MANIFEST_FILE, PARTIAL_FILE) if (out / name).is_file()), None)
    lines = [] if path is None else list(read_manifest(path))
    return {(line["split"], line["number"]): line for line in lines if _is_written(out, line)}


def _is_written(out: Path, line: Line) -> bool:
    picture = out / line["file"]
    return picture.is_file() and (line["kind"] == NORMAL_KIND or mask_path(out, line["kind"], picture.stem).is_file())


def _open_partial(out: Path, finished: dict[tuple[str, int], Line]) -> IO[str]:
    """The file that takes finished lines; begun anew with those of an earlier run, so that a torn last line is gone."""
    write_bytes(out / PARTIAL_FILE, "".join(_dump(line) for line in finished.values()).encode())
    return (out / PARTIAL_FILE).open("a", encoding="utf-8")


def _finish(
    out: Path, job: Job, recipe: Recipe, tasks: list[Task], finished: dict[tuple[str, int], Line], skipped: list[Line]
) -> None:
    in_order = [finished[task.split, task.number] for task in tasks if (task.split, task.number) in finished]
    preview = _preview(job, recipe, in_order)
    if preview is not None:
        write_image(out / PREVIEW_FILE, preview)
    if skipped:
        ordered = sorted(skipped, key=lambda line: (line["split"], line["number"]))
        write_bytes(out / SKIPPED_FILE, "".join(_dump(line) for line in ordered).encode())
    else:
        (out / SKIPPED_FILE).unlink(missing_ok=True)
    write_bytes(out / MANIFEST_FILE, "".join(_dump(line) for line in in_order).encode())
    (out / PARTIAL_FILE).unlink(missing_ok=True)


def _preview(job: Job, recipe: Recipe, lines: list[Line]) -> np.ndarray[Any, Any] | None:
    """A contact sheet of the first defects, painted again from their plans."""
    canvases, synthesizer = job.open_canvases(), job.synthesizer(recipe, guard=False)
    samples = []
    for line in [line for line in lines if line["kind"] != NORMAL_KIND][:PREVIEW_SAMPLES]:
        canvas = canvases.load(line["normal"])
        samples.append(synthesizer.paint(canvas.image, Plan.from_dict(line["plan"]), roi=canvas.roi))
    return contact_sheet(samples) if samples else None


def _dump(line: Line) -> str:
    return json.dumps(line, separators=(",", ":")) + "\n"


def _report(
    out: Path, finished: dict[tuple[str, int], Line], skipped: list[Line], resumed: int, seconds: float
) -> RenderReport:
    kinds: dict[str, int] = {}
    for line in finished.values():
        kinds[line["kind"]] = kinds.get(line["kind"], 0) + 1
    anomalous = sum(number for kind, number in kinds.items() if kind != NORMAL_KIND)
    return RenderReport(
        str(out), len(finished), anomalous, resumed, len(skipped), round(seconds, 3), dict(sorted(kinds.items()))
    )
