"""Textures of a bank as the source of a whole batch; see ``sources/texture.py``."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from defectsynth.banks import PLAN_HASH_DIGITS, TextureBank
from defectsynth.batched.draws import BatchDraws
from defectsynth.batched.enhance import draw_enhancement, one_by_one, rotation_of, times
from defectsynth.batched.operations import enhanced, sharpened
from defectsynth.batched.parts import Drawn
from defectsynth.batched.places import Places
from defectsynth.batched.sampling import Canvases
from defectsynth.batched.tables import look_up_tables
from defectsynth.batched.textures import TextureStack
from defectsynth.sources.texture import Texture, TextureParams
from defectsynth.sources.tone import Tone

__all__ = ["TextureSource", "why_not"]


def why_not(spec: Texture) -> str | None:
    """Why a texture source cannot be painted here, or None."""
    tone: Tone = spec.tone
    neutral = tone == Tone() or tone == Tone(relative=True)
    return None if neutral else "a tone that changes the texture"


class TextureSource:
    """One ``texture`` source of a recipe.

    Args:
        spec: what may be drawn.
        names: how many textures there are.
    """

    def __init__(self, spec: Texture, names: int) -> None:
        self._spec = spec
        self._names = names
        self._operations = tuple(spec.enhance.operations) if spec.enhance.count else ()

    @property
    def sharpens(self) -> bool:
        """Whether it needs smooth copies of the textures."""
        return "sharpness" in self._operations

    def draw(self, draws: BatchDraws) -> Drawn:
        """The parameters of each sample's texture."""
        drawn = draw_enhancement(self._spec.enhance, draws.within("enhance"))
        name = draws.integer("name", (0, self._names - 1))
        return {**drawn, "name": name, "angle": draws.uniform("angle", self._spec.rotation_range)}

    def colours(self, drawn: Drawn, stack: TextureStack, places: Places) -> Tensor:
        """``(3, R, H, W)`` uint8: the textures that were drawn for ``R`` samples, enhanced."""
        name = drawn["name"]
        angle = drawn["angle"] + rotation_of(drawn)
        canvases = Canvases(stack.pixels, name, stack.size[name], stack.frame, angle, self._is_upright(stack))
        places = self._flipped(drawn, places)
        colours = canvases.at(places)
        if not self._operations:
            return colours
        if stack.smooth is not None and "sharpness" in drawn:
            colours = sharpened(colours, replace(canvases, pixels=stack.smooth).at(places), drawn)
        return enhanced(colours, drawn, look_up_tables(drawn, self._operations, stack.histogram[name]))

    def one_by_one(self, drawn: Drawn, bank: TextureBank) -> list[TextureParams]:
        """The same parameters as the plain painter has them."""
        found = []
        for place, angle, operations in zip(drawn["name"].tolist(), drawn["angle"].tolist(), one_by_one(drawn), strict=True):
            name = bank.names[place]
            content = bank.hash_of(name)[:PLAN_HASH_DIGITS]
            found.append(TextureParams.drawn(name=name, hash=content, angle=angle, operations=operations))
        return found

    def _is_upright(self, stack: TextureStack) -> bool:
        turns = self._spec.rotation_range != (0.0, 0.0) or "affine" in self._operations
        return stack.all_fill_the_frame and not turns

    def _flipped(self, drawn: Drawn, places: Places) -> Places:
        """Where the pixels come from: mirrored within the box around the mask."""
        for name, axis in (("flip_horizontal", 1), ("flip_vertical", 0)):
            if name in self._operations:
                places = places.mirrored(times(drawn, name) % 2 == 1, axis)
        return places
