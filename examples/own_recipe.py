"""A recipe of your own: read from YAML, changed from Python, looked at.

    python examples/own_recipe.py out/

It writes a contact sheet of the recipe in ``own_recipe.yaml``, and one of a fainter version of it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from defectsynth import AnomalySynthesizer, load_recipe
from defectsynth.files import write_image
from defectsynth.preview import contact_sheet
from defectsynth.samples import product

RECIPE = Path(__file__).with_name("own_recipe.yaml")


def main(out: Path, count: int = 6) -> list[str]:
    """Writes a contact sheet for the recipe and one for a fainter version of it; returns the kinds that were drawn."""
    recipe = load_recipe(RECIPE)
    faint = recipe.with_settings(["kinds.*.blend.opacity_range=[0.2, 0.4]", "min_difference=0.01"])
    drawn = []
    for name, chosen in (("own", recipe), ("faint", faint)):
        synthesizer = AnomalySynthesizer(chosen, seed=3)
        samples = [synthesizer(product("plate", index, (160, 160)).image, index=index) for index in range(count)]
        write_image(out / f"{name}.png", contact_sheet(samples))
        drawn += [sample.plan.kind for sample in samples]
    (out / "faint.yaml").write_text(faint.to_yaml(), encoding="utf-8")
    print(f"{len(drawn)} samples: {', '.join(sorted(set(drawn)))}")
    return drawn


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=6)
    main(**vars(parser.parse_args()))
