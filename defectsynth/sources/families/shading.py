"""The photographer's tools behind the texture families: noise, colour, lamp and film, on one canvas.

Everything here is integers, or float32 that is only added, multiplied, divided and rooted: those give the same bits on
every machine, which powers, sines and BLAS do not. Lengths are in sides (1 = the longer side of the picture), so a height
field has true slopes, and a picture twice as large is the same picture, sharper.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth import noise, rng
from defectsynth.sources.families.cells import Cells, by_bands, scatter

__all__ = ["Canvas", "Cells", "Field", "Light", "Picture", "Planes", "grades", "mix", "ramp", "rgb", "ridge", "smooth", "wave"]

Field = npt.NDArray[Any]  # (H, W) float32
Planes = npt.NDArray[Any]  # (3, H, W) or (3, 1, 1) float32: linear light, 1 = white
Picture = npt.NDArray[np.uint8]  # (H, W, 3) RGB
T = TypeVar("T")

_LEAST_SIDE = 128  # smaller pictures are painted larger and averaged, or threads and grains would alias
_FINEST_PERLIN = 6  # with more cells, noise of plain lattice values looks the same at a third of the time
_RAMP_STEPS = 1024
_SHADOW_STEPS = 6


# --- fields ---------------------------------------------------------------------------------------------------------


def smooth(low: float, high: float, values: Field) -> Field:
    """0 at ``low`` and beyond, 1 at ``high`` and beyond, smooth between; ``low`` may be the larger."""
    return noise.smooth(low, high, values)


def wave(turns: Field) -> Field:
    """A sine of ``turns`` (1 = a whole period), made of parabolas: in [-1, 1], zero and rising at 0."""
    t = turns - np.floor(turns)
    t -= 0.5
    t *= -8.0 + 16.0 * np.abs(t)
    return t


def ridge(values: Field, width: float) -> Field:
    """1 where ``values`` cross zero, falling to a half at ``width`` from it."""
    t = values * (1.0 / width)
    t *= t
    t += 1.0
    return np.reciprocal(t)


def _slope(height: Field, axis: int) -> Field:
    """Central differences, one-sided at the ends; zero along an axis of one pixel."""
    h = height if axis == 0 else height.T
    slope = np.zeros_like(h)
    if len(h) > 1:
        slope[0], slope[-1] = h[1] - h[0], h[-1] - h[-2]
        np.subtract(h[2:], h[:-2], out=slope[1:-1])
        slope[1:-1] *= 0.5
    return slope if axis == 0 else slope.T


def _fade(position: Field) -> tuple[npt.NDArray[np.intp], Field]:
    """The whole part, and how far a smooth fade to the next one has come."""
    floor = np.floor(position)
    rest = position - floor
    return floor.astype(np.intp), rest * rest * (3.0 - 2.0 * rest)


def _between(start: Field, end: Field, fade: Field) -> Field:
    return start + (end - start) * fade


def _signed(words: npt.NDArray[np.uint32]) -> Field:
    """Words as numbers in [-1, 1), as strong as ``noise.perlin`` once they are faded."""
    return words.view(np.int32).astype(np.float32) * (0.72 * 2.0**-31)


def _exact(value: float) -> float:
    """A sine or cosine, quantised: its last bit differs between C libraries."""
    return round(value * 4096.0) / 4096.0


def _period(cells: float) -> int:
    """The power of two at or above ``cells``."""
    return 1 << (math.ceil(cells) - 1).bit_length()


# --- colour ---------------------------------------------------------------------------------------------------------


def rgb(code: str) -> Planes:
    """``(3, 1, 1)`` linear light of ``"rrggbb"``; a square stands for the sRGB curve, as a root does in ``develop``."""
    levels = np.frombuffer(bytes.fromhex(code), dtype=np.uint8).astype(np.float32) / 255.0
    return (levels * levels).reshape(3, 1, 1)


def mix(below: Planes, above: Planes, amount: Field) -> Planes:
    """``below`` where ``amount`` is 0, ``above`` where it is 1."""
    mixed = (above - below) * amount
    mixed += below
    return mixed


def ramp(values: Field, colours: Sequence[str]) -> Planes:
    """``(3, H, W)``: ``values`` from 0 to 1 run through ``colours``, evenly spaced; others take the end's colour."""
    stops = np.concatenate([rgb(code) for code in colours]).reshape(-1, 3)
    position = np.arange(_RAMP_STEPS, dtype=np.float32) * ((len(stops) - 1) / (_RAMP_STEPS - 1))
    first = np.minimum(position.astype(np.intp), len(stops) - 2)
    after = (position - first.astype(np.float32))[:, None]
    return _look_up(values, _between(stops[first], stops[first + 1], after))


def grades(values: Field, colours: Sequence[str], limits: Sequence[float]) -> Planes:
    """``(3, H, W)``: the first colour whose limit is above the value, else the last; one limit less than colours."""
    stops = np.concatenate([rgb(code) for code in colours]).reshape(-1, 3)
    position = np.arange(_RAMP_STEPS) / (_RAMP_STEPS - 1)
    return _look_up(values, stops[np.searchsorted(np.asarray(limits), position, side="right")])


def _look_up(values: Field, table: npt.NDArray[Any]) -> Planes:
    """The rows of ``table (steps, 3)`` at ``values`` from 0 to 1."""
    index = np.clip(values * (_RAMP_STEPS - 1), 0, _RAMP_STEPS - 1).astype(np.intp)
    planes = np.empty((3, *values.shape), dtype=np.float32)
    for plane, column in zip(planes, np.ascontiguousarray(table.T), strict=True):
        column.take(index, mode="clip", out=plane)
    return planes


# --- canvas ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Light:
    """What a surface does with one lamp.

    Attributes:
        diffuse: 1 on a flat open surface.
        gloss: mirror-like highlight, 0 to 1.
    """

    diffuse: Field
    gloss: Field


class Canvas:
    """One picture to be painted: its pixels, its numbers, its lamp and its film.

    Args:
        family: so that two families of one seed share nothing.
        seed: 0 to 2**64 - 1.
        shape: ``(H, W)`` asked for; ``self.shape`` is what is painted, at least 128 pixels along the longer side.
    """

    def __init__(self, family: str, seed: int, shape: tuple[int, int]) -> None:
        self.draws = rng.Draws(seed, 0).within(family)
        self._fold = -(-_LEAST_SIDE // max(shape))
        self.shape = (shape[0] * self._fold, shape[1] * self._fold)
        self.side = max(self.shape)

    def pick(self, name: str, options: Sequence[T]) -> T:
        """One of ``options``."""
        return options[self.draws.integer(name, (0, len(options) - 1))]

    def uniform(self, name: str, low: float, high: float) -> float:
        """A number in [low, high]."""
        return self.draws.uniform(name, (low, high))

    def units(self, name: str, rows: int, columns: int) -> Field:
        """``(rows, columns)`` float32 in [0, 1)."""
        return (rng.words(self.draws.noise_seed(name), (rows, columns)) >> np.uint32(8)).astype(np.float32) * (2.0**-24)

    # coordinates

    def axes(self) -> tuple[Field, Field]:
        """``(down, right)``: distance from the top left corner, ``(H, 1)`` and ``(1, W)``."""
        down, right = ((np.arange(size, dtype=np.float32) + 0.5) / self.side for size in self.shape)
        return down[:, None], right[None, :]

    def turned(self, degrees: float) -> tuple[Field, Field]:
        """``(across, along)`` a direction ``degrees`` anticlockwise from rightwards, both ``(H, W)``."""
        down, right = self.axes()
        cos, sin = _exact(math.cos(math.radians(degrees))), _exact(math.sin(math.radians(degrees)))
        return down * cos + right * sin, right * cos - down * sin

    # noise

    def fbm(self, name: str, cells: float, octaves: int = 9, persistence: float = 0.5) -> Field:
        """Fractal noise, ``cells`` coarsest cells a side; standard deviation about 0.4, mostly in [-1, 1].

        Octaves with less than two pixels a cell are left out, so a larger picture has more of them.
        """
        seed = self.draws.noise_seed(name)
        total = np.zeros(self.shape, dtype=np.float32)
        strength, power = 1.0, 0.0
        for octave in range(octaves):
            if octave and cells * 2**octave > self.side / 2:
                break
            total += self._octave(seed, cells * 2**octave, octave) * strength
            power += strength * strength
            strength *= persistence
        total *= 1.3 / math.sqrt(power)
        return total

    def _octave(self, seed: int, cells: float, tag: int) -> Field:
        if cells <= _FINEST_PERLIN:
            return noise.perlin(
                seed, self.shape, (cells * self.shape[0] / self.side, cells * self.shape[1] / self.side), tag=tag
            )
        down, right = self.axes()
        (row, fade_y), (column, fade_x) = _fade(down[:, 0] * cells), _fade(right[0] * cells)
        values = _signed(rng.words(seed, (int(row[-1]) + 2, int(column[-1]) + 2), tag))
        rows = _between(values.take(row, axis=0), values.take(row + 1, axis=0), fade_y[:, None])
        return _between(rows.take(column, axis=1, mode="clip"), rows.take(column + 1, axis=1, mode="clip"), fade_x)

    def streaks(self, name: str, across: Field, along: Field, cells: tuple[float, float]) -> Field:
        """Noise at given places, ``cells = (across, along)`` a side: stretched, turned or warped; in [-1, 1]."""
        height, width = (_period(2.0 * count + 2.0) for count in cells)
        values = _signed(rng.words(self.draws.noise_seed(name), (height, width))).ravel() * 1.3

        def gather(across: Field, along: Field) -> tuple[Field]:
            (row, fade_y), (column, fade_x) = _fade(across * cells[0]), _fade(along * cells[1])
            upper, lower = ((row & (height - 1)) * width, ((row + 1) & (height - 1)) * width)
            left, right = column & (width - 1), (column + 1) & (width - 1)
            top = _between(values.take(upper + left, mode="clip"), values.take(upper + right, mode="clip"), fade_x)
            bottom = _between(values.take(lower + left, mode="clip"), values.take(lower + right, mode="clip"), fade_x)
            return (_between(top, bottom, fade_y),)

        streaks: Field = by_bands(gather, across, along)[0]
        return streaks

    def cells(self, name: str, count: float, warp: float = 0.0, warp_cells: float = 8.0) -> Cells:
        """Scattered cells, ``count`` a side; ``warp`` is how far, in cells, noise bends them out of shape."""
        y, x = (np.broadcast_to(axis * count, self.shape) for axis in self.axes())
        if warp:
            y = y + self.fbm(name + ".down", warp_cells, 2) * warp
            x = x + self.fbm(name + ".right", warp_cells, 2) * warp
        period = _period(count + 4.0)
        return scatter(y, x, rng.words(self.draws.noise_seed(name), (period, period)))

    # light

    def soften(self, field: Field, radius: float) -> Field:
        """Gaussian blur of a field in [0, 1]; in 8 bits, where OpenCV's blur is exact."""
        levels = np.rint(field * 255.0).astype(np.uint8)
        blurred = cv2.GaussianBlur(levels, (0, 0), max(radius * self.side, 0.5), borderType=cv2.BORDER_REPLICATE)
        return blurred.astype(np.float32) * (1 / 255)

    def light(self, height: Field, *, shadow: float = 0.0, ambient: float = 0.35, polish: int = 4) -> Light:
        """The lamp of this picture on a height field.

        Args:
            height: in sides.
            shadow: how far, in sides, cast shadows are looked for; 0 for none.
            ambient: part of the light that comes from everywhere.
            polish: the highlight is the mirror term raised to 2**polish.
        """
        azimuth = math.radians(self.uniform("light.azimuth", 0.0, 360.0))
        elevation = math.radians(self.uniform("light.elevation", 38.0, 58.0))
        towards_y, towards_x = _exact(math.sin(azimuth)), _exact(math.cos(azimuth))
        flat, up = _exact(math.cos(elevation)), _exact(math.sin(elevation))
        slope_y, slope_x = (_slope(height, axis) * self.side for axis in (0, 1))
        tilt = slope_y * towards_y + slope_x * towards_x
        length = np.sqrt(slope_y * slope_y + slope_x * slope_x + 1.0)
        diffuse = np.maximum(up - flat * tilt, 0.0) / length
        diffuse *= (1.0 - ambient) / up
        if shadow:
            diffuse *= self._shadow(height, (towards_y, towards_x), up / flat, shadow)
        diffuse += ambient
        # Seen from above, the mirror term is the normal along the half-way vector between the lamp and the eye.
        half = math.sqrt(flat * flat + (up + 1.0) ** 2)
        gloss = np.maximum((up + 1.0) - flat * tilt, 0.0) / (length * half)
        for _ in range(polish):
            gloss *= gloss
        return Light(diffuse, gloss)

    def _shadow(self, height: Field, towards: tuple[float, float], rise: float, reach: float) -> Field:
        """1 where the lamp is seen, down to 0.2 where something within ``reach`` stands before it."""
        margin = math.ceil(reach * self.side) + 1
        around = np.pad(height, margin, mode="edge")
        hidden = np.zeros(self.shape, dtype=np.float32)
        for step in range(1, _SHADOW_STEPS + 1):
            distance = reach * step / _SHADOW_STEPS
            top, left = (margin + round(part * distance * self.side) for part in towards)
            above = around[top : top + self.shape[0], left : left + self.shape[1]] - height
            above -= distance * rise
            np.maximum(hidden, above, out=hidden)
        return 1.0 - smooth(0.0, reach * 0.25, hidden) * 0.8

    # film

    def develop(self, colour: Planes) -> Picture:
        """The photograph: uneven lighting, exposure, white balance, lens blur and sensor grain; in the shape asked for."""
        down, right = self.axes()
        fall_y, fall_x = self.uniform("film.fall_y", -0.25, 0.25), self.uniform("film.fall_x", -0.25, 0.25)
        falloff = 1.0 + (down - 0.5) * fall_y + (right - 0.5) * fall_x
        exposure = self.draws.log_uniform("film.exposure", (0.85, 1.15))
        warmth = self.uniform("film.warmth", -0.05, 0.05)
        grain = self._grain(self.draws.integer("film.grain", (3, 12)))
        planes = []
        for plane, balance in zip(colour, (1.0 + warmth, 1.0, 1.0 - warmth), strict=True):
            level = plane * (falloff * (exposure * balance))
            np.clip(level, 0.0, 1.0, out=level)
            np.sqrt(level, out=level)
            level *= 65535.0
            exposed = cv2.GaussianBlur(level.astype(np.uint16), (3, 3), 0.55, borderType=cv2.BORDER_REPLICATE) + grain
            np.clip(exposed, 0, 65535, out=exposed)
            planes.append((exposed >> 8).astype(np.uint8))
        return self._fold_down(cv2.merge(planes))

    def _grain(self, strength: int) -> npt.NDArray[np.int32]:
        """Each pixel's own: the sum of two bytes, about zero, times ``strength``."""
        words = rng.words(self.draws.noise_seed("film.grain"), (self.shape[0], -(-self.shape[1] // 2)))
        pairs = words.astype("<u4", copy=False).view("<u2")[:, : self.shape[1]]
        bell = (pairs & np.uint16(255)).astype(np.int32) + (pairs >> np.uint16(8))
        return (bell - np.int32(255)) * np.int32(strength)

    def _fold_down(self, picture: Any) -> Picture:
        if self._fold == 1:
            return np.asarray(picture, dtype=np.uint8)
        height, width = self.shape[0] // self._fold, self.shape[1] // self._fold
        blocks = picture.reshape(height, self._fold, width, self._fold, 3).astype(np.int64)
        return np.asarray(blocks.sum(axis=(1, 3)) // self._fold**2, dtype=np.uint8)
