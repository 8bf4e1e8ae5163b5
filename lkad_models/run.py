"""A run on disk: weights as safetensors, and beside them, as JSON, what the detector is and how it was trained.

RUN/
  config.json           the detector (``LKADConfig``), the picture size, how it was trained
  weights.safetensors   its parameters
  threshold.json        from ``lkad calibrate``
  checkpoints/          what training goes on from
  logs/, sheets/        what happened
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from defectsynth import __version__
from defectsynth.errors import InputError
from defectsynth.files import write_bytes
from lkad_models.detector import LKAD, LKADConfig

__all__ = ["CONFIG", "THRESHOLD", "WEIGHTS", "RunConfig", "load_model", "read_config", "save_run"]

CONFIG, WEIGHTS, THRESHOLD = "config.json", "weights.safetensors", "threshold.json"


class RunConfig(BaseModel):
    """What ``config.json`` holds.

    Attributes:
        version: of the package that wrote it.
        model: what the detector is built from.
        resize: height and width that pictures are brought to before the detector sees them.
        training: how it was trained, as it was asked for.
        learned: the first digits of the content hash of each real defect that it has seen.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str = __version__
    model: LKADConfig
    resize: tuple[int, int]
    training: dict[str, Any] = Field(default_factory=dict)
    learned: tuple[str, ...] = ()

    @property
    def leaky(self) -> bool:
        """Whether it may have learned from its own test set: its metrics say nothing of unseen defects."""
        return self.training.get("protocol") == "leaky"


def save_run(
    folder: Path, model: LKAD, resize: tuple[int, int], training: Mapping[str, Any], learned: Sequence[str] = ()
) -> None:
    """Writes configuration and weights; each file is there whole, or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    config = RunConfig(model=model.config, resize=resize, training=dict(training), learned=tuple(learned))
    state = {name: tensor.detach().contiguous().cpu() for name, tensor in model.state_dict().items()}
    write_bytes(folder / WEIGHTS, save(state))
    write_bytes(folder / CONFIG, (config.model_dump_json(indent=2) + "\n").encode())


def read_config(folder: Path) -> RunConfig:
    """The configuration of a run.

    Raises:
        InputError: there is none, or it is not one.
    """
    path = folder / CONFIG
    try:
        return RunConfig.model_validate(json.loads(path.read_text()))
    except FileNotFoundError:
        raise InputError(f"{str(folder)!r} is no run: it has no {CONFIG}; give the folder of `lkad train --out`") from None
    except (ValidationError, ValueError) as error:
        raise InputError(f"{str(path)!r} cannot be read: {error}; train again, or restore the file") from None


def load_model(folder: str | Path, device: str | torch.device = "cpu") -> tuple[LKAD, RunConfig]:
    """The detector of a run, in evaluation mode, and its configuration. Nothing is ever unpickled.

    Raises:
        InputError: a file is missing or damaged, or the weights are those of another detector.
    """
    folder = Path(folder)
    config, path = read_config(folder), folder / WEIGHTS
    try:
        state = load_file(path)
    except FileNotFoundError:
        raise InputError(f"{str(folder)!r} has no {WEIGHTS}: training has not ended, or the file was lost") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(
            f"{str(path)!r} is not a file of safetensors, or damaged: {error}; pickled weights are not read"
        ) from None
    model = LKAD(config.model)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(
            f"{str(path)!r} holds the weights of another detector than {CONFIG} says ({config.model.size}, "
            f"{config.model.channels} channels): {str(error).splitlines()[1].strip()[:200]}"
        ) from None
    return model.eval().to(device), config
