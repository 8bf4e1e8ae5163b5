"""The deep feature extractor: what a picture and its reconstruction are compared by, level by level.

Stated in the paper: its parameters are copied from the reconstruction network, which its ablation compares with updating them
by gradient. Chosen: it is the twin of the reconstruction encoder. A pretrained backbone is offered beside it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from defectsynth.errors import InputError
from defectsynth.extras import needed
from lkad_models.reconstruction import ReconstructionEncoder

__all__ = ["BackboneFeatures", "FeatureSync", "TwinFeatures"]

FeatureSync = Literal["copy", "ema", "frozen", "grad"]
"""How the twin gets its parameters: copied after every step (the paper), an exponential mean of the encoder's, those that it
began with, or by gradient of its own (the paper's ablation)."""


class TwinFeatures(nn.Module):
    """The twin of a reconstruction encoder: ``(B, C, H, W)`` to the encoder's maps.

    Args:
        encoder: the encoder; it is copied, and not kept.
        sync: see ``FeatureSync``.
        decay: of the exponential mean. Chosen: 0.99.
    """

    def __init__(self, encoder: ReconstructionEncoder, sync: FeatureSync = "copy", *, decay: float = 0.99) -> None:
        super().__init__()
        self.twin = copy.deepcopy(encoder)
        self.sync, self.decay = sync, decay
        self.widths = encoder.widths
        self.twin.requires_grad_(sync == "grad")

    def train(self, mode: bool = True) -> TwinFeatures:
        """Only a twin that is trained has a training mode: batch statistics of a copy would drift from those it copies."""
        super().train(mode)
        self.twin.train(mode and self.sync == "grad")
        return self

    def forward(self, x: Tensor) -> list[Tensor]:
        """The maps, the largest first; gradients reach ``x`` whatever ``sync`` says."""
        return self.twin(x)

    @torch.no_grad()
    def synchronise(self, encoder: ReconstructionEncoder) -> None:
        """What ``sync`` does after a step of training."""
        if self.sync not in ("copy", "ema"):
            return
        keep = self.decay if self.sync == "ema" else 0.0
        for own, other in zip(self.twin.state_dict().values(), encoder.state_dict().values(), strict=True):
            if own.is_floating_point():
                own.copy_(other if keep == 0.0 else own * keep + other * (1.0 - keep))
            else:
                own.copy_(other)


class BackboneFeatures(nn.Module):
    """Maps of a pretrained network of ``timm``, frozen: ``(B, 1 or 3, H, W)`` in [0, 1] to one map a level.

    Args:
        name: of the network, such as ``tf_efficientnet_lite0``. Its parameters are random until ``load_pretrained``, or until
            those of a run are loaded.
        levels: which of its maps, from 0. Chosen: of strides 4, 8 and 16 in most networks.

    Raises:
        InputError: timm is missing, or has no such network.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, name: str, *, levels: Sequence[int] = (1, 2, 3)) -> None:
        super().__init__()
        timm = needed("timm", "train", "a pretrained backbone")
        if not timm.is_model(name):
            raise InputError(f"backbone {name!r} is none of timm's networks: see timm.list_models()")
        self.name, self._levels = name, tuple(levels)
        self.network = timm.create_model(name, pretrained=False, features_only=True, out_indices=self._levels)
        config = timm.get_pretrained_cfg(name)
        mean, deviation = (config.mean, config.std) if config is not None else ((0.5,) * 3, (0.5,) * 3)
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation)[:, None, None], persistent=False)
        self.widths = tuple(self.network.feature_info.channels())
        self.requires_grad_(False)
        self.eval()

    def load_pretrained(self, weights: Path | None = None) -> None:
        """Takes the parameters of a file (a plain state dict, never unpickled, or safetensors), or else those that timm offers.

        Raises:
            InputError: the file cannot be read or does not fit the network; they cannot be downloaded.
        """
        try:
            state = _downloaded(self.name, self._levels) if weights is None else _read_state(weights)
        except Exception as error:
            where = (
                f"weights {str(weights)!r} cannot be read as a state dict" if weights else f"{self.name!r} cannot be downloaded"
            )
            raise InputError(f"{where}: {error}; give --backbone-weights FILE with a plain state dict") from None
        found = self.network.state_dict()
        missing = [name for name, own in found.items() if name not in state or state[name].shape != own.shape]
        if missing:
            raise InputError(
                f"weights {str(weights)!r} do not fit {self.name!r}: {len(missing)} of {len(found)} tensors are missing or of "
                f"another shape, such as {missing[0]!r}"
            )
        self.network.load_state_dict({name: state[name] for name in found})

    def train(self, mode: bool = True) -> BackboneFeatures:
        """It stays as it was trained."""
        return super().train(False)

    def forward(self, x: Tensor) -> list[Tensor]:
        """The maps, the largest first; gradients reach ``x``."""
        colours = x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
        return list(self.network((colours - self.mean) / self.deviation))

    def synchronise(self, encoder: ReconstructionEncoder) -> None:
        """Nothing: it is frozen."""


def _read_state(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        return load_file(path)
    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def _downloaded(name: str, levels: tuple[int, ...]) -> dict[str, Tensor]:
    network = needed("timm", "train", "a pretrained backbone").create_model(
        name, pretrained=True, features_only=True, out_indices=levels
    )
    state: dict[str, Tensor] = network.state_dict()
    return state
