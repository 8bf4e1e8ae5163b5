"""How a detector is trained: every value that can be chosen, and where its default comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lkad_models.detector import LKADConfig
from lkad_models.losses import LossWeights
from lkad_models.painter import Painter, Protocol

__all__ = ["TrainingConfig"]


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

    @property
    def painter(self) -> Painter:
        """What paints the samples."""
        return Painter.of_training(self.model_dump(mode="json", exclude={"model"}))
