"""What is learned in a step: normal pictures are painted on the device, repaired, and the defects found in them."""

from __future__ import annotations

import math
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from defectsynth.errors import DefectSynthError
from lkad_models.data import EpochNumbers, NormalPictures, TrainingSamples, held_out, normal_files
from lkad_models.detector import LKAD
from lkad_models.losses import Losses, defect_map_loss, feature_loss, reconstruction_loss
from lkad_models.sheets import save_sheet
from lkad_models.stream import Painted, Stream
from lkad_models.training_config import TrainingConfig

__all__ = ["PAPER_EPOCHS", "Learner", "Pictures", "TrainingError", "one_cycle", "paper_steps"]

VALIDATION_SEED = 2**63
"""Added to the seed for what is painted into held-out pictures: no sample of training has it."""
PAPER_EPOCHS, PAPER_STEPS_DOWN = 700, (400, 600)


class TrainingError(DefectSynthError):
    """Training cannot go on."""


class Pictures(L.LightningDataModule):
    """Held-out and other normal pictures of a folder, as numbered samples."""

    def __init__(self, config: TrainingConfig) -> None:
        super().__init__()
        self._config = config
        size = (config.side, config.side)
        files, kept = held_out(normal_files(config.data), config.held_out, config.seed)
        foreground = config.painter.foreground
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
            self._streams[purpose] = self.config.painter.stream(seed, self.device)
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


def one_cycle(share: float, *, warm_up: float = 0.1) -> float:
    """Of the largest learning rate, at a share of the training: up in a straight line, down in a cosine to nothing (chosen)."""
    share = min(share, 1.0)
    if share < warm_up:
        return 0.04 + 0.96 * share / warm_up
    return 0.5 * (1.0 + math.cos(math.pi * (share - warm_up) / (1.0 - warm_up)))


def paper_steps(epoch: float) -> float:
    """Of the first learning rate: a tenth from epoch 400 on, a hundredth from 600 on."""
    return float(0.1 ** sum(epoch >= down for down in PAPER_STEPS_DOWN))


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)
