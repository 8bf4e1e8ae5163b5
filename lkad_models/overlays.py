"""Anomaly maps over their pictures, for people: heat where the map is high, outlines of masks."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.images import AnyImage, Mask, to_rgb8

__all__ = ["FOUND", "TRUTH", "WHOLE", "Scale", "heat", "outlined", "overlay", "scale_around"]

RGB8 = npt.NDArray[np.uint8]
Scale = tuple[float, float]
"""From which value of a map the heat begins, and at which it is strongest."""

WHOLE: Scale = (0.0, 1.0)
"""Where nothing is known of a detector's normal pixels."""
FOUND = (255, 255, 255)
"""Outline of what the pixel threshold flags."""
TRUTH = (0, 255, 120)
"""Outline of the mask that belongs to a picture."""
_STRONGEST = 0.65  # of the heat; chosen so that the picture is still seen through it


def scale_around(background: float, threshold: float) -> Scale:
    """The scale that begins at the usual value of normal pixels and has a pixel threshold, above it, in its middle."""
    return background, background + 2.0 * max(threshold - background, 1e-6)


def heat(anomaly_map: npt.NDArray[np.float32], scale: Scale = WHOLE) -> RGB8:
    """``(H, W, 3)``: the colours of a map ``(H, W)``: blue, green where the scale's middle is, red (Turbo)."""
    levels = np.rint(_scaled(anomaly_map, scale) * np.float32(255.0)).astype(np.uint8)
    return np.asarray(cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _scaled(anomaly_map: npt.NDArray[np.float32], scale: Scale) -> npt.NDArray[np.float32]:
    return np.clip((anomaly_map - np.float32(scale[0])) / np.float32(scale[1] - scale[0]), 0.0, 1.0)


def overlay(
    image: AnyImage,
    anomaly_map: npt.NDArray[np.float32],
    mask: Mask | None = None,
    truth: Mask | None = None,
    scale: Scale = WHOLE,
) -> RGB8:
    """``(H, W, 3)`` uint8: a picture under the heat of its map; where the map does not reach the scale it is as it was.

    Args:
        image: ``(H, W)`` or ``(H, W, C)``.
        anomaly_map: ``(H, W)`` in [0, 1].
        mask, truth: ``(H, W)``, 0 or 255: what is flagged, and what should be; outlined.
        scale: of the heat; the same for pictures that are compared.
    """
    weight = np.float32(_STRONGEST) * np.sqrt(_scaled(anomaly_map, scale))[:, :, None]
    mixed = to_rgb8(image) * (1.0 - weight) + heat(anomaly_map, scale) * weight
    result = np.rint(mixed).astype(np.uint8)
    for plane, colour in ((truth, TRUTH), (mask, FOUND)):
        if plane is not None:
            result = outlined(result, plane, colour)
    return result


def outlined(image: RGB8, mask: Mask, colour: tuple[int, int, int]) -> RGB8:
    """A picture with the outline of a mask, as wide as can be seen at its size."""
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    width = max(1, round(max(mask.shape) / 400))
    return np.asarray(cv2.drawContours(image.copy(), contours, -1, colour, width), dtype=np.uint8)
