"""A trained detector in use: one picture in, or a folder of them; score, anomaly map and verdict out."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
import torch

from defectsynth.errors import ImageError, InputError
from defectsynth.files import list_images, read_image, write_bytes, write_image
from defectsynth.images import AnyImage, Mask, check_image, convert, resize_image, split_alpha
from lkad_models.overlays import WHOLE, Scale, overlay, scale_around
from lkad_models.run import RunConfig, load_model, read_config
from lkad_models.runtimes import Runtime, TorchRuntime, open_onnx
from lkad_models.thresholds import Calibration, read_calibration

__all__ = ["SCORES_FILE", "Detector", "FolderResult", "Prediction", "Skipped", "load", "predict_folder"]

SCORES_FILE = "scores.csv"
BATCH_SIZE = 8
"""Pictures of one pass; chosen: more are not faster on a CPU."""

RuntimeName = Literal["torch", "onnx"]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a detector says of one picture.

    Attributes:
        score: in [0, 1], higher where more anomalous.
        anomaly_map: ``(H, W)`` float32 in [0, 1], at the picture's own size.
        mask: ``(H, W)`` uint8, 255 where the map reaches the run's pixel threshold; None where the run was not calibrated.
        is_anomalous: whether the score reaches the run's image threshold; None where the run was not calibrated.
        reconstruction: ``(h, w, C)`` float32 in [0, 1], at the size that the detector sees.
    """

    score: float
    anomaly_map: npt.NDArray[np.float32]
    mask: Mask | None
    is_anomalous: bool | None
    reconstruction: npt.NDArray[np.float32]


class Detector:
    """A detector that takes pictures as they come.

    Args:
        runtime: what runs it.
        config: of its run.
        calibration: its thresholds; None for scores and maps alone.
    """

    def __init__(self, runtime: Runtime, config: RunConfig, calibration: Calibration | None = None) -> None:
        self._runtime = runtime
        self.config, self.calibration = config, calibration

    @property
    def heat_scale(self) -> Scale:
        """Of heat maps: the pixel threshold is in its middle, where there is one."""
        found = self.calibration
        return WHOLE if found is None else scale_around(found.background, found.pixel.threshold)

    def __call__(self, image: AnyImage) -> Prediction:
        """What it says of one picture: ``(H, W)`` or ``(H, W, C)``; uint8, uint16, or float32 in [0, 1]; any size.

        Raises:
            ImageError: the picture breaks that contract.
        """
        return self.predict([image])[0]

    def predict(self, images: Sequence[AnyImage]) -> list[Prediction]:
        """What it says of several pictures in one pass; they may differ in size, type and channels.

        Raises:
            ImageError: a picture breaks the contract.
        """
        if not images:
            return []
        found = self._runtime(np.stack([self._prepared(image) for image in images]))
        rows = zip(images, found.maps, found.scores, found.reconstructions, strict=True)
        return [self._prediction(image, small, score, repaired) for image, small, score, repaired in rows]

    def _prepared(self, image: AnyImage) -> npt.NDArray[np.float32]:
        """``(C, h, w)`` as the detector was trained: resized in the picture's own type, then converted."""
        resized = resize_image(check_image(image), self.config.resize)
        channels = self.config.model.channels
        return np.ascontiguousarray(convert(resized, np.float32, channels).transpose(2, 0, 1))

    def _prediction(
        self,
        image: AnyImage,
        small: npt.NDArray[np.float32],
        score: np.float32,
        reconstruction: npt.NDArray[np.float32],
    ) -> Prediction:
        height, width = image.shape[:2]
        same = small.shape == (height, width)
        full = small if same else cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
        anomaly_map = np.asarray(full, dtype=np.float32).reshape(height, width)
        mask, verdict = None, None
        if self.calibration is not None:
            mask = np.where(anomaly_map >= np.float32(self.calibration.pixel.threshold), np.uint8(255), np.uint8(0))
            verdict = bool(score >= np.float32(self.calibration.image.threshold))
        return Prediction(float(score), anomaly_map, mask, verdict, reconstruction.transpose(1, 2, 0))


def load(
    run: str | Path, device: str | torch.device = "cpu", runtime: RuntimeName = "torch", *, thresholds: bool = True
) -> Detector:
    """The detector of a run, with its thresholds where it was calibrated.

    Args:
        run: the folder.
        device: ``cpu``, ``cuda``, ...
        runtime: ``torch``, or ``onnx`` for what ``lkad export`` wrote into the folder.
        thresholds: whether they are read; without them there are scores and maps alone.

    Raises:
        InputError: a file is missing, damaged or of another detector, or the device is not there.

    >>> detector = load("runs/screws")  # doctest: +SKIP
    >>> detector(np.zeros((480, 640, 3), np.uint8)).anomaly_map.shape  # doctest: +SKIP
    (480, 640)
    """
    folder = Path(run)
    check_device(device)
    made: Runtime
    if runtime == "onnx":
        config = read_config(folder)
        made = open_onnx(folder, config, device)
    else:
        model, config = load_model(folder)
        made = TorchRuntime(model, device)
    return Detector(made, config, read_calibration(folder) if thresholds else None)


def check_device(device: str | torch.device) -> None:
    """Raises ``InputError`` where torch knows no such device, or this machine has none."""
    try:
        wanted = torch.device(device)
        torch.empty(1, device=wanted)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        said = str(error).splitlines()[0]
        raise InputError(f"device {str(device)!r} cannot be used ({said}): use cpu, or cuda where there is a GPU") from None


# --- a folder of pictures ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that could not be read.

    Attributes:
        name: its path within the folder.
        reason: why.
    """

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class FolderResult:
    """What was found in a folder.

    Attributes:
        out: where it was written.
        pictures: how many were predicted.
        anomalous: how many of them the image threshold flags; None where the run was not calibrated.
        skipped: files that could not be read.
    """

    out: Path
    pictures: int
    anomalous: int | None
    skipped: tuple[Skipped, ...]


def predict_folder(
    detector: Detector,
    folder: str | Path,
    out: str | Path,
    *,
    batch_size: int = BATCH_SIZE,
    overlays: bool = True,
    progress: Progress | None = None,
) -> FolderResult:
    """Predicts every picture below a folder; never more than a batch of them is in memory.

    Writes ``scores.csv`` (name, score, anomalous, error), ``overlays/*.png``, and ``masks/*.png`` where the run was calibrated;
    masks and overlays have the names and sizes of their pictures. A file that cannot be read is reported and left out.

    Args:
        detector: what ``load`` gave.
        folder: of the pictures.
        out: where to write; not below ``folder``, or its pictures would be among the next ones.
        batch_size: pictures of one pass.
        overlays: whether to write them.
        progress: called with how many files are done, and how many there are.

    Raises:
        InputError: ``out`` lies below ``folder``.
        ImageError: the folder is missing or holds no picture.
        StorageError: something cannot be written.
    """
    root, to = Path(folder), Path(out)
    if to.resolve().is_relative_to(root.resolve()):
        raise InputError(f"out {str(to)!r} lies in {str(root)!r}, where pictures are read: choose a folder outside")
    files = list_images(root)
    names, rows, skipped, anomalous = _names(files, root), [], [], 0
    for batch in _batches(files, batch_size):
        images, reasons = _read(batch)
        predictions = iter(detector.predict([image for image in images if image is not None]))
        for path, image, reason in zip(batch, images, reasons, strict=True):
            name = path.relative_to(root).as_posix()
            if image is None:
                skipped.append(Skipped(name, reason))
                rows.append((name, "", "", reason))
                continue
            found = next(predictions)
            anomalous += bool(found.is_anomalous)
            rows.append((name, f"{found.score:.6g}", "" if found.is_anomalous is None else str(int(found.is_anomalous)), ""))
            if found.mask is not None:
                write_image(to / "masks" / names[path], found.mask)
            if overlays:
                drawn = overlay(image, found.anomaly_map, found.mask, scale=detector.heat_scale)
                write_image(to / "overlays" / names[path], drawn)
        if progress is not None:
            progress(len(rows), len(files))
    write_bytes(to / SCORES_FILE, _as_csv(rows))
    flagged = None if detector.calibration is None else anomalous
    return FolderResult(to, len(files) - len(skipped), flagged, tuple(skipped))


def _batches(files: Sequence[Path], size: int) -> Iterator[list[Path]]:
    left = iter(files)
    while batch := list(islice(left, size)):
        yield batch


def _read(batch: Sequence[Path]) -> tuple[list[AnyImage | None], list[str]]:
    """The pictures without their alpha, None for those that cannot be read, and why."""
    images: list[AnyImage | None] = []
    reasons = []
    for path in batch:
        try:
            images.append(check_image(split_alpha(read_image(path))[0], f"picture {str(path)!r}"))
            reasons.append("")
        except ImageError as error:
            images.append(None)
            reasons.append(str(error))
    return images, reasons


def _names(files: Sequence[Path], root: Path) -> dict[Path, str]:
    """Where each picture's PNG goes: its own name, with its suffix too where another picture has the same name but for it."""
    plain = [path.relative_to(root).with_suffix("").as_posix() for path in files]
    often = {name for name in plain if plain.count(name) > 1} if len(set(plain)) < len(plain) else set()
    return {
        path: f"{path.relative_to(root).as_posix() if name in often else name}.png"
        for path, name in zip(files, plain, strict=True)
    }


def _as_csv(rows: Sequence[tuple[str, str, str, str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("name", "score", "anomalous", "error"))
    writer.writerows(rows)
    return text.getvalue().encode()
