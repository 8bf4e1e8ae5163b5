"""What takes longer than a request: renders and scores, each in a thread of its own, with progress and cancel."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import Any, Literal

from defectsynth.errors import DefectSynthError, InputError
from defectsynth.studio.limits import RUNS_AT_A_TIME, RUNS_KEPT

__all__ = ["Run", "Runs"]

Progress = Callable[[int, int], None]
Status = Literal["running", "done", "failed", "cancelled"]


class _Cancelled(Exception):  # noqa: N818 - nothing went wrong
    """Raised where progress is told, so that the work ends between two pictures."""


@dataclass
class Run:
    """One piece of work.

    Attributes:
        name: by which the page asks for it.
        status: how it stands.
        done, total: pictures.
        result: plain values, once it is done.
        error: what went wrong.
    """

    name: str
    status: Status = "running"
    done: int = 0
    total: int = 0
    result: dict[str, Any] | None = None
    error: str | None = None
    stop: Event = field(default_factory=Event, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "id": self.name,
            "status": self.status,
            "done": self.done,
            "total": self.total,
            "result": self.result,
            "error": self.error,
        }

    def progress(self, done: int, total: int) -> None:
        """Takes note of progress; raises where the work is to end."""
        self.done, self.total = done, total
        if self.stop.is_set():
            raise _Cancelled


class Runs:
    """The work that was started from pages."""

    def __init__(self) -> None:
        self._runs: OrderedDict[str, Run] = OrderedDict()
        self._threads: dict[str, Thread] = {}
        self._started = 0
        self._lock = Lock()

    def start(self, what: str, work: Callable[[Progress], dict[str, Any]]) -> Run:
        """Starts work, which is given a function that tells its progress.

        Raises:
            InputError: enough is running already.
        """
        with self._lock:
            running = sum(run.status == "running" for run in self._runs.values())
            if running >= RUNS_AT_A_TIME:
                raise InputError(f"{running} renders or scores are running: wait for one, or cancel it")
            self._started += 1
            run = self._runs[f"{what}-{self._started}"] = Run(f"{what}-{self._started}")
            finished = [name for name, one in self._runs.items() if one.status != "running"]
            for name in finished[: max(0, len(self._runs) - RUNS_KEPT)]:
                del self._runs[name]
                self._threads.pop(name, None)
            thread = self._threads[run.name] = Thread(target=self._work, args=(run, work), name=run.name, daemon=True)
        thread.start()
        return run

    def find(self, name: str) -> Run:
        """A run by its name; raises ``InputError`` where there is none."""
        run = self._runs.get(name)
        if run is None:
            raise InputError(f"run {name!r} is not known to this studio: it may have been started before the last restart")
        return run

    def close(self) -> None:
        """Ends everything, and waits for it."""
        for run in self._runs.values():
            run.stop.set()
        for thread in self._threads.values():
            thread.join()

    def _work(self, run: Run, work: Callable[[Progress], dict[str, Any]]) -> None:
        try:
            run.result = work(run.progress)
            run.status = "done"
        except _Cancelled:
            run.status = "cancelled"
        except DefectSynthError as error:
            run.error, run.status = str(error), "failed"
        except Exception as error:  # a thread that died without a word would leave the page waiting
            run.error, run.status = f"{type(error).__name__}: {error}", "failed"
            raise
