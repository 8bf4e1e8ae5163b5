"""Shards made on many machines, as tasks of Ray: it places them, and makes those of a machine that was lost again."""

from __future__ import annotations

import pickle
import socket
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import cv2

from defectsynth.errors import DefectSynthError, InputError
from defectsynth.extras import needed
from defectsynth.formats.manifest import Line
from defectsynth.plugins import load_plugins
from defectsynth.sharding import Engine, Shard, ShardMaker

__all__ = ["ray_engine"]

CONNECT_SECONDS = 10.0
RETRIES = 10
"""Times that a shard is made again after the machine that made it was lost."""
_AHEAD = 4  # shards that wait for each core


def ray_engine(address: str | None = None) -> Engine:
    """Ray at an address (``host:port``, ``ray://host:port``, ``auto``), or a Ray of this machine alone.

    Every machine needs this package in the same version, and must see the folders of the job and of the output under the same
    names.

    Raises:
        InputError: Ray is not installed, or nothing answers at the address.
    """
    ray = needed("ray", "ray", "the engine ray")
    _connect(ray, address)

    def run(arguments: tuple[Any, ...], shards: list[Shard], imports: tuple[str, ...]) -> Iterator[Line]:
        make = ray.remote(num_cpus=1, max_retries=RETRIES)(_make_shard)
        given, waiting = ray.put(pickle.dumps(arguments)), list(reversed(shards))
        pending: list[Any] = []
        try:
            while waiting or pending:
                room = max(1, int(ray.cluster_resources().get("CPU", 1))) * _AHEAD - len(pending)
                pending += [make.remote(given, imports, waiting.pop()) for _ in range(min(room, len(waiting)))]
                ready, pending = ray.wait(pending, num_returns=1)
                yield from _results(ray, ready)
        finally:
            for task in pending:
                ray.cancel(task)

    return run


def _connect(ray: Any, address: str | None) -> None:
    if ray.is_initialized():
        return
    _knock(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        first = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"Ray cannot be reached at {address!r} ({first[0]}): give the address of a running head node"
        ) from None


def _knock(address: str | None) -> None:
    """Ray itself waits for half a minute and longer for a machine that does not answer."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise InputError(
            f"Ray cannot be reached at {address!r} ({error}): give the address of a running head node (`ray start --head` "
            "prints it)"
        ) from None


def _results(ray: Any, ready: list[Any]) -> Iterator[Line]:
    try:
        yield from ray.get(ready)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, DefectSynthError):
            raise error.cause from None
        raise DefectSynthError(f"a shard could not be made: {error.cause}; --resume goes on where this ended") from None
    except ray.exceptions.RayError as error:
        raise DefectSynthError(f"Ray lost its machines ({error}); --resume goes on where this ended") from None


def _make_shard(made_from: bytes, imports: tuple[str, ...], shard: Shard) -> Line:
    load_plugins(imports)  # before anything of theirs is unpickled
    return _maker(made_from)(shard)


@lru_cache(maxsize=1)
def _maker(made_from: bytes) -> ShardMaker:
    """Opened once in a process, for all shards that it makes."""
    cv2.setNumThreads(1)  # the processes are the parallelism
    return ShardMaker(*pickle.loads(made_from))
