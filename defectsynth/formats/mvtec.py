"""The MVTec AD layout, written and read.

    train/good/<stem>.png                    normal pictures
    test/good/<stem>.png                     normal pictures
    test/<kind>/<stem>.png                   pictures with a defect of one kind
    ground_truth/<kind>/<stem>_mask.png      its mask, 8 bits, 0 or 255, the size of its picture

Source: Bergmann et al., *MVTec AD*, CVPR 2019.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from defectsynth.encoding import LOSSLESS, Encoding
from defectsynth.errors import ImageError
from defectsynth.files import find_images, list_images, read_image, read_mask, write_bytes, write_image
from defectsynth.images import AnyImage, Mask, split_alpha

__all__ = [
    "NORMAL_KIND",
    "LabelledPicture",
    "check_mask",
    "datasets_below",
    "mask_path",
    "read_defects",
    "read_labelled",
    "read_mvtec",
    "write_encoded",
    "write_mvtec",
]

NORMAL_KIND = "good"


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    """One picture of a dataset.

    Attributes:
        image: the picture's file.
        kind: ``good`` or the kind of its defect.
        split: ``train`` or ``test``.
        mask: the mask's file; None for a normal picture.
    """

    image: Path
    kind: str
    split: str
    mask: Path | None = None


def read_mvtec(root: Path) -> list[LabelledPicture]:
    """Every picture of a dataset, sorted by split, kind and name.

    Raises:
        ImageError: neither ``train`` nor ``test`` is there, or a defective picture has no mask.
    """
    if not root.is_dir():
        raise ImageError(
            f"dataset {str(root)!r} is not a folder: give one in the MVTec AD layout (train/good, test/<kind>, ground_truth)"
        )
    found = [picture for split in ("train", "test") for picture in _read_split(root, split)]
    if not found:
        raise ImageError(f"dataset {str(root)!r} has no pictures in train/<kind> or test/<kind>: it needs the MVTec AD layout")
    return found


def datasets_below(root: Path) -> dict[str, Path]:
    """The datasets of a folder: itself, under the name "", or those that lie in it, by name, as the products do in MVTec AD.

    A folder without either is taken for a dataset, so that reading it says what is missing.
    """
    if not root.is_dir() or (root / "test").is_dir() or (root / "train").is_dir():
        return {"": root}
    found = {folder.name: folder for folder in sorted(root.iterdir()) if (folder / "test").is_dir()}
    return found or {"": root}


def read_defects(root: Path) -> list[LabelledPicture]:
    """The defective pictures of a dataset, each with its mask.

    Raises:
        ImageError: the folder is not in the MVTec AD layout, or holds no defective picture.
    """
    found = [picture for picture in read_mvtec(root) if picture.mask is not None]
    if not found:
        raise ImageError(
            f"dataset {str(root)!r} has no defects: it needs test/<kind>/<name> with ground_truth/<kind>/<name>_mask.png"
        )
    return found


def read_labelled(picture: LabelledPicture) -> tuple[AnyImage, Mask]:
    """A defective picture without its alpha, and its mask.

    Raises:
        ImageError: a file cannot be read, there is no mask, or it is empty or of another size than the picture.
    """
    if picture.mask is None:
        raise ImageError(f"picture {str(picture.image)!r} has no mask: only defects can be measured")
    image, _ = split_alpha(read_image(picture.image))
    mask = read_mask(picture.mask)
    check_mask(mask, image, str(picture.mask))
    return image, mask


def check_mask(mask: Mask, image: AnyImage, name: str) -> None:
    """Raises ``ImageError`` where a mask is empty, or of another size than its picture."""
    if mask.shape != image.shape[:2]:
        raise ImageError(
            f"mask {name!r} is {mask.shape[1]} x {mask.shape[0]} but its picture is "
            f"{image.shape[1]} x {image.shape[0]}: a mask has the size of its picture"
        )
    if not mask.any():
        raise ImageError(f"mask {name!r} is empty: remove the pair, or mark the defect in it")


def write_mvtec(
    root: Path, split: str, kind: str, stem: str, image: AnyImage, mask: Mask | None = None, encoding: Encoding = LOSSLESS
) -> Path:
    """Writes one picture, and its mask (always PNG) if it has one; returns the picture's path.

    Raises:
        StorageError: it cannot be written.
        ImageError: the encoding is lossy and cannot hold the picture.
    """
    return write_encoded(root, split, kind, f"{stem}{encoding.suffix(image)}", encoding.encode(image), mask)


def write_encoded(root: Path, split: str, kind: str, name: str, picture: bytes, mask: Mask | None = None) -> Path:
    """The same for a picture that is encoded already; ``name`` is that of its file, with the suffix.

    The mask is written first, so that a picture which is there is complete.
    """
    path = root / f"{split}/{kind}/{name}"
    if mask is not None:
        write_image(mask_path(root, kind, path.stem), mask)
    write_bytes(path, picture)
    return path


def mask_path(root: Path, kind: str, stem: str) -> Path:
    """Where the mask of a picture lies."""
    return root / f"ground_truth/{kind}/{stem}_mask.png"


def _read_split(root: Path, split: str) -> list[LabelledPicture]:
    if not (root / split).is_dir():
        return []
    kinds = sorted(folder.name for folder in (root / split).iterdir() if folder.is_dir())
    return [picture for kind in kinds for picture in _read_kind(root, split, kind)]


def _read_kind(root: Path, split: str, kind: str) -> list[LabelledPicture]:
    folder = root / split / kind
    images = find_images(folder)
    if kind == NORMAL_KIND:
        return [LabelledPicture(path, kind, split) for path in images]
    masks = _masks(root / "ground_truth" / kind)
    return [LabelledPicture(path, kind, split, _mask_for(path, masks)) for path in images]


def _masks(folder: Path) -> dict[str, Path]:
    """Mask files by the stem of the picture that they belong to."""
    if not folder.is_dir():
        return {}
    return {path.stem.removesuffix("_mask"): path for path in list_images(folder, "mask")}


def _mask_for(image: Path, masks: dict[str, Path]) -> Path:
    if image.stem not in masks:
        kind = image.parent.name
        expected = mask_path(image.parents[2], kind, image.stem)
        raise ImageError(f"picture {str(image)!r} has no mask: expected {str(expected)!r}")
    return masks[image.stem]
