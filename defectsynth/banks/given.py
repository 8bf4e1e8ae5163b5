"""The banks that a synthesizer was given: what plans draw from them, and what they name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from defectsynth.banks.defects import Defect, DefectBank
from defectsynth.banks.folders import where
from defectsynth.banks.masks import MaskBank
from defectsynth.banks.normals import NormalBank
from defectsynth.banks.textures import TextureBank, TextureImage
from defectsynth.errors import PlanError, SourceError
from defectsynth.images import AnyImage, Mask
from defectsynth.rng import Draws

__all__ = ["PLAN_HASH_DIGITS", "Banks"]


PLAN_HASH_DIGITS = 16
"""Digits of a content hash that a plan keeps: 64 bits."""

BankT = TypeVar("BankT")


@dataclass(frozen=True, slots=True)
class Banks:
    """The sources that a synthesizer was given; None where none was."""

    textures: TextureBank | None = None
    defects: DefectBank | None = None
    normals: NormalBank | None = None
    masks: MaskBank | None = None

    def texture_bank(self) -> TextureBank:
        """The textures.

        Raises:
            PlanError: none were given.
        """
        return _given(self.textures, "textures", "textures=FOLDER (--textures FOLDER, or builtin:all)")

    def defect_bank(self) -> DefectBank:
        """The real defects.

        Raises:
            PlanError: none were given.
        """
        return _given(self.defects, "real defects", "defects=FOLDER (--defects FOLDER)")

    def normal_bank(self) -> NormalBank:
        """The other normal pictures.

        Raises:
            PlanError: none were given.
        """
        return _given(self.normals, "other normal pictures", "normals=FOLDER")

    def mask_bank(self) -> MaskBank:
        """The masks.

        Raises:
            PlanError: none were given.
        """
        return _given(self.masks, "masks from files", "masks=FOLDER (--masks FOLDER)")

    def check_mask_folders(self, folders: tuple[str, ...] | None) -> None:
        """Raises ``SourceError`` for a folder that the mask bank does not have."""
        bank = self.mask_bank()
        for folder in folders or ():
            if folder not in bank.folders:
                raise SourceError(f"mask folder {folder!r} is not in {where(bank.root)}: it has {', '.join(bank.folders)}")

    def draw_mask(self, draws: Draws, folders: tuple[str, ...] | None) -> tuple[str, str]:
        """A mask's name and the first digits of its content hash: every mask below these folders as likely."""
        bank = self.mask_bank()
        names = [name for name in bank.names if _is_below(name, folders)] if folders else bank.names
        name = names[draws.integer("name", (0, len(names) - 1))]
        return name, bank.hash_of(name)[:PLAN_HASH_DIGITS]

    def mask(self, name: str, expected_hash: str) -> Mask:
        """A mask that a plan names, ``(H, W)`` 0 or 255; it must not have changed."""
        found = self.mask_bank().load(name)
        _check_hash("mask", name, found.hash, expected_hash)
        return found.mask

    def draw_normal(self, draws: Draws) -> tuple[str, str]:
        """A normal picture's name and the first digits of its content hash, every one as likely."""
        bank = self.normal_bank()
        name = bank.names[draws.integer("name", (0, len(bank) - 1))]
        return name, bank.hash_of(name)[:PLAN_HASH_DIGITS]

    def normal(self, name: str, expected_hash: str, shape: tuple[int, int]) -> AnyImage:
        """A normal picture that a plan names, brought to ``shape``, ``(H, W, C)`` in its own type; it must not have changed."""
        found = self.normal_bank().fitted(name, shape)
        _check_hash("normal picture", name, found.hash, expected_hash)
        return found.image if found.image.ndim == 3 else found.image[:, :, None]

    def normal_foreground(self, name: str, shape: tuple[int, int], method: str) -> Mask:
        """The product in a normal picture that was brought to ``shape``, ``(H, W)`` 0 or 255."""
        return self.normal_bank().fitted(name, shape).foreground(method)

    def draw_texture(self, draws: Draws) -> tuple[str, str]:
        """A texture's name and the first digits of its content hash, every one as likely."""
        bank = self.texture_bank()
        name = bank.names[draws.integer("name", (0, len(bank) - 1))]
        return name, bank.hash_of(name)[:PLAN_HASH_DIGITS]

    def check_defect_kinds(self, kinds: tuple[str, ...] | None) -> None:
        """Raises ``SourceError`` for a kind that the defect bank does not have."""
        bank = self.defect_bank()
        for kind in kinds or ():
            if kind not in bank.kinds:
                raise SourceError(f"defect kind {kind!r} is not in {where(bank.root)}: it has {', '.join(bank.kinds)}")

    def draw_defect(self, draws: Draws, kinds: tuple[str, ...] | None) -> tuple[str, str]:
        """A defect's name and the first digits of its content hash: every kind as likely, then every picture of it."""
        bank = self.defect_bank()
        wanted = list(kinds) if kinds else bank.kinds
        kind = wanted[draws.integer("kind", (0, len(wanted) - 1))]
        names = bank.names_of(kind)
        name = names[draws.integer("name", (0, len(names) - 1))]
        return name, bank.hash_of(name)[:PLAN_HASH_DIGITS]

    def defect(self, name: str, expected_hash: str) -> Defect:
        """A defect that a plan names; its picture must be the one that the plan was drawn from."""
        defect = self.defect_bank().load(name)
        _check_hash("defect", name, defect.hash, expected_hash)
        return defect

    def defect_foreground(self, name: str, expected_hash: str) -> Mask | None:
        """The product in the picture of a defect that a plan names; None where it is not certain."""
        return self.defect(name, expected_hash).foreground

    def texture(self, name: str, expected_hash: str, shape: tuple[int, int]) -> TextureImage:
        """A texture that a plan names, at most as large as ``shape``; it must be the one that the plan was drawn from."""
        texture = self.texture_bank().fitted(name, shape)
        _check_hash("texture", name, texture.hash, expected_hash)
        return texture

    def smooth_texture(self, name: str, shape: tuple[int, int]) -> TextureImage:
        """The smooth copy of the same."""
        return self.texture_bank().smooth(name, shape)


def _given(bank: BankT | None, what: str, way: str) -> BankT:
    if bank is None:
        raise PlanError(f"this plan uses {what} and none were given: pass {way}")
    return bank


def _check_hash(what: str, name: str, found: str, expected: str) -> None:
    if not found.startswith(expected):
        raise PlanError(
            f"{what} {name!r} has changed since the plan was drawn (hash {found[:16]}, was {expected}): restore the file"
        )


def _is_below(name: str, folders: tuple[str, ...]) -> bool:
    return any(name.startswith(f"{folder}/") for folder in folders)
