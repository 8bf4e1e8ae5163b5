"""From measured examples to a recipe: where, what and how for each kind of defect, as ranges that a person can read and change.

Two entries for each kind. ``<kind>`` sets the examples themselves down again, turned, scaled and brought to the product's tone;
it gives what only the real thing has. ``<kind>_drawn`` draws a shape of the same size and character and shades it by the same
contrast; it gives shapes that no example has. It weighs as much as one example where there are one or two, and nothing where
there are more: raise its weight for more variety at the price of some likeness.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from defectsynth.errors import InputError
from defectsynth.matching.examples import Example
from defectsynth.matching.ranges import (
    bounded_range,
    directed,
    mean_axis,
    prior_spread,
    rounded,
    shrunk_range,
    spread_of_angles,
    varied_scale,
)
from defectsynth.recipe import Recipe, load_recipe

__all__ = ["fit_recipe"]

Part = dict[str, Any]

PRIOR_PRESET = "industrial"
FEW = 3
"""Examples below which shapes are drawn besides them. With more, the examples alone are closer to real defects."""
_LINE = 4.0  # elongation from which a defect is drawn as a line
_OUTSIDE = 0.6  # of the strongest contrast: what a pixel beside the outline may show of it
_LEAST_OUTSIDE = 0.04
_MARGIN_ALONG = 0.05
_MARGIN_DEPTH = 0.1
_ALIKE = 0.03  # share of the places where the product's edge runs as it did around the example
_DRAWN_HALO = (0.005, 0.007)  # a lens and a camera blur an edge over one or two pixels on either side
_DRAWN_EDGE = (0.004, 0.008)
_GAIN = (0.8, 1.2)  # of an example's contrast
_MATCH_SPREAD = 0.15
_FOLLOWS = 0.6  # from which a defect is taken to follow the product's tone altogether
_BACKGROUND = 0.1  # share of the defects' pixels outside the product from which they are gaps in it
_SEEN = 0.5  # of the faintest example's contrast: what a sample must at least show


def fit_recipe(examples: Sequence[Example], name: str = "matched") -> Recipe:
    """A recipe that draws defects like the examples.

    Args:
        examples: at least one; each of their kinds gets its entries.
        name: the recipe's name.

    Raises:
        InputError: there is no example.
    """
    if not examples:
        raise InputError("there are no defects to match: give at least one picture with a mask (MVTec AD layout)")
    prior = prior_spread(load_recipe(PRIOR_PRESET))
    names = sorted({example.kind for example in examples})
    kinds: dict[str, Part] = {}
    for kind in names:
        own = [example for example in examples if example.kind == kind]
        kinds[kind] = _set_down_again(kind, own, prior)
        if not _shows_background(own):
            kinds[_entry(kind, names)] = _drawn(kind, own, prior)
    strongest = max(abs(example.contrast) for example in examples)
    return Recipe.from_mapping(
        {
            "name": name,
            "description": f"Defects like {len(examples)} example{'s' if len(examples) > 1 else ''} of {', '.join(names)}.",
            "reference": "defectsynth match",
            "foreground": "auto",
            "label": {"outside": rounded(max(_LEAST_OUTSIDE, _OUTSIDE * strongest))},
            "min_difference": rounded(_SEEN * min(abs(example.contrast) for example in examples)),
            "kinds": kinds,
        },
        name,
    )


# --- the examples, set down again -----------------------------------------------------------------------------------------


def _set_down_again(kind: str, examples: Sequence[Example], prior: float) -> Part:
    halo = rounded(float(np.median([example.halo for example in examples])))
    return {
        "weight": float(len(examples)),
        "halo_range": [halo, halo],
        "mask": {
            "kind": "outline",
            "kinds": [kind],
            "piece": "whole",
            "scale_range": varied_scale([example.area for example in examples], prior),
            **_pose(examples),
            **_place(examples),
        },
        "source": {"kind": "defect", "kinds": [kind], "tone": _tone(examples)},
        "blend": _joint(examples, halo),
    }


def _joint(examples: Sequence[Example], halo: float) -> Part:
    """How an example goes over into the product: what is thin by its gradients alone (its rim would show), the rest softly."""
    if _is_line(examples):
        return {"kind": "poisson", "modes": ["normal"]}
    return {"kind": "linear", "opacity_range": [1.0, 1.0], "edge_range": [rounded(0.6 * halo), rounded(0.8 * halo)]}


def _is_line(examples: Sequence[Example]) -> bool:
    return float(np.median([example.elongation for example in examples])) >= _LINE


def _pose(examples: Sequence[Example]) -> Part:
    """How an example is turned: with the product where that is long, else as far as the examples' own axes spread."""
    spread = spread_of_angles(_angles(examples))
    if _on_long_products(examples):
        return {"rotation_range": [-10.0, 10.0], "aligned": True, "alike": _ALIKE}
    if any(example.at_edge for example in examples):
        return {"rotation_range": [-10.0, 10.0], "alike": _ALIKE}
    if any(example.at_border for example in examples):
        return {"rotation_range": [-5.0, 5.0], "inside": True, "at_border": True}
    kernel = None if spread is None else spread / math.sqrt(len(examples))  # they show most of the spread themselves
    return {"rotation_range": directed(kernel), "inside": True}


def _place(examples: Sequence[Example]) -> Part:
    place: Part = {"depth_range": bounded_range([example.depth for example in examples], _MARGIN_DEPTH)}
    if _on_long_products(examples):
        along = [example.along for example in examples if example.along is not None]
        place["along_range"] = bounded_range(along, _MARGIN_ALONG)
    return place


def _angles(examples: Sequence[Example]) -> list[float]:
    """The examples' directions from one and the same: their products' axes, or where not all of those are known the picture."""
    from_axis = _on_long_products(examples)
    return [one.angle for one in examples if one.angle is not None and (one.along is not None) == from_axis]


def _on_long_products(examples: Sequence[Example]) -> bool:
    return all(example.along is not None for example in examples)


def _tone(examples: Sequence[Example]) -> Part:
    """How far a defect follows the product's tone, as a pit does, or keeps its own, as a gap does that shows the background.

    The better of the two says how bright a defect is from how bright its surroundings are, the more weight it has.
    """
    if _shows_background(examples):
        return {"gain_range": _GAIN}
    around = np.array([example.around for example in examples])
    level = around + np.array([example.contrast for example in examples])
    if len(examples) < 3:
        follows = 1.0
    else:
        missed = float((level - around * float((level / np.maximum(around, 1 / 255)).mean())).var())
        spread = float(level.var())
        follows = spread / (spread + missed) if spread + missed > 1e-9 else 1.0  # equal examples say nothing either
    match = [1.0, 1.0]  # what lies around an example is then as bright as the product, and its rim does not show
    if follows < _FOLLOWS:
        match = [rounded(max(0.0, follows - _MATCH_SPREAD)), rounded(min(1.0, follows + _MATCH_SPREAD))]
    return {"match_range": match, "gain_range": _GAIN, "relative": True}


def _shows_background(examples: Sequence[Example]) -> bool:
    return float(np.mean([example.outside for example in examples])) > _BACKGROUND


# --- shapes drawn like them -----------------------------------------------------------------------------------------------


def _entry(kind: str, kinds: Sequence[str]) -> str:
    """``<kind>_drawn``, where no kind of defect is called that already."""
    name = f"{kind}_drawn"
    while name in kinds:
        name += "_"
    return name


def _drawn(kind: str, examples: Sequence[Example], prior: float) -> Part:
    return {
        "weight": 1.0 if len(examples) < FEW else 0.0,
        "name": kind,
        "halo_range": _DRAWN_HALO,
        "mask": {
            **_shape(examples),
            "area_range": shrunk_range([example.area for example in examples], prior),
            "components_range": [1, 1],
            "rotation_range": _directions(examples),
            **_place(examples),
        },
        "source": {"kind": "defect", "kinds": [kind], "part": "core", "tone": _tone(examples)},
        "blend": {"kind": "linear", "opacity_range": [0.85, 1.0], "edge_range": _DRAWN_EDGE},
    }


def _directions(examples: Sequence[Example]) -> tuple[float, float]:
    """The directions in which a shape may lie: around the examples' mean axis, or any."""
    angles = _angles(examples)
    spread = spread_of_angles(angles)
    if spread is None or _on_long_products(examples):
        return directed(None)
    low, high = directed(spread)
    middle = mean_axis(angles)
    return rounded(middle + low), rounded(middle + high)


def _shape(examples: Sequence[Example]) -> Part:
    """A line for what is long, a rounded patch for what is not."""
    elongations = [example.elongation for example in examples]
    middle, high = (rounded(max(1.0, float(value))) for value in np.quantile(elongations, (0.5, 1.0)))
    if _is_line(examples):
        return {
            "kind": "stroke",
            "aspect_range": [rounded(middle / 1.5), high],
            "segments_range": [1, 3],
            "taper_range": [0.2, 0.8],
        }
    return {"kind": "stain", "elongation_range": [1.0, middle], "lobes_range": [1, 2], "warp_range": [0.05, 0.2]}
