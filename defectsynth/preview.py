"""The contact sheet: normal, anomalous, mask and defect map of some samples, for a person to look at."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from defectsynth.images import resize_image, to_rgb8
from defectsynth.sample import AnomalySample

__all__ = ["contact_sheet"]

RGB8 = npt.NDArray[np.uint8]

_GAP = 6
_CAPTION = 18
_BACKGROUND = (250, 250, 250)
_INK = (40, 40, 40)
_COLUMNS = ("normal", "anomalous", "mask", "defect map")


def contact_sheet(samples: Sequence[AnomalySample], *, cell: int = 176, per_row: int = 2) -> RGB8:
    """``(H, W, 3)`` uint8: four pictures a sample, ``per_row`` samples beside each other, the kind above each.

    Args:
        samples: what to show.
        cell: longest side of each picture in pixels; larger pictures are shrunk, smaller ones magnified.
        per_row: samples beside each other.
    """
    block = 4 * cell + 5 * _GAP
    rows = [samples[start : start + per_row] for start in range(0, len(samples), per_row)]
    heights = [_CAPTION + _GAP + max(_fitted_shape(sample.mask.shape, cell)[0] for sample in row) for row in rows]
    sheet = Image.new("RGB", (per_row * block, sum(heights) + _CAPTION + _GAP), _BACKGROUND)
    pen = ImageDraw.Draw(sheet)
    for place in range(min(per_row, len(samples))):
        _write_headings(pen, place * block, cell)
    for number, row in enumerate(rows):
        top = _CAPTION + _GAP + sum(heights[:number])
        for place, sample in enumerate(row):
            _paste_sample(sheet, pen, sample, (place * block + _GAP, top), cell)
    return np.asarray(sheet, dtype=np.uint8)


def _write_headings(pen: ImageDraw.ImageDraw, left: int, cell: int) -> None:
    for column, heading in enumerate(_COLUMNS):
        pen.text((left + _GAP + column * (cell + _GAP), _GAP), heading, fill=_INK, font=_font())


def _paste_sample(
    sheet: Image.Image, pen: ImageDraw.ImageDraw, sample: AnomalySample, corner: tuple[int, int], cell: int
) -> None:
    left, top = corner
    share = np.count_nonzero(sample.mask) / sample.mask.size
    caption = f"#{sample.plan.index}  {sample.plan.kind}" + (f"  {share:.2%} of the picture" if sample.is_anomalous else "")
    pen.text((left, top), caption, fill=_INK, font=_font())
    pictures = (
        to_rgb8(sample.normal, sample.plan.white),
        to_rgb8(sample.image, sample.plan.white),
        to_rgb8(sample.mask),
        _heat(sample.defect_map),
    )
    for column, picture in enumerate(pictures):
        sheet.paste(Image.fromarray(_fitted(picture, cell)), (left + column * (cell + _GAP), top + _CAPTION))


def _fitted(picture: RGB8, cell: int) -> RGB8:
    return np.asarray(resize_image(picture, _fitted_shape(picture.shape, cell)), dtype=np.uint8)


def _fitted_shape(shape: tuple[int, ...], cell: int) -> tuple[int, int]:
    scale = cell / max(shape[:2])
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _heat(defect_map: npt.NDArray[np.float32]) -> RGB8:
    grey = np.rint(defect_map * 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=12)
