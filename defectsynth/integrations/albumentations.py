"""A transform of albumentations 2.0, which is seeded, saved, loaded and replayed as all the others of a pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationInfo, field_validator

from defectsynth.errors import InputError
from defectsynth.extras import needed
from defectsynth.images import AnyImage
from defectsynth.recipe import Recipe, load_recipe
from defectsynth.synthesizer import AnomalySynthesizer

_WHAT = "the albumentations integration"
_host = needed("albumentations.core.transforms_interface", "albumentations", _WHAT)
_Targets = needed("albumentations.core.type_definitions", "albumentations", _WHAT).Targets

__all__ = ["SynthesizeAnomaly"]

_INDEX_BITS = 62
_ROUNDING = 1e-3  # what resizing may give above 1.0 is far less; a level of 255 is four times as much
_NOT_PAINTED = ("images", "volume", "volumes", "mask3d", "masks3d")

Folder = str | Path | None


class _Painting(NamedTuple):
    """What all targets of one call share: the picture with its defects, and ``(H, W)``, true where they are."""

    image: AnyImage
    defects: npt.NDArray[np.bool_]


class SynthesizeAnomaly(_host.DualTransform):  # type: ignore[misc, name-defined]
    """Paints defects into the image, and into its masks.

    ``mask``, each of ``masks`` and every additional target of theirs get ``mask_value`` where a defect is, and are unchanged
    elsewhere; boxes and keypoints pass. A target ``roi``, ``(H, W)``, is nonzero where defects may lie; declare it with
    ``additional_targets={"roi": "mask"}`` where other transforms move the image.

    Which sample it is, is all that is drawn: ``params["index"]``, from the generator of the pipeline, so that its ``seed``
    repeats it and ``ReplayCompose`` paints it again. ``transform.synthesizer(image, index=index)`` is the same picture.

    Args:
        recipe: a preset's name, a YAML file or a mapping.
        textures, defects, normals, masks: folders, or what begins with ``builtin:``, as for ``AnomalySynthesizer``.
        seed: of the synthesizer; which of its samples are painted is drawn by the pipeline.
        mask_value: what masks have where a defect is.
        p: how likely the image is painted.

    Targets:
        image, mask, bboxes, keypoints

    Image types:
        uint8, uint16, float32 in [0, 1]; ``(H, W)`` or ``(H, W, C)`` with any number of channels

    Raises:
        ValueError: an argument breaks a rule (albumentations' own wording around ours).
        InputError: of a call, there are several images, or videos or volumes, or a mask has several channels or another size.
        DefectSynthError: whatever ``AnomalySynthesizer`` raises, when it is first used or at a picture.
    """

    _targets = (_Targets.IMAGE, _Targets.MASK, _Targets.BBOXES, _Targets.KEYPOINTS)

    class InitSchema(_host.BaseTransformInitSchema):  # type: ignore[misc, name-defined]
        """What the arguments may be: all of them can be written as JSON."""

        recipe: str | dict[str, Any]
        textures: str | None
        defects: str | None
        normals: str | None
        masks: str | None
        seed: int = Field(ge=0, lt=2**64)
        mask_value: int = Field(ge=1)

        @field_validator("recipe", mode="before")
        @classmethod
        def _known(cls, recipe: Any) -> Any:
            load_recipe(recipe)
            return recipe.model_dump(mode="json") if isinstance(recipe, Recipe) else _without_path(recipe)

        @field_validator("textures", "defects", "normals", "masks", mode="before")
        @classmethod
        def _folder(cls, folder: Any, info: ValidationInfo) -> Any:
            if folder is not None and not isinstance(folder, (str, Path)):
                raise InputError(
                    f"{info.field_name} is a {type(folder).__name__}, which cannot be saved with a pipeline: give the folder "
                    "that it is read from, or builtin:<name>"
                )
            return _without_path(folder)

    def __init__(
        self,
        recipe: str | Path | dict[str, Any] = "industrial",
        textures: Folder = None,
        defects: Folder = None,
        normals: Folder = None,
        masks: Folder = None,
        seed: int = 0,
        mask_value: int = 1,
        p: float = 0.5,
    ) -> None:
        super().__init__(p=p)
        # Not in attributes of their own names: the host sets `seed` to the pipeline's.
        self._banks: dict[str, Any] = {"textures": textures, "defects": defects, "normals": normals, "masks": masks}
        self._recipe, self._samples_of = recipe, seed
        self.mask_value = mask_value
        self._synthesizer: AnomalySynthesizer | None = None

    @property
    def synthesizer(self) -> AnomalySynthesizer:
        """What paints; made when it is first used, in each process anew."""
        if self._synthesizer is None:
            self._synthesizer = AnomalySynthesizer(self._recipe, seed=self._samples_of, **self._banks)
        return self._synthesizer

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_synthesizer": None}

    def get_transform_init_args(self) -> dict[str, Any]:
        """The arguments, as they are saved."""
        return {"recipe": self._recipe, **self._banks, "seed": self._samples_of, "mask_value": self.mask_value}

    @property
    def available_keys(self) -> set[str]:
        """The names of the targets."""
        return {*super().available_keys, "roi"}

    @property
    def targets(self) -> dict[str, Any]:
        """What is done to each target."""
        return {
            "image": self.apply,
            "mask": self.apply_to_mask,
            "masks": self.apply_to_masks,
            "bboxes": self.apply_to_bboxes,
            "keypoints": self.apply_to_keypoints,
        }

    def get_params(self) -> dict[str, Any]:
        """Everything random."""
        return {"index": self.py_random.getrandbits(_INDEX_BITS)}

    def apply_with_params(self, params: dict[str, Any], *args: Any, **data: Any) -> dict[str, Any]:
        """Paints once, and gives it to each target.

        The host applies a transform to its targets one by one, in whatever order they come, and in replay too: what they share
        is made here, and kept no longer than the call lasts.
        """
        painting = self._paint(data[self._only_image(data)], params["index"], data.get("roi"))
        found: dict[str, Any] = super().apply_with_params({"painting": painting}, **data)
        return {**found, "roi": data["roi"]} if "roi" in data else found

    def apply(self, img: AnyImage, *args: Any, painting: _Painting, **params: Any) -> AnyImage:
        """The picture with its defects."""
        return painting.image

    def apply_to_mask(self, mask: AnyImage, *args: Any, painting: _Painting, **params: Any) -> AnyImage:
        """The mask with the defects."""
        size = painting.defects.shape
        if mask.shape not in (size, (*size, 1)):
            raise InputError(
                f"a mask is {mask.shape} and the image {size}: give {size} or {(*size, 1)}, and where a mask has a channel for "
                "each class, that of the defects alone"
            )
        if mask.dtype.kind in "iu" and self.mask_value > np.iinfo(mask.dtype).max:
            raise InputError(f"mask_value is {self.mask_value}, which a mask of {mask.dtype} cannot hold: give a smaller one")
        marked = mask.copy()
        marked[painting.defects] = self.mask_value
        return marked

    def apply_to_bboxes(self, bboxes: AnyImage, *args: Any, **params: Any) -> AnyImage:
        """The boxes, as they are."""
        return bboxes

    def apply_to_keypoints(self, keypoints: AnyImage, *args: Any, **params: Any) -> AnyImage:
        """The keypoints, as they are."""
        return keypoints

    def _only_image(self, data: dict[str, Any]) -> str:
        kinds = {name: self._additional_targets.get(name, name) for name, value in data.items() if value is not None}
        images = [name for name, kind in kinds.items() if kind == "image"]
        others = [name for name, kind in kinds.items() if kind in _NOT_PAINTED]
        if len(images) != 1 or others:
            raise InputError(
                f"this call has {', '.join([*images, *others]) or 'no image'}: give one image; several are calls of their own, "
                "and videos and volumes cannot be painted"
            )
        return images[0]

    def _paint(self, image: AnyImage, index: int, roi: AnyImage | None) -> _Painting:
        given = _in_scale(image)
        sample = self.synthesizer(given, index=index, roi=roi)
        painted = sample.image if given is image else np.where(sample.image != given, sample.image, image)
        return _Painting(painted, sample.mask > 0)


def _without_path(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _in_scale(image: AnyImage) -> AnyImage:
    """Floats that miss [0, 1] by no more than rounding, brought to its ends; all else stays, for the synthesizer to refuse."""
    if not isinstance(image, np.ndarray) or image.dtype != np.float32 or image.size == 0:
        return image
    cut = image.clip(0.0, 1.0)
    return cut if np.abs(image - cut).max() <= _ROUNDING else image
