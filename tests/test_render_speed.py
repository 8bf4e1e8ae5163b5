"""What rendering writes and how: the same bytes whatever the format and the workers, options that are checked, flat memory."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import picture
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from test_render import job_of, tree
from typer.testing import CliRunner

from defectsynth import AnomalySynthesizer
from defectsynth.cli import app
from defectsynth.encoding import LOSSLESS, Encoding, digest
from defectsynth.errors import ImageError, InputError, StorageError
from defectsynth.files import decode_image, encode_image, read_form, read_image, write_image
from defectsynth.formats.manifest import read_manifest
from defectsynth.formats.mvtec import NORMAL_KIND, mask_path, read_mvtec, write_mvtec
from defectsynth.job import Job, read_job
from defectsynth.ledger import Entry, Ledger
from defectsynth.pool import _chunks
from defectsynth.recipe import load_recipe
from defectsynth.render import render
from defectsynth.sample import _connected
from defectsynth.verify import verify

RECIPE = load_recipe("industrial").with_settings(["normal_fraction=0.25"])
LOSSY = ["jpg", "webp"]


def lines_of(root: Path) -> list[dict]:
    return list(read_manifest(root / "manifest.jsonl"))


# --- what lies on disk --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("image_format", LOSSY)
def test_lossy_pictures_have_lossless_masks_and_the_same_labels(photo_folder, tmp_path, image_format):
    lossless, lossy = tmp_path / "lossless", tmp_path / "lossy"
    render(job_of(photo_folder, count=8), RECIPE, lossless)
    render(job_of(photo_folder, count=8, image_format=image_format, quality=90), RECIPE, lossy)
    assert len(read_mvtec(lossy)) == len(read_mvtec(lossless)) == 12
    for exact, line in zip(lines_of(lossless), lines_of(lossy), strict=True):
        assert line["file"] == exact["file"].replace(".png", f".{image_format}")
        assert {key: value for key, value in line.items() if key in exact and key != "file"} == {
            key: value for key, value in exact.items() if key != "file"
        }
        painted, written = read_image(lossless / exact["file"]), read_image(lossy / line["file"])
        assert line["image_hash"] == digest(painted)
        assert line["file_hash"] == digest((lossy / line["file"]).read_bytes())
        assert written.shape == painted.shape
        assert 0 < np.abs(written.astype(int) - painted).mean() < 4
        if line["kind"] != NORMAL_KIND:
            mask = mask_path(Path(), line["kind"], Path(line["file"]).stem)
            assert (lossy / mask).read_bytes() == (lossless / mask).read_bytes()


def test_the_dataset_says_whether_its_pictures_are_lossless(photo_folder, tmp_path):
    render(job_of(photo_folder, count=2), RECIPE, tmp_path / "png")
    render(job_of(photo_folder, count=2, image_format="jpg"), RECIPE, tmp_path / "jpg")
    png, jpg = (json.loads((tmp_path / name / "render.json").read_text()) for name in ("png", "jpg"))
    assert (png["image_format"], png["png_level"], png["quality"], png["lossless"]) == ("png", 1, None, True)
    assert (jpg["image_format"], jpg["png_level"], jpg["quality"], jpg["lossless"]) == ("jpg", None, 95, False)
    assert not any("hash" in key and key != "normal_hash" for line in lines_of(tmp_path / "png") for key in line)


@pytest.mark.parametrize("image_format", LOSSY)
def test_quality_is_the_encoder_s(photo_folder, tmp_path, image_format):
    for quality in (30, 95):
        render(job_of(photo_folder, count=4, image_format=image_format, quality=quality), RECIPE, tmp_path / str(quality))
    low, high = (
        sum(path.stat().st_size for path in (tmp_path / quality).glob(f"t*/**/*.{image_format}")) for quality in ("30", "95")
    )
    assert low < high / 2


@pytest.mark.parametrize("level", [0, 1, 2, 6, 9])
def test_every_png_level_holds_the_same_pixels(photo_folder, tmp_path, level):
    render(job_of(photo_folder, count=4, png_level=level), RECIPE, tmp_path / "set")
    assert not verify(tmp_path / "set").problems
    assert read_job(tmp_path / "set")[0].encoding == Encoding("png", level)


@pytest.mark.parametrize("shape", [(40, 50), (40, 50, 1), (40, 50, 2), (40, 50, 3), (40, 50, 4)])
def test_png_levels_from_none_to_most(shape):
    image = picture(shape)
    sizes = [len(Encoding("png", level).encode(image)) for level in (0, 1, 9)]
    assert sizes[0] > image.nbytes
    assert sizes[1] < sizes[0]
    assert sizes[2] < sizes[0]
    assert LOSSLESS.encode(image) == encode_image(image, ".png")


def test_a_format_without_grey_gives_three_channels(tmp_path):
    write_image(tmp_path / "photos" / "a.png", picture((64, 80)))
    render(job_of(tmp_path / "photos", count=2, image_format="webp"), RECIPE, tmp_path / "webp")
    render(job_of(tmp_path / "photos", count=2, image_format="jpg"), RECIPE, tmp_path / "jpg")
    assert {read_image(path).shape for path in (tmp_path / "webp" / "test").rglob("*.webp")} == {(64, 80, 3)}
    assert {read_image(path).shape for path in (tmp_path / "jpg" / "test").rglob("*.jpg")} == {(64, 80)}
    assert not verify(tmp_path / "webp").problems + verify(tmp_path / "jpg").problems


# --- options ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"quality": 80}, "quality is 80 but image_format is png, which has png_level: leave quality out"),
        ({"image_format": "jpg", "png_level": 3}, "png_level is 3 but image_format is jpg, which has quality"),
        ({"image_format": "jpg", "lossless": True}, "lossless is True but image_format is jpg"),
        ({"image_format": "gif"}, "image_format"),
        ({"image_format": "jpg", "quality": 0}, "quality"),
        ({"image_format": "webp", "quality": 101}, "quality"),
        ({"png_level": 10}, "png_level"),
    ],
)
def test_options_that_cannot_be(options, rule):
    with pytest.raises(ValidationError, match=rule):
        Job(images="builtin:disc", count=1, **options)


def test_options_of_the_command_line(tmp_path, photo_folder):
    run = CliRunner()
    begin = ["render", "--images", str(photo_folder), "--count", "2", "--workers", "1", "--out"]
    assert run.invoke(app, [*begin, str(tmp_path / "a"), "--image-format", "webp", "--quality", "70"]).exit_code == 0
    assert run.invoke(app, [*begin, str(tmp_path / "b"), "--png-level", "4"]).exit_code == 0
    assert read_job(tmp_path / "a")[0].encoding == Encoding("webp", quality=70)
    assert read_job(tmp_path / "b")[0].encoding == Encoding("png", 4)
    with pytest.raises(InputError, match="quality is 70 but image_format is png"):
        run.invoke(app, [*begin, str(tmp_path / "c"), "--quality", "70"], catch_exceptions=False)
    assert run.invoke(app, [*begin, str(tmp_path / "c"), "--png-level", "10"]).exit_code == 2
    assert run.invoke(app, [*begin, str(tmp_path / "c"), "--image-format", "gif"]).exit_code == 2
    assert not (tmp_path / "c").exists()


def test_another_format_cannot_be_resumed(photo_folder, tmp_path):
    render(job_of(photo_folder, count=2), RECIPE, tmp_path / "set")
    with pytest.raises(StorageError, match="other settings: image_format was 'png' and is 'jpg'"):
        render(job_of(photo_folder, count=2, image_format="jpg"), RECIPE, tmp_path / "set", resume=True)


def test_a_dataset_from_before_the_options_is_lossless_png(photo_folder, tmp_path):
    render(job_of(photo_folder, count=2), RECIPE, tmp_path / "set")
    path = tmp_path / "set" / "render.json"
    job = json.loads(path.read_text())
    path.write_text(json.dumps({key: job[key] for key in job.keys() - {"image_format", "png_level", "quality", "lossless"}}))
    assert not verify(tmp_path / "set").problems
    assert render(job_of(photo_folder, count=2), RECIPE, tmp_path / "set", resume=True).resumed == 6


# --- pictures that a lossy format cannot hold -----------------------------------------------------------------------------


@pytest.mark.parametrize("image_format", LOSSY)
@pytest.mark.parametrize(
    ("shape", "dtype", "suffix", "value"),
    [
        ((40, 50, 3), np.uint16, ".png", "uint16 with 3 channels"),
        ((40, 50), np.uint16, ".png", "uint16 with 1 channel,"),
        ((40, 50, 4), np.uint8, ".png", "uint8 with 4 channels"),
        ((40, 50, 2), np.uint8, ".png", "uint8 with 2 channels"),
        ((40, 50, 5), np.uint8, ".npy", "uint8 with 5 channels"),
        ((40, 50, 3), np.float32, ".npy", "float32 with 3 channels"),
    ],
)
def test_they_are_refused_before_anything_is_written(tmp_path, image_format, shape, dtype, suffix, value):
    write_image(tmp_path / "photos" / "a.png", picture((40, 50, 3)))
    write_image(tmp_path / "photos" / f"b{suffix}", picture(shape, dtype))
    with pytest.raises(ImageError) as error:
        render(job_of(tmp_path / "photos", count=2, image_format=image_format), RECIPE, tmp_path / "set")
    said = str(error.value)
    assert f"normal picture 'b{suffix}' is {value}" in said
    assert f"{image_format} holds 8-bit pictures of 1 or 3 channels without alpha" in said
    assert "render with image format png" in said
    assert not (tmp_path / "set").exists()


def test_pictures_too_large_for_the_format(tmp_path):
    with pytest.raises(ImageError, match=r"16384 x 8 pixels, and webp holds at most 16,383 along a side"):
        Encoding("webp").check((8, 16_384, 3), np.uint8, "a picture")
    Encoding("webp").check((8, 16_383, 3), np.uint8, "a picture")
    Encoding("jpg").check((8, 16_384, 3), np.uint8, "a picture")
    with pytest.raises(ImageError, match="20000 x 10 pixels, and webp holds"):
        render(Job(images="builtin:plate", count=1, size=(10, 20_000), image_format="webp"), RECIPE, tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_a_damaged_picture_is_skipped_in_its_turn(tmp_path):
    write_image(tmp_path / "photos" / "a.png", picture((64, 64, 3)))
    (tmp_path / "photos" / "b.png").write_text("no picture")
    job = job_of(tmp_path / "photos", count=4, train_fraction=0.0, image_format="jpg")
    report = render(job, RECIPE, tmp_path / "set", on_error="skip")
    assert (report.pictures, report.skipped) == (2, 2)
    with pytest.raises(ImageError, match=r"b\.png' is not a picture that can be read"):
        render(job, RECIPE, tmp_path / "stop")


FILES = [(".npy", shape, dtype) for shape in ((9, 13), (9, 13, 2), (9, 13, 3), (9, 13, 4)) for dtype in (np.uint8, np.uint16)]
FILES += [(suffix, shape, np.uint8) for shape in ((9, 13), (9, 13, 3)) for suffix in (".png", ".jpg", ".bmp", ".tif", ".webp")]
FILES += [(suffix, (9, 13, 4), np.uint8) for suffix in (".png", ".tif")] + [(".png", (9, 13, 2), np.uint8)]
FILES += [(suffix, shape, np.uint16) for shape in ((9, 13), (9, 13, 3), (9, 13, 4)) for suffix in (".png", ".tif")]


@pytest.mark.parametrize(("suffix", "shape", "dtype"), FILES)
def test_a_form_is_that_of_the_picture(tmp_path, suffix, shape, dtype):
    write_image(tmp_path / f"a{suffix}", picture(shape, dtype))
    image, (found, kind) = read_image(tmp_path / f"a{suffix}"), read_form(tmp_path / f"a{suffix}")
    assert kind == image.dtype
    assert found[:2] == image.shape[:2]
    assert (found[2] if len(found) == 3 else 1) == (image.shape[2] if image.ndim == 3 else 1)


# --- the same bytes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("image_format", LOSSY)
def test_workers_do_not_change_a_byte(photo_folder, tmp_path, image_format):
    job = job_of(photo_folder, count=12, image_format=image_format)
    render(job, RECIPE, tmp_path / "one")
    render(job, RECIPE, tmp_path / "two", workers=2)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    assert verify(tmp_path / "two", workers=2).problems == []


def test_killed_and_resumed_with_jpg_is_the_same_tree(photo_folder, tmp_path):
    arguments = ["--images", str(photo_folder), "--count", "120", "--workers", "2", "--image-format", "jpg", "--seed", "5"]
    begin = [sys.executable, "-m", "defectsynth.cli", "render", *arguments, "--out"]
    subprocess.run([*begin, str(tmp_path / "whole")], check=True, capture_output=True)
    process = subprocess.Popen([*begin, str(tmp_path / "cut")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    partial = tmp_path / "cut" / "manifest.partial.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if partial.exists() and partial.read_bytes().count(b"\n") >= 20:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(0.5)  # workers notice the death of their parent
    again = subprocess.run([*begin, str(tmp_path / "cut"), "--resume", "--json"], check=True, capture_output=True, text=True)
    assert 20 <= json.loads(again.stdout)["resumed"] < 124
    assert tree(tmp_path / "cut") == tree(tmp_path / "whole")


# --- verify -------------------------------------------------------------------------------------------------------------


def spoilt(path: Path) -> None:
    """Changes a few pixels of a lossy picture, and encodes it again."""
    image = read_image(path)
    image[10:20, 10:20] = 255 - image[10:20, 10:20]
    path.write_bytes(encode_image(image, path.suffix, quality=95))


@pytest.mark.parametrize("image_format", LOSSY)
def test_verify_finds_a_lossy_picture_that_was_changed(photo_folder, tmp_path, image_format):
    out = tmp_path / "set"
    render(job_of(photo_folder, count=4, image_format=image_format), RECIPE, out)
    assert verify(out).problems == []
    lines = lines_of(out)
    spoilt(out / lines[0]["file"])
    (out / lines[1]["file"]).unlink()
    (out / lines[2]["file"]).write_bytes(b"no picture")
    (out / lines[3]["file"]).write_bytes(b"")
    problems = verify(out).problems
    assert len(problems) == 4
    assert any(
        problem.startswith(lines[0]["file"]) and "pixels differ from what its plan paints" in problem for problem in problems
    )
    assert any(problem.startswith(lines[1]["file"]) and "does not exist" in problem for problem in problems)
    assert sum("is damaged" in problem for problem in problems) == 2


@pytest.mark.parametrize("image_format", LOSSY)
def test_verify_does_not_depend_on_the_version_of_the_encoder(photo_folder, tmp_path, monkeypatch, image_format):
    out = tmp_path / "set"
    render(job_of(photo_folder, count=4, image_format=image_format), RECIPE, out)
    monkeypatch.setattr(Job, "encoding", property(lambda job: _OtherVersion(job.image_format, quality=job.quality)))
    assert _OtherVersion(image_format).encode(picture((9, 9, 3))) != Encoding(image_format).encode(picture((9, 9, 3)))
    assert verify(out).problems == []
    spoilt(out / lines_of(out)[0]["file"])
    assert len(verify(out).problems) == 1


class _OtherVersion(Encoding):
    """An encoder that gives other bytes for the same settings."""

    def encode(self, image):
        return encode_image(image, f".{self.format}", quality=self.quality - 7)


def test_the_same_pixels_in_another_file_are_the_same_picture(photo_folder, tmp_path):
    out = tmp_path / "set"
    render(job_of(photo_folder, count=2, image_format="jpg"), RECIPE, out)
    path = out / lines_of(out)[0]["file"]
    path.write_bytes(path.read_bytes() + b"\0")  # a byte after the end of the picture, as a tool may leave it
    assert verify(out).problems == []


# --- parts --------------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 4), max_size=400), st.integers(1, 20))
def test_chunks_hold_every_task_in_order(keys, workers):
    tasks = [(key, number) for number, key in enumerate(sorted(keys))]
    for together in (None, lambda task: task[0]):
        chunks = list(_chunks(tasks, workers, together))
        assert list(chain(*chunks)) == tasks
        assert all(1 <= len(chunk) <= 24 for chunk in chunks)
        assert not tasks or len(chunks) >= min(workers, len(tasks))


def test_tasks_of_one_canvas_stay_in_one_chunk():
    tasks = [(number // 10, number) for number in range(2000)]
    chunks = list(_chunks(tasks, 2, lambda task: task[0]))
    assert sum(len({canvas for canvas, _ in chunk}) for chunk in chunks) < 1.2 * 200


def test_a_ledger_holds_lines_in_any_order(tmp_path):
    def entry(number: int) -> Entry:
        return Entry.of({"split": "test", "number": number, "kind": f"k{number % 3}", "file": "ü" * number})

    path = tmp_path / "lines"
    with Ledger(path, [entry(7), entry(2)]) as ledger:
        for number in (5, 0, 3):
            ledger.add(entry(number))
        assert len(ledger) == 5
        assert ledger.kinds == {"k0": 2, "k1": 1, "k2": 2}
        assert ("test", 5) in ledger
        assert ("train", 5) not in ledger
        assert list(ledger.texts(("test", number) for number in range(9))) == [entry(n).text for n in (0, 2, 3, 5, 7)]
    assert path.read_bytes() == b"".join(entry(number).text for number in (7, 2, 5, 0, 3))


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40), st.floats(0.02, 0.98))
def test_pieces_are_those_of_the_whole_picture_in_its_order(seed, height, width, level):
    where = np.zeros((height + 9, width + 9), np.bool_)
    top, left = seed % 9, seed // 9 % 9
    where[top : top + height, left : left + width] = picture((height, width), np.float32, seed=seed) > 0.3 + 0.4 * level
    count, labels, stats, _ = cv2.connectedComponentsWithStats(where.view(np.uint8), connectivity=8)
    found = _connected(where)
    assert len(found) == count - 1
    for label, piece in enumerate(found, start=1):
        first_row, first_column, end_row, end_column = piece.box
        assert (piece.labels == piece.label).sum() == piece.pixels == stats[label, cv2.CC_STAT_AREA]
        assert ((labels == label)[first_row:end_row, first_column:end_column] == (piece.labels == piece.label)).all()


def test_sizes_of_pieces_are_those_of_pieces(photo_folder):
    synthesizer = AnomalySynthesizer(load_recipe("industrial").with_settings(["anomalies_per_image_range=[1,3]"]), seed=2)
    image = read_image(next(iter(sorted(photo_folder.iterdir()))))
    for index in range(12):
        sample = synthesizer(image, index=index)
        assert sample.piece_sizes() == [(piece.kind, piece.box, piece.pixels) for piece in sample.pieces()]


def test_a_lossy_picture_is_written_as_it_is_encoded(tmp_path):
    image, mask = picture((30, 40, 3)), np.full((30, 40), 255, np.uint8)
    path = write_mvtec(tmp_path, "test", "dent", "a.b", image, mask, Encoding("jpg", quality=80))
    assert path == tmp_path / "test" / "dent" / "a.b.jpg"
    assert path.read_bytes() == encode_image(image, ".jpg", quality=80)
    assert (decode_image(path.read_bytes(), "a") == read_image(path)).mean() > 0.99  # two decoders
    assert mask_path(tmp_path, "dent", "a.b").is_file()


def test_normal_pictures_of_one_canvas_are_the_same_file(photo_folder, tmp_path):
    recipe = load_recipe("industrial").with_settings(["normal_fraction=0.6"])
    render(job_of(photo_folder, count=30), recipe, tmp_path / "set")
    bytes_of: dict[str, set[bytes]] = {}
    for line in lines_of(tmp_path / "set"):
        if line["kind"] == NORMAL_KIND:
            bytes_of.setdefault(line["normal"], set()).add((tmp_path / "set" / line["file"]).read_bytes())
    assert len(bytes_of) > 4
    assert all(len(files) == 1 for files in bytes_of.values())
