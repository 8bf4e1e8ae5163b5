"""A trained detector as one file for other runtimes: ONNX, or a program of ``torch.export``; checked before it is written."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from defectsynth.errors import DefectSynthError
from defectsynth.extras import needed
from defectsynth.files import write_bytes
from defectsynth.rng import words
from lkad_models.detector import LKAD
from lkad_models.run import load_model
from lkad_models.runtimes import DETECTOR_KEY, MULTIPLE, ONNX_FILE
from lkad_models.scoring import ScoreMethod
from lkad_models.thresholds import detector_hash

__all__ = ["TOLERANCE", "TORCH_FILE", "ExportError", "ExportFormat", "Exported", "export"]

ExportFormat = Literal["onnx", "torch"]

TORCH_FILE = "model.pt2"
TOLERANCE = 1e-4
"""How far any value of the exported detector may be from torch's, of values in [0, 1]; chosen."""
_TRACED = (2, 64, 96)  # batch, height and width that are traced; no two alike, none 1
_LONGEST = 256  # an exported detector takes sides up to as many multiples of 32
_OUTPUTS = ("anomaly_map", "image_score", "reconstruction")


class ExportError(DefectSynthError):
    """What was exported is not the detector."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that was written.

    Attributes:
        path: the file.
        format: of the file.
        size: in bytes.
        difference: the largest one between the file's outputs and torch's on one picture, of values in [0, 1].
    """

    path: Path
    format: ExportFormat
    size: int
    difference: float


def export(run: str | Path, format: ExportFormat = "onnx", out: str | Path | None = None) -> Exported:
    """Writes the detector of a run, its kernels folded, for any number of pictures of any sides that are multiples of 32.

    The file takes ``image (B, C, H, W)`` float32 in [0, 1] and gives ``anomaly_map (B, H, W)``, ``image_score (B,)`` and
    ``reconstruction (B, C, H, W)``. Large kernels are plain depthwise convolutions in it.

    Args:
        run: folder of the run.
        format: ``onnx``, or ``torch`` for ``torch.export``.
        out: the file; None for ``model.onnx`` (where ``load`` looks for it) or ``model.pt2`` in the run.

    Raises:
        InputError: the run cannot be read, or a package is missing (``pip install "defectsynth[onnx]"``).
        ExportError: the file does not say what the detector says; nothing is written.
        StorageError: it cannot be written.
    """
    folder = Path(run)
    model, config = load_model(folder)
    exportable = ExportableDetector(model.reparameterize()).eval()
    program = _traced(exportable, config.model.channels)
    picture = _picture(config.model.channels, config.resize)
    if format == "onnx":
        data, outputs = _as_onnx(program, picture, detector_hash(folder))
    else:
        data, outputs = _as_torch(program, picture)
    with torch.inference_mode():
        expected = exportable(torch.from_numpy(picture))
    difference = _difference(expected, outputs)
    if not difference <= TOLERANCE:
        raise ExportError(f"the exported detector differs from torch by {difference:.2g}, which is more than {TOLERANCE:g}")
    path = Path(out) if out is not None else folder / (ONNX_FILE if format == "onnx" else TORCH_FILE)
    write_bytes(path, data)
    return Exported(path, format, len(data), difference)


class ExportableDetector(nn.Module):
    """A detector without what cannot be traced: three tensors out, and a score whose window follows from the picture's size.

    Args:
        model: the detector, folded.
    """

    def __init__(self, model: LKAD) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map, score and reconstruction of ``(B, C, H, W)``."""
        found = self.model.repair(image)
        maps = torch.sigmoid(found.logits[:, 0])
        scores = traceable_scores(maps, self.model.config.score, self.model.config.score_window)
        return maps, scores, found.reconstruction.clamp(0.0, 1.0)


def traceable_scores(maps: Tensor, method: ScoreMethod, window: int) -> Tensor:
    """``scoring.image_scores`` of ``(B, H, W)``, with sizes that are tensors, so that one graph serves all of them."""
    if method == "top_k":
        pixels = maps.shape[1] * maps.shape[2]
        return maps.flatten(1).topk((pixels + 999) // 1000, dim=1).values.mean(1)
    height = torch.ones_like(maps[0, :, 0], dtype=torch.float64).sum()
    width = torch.ones_like(maps[0, 0], dtype=torch.float64).sum()
    half = torch.round((window * torch.sqrt(height * width) / 256.0 - 1.0) / 2.0)
    half = torch.minimum(half.clamp(min=0.0), torch.minimum(height, width) - 1.0).long()
    down = _window_sums(maps, half)
    both = _window_sums(down.transpose(1, 2), half)
    return both.flatten(1).amax(1) / (2 * half + 1).square()


def _window_sums(maps: Tensor, half: Tensor) -> Tensor:
    """Sums over ``2 half + 1`` rows around each row; beyond the map there is nothing."""
    rows = maps.shape[1]
    summed = F.pad(torch.cumsum(maps, 1), [0, 0, 1, 0])
    place = torch.arange(rows, device=maps.device)
    above = summed.index_select(1, (place - half).clamp(min=0))
    return summed.index_select(1, (place + half + 1).clamp(max=rows)) - above


def _traced(exportable: ExportableDetector, channels: int) -> Any:
    """The program of ``torch.export``: any batch, and any multiples of 32 from 64 on."""
    batch, height, width = _TRACED
    dynamic = (
        torch.export.Dim("batch", min=1, max=2**16),
        *(MULTIPLE * torch.export.Dim(name, min=1, max=_LONGEST) for name in ("rows", "columns")),
    )
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, about its own
        return torch.export.export(
            exportable,
            (torch.rand(batch, channels, height, width),),
            dynamic_shapes=({0: dynamic[0], 2: dynamic[1], 3: dynamic[2]},),
        )


def _picture(channels: int, resize: tuple[int, int]) -> npt.NDArray[np.float32]:
    """``(1, C, H, W)``: noise of the size that the run's pictures have, brought to multiples of 32 from 64 on."""
    height, width = (max(2, -(-side // MULTIPLE)) * MULTIPLE for side in resize)
    drawn = words(0, (channels * height, width)).astype(np.float64) / 2.0**32
    return drawn.astype(np.float32).reshape(1, channels, height, width)


def _as_onnx(program: Any, picture: npt.NDArray[np.float32], detector: str) -> tuple[bytes, list[npt.NDArray[np.float32]]]:
    needed("onnxscript", "onnx", "an export to ONNX")
    onnx, runtime = needed("onnx", "onnx", "an export to ONNX"), needed("onnxruntime", "onnx", "an export to ONNX")
    to_onnx: Callable[..., Any] = torch.onnx.export
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = to_onnx(program, dynamo=True, input_names=["image"], output_names=list(_OUTPUTS), verbose=False)
    proto = found.model_proto
    _name_sides(proto.graph)
    onnx.helper.set_model_props(proto, {DETECTOR_KEY: detector})
    onnx.checker.check_model(proto)
    data: bytes = proto.SerializeToString()
    return data, runtime.InferenceSession(data, providers=["CPUExecutionProvider"]).run(list(_OUTPUTS), {"image": picture})


def _name_sides(graph: Any) -> None:
    """Sides get names that say what they are; those of maps within the graph are left out."""
    sides = graph.input[0].type.tensor_type.shape.dim
    names = {sides[place].dim_param: name for place, name in ((0, "batch"), (2, "height"), (3, "width"))}
    for value in (*graph.input, *graph.output):
        for side in value.type.tensor_type.shape.dim:
            if side.dim_param:
                side.dim_param = names.get(side.dim_param, side.dim_param)
    del graph.value_info[:]


def _as_torch(program: Any, picture: npt.NDArray[np.float32]) -> tuple[bytes, list[npt.NDArray[np.float32]]]:
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    with torch.inference_mode():
        outputs = program.module()(torch.from_numpy(picture))
    return buffer.getvalue(), [part.numpy() for part in outputs]


def _difference(expected: tuple[Tensor, ...], outputs: list[npt.NDArray[np.float32]]) -> float:
    parts = zip(expected, outputs, strict=True)
    return max(float(np.abs(first.numpy() - second).max()) for first, second in parts)
