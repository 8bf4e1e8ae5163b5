"""A score for people: two tables, and a picture of the most and the least convincing synthetic defects beside real ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from defectsynth.errors import ImageError
from defectsynth.formats.mvtec import LabelledPicture, read_defects, read_labelled
from defectsynth.images import Mask, resize_image, to_rgb8
from defectsynth.scoring.comparison import HAND_MADE, MeasureDistance, PictureScore, Score, SetSummary, TwoSampleTest
from defectsynth.scoring.views import cut_view

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["measure_table", "score_sheet", "score_table"]

RGB8 = npt.NDArray[np.uint8]

_GAP = 8
_HEADING = 30
_CAPTION = 32
_BACKGROUND = (250, 250, 250)
_INK = (40, 40, 40)
_FAINT = (110, 110, 110)
_LINE = (255, 60, 190)  # seen on dark, on bright and on most coloured products


def score_table(score: Score) -> Table:
    """The two tests: AUROC, its interval, and the same between halves of the real set."""
    from rich.table import Table

    title = f"AUROC of {score.synthetic.used} synthetic against {score.real.used} real defects"
    table = Table(title=title, caption=f"0.5: cannot be told apart, 1: always can\nappearance by features {_features(score)}")
    table.add_column("test", no_wrap=True)
    for heading in ("AUROC", "95 %", "real against real", "lowest to highest"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, test in (("shape", score.shape), ("appearance", score.appearance)):
        table.add_row(name, *_test_cells(test))
    return table


def measure_table(score: Score) -> Table:
    """The statistics: medians, their ratio, and how far the distributions lie apart."""
    from rich.table import Table

    caption = "real, synthetic: medians; distance: Wasserstein's, in standard deviations of the real values"
    table = Table(title="statistics of the defects", caption=caption)
    for heading in ("measure", "real", "synthetic", "ratio", "distance", "real against real"):
        table.add_column(heading, justify="left" if heading == "measure" else "right", no_wrap=True)
    for row in score.measures:
        table.add_row(*_measure_cells(row))
    return table


def score_sheet(score: Score, *, count: int = 8, cell: int = 160) -> RGB8:
    """``(H, W, 3)`` uint8: a band of real defects, one of the most and one of the least convincing synthetic ones.

    Each defect is shown as it is and, below, with its outline, in the square that the appearance test sees.

    Args:
        score: what ``score`` returned; its pictures are read again.
        count: defects a band.
        cell: side of each square in pixels.

    Raises:
        ImageError: a picture is no longer there or cannot be read.
    """
    synthetic = score.synthetic_pictures
    bands = (
        (
            "Real, from the whole of the ranking: lowest to highest p",
            score.real,
            _evenly(score.real_pictures, count),
        ),
        ("Synthetic, the most convincing: lowest p", score.synthetic, synthetic[:count]),
        ("Synthetic, the least convincing: highest p", score.synthetic, synthetic[::-1][:count]),
    )
    height = _HEADING + _CAPTION + 2 * cell + 2 * _GAP
    sheet = Image.new("RGB", (_GAP + count * (cell + _GAP), len(bands) * height + _HEADING), _BACKGROUND)
    pen = ImageDraw.Draw(sheet)
    for number, (heading, summary, pictures) in enumerate(bands):
        pen.text((_GAP, number * height + _GAP), heading, fill=_INK, font=_font(16))
        _paste_band(sheet, pen, summary, pictures, number * height + _HEADING, cell)
    legend = (
        f"p: probability of being synthetic, by the appearance test (features {_features(score)}), which had not seen the "
        f"picture; AUROC {score.appearance.auroc:.2f}.   Line: outline of the mask."
    )
    pen.text((_GAP, len(bands) * height + 4), legend, fill=_FAINT, font=_font(13))
    return np.asarray(sheet, dtype=np.uint8)


# --- tables ---------------------------------------------------------------------------------------------------------------


def _features(score: Score) -> str:
    named = score.appearance.features
    return named if named == HAND_MADE else f"of {named}"


def _test_cells(test: TwoSampleTest) -> tuple[str, ...]:
    low, high = test.interval
    floor = test.floor
    return f"{test.auroc:.2f}", f"{low:.2f} to {high:.2f}", f"{floor.mean:.2f}", f"{floor.low:.2f} to {floor.high:.2f}"


def _measure_cells(row: MeasureDistance) -> tuple[str, ...]:
    optional = [
        "-" if value is None else f"{value:.2f}"
        for value in (row.median_ratio, row.distance_in_real_spreads, row.floor_in_real_spreads)
    ]
    return row.name, f"{row.real_median:.2g}", f"{row.synthetic_median:.2g}", *optional


# --- picture --------------------------------------------------------------------------------------------------------------


def _evenly(pictures: Sequence[PictureScore], count: int) -> Sequence[PictureScore]:
    places = np.linspace(0, len(pictures) - 1, min(count, len(pictures)))
    return [pictures[round(float(place))] for place in places]


def _paste_band(
    sheet: Image.Image, pen: ImageDraw.ImageDraw, summary: SetSummary, pictures: Sequence[PictureScore], top: int, cell: int
) -> None:
    files = {one.image: one for one in read_defects(Path(summary.folder))}
    for place, picture in enumerate(pictures):
        left = _GAP + place * (cell + _GAP)
        path = Path(summary.folder) / picture.name
        if path not in files:
            raise ImageError(f"picture {str(path)!r} was scored but is no longer there: score the sets again")
        for row, part in enumerate(_two_views(files[path], cell)):
            sheet.paste(Image.fromarray(part), (left, top + row * (cell + 2)))
        below = top + 2 * cell + 4
        pen.text((left, below), f"p {picture.probability:.2f}  {picture.kind}", fill=_INK, font=_font(12))
        pen.text((left, below + 14), _shortened(Path(picture.name).stem, cell), fill=_FAINT, font=_font(12))


def _two_views(picture: LabelledPicture, cell: int) -> tuple[RGB8, RGB8]:
    """``(cell, cell, 3)`` each: the view as it is, and with the mask's outline drawn just outside of it."""
    view = cut_view(*read_labelled(picture))
    scale = cell / max(view.mask.shape)
    shape = (max(1, round(view.mask.shape[0] * scale)), max(1, round(view.mask.shape[1] * scale)))
    rgb = to_rgb8(np.clip(resize_image(view.rgb, shape), 0, 1))
    outlined = _outlined(rgb, cv2.resize(view.mask, shape[::-1], interpolation=cv2.INTER_NEAREST))
    return _centred(rgb, cell), _centred(outlined, cell)


def _outlined(rgb: RGB8, mask: npt.NDArray[np.generic]) -> RGB8:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    widened: Mask = np.asarray(cv2.dilate(np.asarray(mask, dtype=np.uint8), kernel), dtype=np.uint8)
    contours, _ = cv2.findContours(widened, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    drawn = rgb.copy()
    cv2.drawContours(drawn, contours, -1, _LINE, 2)
    return drawn


def _centred(rgb: RGB8, cell: int) -> RGB8:
    square = np.full((cell, cell, 3), _BACKGROUND, dtype=np.uint8)
    top, left = (cell - rgb.shape[0]) // 2, (cell - rgb.shape[1]) // 2
    square[top : top + rgb.shape[0], left : left + rgb.shape[1]] = rgb
    return square


def _shortened(name: str, width: int) -> str:
    letters = max(4, width // 7)
    return name if len(name) <= letters else f"{name[: letters - 1]}…"


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)
