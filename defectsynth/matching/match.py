"""The job: a folder of real defects in, a recipe out, and a rendered sample of it beside them.

OUT/matched.yaml     the recipe, to be read and changed
OUT/synthetic/       a dataset that was rendered from it
OUT/report.md        statistics of both, side by side
OUT/samples.png      real defects above, synthetic ones below
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from defectsynth.banks import DefectBank
from defectsynth.errors import InputError, SourceError, StorageError
from defectsynth.files import write_bytes, write_image
from defectsynth.formats.mvtec import NORMAL_KIND
from defectsynth.job import Job
from defectsynth.matching.examples import Example, measure_bank
from defectsynth.matching.fit import fit_recipe
from defectsynth.matching.report import report_text, sample_sheet
from defectsynth.matching.text import recipe_text
from defectsynth.recipe import Recipe
from defectsynth.render import RenderReport, render
from defectsynth.spec import describe
from defectsynth.statistics import Comparison, compare, dataset_measures

__all__ = ["MATCHED_FILE", "SYNTHETIC_FOLDER", "MatchReport", "match"]

MATCHED_FILE = "matched.yaml"
SYNTHETIC_FOLDER = "synthetic"
REPORT_FILE = "report.md"
SHEET_FILE = "samples.png"


@dataclass(frozen=True, slots=True)
class MatchReport:
    """What was made.

    Attributes:
        recipe: the recipe.
        examples: the real defects that it was fitted to, as measured.
        rendered: what was rendered from it.
        comparison: statistics of the rendered defects, and of the real ones beside them.
    """

    recipe: Recipe
    examples: tuple[Example, ...]
    rendered: RenderReport
    comparison: Comparison


def match(
    defects: Path,
    out: Path,
    *,
    images: Path | None = None,
    kinds: Sequence[str] | None = None,
    count: int = 100,
    seed: int = 0,
    size: tuple[int, int] | None = None,
    workers: int = 1,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> MatchReport:
    """Fits a recipe to real defects, renders a sample of it, and compares the two.

    Args:
        defects: 1 to about 50 pictures with masks, in the MVTec AD layout.
        out: where recipe, sample and report go; must not hold a recipe already, unless ``overwrite``.
        images: normal pictures to paint the sample on; None takes ``train/good`` of ``defects``.
        kinds: which kinds of ``defects`` are used; None takes all.
        count: pictures of the sample.
        seed: of the sample.
        size: ``(H, W)`` that the normal pictures are brought to; None keeps their own.
        workers: processes.
        overwrite: replaces an earlier match in ``out``.
        progress: called with (pictures done, pictures in all).

    Raises:
        SourceError: the folder holds no defects, a mask is empty or of another size than its picture, or the folder of normal
            pictures is not there.
        InputError: a kind is not there, the folder of normal pictures is empty, ``count``, ``seed`` or ``size`` leaves its
            limits, or no sample could be painted.
        StorageError: ``out`` holds a match already, lies inside one of the inputs, or cannot be written to.
    """
    examples = _measured(defects, kinds)
    normals = _normals(defects, images)
    if (out / MATCHED_FILE).exists() and not overwrite:
        raise StorageError(
            f"output folder {str(out)!r} holds a match already: choose another, or give --overwrite to replace it"
        )
    recipe = fit_recipe(examples)
    job, synthetic = _job(normals, defects, count, seed, size), out / SYNTHETIC_FOLDER
    replace = overwrite and synthetic.exists()
    rendered = render(job, recipe, synthetic, workers=workers, overwrite=replace, on_error="skip", progress=progress)
    write_bytes(out / MATCHED_FILE, recipe_text(recipe, examples).encode())  # now that `render` has found nothing to refuse
    if rendered.anomalous == 0:
        raise InputError(
            f"none of the {count} samples could be painted: see {str(synthetic / 'skipped.jsonl')!r} for the reasons"
        )
    comparison = compare(dataset_measures(synthetic), dataset_measures(defects, kinds))
    write_image(out / SHEET_FILE, sample_sheet(defects, synthetic, kinds))
    write_bytes(out / REPORT_FILE, report_text(recipe, examples, comparison, defects, normals, out).encode())
    return MatchReport(recipe, tuple(examples), rendered, comparison)


def _measured(defects: Path, kinds: Sequence[str] | None) -> list[Example]:
    bank = DefectBank(defects)
    for kind in kinds or ():
        if kind not in bank.kinds:
            raise InputError(f"kind {kind!r} is not in {str(defects)!r}: it has {', '.join(bank.kinds)}")
    return measure_bank(bank, kinds)


def _job(normals: Path, defects: Path, count: int, seed: int, size: tuple[int, int] | None) -> Job:
    folders = {"images": str(normals), "defects": str(defects.absolute())}
    try:
        return Job(**folders, count=count, seed=seed, size=size, train_fraction=0.0)
    except ValidationError as error:
        raise InputError(describe(error, Job)) from None


def _normals(defects: Path, images: Path | None) -> Path:
    folder = images if images is not None else defects / "train" / NORMAL_KIND
    if not folder.is_dir():
        where = "does not exist: check the path" if images is not None else "is not there: give normal pictures with --images"
        raise SourceError(f"folder of normal pictures {str(folder)!r} {where}")
    return folder.absolute()
