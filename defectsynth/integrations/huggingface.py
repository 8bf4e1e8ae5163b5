"""Samples in Hugging Face datasets: painted once and kept, painted whenever they are looked at, or as a stream.

All give the same sample for the same seed and number. Pictures are kept as PNG files, which hold every bit of 8- and 16-bit
images; float images, and those of more than four channels, have no place in an ``Image`` feature.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from defectsynth.errors import ImageError, InputError
from defectsynth.extras import needed
from defectsynth.files import encode_image, list_images, lossless_suffix
from defectsynth.images import AnyImage
from defectsynth.integrations.images import as_image
from defectsynth.sample import AnomalySample
from defectsynth.synthesizer import AnomalySynthesizer

_datasets = needed("datasets", "huggingface", "the Hugging Face integration")

__all__ = ["OnAccess", "features", "on_access", "stream", "synthesized"]

_NUMBER = "sample_index"


def features() -> Any:
    """``image``, ``mask`` (255 where defective), ``label`` (0 or 1), ``kind``, ``plan`` (JSON) and ``sample_index``."""
    return _datasets.Features(
        {
            "image": _datasets.Image(),
            "mask": _datasets.Image(mode="L"),
            "label": _datasets.ClassLabel(names=["good", "defective"]),
            "kind": _datasets.Value("string"),
            "plan": _datasets.Value("string"),
            _NUMBER: _datasets.Value("int64"),
        }
    )


def synthesized(dataset: Any, synthesizer: AnomalySynthesizer, *, column: str = "image", epoch: int = 0, **options: Any) -> Any:
    """A dataset with a sample of every picture, by ``Dataset.map``, so that it is painted once and kept.

    Args:
        dataset: a ``Dataset``; its other columns stay, unless ``features()`` has them.
        synthesizer: what paints.
        column: of the normal pictures.
        epoch: sample ``epoch * len + position`` is painted on the picture at ``position``.
        **options: of ``Dataset.map`` (``num_proc``, ``writer_batch_size``, ...).

    Raises:
        InputError: there is no such column.
        ImageError: a picture breaks the contract of an image, or fits into no PNG.
    """
    _check_column(dataset, column)
    first, ours = epoch * len(dataset), features()

    def paint(row: dict[str, Any], position: int) -> dict[str, Any]:
        image = as_image(row[column], f"picture {position} of column {column!r}")
        return _row(synthesizer(image, index=first + position))

    known = _datasets.Features({name: kind for name, kind in dataset.features.items() if name not in ours} | dict(ours))
    return dataset.map(paint, with_indices=True, features=known, **options)


class OnAccess:
    """The transform of ``on_access``; ``epoch`` says which defects are painted."""

    def __init__(self, synthesizer: AnomalySynthesizer, column: str, length: int) -> None:
        self._synthesizer, self._column, self._length = synthesizer, column, length
        self.epoch = 0

    def __call__(self, batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Columns with PIL pictures in place of those that were read."""
        found = dict(batch)
        samples = []
        for place, picture in zip(batch[_NUMBER], batch[self._column], strict=True):
            image = as_image(picture, f"picture {place} of column {self._column!r}")
            samples.append(self._synthesizer(image, index=self.epoch * self._length + place))
        found["image"] = [_pil(sample.image) for sample in samples]
        found["mask"] = [Image.fromarray(sample.mask) for sample in samples]
        found["label"] = [int(sample.is_anomalous) for sample in samples]
        found["kind"] = [sample.plan.kind for sample in samples]
        found["plan"] = [sample.plan.to_json() for sample in samples]
        return found


def on_access(dataset: Any, synthesizer: AnomalySynthesizer, *, column: str = "image") -> tuple[Any, OnAccess]:
    """A dataset that paints what is looked at, by ``Dataset.set_transform``, and its transform.

    Each picture has its own number, whatever order it is looked at in; ``transform.epoch = 1`` paints other defects.

    Raises:
        InputError: there is no such column.
    """
    _check_column(dataset, column)
    transform = OnAccess(synthesizer, column, len(dataset))
    numbered = dataset if _NUMBER in dataset.column_names else dataset.add_column(_NUMBER, list(range(len(dataset))))
    return numbered.with_transform(transform), transform


def stream(
    images: str | Path | Sequence[Any], synthesizer: AnomalySynthesizer, *, count: int, shards: int = 1, start: int = 0
) -> Any:
    """An ``IterableDataset`` of samples ``start`` to ``start + count``, each picture in turn.

    Args:
        images: a folder, or a sequence of paths, arrays, tensors or PIL pictures.
        synthesizer: what paints.
        count: samples in all.
        shards: parts that workers and nodes share; part ``s`` of ``n`` has every ``n``-th sample from ``s`` on.
        start: the first sample.

    Raises:
        InputError: a number below what it can be.
        ImageError: there are no pictures; or, of an item, it breaks the contract of an image.
    """
    if count < 1 or shards < 1 or start < 0:
        raise InputError(f"count {count}, shards {shards}, start {start}: give at least 1, 1 and 0")
    pictures: Sequence[Any] = list_images(Path(images), "normal picture") if isinstance(images, (str, Path)) else images
    if len(pictures) == 0:
        raise ImageError("there are no normal pictures: give at least one")
    made = {"parts": list(range(shards)), "samples": _Samples(pictures, synthesizer, count, shards, start)}
    return _datasets.IterableDataset.from_generator(_generated, features=features(), gen_kwargs=made)


class _Samples:
    """What a generator of a stream needs."""

    def __init__(self, pictures: Sequence[Any], synthesizer: AnomalySynthesizer, count: int, shards: int, start: int) -> None:
        self._pictures, self._synthesizer = pictures, synthesizer
        self._count, self._shards, self._start = count, shards, start

    def part(self, part: int) -> Iterator[dict[str, Any]]:
        """The rows of one part."""
        for number in range(self._start + part, self._start + self._count, self._shards):
            place = number % len(self._pictures)
            sample = self._synthesizer(as_image(self._pictures[place], f"picture {place}"), index=number)
            yield _row(sample, passing=True)


def _generated(parts: list[int], samples: _Samples) -> Iterator[dict[str, Any]]:
    for part in parts:
        yield from samples.part(part)


def _row(sample: AnomalySample, *, passing: bool = False) -> dict[str, Any]:
    """Pictures as files, which an ``Image`` feature wants; of those that are only passed on, the quickest kind."""
    return {
        "image": {"bytes": _file(sample.image, passing), "path": None},
        "mask": {"bytes": _file(sample.mask, passing), "path": None},
        "label": int(sample.is_anomalous),
        "kind": sample.plan.kind,
        "plan": sample.plan.to_json(),
        _NUMBER: sample.plan.index,
    }


def _file(image: AnyImage, passing: bool) -> bytes:
    if lossless_suffix(image) != ".png":
        raise ImageError(
            f"an image {image.shape} {image.dtype} fits into no PNG, which an Image feature holds: convert it to uint8 or "
            "uint16 with 1, 3 or 4 channels"
        )
    channels = 1 if image.ndim == 2 else image.shape[2]
    return encode_image(image, ".bmp" if passing and image.dtype == np.uint8 and channels in (1, 3) else ".png")


def _pil(image: AnyImage) -> Any:
    """A PIL picture where there is one for it, the array otherwise."""
    plane = image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image
    kinds = {("uint8", 2), ("uint16", 2)}
    colour = plane.ndim == 3 and plane.dtype.name == "uint8" and plane.shape[2] in (3, 4)
    return Image.fromarray(plane) if colour or (plane.dtype.name, plane.ndim) in kinds else image


def _check_column(dataset: Any, column: str) -> None:
    if column not in dataset.column_names:
        raise InputError(f"the dataset has no column {column!r}: it has {', '.join(dataset.column_names)}")
