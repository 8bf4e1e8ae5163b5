"""The outline of a real defect, turned, scaled and set down somewhere on the ROI.

Choice of Peng et al. (Sensors 2024, 24, 264): real defects placed on the foreground after an affine transformation. How they
are scaled and placed is not stated; see ``stencil.py`` for what is chosen here.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from defectsynth.banks import Banks, Defect
from defectsynth.images import Mask
from defectsynth.masks.base import MASK_PARAMS, MASKS
from defectsynth.masks.placement import axis_of
from defectsynth.masks.stencil import Stencil, StencilParams, piece_of
from defectsynth.rng import Draws

__all__ = ["Outline", "OutlineParams"]


@MASK_PARAMS.register
class OutlineParams(StencilParams):
    """What was drawn for the outline of a real defect.

    Attributes:
        name: the defect in its bank.
        hash: first digits of its picture's content hash.
        piece: which of its pieces, a number in [0, 1): ``floor(piece * pieces)``, the largest first; None for all of them.
    """

    sizes_itself: ClassVar[bool] = True

    kind: Literal["outline"] = "outline"
    name: str
    hash: str
    piece: float | None = Field(default=None, ge=0.0, lt=1.0)

    def shape(self, banks: Banks) -> Mask:
        """See ``mask_of_piece``."""
        return self.mask_of_piece(banks.defect(self.name, self.hash))

    def surroundings(self, banks: Banks) -> Mask | None:
        """The foreground of the defect's picture."""
        return banks.defect_foreground(self.name, self.hash)

    def mask_of_piece(self, defect: Defect) -> Mask:
        """The chosen 8-connected piece of the defect's mask, or the whole, the size of its picture."""
        return defect.mask if self.piece is None else piece_of(defect.pieces, self.piece, defect.mask.shape)


@MASKS.register
class Outline(Stencil):
    """What may be drawn for the outline of a real defect.

    Attributes:
        kinds: which of the bank's kinds (folders below ``ground_truth``) are used; None takes all.
        piece: ``each`` draws one of the defect's 8-connected pieces, ``whole`` keeps them together.
        aligned: whether the defect keeps its direction to the product: where the foreground of its own picture and the ROI are
            both long, it is also turned from the one's axis to the other's.
        alike: share of the places that is used: those where the ROI's edge runs most as the product's did around the defect
            in its own picture (a missing tip belongs at the tip); 1 uses all. Not used with ``inside``.
    """

    kind: Literal["outline"] = "outline"
    kinds: tuple[str, ...] | None = None
    piece: Literal["each", "whole"] = "each"
    aligned: bool = False
    alike: float = Field(default=1.0, gt=0.0, le=1.0)
    needs: ClassVar[frozenset[str]] = frozenset({"defects"})

    @model_validator(mode="after")
    def _one_piece(self) -> Outline:
        if self.piece == "each" and self.components_range is not None and self.components_range[0] > 1:
            raise ValueError(
                f"components_range {list(self.components_range)}: an outline is one piece of a defect; "
                "begin at 1, or take 'piece: whole'"
            )
        return self

    def check(self, banks: Banks) -> None:
        """See ``MaskSpec.check``."""
        banks.check_defect_kinds(self.kinds)

    def draw(self, draws: Draws, banks: Banks) -> OutlineParams:
        """The parameters of one outline."""
        name, content = banks.draw_defect(draws, self.kinds)
        return OutlineParams.drawn(
            name=name,
            hash=content,
            piece=draws.uniform("piece", (0.0, 0.999999)) if self.piece == "each" else None,
            axis=_direction(banks.defect_foreground(name, content)) if self.aligned else None,
            alike=self.alike,
            **self.draw_pose(draws),
            **self.draw_controls(draws),
        )


def _direction(foreground: Mask | None) -> float | None:
    """Degrees of a foreground's axis; None where it is round, or not known."""
    axis = None if foreground is None else axis_of(foreground)
    return None if axis is None else axis.angle
