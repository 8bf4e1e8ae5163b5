"""Letters as strokes, for what is printed, pressed or lasered on a part."""

from __future__ import annotations

from functools import lru_cache

__all__ = ["strokes"]

Point = tuple[float, float]

_GLYPHS = {  # polylines on a grid four wide and six high, from the top left corner; an r rounds a corner
    "0": "20 40r 46r 06r 00r 20",
    "1": "11 20 26|16 36",
    "2": "01 00r 40r 42r 06 46",
    "3": "01 00r 40r 43r 23|43 46r 06r 05",
    "4": "36 30 04 44",
    "5": "40 00 03 43r 46r 06r 05",
    "6": "40 10r 06r 46r 43r 03",
    "7": "00 40 16",
    "8": "20 40r 43r 03r 00r 20|23 43r 46r 06r 03r 23",
    "9": "43 03r 00r 40r 46r 06",
    "A": "06 20 46|14 34",
    "C": "41 40r 00r 06r 46r 45",
    "D": "00 40r 46r 06 00",
    "E": "40 00 06 46|03 33",
    "F": "40 00 06|03 33",
    "H": "00 06|40 46|03 43",
    "J": "40 46r 06r 05",
    "L": "00 06 46",
    "N": "06 00 46 40",
    "P": "06 00 40r 43r 03",
    "R": "06 00 40r 43r 03|23 46",
    "S": "41 40r 00r 03r 43r 46r 06r 05",
    "T": "00 40|20 26",
    "U": "00 06r 46r 40",
    "Y": "00 23 40|23 26",
    "-": "13 33",
    " ": "",
}
_ADVANCE = 5.6
_CORNER = 1.5  # grid units from which a round corner bends


@lru_cache(maxsize=256)
def strokes(text: str, centre: Point, height: float) -> tuple[tuple[Point, ...], ...]:
    """The polylines of one line of text, ``height`` high, about ``centre``."""
    unit = height / 6.0
    left = centre[0] - (len(text) * _ADVANCE - (_ADVANCE - 4.0)) / 2.0 * unit
    return tuple(
        tuple((left + (position * _ADVANCE + x) * unit, centre[1] + (y - 3.0) * unit) for x, y in _rounded(line.split()))
        for position, letter in enumerate(text)
        for line in filter(None, _GLYPHS[letter].split("|"))
    )


def _rounded(marks: list[str]) -> list[Point]:
    """The corners of one polyline, those marked ``r`` replaced by a parabola of five points."""
    corners = [(float(mark[0]), float(mark[1])) for mark in marks]
    points: list[Point] = []
    for position, mark in enumerate(marks):
        if mark.endswith("r"):
            points += _bend(corners[position - 1], corners[position], corners[position + 1])
        else:
            points.append(corners[position])
    return points


def _bend(before: Point, corner: Point, after: Point) -> list[Point]:
    start, end = _from(corner, before), _from(corner, after)
    bend = []
    for t in (0.0, 0.25, 0.5, 0.75, 1.0):
        a, b, c = (1 - t) * (1 - t), 2 * t * (1 - t), t * t
        bend.append((a * start[0] + b * corner[0] + c * end[0], a * start[1] + b * corner[1] + c * end[1]))
    return bend


def _from(corner: Point, towards: Point) -> Point:
    """The place where a bend begins: ``_CORNER`` away, or half-way where the neighbour is near."""
    dx, dy = towards[0] - corner[0], towards[1] - corner[1]
    length = float((dx * dx + dy * dy) ** 0.5)
    share = min(_CORNER / length, 0.5)
    return corner[0] + dx * share, corner[1] + dy * share
