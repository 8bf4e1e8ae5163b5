"""Normal pictures for training, in memory: which of them are held out, which sample shows which one, and how it is turned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from defectsynth import rng
from defectsynth.errors import InputError, RegionError
from defectsynth.files import list_images, read_image
from defectsynth.images import AnyImage, Mask, convert, resize_image, split_alpha
from defectsynth.recipe import ForegroundRule
from defectsynth.region import Regions
from defectsynth.rng import Draws

__all__ = ["EpochNumbers", "NormalPictures", "TrainingSamples", "channels_of", "cut_of", "held_out", "normal_files"]

RGB8 = npt.NDArray[np.uint8]
_LISTED = 5
_LOOKED_AT = 16  # pictures, for their channels
_FEWEST = 4  # pictures: two to learn from, two to hold out


def normal_files(data: Path) -> list[Path]:
    """The pictures of ``train/good`` of a folder in the MVTec AD layout.

    Raises:
        InputError: there is no such folder.
        ImageError: it holds no pictures.
    """
    folder = data / "train" / "good"
    if not folder.is_dir():
        raise InputError(
            f"{str(data)!r} has no train/good: give a folder in the MVTec AD layout, with its normal pictures there"
        )
    return list_images(folder, "normal picture")


def channels_of(files: Sequence[Path]) -> int:
    """1 where pictures are grey, as files of one channel or of three that say the same, else 3; some of them are looked at.

    A detector of grey pictures that learned from three channels would know every painted defect by its colour.

    Raises:
        ImageError: one cannot be read.
    """
    step = max(1, len(files) // _LOOKED_AT)
    return 1 if all(_is_grey(read_image(file)) for file in files[::step]) else 3


def _is_grey(image: AnyImage) -> bool:
    picture = split_alpha(image)[0]
    if picture.ndim == 2 or picture.shape[2] == 1:
        return True
    return picture.shape[2] == 3 and bool((picture == picture[:, :, :1]).all())


def held_out(files: Sequence[Path], share: float, seed: int) -> tuple[list[Path], list[Path]]:
    """What is learned from, and what is held out for validation: a random share, the same for the same seed and number.

    Raises:
        InputError: there are too few.
    """
    if len(files) < _FEWEST:
        raise InputError(f"{len(files)} normal pictures are too few to learn from: give at least {_FEWEST}, better 50")
    count = min(max(2, round(share * len(files))), len(files) // 2)
    order = _shuffled(len(files), seed, 0)
    chosen = set(order[:count])
    return [file for place, file in enumerate(files) if place not in chosen], [files[place] for place in sorted(chosen)]


@lru_cache(maxsize=4)
def _shuffled(count: int, seed: int, turn: int) -> tuple[int, ...]:
    """The numbers below ``count`` in a random order, another one for each turn."""
    words = rng.words((seed * 0x9E3779B97F4A7C15 + turn) % 2**64, (1, count), tag=1)[0]
    return tuple(int(place) for place in np.argsort(words, kind="stable"))


class NormalPictures:
    """Pictures of one size, decoded once: ``(H, W, C)`` uint8; and where defects may lie in each.

    Args:
        files: of the pictures.
        size: ``(H, W)`` that they are brought to.
        channels: C.
        foreground: how it is found where defects may lie.
    """

    def __init__(
        self, files: Sequence[Path], size: tuple[int, int], channels: int, foreground: ForegroundRule | None = None
    ) -> None:
        self.files = list(files)
        self._size, self._channels = size, channels
        self._pictures: dict[int, RGB8] = {}
        self._finder = Regions(foreground or ForegroundRule(method="none"))
        self._regions: dict[int, Mask] = {}

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, place: int) -> RGB8:
        if place not in self._pictures:
            image = resize_image(split_alpha(read_image(self.files[place]))[0], self._size)
            self._pictures[place] = convert(image, np.uint8, None if self._channels == 1 else self._channels).reshape(
                *self._size, self._channels
            )
        return self._pictures[place]

    def region(self, place: int) -> Mask:
        """``(H, W)`` uint8, 255 where a defect may lie; found once, in the picture as it was taken, not as it is turned.

        Raises:
            RegionError: the foreground is not certain enough.
        """
        if place not in self._regions:
            self._regions[place] = self._finder.find(self[place], None).mask
        return self._regions[place]

    def check_regions(self) -> None:
        """Finds them all, so that none stops the training later.

        Raises:
            RegionError: of some the foreground is not certain enough; the message lists them.
        """
        uncertain = []
        for place, file in enumerate(self.files):
            try:
                self.region(place)
            except RegionError:
                uncertain.append(file.name)
        if uncertain:
            more = f" and {len(uncertain) - _LISTED} more" if len(uncertain) > _LISTED else ""
            raise RegionError(
                f"the foreground of {len(uncertain)} of {len(self.files)} normal pictures is not certain "
                f"({', '.join(uncertain[:_LISTED])}{more}): allow the whole picture with "
                "--set foreground.fallback=whole_picture, lower --set foreground.min_confidence, or remove them"
            )


class TrainingSamples(Dataset[tuple[Tensor, Tensor, int]]):
    """Sample ``number`` of the stream: a normal picture ``(C, H, W)`` and where defects may lie ``(H, W)``, uint8 tensors, and
    the number.

    Every picture once in each turn, in another order; the same for the same seed, whatever was asked before.

    Args:
        pictures: to choose from.
        seed: of order, rotation and cut.
        rotation: degrees; a picture is turned by up to as many either way.
        share_turned: of the samples. DRAEM: 0.3.
        crop: side of the square that is cut from each, around a place where a defect may lie; None for whole pictures.
    """

    def __init__(
        self,
        pictures: NormalPictures,
        seed: int,
        *,
        rotation: float = 90.0,
        share_turned: float = 0.3,
        crop: int | None = None,
    ) -> None:
        self._pictures, self._seed, self._crop = pictures, seed, crop
        self._rotation, self._share_turned = rotation, share_turned

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor, int]:
        turn, place = divmod(number, len(self._pictures))
        chosen = _shuffled(len(self._pictures), self._seed, turn + 1)[place]
        picture, region = self._pictures[chosen], self._pictures.region(chosen)
        draws = Draws(self._seed, number, "picture.")
        if self._rotation > 0.0 and draws.chance("turned", self._share_turned):
            angle = draws.uniform("angle", (-self._rotation, self._rotation))
            turned = _turned(region[:, :, None], angle, cv2.INTER_NEAREST)[:, :, 0]
            if turned.any():
                picture, region = _turned(picture, angle, cv2.INTER_LINEAR), turned
        if self._crop is not None:
            cut = cut_of(region, self._crop, draws)
            picture, region = picture[cut], region[cut]
        return torch.from_numpy(picture.transpose(2, 0, 1).copy()), torch.from_numpy(region.copy()), number


def cut_of(region: Mask, side: int, draws: Draws) -> tuple[slice, slice]:
    """A square of ``side`` pixels inside the picture, with a drawn pixel of the region somewhere in it.

    So no square is without any of the region, and what lies around it is seen as well.
    """
    rows, columns = np.nonzero(region)
    pixel = draws.integer("pixel", (0, len(rows) - 1))
    starts = []
    for name, place, size in (("row", rows[pixel], region.shape[0]), ("column", columns[pixel], region.shape[1])):
        before = draws.integer(name, (0, side - 1))
        starts.append(min(max(int(place) - before, 0), size - side))
    return slice(starts[0], starts[0] + side), slice(starts[1], starts[1] + side)


def _turned(picture: RGB8, angle: float, interpolation: int) -> RGB8:
    height, width, channels = picture.shape
    matrix = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), angle, 1.0)
    planes = [picture[:, :, start : start + 4] for start in range(0, channels, 4)]
    turned = [
        cv2.warpAffine(
            np.ascontiguousarray(four), matrix, (width, height), flags=interpolation, borderMode=cv2.BORDER_REFLECT_101
        )
        for four in planes
    ]
    return np.concatenate([four.reshape(height, width, -1) for four in turned], axis=2).astype(np.uint8, copy=False)


class EpochNumbers(Sampler[list[int]]):
    """The sample numbers of one epoch in batches: those that no epoch before it and no other process has.

    Args:
        epoch: from 0.
        steps: batches of an epoch, for each process.
        batch: samples of a batch.
        rank, processes: which of how many processes this is.
    """

    def __init__(self, epoch: int, steps: int, batch: int, rank: int = 0, processes: int = 1) -> None:
        self._first, self._steps, self._batch = epoch * steps * batch * processes, steps, batch
        self._rank, self._processes = rank, processes

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self._steps):
            start = self._first + (step * self._processes + self._rank) * self._batch
            yield list(range(start, start + self._batch))

    def __len__(self) -> int:
        return self._steps
