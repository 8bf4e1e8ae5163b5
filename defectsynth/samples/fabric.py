"""A woven cloth: it fills the picture; every yarn has its own shade and thickness."""

from __future__ import annotations

import numpy as np

from defectsynth import rng
from defectsynth.samples.scene import Field, Pose, Scene, Stage, colour, lay

__all__ = ["draw"]

_YARNS = 32.0  # to one unit of length
_TWIST = 2.2  # turns of the fibres along one crossing
_CRIMP = 0.30  # how far a yarn goes up and down, in pitches


def draw(draws: rng.Draws, stage: Stage) -> Scene:
    """A plain weave, pulled a little out of square; whichever yarn stands higher is seen."""
    u, v = _pulled(draws, stage)
    over = (np.floor(u) + np.floor(v)) % 2.0 * -2.0 + 1.0
    warp_height, warp = _yarns(draws, "warp", u, v, over)
    weft_height, weft = _yarns(draws, "weft", v, u, -over)
    difference = warp_height - weft_height
    is_warp = np.clip(difference * 8.0 + 0.5, 0.0, 1.0)
    cloth = lay(colour("#b4aa98") * weft, colour("#c8c0ae") * warp, is_warp)
    depth = np.clip(np.maximum(warp_height, weft_height) * 1.1 + 0.52, 0.10, 1.0)
    fuzz = stage.noise(draws.noise_seed("fuzz"), (120.0, 120.0), 1)
    uneven = stage.noise(draws.noise_seed("uneven"), (3.0, 3.0), 3)
    return Scene(cloth * (depth * (1.0 + 0.10 * uneven + 0.07 * fuzz)), np.ones(stage.shape, dtype=np.float32))


def _pulled(draws: rng.Draws, stage: Stage) -> tuple[Field, Field]:
    """Every pixel's place, in yarns from a far corner."""
    x, y = Pose.drawn(draws, 0.5, 1.5).to_part(stage)
    seed = draws.noise_seed("pull")
    x = x + 0.005 * stage.noise(seed, (3.0, 3.0), 2, tag=1)
    y = y + 0.005 * stage.noise(seed, (3.0, 3.0), 2, tag=2)
    corner = 2.0 + max(stage.shape) / stage.side  # keeps the yarns' numbers above zero
    return (x + corner) * _YARNS, (y + corner) * _YARNS


def _yarns(draws: rng.Draws, name: str, across: Field, along: Field, over: Field) -> tuple[Field, Field]:
    """One set of yarns, as if alone: height (in pitches) and brightness; ``over`` is 1 where it crosses above, else -1."""
    number = np.floor(across).astype(np.intp)
    offset = across - number - 0.5
    thick, shade, phase = _each_yarn(draws.noise_seed(name), int(number.max()) + 1)
    bend = along - np.floor(along) - 0.5
    profile = offset / thick[number]
    bulge = np.sqrt(np.maximum(1.0 - profile * profile, 0.0))
    height = _CRIMP * over * (1.0 - 4.0 * bend * bend) + 0.42 * bulge - 0.30
    strand = _TWIST * along + 1.3 * offset + phase[number]
    strand = strand - np.floor(strand)
    fibre = 1.0 - 0.5 * (4.0 * strand * (1.0 - strand) - 0.66)
    return height, (0.86 - 0.18 * profile) * fibre * shade[number]


def _each_yarn(seed: int, count: int) -> tuple[Field, Field, Field]:
    """Half width (in pitches), shade and phase of every yarn."""
    first, second, third = rng.words(seed, (count, 3)).T.astype(np.float32) / np.float32(2**32)
    return 0.45 + 0.08 * first, 0.90 + 0.20 * second, third
