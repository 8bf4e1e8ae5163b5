"""The layout of the example circuit board: its parts, their leads, and the traces between them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

__all__ = ["HEADER", "HOLES", "PARTS", "SIZE", "TEXTS", "Net", "Part", "header_pins", "label", "leads", "nets", "stitches"]

Point = tuple[float, float]

SIZE = (0.92, 0.80)
HOLES = tuple((x, y) for x in (-0.415, 0.415) for y in (-0.355, 0.355))


@dataclass(frozen=True, slots=True)
class Part:
    """A component: a chip, resistor, capacitor, can, crystal or header; ``count`` leads on each of ``sides`` (n, e, s, w)."""

    name: str
    kind: str
    centre: Point
    width: float
    height: float
    sides: str = ""
    count: int = 0
    marking: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Net:
    """One trace: its corners, its width, and whether it ends in a via."""

    points: tuple[Point, ...]
    width: float
    via: bool


HEADER = Part("J1", "header", (-0.05, 0.325), 0.27, 0.062)
_U1 = Part("U1", "chip", (-0.09, 0.02), 0.21, 0.21, "nesw", 10, ("DS40", "A7 2431"))
_U2 = Part("U2", "chip", (0.24, -0.17), 0.17, 0.085, "ns", 8, ("DS108",))
_U3 = Part("U3", "chip", (0.235, 0.09), 0.075, 0.095, "ew", 4, ("F4",))
_LEFT = [Part(f"R{k + 1}", "resistor", (-0.365, -0.07 + 0.036 * k), 0.036, 0.018) for k in range(6)]
_RIGHT = [Part(f"C{k + 3}", "capacitor", (0.375, 0.039 + 0.034 * k), 0.04, 0.022) for k in range(5)]
_TOP = [Part(f"R{k + 7}", "resistor", (0.055 + 0.05 * k, -0.345), 0.036, 0.018) for k in range(5)]
_LOW = [Part(f"C{k + 8}", "capacitor", (0.19 + 0.06 * k, 0.235), 0.022, 0.04) for k in range(3)]
PARTS: tuple[Part, ...] = (
    _U1,
    _U2,
    _U3,
    Part("C1", "can", (-0.335, -0.205), 0.104, 0.104),
    Part("C2", "can", (-0.190, -0.250), 0.104, 0.104),
    Part("Y1", "crystal", (-0.325, 0.225), 0.125, 0.05),
    *_LEFT,
    *_RIGHT,
    *_TOP,
    *_LOW,
)

TEXTS = (("DEFECTSYNTH", (-0.10, -0.345), 0.022), ("DS-40 R2", (0.235, 0.345), 0.022))

_PITCH = 0.018
_LEAD = 0.028
_TRACE = 0.0062


def leads(part: Part) -> list[tuple[Point, Point]]:
    """Every lead of a chip from its root at the body to its tip, side by side in reading order."""
    reach = {"n": (0.0, -1.0), "e": (1.0, 0.0), "s": (0.0, 1.0), "w": (-1.0, 0.0)}
    found = []
    for side in part.sides:
        dx, dy = reach[side]
        for number in range(part.count):
            slide = (number - (part.count - 1) / 2) * _PITCH
            x = part.centre[0] + dx * part.width / 2 + abs(dy) * slide
            y = part.centre[1] + dy * part.height / 2 + abs(dx) * slide
            found.append(((x, y), (x + dx * _LEAD, y + dy * _LEAD)))
    return found


def label(part: Part) -> Point | None:
    """Where the silk-screen names a part; small ones go unnamed."""
    x, y = part.centre
    if part.kind == "chip":
        return x + part.width / 2 + 0.03, y - part.height / 2 - 0.022
    if part.kind == "header":
        return x - part.width / 2 - 0.026, y
    if part.kind in ("can", "crystal"):
        return x, y + part.height / 2 + 0.022
    return None


def header_pins() -> list[Point]:
    """Two rows of pins, the upper one first."""
    x, y = HEADER.centre
    return [(x + (column - 4.5) * 0.0254, y + row * 0.0254 - 0.0127) for row in range(2) for column in range(10)]


@lru_cache(maxsize=1)
def nets() -> tuple[Net, ...]:
    """All traces; lanes of a bundle are in such an order that none crosses another."""
    tips = [tip for _, tip in leads(_U1)]
    north, east, south, west = tips[0:10], tips[10:20], tips[20:30], tips[30:40]
    u2_north, u2_south = ([tip for _, tip in leads(_U2)][k : k + 8] for k in (0, 8))
    u3_east, u3_west = ([tip for _, tip in leads(_U3)][k : k + 4] for k in (0, 4))
    lines: list[list[Point]] = []
    lines += [_corner(east[k], u2_south[k]) for k in range(6)]
    lines += [_sideways(east[6 + k], u3_west[k], 0.09 - 0.006 * k) for k in range(4)]
    lines += [_downwards(south[k], header_pins()[k], 0.170 + 0.006 * (9 - k)) for k in range(10)]
    lines += [_sideways(west[k + 2], _end(_LEFT[k], 1), -0.275) for k in range(6)]
    lines += [_over(north[9 - k], u2_north[k], -0.262 - 0.012 * k) for k in range(5)]
    lines += [_sideways(u3_east[k], _end(_RIGHT[k], -1), 0.31) for k in range(4)]
    vias = [[_end(part, -1), (part.centre[0] - 0.055, part.centre[1])] for part in _LEFT]
    vias += [[_end(part, 1), (part.centre[0] + 0.05, part.centre[1])] for part in _RIGHT]
    vias += [[north[k], (north[k][0], north[k][1] - 0.018 - 0.02 * (k % 2))] for k in range(5)]
    vias += [[u2_south[6 + k], (u2_south[6 + k][0], -0.08 + 0.02 * k)] for k in range(2)]
    vias += [[u2_north[5 + k], (u2_north[5 + k][0], -0.262 - 0.018 * (k % 2))] for k in range(3)]
    vias += [[west[k], (west[k][0] - 0.022 - 0.022 * (k % 2), west[k][1])] for k in (0, 1, 8, 9)]
    power: list[list[Point]] = [
        [(-0.235, -0.21), (-0.235, -0.16), (-0.215, -0.14)],
        [(-0.30, 0.225), (-0.25, 0.225), (-0.225, 0.20), (-0.225, 0.165)],
        [(0.19, 0.255), (0.19, 0.30), (0.165, 0.325), (0.10, 0.325)],
        [(0.31, 0.255), (0.31, 0.285), (0.285, 0.31), (0.25, 0.31)],
    ]
    return (
        *(Net(tuple(line), _TRACE, False) for line in lines),
        *(Net(tuple(line), _TRACE, True) for line in vias),
        *(Net(tuple(line), 2.2 * _TRACE, True) for line in power),
    )


def _end(part: Part, sign: int) -> Point:
    """The middle of a lying two-pole part's left (-1) or right (1) cap."""
    return part.centre[0] + sign * 0.4 * part.width, part.centre[1]


def _corner(start: Point, end: Point) -> list[Point]:
    """Along x, then along y, the corner cut at 45 degrees."""
    cut = 0.03
    way = 1.0 if end[1] > start[1] else -1.0
    return [start, (end[0] - cut, start[1]), (end[0], start[1] + way * cut), end]


def _sideways(start: Point, end: Point, bend: float) -> list[Point]:
    """Along x to ``bend``, over at 45 degrees, along x again."""
    way = 1.0 if end[0] > start[0] else -1.0
    return [start, (bend, start[1]), (bend + way * abs(end[1] - start[1]), end[1]), end]


def _downwards(start: Point, end: Point, bend: float) -> list[Point]:
    """Along y to ``bend``, over at 45 degrees, along y again."""
    return [start, (start[0], bend), (end[0], bend + abs(end[0] - start[0])), end]


def _over(start: Point, end: Point, lane: float) -> list[Point]:
    """Up to a lane, along it, and down again, corners cut at 45 degrees."""
    cut = 0.016
    return [
        start,
        (start[0], lane + cut),
        (start[0] + cut, lane),
        (end[0] - cut / 2, lane),
        (end[0], lane + cut / 2),
        end,
    ]


@lru_cache(maxsize=1)
def stitches() -> tuple[Point, ...]:
    """Vias that tie the ground planes together, wherever a coarse grid finds free copper."""
    pitch = 0.052
    grid = [(column * pitch, row * pitch) for row in range(-7, 8) for column in range(-8, 9)]
    return tuple(place for place in grid if _is_free(place))


def _is_free(place: Point) -> bool:
    x, y = place
    if abs(x) > SIZE[0] / 2 - 0.03 or abs(y) > SIZE[1] / 2 - 0.03:
        return False
    blocks = [(hole, 0.12, 0.12) for hole in HOLES]
    blocks += [(part.centre, part.width + 0.06, part.height + 0.06) for part in (*PARTS, HEADER)]
    blocks += [(part.centre, part.width + 0.1, part.height + 0.1) for part in PARTS if part.kind == "chip"]
    blocks += [(centre, len(text) * 0.022 + 0.01, 0.05) for text, centre, _ in TEXTS]
    blocks += [(named, 0.07, 0.05) for part in (*PARTS, HEADER) if (named := label(part))]
    if any(abs(x - centre[0]) < width / 2 and abs(y - centre[1]) < height / 2 for centre, width, height in blocks):
        return False
    return all(_gap(place, a, b) > 0.022 for net in nets() for a, b in zip(net.points[:-1], net.points[1:], strict=True))


def _gap(place: Point, start: Point, end: Point) -> float:
    """Distance from a point to a piece of trace."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = dx * dx + dy * dy or 1.0
    t = min(max(((place[0] - start[0]) * dx + (place[1] - start[1]) * dy) / length, 0.0), 1.0)
    x, y = place[0] - start[0] - t * dx, place[1] - start[1] - t * dy
    return float((x * x + y * y) ** 0.5)
