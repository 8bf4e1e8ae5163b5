"""Where defects may lie is found once for a picture, and again for another, however little it differs."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from defectsynth import load_recipe, region
from defectsynth.errors import RegionError
from defectsynth.region import Regions
from defectsynth.samples import product

RULE = load_recipe("industrial").foreground


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often a foreground was estimated."""
    calls: list[int] = []
    estimate = region.estimate_foreground

    def counted(image: np.ndarray, method: str) -> object:
        calls.append(1)
        return estimate(image, method)

    monkeypatch.setattr(region, "estimate_foreground", counted)
    return calls


def picture(number: int = 0) -> np.ndarray:
    return product("disc", number, (96, 96)).image


def test_a_picture_that_comes_again_is_known(asked):
    regions = Regions(RULE)
    first, again = regions.find(picture(), None), regions.find(picture().copy(), None)
    assert (first.mask == again.mask).all() and len(asked) == 1
    assert not first.mask.flags.writeable


def test_several_pictures_that_begin_alike_are_all_known(asked):
    """White borders, equal first columns: pictures of one product look alike at a glance."""
    regions = Regions(RULE)
    pictures = [np.full((128, 128, 3), 250, np.uint8) for _ in range(6)]
    for number, image in enumerate(pictures):
        image[20:110, 20:110] = product("disc", number, (90, 90)).image
    for _ in range(3):
        for image in pictures:
            regions.find(image, None)
    assert len(asked) == 6


def test_one_other_pixel_is_another_picture(asked):
    regions = Regions(RULE)
    regions.find(picture(), None)
    other = picture().copy()
    other[50, 50] ^= 1
    regions.find(other, None)
    assert len(asked) == 2


def test_a_picture_that_was_written_to_is_another_picture(asked):
    regions, image = Regions(RULE), picture().copy()
    regions.find(image, None)
    image[:] = picture(1)
    assert (regions.find(image, None).mask == Regions(RULE).find(picture(1), None).mask).all()
    assert len(asked) == 3


def test_the_longest_unused_are_forgotten(asked):
    regions = Regions(RULE, remembered_bytes=3 * 96 * 96 * 4)
    for number in (0, 1, 2, 0, 3, 0, 1):  # 1 has gone when 3 comes
        regions.find(picture(number), None)
    assert len(asked) == 5
    assert regions._held <= 3 * 96 * 96 * 4


def test_a_picture_larger_than_the_memory_is_not_kept(asked):
    regions = Regions(RULE, remembered_bytes=100)
    for _ in range(2):
        regions.find(picture(), None)
    assert len(asked) == 2 and regions._held == 0


def test_another_process_gets_the_rule_and_no_pictures(asked):
    regions = Regions(RULE, remembered_bytes=12_345_678)
    regions.find(picture(), None)
    copied = pickle.loads(pickle.dumps(regions))
    assert copied._known == {} and copied._capacity == 12_345_678
    assert (copied.find(picture(), None).mask == regions.find(picture(), None).mask).all()


def test_what_is_given_is_not_remembered(asked):
    regions, roi = Regions(RULE), np.zeros((96, 96), np.uint8)
    roi[40:60, 40:60] = 1
    assert regions.find(picture(), roi).method == "given"
    assert regions.find(picture(), None).method != "given"
    with pytest.raises(RegionError, match="the ROI is empty"):
        regions.find(picture(), np.zeros((96, 96), np.uint8))
