"""Every format: what is written is read again, by us and by the readers of others; damage is named."""

from __future__ import annotations

import gc
import tarfile
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import real_folder
from hypothesis import given
from hypothesis import strategies as st

from defectsynth.convert import convert, resplit
from defectsynth.errors import ImageError, InputError, StorageError
from defectsynth.files import encode_image
from defectsynth.formats import coco, layout
from defectsynth.formats.manifest import read_manifest
from defectsynth.formats.mvtec import write_mvtec
from defectsynth.formats.polygons import fill, outline
from defectsynth.formats.record import Record, pieces_of_mask
from defectsynth.formats.runs import decode_runs, encode_runs
from defectsynth.formats.table import FORMATS, format_of
from defectsynth.images import pieces_of
from defectsynth.job import Job
from defectsynth.recipe import load_recipe
from defectsynth.render import render
from defectsynth.rng import words
from defectsynth.verify import verify

OTHERS = [name for name in FORMATS if name != "mvtec"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    """Pictures with none to seven defects, some of which touch each other."""
    out = tmp_path_factory.mktemp("formats") / "set"
    recipe = load_recipe("industrial").with_settings(["anomalies_per_image_range=[2,7]", "normal_fraction=0.2"])
    render(Job(images="builtin:plate", count=24, seed=5, size=(64, 80), train_fraction=0.15), recipe, out)
    return out


def compared(record: Record, pixels: bool = True):
    pieces = [(piece.kind, piece.box, piece.pixels) for piece in record.pieces] if pixels else None
    return record.kind, record.suffix, record.picture, None if record.mask is None else record.mask.tobytes(), pieces


def random_mask(seed: int, shape: tuple[int, int], share: float) -> np.ndarray:
    values = cv2.GaussianBlur(words(seed, shape).astype(np.float32), (0, 0), 1.2)
    return np.where(values > np.quantile(values, 1 - share), np.uint8(255), np.uint8(0))


# --- laws of the parts ------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 40), st.floats(0, 1))
def test_runs_are_those_of_pycocotools(seed, height, width, share):
    tools = pytest.importorskip("pycocotools.mask")
    mask = random_mask(seed, (height, width), share)
    ours, theirs = encode_runs(mask), tools.encode(np.asfortranarray(mask))
    assert ours["counts"].encode() == theirs["counts"]
    assert (decode_runs(ours, "it") == mask).all()
    assert tools.area(theirs) == np.count_nonzero(mask)


@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 40))
def test_a_piece_without_holes_is_what_its_polygon_fills(seed, height, width):
    for _, piece in pieces_of(random_mask(seed, (height, width), 0.3)):
        points, holes = outline(piece)
        assert len(points) >= 3
        wrong = np.count_nonzero(fill(points, piece.shape) != piece)
        assert wrong == 0 or holes
        assert wrong <= 3 * holes * max(piece.shape)  # a bridge may cross what is not the piece's own


def test_a_hole_is_bridged():
    ring = cv2.circle(np.zeros((41, 41), np.uint8), (20, 20), 15, 255, 7)
    points, holes = outline(ring)
    filled = fill(points, ring.shape)
    assert holes == 1 and filled[20, 20] == 0
    assert np.count_nonzero(filled != ring) <= 0.01 * np.count_nonzero(ring)


# --- there and back ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", OTHERS)
def test_there_and_back(dataset, tmp_path, format):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*polygon")
        report = convert(dataset, tmp_path / "there", format, shard_size=10)
    before = {record.name: record for record in layout.read(dataset)}
    after = {record.name: record for record in FORMATS[format].read(tmp_path / "there")}
    assert format_of(tmp_path / "there") == format and report.format == "mvtec"
    assert sum(report.splits.values()) == len(before) == len(after) and any(record.pieces for record in after.values())
    if format == "yolo":  # outlines alone: a touching or holed piece may differ by pixels
        assert {name: (record.kind, record.picture) for name, record in after.items()} == {
            name: (record.kind, record.picture) for name, record in before.items()
        }
        return
    assert {name: compared(record) for name, record in after.items()} == {
        name: compared(record) for name, record in before.items()
    }
    assert {name: record.line for name, record in after.items()} == {name: record.line for name, record in before.items()}
    convert(tmp_path / "there", tmp_path / "back", "mvtec")
    assert not verify(tmp_path / "back").problems
    assert (tmp_path / "back/manifest.jsonl").read_bytes().splitlines()[-1] in (dataset / "manifest.jsonl").read_bytes()


def test_touching_defects_keep_their_own_pieces(dataset):
    lines = [line for line in read_manifest(dataset / "manifest.jsonl") if "pieces" in line]
    assert any("runs" in piece for line in lines for piece in line["pieces"]), "no two defects touch: choose another seed"
    for record in layout.read(dataset):
        if record.mask is not None:
            assert sum(piece.pixels for piece in record.pieces) == np.count_nonzero(record.mask)


@pytest.mark.parametrize("format", ["webdataset", "parquet", "coco"])
def test_the_same_bytes_each_time(dataset, tmp_path, format):
    for name in ("a", "b"):
        convert(dataset, tmp_path / name, format)
    files = {path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file()}
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)


def test_splits_that_are_there_are_kept(dataset, tmp_path):
    convert(dataset, tmp_path / "first", "coco", val_fraction=0.3)
    convert(tmp_path / "first", tmp_path / "second", "yolo")
    first, second = (
        {record.name: record.split for record in FORMATS[name].read(tmp_path / folder)}
        for name, folder in (("coco", "first"), ("yolo", "second"))
    )
    assert first == second and set(first.values()) == {"train", "val"}


def test_the_size_is_that_of_the_picture(dataset):
    for record in layout.read(dataset):
        assert record.size == record.image().shape[:2]


def test_pictures_that_only_npy_holds_go_through_shards(tmp_path):
    image = np.linspace(0, 1, 8 * 6 * 5, dtype=np.float32).reshape(8, 6, 5)
    write_mvtec(tmp_path / "set", "train", "good", "a", image)
    write_mvtec(tmp_path / "set", "test", "good", "b", image)
    convert(tmp_path / "set", tmp_path / "web", "webdataset")
    assert all((record.image() == image).all() for record in FORMATS["webdataset"].read(tmp_path / "web"))


def test_rows_without_names_get_their_own(tmp_path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    picture = {"bytes": encode_image(np.zeros((2, 2), np.uint8), ".png"), "path": None}
    parquet.write_table(pyarrow.Table.from_pylist([{"image": picture}] * 250), tmp_path / "train-0.parquet")
    names = [record.name for record in FORMATS["parquet"].read(tmp_path)]
    assert len(set(names)) == 250 and names[249] == "train-0_000249"


def test_no_normal_picture_is_in_both_parts(dataset):
    records = list(resplit(layout.read(dataset), 0.3))
    parts = {split: {record.normal for record in records if record.split == split} for split in ("train", "val")}
    labelled = [record for record in records if "plan" in record.line]
    assert parts["val"] and not parts["train"] & parts["val"]
    assert 0.1 < sum(record.split == "val" for record in labelled) / len(labelled) < 0.5
    with pytest.raises(InputError, match="is none: raise it"):
        list(resplit([record for record in layout.read(dataset) if record.split == "test"][:1], 0.3))


# --- the readers of others --------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_pycocotools_reads_coco(dataset, tmp_path, capsys):
    tools = pytest.importorskip("pycocotools.coco")
    convert(dataset, tmp_path / "coco", "coco")
    read = tools.COCO(tmp_path / "coco/annotations/instances_test.json")
    capsys.readouterr()
    expected = {record.name: record for record in layout.read(dataset) if record.split == "test"}
    assert {entry["name"] for entry in read.cats.values()} == {
        piece.kind for record in expected.values() for piece in record.pieces
    }
    for image in read.imgs.values():
        record = expected[Path(image["file_name"]).stem]
        found = read.loadAnns(read.getAnnIds(image["id"]))
        assert [entry["area"] for entry in found] == [piece.pixels for piece in record.pieces]
        assert all(read.annToMask(entry).sum() == entry["area"] for entry in found)
        assert (sum((read.annToMask(entry) for entry in found), np.zeros(record.size, np.uint8)) == (
            0 if record.mask is None else record.mask // 255
        )).all()  # fmt: skip


@pytest.mark.parametrize("format", ["imagefolder", "parquet", "webdataset"])
def test_datasets_reads(dataset, tmp_path, format):
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    convert(dataset, tmp_path / "hub", format, shard_size=9)
    source = (
        {"path": "imagefolder", "data_dir": str(tmp_path / "hub")}
        if format == "imagefolder"
        else {"path": str(tmp_path / "hub")}
    )
    read = datasets.load_dataset(**source, cache_dir=str(tmp_path / "cache"))
    expected = {record.name: record for record in layout.read(dataset)}
    assert read["train"].num_rows + read["test"].num_rows == len(expected)
    for row in read["test"]:
        picture, mask, meta = (
            (row["png"], row["mask.png"], row["json"]) if format == "webdataset" else (row["image"], row["mask"], row)
        )
        record = expected[meta["name"]]
        assert (np.asarray(picture) == record.image()).all()
        assert (np.asarray(mask) == (0 if record.mask is None else record.mask)).all()
        assert (meta["label"], meta["kind"], meta["plan"]) == (int(record.is_anomalous), record.kind, record.plan_json)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_webdataset_reads_shards(dataset, tmp_path):
    host = pytest.importorskip("webdataset")
    convert(dataset, tmp_path / "web", "webdataset", shard_size=9)
    shards = sorted(str(path) for path in (tmp_path / "web").glob("test-*.tar"))
    read = list(host.WebDataset(shards, shardshuffle=False, empty_check=False).decode("rgb8"))
    expected = {record.name: record for record in layout.read(dataset)}
    assert len(shards) == 3 and len(read) == 24
    gc.collect()  # it leaves its files open
    assert all((row["png"] == expected[row["__key__"]].image()).all() for row in read)


@pytest.mark.real
def test_real_defects_in_coco_and_yolo(tmp_path):
    source = real_folder("mvtec_bottle")
    convert(source, tmp_path / "coco", "coco")
    before, after = list(layout.read(source)), {record.name: record for record in coco.read(tmp_path / "coco")}
    assert all(compared(record) == compared(after[record.name]) for record in before)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*polygon")
        convert(source, tmp_path / "yolo", "yolo", val_fraction=0.25)
    yolo = {record.name: record for record in FORMATS["yolo"].read(tmp_path / "yolo")}
    for record in before:
        if record.mask is not None:
            ours, theirs = record.mask > 0, yolo[record.name].mask > 0
            assert (ours & theirs).sum() / (ours | theirs).sum() > 0.99


# --- bad input --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["webdataset", "parquet"])
def test_a_truncated_shard_is_named(dataset, tmp_path, format):
    convert(dataset, tmp_path / "set", format, shard_size=10)
    shard = sorted((tmp_path / "set").glob("test-*"))[1]
    whole = shard.read_bytes()
    for kept in (len(whole) // 2, 700, 0):
        shard.write_bytes(whole[:kept])
        with pytest.raises(ImageError, match=rf"shard {shard.name} is .*(truncated|damaged).*: write it again"):
            list(FORMATS[format].read(tmp_path / "set"))


def test_a_tar_of_whole_members_without_an_end_is_truncated(dataset, tmp_path):
    convert(dataset, tmp_path / "web", "webdataset")
    shard = next((tmp_path / "web").glob("test-*"))
    with tarfile.open(shard) as archive:
        third = archive.getmembers()[3]
    shard.write_bytes(shard.read_bytes()[: third.offset])
    with pytest.raises(ImageError, match="truncated"):
        list(FORMATS["webdataset"].read(tmp_path / "web"))


@pytest.mark.parametrize(
    ("format", "file", "text", "message"),
    [
        ("coco", "annotations/instances_test.json", "{", "not a COCO file"),
        ("coco", "annotations/instances_test.json", '{"categories": [], "images": []}', "not a COCO file"),
        ("yolo", "data.yaml", "path: .", "needs the format yolo"),
        ("yolo", "labels/train/{}.txt", "0 0.1 0.1 0.2", "is not `class"),
        ("yolo", "labels/train/{}.txt", "0 0.1 0.1 0.2 0.2", "has 2 points"),
        ("yolo", "labels/train/{}.txt", "99 0.1 0.1 0.2 0.2 0.3 0.1", "is not `class"),
        ("yolo", "labels/train/{}.txt", "0 1.1 0.1 0.2 0.2 0.3 0.1", "from 0 to 1"),
        ("imagefolder", "test/metadata.jsonl", '{"mask": 1}\n', "not metadata with a file_name"),
        ("imagefolder", "test/metadata.jsonl", '{"file_name": "../../../x.png"}\n', "lies outside"),
    ],
)
def test_a_damaged_file_is_named(dataset, tmp_path, format, file, text, message):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*polygon")
        convert(dataset, tmp_path / "set", format)
    name = next((tmp_path / "set").glob("labels/train/*.txt")).stem if "{}" in file else ""
    (tmp_path / "set" / file.format(name)).write_text(text)
    with pytest.raises(ImageError, match=message):
        list(FORMATS[format].read(tmp_path / "set"))


def test_what_no_picture_format_holds_is_refused(tmp_path):
    mask = np.full((8, 8), 255, np.uint8)
    record = Record("a", "test", "pit", b"", ".npy", mask, pieces_of_mask(mask, "pit"))
    for name in ("coco", "yolo", "imagefolder", "parquet"):
        with pytest.raises(ImageError, match=r"is a \.npy file"):
            FORMATS[name].write([record], tmp_path / name, 10)


def test_the_target_is_left_as_it_was(dataset, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("dear")
    with pytest.raises(StorageError, match="not empty"):
        convert(dataset, tmp_path / "mine", "coco")
    with pytest.raises(StorageError, match="is not a dataset, so --overwrite does not delete it"):
        convert(dataset, tmp_path / "mine", "coco", overwrite=True)
    with pytest.raises(InputError, match="inside each other"):
        convert(dataset, dataset / "coco", "coco")
    with pytest.raises(InputError, match="in none of the formats"):
        convert(tmp_path / "mine", tmp_path / "new", "coco")
    with pytest.raises(InputError, match="format 'voc' is not known"):
        convert(dataset, tmp_path / "new", "voc")
    damaged = tmp_path / "damaged"
    convert(dataset, damaged, "webdataset")
    shard = next(damaged.glob("test-*"))
    shard.write_bytes(shard.read_bytes()[:5000])
    convert(dataset, tmp_path / "kept", "coco")
    with pytest.raises(ImageError):
        convert(damaged, tmp_path / "kept", "mvtec", overwrite=True)
    assert format_of(tmp_path / "kept") == "coco"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["damaged", "kept", "mine"]


def test_a_mask_that_is_not_the_manifests_is_refused(dataset, tmp_path):
    convert(dataset, tmp_path / "copy", "mvtec")
    path = next((tmp_path / "copy/ground_truth").rglob("*.png"))
    mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(path), np.roll(mask, 3, axis=0))
    with pytest.raises(ImageError, match="is not the one that its manifest line was written with"):
        list(layout.read(tmp_path / "copy"))
