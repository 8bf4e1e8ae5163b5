"""Training: a run from its first step, or from its last checkpoint, to its weights on disk."""

from __future__ import annotations

import logging
import math
import os
import warnings
from pathlib import Path
from time import monotonic
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from defectsynth.errors import InputError
from lkad_models.deep_features import BackboneFeatures
from lkad_models.learner import PAPER_EPOCHS, Learner, Pictures, TrainingError
from lkad_models.run import save_run
from lkad_models.training_config import TrainingConfig

__all__ = ["is_first_process", "train"]

CHECKPOINT = "last.ckpt"


def train(config: TrainingConfig, *, resume: bool = False) -> Path:
    """Trains a detector and writes its run.

    Args:
        config: see ``TrainingConfig``.
        resume: goes on from the run's last checkpoint, step by step as if it had not been interrupted.

    Returns:
        the run's folder.

    Raises:
        InputError: the data, the sources or the run cannot be used.
        LeakageError: a real defect to learn from is in the test set.
        TrainingError: the loss is no number, or the memory does not suffice; the last checkpoint is kept.
        KeyboardInterrupt: the user ended it; what was learned so far is written, and the last checkpoint is kept.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # what devices there are not, and an advertisement
    checkpoint = _checkpoint(config.out, resume)
    _check_devices(config)
    config.out.mkdir(parents=True, exist_ok=True)
    learned = config.painter.learned()
    L.seed_everything(config.seed % 2**32, verbose=False)
    pictures = Pictures(config)
    learner = Learner(config, len(pictures.learned))
    if checkpoint is None and isinstance(learner.model.features, BackboneFeatures):
        learner.model.features.load_pretrained(config.backbone_weights)
    trainer = _trainer(config, len(pictures.learned))
    interrupted = False
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Checkpoint directory")  # that it is there: we are going on from it
            warnings.filterwarnings("ignore", message=".*LeafSpec")  # between Lightning and torch
            trainer.fit(learner, datamodule=pictures, ckpt_path=checkpoint, weights_only=True)
    except SystemExit:  # what Lightning makes of an interruption
        interrupted = True
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise TrainingError(
            f"the memory does not suffice ({str(error).splitlines()[0]}): lower --batch-size (it is {config.batch_size}), "
            f"--image-size ({config.side}), --crop ({config.model.image_size}) or --size ({config.model.size})"
        ) from None
    if trainer.is_global_zero:
        save_run(config.out, learner.model, (config.side,) * 2, _as_json(config, trainer.global_step), learned)
    if interrupted:
        raise KeyboardInterrupt
    return config.out


def is_first_process() -> bool:
    """Whether this is the only process, or the first of those that train together."""
    return os.environ.get("LOCAL_RANK", "0") == "0"  # set by Lightning in every process that it starts


class Clock(L.Callback):
    """Ends training when its minutes are over, those before a resumption counted, and tells the schedule how far they are."""

    def __init__(self, minutes: float | None) -> None:
        self._allowed = None if minutes is None else 60.0 * minutes
        self._before, self._started = 0.0, monotonic()

    @property
    def seconds(self) -> float:
        """Of training, so far."""
        return self._before + monotonic() - self._started

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Begins to count."""
        self._started = monotonic()

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, *arguments: Any) -> None:
        """Looks at the clock."""
        if self._allowed is not None and isinstance(module, Learner):
            module.share_of_time = self.seconds / self._allowed
            trainer.should_stop = trainer.should_stop or module.share_of_time >= 1.0

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        self._before = float(state["seconds"])


class Bar(RichProgressBar):
    """A progress bar that does not count to a last epoch: training ends by steps or minutes."""

    def _get_train_description(self, current_epoch: int) -> str:
        return f"epoch {current_epoch + 1}"


def _trainer(config: TrainingConfig, pictures: int) -> L.Trainer:
    steps = config.max_steps
    if config.schedule == "paper":
        steps = math.ceil(PAPER_EPOCHS * pictures / (config.batch_size * config.devices))
    callbacks: list[L.Callback] = [
        Clock(config.max_minutes),
        ModelCheckpoint(
            config.out / "checkpoints", filename="last", save_on_train_epoch_end=True, enable_version_counter=False
        ),
    ]
    callbacks += [Bar()] if config.progress else []
    logs = config.out / "logs"
    started = str(len(list(logs.iterdir())) if logs.is_dir() else 0)  # a resumed run adds a folder
    return L.Trainer(
        accelerator=config.accelerator,
        devices=config.devices,
        precision="bf16-mixed" if config.precision == "bf16" else "32-true",
        max_steps=steps,
        callbacks=callbacks,
        logger=[CSVLogger(logs, name="", version=started), TensorBoardLogger(str(logs), name="", version=started)],
        reload_dataloaders_every_n_epochs=1,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        enable_progress_bar=config.progress,
        enable_model_summary=False,
    )


def _check_devices(config: TrainingConfig) -> None:
    """Raises ``InputError`` where what is to be trained on is not there."""
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if config.accelerator == "cuda" and found < config.devices:
        raise InputError(
            f"{config.devices} GPUs are asked for and {found} are there: give --accelerator cpu, or fewer --devices"
        )


def _checkpoint(out: Path, resume: bool) -> Path | None:
    """What training goes on from.

    Raises:
        InputError: there is none to go on from, or one that would be written over.
    """
    path = out / "checkpoints" / CHECKPOINT
    if resume and not path.is_file():
        raise InputError(f"{str(out)!r} has no checkpoint to go on from: leave --resume out, or wait for the first epoch's end")
    if not resume and path.is_file():
        raise InputError(f"{str(out)!r} holds a run: go on with --resume, or give another --out")
    return path if resume else None


def _as_json(config: TrainingConfig, steps: int) -> dict[str, Any]:
    return {**config.model_dump(mode="json", exclude={"model", "progress"}), "steps": steps}
