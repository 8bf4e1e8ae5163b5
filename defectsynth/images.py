"""Pictures as arrays: checking them, converting between types and channel counts, resizing, hashing.

An ``image`` is ``(H, W)`` or ``(H, W, C)``: uint8, uint16, or float32 in [0, 1]; any H, W, C from 1 up; RGB order when C = 3.
"""

from __future__ import annotations

import hashlib
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.compiled import loops
from defectsynth.errors import ImageError

__all__ = [
    "LUMA",
    "AnyImage",
    "Histogram",
    "Mask",
    "alone",
    "as_mask",
    "bounding_box",
    "check_image",
    "content_hash",
    "convert",
    "from_float",
    "from_planes",
    "full_scale",
    "gather",
    "histogram_of",
    "is_whole",
    "luminance",
    "mean_colour",
    "pieces_of",
    "pixel_at",
    "planes_of",
    "positions_of",
    "resize_image",
    "resize_mask",
    "scatter",
    "smoothed",
    "split_alpha",
    "to_float",
    "to_rgb8",
    "whole_mask",
    "widened_box",
]

AnyImage = npt.NDArray[Any]
Mask = npt.NDArray[np.uint8]
Box = tuple[int, int, int, int]
Histogram = npt.NDArray[np.float64]
"""``(3, 256)``."""

_FULL_SCALE = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0, np.dtype(np.float32): 1.0}
_SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], dtype=np.float32) / 13.0
_COUNTED_EXACTLY = 2**24  # OpenCV counts in float32
_MOST_PLANES = 4  # that OpenCV is asked to put together or to take apart
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601, as PIL and OpenCV


def check_image(image: Any, name: str = "image") -> AnyImage:
    """The array itself if it keeps the contract of an ``image``; otherwise an ``ImageError`` that says which rule it broke."""
    if not isinstance(image, np.ndarray):
        raise ImageError(
            f"{name} is a {type(image).__name__}: give a numpy array (H, W) or (H, W, C), e.g. np.asarray(picture)"
        )
    if image.ndim not in (2, 3) or 0 in image.shape:
        raise ImageError(f"{name} has shape {image.shape}: give (H, W) or (H, W, C) with every side at least 1")
    if image.dtype not in _FULL_SCALE:
        raise ImageError(f"{name} has dtype {image.dtype}: give uint8, uint16, or float32 in [0, 1] (image.astype(np.float32))")
    if image.dtype == np.float32:
        low, high = float(image.min()), float(image.max())
        if np.isnan(low):
            raise ImageError(f"{name} holds NaN: float32 images lie in [0, 1]; replace what is not a number first")
        if not (low >= 0.0 and high <= 1.0):
            raise ImageError(
                f"{name} has values from {low} to {high}: float32 images lie in [0, 1]; divide by the full scale first"
            )
    return image


def full_scale(dtype: npt.DTypeLike) -> float:
    """The value of white: 255, 65535 or 1."""
    return _FULL_SCALE[np.dtype(dtype)]


def to_float(image: AnyImage, white: float | None = None) -> npt.NDArray[np.float32]:
    """Float32 in [0, 1], same shape; ``white`` is the value of white where that is not the type's full scale (12 bits)."""
    if image.dtype == np.float32:
        return image
    values = image.astype(np.float32)
    values /= np.float32(white or full_scale(image.dtype))
    return values


def luminance(image: AnyImage) -> npt.NDArray[np.float32]:
    """``(H, W)`` float32 in [0, 1]: BT.601 weights for three channels, the mean for any other number."""
    values = to_float(image)
    if values.ndim == 2:
        return values
    if values.shape[2] == 3:  # written out: a matrix product is a BLAS call, whose last bit is the machine's
        red, green, blue = (values[:, :, channel] * LUMA[channel] for channel in range(3))
        return np.asarray(red + green + blue, dtype=np.float32)
    return np.asarray(values.mean(axis=2), dtype=np.float32)


def convert(
    image: AnyImage, dtype: npt.DTypeLike, channels: int | None, *, white: float | None = None, to_white: float | None = None
) -> AnyImage:
    """The same picture as another type and channel count.

    Args:
        image: any image.
        dtype: uint8, uint16 or float32.
        channels: None for ``(H, W)``; 1 for ``(H, W, 1)`` (luminance); 3 and more take the channels in turn (a fifth band gets
            the second channel), because a picture of light has nothing better to say of an infrared band.
        white, to_white: the value of white before and after, where that is not the type's full scale.
    """
    planes: AnyImage = image if image.ndim == 3 else image[:, :, None]
    if channels in (None, 1):
        if planes.shape[2] > 1:
            planes = from_float(luminance(planes), planes.dtype)[:, :, None]
    elif planes.shape[2] != channels:
        planes = np.take(planes, [channel % planes.shape[2] for channel in range(channels or 1)], axis=2)
    same = planes.dtype == np.dtype(dtype) and white == to_white
    result = planes if same else from_float(to_float(planes, white), dtype, to_white)
    return np.ascontiguousarray(result[:, :, 0]) if channels is None else _interleaved(result)


def _interleaved(image: AnyImage) -> AnyImage:
    """``(H, W, C)`` row by row in memory, wherever its planes lie."""
    lie_apart = not image.flags.c_contiguous and image[:, :, 0].flags.c_contiguous
    return from_planes(image.transpose(2, 0, 1)) if lie_apart else np.ascontiguousarray(image)


def from_planes(planes: AnyImage) -> AnyImage:
    """``(H, W, C)``, row by row in memory, of planes ``(C, H, W)``: OpenCV takes a fortieth of the time that numpy takes."""
    if not 1 < planes.shape[0] <= _MOST_PLANES or 0 in planes.shape:
        return np.ascontiguousarray(planes.transpose(1, 2, 0))
    return cv2.merge([np.ascontiguousarray(plane) for plane in planes])


def planes_of(image: AnyImage, out: AnyImage | None = None) -> AnyImage:
    """``(C, H, W)`` of an image ``(H, W)`` or ``(H, W, C)``, in ``out`` where that is given."""
    channels = 1 if image.ndim == 2 else image.shape[2]
    planes = np.empty((channels, *image.shape[:2]), image.dtype) if out is None else out
    if 1 < channels <= _MOST_PLANES and planes.flags.c_contiguous:
        cv2.split(image, list(planes))  # a third of the time that numpy takes
    else:
        planes[:] = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
    return planes


def from_float(values: npt.NDArray[np.float32], dtype: npt.DTypeLike, white: float | None = None) -> AnyImage:
    """Values in [0, 1] as another type: the inverse of ``to_float``, rounded to the nearest level; what is above 1 is cut."""
    if np.dtype(dtype) == np.float32:
        return values
    if np.dtype(dtype) == np.uint8 and values.size:
        return cv2.convertScaleAbs(values.reshape(-1), alpha=white or 255.0).reshape(values.shape)
    levels = np.minimum(values, np.float32(1.0))
    levels *= np.float32(white or full_scale(dtype))
    return np.rint(levels, out=levels).astype(dtype)


def to_rgb8(image: AnyImage, white: float | None = None) -> npt.NDArray[np.uint8]:
    """``(H, W, 3)`` uint8, for looking at: two- and four-channel images lose their last channel (alpha)."""
    if image.ndim == 3 and image.shape[2] in (2, 4):
        image = image[:, :, :-1]
    if image.ndim == 3 and image.shape[2] > 3:
        image = image[:, :, :3]
    return convert(image, np.uint8, 3, white=white)


def as_mask(where: npt.NDArray[np.bool_]) -> Mask:
    """255 where a flag is set, 0 elsewhere; uint8 of the same shape."""
    return where.view(np.uint8) * np.uint8(255)


_WHOLE: dict[tuple[int, ...], Mask] = {}
_MOST_WHOLE = 8  # shapes


def whole_mask(shape: tuple[int, int]) -> Mask:
    """``(H, W)`` with every pixel set; not to be written to. The same one for the same shape: ``is_whole`` knows it again."""
    found = _WHOLE.get(shape)
    if found is None:
        found = np.full(shape, 255, dtype=np.uint8)
        found.flags.writeable = False
        if len(_WHOLE) >= _MOST_WHOLE:
            _WHOLE.clear()
        _WHOLE[shape] = found
    return found


def is_whole(mask: Mask) -> bool:
    """Whether a mask is one of ``whole_mask``, without looking at its pixels; false of any other, also where all are set."""
    return _WHOLE.get(mask.shape) is mask


def bounding_box(mask: npt.NDArray[Any]) -> Box | None:
    """``(top, left, bottom, right)`` of the pixels that are not zero, ends excluded; None where there is none."""
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8) if mask.dtype == np.bool_ else mask)
    return None if width == 0 else (top, left, top + height, left + width)


def pieces_of(mask: Mask) -> list[tuple[Box, Mask]]:
    """The 8-connected pieces of a mask, the largest first: the box of each, and the piece in it, 0 or 255."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    pieces: list[tuple[Box, Mask]] = []
    for label in (np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable") + 1).tolist():
        left, top, width, height, _ = (int(value) for value in stats[label])
        own = labels[top : top + height, left : left + width] == label
        pieces.append(((top, left, top + height, left + width), as_mask(own)))
    return pieces


def alone(piece: tuple[Box, Mask], shape: tuple[int, ...]) -> Mask:
    """A mask ``shape = (H, W)`` with nothing but a piece of ``pieces_of``."""
    (top, left, bottom, right), own = piece
    mask = np.zeros(shape, dtype=np.uint8)
    mask[top:bottom, left:right] = own
    return mask


def positions_of(mask: npt.NDArray[Any], rows: tuple[int, int] | None = None) -> npt.NDArray[np.intp]:
    """``(n,)``: where a mask ``(H, W)`` uint8 or bool is set, counted row by row.

    Args:
        mask: of which uint8 are 0 or 255.
        rows: from which row to which, excluded, it is looked at; None for all.
    """
    top, bottom = rows or (0, mask.shape[0])
    compiled, start = loops(), top * mask.shape[1]
    flat = np.ascontiguousarray(mask[top:bottom]).view(np.uint8).reshape(-1)
    if compiled is not None:
        whole = flat.size // 8 * 8
        return compiled.positions(flat[:whole].view(np.uint64), flat[whole:], start)
    found = np.flatnonzero(flat.view(np.bool_))
    found += start
    return found


def pixel_at(mask: Mask, share: float, window: tuple[slice, slice] = (slice(None), slice(None))) -> tuple[int, int] | None:
    """(row, column) of one of the pixels that are set: of all in the window, row by row, the one at a share of the way.

    Args:
        mask: ``(H, W)`` uint8, 0 or 255.
        share: in [0, 1).
        window: rows and columns that are looked at.

    Returns:
        None where no pixel is set there.
    """
    part = mask[window]
    if not part.size:
        return None
    if is_whole(mask):
        (top, bottom, _), (left, right, _) = (ends.indices(size) for ends, size in zip(window, mask.shape, strict=True))
        row, column = divmod(int(share * ((bottom - top) * (right - left))), right - left)
        return top + row, left + column
    up_to_row = np.cumsum(cv2.reduce(part, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)[:, 0], dtype=np.int64) // 255
    if up_to_row[-1] == 0:
        return None
    number = int(share * int(up_to_row[-1]))
    row = int(np.searchsorted(up_to_row, number, side="right"))
    before = int(up_to_row[row - 1]) if row else 0
    column = int(np.flatnonzero(part[row])[number - before])
    return (window[0].start or 0) + row, (window[1].start or 0) + column


def histogram_of(rgb: npt.NDArray[np.uint8]) -> Histogram:
    """How many pixels of each channel of a picture ``(h, w, 3)`` have each value."""
    rows = max(1, _COUNTED_EXACTLY // rgb.shape[1])
    counts = np.zeros((3, 256))
    for top in range(0, rgb.shape[0], rows):
        part = np.ascontiguousarray(rgb[top : top + rows])
        counts += np.stack([cv2.calcHist([part], [channel], None, [256], [0, 256]).reshape(-1) for channel in range(3)])
    return counts


def gather(pixels: AnyImage, positions: npt.NDArray[np.intp]) -> AnyImage:
    """``pixels[positions]`` of ``(m, C)``: ``(n, C)``."""
    compiled = loops() if pixels.shape[1] == 3 else None
    return pixels.take(positions, axis=0) if compiled is None else compiled.picked(pixels, positions)


def scatter(pixels: AnyImage, positions: npt.NDArray[np.intp], values: AnyImage) -> None:
    """``pixels[positions] = values`` for ``(m, C)`` and ``(n, C)`` of one type: a pixel is moved as one value, not as C."""
    pixel = np.dtype((np.void, pixels.itemsize * pixels.shape[1]))
    np.put(pixels.view(pixel)[:, 0], positions, np.ascontiguousarray(values).view(pixel)[:, 0])


def smoothed(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A picture ``(h, w, 3)`` after Pillow's ``SMOOTH``: a pixel counts five times, its eight neighbours once."""
    return np.asarray(cv2.filter2D(rgb, -1, _SMOOTH), dtype=np.uint8)


def widened_box(box: Box, margin: int, shape: tuple[int, int]) -> Box:
    """A box with ``margin`` more pixels on every side, inside a picture of ``shape = (H, W)``."""
    top, left, bottom, right = box
    return max(0, top - margin), max(0, left - margin), min(shape[0], bottom + margin), min(shape[1], right + margin)


def resize_image(image: AnyImage, shape: tuple[int, int]) -> AnyImage:
    """``shape = (H, W)``: area averaging when both sides shrink, bilinear otherwise; type and channels stay."""
    if image.shape[:2] == shape:
        return image
    shrinks = shape[0] <= image.shape[0] and shape[1] <= image.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    planes = image if image.ndim == 3 else image[:, :, None]
    groups = [planes[:, :, start : start + 4] for start in range(0, planes.shape[2], 4)]
    resized = [cv2.resize(np.ascontiguousarray(group), shape[::-1], interpolation=interpolation) for group in groups]
    result = np.concatenate([group.reshape(*shape, -1) for group in resized], axis=2)
    return result[:, :, 0] if image.ndim == 2 else result


def resize_mask(mask: Mask, shape: tuple[int, int]) -> Mask:
    """``shape = (H, W)``, 0 or 255: a pixel is set where at least half of its area was."""
    return as_mask(resize_image(mask, shape) >= 128)


def mean_colour(rgb: npt.NDArray[np.uint8], where: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.float64]:
    """``(3,)`` float64: the mean of the pixels where ``where`` is set (all where none is, or none was given)."""
    pixels = rgb.reshape(-1, 3)
    chosen = pixels[:0] if where is None else pixels.take(positions_of(where), axis=0)
    pixels = chosen if chosen.size else pixels
    return np.array(cv2.sumElems(pixels[None])[:3]) / pixels.shape[0]  # sums of integers: exact


def split_alpha(image: AnyImage) -> tuple[AnyImage, AnyImage | None]:
    """The colour of a picture that was read from a file with two or four channels, and its alpha ``(H, W, 1)``."""
    if image.ndim == 2 or image.shape[2] not in (2, 4):
        return image, None
    colour = image[:, :, :-1]
    return np.ascontiguousarray(colour[:, :, 0] if colour.shape[2] == 1 else colour), image[:, :, -1:]


def content_hash(image: AnyImage) -> str:
    """32 hexadecimal digits of what is seen, whatever the file's name or format.

    The picture is taken as 8-bit RGB, without alpha, and as one channel where its three are equal; so a PNG, a BMP and a grey
    picture saved as RGB agree. A picture that was resized, or compressed again with loss, is another picture.
    """
    rgb = to_rgb8(image)
    if _is_grey(rgb[::32]) and _is_grey(rgb):  # most that are not show it at once
        rgb = rgb[:, :, :1]
    digest = hashlib.sha256(repr(rgb.shape).encode())
    digest.update(np.ascontiguousarray(rgb).data)
    return digest.hexdigest()[:32]


def _is_grey(rgb: npt.NDArray[np.uint8]) -> bool:
    return bool((rgb[:, :, 0] == rgb[:, :, 1]).all() and (rgb[:, :, 0] == rgb[:, :, 2]).all())
