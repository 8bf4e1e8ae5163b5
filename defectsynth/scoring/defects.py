"""The defects of a folder, each reduced to what a score needs of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from defectsynth.errors import InputError
from defectsynth.formats.mvtec import LabelledPicture, read_defects, read_labelled
from defectsynth.scoring.copies import examples_of, together
from defectsynth.scoring.recurring import Print, fingerprint, group_alike
from defectsynth.scoring.shape import shape_features
from defectsynth.scoring.two_sample import shuffled
from defectsynth.scoring.views import View, cut_view
from defectsynth.statistics import measure_defect

__all__ = ["Defect", "DefectSet", "read_set"]

Progress = Callable[[int, int], None]
Copies = Literal["together", "apart"]

_LOSSY = frozenset({".jpg", ".jpeg", ".webp"})


@dataclass(frozen=True, slots=True)
class Defect:
    """One labelled defect.

    Attributes:
        picture: its files.
        measures: by name (``statistics.MEASURES``).
        shape: ``shape_features`` of its mask.
        view: the square around it.
        known_by: what it is known again by.
        size: (height, width) of the whole picture.
        coloured: whether its channels differ anywhere in the view.
    """

    picture: LabelledPicture
    measures: dict[str, float]
    shape: npt.NDArray[np.float64]
    view: View
    known_by: Print
    size: tuple[int, int]
    coloured: bool

    @property
    def lossy(self) -> bool:
        """Whether the picture's file was compressed with loss."""
        return self.picture.image.suffix.lower() in _LOSSY


@dataclass(frozen=True, slots=True)
class DefectSet:
    """The defects of one folder.

    Attributes:
        root: the folder.
        found: how many it holds, of the kinds that were asked for.
        defects: those that are used.
        groups: ``(n,)`` int64; defects of one number are one and the same defect.
    """

    root: Path
    found: int
    defects: tuple[Defect, ...]
    groups: npt.NDArray[np.int64]

    @property
    def distinct(self) -> int:
        """How many different defects there are."""
        return int(self.groups.max()) + 1

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of the defects that are used, sorted."""
        return tuple(sorted({defect.picture.kind for defect in self.defects}))

    @property
    def side(self) -> float:
        """Median over the pictures of the square root of their area, in pixels."""
        return float(np.median([np.sqrt(defect.size[0] * defect.size[1]) for defect in self.defects]))

    def measure(self, name: str) -> npt.NDArray[np.float64]:
        """``(n,)`` float64: one measure of every defect."""
        return np.array([defect.measures[name] for defect in self.defects])

    def name_of(self, defect: Defect) -> str:
        """The path of a defect's picture within the folder."""
        return defect.picture.image.relative_to(self.root).as_posix()


def read_set(
    root: Path,
    kinds: Sequence[str] | None,
    at_most: int,
    seed: int,
    tag: int,
    progress: Progress | None = None,
    copies: Copies = "apart",
) -> DefectSet:
    """The defects of a folder in the MVTec AD layout; of more than ``at_most`` a part, drawn by ``seed`` and ``tag``.

    With ``copies="together"`` those that were made from one real example count as one defect (``copies.py``).

    Raises:
        InputError: a kind that was asked for is not there.
        ImageError: the folder holds no defects, a file cannot be read, a mask is empty or of another size than its picture.
    """
    pictures = _of_kinds(read_defects(root), kinds, root)
    chosen = sorted(shuffled(len(pictures), seed, tag)[:at_most].tolist())
    defects: list[Defect] = []
    for number in chosen:
        defects.append(_reduced(pictures[number]))
        if progress is not None:
            progress(len(defects), len(chosen))
    found = DefectSet(root, len(pictures), tuple(defects), group_alike([defect.known_by for defect in defects]))
    if copies == "apart":
        return found
    examples = examples_of(root, [found.name_of(defect) for defect in found.defects])
    return replace(found, groups=together(found.groups, examples))


def _of_kinds(pictures: list[LabelledPicture], kinds: Sequence[str] | None, root: Path) -> list[LabelledPicture]:
    if kinds is None:
        return pictures
    there = sorted({picture.kind for picture in pictures})
    unknown = sorted(set(kinds) - set(there))
    if unknown or not kinds:
        raise InputError(f"dataset {str(root)!r} has no defects of the kinds {unknown}: it has {', '.join(there)}")
    return [picture for picture in pictures if picture.kind in kinds]


def _reduced(picture: LabelledPicture) -> Defect:
    image, mask = read_labelled(picture)
    view = cut_view(image, mask)
    return Defect(
        picture=picture,
        measures=measure_defect(image, mask),
        shape=shape_features(mask),
        view=view,
        known_by=fingerprint(picture.kind, mask, view),
        size=(mask.shape[0], mask.shape[1]),
        coloured=bool(np.ptp(view.rgb, axis=2).any()),
    )
