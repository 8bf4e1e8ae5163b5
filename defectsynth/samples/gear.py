"""A sintered spur gear on a light table: teeth, web, lightening holes, bore with a keyway; it lies any way round."""

from __future__ import annotations

import math

from defectsynth.rng import Draws
from defectsynth.samples.scene import (
    Canvas,
    Field,
    Point,
    Pose,
    Scene,
    Stage,
    colour,
    facing,
    glare,
    lay,
    normals,
    shadow,
    soften,
    sunlight,
)

__all__ = ["draw"]

_TEETH, _ROOT, _TIP = 24, 0.358, 0.420
_HALF_TOOTH = ((0.41, 0.0), (0.335, 0.12), (0.30, 0.30), (0.255, 0.55), (0.20, 0.80), (0.14, 1.0))
_FLANKS = (*((-along, out) for along, out in _HALF_TOOTH), *reversed(_HALF_TOOTH))  # (part of a pitch, part of the depth)
_RIM, _HUB, _BORE = 0.305, 0.155, 0.075
_WINDOW_CIRCLE, _WINDOW, _WINDOWS = 0.230, 0.042, 5
_KEY = (0.034, 0.030)  # width and depth of the keyway


def draw(draws: Draws, stage: Stage) -> Scene:
    """The gear over a bright table, which shines through its holes."""
    pose = Pose.drawn(draws, 0.015, 180.0)
    lamp = sunlight(draws, 110.0, 55.0)
    solid, raised = _body(stage, pose), _raised(stage, pose)
    grain = _sintered(draws, stage)
    stain = stage.noise(draws.noise_seed("stain"), (4.0, 4.0), 3)
    height = 0.016 * soften(raised, stage, 0.004) + 0.012 * soften(solid, stage, 0.004) + 0.00024 * grain
    surface = normals(height, stage)
    shade = 0.25 + 0.85 * facing(surface, lamp)
    steel = colour("#7d8085") * (shade * (1.0 + 0.07 * stain + 0.06 * grain)) + 0.30 * glare(surface, lamp, 4)
    table = colour("#eef1f2") * (1.0 - 0.35 * shadow(solid, stage, lamp, 0.04))
    return Scene(lay(table, steel * (0.80 + 0.20 * raised), solid), solid)


def _sintered(draws: Draws, stage: Stage) -> Field:
    """Pores of pressed powder: two lattices that do not agree, so that neither shows."""
    seed = draws.noise_seed("sinter")
    return stage.noise(seed, (93.0, 71.0), tag=1) + stage.noise(seed, (67.0, 89.0), tag=2)


def _body(stage: Stage, pose: Pose) -> Field:
    canvas = Canvas(stage, pose)
    outline = [(_ROOT + (_TIP - _ROOT) * out, tooth + along) for tooth in range(_TEETH) for along, out in _FLANKS]
    canvas.polygon([_polar(radius, pitches / _TEETH) for radius, pitches in outline])
    for window in range(_WINDOWS):
        canvas.circle(_polar(_WINDOW_CIRCLE, window / _WINDOWS), _WINDOW, 0)
    canvas.circle((0.0, 0.0), _BORE, 0)
    canvas.rectangle((0.0, -_BORE), _KEY[0], 2 * _KEY[1], 0)
    return canvas.field()


def _raised(stage: Stage, pose: Pose) -> Field:
    """1 on rim and hub, 0 on the thinner web between them."""
    canvas = Canvas(stage, pose)
    canvas.circle((0.0, 0.0), 0.5)
    canvas.circle((0.0, 0.0), _RIM, 0)
    canvas.circle((0.0, 0.0), _HUB)
    return canvas.field()


def _polar(radius: float, turns: float) -> Point:
    angle = 2.0 * math.pi * turns
    return radius * math.cos(angle), radius * math.sin(angle)
