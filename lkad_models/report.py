"""An evaluation as one HTML file that needs nothing else: metrics, curves, scores, and the pictures that went worst."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
import numpy.typing as npt

from defectsynth.files import encode_image, read_image, write_bytes
from defectsynth.formats.mvtec import LabelledPicture, read_labelled
from defectsynth.images import resize_image, resize_mask, split_alpha, to_rgb8
from lkad_models.counting import count_scores
from lkad_models.evaluation import NAMES, Evaluation, Judged, read_test_set
from lkad_models.metrics import FPR_LIMIT, Metric, Metrics, overlap_curve, precision_recall_curve, roc_curve
from lkad_models.overlays import TRUTH, Scale, outlined, overlay, scale_around
from lkad_models.prediction import Detector
from lkad_models.svg import BLUE, RED, Axes, Mark, curve, histogram

__all__ = ["write_report"]

RGB8 = npt.NDArray[np.uint8]

_LONGEST = 320  # pixels of a picture's longer side in the report; chosen, to keep the file small
_STRONGER = 3
_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; color: #222; background: #fff; max-width: 1120px; margin: 2em auto }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em } small, .faint { color: #777 }
table { border-collapse: collapse } th, td { padding: 4px 10px; text-align: right; border-bottom: 1px solid #ddd }
th:first-child, td:first-child { text-align: left } tr.all td { font-weight: 600; border-bottom: 2px solid #999 }
td small { display: block; font-weight: 400 }
.charts { display: flex; flex-wrap: wrap; gap: 12px }
.rows { display: grid; grid-template-columns: 190px repeat(4, 1fr); gap: 6px 8px; align-items: center }
.rows img { width: 100%; image-rendering: auto; display: block } .rows .head { font-weight: 600 }
.bad { color: #b2182b; font-weight: 600 } .good { color: #1a7f37 } .name { overflow-wrap: anywhere }
"""


def write_report(evaluation: Evaluation, detector: Detector, out: str | Path, *, worst: int = 8) -> Path:
    """Writes the report, whole or not at all; returns its path.

    Args:
        evaluation: what ``evaluate`` returned; the pictures that are shown are read again.
        detector: the one that was judged.
        out: the ``.html`` file.
        worst: how many defects of the lowest scores and how many normal pictures of the highest ones are shown.

    Raises:
        ImageError: a picture is no longer there or cannot be read.
        StorageError: the report cannot be written.
    """
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(evaluation.data.name)}</title>',
        f"<style>{_STYLE}</style></head>",
        "<body>",
        _heading(evaluation, detector),
        "<h2>Metrics</h2>",
        _metrics(evaluation),
        "<h2>Curves</h2>",
        f'<div class="charts">{"".join(_charts(evaluation))}</div>',
        *_worst(evaluation, detector, worst),
        "</body></html>",
    ]
    path = Path(out)
    write_bytes(path, "\n".join(parts).encode())
    return path


def _heading(evaluation: Evaluation, detector: Detector) -> str:
    defects = sum(picture.defective for picture in evaluation.pictures)
    config = detector.config
    lines = [
        f"<h1>Anomaly detection on {escape(evaluation.data.name)}</h1>",
        f"<p>{len(evaluation.pictures)} test pictures: {len(evaluation.pictures) - defects} normal, {defects} defective of "
        f"{len(evaluation.kinds)} kinds. Detector: LKAD {config.model.size}, seen at {config.resize[1]} x {config.resize[0]}; "
        f"lkad_models {escape(evaluation.version)}. <span class=faint>{escape(str(evaluation.data))}</span></p>",
    ]
    if evaluation.warning is not None:
        lines.append(f"<p class=bad>{escape(evaluation.warning)}</p>")
    rates = evaluation.rates
    if rates is None:
        lines.append("<p>The run is not calibrated: there is no threshold to judge pictures by.</p>")
    else:
        lines.append(
            f"<p>At the calibrated threshold, {rates.threshold:.4g}: {rates.found} of {rates.defects} defective pictures "
            f"found, {rates.alarms} of {rates.normals} normal ones flagged.</p>"
        )
    return "\n".join(lines)


# --- metrics and curves -----------------------------------------------------------------------------------------------------


def _metrics(evaluation: Evaluation) -> str:
    defects = [picture.kind for picture in evaluation.pictures if picture.defective]
    rows = [_row("all", len(defects), evaluation.overall, ' class="all"')]
    rows += [_row(kind, defects.count(kind), metrics) for kind, metrics in evaluation.kinds.items()]
    headings = "".join(f"<th>{name}</th>" for name in ("defects", "n", *NAMES.values()))
    note = (
        "Small: 95 % intervals, by bootstrap over pictures. A kind is judged against all normal pictures. AUPRO is integrated "
        f"up to a false positive rate of {FPR_LIMIT:g}. -: not defined."
    )
    return f"<table><tr>{headings}</tr>{''.join(rows)}</table><p class=faint>{note}</p>"


def _row(kind: str, count: int, metrics: Metrics, style: str = "") -> str:
    named = metrics.named()
    cells = "".join(f"<td>{_cell(named[name])}</td>" for name in NAMES)
    return f"<tr{style}><td>{escape(kind)}</td><td>{count}</td>{cells}</tr>"


def _cell(metric: Metric) -> str:
    if metric.value is None:
        return "-"
    interval = "" if metric.low is None else f"<small>{metric.low:.3f} to {metric.high:.3f}</small>"
    return f"{metric.value:.4f}{interval}"


def _charts(evaluation: Evaluation) -> list[str]:
    charts = [_scores(evaluation)]
    images = count_scores([one.score for one in evaluation.pictures], [one.defective for one in evaluation.pictures])
    if evaluation.overall.image_auroc.value is not None:
        share = float(images.positives.sum() / (images.positives.sum() + images.negatives.sum()))
        charts.append(curve(_ROC._replace(title="ROC, images"), roc_curve(images), chance=(0.0, 1.0)))
        charts.append(
            curve(_PR._replace(title="Precision and recall, images"), precision_recall_curve(images), chance=(share, share))
        )
    pixels = evaluation.pixels
    if pixels is not None and evaluation.overall.pixel_auroc.value is not None:
        counts = pixels.counts
        share = float(counts.positives.sum() / (counts.positives.sum() + counts.negatives.sum()))
        charts.append(curve(_ROC._replace(title="ROC, pixels"), roc_curve(counts), chance=(0.0, 1.0)))
        charts.append(
            curve(_PR._replace(title="Precision and recall, pixels"), precision_recall_curve(counts), chance=(share, share))
        )
        charts.append(curve(_OVERLAP, overlap_curve(pixels), chance=(0.0, FPR_LIMIT)))
    return charts


_ROC = Axes("", "false positive rate", "true positive rate")
_PR = Axes("", "recall", "precision")
_OVERLAP = Axes("Per-region overlap (AUPRO)", "false positive rate", "mean overlap of the pieces", high=(FPR_LIMIT, 1.0))


def _scores(evaluation: Evaluation) -> str:
    groups = []
    for name, colour, defective in (("normal", BLUE, False), ("defective", RED, True)):
        scores = [picture.score for picture in evaluation.pictures if picture.defective == defective]
        if scores:
            groups.append((name, colour, np.array(scores)))
    marks = [] if evaluation.rates is None else [Mark(evaluation.rates.threshold, "threshold")]
    best = evaluation.overall.image_f1_threshold
    return histogram("Image scores", groups, [*marks, *([] if best is None else [Mark(best, "best F1")])])


# --- pictures ---------------------------------------------------------------------------------------------------------------


def _worst(evaluation: Evaluation, detector: Detector, count: int) -> list[str]:
    by_score = sorted(evaluation.pictures, key=lambda picture: picture.score)
    defects = [picture for picture in by_score if picture.defective][:count]
    normals = [picture for picture in reversed(by_score) if not picture.defective][:count]
    files = {file.image: file for file in read_test_set(evaluation.data)}
    scale, parts = _scale(evaluation, detector), []
    for title, pictures in (("Defects with the lowest scores", defects), ("Normal pictures with the highest scores", normals)):
        if pictures:
            parts += [f"<h2>{title}</h2>", _rows(evaluation.data, pictures, files, detector, scale)]
    legend = (
        f"Green: the mask. White: what the pixel threshold flags. Heat: the anomaly map, from {scale[0]:.3f} (as it was) to "
        f"{scale[1]:.3f} (red) in every picture. Difference: between picture and reconstruction, {_STRONGER} times as strong."
    )
    return [*parts, f"<p class=faint>{legend}</p>"]


def _scale(evaluation: Evaluation, detector: Detector) -> Scale:
    """The calibrated scale, or one around the pixel threshold of the best F1, or the whole."""
    best = evaluation.overall.pixel_f1_threshold
    if detector.calibration is not None or best is None or evaluation.pixels is None:
        return detector.heat_scale
    counts = evaluation.pixels.counts
    middle = np.searchsorted(np.cumsum(counts.negatives), counts.negatives.sum() / 2.0)
    return scale_around(float(counts.thresholds[middle]), best)


def _rows(root: Path, pictures: Sequence[Judged], files: dict[Path, LabelledPicture], detector: Detector, scale: Scale) -> str:
    heads = "".join(f"<div class=head>{name}</div>" for name in ("", "picture", "heat map", "reconstruction", "difference"))
    cells = [cell for picture in pictures for cell in _views(picture, files[root / picture.name], detector, scale)]
    return f'<div class="rows">{heads}{"".join(cells)}</div>'


def _views(judged: Judged, file: LabelledPicture, detector: Detector, scale: Scale) -> list[str]:
    """The cells of one row."""
    image, truth = read_labelled(file) if file.mask is not None else (split_alpha(read_image(file.image))[0], None)
    found = detector(image)
    shape = _shown(image.shape)
    small = np.asarray(resize_image(to_rgb8(image), shape), dtype=np.uint8)
    mask, true = (None if plane is None else resize_mask(plane, shape) for plane in (found.mask, truth))
    anomaly_map = np.asarray(resize_image(found.anomaly_map, shape), dtype=np.float32)
    repaired = np.asarray(resize_image(to_rgb8(found.reconstruction), shape), dtype=np.uint8)
    seen = np.asarray(resize_image(to_rgb8(resize_image(image, detector.config.resize)), shape), dtype=np.uint8)
    difference = np.minimum(_STRONGER * np.abs(seen.astype(np.int16) - repaired).max(axis=2), 255).astype(np.uint8)
    views = (
        small if true is None else outlined(small, true, TRUTH),
        overlay(small, anomaly_map, mask, true, scale),
        repaired,
        np.repeat(difference[:, :, None], 3, axis=2),
    )
    return [_caption(judged), *(_embedded(view) for view in views)]


def _caption(judged: Judged) -> str:
    verdicts = {(True, False): ("bad", "missed"), (False, True): ("bad", "false alarm"), (True, True): ("good", "found")}
    style, verdict = verdicts.get((judged.defective, bool(judged.flagged)), ("good", "passed"))
    said = "" if judged.flagged is None else f'<br><span class="{style}">{verdict}</span>'
    named = f"{escape(judged.kind)}<br><small>{escape(Path(judged.name).name)}</small>"
    return f'<div class="name">{named}<br>score {judged.score:.4f}{said}</div>'


def _embedded(view: RGB8) -> str:
    data = base64.b64encode(encode_image(view, ".png", png_level=6)).decode()
    return f'<div><img alt="" src="data:image/png;base64,{data}"></div>'


def _shown(shape: tuple[int, ...]) -> tuple[int, int]:
    scale = min(1.0, _LONGEST / max(shape[:2]))
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))
