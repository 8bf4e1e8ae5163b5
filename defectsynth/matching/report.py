"""The report of a match: statistics of real and synthetic defects side by side, and a sheet with some of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from defectsynth.formats.mvtec import LabelledPicture, read_defects, read_labelled
from defectsynth.images import Mask, bounding_box, resize_image, resize_mask, to_rgb8
from defectsynth.matching.examples import Example
from defectsynth.matching.text import summary_of
from defectsynth.recipe import Recipe
from defectsynth.statistics import QUANTILES, Comparison

__all__ = ["report_text", "sample_sheet"]

RGB8 = npt.NDArray[np.uint8]

_CELL = 150
_COLUMNS = 8
_GAP = 6
_TITLE = 20
_CONTEXT = 1.7  # side of a view, of the defect's longer side
_SMALLEST = 48  # pixels
_OUTLINE = (230, 40, 40)
_BACKGROUND = (250, 250, 250)
_INK = (40, 40, 40)


def report_text(
    recipe: Recipe, examples: Sequence[Example], comparison: Comparison, defects: Path, normals: Path, out: Path
) -> str:
    """Markdown: what was measured, what the sample measures beside it, and what to run next."""
    kinds = sorted({example.kind for example in examples})
    lines = ["# Match", ""]
    lines += [f"- `{kind}`: {summary_of([one for one in examples if one.kind == kind])}" for kind in kinds]
    lines += ["", "![real above, synthetic below](samples.png)", ""]
    lines += ["| measure | of | " + " | ".join(_heading(quantile) for quantile in QUANTILES) + " | ratio of medians |"]
    lines += ["|---|---|" + "---:|" * (len(QUANTILES) + 1)]
    for name, (own, real) in comparison.items():
        assert real is not None
        ratio = f"{own.median / real.median:.2f}" if real.median else ""
        lines.append(f"| {name} | synthetic | " + " | ".join(f"{value:.2g}" for value in own.quantiles) + f" | {ratio} |")
        lines.append("| | real | " + " | ".join(f"{value:.2g}" for value in real.quantiles) + " | |")
    lines += ["", "The real ones are those that the recipe was fitted to; judge it by others:", "", "```sh"]
    folders = f"--defects {quote(str(defects))} --images {quote(str(normals))}"
    lines += [f"defectsynth render --recipe {quote(str(out / 'matched.yaml'))} {folders} --out dataset"]
    lines += [
        "defectsynth stats dataset --against OTHER_REAL_DEFECTS",
        "defectsynth score OTHER_REAL_DEFECTS dataset",
        "```",
        "",
    ]
    return "\n".join(lines)


def sample_sheet(real: Path, synthetic: Path, kinds: Sequence[str] | None = None) -> RGB8:
    """``(H, W, 3)``: up to eight real defects and below them synthetic ones, each with and without its outline."""
    rows = [("real", _some(real, kinds)), ("synthetic", _some(synthetic, kinds))]
    width = _GAP + _COLUMNS * (_CELL + _GAP)
    height = len(rows) * (_TITLE + 2 * (_CELL + _GAP)) + _GAP
    sheet = Image.new("RGB", (width, height), _BACKGROUND)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=12)
    for number, (title, pictures) in enumerate(rows):
        top = number * (_TITLE + 2 * (_CELL + _GAP)) + 3
        pen.text((_GAP, top), title, fill=_INK, font=font)
        for column, picture in enumerate(pictures):
            plain, outlined = _view(picture)
            left = _GAP + column * (_CELL + _GAP)
            sheet.paste(Image.fromarray(plain), (left, top + _TITLE - 3))
            sheet.paste(Image.fromarray(outlined), (left, top + _TITLE - 3 + _CELL + 2))
    return np.asarray(sheet, dtype=np.uint8)


def _heading(quantile: float) -> str:
    return "median" if quantile == 0.5 else f"{quantile:.0%}"


def _some(root: Path, kinds: Sequence[str] | None) -> list[LabelledPicture]:
    """Evenly spread over the folder's defects."""
    pictures = [picture for picture in read_defects(root) if kinds is None or picture.kind in kinds]
    places = np.linspace(0, len(pictures) - 1, min(_COLUMNS, len(pictures))).round().astype(int)
    return [pictures[place] for place in places]


def _view(picture: LabelledPicture) -> tuple[RGB8, RGB8]:
    """The square around a defect, without and with its outline, ``_CELL`` pixels wide."""
    image, mask = read_labelled(picture)
    image = to_rgb8(image)
    top, left, bottom, right = bounding_box(mask) or (0, 0, 1, 1)
    side = min(max(_SMALLEST, round(_CONTEXT * max(bottom - top, right - left))), *mask.shape)
    row = min(max(0, (top + bottom - side) // 2), mask.shape[0] - side)
    column = min(max(0, (left + right - side) // 2), mask.shape[1] - side)
    window = slice(row, row + side), slice(column, column + side)
    plain = np.ascontiguousarray(resize_image(image[window], (_CELL, _CELL)), dtype=np.uint8)
    return plain, _outlined(plain, resize_mask(np.ascontiguousarray(mask[window]), (_CELL, _CELL)))


def _outlined(view: RGB8, mask: Mask) -> RGB8:
    outlined = view.copy()
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(outlined, contours, -1, _OUTLINE, 1)
    return outlined
