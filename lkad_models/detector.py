"""The whole detector: a picture in; anomaly map, image score and reconstruction out."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from lkad_models.deep_features import BackboneFeatures, FeatureSync, TwinFeatures
from lkad_models.defect_prediction import DefectPredictionNetwork
from lkad_models.large_kernel import KERNELS, LargeKernelConv
from lkad_models.reconstruction import ReconstructionNetwork
from lkad_models.scoring import WINDOW, ScoreMethod, as_maps, image_scores

__all__ = ["LKAD", "Detection", "LKADConfig", "Repaired"]

Size = Literal["tiny", "small", "base"]
_STRIDE = 32  # sides are padded to its multiples


class _Widths(NamedTuple):
    """Channels of the reconstruction's first level, and channels and blocks of the prediction's stages."""

    reconstruction: int
    prediction: tuple[int, ...]
    blocks: tuple[int, ...]


SIZES: dict[Size, _Widths] = {
    "tiny": _Widths(16, (24, 48, 96, 128), (1, 1, 2, 1)),
    "small": _Widths(32, (48, 96, 192, 256), (2, 2, 4, 2)),
    "base": _Widths(64, (96, 192, 384, 512), (2, 2, 8, 2)),
}
"""Chosen. ``base`` has RepLKNet-31B's four stages at three quarters of its width and fewer blocks."""


def reconstruction_widths(first: int, image_size: int, smallest_map: int) -> tuple[int, ...]:
    """Channels of each level of the reconstruction: as many levels as bring a picture to the smallest map, and never above
    eight times the first."""
    levels = max(1, min(5, round(math.log2(image_size / smallest_map))))
    return tuple(first * min(2**level, 8) for level in range(levels))


class LKADConfig(BaseModel):
    """What a detector is built from. Everything is chosen but that there are these parts.

    Attributes:
        size: how large the networks are.
        channels: of the pictures.
        image_size: side in pixels that kernels are capped and levels counted for; any other can be given.
        reconstruction_map: side of the reconstruction's smallest map at ``image_size``. DRAEM's: 16 at 256. With 8 it made a
            grey blot of every grid: so small a map cannot say where the wires are.
        kernels: of the four stages of the large-kernel encoder, at most.
        small_kernel: beside each large one while it is trained; None for none.
        features: whether deep features are compared (the paper's ablation goes without).
        feature_sync: how the twin gets its parameters; the paper: copied.
        backbone: a pretrained network of ``timm`` whose features are compared in place of the twin's, by name; it takes
            pictures of 1 or 3 channels.
        feature_differences: whether the defect prediction network is given how much the features differ.
        picture_features: whether it is given those of the picture as well; what a pretrained backbone sees in it says more than
            a reconstruction that has just begun to learn.
        score: from map to number.
        score_window: of ``max``, in pixels at 256 x 256; DRAEM's is 21. With 5 small defects count as much as large ones.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: Size = "base"
    channels: int = Field(default=3, ge=1)
    image_size: int = Field(default=256, ge=32)
    reconstruction_map: int = Field(default=16, ge=1)
    kernels: tuple[int, int, int, int] = KERNELS
    small_kernel: int | None = 5
    features: bool = True
    feature_sync: FeatureSync = "copy"
    backbone: str | None = None
    feature_differences: bool = True
    picture_features: bool = False
    score: ScoreMethod = "max"
    score_window: int = Field(default=WINDOW, ge=1)

    @model_validator(mode="after")
    def _check_backbone(self) -> LKADConfig:
        if self.backbone is not None and self.features and self.channels not in (1, 3):
            raise ValueError(f"a backbone takes pictures of 1 or 3 channels, not {self.channels}: leave it out")
        return self


class Repaired(NamedTuple):
    """What training needs of one pass.

    Attributes:
        reconstruction: ``(B, C, H, W)``.
        logits: ``(B, 1, H, W)``.
        features: of the reconstruction, by level; empty without deep features.
    """

    reconstruction: Tensor
    logits: Tensor
    features: list[Tensor]


class Detection(NamedTuple):
    """What the detector says of ``B`` pictures.

    Attributes:
        anomaly_map: ``(B, H, W)`` float32 in [0, 1].
        image_score: ``(B,)`` float32 in [0, 1].
        reconstruction: ``(B, C, H, W)`` in [0, 1].
    """

    anomaly_map: Tensor
    image_score: Tensor
    reconstruction: Tensor


class LKAD(nn.Module):
    """The detector.

    Args:
        config: see ``LKADConfig``.

    >>> import torch
    >>> from lkad_models import LKAD, LKADConfig
    >>> found = LKAD(LKADConfig(size="tiny", image_size=64)).eval()(torch.rand(2, 3, 50, 70))
    >>> found.anomaly_map.shape, found.image_score.shape
    (torch.Size([2, 50, 70]), torch.Size([2]))
    """

    def __init__(self, config: LKADConfig | None = None) -> None:
        super().__init__()
        self.config = config or LKADConfig()
        widths = SIZES[self.config.size]
        self.reconstruction = ReconstructionNetwork(
            self.config.channels,
            reconstruction_widths(widths.reconstruction, self.config.image_size, self.config.reconstruction_map),
        )
        self.features = self._deep_features()
        given = self.features.widths * self._shown if self.features is not None else ()
        self.prediction = DefectPredictionNetwork(
            self.config.channels,
            widths.prediction,
            widths.blocks,
            self.config.kernels,
            image_size=self.config.image_size,
            small_kernel=self.config.small_kernel,
            feature_widths=given,
        )

    def forward(self, images: Tensor) -> Detection:
        """Anomaly maps, scores and reconstructions of ``(B, C, H, W)`` float pictures in [0, 1], of any size from 1 up."""
        found = self.repair(images)
        maps = as_maps(found.logits)
        scores = image_scores(maps, self.config.score, self.config.score_window)
        return Detection(maps, scores, found.reconstruction.clamp(0.0, 1.0))

    def repair(self, images: Tensor) -> Repaired:
        """The same before it is brought to [0, 1], for training."""
        height, width = images.shape[2:]
        padded = F.pad(images, [0, -width % _STRIDE, 0, -height % _STRIDE], mode="replicate")
        reconstruction = self.reconstruction(padded)
        own = self.features(reconstruction) if self.features is not None else []
        logits = self.prediction(padded, reconstruction, self._compared(padded, own))
        return Repaired(reconstruction[:, :, :height, :width], logits[:, :, :height, :width], own)

    def features_of(self, images: Tensor) -> list[Tensor]:
        """Deep features of pictures as ``repair`` gives those of reconstructions; nothing learns from them."""
        if self.features is None:
            return []
        height, width = images.shape[2:]
        with torch.no_grad():
            return self.features(F.pad(images, [0, -width % _STRIDE, 0, -height % _STRIDE], mode="replicate"))

    def after_step(self) -> None:
        """What has to happen after every step of training."""
        if self.features is not None:
            self.features.synchronise(self.reconstruction.encoder)

    def reparameterize(self) -> LKAD:
        """Folds every large kernel and what lies beside it into one, for inference; returns itself."""
        for module in self.modules():
            if isinstance(module, LargeKernelConv):
                module.reparameterize()
        return self

    def _deep_features(self) -> TwinFeatures | BackboneFeatures | None:
        if not self.config.features:
            return None
        if self.config.backbone is not None:
            return BackboneFeatures(self.config.backbone)
        return TwinFeatures(self.reconstruction.encoder, self.config.feature_sync)

    @property
    def _shown(self) -> int:
        """How many sets of deep features the prediction is given."""
        return int(self.config.feature_differences) + int(self.config.picture_features)

    def _compared(self, images: Tensor, own: list[Tensor]) -> list[Tensor]:
        """What the prediction is given of deep features, level by level: differences, then those of the pictures."""
        if self.features is None or not self._shown:
            return []
        of_images = self.features(images)
        differences = [(first - second).abs() for first, second in zip(of_images, own, strict=True)]
        return [*(differences if self.config.feature_differences else []), *(of_images if self.config.picture_features else [])]
