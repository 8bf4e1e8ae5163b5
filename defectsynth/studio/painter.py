"""Samples for the page: painted as ``render`` paints them, and painted again only where a change of the recipe reaches them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from threading import Event, local
from time import perf_counter
from typing import Any

from defectsynth.canvases import Canvas
from defectsynth.errors import SynthesisError
from defectsynth.plan import Plan
from defectsynth.recipe import Recipe
from defectsynth.region import Regions
from defectsynth.sample import AnomalySample
from defectsynth.studio.limits import CACHE_BYTES, SECONDS_PER_SAMPLE
from defectsynth.studio.shelf import Cache, Shelf
from defectsynth.studio.state import Place, State
from defectsynth.synthesizer import AnomalySynthesizer

__all__ = ["Painted", "Painter", "Stopped", "Written"]

_SYNTHESIZERS = 8  # recipes, each with a seed, that are kept ready
_VERSIONS = 12  # recipes of which one sample is kept


class Stopped(Exception):  # noqa: N818 - nothing went wrong
    """Nobody waits for the sample any more."""


@dataclass(frozen=True)
class Painted:
    """A sample with what it was painted on.

    Attributes:
        sample: as ``render`` makes it.
        canvas: its normal picture.
        kinds: the recipe's kinds that any of its plans drew, refused ones too: no other kind has had a part in it.
        seconds: that painting it took.
    """

    sample: AnomalySample
    canvas: Canvas
    kinds: frozenset[str]
    seconds: float

    @property
    def nbytes(self) -> int:
        """Bytes that it takes in a cache, without its normal picture."""
        one = self.sample
        return int(one.image.nbytes + one.mask.nbytes + one.defect_map.nbytes + one.kinds.nbytes)


class Painter:
    """Paints the samples of states; safe to use from several threads.

    Args:
        shelf: where the pictures are.
        seconds: after which a sample that finds no usable plan is given up.
    """

    def __init__(self, shelf: Shelf, *, seconds: float = SECONDS_PER_SAMPLE) -> None:
        self._shelf, self._seconds = shelf, seconds
        self._synthesizers: Cache[tuple[Any, ...], _Watched] = Cache(_SYNTHESIZERS)
        self._versions: Cache[tuple[Any, ...], list[frozenset[str]]] = Cache(4096)
        self._painted: Cache[tuple[Any, ...], Painted] = Cache(CACHE_BYTES, lambda one: one.nbytes)

    def paint(self, state: State, written: Written, place: Place, stop: Event) -> Painted:
        """One sample of a state, whose recipe is ``written`` (``Written.of(state.parsed_recipe())``).

        Raises:
            Stopped: ``stop`` was set before it was done.
            DefectSynthError: it cannot be made.
        """
        if stop.is_set():
            raise Stopped
        task = self._shelf.task(state, place.seed, place.index)
        canvas = self._shelf.canvas(state, task.canvas)
        recipe = written.recipe
        key = (*self._sources(state, recipe), id(canvas), place.seed, place.index, written.frame)
        found = self._known(key, written, canvas)
        if found is not None:
            return found
        synthesizer = self._synthesizer(state, place.seed, written)
        started = perf_counter()
        sample, kinds = synthesizer.watched(canvas, place.index, stop, self._seconds)
        painted = Painted(sample, canvas, kinds, perf_counter() - started)
        self._remember(key, written, painted)
        return painted

    def _known(self, key: tuple[Any, ...], written: Written, canvas: Canvas) -> Painted | None:
        """The sample, where it was painted by a recipe that differs only in kinds which had no part in it."""
        for kinds in self._versions.find(key) or ():
            found = self._painted.find((*key, written.part(kinds)))
            if found is not None and found.canvas is canvas:
                return found
        return None

    def _remember(self, key: tuple[Any, ...], written: Written, painted: Painted) -> None:
        versions = [kinds for kinds in self._versions.find(key) or () if kinds != painted.kinds]
        self._versions.keep(key, [painted.kinds, *versions[: _VERSIONS - 1]])
        if painted.nbytes <= CACHE_BYTES // 8:
            self._painted.keep((*key, written.part(painted.kinds)), painted)

    def _synthesizer(self, state: State, seed: int, written: Written) -> _Watched:
        key = (*self._sources(state, written.recipe), seed, written.frame, written.part(frozenset(written.kinds)))
        return self._synthesizers.get(key, lambda: self._open(state, written.recipe, seed))

    def _open(self, state: State, recipe: Recipe, seed: int) -> _Watched:
        banks = self._shelf.banks(state, recipe)
        white = self._shelf.job(state.model_copy(update={"roi": None})).white
        return _Watched(recipe, regions=self._shelf.regions(recipe.foreground), seed=seed, white=white, **banks)

    def _sources(self, state: State, recipe: Recipe) -> tuple[Any, ...]:
        """What a sample follows from beside its picture, its seed and its recipe."""
        stamp = self._shelf.listing(state.images).stamp if "normals" in recipe.needs else ""
        return state.images, stamp, state.size, state.textures, state.defects, state.masks


@dataclass(frozen=True)
class Written:
    """A recipe as text, in parts: what every sample depends on, and what only samples with a kind depend on.

    Attributes:
        recipe: it.
        frame: hash of all but the kinds, and of the kinds' names and weights.
        kinds: text of each kind.
    """

    recipe: Recipe
    frame: str
    kinds: dict[str, str]

    @classmethod
    def of(cls, recipe: Recipe) -> Written:
        """A recipe in parts."""
        values = recipe.model_dump(mode="json", exclude={"description", "reference", "name"})
        kinds = values.pop("kinds")
        weights = [(name, kind.pop("weight")) for name, kind in kinds.items()]
        return cls(recipe, _hash([values, weights]), {name: json.dumps(kind) for name, kind in kinds.items()})

    def part(self, kinds: frozenset[str]) -> str:
        """Hash of some kinds."""
        return _hash([(name, self.kinds.get(name)) for name in sorted(kinds)])


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


class _Watched(AnomalySynthesizer):
    """A synthesizer that notes which kinds it draws, stops when asked to, and shares what is known of foregrounds."""

    def __init__(self, recipe: Recipe, *, regions: Regions, **options: Any) -> None:
        super().__init__(recipe, **options)
        self._regions = regions
        self._watch = local()

    def watched(self, canvas: Canvas, index: int, stop: Event, seconds: float) -> tuple[AnomalySample, frozenset[str]]:
        """The sample of an index, and the kinds that had a part in it."""
        self._watch.kinds, self._watch.stop, self._watch.last = set(), stop, perf_counter() + seconds
        sample = self(canvas.image, index=index, roi=canvas.roi)
        return sample, frozenset(self._watch.kinds)

    def _draw(self, index: int, attempt: int, shape: tuple[int, int], method: str) -> Plan:
        if self._watch.stop.is_set():
            raise Stopped
        if perf_counter() > self._watch.last:
            raise SynthesisError(
                f"sample {index} has no usable defect after {attempt} plans, and the page waits no longer: enlarge the ROI or "
                "widen the ranges; `defectsynth render` goes on to max_attempts"
            )
        plan = super()._draw(index, attempt, shape, method)
        self._watch.kinds.update(anomaly.entry or anomaly.kind for anomaly in plan.anomalies)
        return plan
