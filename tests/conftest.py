"""What the tests share: where the real pictures are, and small pictures of every shape and type."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from defectsynth import rng
from defectsynth.fill import Fill
from defectsynth.site import Site
from defectsynth.sources.base import SourceParams

REAL = Path(os.environ.get("DEFECTSYNTH_REAL_DATA", Path(__file__).parents[2] / "shared" / "data"))
if shutil.which("nvidia-smi") is None:  # read as Triton is imported, which any test may do first
    os.environ.setdefault("TRITON_INTERPRET", "1")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks for a newer version when it is imported, and warns
DTYPES = (np.uint8, np.uint16, np.float32)

settings.register_profile("default", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")


def real_folder(name: str) -> Path:
    """A folder of the real pictures, or a skip that says what is missing."""
    if not (REAL / name).is_dir():
        pytest.skip(f"real pictures {REAL / name} are not here: set DEFECTSYNTH_REAL_DATA")
    return REAL / name


def picture(shape: tuple[int, ...], dtype: type = np.uint8, seed: int = 1) -> np.ndarray:
    """A picture of smooth, mid-grey noise with grain: no value near either end of the scale."""
    height, width = shape[:2]
    channels = shape[2] if len(shape) == 3 else 1
    words = rng.words(seed, (height, width * channels)).astype(np.float32) / np.float32(2**32)
    values = 0.35 + 0.3 * cv2.GaussianBlur(words, (0, 0), 2.0) if min(height, width) > 1 else 0.35 + 0.3 * words
    values = (0.9 * values + 0.05 * words).reshape(shape).astype(np.float32)
    if dtype == np.float32:
        return values
    return np.rint(values * np.iinfo(dtype).max).astype(dtype)


def fill_of(site: Site, patch: np.ndarray) -> Fill:
    """A patch ``(h, w, C)`` of a site's box as what a source gives."""
    return Fill(Given.model_construct(patch=patch), site)


class Given(SourceParams):
    """A source that is an array."""

    kind: str = "given"
    patch: Any

    def render(self, site: Site) -> np.ndarray:
        return self.patch


def whole(image: np.ndarray) -> np.ndarray:
    """An ROI that allows every pixel."""
    return np.full(image.shape[:2], 255, np.uint8)


@pytest.fixture(scope="session")
def texture_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five textures in two classes, as DTD keeps them."""
    from defectsynth.files import write_image
    from defectsynth.sources.families import texture

    folder = tmp_path_factory.mktemp("textures")
    for number, family in enumerate(["rust", "marble", "gravel", "leather", "foam"]):
        write_image(
            folder / ("natural" if number % 2 else "made") / f"{family}.png", texture(family, 3, (70 + 10 * number, 90))
        )
    return folder


@pytest.fixture(scope="session")
def defect_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight defects of two kinds in the MVTec AD layout; the fourth has two pieces."""
    from defectsynth.formats.mvtec import write_mvtec
    from defectsynth.noise import perlin

    folder = tmp_path_factory.mktemp("defects")
    for number in range(8):
        image = picture((80, 100, 3), seed=50 + number)
        field = perlin(number, (80, 100), (3, 3))
        mask = np.where(field > np.sort(field.ravel())[-300], np.uint8(255), np.uint8(0))
        image[mask != 0] = image[mask != 0] // 3
        write_mvtec(folder, "test", ("crack", "hole")[number % 2], f"{number:03d}", image, mask)
        write_mvtec(folder, "train", "good", f"{number:03d}", picture((80, 100, 3), seed=90 + number))
    return folder


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight normal pictures of a built-in product, 96 x 96."""
    from defectsynth import samples
    from defectsynth.files import write_image

    folder = tmp_path_factory.mktemp("photos")
    for number in range(8):
        write_image(folder / f"part_{number:02d}.png", samples.product("plate", number, (96, 96)).image)
    return folder
