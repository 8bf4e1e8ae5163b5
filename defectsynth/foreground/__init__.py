"""Where the product is in one normal image; synthetic defects are put nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from defectsynth.errors import RegionError
from defectsynth.foreground.border import border_evidence, border_outline
from defectsynth.foreground.finding import Finding, certainty, whole_picture
from defectsynth.foreground.ground import Ground, learn_ground
from defectsynth.foreground.otsu import divide_by_grey
from defectsynth.foreground.standout import Standout, stand_out
from defectsynth.foreground.structured import Body, find_body, structured_outline
from defectsynth.foreground.view import View, look, to_picture_size
from defectsynth.images import Mask, check_image

__all__ = ["METHODS", "Foreground", "estimate_foreground"]


@dataclass(frozen=True, slots=True)
class Foreground:
    """Where the product is.

    Attributes:
        mask: ``(H, W)`` uint8, 255 on the product, 0 elsewhere; at least one pixel is set.
        confidence: 0 to 1, comparable between pictures. With ``e`` the evidence in [0, 1] for a product on a background (the
            product of a few ramps, see ``evidence.py``), it is ``max(0, 2 e - 1)`` for a mask that was found. For the whole
            picture it is ``max(0, 1 - 2 e)`` times a ramp of the lightness' standard deviation from 1 to 4 levels: a constant
            picture is no evidence for anything, so 0. Method ``none``, asked for by name, estimates nothing: 1.
        method: the method that made the mask; asking for it by name gives the same mask. ``none`` for the whole picture.
        fills_frame: a texture: the whole picture is product.
    """

    mask: Mask
    confidence: float
    method: str
    fills_frame: bool


def _none(view: View) -> Finding:
    """The whole picture."""
    return Finding("none", None, 1.0)


def _otsu(view: View) -> Finding:
    """Two classes of grey; the picture's border says which one is background."""
    mask, evidence = divide_by_grey(view)
    return whole_picture(view) if mask is None else Finding("otsu", mask, certainty(evidence))


def _border(view: View) -> Finding:
    """Everything that differs from a background of one colour, shadows left out."""
    ground = learn_ground(view)
    standout = stand_out(ground)
    return whole_picture(view) if standout is None else _by_border(ground, standout, border_evidence(ground, standout))


def _structured(view: View) -> Finding:
    """What is thicker than the structure of the background, with what hangs on it."""
    ground = learn_ground(view)
    standout = stand_out(ground)
    return whole_picture(view) if standout is None else _by_structure(view, ground, standout, find_body(ground, standout))


def _auto(view: View) -> Finding:
    """``border``; where that is not convincing, ``structured``; where neither is, the picture is a texture."""
    ground = learn_ground(view)
    standout = stand_out(ground)
    if standout is None:
        return whole_picture(view)
    evidence = border_evidence(ground, standout)
    if evidence >= 0.5:
        return _by_border(ground, standout, evidence)
    body = find_body(ground, standout)
    if body.evidence >= 0.5:
        return _by_structure(view, ground, standout, body)
    return whole_picture(view, max(evidence, body.evidence))


def _by_border(ground: Ground, standout: Standout, evidence: float) -> Finding:
    return Finding("border", border_outline(ground, standout), certainty(evidence))


def _by_structure(view: View, ground: Ground, standout: Standout, body: Body) -> Finding:
    return Finding("structured", structured_outline(view, ground, standout, body), certainty(body.evidence))


METHODS: dict[str, Callable[[View], Finding]] = {
    "auto": _auto,
    "none": _none,
    "otsu": _otsu,
    "border": _border,
    "structured": _structured,
}
"""How a foreground is found, by name."""


def estimate_foreground(image: Any, method: str = "auto") -> Foreground:
    """Where the product is in an ``image``: any size and channel count, uint8, uint16 or float32 in [0, 1].

    The picture is looked at with its longest side reduced to 256, so the outline is good to half a pixel of that. Nothing falls
    back silently: an estimate that is not sure has a low confidence, and the caller decides.

    Args:
        image: a normal image; a defective one works as well, since a defect is small beside its product.
        method: a key of ``METHODS``. ``auto`` decides between a product and a texture that fills the frame.

    Raises:
        ImageError: the image does not keep the contract.
        RegionError: the method is not known.
    """
    checked = check_image(image)
    if method not in METHODS:
        raise RegionError(f"foreground method {method!r} is unknown: the methods are {', '.join(METHODS)}")
    view = look(checked)
    found = METHODS[method](view)
    mask = np.full(view.shape, 255, dtype=np.uint8) if found.mask is None else to_picture_size(found.mask, view.shape)
    return Foreground(mask, found.confidence, found.method, fills_frame=bool(mask.all()))
