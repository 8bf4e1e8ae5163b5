"""Which samples of a seed a batch holds."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from defectsynth.errors import InputError
from defectsynth.rng import address

__all__ = ["as_indices"]


def as_indices(indices: Tensor | Iterable[int] | int, count: int, device: torch.device) -> Tensor:
    """``(B,)`` int64 on a device; an index from 2**63 on as the negative number of the same bits.

    Args:
        indices: ``(B,)`` int64, as many integers, or the first of as many in turn.
        count: how many there must be.
        device: where.

    Raises:
        InputError: they are others than ``count`` integers from 0 to 2**64 - 1.
    """
    if isinstance(indices, Tensor):
        return _checked(indices, count).to(device, non_blocking=True)
    try:
        numbers = [address("indices", index) for index in indices]  # type: ignore[union-attr]
    except TypeError:
        first = address("indices", indices)
        address("the last of the indices", first + count - 1)
        numbers = list(range(first, first + count))
    if len(numbers) != count:
        raise _wrong(f"{len(numbers)} integers", count)
    return torch.tensor([number - 2**64 if number >= 2**63 else number for number in numbers], dtype=torch.int64).to(device)


def _checked(indices: Tensor, count: int) -> Tensor:
    if indices.dtype != torch.int64 or tuple(indices.shape) != (count,):
        raise _wrong(f"a tensor {tuple(indices.shape)} of {indices.dtype}", count)
    if indices.device.type == "cpu" and bool((indices < 0).any()):
        raise InputError(f"indices go down to {int(indices.min())}: they must be integers from 0, of a tensor to 2**63 - 1")
    return indices


def _wrong(found: str, count: int) -> InputError:
    return InputError(
        f"indices are {found} and the batch has {count} pictures: give ({count},) int64, {count} integers, or the first index"
    )
