"""The bench on which the built-in products are drawn: where pixels lie, shapes, surfaces and light.

Lengths are fractions of the picture's shorter side, y runs downwards, and the middle of the picture is (0, 0). Light is linear
and planar, ``(3, H, W)``. Pixels are touched by + - * / and square roots alone: machines agree on those to the last bit, and
not on sines, powers or exponentials, so a picture has the same bytes everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth import noise, rng

__all__ = [
    "Canvas",
    "Direction",
    "Field",
    "Point",
    "Pose",
    "Scene",
    "Stage",
    "box",
    "colour",
    "corners",
    "cover",
    "facing",
    "glare",
    "lay",
    "normals",
    "shadow",
    "sharpen",
    "soften",
    "sunlight",
]

Field = npt.NDArray[Any]  # float32 throughout; numpy's stubs widen it wherever a Python number joins in
Point = tuple[float, float]
Direction = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Scene:
    """What lies before the camera.

    Attributes:
        light: ``(3, H, W)`` float32, linear, 1 = white; a highlight may pass 1.
        coverage: ``(H, W)`` float32 in [0, 1], how much of each pixel is the product.
    """

    light: Field
    coverage: Field


# --- where -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stage:
    """The pixel grid of ``shape = (H, W)``."""

    shape: tuple[int, int]

    @property
    def side(self) -> int:
        """Pixels in one unit of length."""
        return min(self.shape)

    @property
    def x(self) -> Field:
        """``(1, W)``: the columns' centres."""
        return self._centres(self.shape[1])[None, :]

    @property
    def y(self) -> Field:
        """``(H, 1)``: the rows' centres."""
        return self._centres(self.shape[0])[:, None]

    def _centres(self, size: int) -> Field:
        return ((np.arange(size) + 0.5 - size / 2) / self.side).astype(np.float32)

    def window(self, centre: Point, reach: float) -> tuple[slice, slice]:
        """The rows and columns within ``reach`` of a place in the picture."""
        rows, columns = self.shape
        middle = (centre[1] * self.side + rows / 2, centre[0] * self.side + columns / 2)
        low, high = [[math.floor(m + way * reach * self.side) for m in middle] for way in (-1, 1)]
        return slice(max(low[0], 0), max(high[0] + 1, 0)), slice(max(low[1], 0), max(high[1] + 1, 0))

    def noise(self, seed: int, cells: tuple[float, float], octaves: int = 1, persistence: float = 0.5, tag: int = 0) -> Field:
        """Fractal noise, ``cells = (down, across)`` lattice cells to one unit of length; about [-1, 1]."""
        height, width = (size / self.side for size in self.shape)
        return noise.fbm(seed, self.shape, (cells[0] * height, cells[1] * width), octaves, persistence, tag=tag)


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the product lies: its middle, and its turn in degrees, anticlockwise."""

    x: float
    y: float
    degrees: float

    @classmethod
    def drawn(cls, draws: rng.Draws, shift: float, turn: float) -> Pose:
        """A shift of at most ``shift`` along each axis and a turn of at most ``turn`` degrees."""
        return cls(
            draws.uniform("pose.x", (-shift, shift)),
            draws.uniform("pose.y", (-shift, shift)),
            draws.uniform("pose.degrees", (-turn, turn)),
        )

    @property
    def turn(self) -> Point:
        """Cosine and sine."""
        angle = math.radians(self.degrees)
        return float(np.float32(math.cos(angle))), float(np.float32(math.sin(angle)))

    def to_part(self, stage: Stage) -> tuple[Field, Field]:
        """Every pixel's place on the part: two ``(H, W)`` fields, along and across it."""
        cos, sin = self.turn
        x, y = stage.x - self.x, stage.y - self.y
        return cos * x - sin * y, sin * x + cos * y

    def towards(self, lamp: Direction) -> Point:
        """The flat part of the way to the lamp, in the part's coordinates."""
        cos, sin = self.turn
        return cos * lamp[0] - sin * lamp[1], sin * lamp[0] + cos * lamp[1]

    def to_picture(self, point: Point) -> Point:
        """A place on the part, in the picture."""
        cos, sin = self.turn
        return self.x + cos * point[0] + sin * point[1], self.y - sin * point[0] + cos * point[1]


# --- shapes ----------------------------------------------------------------------------------------------------------


def box(x: Field, y: Field, half_width: float, half_height: float, radius: float) -> Field:
    """Signed distance to a box with rounded corners about (0, 0); negative inside."""
    over_x = np.abs(x) - (half_width - radius)
    over_y = np.abs(y) - (half_height - radius)
    outside: Field = np.sqrt(np.maximum(over_x, 0.0) ** 2 + np.maximum(over_y, 0.0) ** 2)
    inside: Field = np.minimum(np.maximum(over_x, over_y), 0.0)
    return outside + inside - radius


def cover(distance: Field, stage: Stage) -> Field:
    """How much of each pixel lies inside a signed distance: 1 inside, 0 outside, one pixel wide between."""
    return np.clip(0.5 - distance * stage.side, 0.0, 1.0)


class Canvas:
    """A layer of flat shapes in the part's coordinates, painted in turn: drawn three times as fine, then averaged."""

    _ZOOM = 3
    _SHIFT = 4  # OpenCV's fixed-point bits: shapes keep their place to 1/48 of a pixel

    def __init__(self, stage: Stage, pose: Pose) -> None:
        self._shape = stage.shape
        self._pixels = np.zeros((stage.shape[0] * self._ZOOM, stage.shape[1] * self._ZOOM), dtype=np.uint8)
        self._scale = float(stage.side * self._ZOOM * (1 << self._SHIFT))
        cos, sin = pose.turn
        self._along, self._across = cos * self._scale, sin * self._scale
        half = (1 << self._SHIFT) / 2  # OpenCV counts from the middle of the first pixel, a picture from its corner
        height, width = self._pixels.shape
        self._left = pose.x * self._scale + width * half - half
        self._top = pose.y * self._scale + height * half - half

    def field(self) -> Field:
        """``(H, W)`` in [0, 1]."""
        return cv2.resize(self._pixels, self._shape[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0

    def polygon(self, points: Sequence[Point], value: int = 255) -> None:
        """A filled polygon."""
        cv2.fillPoly(self._pixels, [self._places(points)], value, shift=self._SHIFT)

    def rectangle(self, centre: Point, width: float, height: float, value: int = 255) -> None:
        """A filled rectangle along the part's axes."""
        self.polygon(corners(centre, width, height), value)

    def circle(self, centre: Point, radius: float, value: int = 255) -> None:
        """A filled circle."""
        (x, y), reach = self._place(centre), round(radius * self._scale)
        cv2.circle(self._pixels, (x, y), reach, value, cv2.FILLED, shift=self._SHIFT)

    def path(self, points: Sequence[Point], width: float, value: int = 255) -> None:
        """An open line with round ends."""
        thickness = max(1, round(width * self._scale / (1 << self._SHIFT)))
        cv2.polylines(self._pixels, [self._places(points)], False, value, thickness, shift=self._SHIFT)

    def _places(self, points: Sequence[Point]) -> npt.NDArray[np.int32]:
        return np.array([self._place(point) for point in points], dtype=np.int32)

    def _place(self, point: Point) -> tuple[int, int]:
        x, y = point
        return (
            round(self._left + self._along * x + self._across * y),
            round(self._top - self._across * x + self._along * y),
        )


def corners(centre: Point, width: float, height: float) -> list[Point]:
    """The four corners of a rectangle, in turn."""
    x, y, a, b = *centre, width / 2, height / 2
    return [(x - a, y - b), (x + a, y - b), (x + a, y + b), (x - a, y + b)]


def soften(field: Field, stage: Stage, radius: float) -> Field:
    """A field in [0, 1] out of focus: Gaussian of standard deviation ``radius``."""
    # Eight bits, because OpenCV's eight-bit Gaussian is integer arithmetic and so the same on every machine.
    levels = np.rint(field * 255.0).astype(np.uint8)
    blurred = cv2.GaussianBlur(levels, (0, 0), max(radius * stage.side, 0.3), borderType=cv2.BORDER_REPLICATE)
    return blurred.astype(np.float32) / 255.0


# --- surfaces and light ----------------------------------------------------------------------------------------------


def colour(code: str) -> Field:
    """``"#rrggbb"`` as it looks on a screen, in linear light: ``(3, 1, 1)``."""
    seen = np.frombuffer(bytes.fromhex(code[1:]), dtype=np.uint8).astype(np.float32) / 255.0
    return (seen * seen)[:, None, None]


def lay(below: Field, above: Field | float, coverage: Field) -> Field:
    """``above`` on ``below`` where ``coverage`` is 1."""
    return below + (above - below) * coverage


def sharpen(values: Field, doublings: int) -> Field:
    """``values`` to the power ``2 ** doublings``, negative ones as 0."""
    result = np.maximum(values, 0.0)
    for _ in range(doublings):
        result = result * result
    return result


def normals(height: Field, stage: Stage) -> tuple[Field, Field, Field]:
    """Unit vectors (x, y, towards the camera) upright on a surface of this height."""
    padded = np.pad(height, 1, mode="edge")
    half = 0.5 * stage.side
    down = (padded[2:, 1:-1] - padded[:-2, 1:-1]) * half
    across = (padded[1:-1, 2:] - padded[1:-1, :-2]) * half
    upright = 1.0 / np.sqrt(down * down + across * across + 1.0)
    return -across * upright, -down * upright, upright


def sunlight(draws: rng.Draws, degrees: float, elevation: float) -> Direction:
    """The way to the lamp: it stands ``degrees`` round the picture and ``elevation`` above it, give or take three degrees."""
    turn = math.radians(degrees + draws.uniform("lamp.degrees", (-3.0, 3.0)))
    rise = math.radians(elevation + draws.uniform("lamp.elevation", (-3.0, 3.0)))
    flat = math.cos(rise)
    lamp = (flat * math.cos(turn), -flat * math.sin(turn), math.sin(rise))
    return float(np.float32(lamp[0])), float(np.float32(lamp[1])), float(np.float32(lamp[2]))


def facing(surface: tuple[Field, Field, Field], direction: Direction) -> Field:
    """Cosine between the surface's normals and a direction, 0 where it looks away."""
    return np.maximum(surface[0] * direction[0] + surface[1] * direction[1] + surface[2] * direction[2], 0.0)


def glare(surface: tuple[Field, Field, Field], lamp: Direction, doublings: int) -> Field:
    """Mirror-like light of the lamp, towards the camera: the more doublings, the glossier."""
    length = math.sqrt(2.0 + 2.0 * lamp[2])  # of lamp + camera; their sum points half-way between
    half_way = (lamp[0] / length, lamp[1] / length, (lamp[2] + 1.0) / length)
    return sharpen(facing(surface, half_way), doublings)


def shadow(solid: Field, stage: Stage, lamp: Direction, height: float) -> Field:
    """How dark the ground is, in [0, 1], about a flat part of this thickness: swept away from the lamp, softer when thick."""
    reach = height / lamp[2] * stage.side
    swept = solid
    for step in (1 / 3, 2 / 3, 1.0):
        swept = np.maximum(swept, _moved(solid, round(-lamp[1] * reach * step), round(-lamp[0] * reach * step)))
    return np.maximum(0.75 * _diffuse(swept, 0.25 * height * stage.side), _diffuse(solid, 0.8 * height * stage.side))


def _diffuse(field: Field, pixels: float) -> Field:
    """About a Gaussian of this standard deviation: three box means, whose time does not grow with their width."""
    width = round(math.sqrt(4.0 * pixels * pixels + 1.0)) | 1
    levels: npt.NDArray[Any] = np.rint(field * 255.0).astype(np.uint8)
    for _ in range(3):
        levels = cv2.blur(levels, (width, width), borderType=cv2.BORDER_REPLICATE)
    return levels.astype(np.float32) / 255.0


def _moved(field: Field, down: int, right: int) -> Field:
    """The field moved by whole pixels, 0 where nothing came."""
    rows, columns = field.shape
    down, right = max(-rows, min(down, rows)), max(-columns, min(right, columns))
    moved = np.zeros_like(field)
    moved[max(down, 0) : rows + min(down, 0), max(right, 0) : columns + min(right, 0)] = field[
        max(-down, 0) : rows - max(down, 0), max(-right, 0) : columns - max(right, 0)
    ]
    return moved
