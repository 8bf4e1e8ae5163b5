"""A picture while its defects are painted, one after the other: its pixels, their degree of anomaly, and whose they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.compiled import loops
from defectsynth.images import AnyImage, Mask, as_mask, full_scale, scatter
from defectsynth.labels import add_degree
from defectsynth.sample import AnomalySample

if TYPE_CHECKING:
    from defectsynth.plan import Plan

__all__ = ["Painting", "copied"]

Positions = npt.NDArray[np.intp]


@dataclass(slots=True)
class Painting:
    """What the defects of one picture are painted into.

    Attributes:
        image: a copy of the picture, of its shape.
        degree: ``(H, W)`` float32 in [0, 1].
        kinds: ``(H, W)`` uint8: the number of the defect that lies on top, from 1; 0 for none.
        positions: the pixels of each defect, in the order in which they were painted.
        touched: all pixels that were painted, those that do not belong to a defect with them.
        relabelled: whether pixels were taken from their defects afterwards.
    """

    image: AnyImage
    degree: npt.NDArray[np.float32]
    kinds: npt.NDArray[np.uint8]
    positions: dict[int, Positions]
    touched: list[Positions] = field(default_factory=list)
    relabelled: bool = False

    @classmethod
    def of(cls, image: AnyImage, out: AnyImage | None = None) -> Painting:
        """A picture without defects; its pixels are copied to ``out``, or to a new array."""
        shape = image.shape[:2]
        return cls(copied(image, out), np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.uint8), {})

    @property
    def planes(self) -> AnyImage:
        """``(H, W, C)``: the picture; written to through it."""
        return self.image if self.image.ndim == 3 else self.image[:, :, None]

    @property
    def flat(self) -> AnyImage:
        """``(H W, C)``: its pixels row by row; written to through it."""
        return self.planes.reshape(-1, self.planes.shape[2])

    def add(self, positions: Positions, values: AnyImage, degree: npt.NDArray[np.float32], number: int) -> None:
        """Paints one more defect.

        Args:
            positions: ``(n,)``: its pixels, counted row by row.
            values: ``(n, C)``: what they become.
            degree: ``(n,)`` in [0, 1]; one that is 0 is painted, but does not belong to the defect.
            number: of the defect, from 1.
        """
        self.touched.append(positions)
        if self._paint(positions, values, degree, number):
            positions = positions[degree > 0]
        self.positions[number] = positions

    def _paint(self, positions: Positions, values: AnyImage, degree: npt.NDArray[np.float32], number: int) -> bool:
        """Whether some of the pixels do not belong to the defect."""
        degrees, kinds = self.degree.reshape(-1), self.kinds.reshape(-1)
        compiled = loops()
        if compiled is not None:
            return compiled.deposit(self.flat, degrees, kinds, positions, values, degree, number, not self.positions) > 0
        scatter(self.flat, positions, values)
        belongs = degree > 0
        some_do_not = not belongs.all()
        if some_do_not:
            positions, degree = positions[belongs], degree[belongs]
        degrees[positions] = add_degree(degrees.take(positions), degree) if self.positions else degree
        kinds[positions] = number
        return some_do_not

    def give_back(self, normal: AnyImage, kept: npt.NDArray[np.bool_]) -> None:
        """Gives the pixels that are not ``kept``, ``(H, W)``, the product's value again; they belong to no defect then."""
        for positions in self.touched:
            lost = positions[~kept.reshape(-1).take(positions)]
            if lost.size:
                scatter(self.flat, lost, normal.reshape(self.flat.shape).take(lost, axis=0))
                self.kinds.reshape(-1)[lost] = 0
        self.relabelled = True

    def limit_outside(self, normal: AnyImage, most: float, white: int | None) -> None:
        """Brings the pixels that were painted but belong to no defect to within ``most``, of full scale, of the product."""
        painted = np.concatenate(self.touched) if self.touched else np.zeros(0, dtype=np.intp)
        outside = painted[self.kinds.reshape(-1).take(painted) == 0]
        before, after = normal.reshape(self.flat.shape).take(outside, axis=0), self.flat.take(outside, axis=0)
        if normal.dtype == np.float32:
            limited = np.clip(after, np.maximum(before - np.float32(most), 0.0), np.minimum(before + np.float32(most), 1.0))
        else:
            levels = np.int32(most * (white or full_scale(normal.dtype)))  # rounded down: never more than was said
            wide = before.astype(np.int32)
            limited = np.clip(after.astype(np.int32), wide - levels, wide + levels)
        scatter(self.flat, outside, limited.astype(normal.dtype))

    def pixels_of(self, number: int) -> Positions:
        """``(n,)``: the pixels of a defect that still are its own, row by row."""
        positions = self.positions.get(number)
        if positions is None:
            return np.zeros(0, dtype=np.intp)
        if len(self.positions) == 1 and not self.relabelled:
            return positions
        return positions[self.kinds.reshape(-1).take(positions) == number]

    def mask_of(self, number: int) -> Mask:
        """``(H, W)`` uint8, 0 or 255: the same as a mask."""
        return as_mask(self.kinds == number)

    def sample(self, normal: AnyImage, plan: Plan) -> AnomalySample:
        """The finished sample of a plan, painted on ``normal``."""
        mask = np.asarray(cv2.threshold(self.kinds, 0, 255, cv2.THRESH_BINARY)[1], dtype=np.uint8)
        return AnomalySample(self.image, mask, self.degree, normal, plan, self.kinds)


def copied(image: AnyImage, out: AnyImage | None) -> AnyImage:
    """A copy, row by row in memory; in ``out`` where that is given."""
    if out is None:
        return np.array(image, order="C")
    np.copyto(out, image)
    return out
