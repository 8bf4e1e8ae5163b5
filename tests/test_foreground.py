"""Laws of the foreground on drawn pictures, and what it finds on real ones."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from defectsynth import rng
from defectsynth.errors import ImageError, InputError
from defectsynth.files import list_images, read_image, read_mask
from defectsynth.foreground import METHODS, Foreground, estimate_foreground
from defectsynth.images import AnyImage, Mask, convert, resize_image, resize_mask
from defectsynth.noise import fbm
from defectsynth.samples import product

REAL = Path(os.environ.get("DEFECTSYNTH_REAL_DATA", Path(__file__).parents[2] / "shared/data"))
SAMPLE = 25
DTYPES = (np.uint8, np.uint16, np.float32)

# --- drawn pictures -------------------------------------------------------------------------------------------------


def grain(shape: tuple[int, int], amplitude: float, tag: int = 0) -> npt.NDArray[np.float32]:
    """Uniform noise of one value a pixel, about 0."""
    return ((rng.words(7, shape, tag) / 2.0**32 - 0.5) * 2 * amplitude).astype(np.float32)


def disc(shape: tuple[int, int] = (200, 200), centre: tuple[float, float] = (90, 110), radius: float = 50) -> Mask:
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.where((y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2, np.uint8(255), np.uint8(0))


def paint(mask: Mask, product_level: float, background_level: float) -> npt.NDArray[np.float32]:
    """``(H, W)`` float32 in [0, 1]: two levels under sensor noise, with a soft edge as a lens draws it."""
    levels = np.where(mask > 0, np.float32(product_level), np.float32(background_level))
    return np.asarray(np.clip(cv2.GaussianBlur(levels, (3, 3), 0) + grain(mask.shape, 0.02), 0, 1), dtype=np.float32)


def iou(one: Mask, other: Mask) -> float:
    a, b = one > 0, other > 0
    return float((a & b).sum() / (a | b).sum())


@contextmanager
def opencv_threads(count: int) -> Iterator[None]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(count)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


# --- a product on a background --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "least"), [("auto", 0.95), ("border", 0.95), ("otsu", 0.95), ("structured", 0.9)])
@pytest.mark.parametrize("levels", [(0.8, 0.2), (0.15, 0.7)], ids=["bright", "dark"])
def test_a_disc_is_found_whichever_is_brighter(method: str, least: float, levels: tuple[float, float]) -> None:
    found = estimate_foreground(paint(disc(), *levels), method)
    assert iou(found.mask, disc()) > least
    assert found.confidence > 0.9
    assert not found.fills_frame


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4, 5])
def test_a_disc_is_found_in_every_type_and_channel_count(dtype: Any, channels: int | None) -> None:
    found = estimate_foreground(convert(paint(disc(), 0.8, 0.2), dtype, channels))
    assert iou(found.mask, disc()) > 0.95
    assert found.method == "border"


def test_colour_alone_is_enough() -> None:
    red, green = np.array([190, 90, 90], np.uint8), np.array([90, 130, 90], np.uint8)
    assert iou(estimate_foreground(np.where(disc()[:, :, None] > 0, red, green)).mask, disc()) > 0.95


def test_one_channel_of_five_is_enough() -> None:
    picture = np.repeat(paint(disc(), 0.5, 0.5)[:, :, None], 5, axis=2)
    picture[:, :, 4] = paint(disc(), 0.8, 0.3)
    assert iou(estimate_foreground(picture).mask, disc()) > 0.95


def test_twelve_bits_in_sixteen_are_as_good_as_sixteen() -> None:
    full = convert(paint(disc(), 0.8, 0.2), np.uint16, None)
    assert iou(estimate_foreground(full >> 4).mask, estimate_foreground(full).mask) > 0.99


def test_the_mask_moves_with_the_product() -> None:
    still = estimate_foreground(np.where(disc((256, 256)) > 0, np.uint8(200), np.uint8(40)))
    moved = estimate_foreground(np.where(disc((256, 256), (103, 93)) > 0, np.uint8(200), np.uint8(40)))
    assert np.array_equal(np.roll(still.mask, (13, -17), axis=(0, 1)), moved.mask)


def test_a_large_picture_gives_the_same_outline_as_a_small_one() -> None:
    picture = paint(disc((250, 250), (120, 130), 70), 0.8, 0.2)
    small = estimate_foreground(picture)
    large = estimate_foreground(resize_image(picture, (1000, 1000)))
    assert large.mask.shape == (1000, 1000)
    assert iou(resize_mask(small.mask, (1000, 1000)), large.mask) > 0.97


def test_the_slope_of_the_lamp_is_background() -> None:
    slope = np.linspace(-0.2, 0.2, 200, dtype=np.float32)[None, :]
    assert iou(estimate_foreground(np.clip(paint(disc(), 0.9, 0.4) + slope, 0, 1)).mask, disc()) > 0.95


@pytest.mark.parametrize(("product_level", "shadow_level"), [(0.9, 0.25), (0.1, 0.45)], ids=["bright", "dark"])
def test_a_soft_shadow_is_background(product_level: float, shadow_level: float) -> None:
    shadow = cv2.GaussianBlur(disc(centre=(106, 120), radius=42).astype(np.float32) / 255, (0, 0), 12)
    background = 0.6 + (np.float32(shadow_level) - 0.6) * shadow
    picture = np.where(disc() > 0, np.float32(product_level), background) + grain((200, 200), 0.01)
    assert iou(estimate_foreground(np.clip(picture, 0, 1).astype(np.float32)).mask, disc()) > 0.95


def test_a_product_may_touch_the_border() -> None:
    cut = disc(centre=(90, 10), radius=50)
    found = estimate_foreground(paint(cut, 0.8, 0.2))
    assert iou(found.mask, cut) > 0.95
    assert not found.fills_frame


def test_several_products_are_kept_and_dust_is_not() -> None:
    tray = np.maximum.reduce([disc(centre=(y, x), radius=25) for y in (60, 140) for x in (60, 140)])
    with_dust = np.maximum(tray, disc(centre=(100, 20), radius=2))
    assert iou(estimate_foreground(paint(with_dust, 0.8, 0.2)).mask, tray) > 0.95


def test_a_bore_stays_open_and_a_highlight_is_closed() -> None:
    ring = disc() & ~disc(radius=20)
    with_highlight = ring & ~disc(centre=(55, 110), radius=2)
    found = estimate_foreground(paint(with_highlight, 0.2, 0.8)).mask
    assert iou(found, ring) > 0.9
    assert found[90, 110] == 0
    assert found[55, 110] == 255


def perforated_board() -> npt.NDArray[np.float32]:
    board = np.full((240, 240), 0.55, dtype=np.float32)
    board[:, 30::60] = board[:, 31::60] = board[:, 32::60] = board[:, 33::60] = 0.15
    for y in range(15, 240, 40):
        for x in range(0, 240, 60):
            cv2.circle(board, (x, y), 8, 0.12, -1)
    return np.asarray(np.clip(cv2.GaussianBlur(board, (3, 3), 0) + grain(board.shape, 0.04), 0, 1), dtype=np.float32)


def test_a_body_is_found_on_a_perforated_board() -> None:
    body = np.zeros((240, 240), dtype=np.uint8)
    body[70:170, 68:172] = 255
    found = estimate_foreground(np.where(body > 0, np.float32(0.05), perforated_board()))
    assert found.method == "structured"
    assert found.confidence > 0.3
    assert iou(found.mask, body) > 0.88


# --- textures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cells", [4, 12, 40])
@pytest.mark.parametrize("tag", range(4))
def test_a_texture_fills_the_frame(cells: int, tag: int) -> None:
    texture = np.clip(0.5 + 0.4 * fbm(3, (180, 220), (cells, cells), tag=tag), 0, 1).astype(np.float32)
    found = estimate_foreground(texture)
    assert found.fills_frame
    assert found.method == "none"
    assert found.mask.all()


def test_a_bare_board_fills_the_frame() -> None:
    assert estimate_foreground(perforated_board()).fills_frame


@pytest.mark.parametrize("method", [name for name in METHODS if name != "none"])
@pytest.mark.parametrize("level", [0, 40, 255])
def test_a_constant_picture_fills_the_frame_and_nobody_is_sure(method: str, level: int) -> None:
    found = estimate_foreground(np.full((60, 80, 3), level, np.uint8), method)
    assert found.fills_frame
    assert found.confidence == 0.0


def test_none_is_the_whole_picture_without_a_doubt() -> None:
    found = estimate_foreground(paint(disc(), 0.8, 0.2), "none")
    assert found.mask.all()
    assert found.fills_frame
    assert found.confidence == 1.0


# --- contract -------------------------------------------------------------------------------------------------------


def check_contract(found: Foreground, shape: tuple[int, int]) -> None:
    assert found.mask.shape == shape
    assert found.mask.dtype == np.uint8
    assert set(np.unique(found.mask)) <= {0, 255}
    assert found.mask.any()
    assert 0.0 <= found.confidence <= 1.0
    assert found.fills_frame == bool(found.mask.all())


@given(
    height=st.integers(1, 64),
    width=st.integers(1, 64),
    channels=st.sampled_from([None, 1, 2, 3, 4, 5]),
    dtype=st.sampled_from(DTYPES),
    method=st.sampled_from(list(METHODS)),
    kind=st.sampled_from(["noise", "spot", "halves"]),
    seed=st.integers(0, 100),
)
def test_any_size_type_and_method_works(
    height: int, width: int, channels: int | None, dtype: Any, method: str, kind: str, seed: int
) -> None:
    picture = (rng.words(seed, (height, width)) / 2.0**32).astype(np.float32)
    if kind == "spot":
        picture = np.zeros((height, width), np.float32)
        picture[seed % height, seed % width] = 1.0
    elif kind == "halves":
        picture = np.where(np.arange(width)[None, :] * 2 < width, np.float32(0.1), np.float32(0.9)) * np.ones(
            (height, 1), np.float32
        )
    image = convert(picture, dtype, channels)
    before = image.copy()
    check_contract(estimate_foreground(image, method), (height, width))
    assert np.array_equal(image, before)


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (7, 300), (300, 7), (1, 500), (3, 1000)])
@pytest.mark.parametrize("method", METHODS)
def test_extreme_sizes_work(shape: tuple[int, int], method: str) -> None:
    picture = np.clip(0.5 + grain(shape, 0.4), 0, 1).astype(np.float32)
    check_contract(estimate_foreground(picture, method), shape)


def replayed(image: AnyImage) -> Foreground:
    """The finding; asking again for the method that it names gives the same mask, as painting a plan again does."""
    found = estimate_foreground(image)
    assert np.array_equal(estimate_foreground(image, found.method).mask, found.mask)
    return found


def test_the_method_that_is_named_gives_the_same_mask() -> None:
    assert replayed(paint(disc(), 0.8, 0.2)).method == "border"
    assert replayed(perforated_board()).method == "none"


def test_threads_change_nothing() -> None:
    picture = product("gear", 3, (500, 500)).image
    with opencv_threads(1):
        alone = estimate_foreground(picture)
    with opencv_threads(4):
        together = estimate_foreground(picture)
    assert np.array_equal(alone.mask, together.mask)
    assert alone.confidence == together.confidence


def test_an_unknown_method_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="'grabcut' is unknown: the methods are auto, none, otsu, border, structured"):
        estimate_foreground(np.zeros((4, 4), np.uint8), "grabcut")


def test_what_is_not_an_image_is_refused() -> None:
    with pytest.raises(ImageError, match="dtype int64"):
        estimate_foreground(np.zeros((4, 4), np.int64))


# --- built-in products ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["disc", "pill", "board", "gear"])
@pytest.mark.parametrize("index", range(3))
def test_built_in_products_are_found(name: str, index: int) -> None:
    sample = product(name, index)
    found = replayed(sample.image)
    assert iou(found.mask, sample.foreground) > 0.85
    assert found.confidence > 0.8


@pytest.mark.parametrize("name", ["plate", "fabric"])
def test_built_in_textures_fill_the_frame(name: str) -> None:
    assert estimate_foreground(product(name, 0).image).fills_frame


# --- real pictures --------------------------------------------------------------------------------------------------


def real(name: str, folder: str = "train/good") -> list[Path]:
    """A sample of a real set, evenly spread; the test is skipped where the set is absent."""
    if not (REAL / name / folder).is_dir():
        pytest.skip(f"no real pictures at {REAL / name / folder}: set DEFECTSYNTH_REAL_DATA")
    paths = list_images(REAL / name / folder)
    return paths[:: max(1, -(-len(paths) // SAMPLE))]


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "method", "areas"),
    [
        ("mvtec_bottle", "border", (0.62, 0.68)),
        ("mvtec_screw", "border", (0.09, 0.14)),
        ("mvtec_hazelnut_mini", "border", (0.27, 0.42)),
        ("mvtec_transistor_mini", "structured", (0.14, 0.24)),
    ],
)
def test_real_products_are_found(name: str, method: str, areas: tuple[float, float]) -> None:
    for path in real(name):
        found = replayed(read_image(path))
        assert found.method == method, path
        assert found.confidence > 0.3, path
        assert areas[0] < (found.mask > 0).mean() < areas[1], path


@pytest.mark.real
@pytest.mark.parametrize("name", ["mvtec_bottle", "mvtec_screw", "mvtec_hazelnut_mini"])
def test_real_products_are_found_in_negative(name: str) -> None:
    for path in real(name)[::5]:
        image = read_image(path)
        assert iou(estimate_foreground(image).mask, estimate_foreground(255 - image).mask) > 0.75, path


@pytest.mark.real
@pytest.mark.parametrize("name", ["mvtec_grid", "magnetic_tile"])
def test_real_textures_fill_the_frame(name: str) -> None:
    found = [estimate_foreground(read_image(path)) for path in real(name)]
    assert np.mean([one.fills_frame for one in found]) >= 0.97
    assert np.median([one.confidence for one in found]) > 0.9


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "kinds", "least"),
    [
        ("mvtec_bottle", ("broken_large", "broken_small", "contamination"), 0.97),
        # What is labelled on a screw whose tip is gone is background; the other kinds lie on the screw.
        ("mvtec_screw", ("scratch_head", "scratch_neck", "thread_side", "thread_top"), 0.97),
        ("mvtec_hazelnut_mini", ("crack", "cut", "hole", "print"), 0.97),
    ],
)
def test_real_defects_lie_on_the_foreground(name: str, kinds: tuple[str, ...], least: float) -> None:
    recalls = []
    for kind in kinds:
        for path in real(name, f"test/{kind}")[::3]:
            defect = read_mask(REAL / name / "ground_truth" / kind / f"{path.stem}_mask.png")
            mask = cv2.dilate(estimate_foreground(read_image(path)).mask, np.ones((7, 7), np.uint8))
            recalls.append(float((mask[defect > 0] > 0).mean()))
    assert np.mean(recalls) >= least
