"""A bank of procedural textures: materials that code paints, for users who have no folder of texture photographs.

Each family is a function of a seed and a shape. It builds a height field, an albedo and a lamp, and photographs them; the
seed varies colour, scale, direction and wear, so that two seeds are two photographs of one material. Features are sized
relative to the longer side: a 512 x 512 render is the 256 x 256 one, sharper.
"""

from __future__ import annotations

from collections.abc import Callable

from defectsynth.errors import SourceError
from defectsynth.sources.families.coating import oil_film, paint_drips, peeling_paint, stripes
from defectsynth.sources.families.metal import brushed_metal, rust, scratches
from defectsynth.sources.families.organic import leather, wood_grain, woven_fabric
from defectsynth.sources.families.shading import Picture
from defectsynth.sources.families.stone import concrete, cracked_mud, foam, granite, gravel, marble, terrazzo

__all__ = ["FAMILIES", "texture"]

Family = Callable[[int, tuple[int, int]], Picture]

FAMILIES: dict[str, Family] = {
    family.__name__: family
    for family in (
        brushed_metal,
        scratches,
        rust,
        peeling_paint,
        paint_drips,
        oil_film,
        stripes,
        woven_fabric,
        leather,
        wood_grain,
        marble,
        granite,
        terrazzo,
        concrete,
        gravel,
        cracked_mud,
        foam,
    )
}
"""Every family by its name, in the order of the documentation."""


def texture(family: str, seed: int, shape: tuple[int, int]) -> Picture:
    """A photograph-like texture.

    Args:
        family: a key of ``FAMILIES``.
        seed: 0 to 2**64 - 1; the same seed and shape give the same bytes.
        shape: ``(H, W)``, any size from 1 up.

    Returns:
        ``(H, W, 3)`` uint8, RGB.

    Raises:
        SourceError: no such family.
    """
    if family not in FAMILIES:
        raise SourceError(f"there is no texture family {family!r}: choose one of {', '.join(FAMILIES)}")
    return FAMILIES[family](seed, shape)
