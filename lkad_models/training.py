"""Training: normal pictures are painted on the device, and the detector learns to repair them and to say where they were."""

from __future__ import annotations

import logging
import math
import os
import warnings
from pathlib import Path
from time import monotonic
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor
from torch.utils.data import DataLoader

from defectsynth.errors import DefectSynthError, InputError
from lkad_models.data import EpochNumbers, NormalPictures, TrainingSamples, held_out, normal_files
from lkad_models.deep_features import BackboneFeatures
from lkad_models.detector import LKAD, LKADConfig
from lkad_models.losses import Losses, LossWeights, defect_map_loss, feature_loss, reconstruction_loss
from lkad_models.painter import Painter, Protocol
from lkad_models.run import save_run
from lkad_models.sheets import save_sheet
from lkad_models.stream import Painted, Stream

__all__ = ["TrainingConfig", "TrainingError", "is_first_process", "train"]

VALIDATION_SEED = 2**63
"""Added to the seed for what is painted into held-out pictures: no sample of training has it."""
PAPER_EPOCHS, PAPER_STEPS_DOWN = 700, (400, 600)
CHECKPOINT = "last.ckpt"


class TrainingError(DefectSynthError):
    """Training cannot go on."""


class TrainingConfig(BaseModel):
    """How a detector is trained.

    Attributes:
        data: folder in the MVTec AD layout; only its ``train/good`` is looked at.
        out: folder of the run.
        recipe: a preset or a file.
        textures, defects, masks: what the recipe draws from; defects of one product or of many, see ``painter.Painter``.
        model: the detector.
        picture_size: side that pictures are brought to; where it is larger than ``model.image_size``, squares of that side are
            cut from them to learn from. None for ``model.image_size``.
        backbone_weights: of the detector's backbone, if it has one; None for those that ``timm`` downloads.
        schedule: ``paper``: Adam, 1e-4, a tenth after 400 and a hundredth after 600 of 700 epochs of all pictures;
            ``fast``: one cycle up to ``learning_rate`` and down to nothing (chosen).
        learning_rate: None for 1e-4 (``paper``, stated) or 2e-3 (``fast``, chosen).
        max_steps: of ``fast``.
        max_minutes: after which ``fast`` has come to its end, whatever it has done; None for no limit.
        batch_size: the paper: 8 (chosen by DESIGN; DRAEM's).
        epoch_steps: steps between two validations and checkpoints.
        rotation: degrees that normal pictures are turned by, up to, either way; stated in the paper, the amount is DRAEM's.
        loss_weights: of reconstruction, features and defect map; the paper's.
        regression: see ``losses.defect_map_loss``.
        held_out: share of the normal pictures that is kept for validation. Chosen.
        exclude: folders whose pictures no source may share.
        protocol: see ``painter.Protocol``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: Path
    out: Path
    recipe: str = "draem-code"
    textures: str | None = None
    defects: Path | None = None
    masks: Path | None = None
    settings: tuple[str, ...] = ()
    model: LKADConfig = Field(default_factory=LKADConfig)
    picture_size: int | None = None
    backbone_weights: Path | None = None
    schedule: Literal["fast", "paper"] = "fast"
    learning_rate: float | None = Field(default=None, gt=0.0)
    max_steps: int = Field(default=20_000, ge=1)
    max_minutes: float | None = Field(default=None, gt=0.0)
    batch_size: int = Field(default=8, ge=1)
    epoch_steps: int = Field(default=100, ge=1)
    rotation: float = Field(default=90.0, ge=0.0, le=180.0)
    loss_weights: LossWeights = LossWeights()
    regression: float = Field(default=0.0, ge=0.0)
    held_out: float = Field(default=0.1, gt=0.0, lt=1.0)
    seed: int = Field(default=0, ge=0, lt=2**63)
    precision: Literal["32", "bf16"] = "32"
    devices: int = Field(default=1, ge=1)
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    exclude: tuple[Path, ...] = ()
    protocol: Protocol = "honest"
    progress: bool = True

    @model_validator(mode="after")
    def _check_sizes(self) -> TrainingConfig:
        if self.side < self.model.image_size:
            raise ValueError(
                f"squares of {self.model.image_size} pixels cannot be cut from pictures of {self.side}: cut smaller ones"
            )
        return self

    @property
    def side(self) -> int:
        """Of the pictures, in pixels."""
        return self.picture_size or self.model.image_size

    @property
    def crop(self) -> int | None:
        """Side of the squares that are cut from the pictures; None where they are whole."""
        return self.model.image_size if self.side > self.model.image_size else None


class Pictures(L.LightningDataModule):
    """Held-out and other normal pictures of a folder, as numbered samples."""

    def __init__(self, config: TrainingConfig) -> None:
        super().__init__()
        self._config = config
        size = (config.side, config.side)
        files, kept = held_out(normal_files(config.data), config.held_out, config.seed)
        foreground = painter_of(config).foreground
        self.learned = NormalPictures(files, size, config.model.channels, foreground)
        self.kept = NormalPictures(kept, size, config.model.channels, foreground)
        for pictures in (self.learned, self.kept):
            pictures.check_regions()

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor, int]]:
        """One epoch; Lightning asks for another one after each."""
        assert self.trainer is not None
        samples = TrainingSamples(self.learned, self._config.seed, rotation=self._config.rotation, crop=self._config.crop)
        numbers = EpochNumbers(
            self.trainer.current_epoch,
            self._config.epoch_steps,
            self._config.batch_size,
            self.trainer.global_rank,
            self.trainer.world_size,
        )
        return DataLoader(samples, batch_sampler=numbers)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Tensor, int]]:
        """Every held-out picture twice: as it is or painted, as the recipe draws it."""
        samples = TrainingSamples(self.kept, self._config.seed, rotation=0.0, crop=self._config.crop)
        numbers = range(max(2 * len(self.kept), 16))
        return DataLoader(samples, batch_size=self._config.batch_size, sampler=numbers)


class Learner(L.LightningModule):
    """One step of training, and what is looked at after each epoch.

    Args:
        config: see ``TrainingConfig``.
        pictures: how many are learned from.
    """

    def __init__(self, config: TrainingConfig, pictures: int) -> None:
        super().__init__()
        self.config, self.pictures = config, pictures
        self.share_of_time = 0.0
        self.model = LKAD(config.model).to(memory_format=torch.channels_last)
        self._streams: dict[str, Stream] = {}
        self._validated: list[tuple[Tensor, Tensor]] = []

    def configure_optimizers(self) -> Any:
        """Adam, and the schedule by step."""
        rate = self.config.learning_rate or (1e-4 if self.config.schedule == "paper" else 2e-3)
        parameters = [one for one in self.model.parameters() if one.requires_grad]
        optimizer = torch.optim.Adam(parameters, rate)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], number: int) -> Tensor:
        """The loss of one batch."""
        painted = self._painted("training", *batch)
        losses = self._losses(painted)
        total = losses.total(self.config.loss_weights)
        if not bool(torch.isfinite(total)):
            raise TrainingError(
                f"the loss is {float(total.detach())} at step {self.global_step}: lower --learning-rate (it is "
                f"{self.optimizers().param_groups[0]['lr']:.2g}), or train with --precision 32; the last checkpoint is kept"  # type: ignore[union-attr]
            )
        self.log_dict({f"train/{name}": term for name, term in losses._asdict().items()} | {"train/loss": total})
        return total

    def on_train_batch_end(self, outputs: Any, batch: Any, number: int) -> None:
        """The twin follows the encoder."""
        self.model.after_step()

    def validation_step(self, batch: tuple[Tensor, Tensor, Tensor], number: int) -> None:
        """Maps of held-out pictures, painted or not."""
        painted = self._painted("validation", *batch)
        found = self.model(_channels_last(painted.images))
        self.log_dict({f"val/{name}": term for name, term in self._losses(painted)._asdict().items()}, sync_dist=True)
        self._validated.append((found.image_score.cpu(), painted.masks.flatten(1).amax(1).cpu()))
        if number == 0 and self.trainer.is_global_zero and not self.trainer.sanity_checking:
            save_sheet(self.config.out / "sheets" / f"step_{self.global_step:06d}.png", painted, found)

    def on_validation_epoch_end(self) -> None:
        """Image AUROC on held-out pictures."""
        from torchmetrics.functional.classification import binary_auroc

        scores, labels = (torch.cat(parts) for parts in zip(*self._validated, strict=True))
        self._validated.clear()
        self.log("val/image_auroc", binary_auroc(scores, labels.long()), prog_bar=True, sync_dist=True)

    def _painted(self, purpose: str, images: Tensor, regions: Tensor, numbers: Tensor) -> Painted:
        if purpose not in self._streams:
            seed = self.config.seed + (VALIDATION_SEED if purpose == "validation" else 0)
            self._streams[purpose] = painter_of(self.config).stream(seed, self.device)
        return self._streams[purpose](images, regions, numbers)

    def _losses(self, painted: Painted) -> Losses:
        found = self.model.repair(_channels_last(painted.images))
        return Losses(
            reconstruction_loss(found.reconstruction.float(), painted.normal),
            self._feature_loss(found.features, painted.normal),
            defect_map_loss(found.logits.float(), painted.masks, painted.defect_maps, self.config.regression),
        )

    def _feature_loss(self, own: list[Tensor], normal: Tensor) -> Tensor:
        return feature_loss(own, self.model.features_of(_channels_last(normal))) if own else normal.new_zeros(())

    def _factor(self, step: int) -> float:
        """Of the learning rate."""
        if self.config.schedule == "paper":
            return paper_steps(step * self.config.batch_size * self.config.devices / self.pictures)
        return one_cycle(max(step / self.config.max_steps, self.share_of_time))


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
    learned = painter_of(config).learned()
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


def painter_of(config: TrainingConfig) -> Painter:
    """What paints the samples of a run."""
    return Painter.of_training(config.model_dump(mode="json", exclude={"model"}))


def is_first_process() -> bool:
    """Whether this is the only process, or the first of those that train together."""
    return os.environ.get("LOCAL_RANK", "0") == "0"  # set by Lightning in every process that it starts


def one_cycle(share: float, *, warm_up: float = 0.1) -> float:
    """Of the largest learning rate, at a share of the training: up in a straight line, down in a cosine to nothing (chosen)."""
    share = min(share, 1.0)
    if share < warm_up:
        return 0.04 + 0.96 * share / warm_up
    return 0.5 * (1.0 + math.cos(math.pi * (share - warm_up) / (1.0 - warm_up)))


def paper_steps(epoch: float) -> float:
    """Of the first learning rate: a tenth from epoch 400 on, a hundredth from 600 on."""
    return float(0.1 ** sum(epoch >= down for down in PAPER_STEPS_DOWN))


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


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)
