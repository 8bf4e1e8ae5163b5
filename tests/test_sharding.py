"""Shards: the same bytes whoever makes them; what was finished is kept; many machines, one of which is lost."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from defectsynth.convert import convert
from defectsynth.errors import ImageError, InputError, RecipeError, StorageError
from defectsynth.formats.shards import open_store, read_shards
from defectsynth.formats.table import FORMATS
from defectsynth.job import Job
from defectsynth.recipe import load_recipe
from defectsynth.render import render
from defectsynth.render_as import render_as
from defectsynth.sharding import local_engine, render_shards

RECIPE = load_recipe("industrial").model_copy(update={"normal_fraction": 0.2})


def job(**changes) -> Job:
    return Job(**({"images": "builtin:plate", "count": 30, "seed": 2, "size": (48, 56), "train_fraction": 0.12} | changes))


def shards(out: Path | str, format: str = "webdataset", engine=None, **options):
    return render_shards(job(), RECIPE, str(out), format, engine=engine or local_engine(1), shard_size=8, **options)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("shards") / "alone"
    shards(out)
    return out


def test_shards_hold_what_render_writes(alone, tmp_path):
    render(job(), RECIPE, tmp_path / "files")
    files = {record.name: record for record in FORMATS["mvtec"].read(tmp_path / "files")}
    read = {record.name: record for record in read_shards(open_store(alone), "webdataset")}
    assert set(files) == set(read) and sorted(contents(alone)) == [
        "README.md", "recipe.yaml", "render.json", "shards.json", *(f"test-{number:06d}.tar" for number in range(4)),
        "train-000000.tar", "train-000001.tar",
    ]  # fmt: skip
    for name, record in read.items():
        assert (record.picture, record.line) == (files[name].picture, files[name].line)
        assert [(piece.kind, piece.anomaly, piece.mask.tobytes()) for piece in record.pieces] == [
            (piece.kind, piece.anomaly, piece.mask.tobytes()) for piece in files[name].pieces
        ]


@pytest.mark.parametrize("format", ["webdataset", "parquet"])
def test_the_same_bytes_by_two_processes(tmp_path, format):
    shards(tmp_path / "one", format)
    shards(tmp_path / "two", format, local_engine(2))
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_any_address_that_fsspec_knows(alone):
    fsspec = pytest.importorskip("fsspec")
    shards("memory://many/pictures")
    files = fsspec.filesystem("memory")
    assert {Path(name).name: files.cat(name) for name in files.ls("memory://many/pictures", detail=False)} == contents(alone)
    with pytest.raises(StorageError, match="not empty"):
        shards("memory://many/pictures")
    assert shards("memory://many/pictures", resume=True).resumed == 42
    with pytest.raises(StorageError, match="cannot be opened"):
        shards("nowhere://many/pictures")


def test_what_was_finished_is_kept(alone, tmp_path):
    out, made = tmp_path / "set", []

    def stop_after_three(done, total):
        made.append(done)
        if len(made) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shards(out, progress=stop_after_three)
    kept = {path.name: path.stat().st_mtime_ns for path in out.glob("*.tar")}
    assert 3 <= len(kept) < 6
    (out / ".test-000003.tar.1.tmp").write_bytes(b"left by a killed writer")
    with pytest.raises(StorageError, match="not empty"):
        shards(out)
    with pytest.raises(StorageError, match="seed was 2 and is 3"):
        render_shards(job(seed=3), RECIPE, str(out), "webdataset", engine=local_engine(1), shard_size=8, resume=True)
    with pytest.raises(StorageError, match="shard_size was 8 and is 9"):
        render_shards(job(), RECIPE, str(out), "webdataset", engine=local_engine(1), shard_size=9, resume=True)
    report = shards(out, resume=True)
    assert report.resumed > 0 and report.pictures == 42
    assert all((out / name).stat().st_mtime_ns == when for name, when in kept.items())
    assert contents(out) == contents(alone)


def test_a_lost_shard_is_made_again(alone, tmp_path):
    shards(tmp_path / "set")
    (tmp_path / "set/test-000001.tar").unlink()
    shards(tmp_path / "set", resume=True)
    assert contents(tmp_path / "set") == contents(alone)


def test_pictures_that_cannot_be_made(tmp_path):
    from defectsynth.files import write_image
    from defectsynth.samples import product

    for number in range(4):
        write_image(tmp_path / f"in/{number}.png", product("plate", number, (40, 40)).image)
    (tmp_path / "in/1.png").write_bytes(b"no picture")
    broken = job(images=str(tmp_path / "in"), count=8)
    with pytest.raises(ImageError, match=r"1\.png"):
        render_shards(broken, RECIPE, str(tmp_path / "a"), "webdataset", engine=local_engine(1))
    assert not list((tmp_path / "a").glob("*.tmp"))
    report = render_shards(broken, RECIPE, str(tmp_path / "b"), "webdataset", engine=local_engine(1), on_error="skip")
    assert report.skipped and report.pictures == 8 - report.skipped
    listed = [line for shard in json.loads((tmp_path / "b/shards.json").read_text())["shards"] for line in shard["skipped"]]
    assert len(listed) == report.skipped and all("1.png" in line["error"] for line in listed)


@pytest.fixture
def disk(tmp_path):
    """A file system of its own, of 120 kB; ``mount`` again changes it."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options: str) -> None:
        new = () if "remount" in options else ("-t", "tmpfs", "tmpfs")
        subprocess.run(["mount", "-o", options, *new, folder], check=True)

    try:
        mount("size=120k")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs the right to mount a file system")
    yield folder, mount
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("format", ["webdataset", "parquet"])
def test_a_full_disk_loses_nothing(disk, format, tmp_path):
    folder, mount = disk
    with pytest.raises(StorageError, match=r"cannot write .*free some space"):
        shards(folder / "set", format)
    assert not list((folder / "set").glob("*.tmp"))
    mount("remount,size=20m")
    shards(folder / "set", format, resume=True)
    shards(tmp_path / "whole", format)
    assert contents(folder / "set") == contents(tmp_path / "whole")


def test_a_full_or_a_read_only_target_of_a_conversion(disk, alone):
    folder, mount = disk
    for name in ("coco", "yolo", "imagefolder", "webdataset", "mvtec"):
        with pytest.raises(StorageError, match=r"cannot write .*free some space"):
            convert(alone, folder / name, name)
    assert not list(folder.iterdir())
    mount("remount,ro")
    with pytest.raises(StorageError, match=r"cannot write .*make this one writable"):
        convert(alone, folder / "coco", "coco")
    with pytest.raises(StorageError, match=r"cannot write .*make this one writable"):
        shards(folder / "set")


def test_bad_input(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("dear")
    with pytest.raises(StorageError, match="is not a dataset in shards"):
        shards(tmp_path / "mine", overwrite=True)
    with pytest.raises(StorageError, match="nothing to resume"):
        shards(tmp_path / "mine", resume=True)
    with pytest.raises(InputError, match="shard size is 0"):
        render_shards(job(), RECIPE, str(tmp_path / "x"), "webdataset", engine=local_engine(1), shard_size=0)
    with pytest.raises(RecipeError, match="--textures"):
        render_shards(job(), load_recipe("draem-code"), str(tmp_path / "x"), "webdataset", engine=local_engine(1))
    assert not (tmp_path / "x").exists()
    for options, message in [
        ({"format": "voc"}, "not known"),
        ({"format": "coco", "engine": "ray"}, "write shards"),
        ({"format": "coco", "out": "s3://x/y"}, "is an address"),
        ({"format": "webdataset", "address": "auto"}, "give engine ray"),
        ({"format": "mvtec", "val_fraction": 0.2}, "keeps train and test"),
    ]:
        with pytest.raises(InputError, match=message):
            render_as(job(), RECIPE, **({"out": str(tmp_path / "x")} | options))


@pytest.mark.parametrize("format", ["coco", "yolo", "imagefolder"])
def test_render_in_formats_of_files(tmp_path, format):
    report = render_as(job(), RECIPE, str(tmp_path / "set"), format)
    records = list(FORMATS[format].read(tmp_path / "set"))
    assert report.out == str(tmp_path / "set") and report.pictures == len(records) == 42
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    with pytest.raises(StorageError, match="not empty"):
        render_as(job(), RECIPE, str(tmp_path / "set"), format)
    render_as(job(), RECIPE, str(tmp_path / "set"), format, overwrite=True)


def test_what_a_worker_that_died_was_writing_goes(alone, tmp_path):
    def leave_one(done, total):
        (tmp_path / "set/.test-000000.tar.22137.tmp").write_bytes(b"half")

    shards(tmp_path / "set", progress=leave_one)
    assert contents(tmp_path / "set") == contents(alone)


# --- many machines ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def ray_cluster(monkeypatch):
    """A head that does no work, and two machines of one core each."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    machines = [cluster.add_node(num_cpus=1) for _ in range(2)]
    yield cluster, machines
    ray.shutdown()
    cluster.shutdown()


@pytest.mark.filterwarnings("ignore")
def test_a_machine_that_is_lost_loses_nothing(alone, tmp_path, ray_cluster):
    from defectsynth.ray_engine import ray_engine

    cluster, machines = ray_cluster
    lost = []

    def lose_one(done, total):
        if not lost:
            lost.append(done)
            threading.Thread(target=cluster.remove_node, args=(machines[0],), kwargs={"allow_graceful": False}).start()

    report = shards(tmp_path / "many", engine=ray_engine(cluster.address), progress=lose_one)
    assert lost and lost[0] < 42 and report.pictures == 42
    assert contents(tmp_path / "many") == contents(alone)


def test_an_address_that_does_not_answer():
    pytest.importorskip("ray")
    from defectsynth.ray_engine import ray_engine

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    for address in (f"127.0.0.1:{port}", f"ray://127.0.0.1:{port}", "no-such-host.invalid:6379"):
        begun = time.monotonic()
        with pytest.raises(InputError, match=r"Ray cannot be reached at .*head node"):
            ray_engine(address)
        assert time.monotonic() - begun < 30
