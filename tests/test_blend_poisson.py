"""Gradient-domain blending: the laws of the kind, and its solver against a direct solution and against OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from conftest import fill_of, picture, real_folder
from hypothesis import given
from hypothesis import strategies as st

from defectsynth import AnomalySynthesizer
from defectsynth.banks import Banks
from defectsynth.blends import BLENDS, Poisson
from defectsynth.blends.base import BLEND_PARAMS
from defectsynth.blends.poisson import PoissonParams
from defectsynth.blends.solver import solve
from defectsynth.files import list_images, read_image, read_mask
from defectsynth.images import bounding_box, from_float, to_float, widened_box
from defectsynth.masks.perlin import PerlinParams
from defectsynth.noise import perlin
from defectsynth.rng import Draws, words
from defectsynth.samples import product
from defectsynth.site import Site

SIDE = st.integers(1, 60)
SEED = st.integers(0, 500)
CHANNELS = st.integers(1, 5)
DEPTH = st.sampled_from([(np.uint8, None), (np.uint16, None), (np.uint16, 4095), (np.float32, None)])
MODE = st.sampled_from(["normal", "mixed", "weighted"])
MARGIN = st.sampled_from([0, 1, 3])
LEVEL = 1 / 255
ERROR = 0.25 * LEVEL


def site_of(image: np.ndarray, mask: np.ndarray, white: int | None = None, margin: int = 1) -> Site:
    box = bounding_box(mask)
    assert box is not None
    box = widened_box(box, margin, mask.shape)
    params = PerlinParams(noise=0, cells=(1.0, 1.0), angle=0.0, threshold=0.0)
    return Site(image, np.full_like(mask, 255), mask, params, box, Banks(), white)


def blended(params, image, mask, patch, white=None, margin=1):
    """The whole picture and the whole defect map of a ``patch`` as large as the picture; nothing given may be written to."""
    for array in (image, mask, patch):
        array.setflags(write=False)
    site = site_of(image, mask, white, margin)
    result, degrees = image.copy(), np.zeros(mask.shape, np.float32)
    inside = site.mask != 0
    result[inside], degrees[inside] = params.blend(site, fill_of(site, patch[site.window]))
    return result, degrees


def noise_mask(shape: tuple[int, int], seed: int) -> np.ndarray:
    """Level sets of noise, single pixels, thin lines, or the whole picture: every one touches the border now and then."""
    loose = words(seed, shape, 7)
    if seed % 4 == 0:
        inside = loose < 2**32 * (0.05 + (seed % 40) / 40)
    elif seed % 4 == 1:
        y, x = np.mgrid[: shape[0], : shape[1]]
        inside = ((y if seed % 8 < 4 else x) * 3 + y * x) % 7 == seed % 7
    else:
        inside = perlin(seed, shape, (3.0, 3.0)) > (seed % 20) / 10 - 1.3
    if not inside.any():
        inside.flat[seed % inside.size] = True
    return np.where(inside, np.uint8(255), np.uint8(0))


def depth_picture(shape, depth, seed=1, low=0.0, high=1.0) -> np.ndarray:
    values = low + (high - low) * picture(shape, np.float32, seed)
    return from_float(values.astype(np.float32), depth[0], depth[1])


# --- laws -------------------------------------------------------------------------------------------------------------


@given(SIDE, SIDE, CHANNELS, DEPTH, MODE, SEED, MARGIN)
def test_nothing_outside_the_mask_changes_and_the_degree_is_the_opacity(height, width, channels, depth, mode, seed, margin):
    image, patch = (depth_picture((height, width, channels), depth, seed + number, -0.5, 2.0) for number in (1, 2))
    image, patch = (np.clip(one, 0, depth[1] or np.inf).astype(depth[0]) for one in (image, patch))
    if depth[0] == np.float32:
        image, patch = (np.clip(one, 0, 1) for one in (image, patch))
    mask = noise_mask((height, width), seed)
    result, degrees = blended(PoissonParams(mode=mode, opacity=0.7), image, mask, patch, depth[1], margin)
    assert result.shape == image.shape
    assert result.dtype == image.dtype
    assert (result[mask == 0] == image[mask == 0]).all()
    assert result.min() >= 0
    assert result.max() <= (depth[1] or {np.uint8: 255, np.uint16: 65535, np.float32: 1}[depth[0]])
    assert (degrees == np.where(mask != 0, np.float32(0.7), np.float32(0))).all()


@given(SIDE, SIDE, CHANNELS, DEPTH, SEED, MARGIN, st.sampled_from(["normal", "mixed"]))
def test_an_identical_patch_changes_nothing(height, width, channels, depth, seed, margin, mode):
    image = depth_picture((height, width, channels), depth, seed)
    mask = noise_mask((height, width), seed)
    result, _ = blended(PoissonParams(mode=mode), image, mask, image.copy(), depth[1], margin)
    assert (result == image).all()


@given(SIDE, SIDE, DEPTH, SEED, MODE)
def test_opacity_zero_is_identity(height, width, depth, seed, mode):
    image, patch = (depth_picture((height, width, 3), depth, seed + number) for number in (1, 2))
    result, degrees = blended(PoissonParams(mode=mode, opacity=0), image, noise_mask((height, width), seed), patch, depth[1])
    assert (result == image).all()
    assert not degrees.any()


@given(SIDE, SIDE, CHANNELS, DEPTH, SEED)
def test_a_flat_patch_becomes_a_membrane_between_the_values_around_it(height, width, channels, depth, seed):
    image, mask = depth_picture((height, width, channels), depth, seed), noise_mask((height, width), seed)
    flat = np.full_like(image, from_float(np.float32([0.1]), *depth)[0])
    values = to_float(blended(PoissonParams(), image, mask, flat, depth[1])[0], depth[1])
    outline = (cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))) != 0) & (mask == 0)
    if not outline.any():
        assert np.ptp(values, axis=(0, 1)).max() <= LEVEL  # the whole picture: its mean
        return
    around = to_float(image, depth[1])[outline]
    assert (values[mask != 0] >= around.min(axis=0) - LEVEL).all()
    assert (values[mask != 0] <= around.max(axis=0) + LEVEL).all()


@given(SIDE, SIDE, CHANNELS, SEED, st.floats(-0.2, 0.4))
def test_the_patchs_brightness_does_not_matter(height, width, channels, seed, shift):
    image, patch = (picture((height, width, channels), np.float32, seed + number) for number in (1, 2))
    mask = noise_mask((height, width), seed)
    first, _ = blended(PoissonParams(), image, mask, patch)
    second, _ = blended(PoissonParams(), image, mask, (patch + np.float32(shift)).astype(np.float32))
    assert np.abs(first - second).max() <= 2 * ERROR


@given(SIDE, SIDE, CHANNELS, SEED, MODE)
def test_sixteen_bits_agree_with_eight(height, width, channels, seed, mode):
    image, patch = (picture((height, width, channels), np.uint8, seed + number) for number in (1, 2))
    mask, params = noise_mask((height, width), seed), PoissonParams(mode=mode, opacity=0.6)
    eight, _ = blended(params, image, mask, patch)
    for factor, white in ((257, None), (16, 4080)):
        wide, _ = blended(params, image.astype(np.uint16) * factor, mask, patch.astype(np.uint16) * factor, white)
        assert np.abs(wide / factor - eight).max() <= 1


@given(SIDE, SIDE, SEED, st.floats(0.01, 1))
def test_opacity_is_the_share_of_the_change(height, width, seed, opacity):
    image, patch = (picture((height, width, 2), np.float32, seed + number) for number in (1, 2))
    mask = noise_mask((height, width), seed)
    for mode in ("normal", "mixed"):
        whole, _ = blended(PoissonParams(mode=mode), image, mask, patch)
        part, _ = blended(PoissonParams(mode=mode, opacity=opacity), image, mask, patch)
        if whole.min() > 0 and whole.max() < 1:
            assert np.abs(part - (image + opacity * (whole - image))).max() <= 1e-6


# --- what the modes mean ----------------------------------------------------------------------------------------------


def direct(image: np.ndarray, patch: np.ndarray, mask: np.ndarray, guide) -> np.ndarray:
    """The definition, one channel, as dense equations: ``sum_q (f_p - f_q) = sum_q v_pq`` over the neighbours q in the picture.

    Args:
        guide: ``v_pq`` of the product's difference and the patch's.
    """
    places = {place: number for number, place in enumerate(zip(*np.nonzero(mask), strict=True))}
    matrix, wanted = np.zeros((len(places), len(places))), np.zeros(len(places))
    for (y, x), row in places.items():
        for near in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if not (0 <= near[0] < mask.shape[0] and 0 <= near[1] < mask.shape[1]):
                continue
            matrix[row, row] += 1
            wanted[row] += guide(float(image[y, x]) - image[near], float(patch[y, x]) - patch[near])
            if near in places:
                matrix[row, places[near]] -= 1
            else:
                wanted[row] += image[near]
    result = image.astype(np.float64)
    if mask.all():
        solved = np.linalg.lstsq(matrix, wanted, rcond=None)[0]
        result[mask != 0] = solved - solved.mean() + image.mean(dtype=np.float64)
    else:
        result[mask != 0] = np.linalg.solve(matrix, wanted)
    return result


def stronger(own: float, source: float) -> float:
    return own if abs(own) > abs(source) else source


@given(st.integers(1, 13), st.integers(1, 13), SEED, st.floats(0.05, 0.95))
def test_the_modes_are_those_of_the_papers(height, width, seed, opacity):
    image, patch = (picture((height, width, 1), np.float32, seed + number) for number in (1, 2))
    mask = noise_mask((height, width), seed)
    guides = {
        "normal": (1.0, lambda own, source: source),
        "mixed": (1.0, stronger),
        "weighted": (opacity, lambda own, source: stronger((1 - opacity) * own, opacity * source)),
    }
    for mode, (share, guide) in guides.items():
        found, _ = blended(PoissonParams(mode=mode, opacity=share), image, mask, patch)
        wanted = direct(image[:, :, 0], patch[:, :, 0], mask, guide)
        assert np.abs(found[:, :, 0] - np.clip(wanted, 0, 1)).max() <= ERROR


def test_mixed_keeps_the_products_texture_under_a_flat_patch():
    image, flat = picture((64, 64, 3)), np.full((64, 64, 3), 90, np.uint8)
    mask = np.zeros((64, 64), np.uint8)
    mask[10:50, 20:60] = 255
    assert (blended(PoissonParams(mode="mixed"), image, mask, flat)[0] == image).all()
    assert (blended(PoissonParams(mode="normal"), image, mask, flat)[0] != image).any()


def test_weighted_at_full_opacity_is_normal():
    image, patch, mask = picture((40, 50, 3)), picture((40, 50, 3), seed=9), noise_mask((40, 50), 3)
    first, second = (blended(PoissonParams(mode=mode), image, mask, patch)[0] for mode in ("normal", "weighted"))
    assert (first == second).all()


def test_a_single_pixel_takes_the_patchs_contrast_with_its_neighbours():
    image, patch = np.full((5, 5, 1), 100, np.uint8), np.full((5, 5, 1), 40, np.uint8)
    patch[2, 2] = 10
    mask = np.zeros((5, 5), np.uint8)
    mask[2, 2] = 255
    assert blended(PoissonParams(), image, mask, patch)[0][2, 2, 0] == 70
    assert blended(PoissonParams(), image, mask, patch, margin=0)[0][2, 2, 0] == 100  # what is around it is not known


def test_the_whole_picture_keeps_its_mean():
    image, patch = picture((40, 61, 3), np.float32), picture((40, 61, 3), np.float32, 8)
    result, _ = blended(PoissonParams(), image, np.full((40, 61), 255, np.uint8), patch)
    assert np.abs(result.mean(axis=(0, 1)) - image.mean(axis=(0, 1))).max() < 1e-4
    assert np.abs((result - patch) - (result - patch).mean(axis=(0, 1))).max() < ERROR


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, None), (np.uint16, 4095), (np.uint16, None), (np.float32, None)])
def test_what_would_leave_the_scale_ends_there(dtype, white):
    image = from_float(np.full((30, 30, 1), 0.95, np.float32), dtype, white)
    patch = from_float(np.where(np.mgrid[:30, :30][0][:, :, None] % 10 < 5, 0.1, 0.9).astype(np.float32), dtype, white)
    mask = np.zeros((30, 30), np.uint8)
    mask[5:25, 5:25] = 255
    result, _ = blended(PoissonParams(), image, mask, patch, white)
    assert to_float(result, white).max() == 1.0
    assert to_float(result, white).min() < 0.6


# --- the solver -------------------------------------------------------------------------------------------------------


def equations(mask: np.ndarray, on_border: tuple[bool, ...], values: np.ndarray) -> np.ndarray:
    """The left side for ``(C, h, w)`` float64, which are zero outside the mask."""
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1)))
    count = np.full(mask.shape, 4.0)
    for along, rim in zip(on_border, (np.s_[0], np.s_[:, 0], np.s_[-1], np.s_[:, -1]), strict=True):
        count[rim] -= along
    around = padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1] + padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]
    return (count * values - around) * mask


def hard_masks(shape: tuple[int, int]) -> dict[str, np.ndarray]:
    y, x = np.mgrid[: shape[0], : shape[1]]
    hole, comb = np.ones(shape, bool), np.ones(shape, bool)
    hole[shape[0] // 2, shape[1] // 3] = False
    comb[: -shape[0] // 9, 3::6] = False
    turn = np.arctan2(y - shape[0] / 2, x - shape[1] / 2) / (2 * np.pi)
    spiral = (np.hypot(y - shape[0] / 2, x - shape[1] / 2) / 9 - turn) % 1 < 0.6
    loose = words(3, shape) / 2**32
    return {
        "whole": np.ones(shape, bool),
        "hole": hole,
        "comb": comb,
        "spiral": spiral,
        "chessboard": (y + x) % 2 == 0,
        "half noise": loose < 0.5,
        "few holes": loose < 0.998,
        "disc": np.hypot(y - shape[0] / 2, x - shape[1] / 2) < min(shape) / 2,
    }


BORDERS = [(False,) * 4, (True, True, False, False), (False, False, True, True), (True, False, True, True), (True,) * 4]


@pytest.mark.parametrize("on_border", BORDERS)
@pytest.mark.parametrize("shape", [(64, 64), (129, 257), (7, 300), (1, 90), (200, 2)])
def test_the_solver_finds_a_known_solution_on_any_mask(shape, on_border):
    for name, mask in hard_masks(shape).items():
        if not mask.any():
            continue
        grain = (words(1, (2 * shape[0], shape[1])) / 2**32).reshape(2, *shape)
        smooth = np.stack([cv2.GaussianBlur(one, (0, 0), 0.1 * max(shape)) for one in grain])
        known = (0.3 + 3.0 * (smooth - smooth.mean()) + 0.1 * grain) * mask
        if mask.all() and all(on_border):
            known -= known.mean(axis=(1, 2), keepdims=True)
        wanted = equations(mask, on_border, known).astype(np.float32)
        found = solve(mask, wanted, on_border, 0.2 * LEVEL)
        assert not found[:, ~mask].any()
        assert np.abs(found - known).max() < ERROR, name


@given(SIDE, SIDE, SEED, st.sampled_from(BORDERS))
def test_little_is_left_over(height, width, seed, on_border):
    mask = noise_mask((height, width), seed) != 0
    wanted = (picture((height, width, 2), np.float32, seed) - np.float32(0.5)).transpose(2, 0, 1) * mask
    if mask.all() and all(on_border):
        wanted = wanted - wanted.mean(axis=(1, 2), keepdims=True)
    found = solve(mask, wanted.astype(np.float32), on_border, 1e-5)
    left = equations(mask, on_border, found.astype(np.float64)) - wanted
    assert np.abs(left).max() < 1e-4 * max(1.0, np.abs(found).max())


def test_planes_do_not_depend_on_each_other():
    mask = hard_masks((300, 150))["disc"]
    wanted = picture((300, 150, 4), np.float32).transpose(2, 0, 1) - np.float32(0.5)
    together = solve(mask, wanted, BORDERS[0], 1e-4)
    for plane in range(4):
        alone = solve(mask, wanted[plane : plane + 1], BORDERS[0], 1e-4)
        assert np.abs(together[plane] - alone[0]).max() < 2e-4


def test_pieces_far_apart_are_as_good_as_one_mask():
    mask = np.zeros((300, 400), bool)
    mask[2:40, 0:30], mask[250:300, 380:399], mask[100, 100] = True, True, True
    wanted = picture((300, 400, 2), np.float32).transpose(2, 0, 1) - np.float32(0.5)
    found = solve(mask, wanted, BORDERS[4], 1e-5)
    assert not found[:, ~mask].any()
    assert np.abs(equations(mask, BORDERS[4], found.astype(np.float64)) - wanted * mask).max() < 1e-4


def test_threads_change_nothing():
    mask, wanted = hard_masks((400, 500))["few holes"], picture((400, 500, 1), np.float32).transpose(2, 0, 1)
    before = cv2.getNumThreads()
    try:
        results = []
        for threads in (1, 2):
            cv2.setNumThreads(threads)
            results.append(solve(mask, wanted - np.float32(0.5), BORDERS[0], 1e-4))
    finally:
        cv2.setNumThreads(before)
    assert (results[0] == results[1]).all()


# --- against OpenCV ---------------------------------------------------------------------------------------------------


CLONED = np.s_[30:91, 40:111]
CENTRE = (75, 60)


def clone_case() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A smooth product, a rougher patch, and the rectangle ``CLONED``."""
    image = cv2.GaussianBlur(picture((120, 140, 3)), (0, 0), 3.0)
    patch = cv2.GaussianBlur(picture((120, 140, 3), np.float32, 5) * 510 - 90, (0, 0), 1.0).clip(0, 255).astype(np.uint8)
    mask = np.zeros((120, 140), np.uint8)
    mask[CLONED] = 255
    return image, patch, mask


def test_the_solver_gives_what_opencv_gives_for_its_own_equations():
    """The patch's gradients where the mask was eroded by three pixels, the product's elsewhere; fixed from the outermost pixels
    of the mask's rectangle on."""
    image, patch, mask = clone_case()
    theirs = cv2.seamlessClone(patch, image, mask.copy(), CENTRE, cv2.NORMAL_CLONE)  # it writes to its mask
    product, source = (one.transpose(2, 0, 1).astype(np.float32) for one in (image, patch))
    eroded = cv2.erode(mask, np.ones((7, 7), np.uint8)) != 0
    wanted = np.zeros_like(product)
    difference = source - product
    for before, after in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:, :, :-1], np.s_[:, :, 1:])):
        step = (difference[after] - difference[before]) * eroded[None][before]
        wanted[before] -= step
        wanted[after] += step
    free = cv2.erode(mask, np.ones((3, 3), np.uint8)) != 0
    change = solve(free, wanted, (False,) * 4, 0.1).transpose(1, 2, 0)
    assert np.abs(np.clip(np.rint(image + change), 0, 255) - theirs).max() <= 1


@pytest.mark.parametrize(("mode", "flag"), [("normal", cv2.NORMAL_CLONE), ("mixed", cv2.MIXED_CLONE)])
def test_seamless_clone_agrees_inside_a_rectangle(mode, flag):
    """OpenCV lets a rim of three pixels follow the product: away from it, both are the patch plus a membrane that differs
    by what the outline moved. Its mixed mode compares the differences of the gradients' components, not the gradients.
    """
    image, patch, mask = clone_case()
    ours, _ = blended(PoissonParams(mode=mode), image, mask.copy(), patch)
    theirs = cv2.seamlessClone(patch, image, mask.copy(), CENTRE, flag)
    inner = np.s_[40:81, 50:101]
    off = ours[inner].astype(int) - theirs[inner]
    assert abs(off.mean()) < 0.5
    assert np.abs(off).max() <= 8
    assert np.abs(ours[inner].astype(int) - image[inner]).mean() > 4  # there is something to agree on


# --- in use -----------------------------------------------------------------------------------------------------------


def jump_across(image: np.ndarray, mask: np.ndarray) -> float:
    """The mean difference between the two pixels on either side of a mask's outline."""
    values, inside = image.astype(float).mean(axis=2), mask != 0
    across = [np.abs(np.diff(values, axis=axis))[np.diff(inside, axis=axis)] for axis in (0, 1)]
    return float(np.concatenate(across).mean())


@pytest.mark.parametrize("mode", ["normal", "mixed"])
def test_no_seam_is_left(mode):
    image, patch = picture((90, 90, 3)), picture((90, 90, 3), seed=4) // 2
    mask = noise_mask((90, 90), 30)
    pasted = np.where(mask[:, :, None] != 0, patch, image)
    result, _ = blended(PoissonParams(mode=mode), image, mask, patch)
    assert jump_across(pasted, mask) > 5 * jump_across(image, mask)
    assert jump_across(result, mask) <= 1.1 * jump_across(image, mask)


@pytest.mark.real
def test_no_seam_is_left_between_real_tiles():
    folder = real_folder("magnetic_tile")
    mask_path = next((folder / "ground_truth" / "blowhole").glob("*_mask.png"))
    defect = next((folder / "test" / "blowhole").glob(mask_path.stem.removesuffix("_mask") + ".*"))
    patch, drawn = read_image(defect), read_mask(mask_path)
    patch = patch if patch.ndim == 3 else patch[:, :, None]
    good = read_image(list_images(folder / "train" / "good")[0])
    good = cv2.resize(good, patch.shape[1::-1]).reshape(*patch.shape[:2], -1)[:, :, :1].repeat(patch.shape[2], 2)
    mask = cv2.dilate(drawn, np.ones((9, 9), np.uint8))
    result, _ = blended(PoissonParams(), good, mask, patch)
    pasted = np.where(mask[:, :, None] != 0, patch, good)
    assert jump_across(result, mask) < 1.1 * max(jump_across(good, mask), jump_across(patch, mask))
    assert jump_across(result, mask) < 0.5 * jump_across(pasted, mask)
    middle = drawn != 0
    assert (result[middle].mean() < good[middle].mean()) == (patch[middle].mean() < patch[~mask.astype(bool)].mean())


def test_in_a_recipe(photo_folder):
    recipe = {
        "name": "seamless",
        "foreground": "none",
        "kinds": {
            "patch": {
                "mask": {"kind": "perlin", "area_range": [0.02, 0.1]},
                "source": {"kind": "procedural", "families": ["rust"]},
                "blend": {"kind": "poisson", "modes": ["normal", "mixed"]},
            }
        },
    }
    image = product("plate", 3, (96, 96)).image
    synth = AnomalySynthesizer(recipe)
    modes = set()
    for index in range(8):
        sample = synth(image, index=index)
        modes.add(sample.plan.anomalies[0].blend.mode)
        assert (sample.image[sample.mask == 0] == image[sample.mask == 0]).all()
        assert (synth.paint(image, sample.plan).image == sample.image).all()
    assert modes == {"normal", "mixed"}


def test_params_survive_json_and_modes_are_checked():
    spec = Poisson(modes=("normal", "weighted"), opacity_range=(0.05, 0.95))
    params = [spec.draw(Draws(1, index)) for index in range(20)]
    assert {one.mode for one in params} == {"normal", "weighted"}
    assert all(0.05 <= one.opacity <= 0.95 for one in params)
    assert all(BLEND_PARAMS.parse(one.model_dump(mode="json", exclude_defaults=True)) == one for one in params)
    assert BLENDS.parse(spec.model_dump(mode="json")) == spec
    for modes in ((), ("normal", "normal"), ("opaque",)):
        with pytest.raises(ValueError, match="modes"):
            BLENDS.parse({"kind": "poisson", "modes": modes})
