"""A patch of another normal picture as the source: from the same place (FPI, PII) or from any place on the object (NSA).

Sources: Tan et al., *FPI*, 2020, ``jemtan/FPI`` ``self_sup_task.py``, and ``jemtan/PII`` ``self_sup_task_poisson.py``: the same
coordinates of another picture. Schlueter et al., *NSA*, ECCV 2022, ``hmsch/natural-synthetic-anomalies``
``self_sup_data/self_sup_tasks.py``: a patch from anywhere in another picture, at least 25 % of it object, resized by N(1, 0.5)
clipped to [0.7, 1.3]; where 200 tries find none, it paints nothing. Here the places that hold enough object are counted, so one
of them is found at once, and where there is none the best is taken.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field, model_validator

from defectsynth.banks import Banks
from defectsynth.errors import SourceError
from defectsynth.images import AnyImage, Mask, convert
from defectsynth.masks.base import MaskParams
from defectsynth.rng import Draws
from defectsynth.site import Site
from defectsynth.sources.base import SOURCE_PARAMS, SOURCES
from defectsynth.sources.cutting import Cut, CutParams, Place, Size, corner_of, draw_place, window_at
from defectsynth.spec import PositiveRange

__all__ = ["Normal", "NormalParams"]


@SOURCE_PARAMS.register
class NormalParams(CutParams):
    """What was drawn for a patch of another normal picture.

    Attributes:
        name: the picture in its bank.
        hash: first digits of its content hash.
        place: where the patch is cut out; None for where the defect is.
        scale: magnification of the patch.
        min_object: smallest share of the patch, before it is magnified, that is object.
    """

    kind: Literal["normal"] = "normal"
    name: str
    hash: str
    place: Place | None = None
    scale: float = Field(default=1.0, gt=0.0, le=100.0)
    min_object: float = Field(default=0.0, ge=0.0, le=1.0)

    def render(self, site: Site) -> AnyImage:
        """``(h, w, C)`` of the picture's type; bit for bit where both have that type and nothing but the place was drawn.

        Raises:
            PlanError: the bank has no such picture, or it has changed.
            SourceError: it has values above the product's white.
        """
        picture = site.banks.normal(self.name, self.hash, site.shape)
        white = site.white if picture.dtype == np.uint16 else None
        if white is not None and picture.max() > white:
            raise SourceError(
                f"normal picture {self.name!r} has values up to {picture.max()} but white is {white:g}: give a larger one"
            )
        size = self.window_size(site, self.scale)
        window = picture[window_at(self._corner(size, site), size)]
        return self.fill(convert(window, site.image.dtype, site.image.shape[2], white=white, to_white=site.white), site)

    def _corner(self, size: Size, site: Site) -> Size:
        """(top, left) of the window in the other picture."""
        if self.place is None:
            top, left, bottom, right = site.box
            free = site.shape[0] - size[0], site.shape[1] - size[1]
            return min(max(0, (top + bottom - size[0]) // 2), free[0]), min(max(0, (left + right - size[1]) // 2), free[1])
        if self.min_object == 0.0:
            return corner_of(self.place, size, site.shape)
        method = "auto" if site.foreground == "given" else site.foreground
        product = site.banks.normal_foreground(self.name, site.shape, method)
        return _corner_on_object(product, size, self.min_object, self.place)


@SOURCES.register
class Normal(Cut):
    """A patch of another normal picture, every one as likely; it may be the picture that is painted on.

    Attributes:
        at: ``any_place`` cuts it out anywhere (NSA), ``same_place`` where the defect is (FPI, PII).
        scale_range: magnification of the patch. FPI, PII: 1. NSA: [0.7, 1.3].
        scale_normal: (mean, deviation): a normal distribution, clipped to ``scale_range``, in place of a uniform one. NSA:
            (1, 0.5).
        min_object: smallest share of the patch, before it is magnified, that is object; where no place has that much, the place
            that has most. 0 takes any place. NSA: 0.25, of other classes up to 0.7.
        rotation_range, turn_with_mask: see ``cutting.py``. Published: none.
        flip_probability: Published: 0.
        jitter: see ``jitter.py``. Published: none.
    """

    kind: Literal["normal"] = "normal"
    at: Literal["any_place", "same_place"] = "any_place"
    scale_range: PositiveRange = (1.0, 1.0)
    scale_normal: tuple[float, float] | None = None
    min_object: float = Field(default=0.0, ge=0.0, le=1.0)
    needs: ClassVar[frozenset[str]] = frozenset({"normals"})

    @model_validator(mode="after")
    def _consistent(self) -> Normal:
        if self.scale_range[1] > 100.0:
            raise ValueError(f"scale_range {list(self.scale_range)}: a patch is magnified at most 100 times")
        if self.scale_normal is not None and self.scale_normal[1] <= 0:
            raise ValueError(f"scale_normal {list(self.scale_normal)}: the second number is a deviation, above 0")
        if self.at == "same_place" and self.min_object > 0:
            raise ValueError(f"min_object {self.min_object:g} chooses the place: leave it out, or set at to any_place")
        return self

    def draw(self, draws: Draws, banks: Banks, mask: MaskParams) -> NormalParams:
        """The parameters of one patch."""
        name, content = banks.draw_normal(draws)
        place = draw_place(draws) if self.at == "any_place" else None
        drawn = {"name": name, "hash": content, "place": place, "scale": self._draw_scale(draws), "min_object": self.min_object}
        return NormalParams.drawn(**{**drawn, **self.draw_cut(draws, mask)})

    def _draw_scale(self, draws: Draws) -> float:
        if self.scale_normal is None:
            return draws.uniform("scale", self.scale_range)
        return draws.normal("scale", self.scale_normal, self.scale_range)


def _corner_on_object(mask: Mask, size: Size, share: float, place: Place) -> Size:
    """(top, left) of a window with at least ``share`` of object: ``place`` among all such windows, each as likely."""
    height, width = size
    sums = cv2.integral((mask != 0).view(np.uint8))
    pixels = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    allowed = pixels >= min(share * height * width, int(pixels.max()))
    up_to_row = np.cumsum(np.count_nonzero(allowed, axis=1))
    row = int(np.searchsorted(up_to_row, place[0] * float(up_to_row[-1]), side="right"))
    columns = np.flatnonzero(allowed[row])
    return row, int(columns[int(place[1] * columns.size)])
