"""Thresholds from normal pictures that the detector has not seen, the false alarms that they promise, and recall to expect.

A threshold just above the (k + 1)-th highest score of ``n`` normal pictures flags a share of all normal pictures that has a
Beta(k + 1, n - k) distribution, whatever that of the scores is (order statistics; Wilks 1941). So with a confidence of 95 % it
is at most the rate at which ``k`` of ``n`` or fewer have a probability of 5 %: Clopper and Pearson's bound (1934). With no
alarm at all, 1 % takes 299 pictures and 5 % takes 59.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from defectsynth.errors import InputError
from defectsynth.files import list_images, read_image
from defectsynth.images import AnyImage, content_hash, split_alpha
from defectsynth.statistics import measure_defect
from lkad_models.painter import Painter
from lkad_models.prediction import BATCH_SIZE, Detector, RuntimeName, load
from lkad_models.run import RunConfig, read_config
from lkad_models.thresholds import Calibration, Limit, Recall, RecallCell, detector_hash, write_calibration

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["CONFIDENCE", "calibrate", "limit_of", "pictures_needed", "promised_rate", "recall_table"]

Progress = Callable[[int, int], None]

CONFIDENCE = 0.95
_QUARTILES = (0.25, 0.5, 0.75)
_PAINTED = 200
"""Synthetic defects that recall is measured by; chosen: about twelve to each of 4 x 4 cells."""


def calibrate(
    run: str | Path,
    normals: str | Path,
    fpr: float = 0.01,
    *,
    allow_few: bool = False,
    painter: Painter | None = None,
    painted: int = _PAINTED,
    seed: int = 0,
    device: str | torch.device = "cpu",
    runtime: RuntimeName = "torch",
    batch_size: int = BATCH_SIZE,
    progress: Progress | None = None,
) -> Calibration:
    """Sets both thresholds of a run from normal pictures that it was not trained on, and writes ``threshold.json``.

    Args:
        run: folder of the run.
        normals: folder of normal pictures.
        fpr: share of normal pictures that may be flagged by their score, and share that may have a flagged pixel.
        allow_few: whether fewer pictures will do than ``fpr`` takes; the thresholds are then just above the highest normal one,
            and the calibration says what they promise.
        painter: of the defects that recall is measured by; None for what the run was trained with.
        painted: how many; 0 for none.
        seed: of the defects.
        device, runtime: see ``prediction.load``.
        batch_size: pictures of one pass.
        progress: called with how many pictures are done, and how many there are.

    Raises:
        InputError: the rate is none, the pictures are too few for it (the message says how many it takes), the run learned from
            one of them, or the run cannot be read.
        ImageError: the folder is missing or empty, or a picture cannot be read.
    """
    folder, root = Path(run), Path(normals)
    _check(fpr, painted)
    files, config = list_images(root, "normal picture"), read_config(folder)
    needed = pictures_needed(fpr)
    if len(files) < needed and not allow_few:
        raise InputError(
            f"{len(files)} normal pictures cannot promise a false positive rate of {fpr:g} with {CONFIDENCE:.0%} confidence: "
            f"give at least {needed}, ask for {promised_rate(0, len(files)):.2g} or more, or allow few (--allow-few)"
        )
    detector = load(folder, device, runtime, thresholds=False)
    total, learned = len(files) + painted, _learned_from(config)
    scores, highest, middle = [], [], []
    for done, batch in _batches(files, batch_size):
        images = [_normal(file, learned) for file in batch]
        for found in detector.predict(images):
            scores.append(found.score)
            highest.append(float(found.anomaly_map.max()))
            middle.append(float(np.median(found.anomaly_map)))
        _report(progress, done, total)
    image, pixel = limit_of(scores, fpr), limit_of(highest, fpr)
    chosen = painter or Painter.of_training(config.training)
    recall = _recall(detector, files, chosen, image, (painted, seed, batch_size), progress) if painted else None
    calibration = Calibration(
        detector=detector_hash(folder),
        fpr=fpr,
        confidence=CONFIDENCE,
        normals=len(files),
        image=image,
        pixel=pixel,
        background=float(np.median(middle)),
        recall=recall,
    )
    write_calibration(folder, calibration)
    return calibration


def pictures_needed(fpr: float) -> int:
    """How many normal pictures, none of them flagged, promise a rate at 95 %.

    >>> pictures_needed(0.01), pictures_needed(0.05)
    (299, 59)
    """
    return math.ceil(math.log(1.0 - CONFIDENCE) / math.log1p(-fpr))


def promised_rate(alarms: int, count: int) -> float:
    """The rate that ``alarms`` of ``count`` normal pictures promise not to be exceeded at 95 %: Clopper and Pearson's bound.

    >>> round(promised_rate(0, 299), 4), round(promised_rate(3, 100), 4)
    (0.01, 0.0757)
    """
    if alarms >= count:
        return 1.0
    low, high = alarms / count, 1.0
    for _ in range(60):  # bisection to the last bit of a float
        middle = (low + high) / 2.0
        low, high = (low, middle) if _at_most(alarms, count, middle) <= 1.0 - CONFIDENCE else (middle, high)
    return high


def limit_of(scores: Sequence[float], fpr: float) -> Limit:
    """The lowest threshold whose promise is ``fpr``, or the one just above the highest score where there is none.

    Args:
        scores: of normal pictures, float32 values.
        fpr: in (0, 1).
    """
    ordered = np.sort(np.asarray(scores, dtype=np.float32))[::-1]
    count = len(ordered)
    allowed = 0
    while allowed + 1 < count and _at_most(allowed + 1, count, fpr) <= 1.0 - CONFIDENCE:
        allowed += 1
    threshold = np.nextafter(ordered[allowed], np.float32(2.0))
    alarms = int((ordered >= threshold).sum())  # fewer than allowed where scores are equal
    return Limit(threshold=float(threshold), alarms=alarms, promised=promised_rate(allowed, count))


def recall_table(calibration: Calibration) -> Table:
    """For a terminal: a row for each quartile of area, a column for each of contrast; share found, and of how many."""
    from rich.table import Table

    assert calibration.recall is not None
    cells = calibration.recall.cells
    table = Table(
        title=f"recall to expect of synthetic defects ({calibration.recall.recipe})",
        caption="share found (of how many), by quartiles of area (share of the picture) and contrast (of full scale)",
    )
    table.add_column("area", no_wrap=True)
    for number in range(4):
        column = [cell for cell in cells[number::4] if cell.defects]
        low, high = (min(cell.contrast[0] for cell in column), max(cell.contrast[1] for cell in column)) if column else (0, 0)
        table.add_column(f"contrast\n{low:.2f}-{high:.2f}", justify="right", no_wrap=True)
    table.add_column("all", justify="right", no_wrap=True)
    for start in range(0, len(cells), 4):
        row = cells[start : start + 4]
        table.add_row(f"{row[0].area[0]:.2%}-{row[0].area[1]:.2%}", *(_share([cell]) for cell in row), _share(row))
    table.add_section()
    table.add_row("all", *(_share(cells[number::4]) for number in range(4)), _share(cells))
    return table


def _share(cells: Sequence[RecallCell]) -> str:
    found, defects = sum(cell.found for cell in cells), sum(cell.defects for cell in cells)
    return f"{found / defects:.0%} ({defects})" if defects else "-"


# --- normal pictures --------------------------------------------------------------------------------------------------------


def _check(fpr: float, painted: int) -> None:
    if not 0.0 < fpr < 1.0:
        raise InputError(f"a false positive rate of {fpr} is none: give one between 0 and 1, such as 0.01")
    if painted < 0:
        raise InputError(f"{painted} synthetic defects cannot be painted: give 0 or more")


def _batches(files: Sequence[Path], size: int) -> Iterator[tuple[int, list[Path]]]:
    """How many files there are up to the end of a batch, and the batch."""
    left, done = iter(files), 0
    while batch := list(islice(left, size)):
        done += len(batch)
        yield done, batch


def _normal(file: Path, learned: frozenset[str]) -> AnyImage:
    image, _ = split_alpha(read_image(file))
    if learned and content_hash(image) in learned:
        raise InputError(
            f"picture {str(file)!r} is one that the run was trained on, where scores are lower than on new ones: give normal "
            "pictures that it has not seen"
        )
    return image


def _learned_from(config: RunConfig) -> frozenset[str]:
    """Hashes of the pictures that a run was trained on, as far as they are still where they were."""
    from lkad_models.data import held_out, normal_files

    said = config.training
    if not {"data", "held_out", "seed"} <= said.keys() or not Path(str(said["data"])).is_dir():
        return frozenset()
    files, _ = held_out(normal_files(Path(str(said["data"]))), float(said["held_out"]), int(said["seed"]))
    return frozenset(content_hash(split_alpha(read_image(file))[0]) for file in files)


def _report(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)


def _at_most(alarms: int, count: int, rate: float) -> float:
    """The probability that no more than ``alarms`` of ``count`` are flagged, where each is with probability ``rate``."""
    if rate >= 1.0:
        return float(alarms >= count)
    if rate <= 0.0:
        return 1.0
    flagged, passed, every = math.log(rate), math.log1p(-rate), math.lgamma(count + 1)
    return math.fsum(
        math.exp(every - math.lgamma(k + 1) - math.lgamma(count - k + 1) + k * flagged + (count - k) * passed)
        for k in range(alarms + 1)
    )


# --- recall -----------------------------------------------------------------------------------------------------------------


def _recall(
    detector: Detector,
    files: Sequence[Path],
    painter: Painter,
    limit: Limit,
    how: tuple[int, int, int],
    progress: Progress | None,
) -> Recall:
    """Paints ``how = (defects, seed, batch size)`` into the normal pictures in turn, and counts what is found."""
    painted, seed, batch_size = how
    synthesizer = painter.synthesizer(seed)
    areas, contrasts, found = np.zeros(painted), np.zeros(painted), np.zeros(painted, dtype=bool)
    for start in range(0, painted, batch_size):
        places = range(start, min(start + batch_size, painted))
        samples = [synthesizer(split_alpha(read_image(files[place % len(files)]))[0], index=place) for place in places]
        for place, sample, prediction in zip(places, samples, detector.predict([one.image for one in samples]), strict=True):
            measures = measure_defect(sample.image, sample.mask)
            areas[place], contrasts[place] = measures["area"], measures["contrast"]
            found[place] = np.float32(prediction.score) >= np.float32(limit.threshold)
        _report(progress, len(files) + places.stop, len(files) + painted)
    return Recall(recipe=painter.recipe, cells=tuple(_cells(areas, contrasts, found)))


def _cells(
    areas: npt.NDArray[np.float64], contrasts: npt.NDArray[np.float64], found: npt.NDArray[np.bool_]
) -> Iterator[RecallCell]:
    rows, columns = _quartile(areas), _quartile(contrasts)
    for row in range(4):
        for column in range(4):
            chosen = (rows == row) & (columns == column)
            yield RecallCell(
                area=_range(areas, rows == row),
                contrast=_range(contrasts, columns == column),
                defects=int(chosen.sum()),
                found=int(found[chosen].sum()),
            )


def _quartile(values: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """0 to 3 for each."""
    return np.searchsorted(np.quantile(values, _QUARTILES), values, side="left")


def _range(values: npt.NDArray[np.float64], chosen: npt.NDArray[np.bool_]) -> tuple[float, float]:
    return (float(values[chosen].min()), float(values[chosen].max())) if chosen.any() else (0.0, 0.0)
