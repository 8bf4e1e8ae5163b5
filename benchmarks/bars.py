"""A picture of what ``synthesis.py --json`` measured: images a second of every way, as bars on a logarithmic scale.

    python benchmarks/bars.py plain.json compiled.json --out docs/images/performance.png

The first file is of NumPy and OpenCV alone, the second, where there is one, with compiled loops: the lighter end of a bar.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

PEERS = ("anomalib's generator", "straightforward way", "CutPaste's steps", "CutPaste's scar, its steps", "NSA's steps")
ROW, LABEL, WIDTH, MARGIN = 19, 150, 460, 14
INK, PEER, OURS, COMPILED = (45, 45, 45), (150, 150, 150), (33, 102, 172), (146, 197, 222)

Rates = dict[str, float]


def rates(results: dict[str, Rates], size: str) -> Rates:
    """Images a second of each way."""
    return {name: 1.0 / seconds for name, seconds in results[size].items()}


def draw(pen: ImageDraw.ImageDraw, left: int, size: str, plain: Rates, compiled: Rates) -> None:
    """The bars of one size, the slowest first."""
    font, title = ImageFont.load_default(11), ImageFont.load_default(14)
    low, high = math.floor(math.log10(min(plain.values()))), math.ceil(math.log10(max((plain | compiled).values())))
    start, bottom = left + LABEL, 30 + ROW * len(plain)

    def place(rate: float) -> float:
        return start + WIDTH * (math.log10(rate) - low) / (high - low)

    pen.text((left, 6), f"{size} x {size}: images a second, one core", fill=INK, font=title)
    for power in range(low, high + 1):
        pen.line((place(10**power), 28, place(10**power), bottom), fill=(225, 225, 225))
        pen.text((place(10**power), bottom + 4), f"{10**power:,}", fill=INK, font=font, anchor="ma")
    for number, name in enumerate(sorted(plain, key=plain.__getitem__)):
        top = 30 + ROW * number
        ends = [(plain[name], PEER if name in PEERS else OURS)]
        if name not in PEERS and compiled.get(name, 0.0) > plain[name]:
            ends.insert(0, (compiled[name], COMPILED))
        for rate, colour in ends:
            pen.rectangle((start, top + 3, place(rate), top + ROW - 4), fill=colour)
        pen.text((start - 6, top + ROW / 2), name, fill=INK, font=font, anchor="rm")
        pen.text((place(ends[0][0]) + 5, top + ROW / 2), f"{ends[0][0]:,.0f}", fill=INK, font=font, anchor="lm")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", type=Path, help="one or two files of synthesis.py --json")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    plain, *more = (json.loads(path.read_text()) for path in arguments.results)
    sizes = [size for size in plain if size.isdigit()]
    panel = LABEL + WIDTH + 60
    rows = max(len(plain[size]) for size in sizes)
    sheet = Image.new("RGB", (MARGIN + panel * len(sizes), 30 + ROW * rows + 42), (255, 255, 255))
    pen = ImageDraw.Draw(sheet)
    for number, size in enumerate(sizes):
        draw(pen, MARGIN + panel * number, size, rates(plain, size), rates(more[0], size) if more else {})
    if more:
        text = "dark: NumPy and OpenCV alone; light: with compiled loops (numba); grey: peers"
        pen.text((MARGIN, sheet.height - 18), text, fill=INK, font=ImageFont.load_default(11))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(arguments.out, optimize=True)


if __name__ == "__main__":
    main()
