"""How a picture was taken, seen in the picture itself: how far its lens blurs an edge, its grain, whether it knows colours.

What is painted by numbers has no camera. Seen by the picture's own it is as soft and as grainy as what lies around it, whatever
the size of the picture. Source of the estimate: Zhuo and Sim, Defocus map estimation from a single image (2011),
section 3: the ratio of an edge's gradient to that of the same edge blurred once more.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.images import AnyImage, Box, bounding_box, convert, full_scale, gather, to_rgb8

__all__ = ["PLAIN", "blur_of", "grain_of", "is_monochrome", "through_lens", "with_grain", "without_colours"]

PLAIN = 0.5
"""Pixels: the least blur, and that of a picture that shows no edge: a pixel's own width, and what a camera makes of it."""

_STEEP = 24  # grey levels times 8 a pixel, 3 levels, in a blurred picture: more than the grain of a photograph
_CREST = 0.95  # of the steepest of the pixels beside it: the middle of an edge
_FEWEST = 16  # pixels of edges that tell something
_SHARPEST = 0.25  # quantile of the edges: shading and round shapes are soft without any lens
_AGAIN = 1.0  # variance, in pixels, of the weights 1 4 6 4 1 that blur an edge once more
_OWN = 1.0 / 3.0  # variance that a difference over two pixels adds
_STEP = 1.0 / 16.0  # pixels; a blur is a whole number of these
_LARGEST = 0.01, 1.5  # of the picture's side, and in pixels: what is softer everywhere has no edges
_NEAR = 1.0 / 16.0, 24  # of the picture's side, and in pixels: so far around a defect edges tell of its place
_TILE = 64  # pixels; where there are no edges near, those of the picture's busiest tile tell
_PEAK = 2.5  # deviations of the grain; what is larger is texture
_CALM, _TO_DEVIATION = 0.25, 3.138  # quantile of the sizes, where texture counts least; of normal values, to the deviation
_COARSEST = 0.01  # of full scale, deviation: what is coarser is texture; a photograph's grain is about 0.004 to 0.015
_GLANCES = 4096  # pixels that tell whether there are colours
_TERMS = np.array([1, 4, 6, 4, 1], dtype=np.float32) / np.float32(16.0)
_BESIDE = np.ones((3, 3), dtype=np.uint8)
_AROUND = (1, 2, 1)

Plane = npt.NDArray[np.float32]
Grain = npt.NDArray[np.float32]
Positions = npt.NDArray[np.intp]
Grey = npt.NDArray[np.uint8]


def blur_of(image: AnyImage, box: Box, white: float | None = None) -> float:
    """Deviation in pixels of the blur that the sharpest edges around a place have; steps of 1/16.

    Args:
        image: ``(H, W, C)`` of any type.
        box: ``(top, left, bottom, right)`` of the place. Where no edges are near, those of another part of the picture are
            measured, and ``PLAIN`` is the answer where there are none.
        white: the value of white where that is not the type's full scale.
    """
    side = math.sqrt(image.shape[0] * image.shape[1])
    near = _near(box, side, (image.shape[0], image.shape[1]))
    found = _sharpest(_grey(image[near], white))
    if found is None:
        grey = _grey(image, white)
        found = _sharpest(grey[_busiest(grey)])
    largest = max(_LARGEST[0] * side, _LARGEST[1])
    return PLAIN if found is None else round(min(max(found, PLAIN), largest) / _STEP) * _STEP


def through_lens(patch: AnyImage, blur: float) -> AnyImage:
    """``(h, w, C)``, blurred by a Gaussian of ``blur`` pixels; mirrored at its sides. Integers are exact on every machine."""
    if blur <= 0.0:
        return patch
    size = 2 * math.ceil(3.0 * blur) + 1
    blurred = cv2.GaussianBlur(np.ascontiguousarray(patch), (size, size), blur, borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, dtype=patch.dtype).reshape(patch.shape)


def grain_of(image: AnyImage, positions: Positions, white: float | None = None) -> Grain:
    """``(n, C)`` float32 in levels: how far pixels of a picture are from those around them, what is more than grain cut off.

    Args:
        image: ``(H, W, C)``.
        positions: ``(n,)``: the pixels, counted row by row.
        white: the value of white where that is not the type's full scale.
    """
    (height, width), pixels = image.shape[:2], image.reshape(-1, image.shape[2])
    row, column = np.divmod(positions, width)
    rows = [np.maximum(row - 1, 0) * width, row * width, np.minimum(row + 1, height - 1) * width]
    columns = [np.maximum(column - 1, 0), column, np.minimum(column + 1, width - 1)]
    rough = np.zeros((positions.size, image.shape[2]), dtype=np.float32)
    for down, first in zip(_AROUND, rows, strict=True):
        for right, second in zip(_AROUND, columns, strict=True):
            rough -= np.float32(down * right / 16.0) * gather(pixels, first + second)
    rough += gather(pixels, positions)
    sizes = np.abs(rough).reshape(-1)
    calm = float(np.partition(sizes, place := int(_CALM * sizes.size))[place])
    most = np.float32(_PEAK * min(_TO_DEVIATION * calm, _COARSEST * (white or full_scale(image.dtype))))
    return np.clip(rough, -most, most)


def with_grain(pixels: AnyImage, grain: Grain, white: float | None = None) -> AnyImage:
    """``(n, C)`` with grain of as many levels added, within the scale."""
    most = np.float32(white or full_scale(pixels.dtype))
    grainy = np.clip(pixels + grain, np.float32(0.0), most)
    return grainy if pixels.dtype == np.float32 else np.rint(grainy).astype(pixels.dtype)


def is_monochrome(image: AnyImage) -> bool:
    """Whether a picture ``(H, W, 3)`` has no colours: the same value in all channels, wherever it is looked at."""
    if image.shape[2] != 3:
        return False
    pixels = image.reshape(-1, 3)
    seen = pixels[:: max(1, pixels.shape[0] // _GLANCES) | 1]  # odd: not the first pixel of every row
    return bool((seen[:, 0] == seen[:, 1]).all() and (seen[:, 0] == seen[:, 2]).all())


def without_colours(pixels: AnyImage) -> AnyImage:
    """``(n, 3)``: the luminance in all channels."""
    return np.repeat(convert(pixels[None], pixels.dtype, 1)[0], 3, axis=1)


# --- edges ----------------------------------------------------------------------------------------------------------------


def _near(box: Box, side: float, shape: tuple[int, int]) -> tuple[slice, slice]:
    """The middle of a box and what lies around it."""
    reach = max(round(_NEAR[0] * side), _NEAR[1])
    slices = []
    for low, high, size in zip(box[:2], box[2:], shape, strict=True):
        middle = (low + high) // 2
        half = min((high - low + 1) // 2 + reach, 2 * reach)
        slices.append(slice(max(0, middle - half), min(size, middle + half)))
    return slices[0], slices[1]


def _grey(picture: AnyImage, white: float | None) -> Grey:
    return np.asarray(cv2.cvtColor(to_rgb8(picture, white), cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def _sharpest(grey: Grey) -> float | None:
    """The blur of the sharpest quarter of the edges; None where there are too few. The same on every machine."""
    if min(grey.shape) < 3:
        return None
    again = cv2.sepFilter2D(grey, cv2.CV_32F, _TERMS, _TERMS)
    blurred = _steepness(np.asarray(again, dtype=np.float32))
    crest = blurred >= _CREST**2 * cv2.dilate(blurred, _BESIDE)
    crest &= blurred >= _STEEP**2
    where = np.flatnonzero(crest)
    if where.size < _FEWEST:
        return None
    ratio = _steepness(grey).reshape(-1)[where] / blurred.reshape(-1)[where]
    place = int(_SHARPEST * where.size)
    highest = float(np.partition(ratio, where.size - 1 - place)[where.size - 1 - place])
    return math.sqrt(max(0.0, _AGAIN / max(highest - 1.0, 1e-6) - _OWN))


def _steepness(plane: Grey | Plane) -> Plane:
    """The square of the gradient, in eighths of a level a pixel."""
    down, right = cv2.Sobel(plane, cv2.CV_32F, 0, 1), cv2.Sobel(plane, cv2.CV_32F, 1, 0)
    return np.asarray(down * down + right * right, dtype=np.float32)


def _busiest(grey: Grey) -> tuple[slice, slice]:
    """The part of a picture with the most edges: the tile that has most of them, and those around it."""
    steep = np.abs(cv2.Sobel(grey, cv2.CV_16S, 1, 0)) + np.abs(cv2.Sobel(grey, cv2.CV_16S, 0, 1)) >= _STEEP
    box = bounding_box(steep.view(np.uint8))
    if box is None:
        return slice(0, 0), slice(0, 0)
    rows, columns = (-(-size // _TILE) for size in steep.shape)
    counts = np.add.reduceat(
        np.add.reduceat(steep, np.arange(rows) * _TILE, axis=0, dtype=np.int32), np.arange(columns) * _TILE, axis=1
    )
    row, column = divmod(int(counts.argmax()), columns)
    return tuple(slice(max(0, (one - 1) * _TILE), (one + 2) * _TILE) for one in (row, column))  # type: ignore[return-value]
