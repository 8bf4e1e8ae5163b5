"""Transforms of torchvision v2: one that updates the mask of a sample, and one for pipelines without, that returns a mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from defectsynth.errors import ImageError, InputError
from defectsynth.extras import needed
from defectsynth.images import split_alpha

_WHAT = "the torchvision integration"
torch = needed("torch", "torch", _WHAT)
v2 = needed("torchvision.transforms.v2", "torch", _WHAT)
tv_tensors = needed("torchvision.tv_tensors", "torch", _WHAT)
_tensors = needed("defectsynth.integrations.tensors", "torch", _WHAT)

if TYPE_CHECKING:
    from torch import Tensor

    from defectsynth.integrations.tensors import Synthesizer

__all__ = ["SynthesizeAnomaly", "SynthesizeAnomalyPair"]

_PIL_MODES = ("L", "LA", "RGB", "RGBA", "I;16", "F")

if not hasattr(v2.Transform, "make_params"):
    raise InputError(
        "this torchvision has no transforms.v2.Transform.make_params, which transforms of others are made with: "
        'pip install --upgrade "torchvision>=0.21"'
    )


class SynthesizeAnomaly(v2.Transform):  # type: ignore[misc, name-defined]
    """Paints defects into the image of a sample, and into its masks.

    The image is a PIL picture, a ``tv_tensors.Image`` or, where a sample has neither, its first plain tensor; tensors are
    ``(..., C, H, W)``, and each picture of a batch becomes a sample of its own. Every ``tv_tensors.Mask`` gets ``mask_value``
    where a defect is, and is unchanged elsewhere; all else passes. Class and type of the image stay, and its bits where nothing
    was painted.

    The samples are drawn from torch's global generator: ``torch.manual_seed`` repeats them, and the workers of a ``DataLoader``
    draw others. ``make_params`` gives them as ``indices`` (and ``chosen``, those that ``p`` leaves unpainted being False):
    ``AnomalySynthesizer(...)(array, index=int(indices[0]))`` is the same picture.

    Args:
        synthesizer: an ``AnomalySynthesizer`` paints one picture after the other on the CPU, and brings those of another device
            there and back; a ``BatchSynthesizer`` paints all at once on its own device, where they must be.
        p: how likely each picture is painted.
        mask_value: what masks have where a defect is.

    Raises:
        InputError: an argument is none of these; or, of a sample, it has no image, several, or a mask of another size.
        ImageError: the image cannot be painted: its type or shape, or a value that is NaN or outside [0, 1].
        DefectSynthError: whatever the synthesizer raises.
    """

    def __init__(self, synthesizer: Synthesizer, *, p: float = 1.0, mask_value: int = 1) -> None:
        super().__init__()
        self.synthesizer = _tensors.check_synthesizer(synthesizer)
        self.p = _tensors.check_probability("p", p)
        if isinstance(mask_value, bool) or not isinstance(mask_value, int) or mask_value < 1:
            raise InputError(f"mask_value is {mask_value!r}: give an integer from 1, as 0 is where a picture is normal")
        self.mask_value = mask_value

    def check_inputs(self, flat_inputs: list[Any]) -> None:
        """Refuses a sample that has no image, several, or masks that do not fit."""
        image = _image_of(flat_inputs)
        _check_image(image)
        for mask in flat_inputs:
            if isinstance(mask, tv_tensors.Mask):
                _check_mask(mask, image, self.mask_value)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Everything random: which sample each picture is; and what is painted, which the image and its masks share.

        Args:
            flat_inputs: a sample, flattened.
        """
        planes = _planes(_image_of(flat_inputs))
        indices, chosen = _tensors.draw(planes.shape[:-3].numel(), self.p)
        painted = _tensors.paint(self.synthesizer, planes, indices, chosen)
        return {"indices": indices, "chosen": chosen, "images": painted.images, "masks": painted.masks}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """What was drawn and painted, for one part of the sample that ``params`` were made of."""
        if isinstance(inpt, tv_tensors.Mask):
            return _with_defects(inpt, params["masks"], self.mask_value)
        return _as_given(params["images"], inpt) if _is_explicit(inpt) or _is_plain(inpt) else inpt


class SynthesizeAnomalyPair(v2.Transform):  # type: ignore[misc, name-defined]
    """Paints defects into an image, and returns it with a mask: for pipelines that have none.

    Args:
        synthesizer, p: as for ``SynthesizeAnomaly``.

    Raises:
        InputError, ImageError, DefectSynthError: as ``SynthesizeAnomaly``.
    """

    def __init__(self, synthesizer: Synthesizer, *, p: float = 1.0) -> None:
        super().__init__()
        self.synthesizer = _tensors.check_synthesizer(synthesizer)
        self.p = _tensors.check_probability("p", p)

    def forward(self, image: Any) -> tuple[Any, Tensor]:
        """The image, and ``tv_tensors.Mask`` ``(..., 1, H, W)`` float32 on its device, 1 where a defect is and 0 elsewhere.

        Args:
            image: a PIL picture, or a tensor ``(..., C, H, W)``.
        """
        if not (_is_explicit(image) or _is_plain(image)):
            raise InputError(f"the image is a {type(image).__name__}: give a tensor (..., C, H, W) or a PIL picture")
        planes = _planes(image)
        painted = _tensors.paint(self.synthesizer, planes, *_tensors.draw(planes.shape[:-3].numel(), self.p))
        return _as_given(painted.images, image), tv_tensors.Mask(painted.masks.unsqueeze(-3).view(torch.uint8).float())


def _is_explicit(inpt: Any) -> bool:
    return isinstance(inpt, (Image.Image, tv_tensors.Image))


def _is_plain(inpt: Any) -> bool:
    return isinstance(inpt, torch.Tensor) and not isinstance(inpt, tv_tensors.TVTensor)


def _image_of(flat_inputs: list[Any]) -> Any:
    """The one image of a sample, by the rule of v2."""
    images = [inpt for inpt in flat_inputs if _is_explicit(inpt)]
    if not images:
        images = [inpt for inpt in flat_inputs if _is_plain(inpt)][:1]
    if len(images) != 1:
        kinds = ", ".join(type(inpt).__name__ for inpt in images or flat_inputs)
        raise InputError(
            f"the sample has {len(images)} images (it is {kinds or 'empty'}): give one, a PIL picture or a tensor "
            "(..., C, H, W); a mask is wrapped in tv_tensors.Mask, and a batch is one tensor"
        )
    return images[0]


def _check_image(image: Any) -> None:
    """Refuses an image that cannot be painted; its values are not looked at."""
    if isinstance(image, Image.Image):
        if image.mode not in _PIL_MODES or 0 in image.size:
            raise ImageError(
                f"the PIL picture has mode {image.mode!r} and size {image.size}: give one of mode {', '.join(_PIL_MODES)}, "
                "e.g. convert('RGB'), with every side at least 1"
            )
    elif image.ndim < 3:
        raise ImageError(
            f"the image is a tensor {tuple(image.shape)}: give (..., C, H, W); where a sample has no PIL picture and no "
            "tv_tensors.Image, its first tensor is taken for the image"
        )
    else:
        _tensors.check_planes(image)


def _planes(image: Any) -> Tensor:
    """``(..., C, H, W)`` of an image, without alpha."""
    _check_image(image)
    if not isinstance(image, Image.Image):
        return image
    array = split_alpha(np.array(image))[0]
    return torch.from_numpy(array[None] if array.ndim == 2 else array.transpose(2, 0, 1))


def _as_given(planes: Tensor, image: Any) -> Any:
    """Painted planes in the class of the image, with its alpha."""
    if not isinstance(image, Image.Image):
        return tv_tensors.wrap(planes, like=image) if isinstance(image, tv_tensors.Image) else planes
    array = planes.cpu().numpy().transpose(1, 2, 0)
    if image.mode in ("LA", "RGBA"):
        array = np.concatenate([array, np.array(image)[:, :, -1:]], axis=2)
    return Image.fromarray(np.ascontiguousarray(array[:, :, 0] if array.shape[2] == 1 else array))


def _check_mask(mask: Tensor, image: Any, value: int) -> None:
    leading, size = ((), image.size[::-1]) if isinstance(image, Image.Image) else (image.shape[:-3], image.shape[-2:])
    plain, with_channel = (*leading, *size), (*leading, 1, *size)
    if tuple(mask.shape) not in (plain, with_channel):
        raise InputError(
            f"the mask is {tuple(mask.shape)} and the image {(*leading, 'C', *size)}: give a mask {plain} or {with_channel}"
        )
    kind = mask.dtype
    whole = not (kind.is_floating_point or kind.is_complex or kind == torch.bool)
    if kind.is_complex or (whole and value > torch.iinfo(kind).max):
        raise InputError(f"mask_value is {value}, which a mask of {kind} cannot hold: give a smaller one, or mask.long()")


def _with_defects(mask: Tensor, defects: Tensor, value: int) -> Tensor:
    """A mask that has ``value`` where the defects ``(..., H, W)`` are."""
    own = mask.as_subclass(torch.Tensor)
    where = (defects if own.ndim == defects.ndim else defects.unsqueeze(-3)).to(own.device)
    marked = own.clone()
    if own.device.type == "cpu" and own.dtype != torch.bfloat16:
        np.copyto(marked.detach().numpy(), value, where=where.numpy(), casting="unsafe")  # a third of the time that torch takes
    else:
        marked.masked_fill_(where, value)
    return tv_tensors.wrap(marked, like=mask)
