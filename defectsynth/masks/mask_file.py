"""A real mask from a folder of masks, turned, scaled and mirrored, placed so that all of it lies inside the ROI.

For those who have masks of real defects and not their pictures. Idea of NVIDIA's ``paidf-anomalygen``
(``auto_mask_placement``): real masks, augmented within what stays inside an ROI; see ``stencil.py`` and ``fitting.py``.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from defectsynth.banks import Banks
from defectsynth.images import Mask, pieces_of
from defectsynth.masks.base import MASK_PARAMS, MASKS
from defectsynth.masks.stencil import Stencil, StencilParams, piece_of
from defectsynth.rng import Draws

__all__ = ["MaskFile", "MaskFileParams"]


@MASK_PARAMS.register
class MaskFileParams(StencilParams):
    """What was drawn for a mask from a file.

    Attributes:
        name: the mask in its bank.
        hash: first digits of the file's content hash.
        piece: which of its pieces, a number in [0, 1): number ``floor(piece * pieces)``, the largest first; None for all.
    """

    kind: Literal["mask_file"] = "mask_file"
    name: str
    hash: str
    piece: float | None = Field(default=None, ge=0.0, lt=1.0)
    inside: bool = True

    def shape(self, banks: Banks) -> Mask:
        """The whole mask, or the chosen 8-connected piece of it."""
        mask = banks.mask(self.name, self.hash)
        return mask if self.piece is None else piece_of(pieces_of(mask), self.piece, mask.shape)


@MASKS.register
class MaskFile(Stencil):
    """What may be drawn for a mask from a file.

    Attributes:
        folders: which folders of the mask folder are used, with all that lies below them; None takes every file.
        piece: ``each`` draws one of the mask's 8-connected pieces, ``whole`` keeps them together. Chosen: ``each``, since
            real defects are mostly in one piece.
    """

    kind: Literal["mask_file"] = "mask_file"
    folders: tuple[str, ...] | None = None
    piece: Literal["each", "whole"] = "each"
    inside: bool = True
    needs: ClassVar[frozenset[str]] = frozenset({"masks"})

    @model_validator(mode="after")
    def _one_piece(self) -> MaskFile:
        if self.piece == "each" and self.components_range is not None and self.components_range[0] > 1:
            raise ValueError(
                f"components_range {list(self.components_range)}: with 'piece: each' it is one piece of a mask; "
                "begin at 1, or take 'piece: whole'"
            )
        return self

    def check(self, banks: Banks) -> None:
        """See ``MaskSpec.check``."""
        banks.check_mask_folders(self.folders)

    def draw(self, draws: Draws, banks: Banks) -> MaskFileParams:
        """The parameters of one mask."""
        name, content = banks.draw_mask(draws, self.folders)
        return MaskFileParams.drawn(
            name=name,
            hash=content,
            piece=draws.uniform("piece", (0.0, 0.999999)) if self.piece == "each" else None,
            **self.draw_pose(draws),
            **self.draw_controls(draws),
        )
