"""Running one function over many tasks in worker processes, in any order, so that an interrupt or a death loses nothing."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import groupby, islice
from multiprocessing import connection
from typing import Any, TypeVar

import cv2

from defectsynth.errors import DefectSynthError
from defectsynth.plugins import load_plugins

__all__ = ["available_cores", "run_tasks"]

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")

_CHUNK = 16  # tasks that travel together, so that sending them costs nothing; and not more, since a killed run loses them
_AHEAD = 3  # chunks that wait for each worker
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def available_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_tasks(
    make: Callable[..., Callable[[TaskT], ResultT]],
    arguments: tuple[Any, ...],
    tasks: Sequence[TaskT],
    workers: int,
    imports: Sequence[str] = (),
    together: Callable[[TaskT], object] | None = None,
) -> Generator[ResultT, None, None]:
    """Results of ``make(*arguments)(task)`` for every task, as they come.

    With one worker everything happens in this process and in order. With more, each process calls ``make`` once; closing the
    iterator (or an exception in the caller) cancels what has not begun and waits for what has. ``imports`` are the plugins
    whose classes ``arguments`` may hold: each process imports them before it unpickles anything else. Tasks that follow each
    other and for which ``together`` gives the same value go to the same process, as far as that leaves work for all.
    """
    if workers <= 1 or len(tasks) <= 1:
        function = make(*arguments)
        yield from (function(task) for task in tasks)
        return
    yield from _run_in_processes(pickle.dumps((make, arguments)), _chunks(tasks, workers, together), workers, imports)


def _chunks(tasks: Sequence[TaskT], workers: int, together: Callable[[TaskT], object] | None) -> Iterator[list[TaskT]]:
    """The tasks in lists of up to about ``_CHUNK``, shorter towards the end, so that no worker is left with a long one."""
    chunk: list[TaskT] = []
    left = len(tasks)
    for _, group in groupby(tasks, together or id):
        alike = list(group)
        while alike:
            most = max(1, min(_CHUNK, left // (2 * _AHEAD * workers)))
            if chunk and len(chunk) + min(len(alike), most) > most * 3 // 2:
                left -= len(chunk)
                yield chunk
                chunk = []
                continue
            chunk += alike[:most]
            del alike[:most]
    if chunk:
        yield chunk


def _run_in_processes(
    made_from: bytes, chunks: Iterator[list[Any]], workers: int, imports: Sequence[str]
) -> Generator[Any, None, None]:
    executor = ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_start_worker, initargs=(imports, made_from)
    )
    try:
        # The workers inherit both: an interrupt while they start is the parent's alone, and each computes in one thread.
        with _interrupts_ignored(), _single_threaded():
            pending: set[Future[list[Any]]] = {executor.submit(_run_chunk, chunk) for chunk in islice(chunks, workers * _AHEAD)}
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            pending |= {executor.submit(_run_chunk, chunk) for chunk in islice(chunks, len(done))}
            for future in done:
                yield from future.result()
    except BrokenProcessPool:
        raise DefectSynthError(
            "a worker process died (out of memory?): use fewer --workers; --resume goes on where this ended"
        ) from None
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Processes that start inside get one BLAS thread, unless the user has said how many."""
    ours = [name for name in _THREADS if name not in os.environ]
    os.environ.update(dict.fromkeys(ours, "1"))
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


_function: Callable[[Any], Any] | None = None


def _start_worker(imports: Sequence[str], made_from: bytes) -> None:
    global _function
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)  # the processes are the parallelism
    load_plugins(imports)
    make, arguments = pickle.loads(made_from)
    _function = make(*arguments)


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for tasks for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _run_chunk(chunk: Sequence[Any]) -> list[Any]:
    assert _function is not None
    return [_function(task) for task in chunk]
