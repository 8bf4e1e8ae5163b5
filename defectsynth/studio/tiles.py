"""Samples as the page shows them: small pictures, outlines, colours of the defect map; and whole ones."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.files import encode_image
from defectsynth.images import AnyImage, Mask, resize_image, to_rgb8
from defectsynth.sample import AnomalySample

__all__ = ["heat", "outline", "png", "sample_tile", "tile_shape"]

RGB8 = npt.NDArray[np.uint8]

_QUALITY = 92
_JPEG = [
    cv2.IMWRITE_JPEG_QUALITY,
    _QUALITY,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
]
_MOST_POINTS = 6_000  # of the outlines of one sample: a noisy mask has many


def tile_shape(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """``(H, W)`` of a picture that is shrunk to ``side``; a smaller one keeps its size."""
    scale = min(1.0, side / max(shape[:2]))
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def sample_tile(sample: AnomalySample, view: str, side: int) -> tuple[bytes, str]:
    """A sample's small picture and its type: JPEG, of a defect map PNG."""
    shape = tile_shape(sample.mask.shape, side)
    if view == "map":
        return png(heat(resize_image(sample.defect_map, shape))), "image/png"
    image = sample.image if view == "anomalous" else sample.normal
    return _jpeg(resize_image(to_rgb8(image, sample.plan.white), shape)), "image/jpeg"


def heat(defect_map: AnyImage) -> RGB8:
    """``(H, W, 3)``: a defect map in colours, black where there is no defect."""
    grey = np.rint(defect_map * 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB), dtype=np.uint8)


def outline(mask: Mask, side: int) -> list[list[int]]:
    """The outlines of a mask's pieces, ``x, y, x, y, ...`` in pixels of a tile."""
    height, width = tile_shape(mask.shape, side)
    small = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)
    small = (small > 0).view(np.uint8)
    contours, _ = cv2.findContours(small, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_TC89_L1)
    found: list[list[int]] = []
    left = _MOST_POINTS
    for contour in sorted(contours, key=len, reverse=True):
        left -= len(contour)
        if left < 0:
            break
        found.append([int(value) for value in contour.reshape(-1)])
    return found


def png(image: AnyImage) -> bytes:
    """The bytes of a PNG."""
    return encode_image(image, ".png")


def _jpeg(image: Any) -> bytes:
    done, encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), _JPEG)
    assert done
    return bytes(encoded.tobytes())
