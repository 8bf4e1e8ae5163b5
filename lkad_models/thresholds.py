"""``threshold.json`` of a run: from which score on a picture, and from which value on a pixel, is called anomalous."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from defectsynth.errors import InputError
from defectsynth.files import write_bytes
from lkad_models.run import THRESHOLD, WEIGHTS, read_config

__all__ = ["Calibration", "Limit", "Recall", "RecallCell", "detector_hash", "read_calibration", "write_calibration"]


class Limit(BaseModel):
    """One threshold, and what it promises.

    Attributes:
        threshold: what is at or above it is anomalous.
        alarms: how many of the normal pictures it was set by are.
        promised: share of normal pictures that it flags at most, with the confidence of the calibration.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: float
    alarms: int = Field(ge=0)
    promised: float = Field(gt=0.0, le=1.0)


class RecallCell(BaseModel):
    """Synthetic defects of one range of area and contrast.

    Attributes:
        area, contrast: range ``(low, high)``, as ``defectsynth stats`` measures them.
        defects: how many there are.
        found: how many of them the image threshold flags.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    area: tuple[float, float]
    contrast: tuple[float, float]
    defects: int = Field(ge=0)
    found: int = Field(ge=0)


class Recall(BaseModel):
    """What is found of synthetic defects painted into the normal pictures of a calibration.

    Attributes:
        recipe: what they were drawn by.
        cells: by quartile of area, and within it by quartile of contrast.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: str
    cells: tuple[RecallCell, ...]


class Calibration(BaseModel):
    """What ``threshold.json`` holds.

    Attributes:
        detector: that it is for, see ``detector_hash``.
        fpr: the false positive rate that was asked for.
        confidence: of both promises, each by itself.
        normals: how many normal pictures it was set by.
        image: of image scores.
        pixel: of anomaly maps; an alarm is a normal picture with any pixel at or above it.
        background: median over the normal pictures of the median of their maps; heat maps begin there.
        recall: None where none was measured.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    detector: str
    fpr: float = Field(gt=0.0, lt=1.0)
    confidence: float = Field(gt=0.0, lt=1.0)
    normals: int = Field(ge=1)
    image: Limit
    pixel: Limit
    background: float = Field(ge=0.0, le=1.0)
    recall: Recall | None = None

    @property
    def kept(self) -> bool:
        """Whether both thresholds promise what was asked for."""
        return max(self.image.promised, self.pixel.promised) <= self.fpr


def detector_hash(run: Path) -> str:
    """SHA-256 of all that decides a score, as hexadecimal digits: the weights of a run, the size of its pictures, its score.

    Raises:
        InputError: there are no weights, or no configuration.
    """
    config = read_config(run)
    digest = hashlib.sha256(f"{config.resize} {config.model.score} {config.model.score_window}".encode())
    try:
        with (run / WEIGHTS).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
            return digest.hexdigest()
    except OSError as error:
        raise InputError(f"{str(run / WEIGHTS)!r} cannot be read ({error.strerror}): train again, or restore it") from None


def write_calibration(run: Path, calibration: Calibration) -> None:
    """Writes ``threshold.json``, whole or not at all."""
    write_bytes(run / THRESHOLD, (calibration.model_dump_json(indent=2) + "\n").encode())


def read_calibration(run: Path) -> Calibration | None:
    """The thresholds of a run, or None where it was not calibrated.

    Raises:
        InputError: the file is damaged, or was made for another detector.
    """
    path = run / THRESHOLD
    try:
        found = Calibration.model_validate(json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except (ValidationError, ValueError, OSError) as error:
        raise InputError(f"{str(path)!r} cannot be read: {error}; run `lkad calibrate` again, or remove it") from None
    if found.detector != detector_hash(run):
        raise InputError(f"{str(path)!r} was made for other weights or another score: run `lkad calibrate` again, or remove it")
    return found
