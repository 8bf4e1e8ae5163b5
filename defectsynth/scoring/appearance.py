"""The look of a defect in numbers made by hand: how it differs from its surroundings, so that the product does not decide."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.images import luminance
from defectsynth.scoring.views import Plane, Regions, View, regions_of

__all__ = ["appearance_features"]

Features = npt.NDArray[np.float64]
Image = npt.NDArray[np.float32]

_GREY_LEVEL = 1 / 255
_QUANTILES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
_SCALES = (0.0, 1.0, 2.0, 4.0)  # pixels
_PROFILE = (-np.inf, -6.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 6.0)  # pixels from the outline
_FEW = 20.0  # pixels below which a histogram is drawn towards no difference
_CODES = 10
_NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))


def appearance_features(view: View) -> Features:
    """A vector of float64 of one length for every view, finite; its order is that of the functions below.

    Every number is a difference or the logarithm of a ratio between the defect and the ring around it, or its edge and
    the ring. A defect that leaves no surroundings in its view has zeros.
    """
    grey, regions = luminance(view.rgb), regions_of(view.mask)
    groups = (
        _tone(grey, regions),
        _colour(view.rgb, regions),
        _edge_profile(grey, regions),
        _energies(grey, regions),
        _grain(grey, regions),
        _direction(grey, regions),
        _patterns(grey, regions),
    )
    return np.array([value for group in groups for value in group], dtype=np.float64)


def _tone(grey: Image, regions: Regions) -> Iterator[float]:
    """Quantiles inside against those of the ring, in grey values and in deviations of the ring; ratio of the deviations."""
    inside, ring = grey[regions.inside], grey[regions.ring]
    spread = float(ring.std()) + 2 * _GREY_LEVEL
    steps = np.quantile(inside, _QUANTILES) - np.quantile(ring, _QUANTILES)
    yield from (float(step) for step in steps)
    yield from (float(np.arcsinh(step / spread)) for step in steps[[0, 3, 6]])
    yield float(abs(inside.mean() - ring.mean()))
    yield float(np.arcsinh(abs(inside.mean() - ring.mean()) / spread))
    yield _log_ratio(float(inside.std()), float(ring.std()))


def _colour(rgb: Image, regions: Regions) -> Iterator[float]:
    """Red against green and blue against yellow: difference of means, its size, ratio of deviations. Zeros for grey."""
    red, green, blue = rgb[:, :, 0], rgb[:, :, 1], rgb[:, :, 2]
    for plane in (red - green, blue - (red + green) / 2):
        inside, ring = plane[regions.inside], plane[regions.ring]
        step = float(inside.mean()) - float(ring.mean())
        yield step
        yield abs(step)
        yield _log_ratio(float(inside.std()), float(ring.std()))


def _edge_profile(grey: Image, regions: Regions) -> Iterator[float]:
    """Brightness from the middle of the defect outwards, against the ring and in units of the whole step: how it sets in."""
    around, step = float(grey[regions.ring].mean()), 0.0
    step = float(grey[regions.core].mean()) - around
    unit = abs(step) + 4 * _GREY_LEVEL
    for low, high in pairwise(_PROFILE):
        band = (regions.distance > low) & (regions.distance <= high)
        value = float(grey[band].mean()) - around if band.any() else (step if high <= 0 else 0.0)
        yield float(np.clip(value / unit, -3, 3)) * (1.0 if step >= 0 else -1.0)


def _energies(grey: Image, regions: Regions) -> Iterator[float]:
    """Energy of gradient and band-pass at several scales: inside and on the edge against the ring, and how peaked it is."""
    for sigma in _SCALES:
        smooth = _blurred(grey, sigma)
        gradient = np.hypot(*_gradient(smooth))
        band = np.abs(smooth - _blurred(grey, max(1.0, 1.6 * sigma)))
        for plane in (gradient, band):
            core, edge, ring = (_root_mean_square(plane[where]) for where in (regions.core, regions.edge, regions.ring))
            yield _log_ratio(core, ring)
            yield _log_ratio(edge, ring)
            yield _log_ratio(edge, core)
        yield _peaked(band[regions.core]) - _peaked(band[regions.ring])


def _grain(grey: Image, regions: Regions) -> Iterator[float]:
    """What medians of 3 and 5 pixels take away, and the deviation in small windows: the camera's grain, blended away or not."""
    for size in (3, 5):
        taken = np.abs(grey - cv2.medianBlur(grey, size))
        yield _log_ratio(float(taken[regions.core].mean()), float(taken[regions.ring].mean()))
        yield _log_ratio(float(taken[regions.edge].mean()), float(taken[regions.ring].mean()))
    for size in (3, 7):
        deviation = _local_deviation(grey, size)
        core, ring = deviation[regions.core], deviation[regions.ring]
        for quantile in (0.1, 0.5, 0.9):
            yield _log_ratio(float(np.quantile(core, quantile)), float(np.quantile(ring, quantile)))


def _direction(grey: Image, regions: Regions) -> Iterator[float]:
    """How much the gradient has one direction (inside against the ring), and how well the outline lies across it."""
    across, along = _gradient(_blurred(grey, 1.0))
    yield _coherence(across[regions.core], along[regions.core]) - _coherence(across[regions.ring], along[regions.ring])
    normal_x, normal_y = _gradient(_blurred(regions.distance, 1.0))
    length = np.hypot(normal_x, normal_y) + 1e-6
    outwards = (across * normal_x + along * normal_y) / length
    strength = np.hypot(across, along)
    edge, ring = regions.edge, regions.ring
    yield float(np.abs(outwards[edge]).sum() / (strength[edge].sum() + _GREY_LEVEL))
    yield float(abs(outwards[edge].sum()) / (strength[edge].sum() + _GREY_LEVEL))
    strong = float(np.quantile(strength[ring], 0.9)) + _GREY_LEVEL
    yield float((strength[edge] > strong).mean())
    yield float(np.log((np.abs(outwards[edge]).mean() + _GREY_LEVEL) / (np.abs(outwards[ring]).mean() + _GREY_LEVEL)))


def _patterns(grey: Image, regions: Regions) -> Iterator[float]:
    """Local binary patterns (Ojala et al. 2002, uniform and rotation invariant) at two scales: inside against the ring."""
    for sigma in (0.7, 2.0):
        codes = _binary_patterns(_blurred(grey, sigma), max(1, round(sigma)))
        shares = _histogram(codes, regions.core) - _histogram(codes, regions.ring)
        few = min(np.count_nonzero(regions.core), np.count_nonzero(regions.ring))
        yield from (float(share) * few / (few + _FEW) for share in shares)


# --- parts ----------------------------------------------------------------------------------------------------------------


def _log_ratio(value: float, against: float) -> float:
    return float(np.log((value + _GREY_LEVEL / 2) / (against + _GREY_LEVEL / 2)))


def _root_mean_square(values: Image) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _peaked(values: Image) -> float:
    """Mean over root mean square: 0.8 for Gaussian noise, less where few pixels hold the energy."""
    return (float(values.mean()) + _GREY_LEVEL / 4) / (_root_mean_square(values) + _GREY_LEVEL / 4)


def _blurred(plane: Image, sigma: float) -> Image:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), dtype=np.float32) if sigma else plane


def _gradient(grey: Image) -> tuple[Image, Image]:
    x, y = (cv2.Sobel(grey, cv2.CV_32F, *order, ksize=3, scale=1 / 8) for order in ((1, 0), (0, 1)))
    return np.asarray(x, dtype=np.float32), np.asarray(y, dtype=np.float32)


def _local_deviation(grey: Image, size: int) -> Image:
    mean, square = cv2.blur(grey, (size, size)), cv2.blur(grey * grey, (size, size))
    return np.asarray(np.sqrt(np.maximum(square - mean * mean, 0)), dtype=np.float32)


def _coherence(across: Image, along: Image) -> float:
    """0 for gradients of every direction, 1 for a single one (structure tensor)."""
    xx, yy, xy = float((across**2).mean()), float((along**2).mean()), float((across * along).mean())
    return float(np.hypot(xx - yy, 2 * xy) / (xx + yy + _GREY_LEVEL**2 / 4))


def _binary_patterns(grey: Image, radius: int) -> npt.NDArray[np.uint8]:
    padded = cv2.copyMakeBorder(grey, radius, radius, radius, radius, cv2.BORDER_REFLECT_101)
    height, width = grey.shape
    bits = [
        padded[radius * (1 + y) : radius * (1 + y) + height, radius * (1 + x) : radius * (1 + x) + width] > grey
        for y, x in _NEIGHBOURS
    ]
    changes = sum((bits[place] != bits[place - 1]).astype(np.uint8) for place in range(8))
    ones = sum(bit.astype(np.uint8) for bit in bits)
    return np.where(np.asarray(changes) <= 2, np.asarray(ones), _CODES - 1).astype(np.uint8)


def _histogram(codes: npt.NDArray[np.uint8], where: Plane) -> Features:
    return np.bincount(codes[where], minlength=_CODES) / max(1, int(np.count_nonzero(where)))
