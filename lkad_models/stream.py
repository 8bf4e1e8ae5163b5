"""Normal pictures in, painted pictures with their labels out: in batches on the device where that can be, else one by one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from defectsynth import AnomalySynthesizer
from defectsynth.banks import DefectBank
from defectsynth.batched import BatchSynthesizer
from defectsynth.batched.support import check_supported
from defectsynth.errors import RecipeError
from defectsynth.recipe import Recipe

__all__ = ["Painted", "Stream"]


class Painted(NamedTuple):
    """A batch for training.

    Attributes:
        normal, images: ``(B, C, H, W)`` float32 in [0, 1]: without and with defects.
        masks: ``(B, 1, H, W)`` float32, 0 or 1.
        defect_maps: ``(B, 1, H, W)`` float32 in [0, 1].
    """

    normal: Tensor
    images: Tensor
    masks: Tensor
    defect_maps: Tensor


class Stream:
    """Paints the samples of a recipe.

    Args:
        recipe: what may be drawn.
        textures, defects, masks, normals: as for ``AnomalySynthesizer``.
        seed: of the samples.
        device: where the pictures are.
        exclude: folders whose pictures no source may share: what the detector is evaluated on.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        textures: str | Path | None = None,
        defects: DefectBank | Path | None = None,
        masks: str | Path | None = None,
        normals: Path | None = None,
        seed: int = 0,
        device: torch.device | str = "cpu",
        exclude: Sequence[Path] = (),
    ) -> None:
        self._batches: BatchSynthesizer | None = None
        self._plain: AnomalySynthesizer | None = None
        self._somewhere = recipe.foreground.method != "none"
        reason = _why_one_by_one(recipe)
        if reason is None:
            self._batches = BatchSynthesizer(recipe, textures=textures, seed=seed, device=device, exclude=exclude)
            self.painter = f"in batches on {self._batches.device}"
        else:
            self._plain = AnomalySynthesizer(
                recipe, textures=textures, defects=defects, masks=masks, normals=normals, seed=seed, exclude=exclude
            )
            self.painter = f"one by one on the CPU: {reason}"

    def __call__(self, images: Tensor, regions: Tensor, numbers: Tensor) -> Painted:
        """The samples ``numbers``, ``(B,)`` int64, of ``(B, C, H, W)`` uint8 pictures.

        Args:
            images: the pictures.
            regions: ``(B, H, W)`` uint8, nonzero where defects may lie; a recipe that does not look for the foreground paints
                anywhere.
            numbers: of the samples.
        """
        if self._batches is not None:
            device = self._batches.device
            images = images.to(device)
            roi = regions.to(device) if self._somewhere else None
            painted, masks, maps, _ = self._batches(images, indices=numbers.to(device), roi=roi)
        else:
            painted, masks, maps = self._one_by_one(images, regions, numbers)
        return Painted(_scaled(images), _scaled(painted), (masks > 0).float()[:, None], maps[:, None])

    def _one_by_one(self, images: Tensor, regions: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        assert self._plain is not None
        samples = [
            self._plain(
                np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy()),
                index=int(number),
                roi=region.cpu().numpy() if self._somewhere else None,
            )
            for image, region, number in zip(images, regions, numbers.tolist(), strict=True)
        ]
        painted, masks, maps = (
            torch.from_numpy(np.stack(arrays)).to(images.device)
            for arrays in (
                [sample.image.transpose(2, 0, 1) for sample in samples],
                [sample.mask for sample in samples],
                [sample.defect_map for sample in samples],
            )
        )
        return painted, masks, maps


def _why_one_by_one(recipe: Recipe) -> str | None:
    """Why a recipe cannot be painted in batches, or None."""
    try:
        check_supported(recipe)
    except RecipeError as error:
        return str(error)
    return None


def _scaled(images: Tensor) -> Tensor:
    return images.float() / 255.0
