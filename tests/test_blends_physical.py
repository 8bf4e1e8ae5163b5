"""Blends that light, move, stain, blur or shadow the product: what holds for all of them, and what each of them means."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import DTYPES, fill_of, picture
from hypothesis import given
from hypothesis import strategies as st

from defectsynth.banks import Banks
from defectsynth.blends import BLENDS, Blur, Burn, Displacement, Multiply, Relief, Screen, Shadowed
from defectsynth.blends import form as form_module
from defectsynth.blends import grain as grain_module
from defectsynth.blends.blur import BlurParams
from defectsynth.blends.displacement import DisplacementParams
from defectsynth.blends.form import form_of, soft_outline
from defectsynth.blends.grain import grain_of
from defectsynth.blends.relief import ReliefParams
from defectsynth.blends.shadowed import ShadowedParams
from defectsynth.blends.stains import BurnParams, MultiplyParams, ScreenParams
from defectsynth.images import bounding_box, from_float, to_float
from defectsynth.masks.perlin import PerlinParams
from defectsynth.noise import perlin
from defectsynth.rng import Draws
from defectsynth.site import Site

PROFILES = ("groove", "dent", "pit", "crack", "bump", "ridge")
MOVES = ("shift", "bulge", "pinch", "swirl", "wrinkle")
SPECS = (
    *(Relief(profile=profile, roughness_range=(0, 1)) for profile in PROFILES),
    *(Displacement(profile=profile, amount_range=(0.1, 1)) for profile in MOVES),
    *(kind(ring_range=(0, 1)) for kind in (Multiply, Screen, Burn)),
    Blur(sigma_range=(0, 0.3), length_range=(0.01, 0.3)),
    Shadowed(offset_range=(0, 1), opacity_range=(0.5, 1)),
)
NOTHING = (
    ReliefParams(light=30, strength=0, depth=0),
    *(DisplacementParams(profile=profile, amount=0) for profile in MOVES),
    MultiplyParams(opacity=0),
    ScreenParams(opacity=0, ring=0.5),
    BurnParams(opacity=0, roughness=0.5),
    BlurParams(sigma=0, edge=0.1),
    ShadowedParams(light=20, offset=0.2, shadow=0, shade=0.5, opacity=0),
)


def site_of(image: np.ndarray, mask: np.ndarray, white: float | None = None) -> Site:
    box = bounding_box(mask)
    assert box is not None
    params = PerlinParams(noise=0, cells=(1.0, 1.0), angle=0.0, threshold=0.0)
    return Site(image, np.full_like(mask, 255), mask, params, box, Banks(), white)


def noise_mask(shape: tuple[int, int], seed: int, level: float) -> np.ndarray:
    field = perlin(seed, shape, (3.0, 3.0))
    return np.where(field >= min(level, float(field.max())), np.uint8(255), np.uint8(0))


def disc(side: int, radius: float) -> np.ndarray:
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return np.where(x * x + y * y <= radius * radius, np.uint8(255), np.uint8(0))


def bar(shape: tuple[int, int], rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    mask[rows, columns] = 255
    return mask


def blended(params, image: np.ndarray, mask: np.ndarray, patch: np.ndarray | None = None, white: float | None = None):
    """The whole picture and the whole defect map; nothing that was given may have been written to."""
    image.setflags(write=False)
    mask.setflags(write=False)
    site = site_of(image, mask, white)
    result, degree = params.blend(site, fill_of(site, site.product if patch is None else patch[site.window]))
    painted, defect_map = image.copy(), np.zeros(mask.shape, np.float32)
    painted[mask != 0], defect_map[mask != 0] = result, degree
    assert result.dtype == image.dtype and result.shape == site.pixels.shape
    assert degree.dtype == np.float32 and degree.shape == site.positions.shape
    return painted, defect_map


def grey(side: int, value: float = 0.5) -> np.ndarray:
    return np.full((side, side, 1), value, np.float32)


def on_the_sides(change: np.ndarray) -> tuple[float, float]:
    """Mean of the upper and of the lower half."""
    half = change.shape[0] // 2
    return float(change[:half].mean()), float(change[-half:].mean())


# --- what holds for all of them -----------------------------------------------------------------------------------------


@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(1, 5),
    st.sampled_from([*((dtype, None) for dtype in DTYPES), (np.uint16, 4095)]),
    st.sampled_from(SPECS),
    st.integers(0, 500),
    st.sampled_from([-2.0, 0.0, 0.3, 2.0]),
    st.booleans(),
)
def test_only_the_mask_changes_and_the_degree_says_where(height, width, channels, kind, spec, seed, level, other_source):
    dtype, white = kind
    values = picture((height, width, channels), np.float32, seed)
    image, patch = (
        from_float(values, dtype, white),
        from_float(picture((height, width, channels), np.float32, seed + 1), dtype, white),
    )
    mask = noise_mask((height, width), seed, level)
    painted, degree = blended(spec.draw(Draws(3, seed)), image, mask, patch if other_source else None, white)
    assert (painted[mask == 0] == image[mask == 0]).all()
    assert ((degree > 0) == (mask != 0)).all()
    assert degree.max() <= 1.0
    assert to_float(painted, white).max() <= 1.0 and painted.min() >= 0


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(DTYPES), st.sampled_from(NOTHING), st.integers(0, 99))
def test_nothing_drawn_changes_nothing(height, width, dtype, params, seed):
    image, mask = picture((height, width, 3), dtype, seed), noise_mask((height, width), seed, 0.0)
    painted, degree = blended(params, image, mask)
    assert (painted == image).all()
    assert not degree.any()


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.kind}-{getattr(spec, 'profile', '')}")
def test_eight_and_sixteen_bits_agree(spec):
    eight, mask = picture((50, 60, 3)), noise_mask((50, 60), 4, 0.2)
    for index in range(3):
        params = spec.draw(Draws(1, index))
        coarse, degree = blended(params, eight.copy(), mask)
        fine, same_degree = blended(params, eight.astype(np.uint16) * 257, mask)
        assert np.abs(coarse.astype(float) - fine / 257.0).max() <= 1.01
        assert (degree == same_degree).all()


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.kind}-{getattr(spec, 'profile', '')}")
def test_the_plan_holds_all_that_was_drawn(spec):
    params = spec.draw(Draws(1, 2))
    assert type(params).model_validate_json(params.model_dump_json(exclude_defaults=True)) == params
    assert BLENDS.parse(spec.model_dump(mode="json")) == spec
    image, mask = picture((40, 40, 3)), noise_mask((40, 40), 4, 0.2)
    first, again = blended(params, image, mask), blended(params, image, mask)
    assert (first[0] == again[0]).all() and (first[1] == again[1]).all()


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.kind}-{getattr(spec, 'profile', '')}")
def test_every_kind_can_be_seen(spec):
    image, mask = picture((64, 64, 3), np.float32), noise_mask((64, 64), 4, 0.2)
    seen = [np.abs(blended(spec.draw(Draws(1, index)), image, mask)[0] - image)[mask != 0].mean() for index in range(8)]
    assert max(seen) > 0.01


# --- form ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [2, 3, 5, 8, 20])
def test_form_of_a_strip_is_exact_enough(width):
    form = form_of(site_of(picture((40, 90, 1)), bar((40, 90), slice(8, 8 + width), slice(5, 85))))
    across, downwards = form.across.reshape(width, 80), form.inwards[0].reshape(width, 80)
    expected = np.abs(np.arange(width) - (width - 1) / 2) / (width / 2)
    assert np.abs(across[:, 40] - expected).max() < 0.1
    assert abs(form.radius / (width / 2) - 1.0) < 0.05
    assert (downwards[: width // 2, 40] > 0.99).all() and (downwards[-(width // 2) :, 40] < -0.99).all()


def test_the_border_of_the_picture_is_no_outline():
    inner = form_of(site_of(picture((40, 40, 1)), bar((40, 40), slice(18, 23), slice(0, 40))))
    across = inner.across.reshape(5, 40)
    assert np.abs(across - across[:, 20:21]).max() < 0.01
    assert (soft_outline(site_of(picture((9, 9, 1)), np.full((9, 9), 255, np.uint8))) <= 1.0).all()


def test_a_long_thin_mask_has_the_same_form_in_bands_as_at_once(monkeypatch):
    mask = np.zeros((700, 900), np.uint8)
    for row in range(10, 690):
        mask[row, 50 + row : 50 + row + 7 + row % 3] = 255
    site = site_of(np.zeros((700, 900, 1), np.uint8), mask)
    in_bands, grain = form_of(site), grain_of(site, 5, 9.0, 2)
    monkeypatch.setattr(form_module, "_ALONE", 10**9)
    monkeypatch.setattr(grain_module, "_LARGE", 10**9)
    at_once, dense = form_of(site), grain_of(site, 5, 9.0, 2)
    assert np.abs(in_bands.across - at_once.across).max() < 0.1
    assert np.abs(in_bands.across - at_once.across).mean() < 0.01
    assert all(np.abs(one - other).max() < 0.01 for one, other in zip(grain, dense, strict=True))


# --- relief -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [2, 3, 7, 24])
@pytest.mark.parametrize(
    ("profile", "raised"), [("groove", False), ("dent", False), ("crack", False), ("ridge", True), ("bump", True)]
)
def test_the_wall_that_faces_the_light_is_brighter(profile, raised, width, dtype):
    image = from_float(np.full((40, 60, 3), 0.5, np.float32), dtype)
    mask = bar((40, 60), slice(8, 8 + width), slice(4, 56))
    from_above = ReliefParams(profile=profile, light=90, strength=0.6, depth=0.0)
    painted = to_float(blended(from_above, image, mask)[0])
    upper, lower = on_the_sides(painted[8 : 8 + width, 10:50] - 0.5)
    assert (upper > 0.01 > -0.01 > lower) if raised else (upper < -0.01 < 0.01 < lower)


@pytest.mark.parametrize("profile", PROFILES)
def test_turning_the_light_by_180_degrees_turns_the_picture(profile):
    image, mask = grey(61), disc(61, 20)
    one = ReliefParams(profile=profile, light=35, strength=0.5, depth=0.3, highlight=0.2)
    other = one.model_copy(update={"light": 35.0 + 180.0})
    first, second = blended(one, image, mask)[0], blended(other, image, mask)[0]
    assert np.abs(first - second).max() > 0.1
    assert np.abs(first[::-1, ::-1] - second).max() < 0.05


def test_depth_darkens_highlight_brightens_and_texture_stays():
    image, mask = picture((60, 60, 3), np.float32), disc(60, 20)
    inside = mask != 0
    deep = blended(ReliefParams(profile="pit", light=0, strength=0, depth=0.8), image, mask)[0]
    assert (deep <= image).all() and deep[30, 30].mean() < 0.3 * image[30, 30].mean()
    plain = ReliefParams(profile="dent", light=0, strength=0.5, depth=0.2)
    dull, shiny = (blended(one, image, mask)[0] for one in (plain, plain.model_copy(update={"highlight": 0.8})))
    assert (shiny >= dull).all() and shiny.max() > dull.max() + 0.1
    assert (dull[inside] != image[inside]).any()
    stripes = np.tile(np.array([0.25, 0.5], np.float32)[None, :, None], (60, 30, 1))
    lit = blended(plain, stripes, mask)[0][24:37, 24:36, 0]
    assert (lit[:, 1::2] > 1.5 * lit[:, ::2]).all()


def test_relief_looks_the_same_at_any_size():
    params = ReliefParams(profile="dent", light=60, strength=0.6, depth=0.3, roughness=0.0)
    small, large = (blended(params, grey(side), disc(side, 0.4 * side))[0][:, :, 0] for side in (40, 400))
    shrunk = large.reshape(40, 10, 40, 10).mean(axis=(1, 3))
    assert np.abs(small - shrunk)[disc(40, 14) != 0].max() < 0.06


def test_a_line_one_pixel_wide_can_be_seen():
    painted, _ = blended(ReliefParams(light=90, strength=0.5, depth=0.4), grey(40), bar((40, 40), slice(20, 21), slice(5, 35)))
    assert (painted[20, 6:34] < 0.35).all()


# --- displacement -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 3, 7])
def test_a_shift_moves_a_line_by_its_amount(dtype, channels):
    values = np.full((60, 200, channels), 0.3, np.float32)
    values[:, 100] = 0.9
    mask = bar((60, 200), slice(20, 41), slice(20, 180))
    params = DisplacementParams(profile="shift", amount=0.8, angle=0)  # half the mask is 10.5 pixels wide
    painted = to_float(blended(params, from_float(values, dtype), mask)[0])
    moved = [int(np.argmax(painted[row, :, channels - 1])) - 100 for row in range(60)]
    assert abs(moved[30] - 0.8 * 10.5) < 1.0
    assert moved[20] in (0, 1) and moved[40] in (0, 1) and moved[10] == 0
    assert np.all(np.diff(moved[20:31]) >= 0)


def test_bulge_magnifies_pinch_shrinks_and_swirl_turns():
    y, x = np.mgrid[:81, :81].astype(np.float32) - 40
    radius, mask = np.hypot(x, y), disc(81, 36)
    spot = np.where(radius < 10, 0.9, 0.2).astype(np.float32)[:, :, None]
    area = {
        profile: (blended(DisplacementParams(profile=profile, amount=0.4), spot, mask)[0] > 0.5).sum()
        for profile in ("bulge", "pinch", "swirl")
    }
    assert area["pinch"] < 0.8 * (spot > 0.5).sum() < (spot > 0.5).sum() * 1.25 < area["bulge"]
    assert abs(area["swirl"] - (spot > 0.5).sum()) < 12
    upper = np.where(y < 0, 0.9, 0.1).astype(np.float32)[:, :, None]
    turned = blended(DisplacementParams(profile="swirl", amount=0.5), upper, mask)[0]
    assert turned[40, 34, 0] > 0.8 and turned[40, 46, 0] < 0.2  # what was above is now left: anticlockwise


def test_a_wrinkle_waves_to_and_fro():
    image = np.tile(np.where(np.arange(80) < 40, 0.2, 0.8).astype(np.float32)[None, :, None], (80, 1, 1))
    painted, _ = blended(
        DisplacementParams(profile="wrinkle", amount=0.4, angle=0, waves=3), image, bar((80, 80), slice(5, 75), slice(20, 60))
    )
    edge = (painted[15:65, :, 0] < 0.5).sum(axis=1) - 40
    assert edge.max() >= 3 and edge.min() <= -3
    assert np.count_nonzero(np.diff(np.sign(edge[edge != 0]))) >= 4


# --- stains -------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 40), st.sampled_from(DTYPES), st.integers(1, 5), st.booleans(), st.integers(0, 200))
def test_multiply_never_brightens_and_screen_never_darkens(side, dtype, channels, other_source, seed):
    image, mask = picture((side, side, channels), dtype, seed), noise_mask((side, side), seed, 0.0)
    patch = picture((side, side, channels), dtype, seed + 1) if other_source else None
    draws = Draws(2, seed)
    assert (blended(Multiply(ring_range=(0, 1)).draw(draws), image, mask, patch)[0] <= image).all()
    assert (blended(Screen(ring_range=(0, 1)).draw(draws), image, mask, patch)[0] >= image).all()


def test_multiply_and_screen_are_the_published_formulas():
    image, patch, mask = picture((30, 30, 3), np.float32), picture((30, 30, 3), np.float32, 2), np.full((30, 30), 255, np.uint8)
    multiplied, degree = blended(MultiplyParams(opacity=1), image, mask, patch)
    assert np.abs(multiplied - image * patch).max() < 1e-6 and (degree == 1).all()
    screened, _ = blended(ScreenParams(opacity=1), image, mask, patch)
    assert np.abs(screened - (1 - (1 - image) * (1 - patch))).max() < 1e-6


def test_a_ring_is_stronger_at_the_outline_and_an_edge_is_soft():
    image, mask = grey(80), disc(80, 30)
    ring, degree = blended(MultiplyParams(opacity=0.8, ring=1.0), image, mask, grey(80, 0.1))
    assert ring[40, 40, 0] == pytest.approx(0.5, abs=0.01)
    assert ring[40, 12, 0] < 0.25 and degree[40, 12] > 0.5
    soft, _ = blended(MultiplyParams(opacity=0.8, edge=0.1), image, mask, grey(80, 0.1))
    profile = soft[40, 10:30, 0]
    assert (np.diff(profile) <= 1e-6).all() and profile[0] > 0.45 > 0.2 > profile[-1]


def test_a_scorch_is_black_in_the_middle_and_brown_around_it():
    image, mask = np.full((80, 80, 3), 0.6, np.float32), disc(80, 30)
    painted, degree = blended(BurnParams(opacity=1.0), image, mask)
    assert painted[40, 40].max() < 0.12
    red, green, blue = painted[40, 20]
    assert red > green + 0.03 > blue + 0.06
    assert (painted <= image + 1e-6).all()
    assert degree[40, 40] > 0.8 > 0.3 > degree[40, 12]
    for channels in (1, 2, 5):
        many, _ = blended(BurnParams(opacity=1.0), np.full((80, 80, channels), 0.6, np.float32), mask)
        assert (many == many[:, :, :1]).all() and many[40, 40, 0] < 0.12


# --- blur ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("params", [BlurParams(sigma=0.03), BlurParams(sigma=0.15), BlurParams(sigma=0, length=0.1, angle=30)])
def test_a_blur_keeps_the_mean_and_takes_the_contrast(params):
    image, mask = picture((100, 100, 3), np.float32), disc(100, 35)
    painted, _ = blended(params, image, mask)
    inside = mask != 0
    assert abs(painted[inside].mean() - image[inside].mean()) < 0.01
    assert painted[disc(100, 20) != 0].std() < 0.8 * image[disc(100, 20) != 0].std()


def test_a_smear_goes_in_its_direction():
    image = np.zeros((61, 61, 1), np.float32)
    image[30, 30] = 1.0
    for angle, along in ((0.0, (0, 1)), (90.0, (1, 0)), (45.0, (-1, 1))):
        painted = blended(BlurParams(sigma=0, length=0.3, angle=angle), image, disc(61, 28))[0][:, :, 0]
        for step in (-5, 5):
            on_the_line = painted[30 + step * along[0], 30 + step * along[1]]
            beside_it = painted[30 + step * along[1], 30 - step * along[0]]
            assert on_the_line > 0.01 > beside_it
        assert painted.sum() == pytest.approx(1.0, abs=0.1)


def test_a_blur_that_changes_nothing_is_refused():
    with pytest.raises(ValueError, match=r"sigma_range and length_range are both \[0, 0\]"):
        Blur(sigma_range=(0, 0))


# --- shadow -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("light", "down", "right"), [(90, 1, 0), (-90, -1, 0), (0, 0, -1), (180, 0, 1), (135, 1, 1)])
def test_the_shadow_lies_on_the_side_away_from_the_light(light, down, right):
    image, mask = grey(80), disc(80, 25)
    params = ShadowedParams(light=light, offset=0.2, shadow=0.6, shade=0.0)
    painted, degree = blended(params, image, mask, grey(80, 0.9))
    length = np.hypot(down, right)
    place = [round(40 + 21 * step / length) for step in (down, right)]
    opposite = [round(40 - 21 * step / length) for step in (down, right)]
    assert painted[tuple(place)][0] < 0.4
    assert painted[tuple(opposite)][0] > 0.85 and painted[40, 40, 0] == pytest.approx(0.9)
    assert degree[40, 40] == 1.0 and 0.0 < degree[tuple(place)] <= 0.6


def test_the_particle_is_lit_from_the_same_side():
    params = ShadowedParams(light=90, offset=0.1, shadow=0.5, shade=0.5)
    painted, _ = blended(params, grey(80), disc(80, 25), grey(80, 0.49))
    assert painted[20, 40, 0] > 0.55 > 0.45 > painted[50, 40, 0]


@pytest.mark.parametrize("offset", [0.05, 0.3, 1.0])
@pytest.mark.parametrize(
    "mask", [disc(60, 20), bar((60, 60), slice(30, 34), slice(5, 55)), bar((60, 60), slice(30, 31), slice(5, 55))]
)
def test_the_particle_keeps_half_of_the_mask(mask, offset):
    painted, _ = blended(ShadowedParams(light=90, offset=offset, shadow=1.0, shade=0.0), grey(60), mask.copy(), grey(60, 1.0))
    assert np.count_nonzero(painted[:, :, 0] > 0.5) >= 0.45 * np.count_nonzero(mask)
