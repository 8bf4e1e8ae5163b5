"""The published presets: what they draw has the laws of the published code, and a parameter that is a tenth off is noticed.

Laws are tested on parameters as they are drawn, mostly without painting. Every seed is fixed, so no test can fail by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pytest

from defectsynth import AnomalySynthesizer, Plan, Recipe, load_recipe, rng, samples
from defectsynth.banks import Banks, NormalBank, TextureBank
from defectsynth.masks import MaskParams, MaskSpec
from defectsynth.rng import Draws
from defectsynth.sources import SourceParams

SEED = 7
DRAWN = 2000
STEPS = 20_000
CLOSE = 0.04  # largest distance of two distributions; 2,000 draws of the right one exceed it once in 300 times

PIXELS = {"a": np.full((4, 4, 3), 90, np.uint8), "b": np.full((4, 4, 3), 180, np.uint8)}
BANKS = Banks(textures=TextureBank(PIXELS), normals=NormalBank(PIXELS))

Values = npt.NDArray[np.float64]
Law = Callable[[Recipe], None]

# --- what is drawn --------------------------------------------------------------------------------------------------------


def draws(index: int) -> Draws:
    return Draws(SEED, index)


def masks(recipe: Recipe, kind: str) -> tuple[MaskParams, ...]:
    return masks_of(recipe.kinds[kind].mask)


@lru_cache
def masks_of(mask: MaskSpec) -> tuple[MaskParams, ...]:
    return tuple(mask.draw(draws(index), BANKS) for index in range(DRAWN))


def sources(recipe: Recipe, kind: str, count: int = DRAWN) -> list[SourceParams]:
    mask = recipe.kinds[kind].mask.draw(draws(0), BANKS)
    return [recipe.kinds[kind].source.draw(draws(index), BANKS, mask) for index in range(count)]


def values(drawn: Sequence[object], name: str) -> Values:
    return np.array([getattr(one, name) for one in drawn], dtype=np.float64)


# --- what it is compared with ---------------------------------------------------------------------------------------------


def distance(found: Values, reference: Values) -> float:
    """Kolmogorov and Smirnov's, of two samples, with or without ties."""
    places = np.concatenate([found, reference])
    shares = [np.searchsorted(np.sort(one), places, side="right") / one.size for one in (found, reference)]
    return float(np.abs(shares[0] - shares[1]).max())


def clipped_normal(mean: float, deviation: float, low: float, high: float) -> Values:
    """``(STEPS,)``: a normal distribution at evenly spaced shares."""
    law = NormalDist(mean, deviation)
    return np.clip([law.inv_cdf((step + 0.5) / STEPS) for step in range(STEPS)], low, high)


def assert_uniform(found: Values, low: float, high: float) -> None:
    """Uniform between both ends, which are nearly reached and not passed."""
    span = high - low
    assert low - 1e-6 <= found.min() <= low + 0.005 * span
    assert high - 0.005 * span <= found.max() <= high + 1e-6
    assert distance(found, np.linspace(low, high, STEPS)) < CLOSE


def perlin(kind: str, rotation: tuple[float, float] = (-90.0, 90.0), cover: bool = False) -> Law:
    """DRAEM's mask: cells of both axes 2 ** randint(0, 6), a threshold of 0.5, the rotation uniform."""

    def law(recipe: Recipe) -> None:
        drawn = masks(recipe, kind)
        exponents = np.log2(np.array([mask.cells for mask in drawn]))
        for axis in (0, 1):
            shares = [float((exponents[:, axis] == exponent).mean()) for exponent in range(6)]
            assert np.allclose(shares, 1 / 6, atol=0.03)
            assert sum(shares) == pytest.approx(1.0)
        assert abs(np.corrcoef(exponents.T)[0, 1]) < 0.06  # each axis apart
        assert_uniform(values(drawn, "angle"), *rotation)
        assert {(mask.threshold, mask.octaves, mask.cover, mask.area, mask.components) for mask in drawn} == {
            (0.5, 1, cover, None, None)
        }

    return law


def draems(kind: str) -> Law:
    """The mask of ``draem-code``."""

    def law(recipe: Recipe) -> None:
        assert recipe.kinds[kind].mask == load_recipe("draem-code").kinds["perlin"].mask

    return law


def opacity(low: float, high: float) -> Law:
    """The weight of the source, uniform, under a hard edge."""

    def law(recipe: Recipe) -> None:
        for kind in recipe.kinds.values():
            drawn = [kind.blend.draw(draws(index)) for index in range(DRAWN)]
            assert_uniform(values(drawn, "opacity"), low, high)
            assert all(getattr(blend, "edge", 0.0) == 0.0 for blend in drawn)

    return law


def shares(**expected: float) -> Law:
    """How often each kind is drawn."""

    def law(recipe: Recipe) -> None:
        weights = {name: kind.weight for name, kind in recipe.kinds.items()}
        assert {name: weight / sum(weights.values()) for name, weight in weights.items()} == pytest.approx(expected)
        synthesizer = AnomalySynthesizer(recipe, textures=BANKS.textures, normals=BANKS.normals, seed=SEED)
        kinds = [synthesizer._draw(index, 0, (8, 8), "none").kind for index in range(400)]
        assert {name: kinds.count(name) / 400 for name in weights} == pytest.approx(expected, abs=0.06)

    return law


# --- CutPaste -------------------------------------------------------------------------------------------------------------


def cutpaste_patch(recipe: Recipe) -> None:
    drawn = masks(recipe, "patch")
    assert_uniform(values(drawn, "size"), 0.02, 0.15)
    aspects = values(drawn, "aspect")
    upright = aspects < 1
    assert 0.47 < upright.mean() < 0.53
    assert_uniform(aspects[upright], 0.3, 1.0)
    assert_uniform(aspects[~upright], 1.0, 3.3)
    assert not values(drawn, "angle").any()


def cutpaste_scar(recipe: Recipe) -> None:
    drawn = masks(recipe, "scar")
    assert_uniform(256 * values(drawn, "width"), 2, 16)
    assert_uniform(256 * values(drawn, "length"), 10, 25)
    assert_uniform(values(drawn, "angle"), -45, 45)
    source = recipe.kinds["scar"].source
    assert all(source.draw(draws(index), BANKS, mask).angle == mask.angle for index, mask in enumerate(drawn[:50]))


def cutpaste_both(recipe: Recipe) -> None:
    for kind, preset in (("patch", "cutpaste"), ("scar", "cutpaste-scar")):
        assert recipe.kinds[kind] == load_recipe(preset).kinds[kind]


def cutpaste_jitter(recipe: Recipe) -> None:
    for kind in recipe.kinds:
        drawn = [dict(source.jitter) for source in sources(recipe, kind, 1000)]
        for name in ("brightness", "contrast", "saturation"):
            assert_uniform(np.array([jitter[name] for jitter in drawn]), 0.9, 1.1)
        assert_uniform(np.array([jitter["hue"] for jitter in drawn]), -36, 36)
        orders = {tuple(jitter) for jitter in drawn}
        assert len(orders) == 24  # all four, in any order


def opaque(recipe: Recipe) -> None:
    for kind in recipe.kinds.values():
        blend = kind.blend.draw(draws(0))
        assert (blend.kind, blend.opacity, blend.edge) == ("linear", 1.0, 0.0)


# --- NSA, FPI, PII --------------------------------------------------------------------------------------------------------


def nsa_sides(resize: tuple[float, float], count: int = 100_000) -> Values:
    """``(count, 2)``: heights and widths of pasted patches as fractions of the side, by ``self_sup_tasks.py`` ``_patch_ex``."""
    unit = (rng.words(5, (count, 7)) + 0.5) / 2.0**32
    gamma = -0.05 * np.log(unit[:, 0:2] * unit[:, 2:4])  # np.random.gamma(2, 0.05)
    half = np.clip(0.03 + gamma, 0.03, 0.4)
    centre = 0.03 + 0.94 * unit[:, 4:6]
    cut = np.minimum(centre + half, 1.0) - np.maximum(centre - half, 0.0)
    scale = np.interp(unit[:, 6], np.linspace(0, 1, STEPS), clipped_normal(1.0, 0.5, *resize))
    height = np.clip(scale * cut[:, 0], 0.03, 0.4)
    width = np.clip(height / cut[:, 0] * cut[:, 1], 0.03, 0.4)
    height = np.clip(width / cut[:, 1] * cut[:, 0], 0.03, 0.4)
    return np.stack([height, width], axis=1)


def nsa(resize: tuple[float, float], counts: Sequence[float], mode: str, min_object: float) -> Law:
    def law(recipe: Recipe) -> None:
        drawn = masks(recipe, "patch")
        reference, found = nsa_sides(resize), np.array([(mask.height, mask.width) for mask in drawn])
        assert distance(found.ravel(), reference.ravel()) < 0.025
        assert distance(found.prod(axis=1), reference.prod(axis=1)) < 0.03
        assert found.mean() == pytest.approx(reference.mean(), rel=0.02)
        assert found.max() == 0.4
        assert all(mask.whole and mask.min_overlap == 0.25 for mask in drawn)
        magnified = np.array([recipe.kinds["patch"].source._draw_scale(draws(index)) for index in range(3 * DRAWN)])
        normal = clipped_normal(1.0, 0.5, *resize)
        assert (magnified.min(), magnified.max()) == resize
        at_ends = [(one == end).mean() for one in (magnified, normal) for end in resize]
        assert at_ends[:2] == pytest.approx(at_ends[2:], abs=0.015)
        assert sum(at_ends[:2]) == pytest.approx(sum(at_ends[2:]), abs=0.02)
        assert distance(magnified, normal) < CLOSE
        assert {(source.min_object, source.jitter) for source in sources(recipe, "patch", 20)} == {(min_object, ())}
        blend = recipe.kinds["patch"].blend.draw(draws(0))
        assert (blend.kind, blend.mode, blend.opacity) == ("poisson", mode, 1.0)
        synthesizer = AnomalySynthesizer(recipe, normals=BANKS.normals, seed=SEED)
        numbers = [synthesizer._draw_count(draws(index)) for index in range(DRAWN)]
        for number, share in enumerate(counts, start=1):
            assert numbers.count(number) / DRAWN == pytest.approx(share, abs=0.025)

    return law


def foreign_square(recipe: Recipe) -> None:
    """FPI and PII: half of the side uniform in 5 to 20 %, set down where it is cut out, the centre in the middle 80 %."""
    drawn = masks(recipe, "patch")
    assert (values(drawn, "height") == values(drawn, "width")).all()
    assert_uniform(values(drawn, "height") / 2, 0.05, 0.2)
    assert {(mask.whole, mask.centre_range, mask.min_overlap) for mask in drawn} == {(False, (0.1, 0.9), 0.0)}
    assert {(source.place, source.scale, source.angle) for source in sources(recipe, "patch", 20)} == {(None, 1.0, 0.0)}
    assert recipe.label.kind == "factor"


# --- the descendants of DRAEM ---------------------------------------------------------------------------------------------


def glass_opacity(recipe: Recipe) -> None:
    for kind in recipe.kinds.values():
        found = values([kind.blend.draw(draws(index)) for index in range(DRAWN)], "opacity")
        reference = clipped_normal(0.5, 0.1, 0.2, 0.8)
        assert (found.min(), found.max()) == (0.2, 0.8)
        assert found.mean() == pytest.approx(0.5, abs=0.008)
        assert found.std() == pytest.approx(reference.std(), rel=0.05)
        assert distance(found, reference) < CLOSE


def glass_masks(recipe: Recipe) -> None:
    single = recipe.kinds["single"].mask
    for name in ("union", "intersection"):
        assert (recipe.kinds[name].mask.kind, recipe.kinds[name].mask.masks) == (name, (single, single))


def enhanced(kind: str, count: int, of: int) -> Law:
    """``count`` operations, every one of ``of`` as often."""

    def law(recipe: Recipe) -> None:
        drawn = [[name for name, _ in source.operations] for source in sources(recipe, kind, 500)]
        assert {len(set(names)) for names in drawn} == {count}
        if count:
            numbers = {name: sum(name in names for names in drawn) for names in drawn for name in names}
            assert len(numbers) == of
            assert np.allclose(np.array(list(numbers.values())) / 500, count / of, atol=0.07)

    return law


def one_colour(recipe: Recipe) -> None:
    colours = np.array([source.colour for source in sources(recipe, "smudge")])
    for channel in range(3):
        assert_uniform(colours[:, channel], 0.0, 1.0)
    assert np.abs(np.corrcoef(colours.T) - np.eye(3)).max() < 0.06


def disorder(recipe: Recipe) -> None:
    assert {source.grid for source in sources(recipe, "structure", 20)} == {(8, 8)}


LAWS: dict[str, list[Law]] = {
    "draem-code": [perlin("perlin"), opacity(0.2, 1.0), enhanced("perlin", 3, 10)],
    "cutpaste": [cutpaste_patch, cutpaste_jitter, opaque],
    "cutpaste-scar": [cutpaste_scar, cutpaste_jitter, opaque],
    "cutpaste-3way": [cutpaste_both, shares(patch=0.5, scar=0.5)],
    "nsa-object": [nsa((0.7, 1.3), (0.25, 0.5, 0.25), "normal", 0.7)],
    "nsa-texture": [nsa((0.5, 2.0), (0.125, 0.375, 0.375, 0.125), "mixed", 0.0)],
    "fpi": [foreign_square, opacity(0.05, 0.95)],
    "pii": [foreign_square, opacity(0.05, 0.95)],
    "memseg": [
        draems("texture"),
        draems("structure"),
        opacity(0.15, 1.0),
        shares(texture=0.5, structure=0.5),
        enhanced("texture", 0, 0),
        enhanced("structure", 3, 10),
        disorder,
    ],
    "destseg": [draems("perlin"), opacity(0.2, 1.0), enhanced("perlin", 0, 0)],
    "glass": [
        draems("single"),
        glass_opacity,
        glass_masks,
        shares(union=1 / 3, intersection=1 / 3, single=1 / 3),
        enhanced("single", 3, 9),
    ],
    "realnet-dtd": [draems("perlin"), opacity(0.2, 1.0), enhanced("perlin", 3, 10)],
    "dsr-smudge": [draems("smudge"), opacity(0.2, 1.0), one_colour],
    "luxonis": [perlin("perlin", (0.0, 360.0), cover=True), opacity(0.2, 1.0), enhanced("perlin", 0, 0)],
}

NORMAL_FRACTIONS = {
    "draem-code": 1 / 2,
    "cutpaste": 1 / 2,
    "cutpaste-scar": 1 / 2,
    "cutpaste-3way": 1 / 3,
    "nsa-object": 0,
    "nsa-texture": 0,
    "fpi": 0,
    "pii": 0,
    "memseg": 1 / 2,
    "destseg": 0,
    "glass": 0,
    "realnet-dtd": 1 / 2,
    "dsr-smudge": 1 / 2,
    "luxonis": 1 / 2,
}


@pytest.mark.parametrize("name", LAWS)
def test_what_is_drawn_has_the_published_law(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.normal_fraction == pytest.approx(NORMAL_FRACTIONS[name], abs=1e-5)
    for law in LAWS[name]:
        law(recipe)


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("draem-code", "kinds.*.mask.threshold_range=[0.55, 0.55]"),
        ("draem-code", "kinds.*.mask.rotation_range=[-99, 90]"),
        ("draem-code", "kinds.*.mask.cells_range=[1, 64]"),
        ("destseg", "kinds.*.blend.opacity_range=[0.22, 1.0]"),
        ("memseg", "kinds.structure.weight=1.1"),
        ("dsr-smudge", "kinds.*.blend.opacity_range=[0.2, 0.9]"),
        ("luxonis", "kinds.*.mask.rotation_range=[0, 324]"),
        ("cutpaste", "kinds.patch.mask.size_range=[0.022, 0.15]"),
        ("cutpaste", "kinds.patch.mask.size_range=[0.02, 0.165]"),
        ("cutpaste", "kinds.patch.mask.aspect_range=[0.3, 3.63]"),
        ("cutpaste-scar", "kinds.scar.mask.width_range=[0.0078125, 0.06875]"),
        ("cutpaste-scar", "kinds.scar.mask.length_range=[0.04296875, 0.09765625]"),
        ("cutpaste-scar", "kinds.scar.mask.rotation_range=[-45, 49.5]"),
        ("nsa-object", "kinds.patch.mask.half_width_gamma=[2, 0.055, 0.03]"),
        ("nsa-object", "kinds.patch.mask.half_width_gamma=[2, 0.05, 0.033]"),
        ("nsa-object", "kinds.patch.mask.half_width_range=[0.03, 0.44]"),
        ("nsa-object", "kinds.patch.mask.scale_normal=[1.1, 0.5]"),
        ("nsa-object", "kinds.patch.mask.scale_range=[0.77, 1.3]"),
        ("nsa-object", "kinds.patch.source.scale_normal=[1.0, 0.55]"),
        ("nsa-texture", "anomalies_per_image_weights=[1, 3, 3, 1.5]"),
        ("fpi", "kinds.patch.mask.half_width_range=[0.055, 0.2]"),
        ("fpi", "kinds.patch.blend.opacity_range=[0.055, 0.95]"),
        ("glass", "kinds.*.blend.opacity_normal=[0.55, 0.1]"),
        ("glass", "kinds.*.blend.opacity_normal=[0.5, 0.11]"),
        ("glass", "kinds.*.blend.opacity_range=[0.22, 0.8]"),
    ],
)
def test_a_tenth_off_is_noticed(name: str, setting: str) -> None:
    recipe = load_recipe(name).with_settings([setting])
    with pytest.raises(AssertionError):
        for law in LAWS[name]:
            law(recipe)


# --- painted masks --------------------------------------------------------------------------------------------------------


def test_a_perlin_mask_covers_what_draems_does() -> None:
    """The code's own masks of 256 x 256 cover 0.12, 4.6 and 8.7 % (at 5, 50 and 95 %), and 4.5 % of them nothing.

    Its rotation interpolates, which rounds fine noise off; this one does not, so its masks are a little larger.
    """
    roi, mask = np.full((128, 128), 255, np.uint8), load_recipe("draem-code").kinds["perlin"].mask
    areas = [float((mask.draw(draws(index), BANKS).paint(roi, BANKS) != 0).mean()) for index in range(300)]
    low, middle, high = np.quantile(areas, (0.05, 0.5, 0.95))
    assert low < 0.012
    assert 0.044 < middle < 0.053
    assert 0.08 < high < 0.11
    assert 0.015 < np.mean(np.array(areas) == 0) < 0.09


def test_a_cutpaste_patch_has_its_area_and_aspect_on_any_picture() -> None:
    mask = load_recipe("cutpaste").kinds["patch"].mask
    roi = np.full((150, 220), 255, np.uint8)
    for index in range(40):
        drawn = mask.draw(draws(index), BANKS)
        rows, columns = np.nonzero(drawn.paint(roi, BANKS))
        height, width = int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1
        assert rows.size == height * width
        assert rows.size / roi.size == pytest.approx(drawn.size, rel=0.06)
        assert width / height == pytest.approx(drawn.aspect, rel=0.08)


def test_nsa_patches_are_as_large_as_those_of_its_code() -> None:
    """The code's patches at 5, 50 and 95 %: 0.92, 3.9 and 11.5 % of the picture (bottle); 0.62, 3.8 and 12.1 % (textures)."""
    for name, expected in (("nsa-object", (0.0092, 0.039, 0.115)), ("nsa-texture", (0.0062, 0.038, 0.121))):
        areas = [mask.height * mask.width for mask in masks(load_recipe(name), "patch")]
        assert np.quantile(areas, (0.05, 0.5, 0.95)) == pytest.approx(expected, rel=0.08)


def test_draems_solarize_has_a_coin_and_others_do_not() -> None:
    for name, share in (("draem-code", 0.5), ("realnet-dtd", 0.5), ("draem-paper", 0.0), ("anomalib", 0.0)):
        drawn = [operation for source in sources(load_recipe(name), "perlin", 500) for operation in source.operations]
        thresholds = np.array([numbers[0] for operation, numbers in drawn if operation == "solarize"])
        assert (thresholds > 255).mean() == pytest.approx(share, abs=0.1)
        assert ((thresholds > 255) | ((thresholds >= 32) & (thresholds <= 128))).all()


# --- every preset ---------------------------------------------------------------------------------------------------------

NEEDS: dict[str, set[str]] = {
    "industrial": set(),
    "peng2024": {"defects"},
    "draem-code": {"textures"},
    "draem-paper": {"textures"},
    "anomalib": {"textures"},
    "cutpaste": set(),
    "cutpaste-scar": set(),
    "cutpaste-3way": set(),
    "nsa-object": {"normals"},
    "nsa-texture": {"normals"},
    "fpi": {"normals"},
    "pii": {"normals"},
    "memseg": {"textures"},
    "destseg": {"textures"},
    "glass": {"textures"},
    "realnet-dtd": {"textures"},
    "dsr-smudge": set(),
    "luxonis": {"textures"},
}


@pytest.mark.parametrize("name", LAWS)
def test_a_published_preset_names_its_code_and_its_needs(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert "/" in recipe.reference  # a repository
    assert ".py" in recipe.reference  # a file of it
    assert recipe.description.endswith(".")
    assert recipe.needs == NEEDS[name]
    assert recipe.min_difference == pytest.approx(1 / 255, abs=1e-4)


def photograph(number: int, grey16: bool) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """A plate, 72 x 72: uint8 RGB, or uint16 grey."""
    rgb = samples.product("plate", number, (72, 72)).image
    return rgb[:, :, 1].astype(np.uint16) * np.uint16(257) if grey16 else rgb


@pytest.mark.parametrize("grey16", [False, True], ids=["rgb8", "grey16"])
@pytest.mark.parametrize("name", NEEDS)
def test_a_preset_keeps_the_laws(name: str, grey16: bool, texture_folder: Path, defect_folder: Path) -> None:
    banks = {
        "textures": texture_folder,
        "defects": defect_folder,
        "normals": {str(number): photograph(number, grey16) for number in range(1, 4)},
    }
    recipe = load_recipe(name).with_settings(["normal_fraction=0"])
    synthesizer = AnomalySynthesizer(recipe, seed=SEED, **{need: banks[need] for need in recipe.needs})
    image = photograph(0, grey16)
    for index in range(2):
        sample = synthesizer(image, index=index)
        outside = sample.mask == 0
        assert (sample.image.shape, sample.image.dtype) == (image.shape, image.dtype)
        assert not outside.all()
        assert (sample.image[outside] == image[outside]).all()
        assert (sample.image != image).any()
        assert ((sample.defect_map > 0) == (sample.mask > 0)).all()
        assert 0 <= sample.defect_map.min() <= sample.defect_map.max() <= 1
        again = synthesizer.paint(image, Plan.from_json(sample.plan.to_json()))
        assert again.image.tobytes() == sample.image.tobytes()
        assert again.defect_map.tobytes() == sample.defect_map.tobytes()
