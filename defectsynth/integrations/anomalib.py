"""anomalib: a generator of anomalies for its models, and synthetic validation and test splits for its data modules."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from defectsynth.errors import InputError
from defectsynth.extras import needed
from defectsynth.formats.mvtec import mask_path, write_mvtec
from defectsynth.synthesizer import AnomalySynthesizer

_WHAT = "the anomalib integration"
torch = needed("torch", "torch", _WHAT)
v2 = needed("torchvision.transforms.v2", "torch", _WHAT)
_torchvision = needed("defectsynth.integrations.torchvision", "torch", _WHAT)
_tensors = needed("defectsynth.integrations.tensors", "torch", _WHAT)

if TYPE_CHECKING:
    from torch import Tensor

    from defectsynth.integrations.tensors import Synthesizer

__all__ = ["AnomalyGenerator", "synthetic_split"]

Split = Literal["val", "test"]
SPLITS: tuple[Split, ...] = ("val", "test")


class AnomalyGenerator(v2.Transform):  # type: ignore[misc, name-defined]
    """What anomalib's ``PerlinAnomalyGenerator`` is to its models, painting a recipe of ours.

    ``model = Draem(dtd_dir=folder); model.augmenter = AnomalyGenerator(synthesizer)``; likewise ``model.model.augmentor`` of
    ``Glass``, with ``probability=1.0``.

    Args:
        synthesizer: a ``BatchSynthesizer`` on the device of the training paints a batch at once; an ``AnomalySynthesizer`` one
            picture after the other, on the CPU.
        probability: how likely each picture is painted.

    Raises:
        InputError: an argument is none of these.
    """

    def __init__(self, synthesizer: Synthesizer, probability: float = 0.5) -> None:
        super().__init__()
        self.probability = _tensors.check_probability("probability", probability)
        self._pair = _torchvision.SynthesizeAnomalyPair(synthesizer, p=self.probability)

    def forward(self, img: Tensor) -> tuple[Tensor, Tensor]:
        """The images with defects, and their masks ``(1, H, W)`` or ``(B, 1, H, W)`` float32 of 0 and 1.

        Args:
            img: ``(C, H, W)`` or ``(B, C, H, W)``, floats in [0, 1].

        Raises:
            ImageError: they lie outside [0, 1], as normalised ones do.
            DefectSynthError: whatever the synthesizer raises.
        """
        augmented, mask = self._pair(img)
        return augmented, mask.as_subclass(torch.Tensor)


def synthetic_split(
    datamodule: Any,
    synthesizer: AnomalySynthesizer,
    folder: str | Path,
    *,
    which: Iterable[Split] = SPLITS,
    anomalous_fraction: float = 0.5,
    held_out: float = 0.2,
) -> None:
    """Gives a data module of anomalib a validation split, a test split, or both, painted from a recipe.

    They are made of normal pictures that no other split has: those of the splits that are replaced, which two share in turn.
    Where these have too few, pictures are taken out of the training split. The picture at position ``i`` of all of them, sorted
    by path, becomes sample ``i``: the same pictures and synthesizer give the same files.

    Args:
        datamodule: of pictures; it is set up if it was not, and the ``Trainer`` does not set it up again.
        synthesizer: what paints.
        folder: where painted pictures and their masks are written, in the MVTec AD layout, by names that begin with
            ``synthetic``. They are read during validation and test, and stay.
        which: the splits that are replaced.
        anomalous_fraction: how many pictures of a split are painted, evenly spread; the others are the normal files themselves.
        held_out: how many of the training pictures are taken, evenly spread, where the splits have too few.

    Raises:
        InputError: an argument is none of these, or there are too few normal pictures.
        StorageError: a picture cannot be written.
        DefectSynthError: whatever the synthesizer raises.
    """
    splits = _checked(datamodule, which)
    if not isinstance(synthesizer, AnomalySynthesizer):
        raise InputError(f"synthesizer is a {type(synthesizer).__name__}: give an AnomalySynthesizer, which paints any size")
    _tensors.check_probability("anomalous_fraction", anomalous_fraction)
    _tensors.check_probability("held_out", held_out)
    folder = Path(folder).resolve()
    if not any(hasattr(datamodule, f"{split}_data") for split in ("train", *SPLITS)):
        datamodule.prepare_data()
        datamodule.setup()
    normals, taken = _normal_pictures(datamodule, splits, 1 if anomalous_fraction in (0.0, 1.0) else 2, held_out)
    _check_folder(folder, [*_paths(datamodule, "train"), *normals])
    found = {}
    for place, split in enumerate(splits):
        own = list(enumerate(normals))[place :: len(splits)]
        painted = _evenly(len(own), _share(len(own), anomalous_fraction))
        rows = [
            _painted(synthesizer, path, position, folder, split) if number in painted else _row(path, "normal", "", split)
            for number, (position, path) in enumerate(own)
        ]
        found[f"{split}_data"] = _dataset(datamodule, rows, split)
    if taken:
        rest = ~datamodule.train_data.samples.image_path.astype(str).isin(taken)
        datamodule.train_data = datamodule.train_data.subsample(rest.to_numpy().nonzero()[0].tolist())
    vars(datamodule).update(found)
    datamodule._is_setup = True  # or the Trainer's setup() splits anew, and drops these


def _checked(datamodule: Any, which: Iterable[Split]) -> list[Split]:
    """The splits, in the order of ``SPLITS``."""
    modules = needed("anomalib.data.datamodules.base", "anomalib", _WHAT)
    if not isinstance(datamodule, modules.AnomalibDataModule) or isinstance(datamodule, modules.AnomalibVideoDataModule):
        raise InputError(
            f"datamodule is a {type(datamodule).__name__}: give one of anomalib's data modules of pictures, such as Folder or "
            "MVTecAD"
        )
    wanted = [which] if isinstance(which, str) else list(which)
    if not wanted or not set(wanted) <= set(SPLITS):
        raise InputError(f"which is {which!r}: give {' or '.join(map(repr, SPLITS))}, or both")
    return [split for split in SPLITS if split in wanted]


def _paths(datamodule: Any, split: str, *, normal: bool = False) -> list[str]:
    """The picture files of a split, all or the normal ones, sorted; none where there is no such split."""
    data = getattr(datamodule, f"{split}_data", None)
    if data is None:
        return []
    if "depth_path" in data.samples:
        raise InputError(
            f"the {split} split of {type(datamodule).__name__} has depth maps, which would not show what is painted: give a "
            "data module of pictures alone"
        )
    samples = data.samples[data.samples.label_index == 0] if normal else data.samples
    return sorted(str(path) for path in samples.image_path)


def _normal_pictures(datamodule: Any, splits: list[Split], least: int, held_out: float) -> tuple[list[str], list[str]]:
    """Normal pictures for the splits, ``least`` or more for each, sorted; and those of them that leave the training split."""
    kept = {path for split in SPLITS if split not in splits for path in _paths(datamodule, split)}
    seen = {*kept, *_paths(datamodule, "train")}
    found = {path for split in splits for path in _paths(datamodule, split, normal=True)} - seen
    if len(found) >= least * len(splits):
        return sorted(found), []
    normals = [path for path in _paths(datamodule, "train", normal=True) if path not in kept]
    count = max(least * len(splits), round(held_out * len(normals)))
    if count >= len(normals):
        raise InputError(
            f"{count} of the {len(normals)} normal pictures in the training split are to be held out (held_out {held_out:g}), "
            "and none would be left: give more pictures, or a lower held_out"
        )
    taken = [normals[position] for position in sorted(_evenly(len(normals), count))]
    return sorted({*found, *taken}), taken


def _check_folder(folder: Path, pictures: list[str]) -> None:
    parents = {Path(path).resolve().parent for path in pictures}
    if any(parent.is_relative_to(folder) or folder.is_relative_to(parent) for parent in parents):
        raise InputError(
            f"folder {str(folder)!r} holds pictures of the data module, or lies among them: give a folder of its own"
        )


def _share(count: int, fraction: float) -> int:
    """How many of ``count`` a fraction is: neither none nor all, unless it is 0 or 1."""
    return round(fraction * count) if fraction in (0.0, 1.0) else min(max(round(fraction * count), 1), count - 1)


def _evenly(count: int, chosen: int) -> set[int]:
    """``chosen`` of the numbers from 0 to ``count``, evenly spread."""
    return {number for number in range(count) if (number + 1) * chosen // count > number * chosen // count}


def _painted(synthesizer: AnomalySynthesizer, path: str, position: int, folder: Path, split: Split) -> dict[str, Any]:
    """Paints a picture, writes it and its mask, and returns its row; a sample that is normal stays the file that it is."""
    with Image.open(path) as picture:
        image = np.asarray(picture.convert("RGB"))  # as anomalib reads it: what is painted lies on what the normal files show
    sample = synthesizer(image, index=position)
    if not sample.is_anomalous:
        return _row(path, "normal", "", split)
    kind, stem = sample.plan.kind, f"synthetic_{position:05d}"
    written = write_mvtec(folder, split, kind, stem, sample.image, sample.mask)
    return _row(str(written), kind, str(mask_path(folder, kind, stem)), split)


def _row(path: str, label: str, mask: str, split: Split) -> dict[str, Any]:
    return {"image_path": path, "label": label, "label_index": int(mask != ""), "mask_path": mask, "split": split}


def _dataset(datamodule: Any, rows: list[dict[str, Any]], split: Split) -> Any:
    """anomalib's own dataset of these rows."""
    frame = needed("pandas", "anomalib", _WHAT).DataFrame(rows)
    base = needed("anomalib.data.datasets.base.image", "anomalib", _WHAT).AnomalibDataset
    data = base(augmentations=getattr(datamodule, f"{split}_augmentations", None))
    data.samples, data.category = frame, datamodule.category
    data.samples.attrs["task"] = "segmentation"
    return data
