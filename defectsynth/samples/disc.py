"""A turned flange on a conveyor belt: hub, bore, bolt circle, dowel hole and a lasered number; it lies any way round."""

from __future__ import annotations

import math

import numpy as np

from defectsynth import noise
from defectsynth.rng import Draws
from defectsynth.samples.lettering import strokes
from defectsynth.samples.scene import (
    Canvas,
    Direction,
    Field,
    Pose,
    Scene,
    Stage,
    colour,
    cover,
    lay,
    shadow,
    sharpen,
    sunlight,
)

__all__ = ["draw"]

_OUTER, _HUB, _BORE = 0.415, 0.200, 0.105
_BOLT_CIRCLE = 0.315
_DRILLED = (*((60.0 * bolt, 0.034) for bolt in range(6)), (30.0, 0.013))  # (degrees, radius): bolts, and a dowel hole
_COUNTERSINK, _NEAR = 0.012, 0.03
_THICKNESS = 0.045
_BEVELS = (  # (from radius, to radius, how steep; positive where the surface falls outwards)
    (_BORE, _BORE + 0.013, -0.7),
    (_HUB - 0.006, _HUB + 0.006, 0.9),
    (_HUB + 0.012, _HUB + 0.020, -0.35),
    (0.383, 0.387, 0.5),
    (0.387, 0.391, -0.5),
    (_OUTER - 0.014, _OUTER, 0.8),
)


def draw(draws: Draws, stage: Stage) -> Scene:
    """The part, its shadow, and the belt that shows through its holes."""
    pose = Pose.drawn(draws, 0.018, 180.0)
    lamp = sunlight(draws, 125.0, 50.0)
    u, v = pose.to_part(stage)
    radius = np.sqrt(u * u + v * v)
    away, countersink = _holes(stage, pose, u, v, lamp)
    solid = cover(np.maximum(np.maximum(radius - _OUTER, _BORE - radius), -away), stage)
    shade = _turned(draws, stage, pose, lamp, radius)
    shade = shade + countersink * cover(away - _COUNTERSINK, stage)
    metal = colour("#f5f7fa") * (np.maximum(shade, 0.08) * (1.0 - 0.6 * _number(stage, pose)))
    belt = _belt(draws, stage) * (1.0 - 0.88 * shadow(solid, stage, lamp, _THICKNESS))
    return Scene(lay(belt, metal, solid), solid)


def _holes(stage: Stage, pose: Pose, u: Field, v: Field, lamp: Direction) -> tuple[Field, Field]:
    """Distance to the edge of a drilled hole (negative inside) where one is near, and the light on its countersink, about 0."""
    towards = pose.towards(lamp)
    away = np.full(stage.shape, _NEAR, dtype=np.float32)
    light = np.zeros(stage.shape, dtype=np.float32)
    for degrees, size in _DRILLED:
        angle = math.radians(degrees)
        place = (_BOLT_CIRCLE * math.cos(angle), _BOLT_CIRCLE * math.sin(angle))
        window = stage.window(pose.to_picture(place), size + _NEAR)
        x, y = u[window] - place[0], v[window] - place[1]
        distance = np.sqrt(x * x + y * y)
        away[window] = distance - size
        light[window] = -0.36 * (x * towards[0] + y * towards[1]) / (distance + 1e-6)
    return away, light


def _turned(draws: Draws, stage: Stage, pose: Pose, lamp: Direction, radius: Field) -> Field:
    """Brightness of the turned faces: a circular grain spreads each lamp into two opposite wedges."""
    x, y = stage.x - pose.x, stage.y - pose.y
    towards = (x * lamp[0] + y * lamp[1]) / (radius * math.hypot(lamp[0], lamp[1]) + 1e-6)
    sideways = (x * lamp[1] - y * lamp[0]) / (radius * math.hypot(lamp[0], lamp[1]) + 1e-6)
    marks = _feed_marks(draws, radius)
    wedge = sharpen(np.abs(towards + 0.05 * marks), 3)
    fill = sharpen(np.abs(0.94 * sideways + 0.34 * towards), 4)
    hub = cover(radius - _HUB, stage)
    shade = 0.20 + 0.05 * hub + 0.42 * wedge + 0.16 * fill + 0.08 * towards * towards
    bevel = sum(steep * cover(np.maximum(start - radius, radius - end), stage) for start, end, steep in _BEVELS)
    grain = stage.noise(draws.noise_seed("grain"), (90.0, 90.0), 1)
    return shade * (1.0 + 0.20 * marks + 0.05 * grain) + 0.40 * bevel * towards - 0.03 * np.abs(bevel)


def _feed_marks(draws: Draws, radius: Field) -> Field:
    """Concentric marks of the tool, the same all round: about [-1, 1]."""
    steps = 2048
    profile = noise.fbm(draws.noise_seed("feed"), (steps, 1), (40.0, 1.0), 4, 0.8)[:, 0]
    place = np.minimum(radius * (steps / 0.5), steps - 1.0)
    return profile[place.astype(np.intp)] * 1.6


def _number(stage: Stage, pose: Pose) -> Field:
    canvas = Canvas(stage, pose)
    for line in strokes("DS-40", (0.0, 0.315), 0.026):
        canvas.path(line, 0.0045)
    return canvas.field()


def _belt(draws: Draws, stage: Stage) -> Field:
    """Dark rubber with a fine grain and worn tracks along its way."""
    seed = draws.noise_seed("belt")
    grain = stage.noise(seed, (55.0, 55.0), 2, 0.7)
    tracks = stage.noise(seed, (9.0, 0.6), 3, 0.6, tag=1)
    return colour("#4a4e54") * (1.0 + 0.30 * grain + 0.25 * tracks)
