"""A job rendered in any format: as files, which are painted in the MVTec AD layout first, or as shards."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

from defectsynth.convert import check_target, convert
from defectsynth.errors import InputError
from defectsynth.formats.shards import SHARD_FORMATS, SHARD_SIZE
from defectsynth.formats.table import FORMATS
from defectsynth.job import Job
from defectsynth.making import OnError
from defectsynth.ray_engine import ray_engine
from defectsynth.recipe import Recipe
from defectsynth.render import RenderReport, refuse_overlap, render
from defectsynth.sharding import local_engine, render_shards

__all__ = ["render_as"]

_ASIDE = ".rendering"


def render_as(
    job: Job,
    recipe: Recipe,
    out: str,
    format: str,
    *,
    workers: int = 1,
    engine: Literal["local", "ray"] = "local",
    address: str | None = None,
    shard_size: int = SHARD_SIZE,
    val_fraction: float | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_error: OnError = "stop",
    progress: Callable[[int, int], None] | None = None,
) -> RenderReport:
    """Renders a dataset in a format.

    Args:
        job, recipe, workers, resume, overwrite, on_error, progress: as for ``render.render``.
        out: the dataset's folder; for ``webdataset`` and ``parquet`` also any address that fsspec knows.
        format: one of ``formats.table.FORMATS``. ``coco``, ``yolo`` and ``imagefolder`` are written from a dataset in the MVTec
            AD layout that is kept in ``<out>.rendering`` until then, where ``resume`` finds it.
        engine, address: who makes the shards of ``webdataset`` and ``parquet``: processes of this machine, or Ray.
        shard_size: of these.
        val_fraction: as for ``convert.convert``; for formats of files.

    Raises:
        InputError: an option that the format does not have.
        DefectSynthError: see ``errors.py``; whatever was written before stays, and ``resume`` goes on from there.
    """
    _check_options(out, format, engine, address, val_fraction)
    again = {"resume": resume, "overwrite": overwrite}
    if format in SHARD_FORMATS:
        maker = ray_engine(address) if engine == "ray" else local_engine(workers)
        return render_shards(
            job, recipe, out, format, engine=maker, shard_size=shard_size, on_error=on_error, progress=progress, **again
        )
    if format == "mvtec":
        return render(job, recipe, Path(out), workers=workers, on_error=on_error, progress=progress, **again)
    refuse_overlap(Path(out), job)
    check_target(Path(out), overwrite=overwrite)
    aside = Path(out).with_name(f"{Path(out).name}{_ASIDE}")
    report = render(job, recipe, aside, workers=workers, on_error=on_error, progress=progress, **again)
    convert(aside, Path(out), format, val_fraction=val_fraction, overwrite=overwrite)
    shutil.rmtree(aside)
    return replace(report, out=out)


def _check_options(out: str, format: str, engine: str, address: str | None, val_fraction: float | None) -> None:
    if format not in FORMATS:
        raise InputError(f"format {format!r} is not known: give one of {', '.join(FORMATS)}")
    shards = ", ".join(SHARD_FORMATS)
    if format not in SHARD_FORMATS and engine != "local":
        raise InputError(f"engine is {engine!r} and format {format!r}: many machines write shards, so give one of {shards}")
    if format not in SHARD_FORMATS and "://" in out:
        raise InputError(f"output {out!r} is an address and format {format!r} writes files: give a folder, or one of {shards}")
    if address is not None and engine != "ray":
        raise InputError(f"address is {address!r} but engine is {engine!r}: give engine ray, or leave address out")
    if val_fraction is not None and format in (*SHARD_FORMATS, "mvtec"):
        raise InputError(
            f"val fraction is {val_fraction:g} and format {format!r} keeps train and test: leave it out, or convert"
        )
