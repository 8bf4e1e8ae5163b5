"""The presets of one physical defect each, the mix of them that is ``industrial``, and the background that a chip shows."""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import DTYPES, picture
from hypothesis import given
from hypothesis import strategies as st

from defectsynth import AnomalySample, AnomalySynthesizer, Plan, load_recipe
from defectsynth.banks import Banks
from defectsynth.blends import Displacement, Relief
from defectsynth.errors import SynthesisError
from defectsynth.images import bounding_box, to_float
from defectsynth.masks import Ellipse
from defectsynth.masks.control import count_pieces
from defectsynth.recipe import Recipe
from defectsynth.rng import Draws
from defectsynth.samples import product
from defectsynth.site import Site
from defectsynth.sources import SOURCES, SourceSpec
from defectsynth.sources.background import BackgroundParams

PRESETS = (
    "scratch",
    "crack",
    "dent",
    "pit",
    "stain",
    "burn",
    "smudge",
    "chip",
    "contamination",
    "bent",
    "misprint",
)
MIXED = [name for name in PRESETS if name != "misprint"]  # of industrial: most products bear no print
SHAPE = (128, 128)


@cache
def part(name: str, index: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A built-in product and where it is."""
    made = product(name, index, SHAPE)
    return made.image, made.foreground


def only(recipe: str, entry: str) -> Recipe:
    """A preset of which one entry is left."""
    loaded = load_recipe(recipe)
    return loaded.with_settings([f"kinds.{name}.weight=0" for name in loaded.kinds if name != entry])


# --- the presets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*PRESETS, "industrial"])
def test_a_preset_needs_nothing_and_draws_what_it_is_called(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.description.endswith(".")
    assert recipe.needs == frozenset()
    assert recipe.label.outside == 0
    assert 0.04 <= recipe.min_difference <= 0.06
    names = {kind.name or entry for entry, kind in recipe.kinds.items()}
    assert names == (set(MIXED) if name == "industrial" else {name})
    assert all(kind.mask.area_range and kind.mask.area_range[1] <= 0.06 for kind in recipe.kinds.values())


@pytest.mark.parametrize("name", [*PRESETS, "industrial"])
@pytest.mark.parametrize("grey16", [False, True], ids=["rgb8", "grey16"])
def test_a_preset_keeps_the_laws(name: str, grey16: bool) -> None:
    synthesizer = AnomalySynthesizer(name, seed=4)
    for index, made_from in enumerate(("board", "disc", "plate")):
        image, _ = part(made_from)
        if grey16:
            image = image[:, :, 1].astype(np.uint16) * np.uint16(257)
        check_laws(synthesizer, image, synthesizer(image, index=index))


def check_laws(synthesizer: AnomalySynthesizer, image: np.ndarray, sample: AnomalySample) -> None:
    outside = sample.mask == 0
    assert sample.image.shape == image.shape and sample.image.dtype == image.dtype
    assert not outside.all()
    assert (sample.image[outside] == image[outside]).all()
    assert ((sample.defect_map > 0) == ~outside).all()
    rule = synthesizer.recipe.kinds[sample.plan.anomalies[0].entry or sample.plan.kind]
    low, high = rule.mask.components_range or (1, 200)
    assert low <= count_pieces(sample.mask) <= high
    change = np.abs(to_float(sample.image[~outside]) - to_float(image[~outside])).reshape(np.count_nonzero(~outside), -1)
    assert change.max(axis=1).mean() >= synthesizer.recipe.min_difference
    again = synthesizer.paint(image, Plan.from_json(sample.plan.to_json()))
    assert again.image.tobytes() == sample.image.tobytes()
    assert again.mask.tobytes() == sample.mask.tobytes()


def test_defects_lie_inside_the_roi() -> None:
    image, roi = part("gear")
    for number, name in enumerate(PRESETS):
        sample = AnomalySynthesizer(name, seed=5)(image, index=number, roi=roi)
        assert not sample.mask[roi == 0].any()


def test_industrial_draws_all_of_its_kinds() -> None:
    synthesizer, drawn = AnomalySynthesizer("industrial", seed=1), set()
    for index in range(200):
        image, roi = part(("board", "gear")[index % 2])
        drawn.add(synthesizer(image, index=index, roi=roi).plan.kind)
        if drawn == set(MIXED):
            return
    raise AssertionError(f"never drawn: {set(MIXED) - drawn}")


def test_sixteen_bits_are_not_eight_bits_spread() -> None:
    image = picture(SHAPE, np.uint16)
    for name in ("scratch", "dent", "burn", "smudge"):
        sample = AnomalySynthesizer(name, seed=6)(image, index=0, roi=np.full(SHAPE, 255, np.uint8))
        assert np.unique(sample.image[sample.mask != 0] % 257).size > 20


@pytest.mark.parametrize(("name", "entry"), [("pit", "blowhole"), ("crack", "dark")])
def test_a_hole_takes_a_share_of_the_light_whatever_the_exposure(name: str, entry: str) -> None:
    even = [f"kinds.{entry}.source.{what}_range=[0,0]" for what in ("grain", "gradient")]
    synthesizer = AnomalySynthesizer(only(name, entry).with_settings(["min_difference=0", *even]), seed=2)
    for index in range(5):
        shares = []
        for level in (60, 120, 240):
            sample = synthesizer(np.full((*SHAPE, 3), level, np.uint8), index=index, roi=np.full(SHAPE, 255, np.uint8))
            shares.append(sample.image.min() / level)
        assert max(shares) - min(shares) < 0.02 and 0.15 < min(shares) < 0.9


def test_light_is_shadowed_on_the_other_side() -> None:
    """The mask's pixels towards the light belong to the particle, and those away from it are dark."""
    image = np.full((*SHAPE, 3), 150, np.uint8)
    recipe = only("contamination", "particle").with_settings(
        [
            "kinds.particle.blend.light_range=[0, 0]",
            "kinds.particle.mask.area_range=[0.02, 0.03]",
            "kinds.particle.source={kind: solid, colour: [0.6, 0.6, 0.6]}",
        ]
    )
    synthesizer = AnomalySynthesizer(recipe, seed=2)
    for index in range(6):
        sample = synthesizer(image, index=index, roi=np.full(SHAPE, 255, np.uint8))
        columns = np.flatnonzero((sample.mask != 0).any(axis=0))
        rows = [int(row) for row in np.flatnonzero((sample.mask != 0).any(axis=1))]
        ends = [np.flatnonzero(sample.mask[row])[[0, -1]] for row in rows[len(rows) // 3 : -len(rows) // 3]]
        left = np.mean([sample.image[row, end[0] + 1] for row, end in zip(rows[len(rows) // 3 :], ends, strict=False)])
        right = np.mean([sample.image[row, end[1] - 1] for row, end in zip(rows[len(rows) // 3 :], ends, strict=False)])
        assert left < 140 < right, (index, columns)


def test_a_surface_that_shows_nothing_moving_is_creased() -> None:
    image = np.full((*SHAPE, 3), 150, np.uint8)
    synthesizer = AnomalySynthesizer("bent", seed=3)
    anomaly = synthesizer(image, roi=np.full(SHAPE, 255, np.uint8)).plan.anomalies[0]
    assert anomaly.entry == "creased"
    kinds = load_recipe("bent").kinds.values()
    assert {type(kind.blend) for kind in kinds} == {Displacement, Relief}


# --- a chip shows the background ----------------------------------------------------------------------------------------


def test_a_chip_touches_the_edge_and_shows_the_background() -> None:
    synthesizer = AnomalySynthesizer(only("chip", "missing"), seed=7)
    for index, made_from in enumerate(("disc", "pill", "gear", "disc", "pill", "gear")):
        image, roi = part(made_from, index)
        sample = synthesizer(image, index=index, roi=roi)
        beside = cv2.dilate(sample.mask, np.ones((3, 3), np.uint8)) != 0
        assert (beside & (roi == 0)).any()
        ring = (cv2.dilate(roi, np.ones((11, 11), np.uint8)) != 0) & (cv2.dilate(roi, np.ones((5, 5), np.uint8)) == 0)
        near = ring & (cv2.dilate(sample.mask, np.ones((25, 25), np.uint8)) != 0)
        far_from_product = cv2.distanceTransform(
            np.where((roi != 0) & (sample.mask == 0), np.uint8(0), np.uint8(255)), cv2.DIST_L2, 5
        )
        broken_off = (sample.mask != 0) & (far_from_product > 4)
        if np.count_nonzero(broken_off) < 5:
            continue
        colour = np.median(image[near], axis=0)
        assert np.abs(np.median(sample.image[broken_off], axis=0) - colour).max() < 25
        assert np.abs(image[broken_off].mean(axis=0) - colour).max() > 25


def test_where_there_is_no_background_a_chip_is_a_flake() -> None:
    image, _ = part("plate")
    everywhere = np.full(SHAPE, 255, np.uint8)
    synthesizer = AnomalySynthesizer("chip", seed=8)
    entries = {synthesizer(image, index=index, roi=everywhere).plan.anomalies[0].entry for index in range(6)}
    assert entries <= {"facets", "spalled"}
    recipe = only("chip", "missing").with_settings(["max_attempts=3"])
    with pytest.raises(SynthesisError, match="3 x the defect cannot be seen"):
        AnomalySynthesizer(recipe, seed=8)(image, roi=everywhere)


def site_of(image: np.ndarray, roi: np.ndarray, mask: np.ndarray, white: float | None = None) -> Site:
    box = bounding_box(mask)
    assert box is not None
    return Site(image, roi, mask, Ellipse().draw(Draws(1, 0), Banks()), box, Banks(), white)


def background(**values: Any) -> BackgroundParams:
    spec: SourceSpec = SOURCES.parse({"kind": "background", **values})
    return spec.draw(Draws(2, 0), Banks(), Ellipse().draw(Draws(1, 0), Banks()))


@given(
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    channels=st.sampled_from([1, 2, 3, 5]),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 50),
)
def test_a_background_is_rendered_for_every_picture(size: tuple[int, int], channels: int, dtype: type, seed: int) -> None:
    image = picture((*size, channels), dtype, seed)
    cells = picture(size, np.float32, seed + 100)
    roi = np.where(cells > np.quantile(cells, 0.02 * seed), np.uint8(255), np.uint8(0))
    roi[size[0] // 2, size[1] // 2] = 255
    mask = np.zeros_like(roi)
    mask[size[0] // 3 : size[0] // 2 + 1, size[1] // 3 : size[1] // 2 + 1] = 255
    mask &= roi
    before = image.copy()
    patch = background(face_range=[0.0, 0.2]).render(site_of(image, roi, mask))
    assert patch.dtype == image.dtype
    assert patch.shape == image[site_of(image, roi, mask).window].shape
    assert (image == before).all()
    if roi.all():
        assert (patch == image[site_of(image, roi, mask).window]).all()


def half(shape: tuple[int, int], colours: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Background on the left and product on the right, each in one colour; and the ROI."""
    image = np.full((*shape, 3), colours[0], np.float32)
    image[:, shape[1] // 2 :] = colours[1]
    roi = np.zeros(shape, np.uint8)
    roi[:, shape[1] // 2 :] = 255
    return image, roi


def test_background_and_face() -> None:
    image, roi = half((100, 100), (0.8, 0.3))
    mask = np.zeros_like(roi)
    mask[40:60, 50:65] = 255
    site = site_of(image, roi, mask)
    plain = background(face_range=[0, 0]).render(site)
    assert np.allclose(plain, 0.8, atol=1e-6)
    face = background(face_range=[0.03, 0.03], shift_range=[-0.1, -0.1]).render(site)
    assert np.allclose(face[9:11, :6], 0.8, atol=1e-6)  # far from what is left of the product
    beside = face[5:15, -1]  # the outermost pixels, beside the product
    assert (beside < 0.3).mean() > 0.8
    assert beside.std() > 0.005  # in uneven light


def test_the_background_keeps_its_texture_and_takes_the_tone_beside_the_defect() -> None:
    image, roi = half((120, 120), (0.0, 0.1))
    slope = np.linspace(0.4, 0.8, 120, dtype=np.float32)[:, None]
    image[:, :60] = (slope + 0.05 * (picture((120, 60), np.float32, 3) - 0.5))[:, :, None]
    for top in (5, 85):
        mask = np.zeros_like(roi)
        mask[top : top + 20, 60:75] = 255
        patch = background(face_range=[0, 0]).render(site_of(image, roi, mask))
        assert abs(float(patch.mean()) - float(slope[top : top + 20].mean())) < 0.05
        assert patch.std() > 0.001


def test_a_background_smaller_than_the_defect_is_mirrored() -> None:
    image = picture((40, 40, 1), np.uint16)
    roi = np.full((40, 40), 255, np.uint8)
    roi[0, :3] = 0
    mask = roi.copy()
    mask[:, :8] = 0
    patch = background(face_range=[0, 0]).render(site_of(image, roi, mask))
    assert patch.shape == (40, 32, 1)
    behind = image[0, :3, 0].astype(float)
    assert behind.min() - 400 <= patch.min() and patch.max() <= behind.max() + 400
