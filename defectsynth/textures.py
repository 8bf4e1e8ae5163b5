"""The textures that a synthesizer draws from: a folder, images in memory, or those that the package paints itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from defectsynth.banks import TextureBank
from defectsynth.errors import SourceError
from defectsynth.files import BUILTIN_PREFIX
from defectsynth.images import AnyImage
from defectsynth.sources.families import FAMILIES, texture
from defectsynth.sources.procedural import LARGEST_SIDE, VARIANTS

__all__ = ["open_textures"]


def open_textures(textures: str | Path | Mapping[str, AnyImage]) -> TextureBank:
    """The bank of a folder, of a mapping, or of ``builtin:<family>`` (``builtin:all`` for every family).

    A built-in texture is ``<family>/<variant>``: the same tiles, 256 x 256, that the ``procedural`` source draws from. They are
    painted when they are first drawn, and let a recipe that needs textures run where there is no folder of photographs.

    Args:
        textures: the folder, the mapping of names to images, or the family.

    Raises:
        SourceError: the family is unknown, the folder is missing or holds no pictures, or the mapping is empty.
    """
    if not isinstance(textures, str) or not textures.startswith(BUILTIN_PREFIX):
        return TextureBank(textures)
    family = textures.removeprefix(BUILTIN_PREFIX)
    if family != "all" and family not in FAMILIES:
        raise SourceError(f"built-in texture family {family!r} is unknown: the families are {', '.join(FAMILIES)}, and all")
    families = FAMILIES if family == "all" else [family]
    return TextureBank([f"{name}/{variant}" for name in families for variant in range(VARIANTS)], read=_paint)


def _paint(name: str) -> npt.NDArray[np.uint8]:
    family, _, variant = name.partition("/")
    return texture(family, int(variant), (LARGEST_SIDE, LARGEST_SIDE))
