"""Numbers that are the same for every batch, made once on each device: copying them there each time would stall it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["constant", "per_device"]

_CONSTANTS: dict[tuple[tuple[float, ...], torch.dtype, torch.device], Tensor] = {}


def constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """``(n,)``: these numbers."""
    key = values, dtype, device
    if key not in _CONSTANTS:
        _CONSTANTS[key] = torch.tensor(values, dtype=dtype).to(device)
    return _CONSTANTS[key]


def per_device(make: Callable[[], tuple[Tensor, ...]]) -> Callable[[torch.device], tuple[Tensor, ...]]:
    """What ``make`` gives, on the device that is asked for."""
    made: dict[torch.device, tuple[Tensor, ...]] = {}

    def on(device: torch.device) -> tuple[Tensor, ...]:
        if device not in made:
            made[device] = tuple(each.to(device) for each in make())
        return made[device]

    return on
