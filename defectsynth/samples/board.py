"""A populated circuit board on a dark mat: copper under green solder mask, pads, vias, silk-screen, chips and passives."""

from __future__ import annotations

import numpy as np

from defectsynth.rng import Draws
from defectsynth.samples import board_layout as layout
from defectsynth.samples.lettering import strokes
from defectsynth.samples.scene import (
    Canvas,
    Direction,
    Field,
    Point,
    Pose,
    Scene,
    Stage,
    box,
    colour,
    corners,
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

_GAP = 0.0065  # bare laminate between a trace and the ground plane
_VIA, _DRILL = 0.0085, 0.0040
_HOLE, _ANNULUS = 0.019, 0.030
_THICKNESS = 0.018
_SEGMENT = ((0.50, -0.81), (0.66, -0.68), (0.82, -0.47), (0.93, -0.16), (0.93, 0.16), (0.82, 0.47), (0.66, 0.68), (0.50, 0.81))
_LAYERS = ("copper", "tin", "drill", "silk", "lead", "gold", "dark", "tan", "metal", "print", "ink")


def draw(draws: Draws, stage: Stage) -> Scene:
    """Bare board first, then what stands on it, then the mat around it."""
    pose = Pose.drawn(draws, 0.008, 1.0)
    lamp = sunlight(draws, 130.0, 55.0)
    layers = _draw_layers(stage, pose)
    solid = _outline(stage, pose)
    bodies = np.maximum(np.maximum(layers["dark"], layers["tan"]), layers["metal"])
    bare = _bare(draws, stage, lamp, layers) * (1.0 - 0.72 * shadow(bodies, stage, lamp, 0.022))
    populated = _populate(stage, lamp, layers, bodies, bare)
    mat = colour("#a3a8ac") * (1.0 + 0.12 * stage.noise(draws.noise_seed("mat"), (70.0, 70.0)))
    return Scene(lay(mat * (1.0 - 0.8 * shadow(solid, stage, lamp, _THICKNESS)), populated, solid), solid)


def _outline(stage: Stage, pose: Pose) -> Field:
    """The board without its four mounting holes."""
    u, v = pose.to_part(stage)
    distance = box(u, v, layout.SIZE[0] / 2, layout.SIZE[1] / 2, 0.022)
    x, y = np.abs(u) - layout.HOLES[-1][0], np.abs(v) - layout.HOLES[-1][1]
    return cover(np.maximum(distance, _HOLE - np.sqrt(x * x + y * y)), stage)


def _bare(draws: Draws, stage: Stage, lamp: Direction, layers: dict[str, Field]) -> Field:
    """Laminate, copper and solder mask, tinned pads, drilled vias, silk-screen."""
    weave = stage.noise(draws.noise_seed("weave"), (80.0, 80.0))
    mask = lay(colour("#0d3d2a"), colour("#1d6644"), layers["copper"]) * (1.0 + 0.06 * weave)
    surface = normals(0.004 * soften(layers["copper"], stage, 0.0016), stage)
    sheen = stage.noise(draws.noise_seed("sheen"), (1.3, 1.3), 2)  # a glossy mask mirrors the hood of the lamp
    green = mask * (0.3 + 0.85 * facing(surface, lamp)) + 0.03 * glare(surface, lamp, 5) + 0.012 * (1.0 + sheen)
    solder = normals(0.006 * soften(layers["tin"], stage, 0.003), stage)
    tin = colour("#b9bdc1") * (0.25 + 0.75 * facing(solder, lamp)) + 0.5 * glare(solder, lamp, 5)
    tinned = lay(lay(green, tin, layers["tin"]), colour("#16181a"), layers["drill"])
    return lay(tinned, colour("#e6eae2"), 0.92 * layers["silk"])


def _populate(stage: Stage, lamp: Direction, layers: dict[str, Field], bodies: Field, bare: Field) -> Field:
    """Leads, bodies and what is printed on them."""
    lead = normals(0.008 * soften(layers["lead"], stage, 0.003), stage)
    steel = 0.15 + 0.55 * facing(lead, lamp) + 0.7 * glare(lead, lamp, 4)
    light = lay(bare, colour("#d3d6da") * steel, layers["lead"])
    surface = normals(0.012 * soften(bodies, stage, 0.003), stage)
    shade = 0.30 + 0.85 * facing(surface, lamp)
    light = lay(light, colour("#2b2d30") * shade + 0.05 * glare(surface, lamp, 3), layers["dark"])
    light = lay(light, colour("#b08a62") * shade, layers["tan"])
    light = lay(light, colour("#9a9ea3") * shade + 0.25 * glare(surface, lamp, 4), layers["metal"])
    light = lay(light, colour("#25272a"), layers["ink"])
    light = lay(light, colour("#9ea2a6"), 0.75 * layers["print"])
    return lay(light, colour("#e0bd6a") * (0.35 + 0.75 * shade), layers["gold"])


# --- the layers ------------------------------------------------------------------------------------------------------


def _draw_layers(stage: Stage, pose: Pose) -> dict[str, Field]:
    canvases = {name: Canvas(stage, pose) for name in _LAYERS}
    _draw_copper(canvases)
    for part in layout.PARTS:
        _draw_part(canvases, part)
    _draw_header(canvases)
    _draw_silk(canvases["silk"])
    return {name: canvas.field() for name, canvas in canvases.items()}


def _draw_copper(canvases: dict[str, Canvas]) -> None:
    copper = canvases["copper"]
    copper.rectangle((0.0, 0.0), layout.SIZE[0] - 0.02, layout.SIZE[1] - 0.02)
    for net in layout.nets():
        copper.path(list(net.points), net.width + 2 * _GAP, 0)
    for net in layout.nets():
        copper.path(list(net.points), net.width)
    for place in (*(net.points[-1] for net in layout.nets() if net.via), *layout.stitches()):
        canvases["tin"].circle(place, _VIA)
        canvases["drill"].circle(place, _DRILL)
    for hole in layout.HOLES:
        canvases["tin"].circle(hole, _ANNULUS)


def _draw_part(canvases: dict[str, Canvas], part: layout.Part) -> None:
    if part.kind == "chip":
        _draw_chip(canvases, part)
    elif part.kind == "can":
        _draw_can(canvases, part)
    elif part.kind == "crystal":
        _draw_crystal(canvases, part)
    else:
        _draw_passive(canvases, part)


def _draw_pad(canvases: dict[str, Canvas], centre: Point, width: float, height: float) -> None:
    canvases["copper"].rectangle(centre, width + 2 * _GAP, height + 2 * _GAP, 0)
    canvases["tin"].rectangle(centre, width, height)


def _draw_chip(canvases: dict[str, Canvas], part: layout.Part) -> None:
    for root, tip in layout.leads(part):
        upright = root[0] == tip[0]
        _draw_pad(canvases, tip, *((0.0105, 0.021) if upright else (0.021, 0.0105)))
        canvases["lead"].path([root, tip], 0.0075)
    canvases["dark"].rectangle(part.centre, part.width, part.height)
    x, y = part.centre
    canvases["print"].circle((x - part.width / 2 + 0.016, y - part.height / 2 + 0.016), 0.005)
    size = 0.026 if len(part.marking) > 1 else 0.02
    for row, text in enumerate(part.marking):
        _write(canvases["print"], text, (x, y + (row - (len(part.marking) - 1) / 2) * 1.7 * size), size)


def _draw_can(canvases: dict[str, Canvas], part: layout.Part) -> None:
    x, y = part.centre
    radius = part.width / 2
    canvases["dark"].rectangle(part.centre, part.width * 1.04, part.height * 1.04)
    canvases["metal"].circle(part.centre, radius * 0.97)
    canvases["ink"].polygon([(x - radius * a, y - radius * b) for a, b in _SEGMENT])


def _draw_crystal(canvases: dict[str, Canvas], part: layout.Part) -> None:
    x, y = part.centre
    reach = (part.width - part.height) / 2
    canvases["metal"].path([(x - reach, y), (x + reach, y)], part.height)


def _draw_passive(canvases: dict[str, Canvas], part: layout.Part) -> None:
    x, y = part.centre
    lying = part.width > part.height
    for sign in (-1, 1):
        dx, dy = (sign * 0.46 * part.width, 0.0) if lying else (0.0, sign * 0.46 * part.height)
        _draw_pad(canvases, (x + dx, y + dy), *((0.016, part.height) if lying else (part.width, 0.016)))
    canvases["lead"].rectangle(part.centre, part.width, part.height)
    body = (part.width * 0.56, part.height) if lying else (part.width, part.height * 0.56)
    canvases["dark" if part.kind == "resistor" else "tan"].rectangle(part.centre, *body)


def _draw_header(canvases: dict[str, Canvas]) -> None:
    canvases["dark"].rectangle(layout.HEADER.centre, layout.HEADER.width, layout.HEADER.height)
    for place in layout.header_pins():
        canvases["gold"].rectangle(place, 0.0095, 0.0095)


def _draw_silk(silk: Canvas) -> None:
    for text, centre, height in layout.TEXTS:
        _write(silk, text, centre, height)
    for part in (*layout.PARTS, layout.HEADER):
        place = layout.label(part)
        if place:
            _write(silk, part.name, place, 0.018)
            _frame(silk, part.centre, part.width + 0.014, part.height + 0.014)


def _write(canvas: Canvas, text: str, centre: Point, height: float) -> None:
    for line in strokes(text, centre, height):
        canvas.path(line, 0.0036)


def _frame(silk: Canvas, centre: Point, width: float, height: float) -> None:
    outline = corners(centre, width, height)
    silk.path([*outline, outline[0]], 0.0036)
