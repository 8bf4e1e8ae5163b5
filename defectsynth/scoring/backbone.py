"""The look of a defect as features of a pretrained network: each channel inside the mask against the ring around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.errors import InputError
from defectsynth.extras import needed
from defectsynth.images import resize_image
from defectsynth.scoring.views import View, regions_of

__all__ = ["Backbone"]

Features = npt.NDArray[np.float64]
Image = npt.NDArray[np.float32]

_WHAT = "a score with weights"
_SIDE = 224  # what ImageNet networks were trained at
_BATCH = 16
_DEEPEST = 16  # stride of the deepest map; deeper ones have 7 x 7 cells, which a small defect does not fill


class Backbone:
    """A network of timm with its weights, on the CPU.

    Args:
        weights: a file with a plain state dict for ``timm.create_model(name, pretrained=False)``, of every tensor of it.
        name: the network's name in timm.

    Raises:
        InputError: timm or torch is missing, timm knows no such network or gives none of its maps, or the weights are
            missing, cannot be read, or belong to another network.
    """

    def __init__(self, weights: Path, name: str) -> None:
        self.name = name
        self._torch = needed("torch", "train", _WHAT)
        self._model = _network(needed("timm", "train", _WHAT), name)
        _load(self._torch, self._model, weights, name)
        self._model.to(memory_format=self._torch.channels_last)  # twice as fast on a CPU
        settings = self._model.pretrained_cfg
        self._mean, self._deviation = (np.asarray(settings[key], dtype=np.float32) for key in ("mean", "std"))

    def features(self, views: Sequence[View], progress: Callable[[int, int], None] | None = None) -> Features:
        """``(len(views), d)`` float64: per channel of every map, the difference of means and of deviations to the ring."""
        rows: list[Features] = []
        for start in range(0, len(views), _BATCH):
            rows += self._batch(views[start : start + _BATCH])
            if progress is not None:
                progress(len(rows), len(views))
        return np.stack(rows)

    def _batch(self, views: Sequence[View]) -> list[Features]:
        squares = [_square(view) for view in views]
        pictures = np.stack([(rgb - self._mean) / self._deviation for rgb, _, _ in squares]).transpose(0, 3, 1, 2)
        with self._torch.inference_mode():
            batch = self._torch.from_numpy(pictures).contiguous(memory_format=self._torch.channels_last)
            maps = self._model.forward_intermediates(
                batch, indices=_maps(self._model), stop_early=True, intermediates_only=True
            )
        chosen = [np.ascontiguousarray(found.numpy()) for found in maps]
        return [
            np.concatenate([_against_the_ring(found[number], inside, ring) for found in chosen])
            for number, (_, inside, ring) in enumerate(squares)
        ]


def _square(view: View) -> tuple[Image, Image, Image]:
    """``(224, 224, 3)``, and the weights ``(224, 224)`` of the mask and of the ring; a view that is no square is reflected."""
    regions = regions_of(view.mask)
    side = max(view.mask.shape)
    below, right = side - view.mask.shape[0], side - view.mask.shape[1]
    rgb = cv2.copyMakeBorder(view.rgb, 0, below, 0, right, cv2.BORDER_REFLECT)
    weights = [
        cv2.copyMakeBorder(plane.astype(np.float32), 0, below, 0, right, cv2.BORDER_CONSTANT, value=0)
        for plane in (regions.inside, regions.ring)
    ]
    return (
        np.clip(resize_image(rgb, (_SIDE, _SIDE)), 0, 1),
        resize_image(weights[0], (_SIDE, _SIDE)),
        resize_image(weights[1], (_SIDE, _SIDE)),
    )


def _against_the_ring(found: Image, inside: Image, ring: Image) -> Features:
    """``(2 C,)`` of a map ``(C, h, w)``: means inside less those of the ring, and logarithms of the ratio of deviations."""
    cells = found.reshape(len(found), -1)
    weights = np.stack([_share_of_cells(plane, found.shape[1:]) for plane in (inside, ring)], axis=1)
    means = cells @ weights
    deviations = np.sqrt(np.maximum((cells * cells) @ weights - means * means, 0))
    floor = 0.05 * deviations.sum(axis=1) + 1e-3
    return np.concatenate([means[:, 0] - means[:, 1], np.log((deviations[:, 0] + floor) / (deviations[:, 1] + floor))])


def _share_of_cells(plane: Image, shape: tuple[int, ...]) -> Image:
    """``(h w,)``: how much of a region lies in each cell of a map, of sum 1."""
    share = cv2.resize(plane, shape[::-1], interpolation=cv2.INTER_AREA).ravel()
    return np.asarray(share / share.sum(), dtype=np.float32)


def _network(timm: Any, name: str) -> Any:
    if not timm.is_model(name):
        raise InputError(f"backbone {name!r} is not a network of timm {timm.__version__}: see timm.list_models()")
    model = timm.create_model(name, pretrained=False).eval()
    if not hasattr(model, "forward_intermediates") or not _maps(model):
        raise InputError(f"backbone {name!r} does not give its feature maps in timm {timm.__version__}: choose another")
    return model


def _maps(model: Any) -> list[int]:
    """The places of the maps that are fine enough, in timm's list of them."""
    stages = getattr(model, "feature_info", None) or []
    return [place for place, stage in enumerate(stages) if stage["reduction"] <= _DEEPEST]


def _load(torch: Any, model: Any, weights: Path, name: str) -> None:
    if not weights.is_file():
        raise InputError(f"weights {str(weights)!r} are not a file: give a state dict of {name}, written by torch.save")
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises what its readers raise: pickle, zip, run-time and key errors
        raise InputError(
            f"weights {str(weights)!r} cannot be read ({type(error).__name__}): give a state dict, written by torch.save"
        ) from None
    try:
        model.load_state_dict(state, strict=True)
    except (RuntimeError, TypeError, AttributeError) as error:
        first = " ".join(str(error).split("\n")[1:2]).strip() or str(error)
        raise InputError(
            f"weights {str(weights)!r} do not belong to {name!r} ({first[:160]}): name the network that they belong to"
        ) from None
