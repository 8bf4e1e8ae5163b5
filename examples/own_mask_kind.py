"""A mask kind of your own, registered from outside the package and used from YAML.

    python examples/own_mask_kind.py out/
    defectsynth render --import examples/own_mask_kind.py --recipe examples/own_mask_kind.yaml --out dataset/

Registering makes a kind known in this process. In Python, import the module with the kind wherever its recipes or plans are
read; on the command line `--import` does that, in the worker processes too.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Literal

import numpy as np

from defectsynth import AnomalySynthesizer
from defectsynth.banks import Banks
from defectsynth.files import write_image
from defectsynth.images import Mask
from defectsynth.masks import MASK_PARAMS, MASKS
from defectsynth.masks.placement import Placed, PlacedParams
from defectsynth.noise import FloatField
from defectsynth.preview import contact_sheet
from defectsynth.rng import Draws
from defectsynth.samples import product
from defectsynth.spec import FractionRange


@MASK_PARAMS.register
class RingParams(PlacedParams):
    """What was drawn: the radius as a fraction of the picture's side, and the centre that every placed kind has."""

    kind: Literal["ring"] = "ring"
    radius: float

    def field(self, roi: Mask, banks: Banks) -> FloatField:
        """How near a pixel is to the ring; the recipe's `area_range` says how thick that makes it."""
        (row, column), (y, x) = self.centre(roi), np.indices(roi.shape, dtype=np.float32)
        distance = np.sqrt((y - row) ** 2 + (x - column) ** 2) / np.float32(np.sqrt(roi.size))
        return np.float32(0.01) - np.abs(distance - np.float32(self.radius))


@MASKS.register
class Ring(Placed):
    """What may be drawn: the mark that a drop leaves."""

    kind: Literal["ring"] = "ring"
    radius_range: FractionRange = (0.03, 0.12)

    def draw(self, draws: Draws, banks: Banks) -> RingParams:
        """The parameters of one ring: its own, its place, and the area and components that every kind has."""
        radius = draws.uniform("radius", self.radius_range)
        return RingParams(radius=radius, **self.draw_place(draws), **self.draw_controls(draws))


def main(out: Path, count: int = 6) -> list[float]:
    """Writes a contact sheet; returns the radii that were drawn."""
    synthesizer = AnomalySynthesizer(Path(__file__).with_suffix(".yaml"), seed=2)
    samples = [synthesizer(product("plate", index, (160, 160)).image, index=index) for index in range(count)]
    write_image(out / "drops.png", contact_sheet(samples))
    radii = [sample.plan.to_dict()["anomalies"][0]["mask"]["radius"] for sample in samples]
    print(f"radii {radii}")
    return radii


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=6)
    main(**vars(parser.parse_args()))
