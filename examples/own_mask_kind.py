"""A mask kind of your own, registered from outside the package and used from YAML.

    python examples/own_mask_kind.py out/

Registering makes a kind known in this process. Import the module with the kind wherever its recipes or plans are read: the
command line does not know it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Literal

import numpy as np

from defectsynth import AnomalySynthesizer, Recipe
from defectsynth.banks import Banks
from defectsynth.files import write_image
from defectsynth.images import Mask
from defectsynth.masks import MASK_PARAMS, MASKS, MaskParams, MaskSpec
from defectsynth.noise import FloatField
from defectsynth.preview import contact_sheet
from defectsynth.rng import Draws
from defectsynth.samples import product
from defectsynth.spec import FractionRange


@MASK_PARAMS.register
class RingParams(MaskParams):
    """What was drawn: the centre (a pixel of the ROI, by its rank in [0, 1)), and the radius as a fraction of the side."""

    kind: Literal["ring"] = "ring"
    place: float
    radius: float

    def field(self, roi: Mask, banks: Banks) -> FloatField:
        """How near a pixel is to the ring; the recipe's ``area_range`` says how thick that makes it."""
        inside = np.flatnonzero(roi)
        row, column = divmod(int(inside[int(self.place * inside.size)]), roi.shape[1])
        y, x = np.indices(roi.shape, dtype=np.float32)
        off = np.abs(np.sqrt((y - row) ** 2 + (x - column) ** 2) / np.float32(np.sqrt(roi.size)) - np.float32(self.radius))
        return np.float32(0.01) - off


@MASKS.register
class Ring(MaskSpec):
    """What may be drawn: the mark that a drop leaves."""

    kind: Literal["ring"] = "ring"
    radius_range: FractionRange = (0.03, 0.12)

    def draw(self, draws: Draws, banks: Banks) -> RingParams:
        """The parameters of one ring."""
        return RingParams(
            place=draws.uniform("place", (0.0, 0.999999)),
            radius=draws.uniform("radius", self.radius_range),
            **self.draw_controls(draws),  # area and components, which every kind has
        )


RECIPE = """
name: drops
foreground: none
kinds:
  drop:
    mask: {kind: ring, radius_range: [0.04, 0.15], area_range: [0.004, 0.015], components_range: [1, 1]}
    source: {kind: procedural, families: [oil_film, concrete], tone: {match_range: [0.6, 0.9], shift_range: [-0.25, -0.1]}}
    blend: {kind: linear, opacity_range: [0.6, 0.9], edge_range: [0.002, 0.006]}
"""


def main(out: Path, count: int = 6) -> list[float]:
    """Writes a contact sheet; returns the radii that were drawn."""
    synthesizer = AnomalySynthesizer(Recipe.from_yaml(RECIPE), seed=2)
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
