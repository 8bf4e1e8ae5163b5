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
from defectsynth.errors import InputError
from defectsynth.files import list_images, read_image
from defectsynth.images import convert, resize_image, split_alpha
from defectsynth.rng import Draws

__all__ = ["EpochNumbers", "NormalPictures", "TrainingSamples", "held_out", "normal_files"]

RGB8 = npt.NDArray[np.uint8]
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
    """Pictures of one size, decoded once: ``(H, W, C)`` uint8.

    Args:
        files: of the pictures.
        size: ``(H, W)`` that they are brought to.
        channels: C.
    """

    def __init__(self, files: Sequence[Path], size: tuple[int, int], channels: int) -> None:
        self.files = list(files)
        self._size, self._channels = size, channels
        self._pictures: dict[int, RGB8] = {}

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, place: int) -> RGB8:
        if place not in self._pictures:
            image = resize_image(split_alpha(read_image(self.files[place]))[0], self._size)
            self._pictures[place] = convert(image, np.uint8, None if self._channels == 1 else self._channels).reshape(
                *self._size, self._channels
            )
        return self._pictures[place]


class TrainingSamples(Dataset[tuple[Tensor, int]]):
    """Sample ``number`` of the stream: a normal picture ``(C, H, W)`` uint8 as a tensor, and the number.

    Every picture once in each turn, in another order; the same for the same seed, whatever was asked before.

    Args:
        pictures: to choose from.
        seed: of order and rotation.
        rotation: degrees; a picture is turned by up to as many either way.
        share_turned: of the samples. DRAEM: 0.3.
    """

    def __init__(self, pictures: NormalPictures, seed: int, *, rotation: float = 90.0, share_turned: float = 0.3) -> None:
        self._pictures, self._seed = pictures, seed
        self._rotation, self._share_turned = rotation, share_turned

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        turn, place = divmod(number, len(self._pictures))
        picture = self._pictures[_shuffled(len(self._pictures), self._seed, turn + 1)[place]]
        draws = Draws(self._seed, number, "picture.")
        if self._rotation > 0.0 and draws.chance("turned", self._share_turned):
            picture = _turned(picture, draws.uniform("angle", (-self._rotation, self._rotation)))
        return torch.from_numpy(picture.transpose(2, 0, 1).copy()), number


def _turned(picture: RGB8, angle: float) -> RGB8:
    height, width, channels = picture.shape
    matrix = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), angle, 1.0)
    planes = [picture[:, :, start : start + 4] for start in range(0, channels, 4)]
    turned = [
        cv2.warpAffine(
            np.ascontiguousarray(four), matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
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
