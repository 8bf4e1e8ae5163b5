"""What a rendered dataset is made of: the job in ``render.json``, its tasks, and what ``manifest.jsonl`` says of a sample."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, ValidationError, model_validator

from defectsynth.banks import CACHE_BYTES, DefectBank, MaskBank, NormalBank, TextureBank
from defectsynth.canvases import Canvases, open_canvases
from defectsynth.encoding import QUALITY, Encoding, ImageFormat
from defectsynth.errors import InputError, SourceError, StorageError
from defectsynth.files import BUILTIN_PREFIX, MAX_PIXELS, PNG_LEVEL
from defectsynth.formats.manifest import Line
from defectsynth.formats.runs import encode_runs
from defectsynth.images import AnyImage, Box
from defectsynth.masks.control import count_pieces
from defectsynth.plugins import missing_plugins
from defectsynth.recipe import Recipe
from defectsynth.rng import Draws
from defectsynth.sample import AnomalySample
from defectsynth.spec import Spec, describe
from defectsynth.synthesizer import AnomalySynthesizer

__all__ = ["Job", "Task", "check_imports", "measured", "read_job", "recipe_hash"]

JOB_FILE = "render.json"
RECIPE_FILE = "recipe.yaml"


class Job(Spec):
    """Everything that the bytes of a dataset follow from.

    Attributes:
        images: folder of normal pictures, or ``builtin:<product>``.
        roi: folder of ROI masks, or one mask file.
        textures: folder of textures, or ``builtin:<family>``.
        defects, masks: folders of sources.
        exclude: folders whose pictures no source may share.
        count: labelled pictures, below ``test/``.
        seed: 0 to 2**64 - 1.
        white: the value of white in 10-, 12- or 14-bit pictures kept in 16 bits; None for the full scale.
        size: ``(H, W)``, or None for each picture's own.
        train_fraction: share of the normal pictures that go to ``train/good`` as they are; the others are painted on.
        max_pixels: larger picture files are refused.
        image_format: ``png``; or ``jpg`` or ``webp``, which lose pixels. Masks are PNG whatever it says.
        png_level: 0 to 9, with ``png`` only (``files.encode_image``); None for 1.
        quality: 1 to 100, with ``jpg`` and ``webp`` only; None for 95.
        lossless: whether the files hold every pixel as it was painted: with ``png`` and nothing else; follows by itself.
        imports: modules and files with the recipe's own kinds (``plugins.py``), for worker processes; the caller has imported
            them already.
        canvases: fingerprint of the normal pictures' names and sizes; filled in by ``render``.
        recipe: hash of the recipe; filled in by ``render``.
    """

    images: str
    roi: str | None = None
    textures: str | None = None
    defects: str | None = None
    masks: str | None = None
    exclude: tuple[str, ...] = ()
    count: int = Field(ge=1)
    seed: int = Field(default=0, ge=0, lt=2**64)
    white: int | None = Field(default=None, ge=1, le=65_535)
    size: tuple[int, int] | None = None
    train_fraction: float = Field(default=0.5, ge=0.0, lt=1.0)
    max_pixels: int = Field(default=MAX_PIXELS, ge=1)
    image_format: ImageFormat = "png"
    png_level: int | None = Field(default=None, ge=0, le=9)
    quality: int | None = Field(default=None, ge=1, le=100)
    lossless: bool = True
    imports: tuple[str, ...] = ()
    canvases: str = ""
    recipe: str = ""

    @model_validator(mode="before")
    @classmethod
    def _complete_encoding(cls, values: Any) -> Any:
        """The bytes follow from what is written down, so a default is written down; an option of no effect is a mistake."""
        if not isinstance(values, dict):
            return values
        lossless = values.get("image_format", "png") == "png"
        option, default, other = ("png_level", PNG_LEVEL, "quality") if lossless else ("quality", QUALITY, "png_level")
        chosen = values.get("image_format", "png")
        if values.get(other) is not None:
            raise ValueError(f"{other} is {values[other]} but image_format is {chosen}, which has {option}: leave {other} out")
        if values.get("lossless") not in (None, lossless):
            raise ValueError(f"lossless is {values['lossless']} but image_format is {chosen}: leave lossless out")
        return {**values, option: default if values.get(option) is None else values[option], "lossless": lossless}

    @property
    def encoding(self) -> Encoding:
        """What its pictures are written as."""
        level = PNG_LEVEL if self.png_level is None else self.png_level
        return Encoding(self.image_format, level, QUALITY if self.quality is None else self.quality)

    def open_canvases(self) -> Canvases:
        """The normal pictures."""
        return open_canvases(self.images, roi=self.roi, size=self.size, max_pixels=self.max_pixels)

    def synthesizer(self, recipe: Recipe, *, guard: bool = True, cache_bytes: int = CACHE_BYTES) -> AnomalySynthesizer:
        """The synthesizer; banks that the recipe does not need are not opened, but must be there.

        Args:
            recipe: what may be drawn.
            guard: whether to refuse sources that share a picture with ``exclude``.
            cache_bytes: decoded pixels that each bank of files keeps.

        Raises:
            DefectSynthError: a folder is missing, or see ``AnomalySynthesizer``.
        """
        textures = None if self.textures is None or self.textures.startswith(BUILTIN_PREFIX) else self.textures
        for folder in (textures, self.defects, self.masks, *(self.exclude if guard else ())):
            if folder is not None and not Path(folder).is_dir():
                raise SourceError(f"source folder {folder!r} does not exist: check the path")
        return AnomalySynthesizer(
            recipe,
            textures=self._textures(cache_bytes) if "textures" in recipe.needs else None,
            defects=DefectBank(self.defects, cache_bytes=cache_bytes) if self.defects and "defects" in recipe.needs else None,
            masks=MaskBank(self.masks, cache_bytes=cache_bytes) if self.masks and "masks" in recipe.needs else None,
            normals=self._normals(cache_bytes) if "normals" in recipe.needs else None,
            seed=self.seed,
            white=self.white,
            exclude=self.exclude if guard else (),
        )

    def _textures(self, cache_bytes: int) -> TextureBank | str | None:
        if self.textures is None or self.textures.startswith(BUILTIN_PREFIX):
            return self.textures
        return TextureBank(self.textures, cache_bytes=cache_bytes)

    def _normals(self, cache_bytes: int) -> NormalBank:
        """The job's own normal pictures, as a source of patches."""
        canvases = self.open_canvases()

        def read(name: str) -> tuple[AnyImage, str]:
            canvas = canvases.load(name)
            return canvas.image, canvas.hash

        return NormalBank(canvases.names, read=read, cache_bytes=cache_bytes)

    def tasks(self, canvases: Canvases) -> list[Task]:
        """What is to be written: normal pictures of ``train/good``, then the labelled ones of ``test``.

        A picture is either in ``train/good`` or painted on, never both; each of the latter is painted on equally often.
        """
        order = sorted(range(len(canvases.names)), key=lambda place: (Draws(self.seed, place).unit("canvas order"), place))
        held_in = min(round(self.train_fraction * len(order)), len(order) - 1)
        train, test = sorted(order[:held_in]), order[held_in:]
        return [Task("train", place, canvases.names[place]) for place in train] + [
            Task("test", index, canvases.names[test[index % len(test)]]) for index in range(self.count)
        ]


@dataclass(frozen=True, slots=True)
class Task:
    """One picture to write: its split, its number there (``test``: the sample's index) and the canvas it is made from."""

    split: str
    number: int
    canvas: str

    @property
    def stem(self) -> str:
        """The file's name without suffix, unique in the dataset and zero-padded so that it sorts."""
        return f"{self.number:06d}" if self.split == "test" else f"n{self.number:06d}"


def check_imports(root: Path, imports: Sequence[str]) -> None:
    """Whether all that a dataset was rendered with has been imported; nothing is ever imported because a dataset names it.

    Args:
        root: the dataset.
        imports: what the user has named and ``load_plugins`` imported.

    Raises:
        InputError: something is missing.
        StorageError: the folder is not a dataset of ours, or its job is damaged.
    """
    missing = missing_plugins(_read_job(root).imports, imports)
    if missing:
        again = " ".join(f"--import {name}" for name in missing)
        raise InputError(
            f"this dataset was rendered with {again}: give it again, if you trust it (nothing is imported because "
            f"{str(root / JOB_FILE)!r} names it)"
        )


def read_job(root: Path, *, imports: Sequence[str] = ()) -> tuple[Job, Recipe]:
    """The job and the recipe of a rendered dataset; ``imports`` are the plugins that have been imported, see ``check_imports``.

    Raises:
        InputError: it was rendered with plugins that are not among ``imports``.
        StorageError: the folder is not a dataset of ours, or its files are damaged.
    """
    check_imports(root, imports)
    job, path = _read_job(root), root / RECIPE_FILE
    return job, Recipe.from_yaml(_read_text(path), str(path))


def _read_job(root: Path) -> Job:
    try:
        return Job.model_validate_json(_read_text(root / JOB_FILE))
    except ValidationError as error:
        raise StorageError(f"{str(root / JOB_FILE)!r} is damaged: {describe(error, Job)}") from None


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise StorageError(f"{str(path)!r} is not text ({error}): render again") from None
    except OSError as error:
        raise StorageError(
            f"{str(path.parent)!r} is not a dataset that `defectsynth render` began ({error.strerror}: {error.filename})"
        ) from None


def recipe_hash(recipe: Recipe) -> str:
    """16 hexadecimal digits of a recipe without what has its default value: a key of a later version changes nothing."""
    values = recipe.model_dump(mode="json", exclude_defaults=True)
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]


def measured(sample: AnomalySample) -> dict[str, Any]:
    """What a manifest line says of a sample.

    ``area`` (of the picture's), ``pixels``, ``components``, ``plan``, and ``pieces``: kind, box
    ``[top, left, bottom, right]`` and pixels of each connected piece; where pieces of several defects touch, so that the mask
    does not tell them apart, also the position of each one's defect in the plan and its run lengths inside the box.
    """
    pixels, pieces = int(np.count_nonzero(sample.mask)), sample.piece_sizes()
    found = _components(sample, pixels, pieces)
    listed: list[Line] = [{"kind": kind, "box": list(box), "pixels": inside} for kind, box, inside in pieces]
    if found != len(pieces):
        for entry, piece in zip(listed, sample.pieces(), strict=True):
            entry |= {"anomaly": piece.anomaly, "runs": encode_runs(piece.mask)["counts"]}
    return {
        "area": round(pixels / sample.mask.size, 8),
        "pixels": pixels,
        "components": found,
        "pieces": listed,
        "plan": sample.plan.to_dict(),
    }


def _components(sample: AnomalySample, pixels: int, pieces: list[tuple[str, Box, int]]) -> int:
    """8-connected pieces of the mask; those of a single defect have been counted already."""
    if len(sample.plan.anomalies) <= 1 and pixels == sum(inside for _, _, inside in pieces):
        return len(pieces)
    return count_pieces(sample.mask)
