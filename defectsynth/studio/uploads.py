"""Dropped defect pictures with masks: checked, written anew under names of our own, and matched."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image, UnidentifiedImageError

from defectsynth.banks import DefectBank
from defectsynth.errors import ImageError, InputError
from defectsynth.files import IMAGE_SUFFIXES, binary_mask, lossless_suffix, read_image, write_bytes, write_image
from defectsynth.formats.mvtec import check_mask, mask_path
from defectsynth.images import AnyImage, split_alpha
from defectsynth.matching.examples import measure_bank
from defectsynth.matching.fit import fit_recipe
from defectsynth.matching.text import summary_of
from defectsynth.studio.limits import UPLOAD_FILES, UPLOAD_PIXELS
from defectsynth.studio.shelf import UPLOAD_PREFIX, Shelf

__all__ = ["Upload", "keep_uploads", "match_bank"]

_SUFFIXES = IMAGE_SUFFIXES - {".npy"}
_KIND = re.compile(r"[A-Za-z0-9_-]{1,40}")
_MASK_ENDINGS = ("_mask", "-mask", ".mask")


@dataclass(frozen=True, slots=True)
class Upload:
    """One file as it came: its name, which is never used as a path, and its bytes."""

    name: str
    data: bytes

    @property
    def stem(self) -> str:
        """The name by which a picture and its mask find each other."""
        stem = PurePosixPath(self.name.replace("\\", "/")).stem
        for ending in _MASK_ENDINGS:
            stem = stem.removesuffix(ending)
        return stem


def keep_uploads(shelf: Shelf, kind: str, pictures: Sequence[Upload], masks: Sequence[Upload]) -> str:
    """Keeps pictures and their masks in the MVTec AD layout; returns the key of the set.

    Args:
        shelf: that keeps them.
        kind: what the defects are called.
        pictures: 1 to 50.
        masks: as many, each named like its picture, with or without ``_mask``.

    Raises:
        InputError: too many files, a name that is no kind, a picture without a mask or a mask without a picture.
        ImageError: a file that cannot be read, or is too large, or a mask that is empty or of another size.
    """
    pairs = _pairs(kind, pictures, masks)
    content = hashlib.sha256(kind.encode())
    for picture, mask in pairs:
        content.update(hashlib.sha256(picture.data).digest() + hashlib.sha256(mask.data).digest())
    name = content.hexdigest()[:24]
    folder = shelf.aside / f"upload-{name}"
    if not folder.is_dir():
        making = shelf.aside / f"making-{name}"
        try:
            for number, (picture, mask) in enumerate(pairs):
                _write_pair(making, kind, f"{number:03d}", picture, mask)
            making.replace(folder)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    key = f"{UPLOAD_PREFIX}{name}"
    shelf.keep_upload(key, folder)
    return key


def match_bank(bank: DefectBank, kinds: Sequence[str] | None = None) -> dict[str, Any]:
    """The recipe that draws more like a bank's defects, and a line on each of its kinds.

    Raises:
        InputError: a kind that there is not.
        SourceError: a picture or a mask cannot be used.
    """
    for kind in kinds or ():
        if kind not in bank.kinds:
            raise InputError(f"kind {kind!r} is not among these defects: they are {', '.join(bank.kinds)}")
    examples = measure_bank(bank, kinds)
    recipe = fit_recipe(examples)
    found = sorted({example.kind for example in examples})
    notes = [f"{kind}: {summary_of([one for one in examples if one.kind == kind])}" for kind in found]
    return {"recipe": recipe.model_dump(mode="json"), "examples": len(examples), "notes": notes}


def _pairs(kind: str, pictures: Sequence[Upload], masks: Sequence[Upload]) -> list[tuple[Upload, Upload]]:
    if not _KIND.fullmatch(kind) or kind == "good":
        raise InputError(f"kind {kind!r} becomes a folder: use letters, digits, _ and -, at most 40, but not good")
    if len(pictures) + len(masks) > UPLOAD_FILES:
        raise InputError(f"{len(pictures) + len(masks)} files were dropped: at most {UPLOAD_FILES}, with the masks")
    if not pictures:
        raise InputError("no defect pictures were dropped: give at least one, and its mask")
    for file in (*pictures, *masks):
        if PurePosixPath(file.name).suffix.lower() not in _SUFFIXES:
            raise InputError(f"file {file.name!r} is not a picture: use one of {' '.join(sorted(_SUFFIXES))}")
    by_stem = {mask.stem: mask for mask in masks}
    for picture in pictures:
        if picture.stem not in by_stem:
            raise InputError(f"picture {picture.name!r} has no mask: drop {picture.stem}_mask.png, white on the defect")
    unused = sorted(set(by_stem) - {picture.stem for picture in pictures})
    if unused:
        raise InputError(f"mask {by_stem[unused[0]].name!r} has no picture: drop the picture {unused[0]!r} as well")
    return [(picture, by_stem[picture.stem]) for picture in sorted(pictures, key=lambda one: one.name)]


def _write_pair(folder: Path, kind: str, stem: str, picture: Upload, mask: Upload) -> None:
    """Both are decoded and written anew, so that what is kept is a picture and nothing else."""
    image = split_alpha(_decoded(folder, picture))[0]
    marked = binary_mask(_decoded(folder, mask))
    check_mask(marked, image, mask.name)
    write_image(mask_path(folder, kind, stem), marked)
    write_image(folder / "test" / kind / f"{stem}{lossless_suffix(image)}", image)


def _look_at_header(path: Path) -> None:
    """Refuses what Pillow does not know: ``read_image`` may give it to OpenCV, which takes memory before it knows the size."""
    try:
        Image.open(path).close()
    except UnidentifiedImageError:
        raise ImageError(f"picture {str(path)!r} is not a picture that can be read: save it again as PNG") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return  # ``read_image`` says what is wrong


def _decoded(folder: Path, file: Upload) -> AnyImage:
    aside = folder / f"incoming{PurePosixPath(file.name).suffix.lower()}"
    write_bytes(aside, file.data)
    try:
        _look_at_header(aside)
        return read_image(aside, max_pixels=UPLOAD_PIXELS)
    except ImageError as error:
        raise ImageError(str(error).replace(repr(str(aside)), repr(file.name))) from None
    finally:
        aside.unlink(missing_ok=True)
