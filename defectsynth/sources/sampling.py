"""The pixels of a picture that a canvas, stretched over it and turned about its centre, gives: those that are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.affine import Matrix, about, rotation, shifted
from defectsynth.compiled import loops
from defectsynth.images import gather
from defectsynth.sources.enhance import Operation

__all__ = ["Places", "Sampler", "flipped", "places_of_box", "sampler"]

AnyPixels = npt.NDArray[Any]
Index = npt.NDArray[np.intp]
_MAP_WIDTH = 1024  # pixels that are sampled at once are a picture to OpenCV, whose sides have a limit


class Places:
    """Pixels of a picture ``shape = (H, W)``.

    Args:
        positions: ``(n,)``, counted row by row.
        shape: of the picture.
    """

    def __init__(self, positions: Index, shape: tuple[int, int]) -> None:
        self.positions = positions
        self.shape = shape

    @classmethod
    def at(cls, rows: Index, columns: Index, shape: tuple[int, int]) -> Places:
        """Pixels by their rows and columns."""
        return cls(rows * shape[1] + columns, shape)

    @cached_property
    def rows(self) -> Index:
        """``(n,)``."""
        return self.positions // self.shape[1]

    @cached_property
    def columns(self) -> Index:
        """``(n,)``."""
        return self.positions - self.rows * self.shape[1]


def places_of_box(box: tuple[int, int, int, int], shape: tuple[int, int]) -> Places:
    """All pixels of ``(top, left, bottom, right)``, row by row."""
    rows, columns = np.arange(box[0], box[2]), np.arange(box[1], box[3])
    return Places(np.add.outer(rows * shape[1], columns).reshape(-1), shape)


def flipped(places: Places, box: tuple[int, int, int, int], operations: Sequence[Operation]) -> Places:
    """Where pixels come from when what lies in a box is mirrored as an enhancement says."""
    for name, _ in operations:
        if name == "flip_horizontal":
            places = Places.at(places.rows, box[1] + box[3] - 1 - places.columns, places.shape)
        elif name == "flip_vertical":
            places = Places.at(box[0] + box[2] - 1 - places.rows, places.columns, places.shape)
    return places


@dataclass(frozen=True, slots=True)
class Sampler:
    """What a canvas ``(h, w, C)`` of at most four channels shows at the pixels of a picture.

    Attributes:
        canvas: where the pixels come from.
        matrix: from (x, y) of the picture to the canvas; None where they are the same.
    """

    canvas: AnyPixels
    matrix: Matrix | None

    def of(self, canvas: AnyPixels) -> Sampler:
        """The same of another canvas of the same size."""
        return Sampler(canvas, self.matrix)

    def at(self, places: Places) -> AnyPixels:
        """``(n, C)``: copied, or between pixels bilinear; beyond the canvas it is mirrored."""
        _, width, channels = self.canvas.shape
        if self.matrix is None:
            same = width == places.shape[1]
            positions = places.positions if same else places.rows * width + places.columns
            return gather(self.canvas.reshape(-1, channels), positions)
        maps = [_as_picture(values) for values in _mapped(places, self.matrix)]
        found = cv2.remap(self.canvas, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        return np.asarray(found).reshape(-1, channels)[: places.positions.size]


def sampler(canvas: AnyPixels, shape: tuple[int, int], angle: float) -> Sampler:
    """A canvas that is stretched over a picture ``shape = (H, W)`` and turned by ``angle`` degrees about its centre."""
    if angle == 0.0 and canvas.shape[:2] == shape:
        return Sampler(np.ascontiguousarray(canvas), None)
    centre = (shape[1] / 2 - 0.5, shape[0] / 2 - 0.5)
    from_picture = shifted(about(rotation(-angle), centre, centre), 0.5, 0.5)
    stretch = np.array([[canvas.shape[1] / shape[1]], [canvas.shape[0] / shape[0]]])
    return Sampler(canvas, shifted(from_picture * stretch, -0.5, -0.5))


def _mapped(places: Places, matrix: Matrix) -> Sequence[npt.NDArray[np.float32]]:
    """``(n,)`` twice: x and y of pixels after a matrix."""
    compiled = loops()
    if compiled is not None:
        across, down = matrix.tolist()
        return compiled.mapped(places.positions, places.shape[1], tuple(across), tuple(down))
    return [(row[0] * places.columns + row[1] * places.rows + row[2]).astype(np.float32) for row in matrix]


def _as_picture(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """``(rows, 1024)`` of ``(n,)``, or one row of fewer."""
    if values.size <= _MAP_WIDTH:
        return values[None]
    padded = np.zeros(-(-values.size // _MAP_WIDTH) * _MAP_WIDTH, dtype=np.float32)
    padded[: values.size] = values
    return padded.reshape(-1, _MAP_WIDTH)
