"""Where the time of a sample goes: the shares of its plan, mask, source, blend and acceptance, for ``synthesis.py``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from time import perf_counter
from typing import Any
from unittest.mock import patch

from defectsynth import AnomalySynthesizer
from defectsynth.fill import Fill
from defectsynth.images import AnyImage
from defectsynth.masks.base import MaskParams

__all__ = ["STAGES", "shares"]

STAGES = ("plan", "mask", "source", "blend", "acceptance", "rest")
"""``rest``: copies of the picture, its region, labels, the sample."""


class _Clock:
    """Seconds of each stage, without those of the stages inside it."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._inside = [0.0]

    def timed(self, stage: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:
            self._inside.append(0.0)
            started = perf_counter()
            try:
                return work(*arguments, **options)
            finally:
                taken = perf_counter() - started
                self.seconds[stage] += taken - self._inside.pop()
                self._inside[-1] += taken

        return timed


def shares(synthesizer: AnomalySynthesizer, images: Sequence[AnyImage], count: int) -> dict[str, float]:
    """Of ``count`` samples that were made before, the share of each of ``STAGES``."""
    clock = _Clock()
    with _watched(clock):
        make = clock.timed("rest", synthesizer)
        for index in range(count):
            make(images[index % len(images)], index=index)
    total = sum(clock.seconds.values())
    return {stage: clock.seconds[stage] / total for stage in STAGES}


@contextmanager
def _watched(clock: _Clock) -> Iterator[None]:
    """Within it the painter's stages are timed."""
    methods = [("plan", AnomalySynthesizer, "_draw"), ("mask", MaskParams, "paint")]
    methods += [("blend", AnomalySynthesizer, "_paint_anomaly"), ("acceptance", AnomalySynthesizer, "_refusal")]
    with ExitStack() as stack:
        for stage, owner, name in methods:
            stack.enter_context(patch.object(owner, name, clock.timed(stage, getattr(owner, name))))
        for name in ("pixels", "rectangle"):
            made: cached_property[Any] = cached_property(clock.timed("source", vars(Fill)[name].func))
            made.__set_name__(Fill, name)
            stack.enter_context(patch.object(Fill, name, made))
        yield
