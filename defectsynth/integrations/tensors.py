"""Pictures as tensors ``(..., C, H, W)``: which sample each of them becomes, and painting them with either synthesizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from defectsynth.errors import ImageError, InputError
from defectsynth.extras import needed
from defectsynth.images import planes_of
from defectsynth.integrations.images import as_image
from defectsynth.synthesizer import AnomalySynthesizer

torch = needed("torch", "torch", "painting tensors")
_batched = needed("defectsynth.batched", "torch", "painting tensors")
_pictures = needed("defectsynth.batched.pictures", "torch", "painting tensors")

if TYPE_CHECKING:
    from torch import Tensor

    from defectsynth.batched import BatchSynthesizer

    Synthesizer: TypeAlias = AnomalySynthesizer | BatchSynthesizer

__all__ = ["Painted", "check_planes", "check_probability", "check_synthesizer", "draw", "paint"]

_INDICES = 2**62
_ROUNDING = 1e-3  # resizing 1.0 gives 1.0000002; a level of 255 is four times as much
_WHOLE = {torch.uint8, getattr(torch, "uint16", torch.uint8)}
_REAL = {torch.float16, torch.bfloat16, torch.float32, torch.float64}


class Painted(NamedTuple):
    """Pictures with their defects.

    Attributes:
        images: shape, type and device of what was given, bit for bit the same where nothing was painted.
        masks: ``(..., H, W)`` bool, true where a picture is anomalous.
    """

    images: Tensor
    masks: Tensor


def draw(count: int, p: float) -> tuple[Tensor, Tensor]:
    """Which sample each picture becomes, ``(count,)`` int64, and whether it does, bool; both of torch's global generator."""
    return torch.randint(_INDICES, (count,), device="cpu"), torch.rand(count, device="cpu") < p


def paint(synthesizer: Synthesizer, images: Tensor, indices: Tensor, chosen: Tensor) -> Painted:
    """Paints pictures.

    Args:
        synthesizer: an ``AnomalySynthesizer`` paints one after the other on the CPU, wherever they are; a ``BatchSynthesizer``
            all at once on its device, where they must be.
        images: ``(..., C, H, W)``.
        indices: the sample that each becomes, counted over the leading dimensions.
        chosen: whether it does.

    Raises:
        ImageError: they are no pictures, or on another device than the ``BatchSynthesizer``.
        DefectSynthError: whatever the synthesizer raises.
    """
    check_planes(images)
    before = images.as_subclass(torch.Tensor).reshape(-1, *images.shape[-3:])
    plain = before.detach()
    given = plain if images.dtype in _WHOLE else _in_scale(plain.to(torch.float32))
    if isinstance(synthesizer, AnomalySynthesizer):
        after, masks = _one_by_one(synthesizer, given, indices, chosen)
    else:
        after, masks = _at_once(synthesizer, given, indices, chosen)
    if given is not plain or before.requires_grad:  # what was converted or cut only to be painted comes back as it was
        after = torch.where(after != given, after.to(before.dtype), before)
    return Painted(after.reshape(images.shape), masks.reshape(*images.shape[:-3], *images.shape[-2:]))


def check_planes(images: Tensor) -> None:
    """Refuses what is not ``(..., C, H, W)`` of a type that can be painted; values are not looked at.

    Raises:
        ImageError: the rule that it breaks.
    """
    if images.ndim < 3 or 0 in images.shape:
        raise ImageError(f"the image is a tensor {tuple(images.shape)}: give (..., C, H, W) with every side at least 1")
    if images.dtype not in _WHOLE | _REAL:
        raise ImageError(
            f"the image is a tensor of {images.dtype}: give torch.uint8 or torch.uint16, or floats in [0, 1], e.g. with "
            "v2.ToDtype(torch.float32, scale=True)"
        )


def check_synthesizer(synthesizer: Any) -> Any:
    """It itself.

    Raises:
        InputError: it is neither of the two.
    """
    if not isinstance(synthesizer, (AnomalySynthesizer, _batched.BatchSynthesizer)):
        raise InputError(
            f"synthesizer is a {type(synthesizer).__name__}: give an AnomalySynthesizer, such as "
            "AnomalySynthesizer('industrial'), or a BatchSynthesizer"
        )
    return synthesizer


def check_probability(name: str, p: Any) -> float:
    """It itself.

    Raises:
        InputError: it is not a number from 0 to 1.
    """
    if isinstance(p, bool) or not isinstance(p, (int, float)) or not 0.0 <= p <= 1.0:
        raise InputError(f"{name} is {p!r}: give a number from 0 to 1")
    return float(p)


def _in_scale(images: Tensor) -> Tensor:
    """What misses [0, 1] by no more than rounding is brought to its end; the rest stays, for the synthesizer to refuse."""
    if float(images.amin()) >= 0.0 and float(images.amax()) <= 1.0:
        return images
    return torch.where((images - 0.5).abs() <= 0.5 + _ROUNDING, images.clamp(0.0, 1.0), images)


def _one_by_one(synthesizer: AnomalySynthesizer, images: Tensor, indices: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    host = images.cpu()
    empty = torch.empty(host.shape, dtype=host.dtype)
    painted = (empty if bool(chosen.all()) else empty.copy_(host)).numpy()
    masks = np.zeros((len(host), *host.shape[2:]), dtype=np.bool_)
    for place in chosen.nonzero()[:, 0].tolist():
        sample = synthesizer(as_image(host[place], f"picture {place}"), index=int(indices[place]))
        planes_of(sample.image, painted[place])
        np.not_equal(sample.mask, 0, out=masks[place])
    return torch.from_numpy(painted).to(images.device), torch.from_numpy(masks).to(images.device)


def _at_once(engine: BatchSynthesizer, images: Tensor, indices: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    _pictures.check_pictures(images, engine.device, "nchw")
    if engine.way == "sparse" or not chosen.any():
        places = chosen.nonzero()[:, 0]
        painted, masks = images.clone(), torch.zeros_like(images[:, 0], dtype=torch.bool)
        if len(places):
            painted[places], masks[places] = _batch(engine, images[places], indices[places])
        return painted, masks
    # The dense way has fixed shapes, which compiled code and its memory are made for: there all are painted, and some kept.
    painted, masks = _batch(engine, images, indices)
    kept = chosen.to(engine.device, non_blocking=True)[:, None, None]
    return torch.where(kept[:, None], painted, images), masks & kept


def _batch(engine: BatchSynthesizer, images: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
    if engine.layout == "nhwc":
        sample = engine(images.permute(0, 2, 3, 1), indices=indices)
        return sample.images.permute(0, 3, 1, 2), sample.masks != 0
    sample = engine(images, indices=indices)
    return sample.images, sample.masks != 0
