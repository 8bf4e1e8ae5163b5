"""The operations of an enhancement on all pixels of a batch; see ``sources/operations.py``."""

from __future__ import annotations

import torch
from torch import Tensor

from defectsynth.batched.constants import per_device
from defectsynth.batched.enhance import CODES, times
from defectsynth.batched.parts import Drawn
from defectsynth.batched.places import spread
from defectsynth.batched.tables import Tables

__all__ = ["enhanced", "sharpened"]

_HSV_SHIFT = 12  # OpenCV: fixed point of the tables of RGB to HSV
_GREY = (9798, 19235, 3735)  # OpenCV: BT.601 out of 2^15


def sharpened(colours: Tensor, smooth: Tensor, drawn: Drawn) -> Tensor:
    """``(3, R, H, W)`` uint8, sharper or smoother where ``sharpness`` was drawn; ``smooth``: the same of smooth copies."""
    count = times(drawn, "sharpness")
    strength = drawn["sharpness"][:, 0] ** count
    other = smooth.float() * spread((1.0 - strength).float())
    mixed = colours * spread(strength.float().double()) + other  # OpenCV's multiply-add rounds only its sum to a float32
    return torch.where(spread(count > 0), mixed.float().round().clamp(0.0, 255.0).to(torch.uint8), colours)


def enhanced(colours: Tensor, drawn: Drawn, tables: Tables) -> Tensor:
    """``(3, R, H, W)`` uint8 after tables and what mixes channels, in order."""
    colours = _looked_up(colours, tables.tables[0])
    for mix, table in zip(tables.mixes, tables.tables[1:], strict=True):
        colours = _looked_up(_mixed(colours, drawn, mix), table)
    return colours


def _looked_up(colours: Tensor, table: Tensor) -> Tensor:
    """Each channel in the table ``(R, 3, 256)`` of its picture."""
    device = colours.device
    picture = torch.arange(len(table), dtype=torch.int32, device=device).mul(3 * 256)
    channel = torch.arange(3, dtype=torch.int32, device=device).mul(256)
    return _picked(table, colours.int() + spread(picture) + channel[:, None, None, None])


def _mixed(colours: Tensor, drawn: Drawn, mix: Tensor) -> Tensor:
    """Colours after the operation of each picture that mixes channels, by its code, ``(R,)``."""
    mixed = torch.where(spread(mix == CODES["greyscale"]), _greyscale(colours), colours)
    if "hue_saturation" not in drawn:
        return mixed
    return torch.where(spread(mix == CODES["hue_saturation"]), _hue_saturation(colours, drawn["hue_saturation"]), mixed)


# --- hue and saturation, as imgaug through OpenCV's 8-bit HSV ---------------------------------------------------------------


def _hue_saturation(colours: Tensor, numbers: Tensor) -> Tensor:
    ramp = torch.arange(256, dtype=numbers.dtype, device=numbers.device)
    hues = (ramp + numbers[:, :1] * 180.0 / 255.0).round().remainder(180.0).to(torch.uint8)
    saturations = (ramp + numbers[:, 1:]).clamp(0.0, 255.0).round().to(torch.uint8)
    start = spread(torch.arange(len(hues), dtype=torch.int32, device=hues.device) * 256)
    hue, saturation, value = _to_hsv(colours)
    return _to_rgb(_picked(hues, start + hue), _picked(saturations, start + saturation), value)


def _picked(table: Tensor, index: Tensor) -> Tensor:
    return table.reshape(-1).index_select(0, index.reshape(-1)).reshape(index.shape)


def _to_hsv(rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue 0 to 179, saturation and value of ``(3, R, H, W)`` uint8, int32: OpenCV's integer arithmetic."""
    red, green, blue = rgb.int().unbind(0)
    value = torch.maximum(torch.maximum(red, green), blue)
    span = value - torch.minimum(torch.minimum(red, green), blue)
    by_value, by_span = _divisions(rgb.device)
    half = 1 << (_HSV_SHIFT - 1)
    saturation = (span * _picked(by_value, value) + half) >> _HSV_SHIFT
    of_green = torch.where(value == green, blue - red + 2 * span, red - green + 4 * span)
    hue = torch.where(value == red, green - blue, of_green)
    hue = (hue * _picked(by_span, span) + half) >> _HSV_SHIFT
    return torch.where(hue < 0, hue + 180, hue), saturation, value


@per_device
def _divisions() -> tuple[Tensor, ...]:
    """``(256,)`` int32: 255 and 180 / 6 over a number, in fixed point."""
    number = torch.arange(256, dtype=torch.float64).clamp_(min=1.0)
    return tuple(((scale * 2.0**_HSV_SHIFT) / number).round().int() for scale in (255.0, 30.0))


def _to_rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """``(3, R, H, W)`` uint8 of uint8 hue (0 to 179) and saturation and int32 value, rounded down as OpenCV does."""
    turn = hue.float() * (6.0 / 180.0)
    sector = turn.floor()
    offset, share = (turn - sector).double(), (saturation.float() * (1.0 / 255.0)).double()
    light = value.float() * (1.0 / 255.0)
    factors = [1.0 - share, 1.0 - share * offset, 1.0 - share * (1.0 - offset)]
    levels = [(light * factor.float() * 255.0).to(torch.uint8) for factor in factors]
    low, falling, rising = levels
    full, sector = value.to(torch.uint8), sector.to(torch.uint8)
    red = _by_sector(sector, full, falling, low, low, rising, full)
    green = _by_sector(sector, rising, full, full, falling, low, low)
    return torch.stack([red, green, _by_sector(sector, low, low, rising, full, full, falling)])


def _by_sector(sector: Tensor, *levels: Tensor) -> Tensor:
    found = levels[-1]
    for number, level in enumerate(levels[:-1]):
        found = torch.where(sector == number, level, found)
    return found


def _greyscale(colours: Tensor) -> Tensor:
    red, green, blue = colours.int().unbind(0)
    grey = (red * _GREY[0] + green * _GREY[1] + blue * _GREY[2] + (1 << 14)) >> 15
    return grey.to(torch.uint8).expand_as(colours)
