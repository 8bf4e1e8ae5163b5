"""The job: many normal pictures in, a labelled dataset on disk out; parallel, resumable, the same bytes however it ran.

    OUT/train/good, OUT/test/good, OUT/test/<kind>, OUT/ground_truth/<kind>     the MVTec AD layout
    OUT/manifest.jsonl      a line per picture: file, normal source and its hash, plan, area, components
    OUT/recipe.yaml         the recipe, every value written out
    OUT/render.json         the job: folders, seed, count, size
    OUT/preview.jpg         a contact sheet
    OUT/skipped.jsonl       with on_error="skip": the pictures that could not be made, and why

While it runs, finished lines are kept in ``manifest.partial.jsonl``; the last step sorts them and renames.

Each worker process reads, paints, encodes and writes whole pictures: these overlap between processes, and nothing but a line
of text travels. (A thread in each process that encodes and writes was tried; it costs more than it hides.) Of a finished
picture memory holds only where its line lies.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from defectsynth.canvases import Canvases
from defectsynth.errors import DefectSynthError, ImageError, StorageError
from defectsynth.files import BUILTIN_PREFIX, storage_error, write_bytes, write_image, write_parts
from defectsynth.formats.manifest import MANIFEST_FILE, Line, read_manifest
from defectsynth.formats.mvtec import NORMAL_KIND, mask_path, write_encoded
from defectsynth.images import AnyImage
from defectsynth.job import JOB_FILE, RECIPE_FILE, Job, Task, read_job, recipe_hash
from defectsynth.ledger import Entry, Ledger
from defectsynth.making import CACHE_BYTES, Maker, OnError, unmade
from defectsynth.plan import Plan
from defectsynth.pool import run_tasks
from defectsynth.preview import contact_sheet
from defectsynth.recipe import Recipe
from defectsynth.synthesizer import AnomalySynthesizer

__all__ = ["RenderReport", "refuse_overlap", "render"]

PARTIAL_FILE = "manifest.partial.jsonl"
SKIPPED_FILE = "skipped.jsonl"
PREVIEW_FILE = "preview.jpg"  # no PNG: anomalib takes every PNG below a dataset for one of its pictures
PREVIEW_SAMPLES = 12


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
        ImageError: ``job.image_format`` is ``jpg`` or ``webp`` and cannot hold a normal picture; nothing was written.
        DefectSynthError: see ``errors.py``; whatever was written before stays, and ``resume`` goes on from there.
    """
    started = perf_counter()
    canvases = job.open_canvases()
    job = job.model_copy(update={"canvases": canvases.fingerprint(), "recipe": recipe_hash(recipe)})
    refuse_overlap(out, job)
    # Every error of the recipe, its banks and the leakage guard comes before anything is written.
    synthesizer = job.synthesizer(recipe, cache_bytes=CACHE_BYTES)
    _check_encoding(job, canvases)
    _prepare(out, job, recipe, resume, overwrite)
    tasks = job.tasks(canvases)
    skipped: list[Line] = []
    try:
        with Ledger(out / PARTIAL_FILE, _finished(out) if resume else ()) as ledger:
            resumed = len(ledger)
            open_tasks = [task for task in tasks if (task.split, task.number) not in ledger]
            with closing(_results(job, recipe, out, on_error, open_tasks, workers)) as results:
                for done, result in enumerate(results, start=resumed + 1):
                    if isinstance(result, Entry):
                        ledger.add(result)
                    else:
                        skipped.append(result)
                    if progress:
                        progress(done, len(tasks))
            _finish(out, tasks, ledger, skipped, _preview(synthesizer, canvases, tasks, ledger))
        (out / PARTIAL_FILE).unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(out, error) from None
    return _report(out, ledger.kinds, len(skipped), resumed, perf_counter() - started)


def _check_encoding(job: Job, canvases: Canvases) -> None:
    """Whether the format can hold every normal picture, before anything is written; a damaged one is named in its turn."""
    for name in canvases.names if not job.lossless else ():
        form = _form(canvases, name)
        if form is not None:
            job.encoding.check(*form, f"normal picture {name!r}")


def _form(canvases: Canvases, name: str) -> tuple[tuple[int, ...], np.dtype[Any]] | None:
    try:
        return canvases.form_of(name)
    except ImageError:
        return None


def _results(
    job: Job, recipe: Recipe, out: Path, on_error: OnError, tasks: list[Task], workers: int
) -> Generator[Entry | Line, None, None]:
    """What became of every task; all tasks of a canvas in turn, so that it is decoded about once."""
    by_canvas = sorted(tasks, key=_canvas_of)
    return run_tasks(_Renderer, (job, recipe, out, on_error), by_canvas, workers, job.imports, _canvas_of)


def _canvas_of(task: Task) -> tuple[str, str]:
    return task.split, task.canvas


class _Renderer:
    """Makes and writes the picture of one task; lives in a worker process."""

    def __init__(self, job: Job, recipe: Recipe, out: Path, on_error: OnError) -> None:
        self._maker = Maker(job, recipe)
        self._out, self._on_error = out, on_error

    def __call__(self, task: Task) -> Entry | Line:
        """The entry of the picture that was written, or the error that kept it from being made."""
        try:
            made = self._maker(task)
            write_encoded(self._out, task.split, made.kind, f"{task.stem}{made.suffix}", made.encoded, made.mask)
            return Entry.of(made.line)
        except StorageError:
            raise
        except DefectSynthError as error:
            if self._on_error == "stop":
                raise
            return unmade(task, error)


# --- the folder -----------------------------------------------------------------------------------------------------------


def refuse_overlap(out: Path, job: Job) -> None:
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


def _finished(out: Path) -> Iterator[Entry]:
    """The entries of an earlier run whose files are there."""
    path = next((out / name for name in (MANIFEST_FILE, PARTIAL_FILE) if (out / name).is_file()), None)
    lines = () if path is None else read_manifest(path)
    return (Entry.of(line) for line in lines if _is_written(out, line))


def _is_written(out: Path, line: Line) -> bool:
    picture = out / line["file"]
    return picture.is_file() and (line["kind"] == NORMAL_KIND or mask_path(out, line["kind"], picture.stem).is_file())


def _finish(out: Path, tasks: list[Task], ledger: Ledger, skipped: list[Line], preview: AnyImage | None) -> None:
    if preview is not None:
        write_image(out / PREVIEW_FILE, preview)
    if skipped:
        ordered = sorted(skipped, key=lambda line: (line["split"], line["number"]))
        write_parts(out / SKIPPED_FILE, (json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in ordered))
    else:
        (out / SKIPPED_FILE).unlink(missing_ok=True)
    write_parts(out / MANIFEST_FILE, ledger.texts((task.split, task.number) for task in tasks))


def _preview(
    synthesizer: AnomalySynthesizer, canvases: Canvases, tasks: list[Task], ledger: Ledger
) -> np.ndarray[Any, Any] | None:
    """A contact sheet of the first defects, painted again from their plans."""
    keys = ((task.split, task.number) for task in tasks)
    anomalous = (key for key in keys if key in ledger and ledger.kind(key) != NORMAL_KIND)
    samples = []
    for text in ledger.texts(islice(anomalous, PREVIEW_SAMPLES)):
        line = json.loads(text)
        canvas = canvases.load(line["normal"])
        samples.append(synthesizer.paint(canvas.image, Plan.from_dict(line["plan"]), roi=canvas.roi))
    return contact_sheet(samples) if samples else None


def _report(out: Path, kinds: dict[str, int], skipped: int, resumed: int, seconds: float) -> RenderReport:
    anomalous = sum(number for kind, number in kinds.items() if kind != NORMAL_KIND)
    return RenderReport(str(out), sum(kinds.values()), anomalous, resumed, skipped, round(seconds, 3), kinds)
