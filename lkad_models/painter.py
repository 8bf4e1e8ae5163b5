"""What defects a detector learns from are painted with, and that none of them is in its own test set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from defectsynth import AnomalySynthesizer
from defectsynth.banks import DefectBank
from defectsynth.errors import LeakageError
from defectsynth.formats.mvtec import datasets_below
from defectsynth.recipe import ForegroundRule, Recipe, load_recipe
from lkad_models.stream import Stream

__all__ = ["HASH_DIGITS", "NORMAL_FRACTION", "Painter", "Protocol"]

Protocol = Literal["honest", "leaky"]
"""``honest``: real defects are those of other products, and one that shares a picture with the test set is refused.
``leaky``: defects of the product's own test set may be learned from. Some published figures are of this kind; it says nothing
about defects that nobody has seen."""
NORMAL_FRACTION = 0.5
"""Of the samples for training, where the recipe has none. DRAEM: 0.5."""
HASH_DIGITS = 16
"""Of a picture's content hash, in the configuration of a run."""


@dataclass(frozen=True, slots=True)
class Painter:
    """A recipe and what it draws from.

    Attributes:
        recipe: a preset or a file.
        textures, masks: as ``AnomalySynthesizer`` takes them.
        defects: a folder of real defects in the MVTec AD layout, or a folder of such folders; the product of ``data`` is left
            out of the latter, unless the protocol is ``leaky``.
        settings: changes to the recipe, as ``--set`` takes them.
        data: the product's own dataset: its ``train/good`` gives the recipes that need them other normal pictures, and
            its ``test`` must stay unseen.
        exclude: more folders whose pictures no source may share.
        protocol: see ``Protocol``.
    """

    recipe: str = "industrial"
    textures: str | None = None
    defects: str | None = None
    masks: str | None = None
    settings: tuple[str, ...] = ()
    data: Path | None = None
    exclude: tuple[Path, ...] = ()
    protocol: Protocol = "honest"

    @classmethod
    def of_training(cls, said: Mapping[str, Any]) -> Painter:
        """That of a training run, by what its configuration says; the default where it says nothing."""
        if "recipe" not in said:
            return cls()
        textures, defects, masks = (
            None if said.get(key) is None else str(said[key]) for key in ("textures", "defects", "masks")
        )
        return cls(
            str(said["recipe"]),
            textures,
            defects,
            masks,
            tuple(str(one) for one in said.get("settings", ())),
            None if said.get("data") is None else Path(said["data"]),
            tuple(Path(one) for one in said.get("exclude", ())),
            said.get("protocol", "honest"),
        )

    def synthesizer(self, seed: int) -> AnomalySynthesizer:
        """One that paints a defect into every picture."""
        recipe = self._recipe().model_copy(update={"normal_fraction": 0.0})
        return AnomalySynthesizer(recipe, textures=self.textures, masks=self.masks, seed=seed, **self._guarded(recipe))

    def stream(self, seed: int, device: torch.device | str) -> Stream:
        """The samples for training; a recipe whose every sample has a defect gets normal ones (``NORMAL_FRACTION``): a detector
        that has never seen a good part finds a defect in each.

        Raises:
            LeakageError: a source shares a picture with the test set or an excluded one.
        """
        recipe = self._recipe()
        if recipe.normal_fraction == 0.0:
            recipe = recipe.model_copy(update={"normal_fraction": NORMAL_FRACTION})
        return Stream(recipe, textures=self.textures, masks=self.masks, seed=seed, device=device, **self._guarded(recipe))

    @property
    def foreground(self) -> ForegroundRule:
        """How it is found where defects may lie."""
        return self._recipe().foreground

    def learned(self) -> tuple[str, ...]:
        """The first digits of the content hash of every real defect that is drawn from, so that an evaluation knows them.

        Everything that is drawn from is opened for it: what is wrong with it is said before anything is trained.

        Raises:
            InputError: something is missing, or cannot be used.
            LeakageError: a defect is in the test set, and the protocol is ``honest``; or a source is in an excluded folder.
        """
        try:
            banks = self.synthesizer(0).banks
        except LeakageError as error:
            way_out = "; or say --protocol leaky, and every result is marked so" if self.protocol == "honest" else ""
            raise LeakageError(f"{error}{way_out}") from None
        if banks.defects is None:
            return ()
        return tuple(sorted({banks.defects.hash_of(name)[:HASH_DIGITS] for name in banks.defects.names}))

    def _recipe(self) -> Recipe:
        return load_recipe(self.recipe).with_settings(list(self.settings))

    def _guarded(self, recipe: Recipe) -> dict[str, Any]:
        """What depends on the product's own data."""
        bank = self._bank(recipe)
        normals = None if self.data is None or "normals" not in recipe.needs else self.data / "train" / "good"
        unseen = list(self.exclude)
        if bank is not None and self.protocol == "honest" and self.data is not None and (self.data / "test").is_dir():
            unseen.append(self.data / "test")
        return {"defects": bank, "normals": normals, "exclude": unseen}

    def _bank(self, recipe: Recipe) -> DefectBank | None:
        if self.defects is None or "defects" not in recipe.needs:
            return None
        root, own = Path(self.defects), None if self.data is None else self.data.resolve()
        omit = [name for name, folder in datasets_below(root).items() if name and folder.resolve() == own]
        return DefectBank(root, omit=() if self.protocol == "leaky" else omit)
