"""Samples in PyTorch: a dataset with as many as there are normal pictures in each epoch, and a stream that never ends.

Both give the same sample for the same seed and number whatever the workers, ranks and restarts: a sample's number is all that
it depends on, and who paints it has no random state.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from defectsynth.errors import ImageError, InputError
from defectsynth.extras import needed
from defectsynth.files import list_images
from defectsynth.images import AnyImage, bounding_box, planes_of, resize_image, to_float
from defectsynth.integrations.images import as_image
from defectsynth.sample import AnomalySample
from defectsynth.synthesizer import AnomalySynthesizer

torch = needed("torch", "torch", "the PyTorch integration")
_data = needed("torch.utils.data", "torch", "the PyTorch integration")

__all__ = ["Layout", "SyntheticAnomalyDataset", "SyntheticAnomalyStream"]

Layout = Literal["dict", "tuple", "draem"]
"""``dict``: ``image``, ``normal`` ``(C, H, W)`` and ``defect_map`` ``(1, H, W)`` float32 in [0, 1], ``mask`` ``(1, H, W)``
float32 of 0 and 1, ``label`` 0 or 1, ``index``. ``tuple``: image and mask of it. ``draem``: the keys and types of
``MVTecDRAEMTrainDataset`` (``VitjanZ/DRAEM``, ``data_loader.py``): ``image`` is the normal picture, ``augmented_image``,
``anomaly_mask``, ``has_anomaly`` ``(1,)``, ``idx``."""
LAYOUTS: tuple[Layout, ...] = ("dict", "tuple", "draem")

Images = str | Path | Sequence[Any]


class SyntheticAnomalyDataset(_data.Dataset):  # type: ignore[misc, name-defined]
    """Every normal picture once in each epoch, painted anew: sample ``epoch * len + position``.

    Args:
        images: a folder; or a sequence or map-style dataset of paths, ``(H, W[, C])`` arrays, ``(C, H, W)`` tensors, PIL
            pictures, or tuples or dicts that begin with, or hold under ``image``, one of them.
        synthesizer: what paints.
        size: ``(H, W)`` that pictures are brought to; None leaves them.
        layout: of an item, see ``Layout``.
        rois: for each picture ``(H, W)``, nonzero where defects may lie; None leaves it to the recipe.

    Raises:
        InputError: an unknown layout, or as many ROIs as there are not pictures.
        ImageError: the folder has no pictures; or, of an item, it is none of these.
    """

    def __init__(
        self,
        images: Images,
        synthesizer: AnomalySynthesizer,
        *,
        size: tuple[int, int] | None = None,
        layout: Layout = "dict",
        rois: Sequence[Any] | None = None,
    ) -> None:
        self._pictures = _Pictures(images, size, rois)
        self._synthesizer, self._layout = synthesizer, _checked(layout)
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # persistent workers see it change

    def __len__(self) -> int:
        return len(self._pictures)

    @property
    def epoch(self) -> int:
        """Which defects are painted."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Before each epoch; workers that stay alive see it as well."""
        self._epoch.fill_(epoch)

    def sample(self, position: int) -> AnomalySample:
        """What the item is made of."""
        if not 0 <= position < len(self):
            raise IndexError(f"position {position} of {len(self)} pictures")
        return self._pictures.painted(self._synthesizer, position, self.epoch * len(self) + position)

    def __getitem__(self, position: int) -> Any:
        return _laid_out(self.sample(position), self._layout, position)


class SyntheticAnomalyStream(_data.IterableDataset):  # type: ignore[misc, name-defined]
    """Batches without end, each picture in turn: batch ``b`` has the samples from ``b * batch_size`` on.

    It is given to ``DataLoader(stream, batch_size=None, num_workers=n)``: worker ``w`` of ``n`` paints every ``n``-th batch,
    and the loader takes them in turn, so the order is the same for every ``n``. Rank ``r`` of ``k`` gets every ``k``-th batch.

    Args:
        images, synthesizer, size, layout, rois: as for ``SyntheticAnomalyDataset``.
        batch_size: samples of a batch.
        start: batch to begin with, counted over all ranks: what a restart goes on from.
        rank, ranks: of this process among those that train together; None asks ``torch.distributed``.

    Raises:
        InputError, ImageError: as ``SyntheticAnomalyDataset``; a size, start or rank below what it can be.
    """

    def __init__(
        self,
        images: Images,
        synthesizer: AnomalySynthesizer,
        *,
        batch_size: int,
        size: tuple[int, int] | None = None,
        layout: Layout = "dict",
        rois: Sequence[Any] | None = None,
        start: int = 0,
        rank: int | None = None,
        ranks: int | None = None,
    ) -> None:
        self._pictures = _Pictures(images, size, rois)
        self._synthesizer, self._layout = synthesizer, _checked(layout)
        self._batch_size, self._start = batch_size, start
        self._rank, self._ranks = _place(rank, ranks)
        if batch_size < 1 or start < 0 or not 0 <= self._rank < self._ranks:
            raise InputError(
                f"batch_size {batch_size}, start {start}, rank {self._rank} of {self._ranks}: give at least 1 and 0, and a "
                "rank below the number of ranks"
            )

    def __iter__(self) -> Iterator[Any]:
        worker = _data.get_worker_info()
        place, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        batch = self._start + self._rank + place * self._ranks
        while True:
            yield self._batch(batch)
            batch += step * self._ranks

    def _batch(self, batch: int) -> Any:
        first = batch * self._batch_size
        items = []
        for number in range(first, first + self._batch_size):
            sample = self._pictures.painted(self._synthesizer, number % len(self._pictures), number)
            items.append(_laid_out(sample, self._layout, number))
        return _data.default_collate(items)


class _Pictures:
    """Normal pictures of whatever is given, as images."""

    def __init__(self, images: Images, size: tuple[int, int] | None, rois: Sequence[Any] | None) -> None:
        self._images: Any = list_images(Path(images), "normal picture") if isinstance(images, (str, Path)) else images
        self._size, self._rois = size, rois
        if len(self._images) == 0:
            raise ImageError("there are no normal pictures: give at least one")
        if rois is not None and len(rois) != len(self._images):
            raise InputError(f"{len(rois)} ROIs for {len(self._images)} pictures: give one for each")

    def __len__(self) -> int:
        return len(self._images)

    def painted(self, synthesizer: AnomalySynthesizer, position: int, number: int) -> AnomalySample:
        """Sample ``number``, of the picture at ``position``."""
        image = as_image(self._images[position], f"picture {position}")
        roi = None if self._rois is None else np.asarray(self._rois[position])
        if self._size is not None:
            image = resize_image(image, self._size)
            roi = None if roi is None else cv2.resize(roi, self._size[::-1], interpolation=cv2.INTER_NEAREST)
        return synthesizer(image, index=number, roi=roi)


def _laid_out(sample: AnomalySample, layout: Layout, index: int) -> Any:
    mask = (sample.mask > 0).astype(np.float32)[None]
    if layout == "tuple":
        return torch.from_numpy(_floats(sample.image)), torch.from_numpy(mask)
    normal, anomalous = _floats(sample.normal), sample.is_anomalous
    image = _painted_on(normal, sample)
    if layout == "draem":
        return {
            "image": normal,
            "anomaly_mask": mask,
            "augmented_image": image,
            "has_anomaly": np.array([float(anomalous)], dtype=np.float32),
            "idx": index,
        }
    return {
        "image": torch.from_numpy(image),
        "normal": torch.from_numpy(normal),
        "mask": torch.from_numpy(mask),
        "defect_map": torch.from_numpy(sample.defect_map[None]),
        "label": int(anomalous),
        "index": index,
    }


def _floats(image: AnyImage) -> npt.NDArray[np.float32]:
    """``(C, H, W)`` in [0, 1]."""
    return to_float(planes_of(image))


def _painted_on(normal: npt.NDArray[np.float32], sample: AnomalySample) -> npt.NDArray[np.float32]:
    """The same of the sample's image, which differs from its normal one inside the mask, and so in a rectangle alone."""
    if sample.plan.label.outside > 0:  # a rim beyond the mask
        return _floats(sample.image)
    image, box = normal.copy(), bounding_box(sample.mask)
    if box is not None:
        top, left, bottom, right = box
        image[:, top:bottom, left:right] = _floats(np.ascontiguousarray(sample.image[top:bottom, left:right]))
    return image


def _place(rank: int | None, ranks: int | None) -> tuple[int, int]:
    distributed = torch.distributed
    if (rank is None or ranks is None) and distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank() if rank is None else rank, distributed.get_world_size() if ranks is None else ranks
    return rank or 0, ranks or 1


def _checked(layout: Layout) -> Layout:
    if layout not in LAYOUTS:
        raise InputError(f"layout {layout!r} is not known: give one of {', '.join(LAYOUTS)}")
    return layout
