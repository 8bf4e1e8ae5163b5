"""Draws images/lens.png: defects as they are painted, and as the camera of their picture sees them.

    python docs/lens.py

The pictures are the package's own samples, made as soft and as grainy as photographs of a moving part.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from defectsynth import AnomalySynthesizer, load_recipe
from defectsynth.files import write_image
from defectsynth.images import bounding_box
from defectsynth.preview import RGB8
from defectsynth.rng import words
from defectsynth.samples import product

SIDE = 320
CELL = 180
SHOWN = 72  # pixels of the picture in a cell
BLUR, GRAIN = 1.6, 2.5  # pixels; grey levels
DEFECTS = (
    *(("contamination", "disc", 7), ("contamination", "disc", 14), ("contamination", "pill", 7)),
    *(("pit", "disc", 5), ("scratch", "plate", 4), ("misprint", "pill", 9)),
)


def photograph(name: str, number: int) -> RGB8:
    """A sample of a product, out of focus and with grain."""
    soft = cv2.GaussianBlur(product(name, number, (SIDE, SIDE)).image, (0, 0), BLUR)
    four = words(number, (SIDE, SIDE * 3)).astype("<u4").view(np.uint8).reshape(SIDE, SIDE, 3, 4)
    grain = (four.sum(axis=3) - 510.0) * (GRAIN / np.sqrt(4 * (256**2 - 1) / 12))
    return np.clip(np.rint(soft + grain), 0, 255).astype(np.uint8)


def pair(recipe: str, name: str, index: int) -> RGB8:
    """One defect twice: without a lens, below it with."""
    image = photograph(name, index)
    synthesizer = AnomalySynthesizer(load_recipe(recipe), seed=7)
    seen = synthesizer(image, index=index)
    anomalies = tuple(anomaly.model_copy(update={"lens": 0.0}) for anomaly in seen.plan.anomalies)
    painted = AnomalySynthesizer(load_recipe(recipe), seed=7).paint(
        image, seen.plan.model_copy(update={"anomalies": anomalies})
    )
    box = bounding_box(seen.mask)
    assert box is not None
    first = [min(max((low + high - SHOWN) // 2, 0), SIDE - SHOWN) for low, high in ((box[0], box[2]), (box[1], box[3]))]
    window = slice(first[0], first[0] + SHOWN), slice(first[1], first[1] + SHOWN)
    cells = [cv2.resize(one[window], (CELL, CELL), interpolation=cv2.INTER_NEAREST) for one in (painted.image, seen.image)]
    return np.concatenate(cells)


def main() -> None:
    """Writes the picture."""
    sheet = np.concatenate([pair(*defect) for defect in DEFECTS], axis=1)
    write_image(Path(__file__).parent / "images" / "lens.png", sheet)


if __name__ == "__main__":
    main()
