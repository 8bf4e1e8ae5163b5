"""What runs the detector: torch, or an exported file in onnxruntime; both take and give numpy arrays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from defectsynth.errors import InputError
from defectsynth.extras import needed
from lkad_models.detector import LKAD
from lkad_models.run import RunConfig
from lkad_models.scoring import image_scores
from lkad_models.thresholds import detector_hash

__all__ = ["DETECTOR_KEY", "MULTIPLE", "ONNX_FILE", "Found", "OnnxRuntime", "Runtime", "TorchRuntime", "open_onnx"]

Floats = npt.NDArray[np.float32]

MULTIPLE = 32
"""An exported detector takes sides that are multiples of it."""
ONNX_FILE = "model.onnx"
DETECTOR_KEY = "detector_sha256"
"""Where an exported file keeps which detector it holds, see ``thresholds.detector_hash``."""


class Found(NamedTuple):
    """What a runtime says of a batch.

    Attributes:
        maps: ``(B, H, W)`` float32 in [0, 1].
        scores: ``(B,)`` float32 in [0, 1].
        reconstructions: ``(B, C, H, W)`` float32 in [0, 1].
    """

    maps: Floats
    scores: Floats
    reconstructions: Floats


Runtime = Callable[[Floats], Found]
"""``(B, C, H, W)`` float32 in [0, 1] to what is found."""


class TorchRuntime:
    """Torch: kernels are folded, and on the CPU channels lie last, which large kernels are 20 to 50 times faster with.

    Args:
        model: the detector; it is folded, moved and put into evaluation mode.
        device: where it runs.
    """

    def __init__(self, model: LKAD, device: str | torch.device = "cpu") -> None:
        self._device = torch.device(device)
        self._format = torch.channels_last if self._device.type == "cpu" else torch.contiguous_format
        self._model = model.eval().reparameterize().to(self._device).to(memory_format=self._format)

    def __call__(self, images: Floats) -> Found:
        """One pass without gradients."""
        with torch.inference_mode():
            batch = torch.from_numpy(images).to(self._device).contiguous(memory_format=self._format)
            found = self._model(batch)
        return Found(*(part.float().cpu().contiguous().numpy() for part in (found[0], found[1], found[2])))


class OnnxRuntime:
    """Onnxruntime: pictures are padded to the sides that an exported detector takes, as the detector itself pads them.

    Args:
        session: of the exported file.
        config: of the run.
    """

    def __init__(self, session: Any, config: RunConfig) -> None:
        self._session, self._model = session, config.model

    def __call__(self, images: Floats) -> Found:
        """One pass."""
        height, width = images.shape[2:]
        below, beside = -height % MULTIPLE, -width % MULTIPLE
        padded = np.pad(images, ((0, 0), (0, 0), (0, below), (0, beside)), mode="edge") if below or beside else images
        maps, scores, reconstructions = self._session.run(None, {"image": padded})
        if below or beside:
            maps = np.ascontiguousarray(maps[:, :height, :width])
            scores = image_scores(torch.from_numpy(maps), self._model.score, self._model.score_window).numpy()
        return Found(maps, scores, np.ascontiguousarray(reconstructions[:, :, :height, :width]))


def open_onnx(run: Path, config: RunConfig, device: str | torch.device = "cpu") -> OnnxRuntime:
    """The exported detector of a run.

    Raises:
        InputError: onnxruntime is missing or cannot use the device; the file is missing, damaged, or holds other weights.
    """
    onnxruntime = needed("onnxruntime", "onnx", "this runtime")
    path = run / ONNX_FILE
    if not path.is_file():
        raise InputError(f"{str(run)!r} has no {ONNX_FILE}: run `lkad export` first")
    provider = "CPUExecutionProvider" if torch.device(device).type == "cpu" else "CUDAExecutionProvider"
    if provider not in onnxruntime.get_available_providers():
        raise InputError(f"this onnxruntime has no {provider}: use --device cpu, or install onnxruntime-gpu")
    try:
        session = onnxruntime.InferenceSession(path, providers=[provider])
    except Exception as error:  # onnxruntime's errors have no class in common but this
        raise InputError(f"{str(path)!r} cannot be read ({str(error)[:200]}): run `lkad export` again") from None
    if session.get_modelmeta().custom_metadata_map.get(DETECTOR_KEY) != detector_hash(run):
        raise InputError(f"{str(path)!r} holds other weights, or another score, than the run: run `lkad export` again")
    return OnnxRuntime(session, config)
