"""A sheet of what the detector sees and says while it is trained."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from torch import Tensor

from defectsynth.files import write_image
from defectsynth.images import to_rgb8
from lkad_models.detector import Detection
from lkad_models.stream import Painted

__all__ = ["save_sheet"]

RGB8 = npt.NDArray[np.uint8]
_MOST, _CELL, _GAP = 8, 160, 4


def save_sheet(path: Path, painted: Painted, found: Detection) -> None:
    """Painted picture, reconstruction, mask and predicted map of up to eight samples, a row each.

    Args:
        path: of the PNG; its folder is made.
        painted, found: of the same pictures.
    """
    rows = []
    for number in range(min(_MOST, len(painted.images))):
        cells = [
            _picture(painted.images[number]),
            _picture(found.reconstruction[number]),
            _heat(painted.masks[number, 0]),
            _heat(found.anomaly_map[number]),
        ]
        rows.append(np.concatenate([_framed(cell) for cell in cells], axis=1))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, np.concatenate(rows, axis=0))


def _picture(image: Tensor) -> RGB8:
    return to_rgb8(np.ascontiguousarray(image.detach().float().cpu().permute(1, 2, 0).numpy()))


def _heat(values: Tensor) -> RGB8:
    levels = np.rint(values.detach().float().cpu().numpy() * 255.0).astype(np.uint8)
    return np.asarray(cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _framed(cell: RGB8) -> RGB8:
    resized = np.asarray(cv2.resize(cell, (_CELL, _CELL), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return np.pad(resized, ((0, _GAP), (0, _GAP), (0, 0)), constant_values=255)
