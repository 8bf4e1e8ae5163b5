"""The job: the same bytes however it ran, nothing lost however it ended, and every bad input in one message."""

from __future__ import annotations

import hashlib
import json
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import picture

from defectsynth.errors import ImageError, InputError, LeakageError, RegionError, SourceError, StorageError
from defectsynth.files import read_image, write_image
from defectsynth.formats.manifest import read_manifest
from defectsynth.formats.mvtec import read_mvtec
from defectsynth.job import Job
from defectsynth.recipe import load_recipe
from defectsynth.render import render
from defectsynth.statistics import compare, dataset_measures
from defectsynth.verify import verify

RECIPE = load_recipe("industrial").with_settings(["normal_fraction=0.25"])


def job_of(folder: Path, **changes) -> Job:
    return Job(**{"images": str(folder), "count": 24, "seed": 3, **changes})


def tree(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def dataset(photo_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("data") / "set"
    render(job_of(photo_folder), RECIPE, out)
    return out


def test_what_lies_on_disk(dataset, photo_folder):
    found = read_mvtec(dataset)
    lines = list(read_manifest(dataset / "manifest.jsonl"))
    assert len(found) == len(lines) == 28  # 4 of 8 pictures in train/good, 24 in test
    assert {path.name for path in dataset.iterdir()} == {
        "train", "test", "ground_truth", "manifest.jsonl", "recipe.yaml", "render.json", "preview.jpg",
    }  # fmt: skip
    train = {line["normal"] for line in lines if line["split"] == "train"}
    test = {line["normal"] for line in lines if line["split"] == "test"}
    assert train.isdisjoint(test)  # no picture is both learnt from and painted on
    assert train | test == {path.name for path in photo_folder.iterdir()}
    stems = [Path(line["file"]).stem for line in lines]
    assert len(set(stems)) == len(stems)
    for line in lines:
        if line["kind"] == "good":
            continue
        mask = read_image(dataset / "ground_truth" / line["kind"] / f"{Path(line['file']).stem}_mask.png")
        normal, image = read_image(photo_folder / line["normal"]), read_image(dataset / line["file"])
        assert line["pixels"] == np.count_nonzero(mask) > 0
        assert line["area"] == pytest.approx(line["pixels"] / mask.size, abs=1e-8)
        assert line["components"] == cv2.connectedComponents(mask)[0] - 1
        assert (image[mask == 0] == normal[mask == 0]).all()
        assert len(json.dumps(line["plan"])) < 1000
    assert load_recipe(dataset / "recipe.yaml") == RECIPE
    assert compare(dataset_measures(dataset))["area"][0].count == sum(line["kind"] != "good" for line in lines)


def test_normals_are_copies(dataset, photo_folder):
    for line in read_manifest(dataset / "manifest.jsonl"):
        if line["kind"] == "good":
            assert (read_image(dataset / line["file"]) == read_image(photo_folder / line["normal"])).all()


def test_workers_do_not_change_a_byte(dataset, photo_folder, tmp_path):
    render(job_of(photo_folder), RECIPE, tmp_path / "two", workers=2)
    assert tree(tmp_path / "two") == tree(dataset)


def test_more_pictures_leave_the_first_as_they_are(dataset, photo_folder, tmp_path):
    render(job_of(photo_folder, count=30), RECIPE, tmp_path / "more")
    before, after = tree(dataset), tree(tmp_path / "more")
    assert all(after[name] == digest for name, digest in before.items() if name.startswith(("train", "test", "ground_truth")))


# --- interrupted --------------------------------------------------------------------------------------------------------


def command(out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "defectsynth.cli", "render", "--out", str(out), "--seed", "5", *more]


def start_and_wait_for(arguments: list[str], out: Path, lines: int) -> subprocess.Popen:
    process = subprocess.Popen(
        arguments,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell has its background jobs ignore it
    )
    partial = out / "manifest.partial.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if partial.exists() and partial.read_bytes().count(b"\n") >= lines:
            break
        time.sleep(0.01)
    return process


@pytest.mark.parametrize("workers", ["1", "2"])
def test_killed_and_resumed_is_the_same_tree(photo_folder, tmp_path, workers):
    arguments = ["--images", str(photo_folder), "--count", "150", "--workers", workers]
    subprocess.run(command(tmp_path / "whole", *arguments), check=True, capture_output=True)
    process = start_and_wait_for(command(tmp_path / "cut", *arguments), tmp_path / "cut", 20)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "cut" / "manifest.jsonl").exists()
    time.sleep(0.5)  # workers notice the death of their parent
    with (tmp_path / "cut" / "manifest.partial.jsonl").open("a") as partial:
        partial.write('{"file": "test/stain/0')  # a line that was being written
    (tmp_path / "cut" / "test" / ".000999.png.1.tmp").write_bytes(b"half")
    again = subprocess.run(
        command(tmp_path / "cut", *arguments, "--resume", "--json"), check=True, capture_output=True, text=True
    )
    assert json.loads(again.stdout)["resumed"] >= 20
    assert tree(tmp_path / "cut") == tree(tmp_path / "whole")


def test_interrupt_leaves_a_run_to_go_on_with(photo_folder, tmp_path):
    arguments = ["--images", str(photo_folder), "--count", "400", "--workers", "2"]
    process = start_and_wait_for(command(tmp_path / "out", *arguments), tmp_path / "out", 20)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted: what was written stays; `render --resume` goes on from there" in errors
    assert "Traceback" not in errors
    report = render(
        job_of(photo_folder, count=400, seed=5, images=str(photo_folder)), _default_recipe(), tmp_path / "out", resume=True
    )
    assert report.resumed >= 20
    assert report.pictures == 404


def _default_recipe():
    return load_recipe("industrial").with_settings(["normal_fraction=0.2"])


def test_resuming_a_finished_run_does_nothing(dataset, photo_folder):
    before = tree(dataset)
    report = render(job_of(photo_folder), RECIPE, dataset, resume=True)
    assert report.resumed == report.pictures == 28
    assert tree(dataset) == before


def test_a_full_disk_loses_nothing(photo_folder, tmp_path):
    """A small tmpfs where one can be mounted; elsewhere a limit on the size of files, which fails at the same place."""
    out = tmp_path / "disk"
    out.mkdir()
    mounted = (
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(out)], capture_output=True).returncode == 0
    )

    def limit_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (15_000, 15_000))

    arguments = command(out / "set", "--images", str(photo_folder), "--count", "60", "--workers", "1")
    try:
        ended = subprocess.run(arguments, capture_output=True, text=True, preexec_fn=None if mounted else limit_files)
        assert ended.returncode == 7, ended.stderr
        assert "error: cannot write" in ended.stderr
        assert "free some space or choose another folder" in ended.stderr
        assert "Traceback" not in ended.stderr
        kept = list(read_manifest(out / "set" / "manifest.partial.jsonl"))
        assert kept
        for line in kept:
            read_image(out / "set" / line["file"])
        assert not list((out / "set").rglob(".*.tmp"))
        if mounted:
            subprocess.run(["mount", "-o", "remount,size=20m", str(out)], check=True)
        subprocess.run([*arguments, "--resume"], check=True, capture_output=True)
        assert not verify(out / "set").problems
    finally:
        if mounted:
            subprocess.run(["umount", str(out)], check=False)


# --- verify -------------------------------------------------------------------------------------------------------------


def flip(path: Path) -> None:
    image = read_image(path)
    image.reshape(-1)[image.size // 2] ^= 1 if "mask" not in path.name else 255
    write_image(path, image)


def test_verify_finds_a_single_pixel(photo_folder, tmp_path):
    out = tmp_path / "set"
    render(job_of(photo_folder, count=8), RECIPE, out)
    assert verify(out).problems == []
    assert verify(out, workers=2).pictures == 12
    lines = [line for line in read_manifest(out / "manifest.jsonl") if line["kind"] != "good"]
    flip(out / lines[0]["file"])
    flip(out / "ground_truth" / lines[1]["kind"] / f"{Path(lines[1]['file']).stem}_mask.png")
    (out / lines[2]["file"]).unlink()
    write_image(out / "test" / "good" / "extra.png", picture((5, 5)))
    problems = verify(out).problems
    assert len(problems) == 4
    assert f"{lines[0]['file']}: 1 pixels differ from what its plan paints" in problems
    assert any("_mask.png: 1 pixels differ" in problem for problem in problems)
    assert any("does not exist" in problem for problem in problems)
    assert "test/good/extra.png: is not in the manifest" in problems


def test_verify_notices_a_manifest_that_lies(photo_folder, tmp_path):
    render(job_of(photo_folder, count=4), RECIPE, tmp_path / "set")
    manifest = tmp_path / "set" / "manifest.jsonl"
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    truth, lines[-1]["components"] = lines[-1]["components"], 77
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    said = f"{lines[-1]['file']}: the manifest says components 77, its plan paints {truth}"
    assert verify(tmp_path / "set").problems == [said]


def test_verify_notices_another_normal_picture(photo_folder, tmp_path):
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in photo_folder.iterdir():
        (moved / path.name).write_bytes(path.read_bytes())
    render(job_of(moved, count=8), RECIPE, tmp_path / "set")
    (tmp_path / "elsewhere").symlink_to(photo_folder)
    assert verify(tmp_path / "set", replacements={"images": str(tmp_path / "elsewhere")}).problems == []
    flip(moved / "part_00.png")
    assert any("normal picture 'part_00.png' has changed since" in problem for problem in verify(tmp_path / "set").problems)


# --- pictures of every kind ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".npy"])
def test_pictures_keep_their_type_channels_and_alpha(tmp_path, suffix):
    folder = tmp_path / "photos"
    images = [(64, 80), (64, 80, 4), (64, 80, 3), (50, 7, 3), (64, 64, 2)] if suffix == ".png" else [(40, 40, 5), (40, 40, 8)]
    for number, shape in enumerate(images):
        dtype = np.uint8 if suffix == ".png" else np.float32
        write_image(folder / f"{number}{suffix}", picture(shape, dtype))
    if suffix == ".png":
        write_image(folder / "16.png", picture((64, 64), np.uint16))
        write_image(folder / "16c.png", picture((64, 64, 3), np.uint16))
    recipe = load_recipe("industrial").with_settings(["foreground=none", "kinds.*.mask.area_range=[0.02,0.2]"])
    render(job_of(folder, train_fraction=0.0), recipe, tmp_path / "set")
    for line in read_manifest(tmp_path / "set" / "manifest.jsonl"):
        normal, image = read_image(folder / line["normal"]), read_image(tmp_path / "set" / line["file"])
        mask = read_image(tmp_path / "set" / "ground_truth" / line["kind"] / f"{line['number']:06d}_mask.png")
        assert (image.shape, image.dtype) == (normal.shape, normal.dtype)
        assert (image[mask == 0] == normal[mask == 0]).all()
        if suffix == ".png" and image.ndim == 3 and image.shape[2] in (2, 4):
            assert (image[:, :, -1] == normal[:, :, -1]).all()  # alpha is no surface
    assert not verify(tmp_path / "set").problems


def test_size_and_roi(tmp_path, photo_folder):
    roi = tmp_path / "roi"
    for path in photo_folder.iterdir():
        mask = np.zeros((96, 96), np.uint8)
        mask[:48] = 255
        write_image(roi / f"{path.stem}_mask.png", mask)
    render(job_of(photo_folder, roi=str(roi), size=(64, 128)), RECIPE, tmp_path / "set")
    for line in read_manifest(tmp_path / "set" / "manifest.jsonl"):
        assert read_image(tmp_path / "set" / line["file"]).shape == (64, 128, 3)
        if line["kind"] != "good":
            mask = read_image(tmp_path / "set" / "ground_truth" / line["kind"] / f"{line['number']:06d}_mask.png")
            assert not mask[32:].any()
    assert not verify(tmp_path / "set").problems


# --- bad input ----------------------------------------------------------------------------------------------------------


def test_folders_of_pictures(tmp_path, photo_folder):
    with pytest.raises(ImageError, match=r"image folder '.*none' does not exist"):
        render(job_of(tmp_path / "none"), RECIPE, tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match="holds no pictures"):
        render(job_of(tmp_path / "empty"), RECIPE, tmp_path / "out")
    with pytest.raises(InputError, match="built-in product 'disk' is unknown: the products are plate"):
        render(Job(images="builtin:disk", count=1), RECIPE, tmp_path / "out")
    with pytest.raises(SourceError, match=r"texture folder .* holds no pictures"):
        render(job_of(photo_folder, textures=str(tmp_path / "empty")), load_recipe("draem-code"), tmp_path / "out")
    with pytest.raises(RegionError, match=r"ROI '.*nowhere' does not exist"):
        render(job_of(photo_folder, roi=str(tmp_path / "nowhere")), RECIPE, tmp_path / "out")
    assert not (tmp_path / "out").exists()  # nothing was begun


def test_leakage_is_refused_before_anything_is_written(tmp_path, photo_folder, defect_folder):
    with pytest.raises(LeakageError):
        render(
            job_of(photo_folder, defects=str(defect_folder), exclude=(str(defect_folder / "test"),)),
            load_recipe("peng2024"),
            tmp_path / "out",
        )
    assert not (tmp_path / "out").exists()


@pytest.fixture
def damaged_folder(photo_folder, tmp_path):
    folder = tmp_path / "damaged"
    folder.mkdir()
    for path in photo_folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    cut = folder / "part_03.png"
    cut.write_bytes(cut.read_bytes()[:500])
    (folder / "part_99.png").write_text("not a picture")
    return folder


def test_a_damaged_picture_stops_or_is_skipped(damaged_folder, tmp_path):
    job = job_of(damaged_folder, train_fraction=0.0)
    with pytest.raises(ImageError, match=r"picture '.*part_(03|99)\.png' is"):
        render(job, RECIPE, tmp_path / "stop")
    kept = [line["file"] for line in read_manifest(tmp_path / "stop" / "manifest.partial.jsonl")]
    assert all((tmp_path / "stop" / file).is_file() for file in kept)
    for workers in (1, 2):
        report = render(job, RECIPE, tmp_path / str(workers), on_error="skip", workers=workers)
        skipped = [json.loads(line) for line in (tmp_path / str(workers) / "skipped.jsonl").read_text().splitlines()]
        assert report.skipped == len(skipped) > 0
        assert report.pictures + report.skipped == 24
        assert {line["normal"] for line in skipped} == {"part_03.png", "part_99.png"}
        assert all("damaged" in line["error"] or "not a picture" in line["error"] for line in skipped)
    assert tree(tmp_path / "1") == tree(tmp_path / "2")


def test_rois_that_do_not_fit(tmp_path, photo_folder):
    write_image(tmp_path / "roi.png", np.full((5, 5), 255, np.uint8))
    with pytest.raises(RegionError, match=r"is 5 x 5 but picture 'part_0.*' is 96 x 96: an ROI has the size of its picture"):
        render(job_of(photo_folder, roi=str(tmp_path / "roi.png")), RECIPE, tmp_path / "a")
    write_image(tmp_path / "empty.png", np.zeros((96, 96), np.uint8))
    with pytest.raises(RegionError, match=r"the ROI of 'part_0.\.png' is empty at 96 x 96 pixels"):
        render(job_of(photo_folder, roi=str(tmp_path / "empty.png")), RECIPE, tmp_path / "b")
    (tmp_path / "rois").mkdir()
    with pytest.raises(RegionError, match=r"picture 'part_0.\.png' has no ROI: expected '.*png' or '.*_mask\.png'"):
        render(job_of(photo_folder, roi=str(tmp_path / "rois")), RECIPE, tmp_path / "c")


def test_output_folders_in_use(tmp_path, photo_folder, dataset):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    job = job_of(photo_folder, count=2)
    with pytest.raises(StorageError, match="is not empty: choose another, or give --resume to go on or --overwrite"):
        render(job, RECIPE, tmp_path / "mine")
    with pytest.raises(
        StorageError, match=r"is not a rendered dataset \(it holds thesis\.txt\), so --overwrite does not delete it"
    ):
        render(job, RECIPE, tmp_path / "mine", overwrite=True)
    with pytest.raises(StorageError, match="nothing to resume"):
        render(job, RECIPE, tmp_path / "mine", resume=True)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
    with pytest.raises(StorageError, match="is a file: choose a folder"):
        render(job, RECIPE, tmp_path / "mine" / "thesis.txt")
    with pytest.raises(StorageError, match=r"cannot be resumed with other settings: count was 24 and is 2"):
        render(job, RECIPE, dataset, resume=True)
    with pytest.raises(StorageError, match="cannot be resumed with other settings: the recipe changed"):
        render(job_of(photo_folder), load_recipe("industrial"), dataset, resume=True)


def test_output_and_input_may_not_lie_inside_each_other(tmp_path, photo_folder):
    whole = tmp_path / "set"
    render(job_of(photo_folder, count=2), RECIPE, whole)
    before = tree(whole)
    for images, out in (
        (whole / "train" / "good", whole),
        (whole, whole),
        (whole / "train" / "good", whole / "train" / "good" / "new"),
    ):
        with pytest.raises(StorageError, match="lie inside each other: choose another output"):
            render(job_of(images, count=2), RECIPE, out, overwrite=True)
    assert tree(whole) == before


def test_resume_makes_what_is_missing_and_notices_other_pictures(tmp_path, photo_folder):
    moved, out = tmp_path / "moved", tmp_path / "set"
    moved.mkdir()
    for path in photo_folder.iterdir():
        (moved / path.name).write_bytes(path.read_bytes())
    render(job_of(moved, count=6), RECIPE, out)
    before = tree(out)
    next((out / "ground_truth").rglob("*_mask.png")).unlink()
    assert render(job_of(moved, count=6), RECIPE, out, resume=True).resumed == 9
    assert tree(out) == before
    write_image(moved / "part_00.png", picture((96, 96, 3)))
    with pytest.raises(StorageError, match="cannot be resumed with other settings: the normal pictures changed"):
        render(job_of(moved, count=6), RECIPE, out, resume=True)


def test_defects_lie_where_the_picture_is_opaque(tmp_path):
    rgba = picture((64, 64, 4))
    rgba[:, :, 3] = 0
    rgba[10:40, 20:60, 3] = 255
    write_image(tmp_path / "photos" / "a.png", rgba)
    render(job_of(tmp_path / "photos", count=6), load_recipe("industrial"), tmp_path / "set")
    for line in read_manifest(tmp_path / "set" / "manifest.jsonl"):
        mask = read_image(tmp_path / "set" / "ground_truth" / line["kind"] / f"{line['number']:06d}_mask.png")
        assert not mask[rgba[:, :, 3] == 0].any()


def test_an_roi_for_built_in_products_is_refused(tmp_path):
    write_image(tmp_path / "roi.png", np.full((256, 256), 255, np.uint8))
    with pytest.raises(RegionError, match="an ROI is for a folder of pictures"):
        render(Job(images="builtin:disc", roi=str(tmp_path / "roi.png"), count=1), RECIPE, tmp_path / "set")


def test_overwrite_replaces_a_dataset(tmp_path, photo_folder):
    render(job_of(photo_folder, count=4), RECIPE, tmp_path / "set")
    render(job_of(photo_folder, count=4, seed=9), RECIPE, tmp_path / "fresh")
    render(job_of(photo_folder, count=4, seed=9), RECIPE, tmp_path / "set", overwrite=True)
    assert tree(tmp_path / "set") == tree(tmp_path / "fresh")


def test_a_damaged_manifest_is_named(tmp_path, photo_folder):
    render(job_of(photo_folder, count=2), RECIPE, tmp_path / "set")
    manifest = tmp_path / "set" / "manifest.jsonl"
    manifest.write_text("{broken\n" + manifest.read_text())
    with pytest.raises(StorageError, match=r"line 1 of manifest '.*' is damaged"):
        verify(tmp_path / "set")
    lines = manifest.read_text().splitlines(keepends=True)[1:]
    for text, message in (
        (lines[0] + "".join(lines), "line 2 of manifest .* lists .* again"),
        ("{}\n", "line 1 of manifest .* has no 'file'"),
        ("[]\n", "line 1 of manifest .* has no 'file'"),
    ):
        manifest.write_text(text)
        with pytest.raises(StorageError, match=message):
            verify(tmp_path / "set")
    manifest.write_bytes(b"\xff\xfe\n")
    with pytest.raises(StorageError, match="is not text"):
        verify(tmp_path / "set")
    manifest.write_text("".join(lines))
    recipe = tmp_path / "set" / "recipe.yaml"
    earlier = recipe.read_text().replace("    halo_range: [0.0, 0.0]\n", "")  # as by a version that did not know this key
    assert earlier != recipe.read_text()
    recipe.write_text(earlier)
    assert not verify(tmp_path / "set").problems
    recipe.write_text(recipe.read_text().replace("min_area: 3.0e-05", "min_area: 4.0e-05"))
    assert verify(tmp_path / "set").problems == ["recipe.yaml: is not the recipe that was rendered"]
    with pytest.raises(StorageError, match="is not a dataset that `defectsynth render` began"):
        verify(tmp_path)
