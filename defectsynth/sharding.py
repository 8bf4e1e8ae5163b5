"""A job rendered into shards: each is made whole by one worker, on this machine or on many, so that any of them can be lost.

    OUT/train-000000.tar ...    normal pictures
    OUT/test-000000.tar ...     labelled ones; .parquet with that format
    OUT/shards.json             what each shard holds, its size and SHA-256
    OUT/recipe.yaml, OUT/render.json, OUT/README.md

OUT is a folder or an address that fsspec knows. While it runs, what a finished shard holds lies beside it
(``test-000000.tar.json``); the last step gathers these. The bytes do not depend on who made a shard, nor on how many did.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, BinaryIO, Protocol

from defectsynth.errors import DefectSynthError, InputError, StorageError
from defectsynth.formats.card import Contents
from defectsynth.formats.manifest import Line
from defectsynth.formats.mvtec import NORMAL_KIND
from defectsynth.formats.record import Record
from defectsynth.formats.shards import SHARD_FORMATS, SHARD_SIZE, Store, open_store, shard_name
from defectsynth.job import JOB_FILE, RECIPE_FILE, Job, Task, recipe_hash
from defectsynth.making import CACHE_BYTES, Maker, OnError, unmade
from defectsynth.pool import run_tasks
from defectsynth.recipe import Recipe
from defectsynth.render import RenderReport, refuse_overlap

__all__ = ["Engine", "Shard", "ShardMaker", "local_engine", "render_shards"]

INDEX_FILE = "shards.json"
CANVAS_BYTES = 256 * 2**20
"""Decoded normal pictures that a worker keeps: a shard takes all of them in turn."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One file to make."""

    name: str
    tasks: tuple[Task, ...]


class Engine(Protocol):
    """Who makes the shards."""

    def __call__(self, arguments: tuple[Any, ...], shards: list[Shard], imports: tuple[str, ...]) -> Iterator[Line]:
        """``ShardMaker(*arguments)(shard)`` for every shard, as they come."""


def local_engine(workers: int) -> Engine:
    """Processes of this machine."""

    def run(arguments: tuple[Any, ...], shards: list[Shard], imports: tuple[str, ...]) -> Iterator[Line]:
        return run_tasks(ShardMaker, arguments, shards, workers, imports)

    return run


def render_shards(
    job: Job,
    recipe: Recipe,
    out: str,
    format: str,
    *,
    engine: Engine,
    shard_size: int = SHARD_SIZE,
    resume: bool = False,
    overwrite: bool = False,
    on_error: OnError = "stop",
    progress: Callable[[int, int], None] | None = None,
) -> RenderReport:
    """Renders a dataset in shards.

    Args:
        job, recipe, on_error, progress: as for ``render.render``.
        out: a folder, or an address with ``://``; must be new or empty, unless ``resume`` or ``overwrite``. Every worker must
            see it under this name.
        format: ``webdataset`` or ``parquet``.
        engine: who makes the shards.
        shard_size: pictures of a shard.
        resume: go on with the run that began in ``out``; finished shards are kept.
        overwrite: replace the shards in ``out``.

    Raises:
        InputError: a shard size below 1.
        DefectSynthError: see ``errors.py``; finished shards stay, and ``resume`` goes on from there.
    """
    started = perf_counter()
    if shard_size < 1:
        raise InputError(f"shard size is {shard_size}: give 1 or more pictures")
    canvases = job.open_canvases()
    job = job.model_copy(update={"canvases": canvases.fingerprint(), "recipe": recipe_hash(recipe)})
    if "://" not in out:
        refuse_overlap(Path(out), job)
    job.synthesizer(recipe, cache_bytes=CACHE_BYTES)  # every error of recipe and sources comes before anything is written
    store, form = open_store(out), {"format": format, "shard_size": shard_size}
    _prepare(store, form, job, recipe, resume, overwrite)
    shards = _shards(job.tasks(canvases), format, shard_size)
    done = {line["shard"]: line for line in _finished(store)}
    resumed, total = sum(line["pictures"] for line in done.values()), sum(len(shard.tasks) for shard in shards)
    arguments = (job, recipe, out, format, on_error)
    open_shards = [shard for shard in shards if shard.name not in done]
    with closing(engine(arguments, open_shards, job.imports)) as lines:  # type: ignore[type-var]
        for line in lines:
            done[line["shard"]] = line
            if progress:
                progress(sum(found["pictures"] + len(found["skipped"]) for found in done.values()), total)
    _finish(store, form, [done[shard.name] for shard in shards])
    return _report(out, list(done.values()), resumed, perf_counter() - started)


class ShardMaker:
    """Makes and writes one shard; lives in a worker process."""

    def __init__(self, job: Job, recipe: Recipe, out: str, format: str, on_error: OnError) -> None:
        self._maker = Maker(job, recipe, canvas_bytes=CANVAS_BYTES)
        self._store, self._format, self._on_error = open_store(out), format, on_error

    def __call__(self, shard: Shard) -> Line:
        """What the shard holds: name, bytes, SHA-256, pictures by split and kind, and the ones that could not be made."""
        contents, skipped = Contents(), list[Line]()
        hashed = _Hashed()

        def write(file: BinaryIO) -> None:
            hashed.file = file
            SHARD_FORMATS[self._format].write_shard(contents.counted(self._records(shard, skipped)), hashed)

        self._store.write(shard.name, write)
        kinds = [[split, kind, number] for (split, kind), number in sorted(contents.kinds.items())]
        line: Line = {"shard": shard.name, "pictures": sum(contents.kinds.values()), "kinds": kinds, "skipped": skipped}
        line |= {"bytes": hashed.size, "sha256": hashed.sha256.hexdigest()}
        self._store.write(_beside(shard.name), lambda file: _write_json(file, line))
        return line

    def _records(self, shard: Shard, skipped: list[Line]) -> Iterator[Record]:
        for task in shard.tasks:
            try:
                yield self._maker(task).record()
            except StorageError:
                raise
            except DefectSynthError as error:
                if self._on_error == "stop":
                    raise
                skipped.append(unmade(task, error))


class _Hashed(io.RawIOBase):
    """Writes through to ``file``, and keeps the hash of what went by."""

    def __init__(self) -> None:
        self.sha256, self.size = hashlib.sha256(), 0
        self.file: BinaryIO | None = None

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        assert self.file is not None
        self.sha256.update(data)
        written = memoryview(data).nbytes
        self.size += written
        self.file.write(data)
        return written

    def tell(self) -> int:
        return self.size


def _beside(name: str) -> str:
    return f"{name}.json"


def _write_json(file: BinaryIO, value: Any) -> None:
    file.write(json.dumps(value, indent=1).encode() + b"\n")


def _read_json(store: Store, name: str) -> Any:
    try:
        with store.read(name) as file:
            return json.loads(file.read())
    except (OSError, ValueError) as error:
        raise StorageError(f"{name!r} in {str(store)!r} is damaged ({error}): render again, with --overwrite") from None


def _shards(tasks: Iterable[Task], format: str, shard_size: int) -> list[Shard]:
    shards = []
    listed = list(tasks)
    for split in ("train", "test"):
        found = [task for task in listed if task.split == split]
        for number, first in enumerate(range(0, len(found), shard_size)):
            shards.append(Shard(shard_name(format, split, number), tuple(found[first : first + shard_size])))
    return shards


# --- the folder -----------------------------------------------------------------------------------------------------------


def _prepare(store: Store, form: dict[str, Any], job: Job, recipe: Recipe, resume: bool, overwrite: bool) -> None:
    """Makes the store ready for this job, or says why it cannot be."""
    names = store.names()
    if names and resume:
        _check_same(store, form, job, names)
        store.clear_temporary()
        return
    if names and not overwrite:
        raise StorageError(
            f"output {str(store)!r} is not empty: choose another, or give --resume to go on or --overwrite to replace it"
        )
    foreign = [name for name in names if not _ours(name)]
    if foreign or (names and JOB_FILE not in names):
        raise StorageError(
            f"output {str(store)!r} is not a dataset in shards (it holds {', '.join(foreign[:5]) or 'no ' + JOB_FILE}), so "
            "--overwrite does not delete it: empty it yourself"
        )
    for name in names:
        store.remove(name)
    store.write(INDEX_FILE, lambda file: _write_json(file, form | {"shards": []}))
    store.write(JOB_FILE, lambda file: _write_bytes(file, (job.model_dump_json(indent=2) + "\n").encode()))
    store.write(RECIPE_FILE, lambda file: _write_bytes(file, recipe.to_yaml().encode()))


def _check_same(store: Store, form: dict[str, Any], job: Job, names: list[str]) -> None:
    if not {JOB_FILE, INDEX_FILE} <= set(names):
        raise StorageError(f"nothing to resume in {str(store)!r}: choose an empty folder and leave --resume out")
    begun = _read_json(store, JOB_FILE) | {key: _read_json(store, INDEX_FILE).get(key) for key in form}
    asked = json.loads(job.model_dump_json()) | form
    changed = [f"{key} was {begun.get(key)!r} and is {asked[key]!r}" for key in asked if begun.get(key) != asked[key]]
    if changed:
        raise StorageError(
            f"the run in {str(store)!r} cannot be resumed with other settings: {'; '.join(changed)}. Give the same ones, or "
            "--overwrite"
        )


def _write_bytes(file: BinaryIO, data: bytes) -> None:
    file.write(data)


def _ours(name: str) -> bool:
    endings = tuple(module.SUFFIX for module in SHARD_FORMATS.values())
    known = (INDEX_FILE, JOB_FILE, RECIPE_FILE, "README.md")
    return name in known or name.removesuffix(".json").endswith(endings) or name.endswith(".tmp")


def _finished(store: Store) -> list[Line]:
    """What the shards hold that an earlier run has finished."""
    names = set(store.names())
    found = _read_json(store, INDEX_FILE)["shards"]
    found += [_read_json(store, name) for name in sorted(names) if name.endswith(".json") and name[:-5] in names]
    return [line for line in found if line["shard"] in names]


def _finish(store: Store, form: dict[str, Any], lines: list[Line]) -> None:
    """Once every shard is there: the card and the index; what a worker that died was writing goes."""
    store.clear_temporary()
    contents = Contents()
    for line in lines:
        contents.kinds.update({(split, kind): number for split, kind, number in line["kinds"]})
    store.write("README.md", lambda file: _write_bytes(file, contents.card()))
    store.write(INDEX_FILE, lambda file: _write_json(file, form | {"shards": lines}))
    for line in lines:
        store.remove(_beside(line["shard"]))


def _report(out: str, lines: list[Line], resumed: int, seconds: float) -> RenderReport:
    kinds: dict[str, int] = {}
    for line in lines:
        for _, kind, number in line["kinds"]:
            kinds[kind] = kinds.get(kind, 0) + number
    anomalous = sum(number for kind, number in kinds.items() if kind != NORMAL_KIND)
    skipped = sum(len(line["skipped"]) for line in lines)
    return RenderReport(out, sum(kinds.values()), anomalous, resumed, skipped, round(seconds, 3), dict(sorted(kinds.items())))
