"""What was found last on an ROI, kept: a mask and the source that follows it ask for the same, and so may the next sample."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from defectsynth.images import Mask

__all__ = ["Kept"]

FoundT = TypeVar("FoundT")


class Kept(threading.local, Generic[FoundT]):
    """The last answer of each thread, given again for an ROI that cannot be written to, and the very same other things."""

    def __init__(self) -> None:
        self._last: tuple[Mask, tuple[object, ...], FoundT] | None = None

    def get(self, roi: Mask, others: tuple[object, ...], find: Callable[[], FoundT]) -> FoundT:
        """What ``find`` gives; it depends on ``roi`` and ``others`` alone, and what it gave is not to be changed."""
        last = self._last
        if last is not None and last[0] is roi and all(one is other for one, other in zip(last[1], others, strict=True)):
            return last[2]
        found = find()
        self._last = None if roi.flags.writeable else (roi, others, found)
        return found
