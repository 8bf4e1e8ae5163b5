"""The camera above the bench: linear light in, a picture of eight bits with the faults of a real lens and sensor out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from defectsynth import rng
from defectsynth.samples.scene import Field, Stage

__all__ = ["photograph", "shrink"]


def shrink(field: Field, zoom: int) -> Field:
    """The mean of each block of ``zoom`` x ``zoom`` pixels, of the last two axes."""
    if zoom == 1:
        return field
    rows = sum((field[..., start::zoom, :] for start in range(1, zoom)), field[..., ::zoom, :])
    blocks: Field = sum((rows[..., start::zoom] for start in range(1, zoom)), rows[..., ::zoom])
    return blocks / float(zoom * zoom)


def photograph(light: Field, draws: rng.Draws) -> npt.NDArray[np.uint8]:
    """``(3, H, W)`` light as ``(H, W, 3)`` uint8: uneven lamp, lens, exposure, film curve and sensor noise of this picture."""
    stage = Stage((light.shape[1], light.shape[2]))
    exposed = _lens(light, draws.uniform("camera.blur", (0.10, 0.15))) * _illumination(stage, draws)
    seen = _shoulder(np.sqrt(np.maximum(exposed * _balance(draws), 0.0)))
    # After a square root, shot noise is as strong in the shadows as in the light.
    noisy = seen.transpose(1, 2, 0) * 255.0 + _sensor(draws, stage.shape)
    return np.ascontiguousarray(np.rint(np.clip(noisy, 0.0, 255.0)).astype(np.uint8))


def _illumination(stage: Stage, draws: rng.Draws) -> Field:
    size = stage.side / max(stage.shape)  # a long picture is as evenly lit as a square one
    x, y = stage.x * size, stage.y * size
    slope_x, slope_y = (draws.uniform(f"camera.slope_{axis}", (-0.10, 0.10)) for axis in "xy")
    corner = 1.0 + draws.uniform("camera.vignette", (0.10, 0.20)) * (x * x + y * y)
    return draws.uniform("camera.exposure", (0.94, 1.06)) * (1.0 + slope_x * x + slope_y * y) / (corner * corner)


def _balance(draws: rng.Draws) -> Field:
    red, blue = (draws.uniform(f"camera.{name}", (0.992, 1.008)) for name in ("red", "blue"))
    return np.array([red, 1.0, blue], dtype=np.float32)[:, None, None]


def _lens(light: Field, weight: float) -> Field:
    """Three pixels mixed along each axis."""
    padded = np.pad(light, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = padded[:, 1:-1] * (1.0 - 2.0 * weight) + (padded[:, :-2] + padded[:, 2:]) * weight
    both: Field = rows[..., 1:-1] * (1.0 - 2.0 * weight) + (rows[..., :-2] + rows[..., 2:]) * weight
    return both


def _shoulder(seen: Field) -> Field:
    """Highlights roll off towards white instead of being cut."""
    over = np.maximum(seen - 0.8, 0.0)
    rolled: Field = np.minimum(seen, 0.8) + over / (1.0 + over * 5.0)
    return rolled


def _sensor(draws: rng.Draws, shape: tuple[int, int]) -> Field:
    """Noise in grey levels, ``(H, W, 3)``; neighbouring colours share half of it, as after demosaicing."""
    random = rng.words(draws.noise_seed("camera.sensor"), shape).astype("<u4").view(np.uint8)
    four = random.reshape(*shape, 4).astype(np.int16)
    two = four[..., :3] + four[..., 1:] - 255  # deviation 104.5
    return two.astype(np.float32) * (draws.uniform("camera.noise", (1.1, 1.6)) / 104.5)
