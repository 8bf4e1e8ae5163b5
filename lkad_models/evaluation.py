"""A detector judged by a test set in the MVTec AD layout: metrics in all and by kind of defect, with intervals."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from defectsynth import __version__
from defectsynth.errors import ImageError, LeakageError
from defectsynth.files import find_images, read_image
from defectsynth.formats.mvtec import NORMAL_KIND, LabelledPicture, read_labelled, read_mvtec
from defectsynth.images import AnyImage, Mask, content_hash, split_alpha
from lkad_models.counting import PicturePixels, PixelCounts, PixelTotals, count_pixels
from lkad_models.metrics import RESAMPLES, Metrics, measure
from lkad_models.painter import HASH_DIGITS
from lkad_models.prediction import BATCH_SIZE, Detector, RuntimeName, load

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["NAMES", "Evaluation", "Judged", "Rates", "evaluate", "kinds_table", "metrics_table", "read_test_set"]

Progress = Callable[[int, int], None]

NAMES = {
    "image_auroc": "image AUROC",
    "image_ap": "image AP",
    "image_f1": "image F1-max",
    "pixel_auroc": "pixel AUROC",
    "pixel_ap": "pixel AP",
    "pixel_f1": "pixel F1-max",
    "aupro": "AUPRO",
}
"""What each metric is called."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One picture of the test set.

    Attributes:
        name: its path within the data folder.
        kind: ``good``, or of its defect.
        score: of the picture.
        highest: of its anomaly map.
        flagged: whether the score reaches the image threshold; None where the run was not calibrated.
        learned: whether a defect was cut out of it for training.
    """

    name: str
    kind: str
    score: float
    highest: float
    flagged: bool | None
    learned: bool = False

    @property
    def defective(self) -> bool:
        """Whether it has a defect."""
        return self.kind != NORMAL_KIND


@dataclass(frozen=True, slots=True)
class Rates:
    """What the calibrated image threshold does on the test set.

    Attributes:
        threshold: of image scores.
        normals, alarms: how many normal pictures there are, and how many of them it flags.
        defects, found: the same of defective ones.
    """

    threshold: float
    normals: int
    alarms: int
    defects: int
    found: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How a detector does on a test set.

    Attributes:
        data: the folder.
        overall: of all pictures.
        kinds: by kind of defect, its pictures against the normal ones.
        pictures: each one, in the order of their names.
        rates: at the calibrated threshold; None where the run was not calibrated.
        pixels: of all pictures, for curves; None without masks.
        leaky: whether the detector may have learned from the test set of its own product.
        version: of the package.
    """

    data: Path
    overall: Metrics
    kinds: dict[str, Metrics]
    pictures: tuple[Judged, ...]
    rates: Rates | None
    pixels: PixelCounts | None = field(repr=False)
    leaky: bool = False
    version: str = __version__

    @property
    def warning(self) -> str | None:
        """What has to be said beside every figure; None where nothing has to."""
        if not self.leaky:
            return None
        seen = sum(picture.learned for picture in self.pictures)
        return f"LEAKY: trained with --protocol leaky; {seen} of these pictures were seen in training"

    def to_dict(self) -> dict[str, Any]:
        """Plain values; counts of pixels are left out."""
        return {
            "version": self.version,
            "data": str(self.data),
            "protocol": "leaky" if self.leaky else "honest",
            "overall": asdict(self.overall),
            "kinds": {kind: asdict(metrics) for kind, metrics in self.kinds.items()},
            "rates": None if self.rates is None else asdict(self.rates),
            "pictures": [asdict(picture) for picture in self.pictures],
        }

    def to_json(self) -> str:
        """The same as JSON."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)


def evaluate(
    run: str | Path | Detector,
    data: str | Path,
    *,
    device: str | torch.device = "cpu",
    runtime: RuntimeName = "torch",
    batch_size: int = BATCH_SIZE,
    resamples: int = RESAMPLES,
    seed: int = 0,
    progress: Progress | None = None,
) -> Evaluation:
    """Judges a detector by the pictures of ``test/`` and the masks of ``ground_truth/``, at the pictures' own sizes.

    A folder without ``ground_truth/`` has image metrics only. Nothing is skipped: metrics of a part of a test set are not those
    of the set.

    Args:
        run: folder of a run, or a detector.
        data: folder in the MVTec AD layout.
        device, runtime: where a run is run; see ``prediction.load``.
        batch_size: pictures of one pass.
        resamples: of the bootstrap; 0 for no intervals.
        seed: of the bootstrap.
        progress: called with how many pictures are done, and how many there are.

    Raises:
        InputError: the run cannot be used.
        LeakageError: the detector has learned from a picture of the test set, and was not trained as ``leaky``.
        ImageError: there is no test set, a picture or mask cannot be read, or one is there without the other.
    """
    root = Path(data)
    files = read_test_set(root)
    detector = run if isinstance(run, Detector) else load(run, device, runtime)
    judged: list[Judged] = []
    pixels: list[PicturePixels] = []
    totals = {kind: PixelTotals() for kind in sorted({file.kind for file in files} | {NORMAL_KIND})}
    with_masks = any(file.mask is not None for file in files)
    left = iter(files)
    while batch := list(islice(left, batch_size)):
        read = [_read(file) for file in batch]
        for file, (image, mask), found in zip(batch, read, detector.predict([image for image, _ in read]), strict=True):
            name, highest = file.image.relative_to(root).as_posix(), float(found.anomaly_map.max())
            judged.append(Judged(name, file.kind, found.score, highest, found.is_anomalous, _learned(detector, name, image)))
            if with_masks:
                counted = count_pixels(found.anomaly_map, mask)
                totals[file.kind].add(counted)
                pixels.append(counted.thinned())
        if progress is not None:
            progress(len(judged), len(files))
    return _summed(root, detector, judged, pixels, totals, (resamples, seed))


def read_test_set(root: Path) -> list[LabelledPicture]:
    """The pictures of ``test/``, sorted by kind and name, with their masks where there is a ``ground_truth/``.

    Raises:
        ImageError: there is no ``test/`` or nothing in it, or a mask or a picture is there without the other.
    """
    if not (root / "test").is_dir():
        raise ImageError(
            f"dataset {str(root)!r} has no test/: give a folder in the MVTec AD layout (test/<kind>, ground_truth)"
        )
    if not (root / "ground_truth").is_dir():
        found = _without_masks(root)
    else:
        found = [picture for picture in read_mvtec(root) if picture.split == "test"]
        _check_masks(root, found)
    if not found:
        raise ImageError(f"dataset {str(root)!r} has no pictures in test/<kind>: it needs the MVTec AD layout")
    return found


def metrics_table(evaluation: Evaluation) -> Table:
    """For a terminal: every metric of all pictures, with its 95 % interval."""
    from rich.table import Table

    defects = sum(picture.defective for picture in evaluation.pictures)
    normals = len(evaluation.pictures) - defects
    caption = f"{defects} defective, {normals} normal pictures; - : not defined"
    table = Table(
        title=evaluation.data.name, caption=caption if evaluation.warning is None else f"{evaluation.warning}\n{caption}"
    )
    table.add_column("metric", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("95 %", justify="right", no_wrap=True)
    for name, metric in evaluation.overall.named().items():
        value = "-" if metric.value is None else f"{metric.value:.4f}"
        table.add_row(NAMES[name], value, "-" if metric.low is None else f"{metric.low:.3f} to {metric.high:.3f}")
    return table


def kinds_table(evaluation: Evaluation) -> Table:
    """For a terminal: a row for each kind of defect, judged against all normal pictures, and a column for each metric."""
    from rich.table import Table

    table = Table(title="each kind against the normal pictures")
    table.add_column("defects", overflow="fold")
    table.add_column("n", justify="right", no_wrap=True)
    for name in NAMES.values():
        table.add_column(name.replace(" ", "\n").replace("-max", ""), justify="right", no_wrap=True)
    for kind, metrics in evaluation.kinds.items():
        values = (metric.value for metric in metrics.named().values())
        count = sum(picture.kind == kind for picture in evaluation.pictures)
        table.add_row(kind, str(count), *("-" if value is None else f"{value:.3f}" for value in values))
    return table


def _without_masks(root: Path) -> list[LabelledPicture]:
    kinds = sorted(folder.name for folder in (root / "test").iterdir() if folder.is_dir())
    return [LabelledPicture(path, kind, "test") for kind in kinds for path in find_images(root / "test" / kind)]


def _check_masks(root: Path, pictures: Sequence[LabelledPicture]) -> None:
    """Every mask belongs to a picture (that every defective picture has a mask, the reader has made sure of)."""
    used = {picture.mask for picture in pictures}
    lone = [path for path in find_images(root / "ground_truth") if path not in used]
    if lone:
        name = lone[0].relative_to(root).as_posix()
        raise ImageError(
            f"dataset {str(root)!r} has {len(lone)} masks without a picture, such as {name!r}: add test/<kind>/<name>, "
            "or remove the masks"
        )


def _read(file: LabelledPicture) -> tuple[AnyImage, Mask | None]:
    if file.mask is not None:
        return read_labelled(file)
    return split_alpha(read_image(file.image))[0], None


def _learned(detector: Detector, name: str, image: AnyImage) -> bool:
    config = detector.config
    learned = bool(config.learned) and content_hash(image)[:HASH_DIGITS] in config.learned
    if learned and not config.leaky:
        raise LeakageError(
            f"the detector has learned from {name!r} of this test set: its metrics would say nothing. Train it without that "
            "defect, or with --protocol leaky, and every result is marked so"
        )
    return learned


def _summed(
    root: Path,
    detector: Detector,
    judged: Sequence[Judged],
    pixels: Sequence[PicturePixels],
    totals: dict[str, PixelTotals],
    bootstrap: tuple[int, int],
) -> Evaluation:

    def of(kinds: Sequence[str]) -> tuple[Metrics, PixelCounts | None]:
        chosen = [place for place, picture in enumerate(judged) if picture.kind in (*kinds, NORMAL_KIND)]
        some = [judged[place] for place in chosen]
        counts = sum((totals[kind] for kind in kinds), totals[NORMAL_KIND]).counts() if pixels else None
        metrics = measure(
            [picture.score for picture in some],
            [picture.defective for picture in some],
            counts,
            [pixels[place] for place in chosen] if pixels else (),
            resamples=bootstrap[0],
            seed=bootstrap[1],
        )
        return metrics, counts

    kinds = [kind for kind in totals if kind != NORMAL_KIND]
    overall, counts = of(kinds)
    return Evaluation(
        root,
        overall,
        {kind: of([kind])[0] for kind in kinds},
        tuple(judged),
        _rates(detector, judged),
        counts,
        detector.config.leaky,
    )


def _rates(detector: Detector, judged: Sequence[Judged]) -> Rates | None:
    if detector.calibration is None:
        return None
    normal = [picture for picture in judged if not picture.defective]
    defective = [picture for picture in judged if picture.defective]
    return Rates(
        threshold=detector.calibration.image.threshold,
        normals=len(normal),
        alarms=sum(bool(picture.flagged) for picture in normal),
        defects=len(defective),
        found=sum(bool(picture.flagged) for picture in defective),
    )
