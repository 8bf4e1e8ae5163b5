"""The ROI of strokes: painted at the size of the picture's own file, as ``render --roi`` wants it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from defectsynth.errors import RegionError
from defectsynth.files import read_form, read_image, write_image
from defectsynth.images import Mask, split_alpha
from defectsynth.region import Regions
from defectsynth.studio.state import Roi, Stroke

__all__ = ["mask_file", "paint_roi", "shared_names", "write_roi"]


def paint_roi(roi: Roi, base: Mask) -> Mask:
    """``(H, W)`` 0 or 255: the strokes over ``base``, which is not written to."""
    mask = base.copy()
    for stroke in roi.strokes:
        _paint_stroke(mask, stroke)
    return mask


def write_roi(roi: Roi, picture: Path, target: Path, regions: Regions, max_pixels: int) -> None:
    """Writes the mask of one picture.

    Raises:
        ImageError: the picture cannot be read.
        RegionError: its foreground is asked for and not certain, or nothing is left of the ROI.
    """
    if roi.base == "foreground":
        image = read_image(picture, max_pixels=max_pixels)
        base = regions.find(image if picture.suffix == ".npy" else split_alpha(image)[0], None).mask
    else:
        shape, _ = read_form(picture, max_pixels=max_pixels)
        base = np.full(shape[:2], 255 if roi.base == "everything" else 0, dtype=np.uint8)
    mask = paint_roi(roi, base)
    if not mask.any():
        raise RegionError(f"the ROI of {picture.name!r} is empty: paint where a defect may lie, or take the ROI away")
    write_image(target, mask)


def mask_file(folder: Path, name: str) -> Path:
    """Where ``render --roi`` looks for the mask of a picture first."""
    return (folder / name).with_suffix(".png")


def shared_names(names: list[str]) -> list[str]:
    """Pictures that would have one mask file between them, since only their suffixes differ."""
    seen: dict[Path, str] = {}
    return [name for name in names if seen.setdefault(Path(name).with_suffix(""), name) != name]


def _paint_stroke(mask: Mask, stroke: Stroke) -> None:
    height, width = mask.shape
    radius = max(1, round(stroke.radius * float(np.sqrt(mask.size))))
    value = 255 if stroke.mode == "add" else 0
    points = [(round(x * width), round(y * height)) for x, y in stroke.points]
    for start, end in zip(points[:1] + points, points, strict=False):
        cv2.line(mask, start, end, value, 2 * radius, cv2.LINE_8)
        cv2.circle(mask, end, radius, value, -1, cv2.LINE_8)
