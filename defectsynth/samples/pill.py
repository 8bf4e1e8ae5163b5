"""A coated tablet on a matt tray: oblong, domed, scored across the middle, pressed with letters on both halves."""

from __future__ import annotations

import numpy as np

from defectsynth.rng import Draws
from defectsynth.samples.lettering import strokes
from defectsynth.samples.scene import (
    Canvas,
    Field,
    Pose,
    Scene,
    Stage,
    box,
    colour,
    cover,
    facing,
    glare,
    lay,
    normals,
    shadow,
    soften,
    sunlight,
)

__all__ = ["draw"]

_HALF_LENGTH, _HALF_WIDTH = 0.385, 0.215
_DOME, _EDGE = 0.125, 0.028
_SCORE, _IMPRINT = 0.020, 0.011


def draw(draws: Draws, stage: Stage) -> Scene:
    """The tablet, its shadow and the tray."""
    pose = Pose.drawn(draws, 0.02, 7.0)
    lamp = sunlight(draws, 120.0, 52.0)
    u, v = pose.to_part(stage)
    distance = box(u, v, _HALF_LENGTH, _HALF_WIDTH, _HALF_WIDTH)
    solid = cover(distance, stage)
    pressed = _pressed(stage, pose)
    peel = stage.noise(draws.noise_seed("coat"), (48.0, 48.0))
    surface = normals(_dome(distance) - _IMPRINT * pressed + 0.00035 * peel, stage)
    diffuse = 0.20 + 0.82 * facing(surface, lamp)
    coat = colour("#f3ead6") * (diffuse * (1.0 - 0.16 * pressed) * (1.0 + 0.012 * peel))
    shine = 0.30 * glare(surface, lamp, 5) + 0.10 * glare(surface, (-lamp[0], -lamp[1], lamp[2]), 4)
    tray = _tray(draws, stage) * (1.0 - 0.75 * shadow(solid, stage, lamp, 0.06))
    return Scene(lay(tray, coat + shine, solid), solid)


def _dome(distance: Field) -> Field:
    """Height over the signed distance: a steep land at the edge, then a shallow dome."""
    depth = np.clip(-distance / _HALF_WIDTH, 0.0, 1.0)
    land = np.clip(-distance / _EDGE, 0.0, 1.0)
    return _DOME * np.sqrt(depth * (2.0 - depth)) * 0.62 + 0.035 * land * (2.0 - land)


def _pressed(stage: Stage, pose: Pose) -> Field:
    """The score line and the letters, 1 at full depth, with slanting walls."""
    canvas = Canvas(stage, pose)
    canvas.path([(0.0, -0.19), (0.0, 0.19)], _SCORE)
    for text, x in (("DS", -0.165), ("40", 0.165)):
        for line in strokes(text, (x, 0.0), 0.135):
            canvas.path(line, 0.016)
    return soften(canvas.field(), stage, 0.0045)


def _tray(draws: Draws, stage: Stage) -> Field:
    grain = stage.noise(draws.noise_seed("tray"), (80.0, 80.0))
    return colour("#39526b") * (1.0 + 0.10 * grain)
