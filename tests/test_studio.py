"""The studio's server: what it paints is what ``render`` writes, what it refuses, and what it never gives away."""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import shlex
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import picture
from typer.testing import CliRunner

from defectsynth import load_recipe, preset_names
from defectsynth.cli import app
from defectsynth.errors import InputError, SourceError
from defectsynth.files import read_image, read_mask, write_image
from defectsynth.foreground import estimate_foreground
from defectsynth.formats.mvtec import read_defects
from defectsynth.recipe import ForegroundRule, Recipe
from defectsynth.region import Regions
from defectsynth.studio import limits
from defectsynth.studio.checking import complaints
from defectsynth.studio.painter import Painter, Stopped, Written
from defectsynth.studio.roi import mask_file, paint_roi, shared_names, write_roi
from defectsynth.studio.running import Runs
from defectsynth.studio.safety import Guard
from defectsynth.studio.schema import schema
from defectsynth.studio.shelf import Cache, Options, Shelf, refuse_links
from defectsynth.studio.state import Place, Roi, State, Stroke
from defectsynth.studio.takeaway import bundle, command
from defectsynth.studio.tiles import outline, tile_shape
from defectsynth.studio.uploads import Upload, keep_uploads

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("python_multipart")

ERASED = {"mode": "erase", "radius": 0.1, "points": [[0.5, 0.5]]}
HEADER = {"X-Defectsynth-Studio": "1"}


@dataclass
class Served:
    """A studio that listens."""

    port: int
    shelf: Shelf
    studio: Any

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        status, _, body = self.ask("GET", path)
        assert status == 200, body
        return json.loads(body)

    def post(self, path: str, values: Any) -> tuple[int, Any]:
        status, headers, body = self.ask(
            "POST", path, json.dumps(values).encode(), {"Content-Type": "application/json", **HEADER}
        )
        return status, json.loads(body) if "json" in headers["content-type"] else body

    def fine(self, path: str, values: Any) -> Any:
        status, found = self.post(path, values)
        assert status == 200, found
        return found

    def start(self) -> dict[str, Any]:
        return self.get("/api/setup")["start"]

    def samples(self, state: dict[str, Any], **wanted: Any) -> list[dict[str, Any]]:
        places = [{"seed": state["seed"], "index": index} for index in range(4)]
        return frames(self.fine("/api/samples", {"state": state, "places": places, **wanted}))

    def upload(self, kind: str, files: list[tuple[str, str, bytes]], headers: dict[str, str] | None = None) -> tuple[int, Any]:
        line = b"--cut\r\n"
        parts = [line + b'Content-Disposition: form-data; name="kind"\r\n\r\n' + kind.encode() + b"\r\n"]
        for field, name, data in files:
            told = f'Content-Disposition: form-data; name="{field}"; filename="{name}"\r\nContent-Type: image/png\r\n\r\n'
            parts.append(line + told.encode() + data + b"\r\n")
        sent = {"Content-Type": "multipart/form-data; boundary=cut", **HEADER, **(headers or {})}
        status, _, body = self.ask("POST", "/api/match", b"".join(parts) + b"--cut--\r\n", sent)
        return status, json.loads(body)


def frames(data: bytes) -> list[dict[str, Any]]:
    """Samples of an answer, each with its pictures decoded."""
    found, at = [], 0
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        told = json.loads(data[at + 4 : at + 4 + length])
        at += 4 + length
        for one in told.get("pictures", []):
            told[one["view"]] = cv2.imdecode(np.frombuffer(data[at : at + one["bytes"]], np.uint8), cv2.IMREAD_COLOR)
            at += one["bytes"]
        found.append(told)
    assert at == len(data)
    return sorted(found, key=lambda one: one["index"])


@contextmanager
def serving(options: Options) -> Iterator[Served]:
    from defectsynth.studio.listening import in_thread

    with in_thread(options) as (studio, port):
        yield Served(port, studio.shelf, studio)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()
    assert not studio.shelf.aside.exists(), "what was kept aside is removed"


@pytest.fixture(scope="module")
def served(
    photo_folder: Path, texture_folder: Path, defect_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    out = tmp_path_factory.mktemp("rendered")
    with serving(
        Options(
            load_recipe("industrial"),
            images=str(photo_folder),
            textures=str(texture_folder),
            real=str(defect_folder),
            out=str(out),
        )
    ) as found:
        yield found


def shelf_of(**options: Any) -> Shelf:
    return Shelf(Options(options.pop("recipe", load_recipe("industrial")), **options))


def png_of(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


# --- what is painted ------------------------------------------------------------------------------------------------------


def run_in(folder: Path, line: str, *, terminal: bool = False) -> None:
    """Runs a command where its files lie: in a shell as a person does, or in this process, which is faster."""
    words = shlex.split(line)
    assert words[:2] == ["defectsynth", "render"]
    if terminal:
        text = line.replace("defectsynth", f"{shlex.quote(sys.executable)} -m defectsynth.cli", 1)
        ended = subprocess.run(text, shell=True, cwd=folder, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        return
    before = Path.cwd()
    os.chdir(folder)
    try:
        result = CliRunner().invoke(app, [*words[1:], "--workers", "1"], catch_exceptions=False)
    finally:
        os.chdir(before)
    assert result.exit_code == 0, result.output


def changed_state(served: Served, **changes: Any) -> dict[str, Any]:
    state = served.start()
    state["recipe"]["kinds"]["scratch"]["mask"]["area_range"] = [0.01, 0.03]
    state["recipe"]["kinds"]["stain"]["weight"] = 6
    return {**state, "seed": 11, "count": 8, "train_fraction": 0.25, **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"size": [80, 112]},
        {"roi": {"base": "nothing", "strokes": [{"radius": 0.2, "points": [[0.4, 0.5], [0.6, 0.52]]}]}},
        {
            "roi": {"base": "foreground", "strokes": [{"mode": "erase", "radius": 0.1, "points": [[0.5, 0.5]]}]},
            "size": [64, 64],
        },
        {"images": "builtin:pill"},
    ],
    ids=["plain", "resized", "brush", "foreground", "builtin"],
)
def test_the_command_gives_the_bytes_of_the_page(served: Served, tmp_path: Path, changes: dict[str, Any]) -> None:
    state = changed_state(served, **changes)
    state["recipe"]["normal_fraction"] = 0.25 if "size" in changes else 0.0
    told = served.fine("/api/command", {"state": state})
    with zipfile.ZipFile(io.BytesIO(served.fine("/api/bundle", {"state": state}))) as archive:
        archive.extractall(tmp_path)
    assert (tmp_path / "tuned.yaml").read_text() == served.fine("/api/yaml", {"state": state})["yaml"]
    assert (tmp_path / "render.sh").read_text() == told["command"] + "\n"
    run_in(tmp_path, told["command"], terminal=not changes)
    for index in range(8):
        status, headers, body = served.ask(
            "POST",
            "/api/sample",
            json.dumps({"state": state, "place": {"seed": 11, "index": index}, "form": "file"}).encode(),
            {"Content-Type": "application/json", **HEADER},
        )
        assert status == 200, body
        assert (tmp_path / "dataset" / headers["x-file"]).read_bytes() == body, f"sample {index} differs"


@pytest.mark.parametrize("recipe", ["draem-code", "nsa-texture", "memseg", "peng2024"])
def test_banks_that_are_kept_open_change_no_byte(served: Served, recipe: str, tmp_path: Path) -> None:
    state = {**served.start(), "recipe": served.get(f"/api/preset/{recipe}")["recipe"], "defects": "real", "count": 3}
    (tmp_path / "tuned.yaml").write_text(served.fine("/api/yaml", {"state": state})["yaml"])
    run_in(tmp_path, served.fine("/api/command", {"state": state})["command"])
    for index in range(3):
        place = {"seed": 0, "index": index}
        values = json.dumps({"state": state, "place": place, "form": "file"}).encode()
        _, headers, body = served.ask("POST", "/api/sample", values, {"Content-Type": "application/json", **HEADER})
        assert (tmp_path / "dataset" / headers["x-file"]).read_bytes() == body


def test_a_sample_is_painted_again_only_where_a_change_reaches_it(photo_folder: Path) -> None:
    shelf = shelf_of(images=str(photo_folder))
    stop, state = threading.Event(), shelf.start()
    changed = json.loads(state.model_dump_json())
    changed["recipe"]["kinds"]["scratch"]["mask"]["area_range"] = [0.02, 0.04]
    other = State.model_validate(changed)
    warm, fresh = Painter(shelf), Painter(shelf)
    places = [Place(seed=3, index=index) for index in range(24)]
    before = [warm.paint(state, Written.of(state.parsed_recipe()), place, stop) for place in places]
    after = [warm.paint(other, Written.of(other.parsed_recipe()), place, stop) for place in places]
    again = [fresh.paint(other, Written.of(other.parsed_recipe()), place, stop) for place in places]
    kept = [first is second for first, second in zip(before, after, strict=True)]
    assert 0 < sum(kept) < len(kept)
    for one, two, same in zip(after, again, kept, strict=True):
        assert np.array_equal(one.sample.image, two.sample.image)
        assert np.array_equal(one.sample.mask, two.sample.mask)
        assert same == ("scratch" not in two.kinds)
    shelf.close()


def test_nobody_waits_for_what_was_stopped(photo_folder: Path) -> None:
    shelf = shelf_of(images=str(photo_folder))
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        Painter(shelf).paint(shelf.start(), Written.of(shelf.start().parsed_recipe()), Place(seed=0, index=0), stop)
    shelf.close()


def test_a_recipe_that_finds_nothing_is_given_up_with_a_message(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served.studio.painter, "_seconds", 0.0)
    state = served.start()
    state["recipe"]["min_difference"] = 0.9
    state["recipe"]["max_attempts"] = 60_000
    assert all("the page waits no longer" in one["error"] for one in served.samples(state))


def test_samples_come_with_what_the_page_shows(served: Served) -> None:
    found = served.samples(served.start(), tile=64, views=["normal", "anomalous", "map"])
    assert [one["index"] for one in found] == [0, 1, 2, 3]
    for one in found:
        assert one["shape"] == [96, 96]
        assert one["anomalous"].shape == one["normal"].shape == one["map"].shape == (64, 64, 3)
        assert one["outline"]
        assert 0 < one["area"] < 0.2
        assert np.abs(one["anomalous"].astype(int) - one["normal"]).max() > 20
        assert one["map"].max() > 60
    assert served.samples({**served.start(), "seed": 5})[0]["area"] != found[0]["area"]


def test_pinned_samples_keep_their_seed(served: Served) -> None:
    state = {**served.start(), "seed": 9}
    pinned = frames(served.fine("/api/samples", {"state": state, "places": [{"seed": 2, "index": 1}]}))[0]
    alone = frames(served.fine("/api/samples", {"state": {**state, "seed": 2}, "places": [{"seed": 2, "index": 1}]}))[0]
    assert pinned["name"] == alone["name"]
    assert np.array_equal(pinned["anomalous"], alone["anomalous"])


def test_every_form_of_a_sample(served: Served) -> None:
    state, place = served.start(), {"seed": 0, "index": 0}

    def form(name: str) -> np.ndarray:
        data = served.fine("/api/sample", {"state": state, "place": place, "form": name})
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)

    normal, view, mask = form("normal"), form("view"), form("mask")
    assert set(np.unique(mask)) == {0, 255}
    assert np.array_equal(normal[mask == 0], view[mask == 0])
    assert np.array_equal(form("map").any(axis=2) | (mask == 0), np.ones(mask.shape, bool))
    plan = served.fine("/api/sample", {"state": state, "place": place, "form": "plan"})
    assert plan["shape"] == [96, 96]
    assert "is not known" in served.post("/api/sample", {"state": state, "place": place, "form": "raw"})[1]["error"]


FORMS = {
    "grey16": ("png", lambda index: picture((70, 90), np.uint16, index)),
    "colour16": ("png", lambda index: picture((70, 90, 3), np.uint16, index)),
    "alpha": ("png", lambda index: np.dstack([picture((70, 90, 3), seed=index), np.full((70, 90), 255 - index, np.uint8)])),
    "float": ("npy", lambda index: picture((70, 90, 5), np.float32, index)),
    "tiny": ("png", lambda index: picture((9, 7, 3), seed=index)),
}


@pytest.mark.parametrize("form", FORMS)
def test_any_picture_is_shown_and_written_as_render_does(tmp_path: Path, form: str) -> None:
    suffix, make = FORMS[form]
    for index in range(3):
        write_image(tmp_path / "photos" / f"{index}.{suffix}", make(index))
    recipe = load_recipe("stain").model_copy(update={"foreground": ForegroundRule(method="none"), "min_difference": 0.01})
    with serving(Options(recipe, images=str(tmp_path / "photos"))) as found:
        state = {**found.start(), "count": 3}
        shown = found.samples(state, views=["normal", "anomalous", "map"])
        assert [one.get("error") for one in shown] == [None] * 4
        (tmp_path / "tuned.yaml").write_text(found.fine("/api/yaml", {"state": state})["yaml"])
        run_in(tmp_path, found.fine("/api/command", {"state": state})["command"])
        values = json.dumps({"state": state, "place": {"seed": 0, "index": 1}, "form": "file"}).encode()
        _, headers, body = found.ask("POST", "/api/sample", values, {"Content-Type": "application/json", **HEADER})
        assert (tmp_path / "dataset" / headers["x-file"]).read_bytes() == body


def test_built_in_products_need_no_folder() -> None:
    with serving(Options(load_recipe("industrial"))) as found:
        setup = found.get("/api/setup")
        assert setup["start"]["images"] == "builtin:disc"
        assert setup["real"] is None
        assert len(found.samples(setup["start"])) == 4
        drawn = {**setup["start"], "roi": {"base": "everything"}}
        assert "pictures of your own" in found.samples(drawn)[0]["error"]


# --- the recipe -------------------------------------------------------------------------------------------------------------


def test_every_range_has_a_slider_a_unit_and_documentation() -> None:
    found = schema()

    def walk(fields: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for field in fields:
            yield from walk(field["fields"]) if field["type"] == "group" else [field]

    models = [found[name] for name in ("recipe", "kind", "foreground", "label")]
    models += [model for part in ("mask", "source", "blend") for model in found[part].values()]
    ranges = [field for model in models for field in walk(model["fields"]) if field["type"] in ("range", "number")]
    assert len(ranges) > 150
    for field in ranges:
        low, high = field["slider"]
        assert low < high, field
        assert field["low"] is None or low >= field["low"], field
        assert field["high"] is None or high <= field["high"], field
        assert field["unit"], field
        assert field["doc"] and not field["doc"].startswith("see Tone"), field
        assert not field["log"] or low > 0, field
    assert {preset["name"] for preset in found["presets"]} == set(preset_names())


def test_limits_are_those_that_the_models_refuse_beyond() -> None:
    area = next(field for field in schema()["mask"]["perlin"]["fields"] if field["name"] == "area_range")
    assert (area["low"], area["high"], area["unit"], area["log"]) == (0.0, 1.0, "of the ROI's area", True)
    angle = next(field for field in schema()["mask"]["stroke"]["fields"] if field["name"] == "rotation_range")
    assert (angle["low"], angle["high"], angle["unit"]) == (-360.0, 360.0, "°")


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("kinds", "scratch", "mask", "area_range"), [0.1, 0.05], "is inverted"),
        (("kinds", "scratch", "source", "tone", "gain_range"), [2, 1], "is inverted"),
        (("kinds", "crack", "mask", "components_range"), [2, 3], "a crack is one piece"),
        (("kinds", "crack", "weight"), -1, "greater than or equal to 0"),
        (("kinds", "stain", "blend", "opacity_range"), [0, 3], "leaves its limits"),
        (("kinds", "pit", "mask", "wat"), 3, "is not a key of this part"),
        (("label", "kind"), "what", "'degree', 'binary'"),
        (("min_difference",), "", "unable to parse string as a number (it is '')"),
        (("anomalies_per_image_weights",), [1, 2], "must be 1 numbers"),
        (("foreground", "method"), "ghost", "is unknown"),
    ],
)
def test_a_complaint_has_the_path_of_its_field(served: Served, path: tuple[str, ...], value: Any, told: str) -> None:
    recipe = load_recipe("industrial").model_dump(mode="json")
    part = recipe
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    found = served.fine("/api/check", {"recipe": recipe})["complaints"]
    assert [one["path"] for one in found] == [list(path)]
    assert told in found[0]["message"]
    status, answer = served.post(
        "/api/samples", {"state": {**served.start(), "recipe": recipe}, "places": [{"seed": 0, "index": 0}]}
    )
    assert status == 422 and told in answer["error"]


def test_a_sound_recipe_has_no_complaints_and_a_hopeless_one_has_some() -> None:
    for name in preset_names():
        assert complaints(load_recipe(name).model_dump(mode="json")) == []
    for values in ({}, {"kinds": []}, {"name": 3, "kinds": {"a": 1}}, {"name": "a", "kinds": {"good": None}}):
        assert complaints(values)
    nested = {"kind": "union", "masks": [{"kind": "perlin", "cells_range": [3, 5]}, {"kind": "ellipse"}]}
    recipe = {"name": "a", "kinds": {"b": {"mask": nested, "blend": {"kind": "linear"}}}}
    assert complaints(recipe)[0].path == ("kinds", "b", "mask", "masks", 0, "cells_range")


def test_a_recipe_is_opened_and_a_broken_one_says_why(served: Served) -> None:
    text = load_recipe("scratch").to_yaml()
    assert served.fine("/api/open", {"yaml": text})["recipe"] == load_recipe("scratch").model_dump(mode="json")
    assert "is not YAML" in served.post("/api/open", {"yaml": "a: [", "name": "mine.yaml"})[1]["error"]
    assert "stands twice" in served.post("/api/open", {"yaml": "name: a\nname: b"})[1]["error"]
    assert "is not YAML" in served.post("/api/open", {"yaml": "!!python/object/apply:os.system [ls]"})[1]["error"]


def test_what_is_copied_is_what_is_shown(served: Served) -> None:
    state = changed_state(served)
    again = Recipe.from_yaml(served.fine("/api/yaml", {"state": state})["yaml"])
    assert again == Recipe.from_mapping(state["recipe"])


# --- the ROI --------------------------------------------------------------------------------------------------------------


def test_defects_lie_in_the_roi_that_was_drawn(served: Served) -> None:
    state = {**served.start(), "roi": {"strokes": [{"radius": 0.15, "points": [[0.3, 0.5]]}]}}
    place = {"seed": 0, "index": 1}

    def form(name: str) -> np.ndarray:
        data = served.fine("/api/sample", {"state": state, "place": place, "form": name})
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)

    roi, mask = form("roi"), form("mask")
    assert roi[48, 29] == 255 and roi[48, 60] == 0
    assert not mask[roi == 0].any() and mask.any()
    told = served.fine("/api/command", {"state": state})
    assert "--roi roi" in told["command"] and "roi/" in told["files"]


def test_strokes_are_painted_in_order() -> None:
    base = np.zeros((40, 60), np.uint8)
    add = Stroke(radius=0.2, points=((0.5, 0.5),))
    erase = Stroke(mode="erase", radius=0.05, points=((0.5, 0.5),))
    drawn = paint_roi(Roi(strokes=(add, erase)), base)
    assert drawn[20, 30] == 0 and drawn[20, 36] == 255 and drawn[0, 0] == 0 and not base.any()
    line = paint_roi(Roi(strokes=(Stroke(radius=0.02, points=((0.1, 0.5), (0.9, 0.5))),)), base)
    assert (line[20, 6:54] == 255).all()


def test_the_foreground_is_where_an_roi_can_begin(served: Served, photo_folder: Path, tmp_path: Path) -> None:
    picture = sorted(photo_folder.iterdir())[0]
    write_roi(Roi(base="foreground"), picture, tmp_path / "a.png", Regions(ForegroundRule()), 10**6)
    assert np.array_equal(read_mask(tmp_path / "a.png"), estimate_foreground(read_image(picture)).mask)
    values = json.dumps({"state": served.start(), "place": {"seed": 0, "index": 0}}).encode()
    status, headers, body = served.ask("POST", "/api/foreground", values, {"Content-Type": "application/json", **HEADER})
    assert status == 200 and json.loads(headers["x-foreground"])["confidence"] > 0.3
    assert cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_UNCHANGED).shape == (96, 96)


def test_an_empty_roi_says_so(served: Served) -> None:
    state = {**served.start(), "roi": {"strokes": [{"mode": "erase", "radius": 0.1, "points": [[0.5, 0.5]]}]}}
    assert "is empty" in served.samples(state)[0]["error"]
    assert shared_names(["a.png", "b.png", "a.jpg"]) == ["a.jpg"]
    assert mask_file(Path("roi"), "x/a.jpg") == Path("roi/x/a.png")


# --- beside real defects ------------------------------------------------------------------------------------------------


def test_statistics_of_both(served: Served) -> None:
    assert served.get("/api/setup")["real"] == {"crack": 4, "hole": 4}
    found = served.fine("/api/stats", {"state": served.start(), "kinds": ["crack"]})
    assert found["real"] == 4
    assert found["synthetic"] == limits.STATISTICS
    assert [panel["name"] for panel in found["panels"]] == ["area", "components", "elongation", "contrast"]
    for panel in found["panels"]:
        assert len(panel["edges"]) == len(panel["synthetic"]) + 1
        assert sum(panel["synthetic"]) == pytest.approx(1, abs=1e-3)
        assert sum(panel["real"]) == pytest.approx(1, abs=1e-3)
        assert panel["edges"] == sorted(panel["edges"])
    assert "is not among" in served.post("/api/stats", {"state": served.start(), "kinds": ["dent"]})[1]["error"]


def finished(served: Served, run: dict[str, Any]) -> dict[str, Any]:
    until = time.monotonic() + 120
    while run["status"] == "running" and time.monotonic() < until:
        time.sleep(0.05)
        run = served.get(f"/api/runs/{run['id']}")
    return run


def test_a_score_ends_with_numbers_or_a_reason(served: Served) -> None:
    pytest.importorskip("sklearn")
    run = finished(served, served.fine("/api/score", {"state": {**served.start(), "size": [64, 64]}}))
    assert run["status"] == "failed"  # eight real defects are too few for five folds, and the message says so
    assert "folds" in run["error"]


def match_files(defect_folder: Path) -> list[tuple[str, str, bytes]]:
    files = []
    for one in read_defects(defect_folder)[:3]:
        files.append(("pictures", one.image.name, one.image.read_bytes()))
        files.append(("masks", f"{one.image.stem}_mask.png", one.mask.read_bytes()))
    return files


def test_dropped_pictures_become_a_recipe_that_can_be_rendered(served: Served, defect_folder: Path, tmp_path: Path) -> None:
    status, found = served.upload("flaw", match_files(defect_folder))
    assert status == 200, found
    assert set(found["recipe"]["kinds"]) == {"flaw", "flaw_drawn"}
    assert found["examples"] == 3
    assert served.upload("flaw", match_files(defect_folder))[1]["defects"] == found["defects"]
    state = {**served.start(), "recipe": found["recipe"], "defects": found["defects"], "count": 3}
    assert [one.get("error") for one in served.samples(state)] == [None] * 4
    with zipfile.ZipFile(io.BytesIO(served.fine("/api/bundle", {"state": state}))) as archive:
        archive.extractall(tmp_path)
    run_in(tmp_path, served.fine("/api/command", {"state": state})["command"])
    values = json.dumps({"state": state, "place": {"seed": 0, "index": 0}, "form": "file"}).encode()
    _, headers, body = served.ask("POST", "/api/sample", values, {"Content-Type": "application/json", **HEADER})
    assert (tmp_path / "dataset" / headers["x-file"]).read_bytes() == body


def test_the_real_defects_are_matched_at_once(served: Served) -> None:
    found = served.fine("/api/match-real", {"kinds": ["hole"]})
    assert set(found["recipe"]["kinds"]) == {"hole", "hole_drawn"}
    assert found["defects"] == "real"
    assert "is not among" in served.post("/api/match-real", {"kinds": ["x"]})[1]["error"]


MASK = np.zeros((20, 20), np.uint8)
MASK[5:9, 5:9] = 255
PICTURE = np.full((20, 20, 3), 90, np.uint8)


@pytest.mark.parametrize(
    ("kind", "files", "told"),
    [
        ("flaw", [], "no defect pictures were dropped"),
        ("../up", [("pictures", "a.png", png_of(PICTURE))], "becomes a folder"),
        ("good", [("pictures", "a.png", png_of(PICTURE))], "but not good"),
        ("flaw", [("pictures", "a.png", png_of(PICTURE))], "has no mask"),
        ("flaw", [("pictures", "a.png", png_of(PICTURE)), ("masks", "b_mask.png", png_of(MASK))], "has no mask"),
        ("flaw", [("pictures", "a.png", b"nothing"), ("masks", "a_mask.png", png_of(MASK))], "'a.png' is not a picture"),
        ("flaw", [("pictures", "a.png", png_of(PICTURE)), ("masks", "a.png", png_of(MASK[:9]))], "has the size of its picture"),
        ("flaw", [("pictures", "a.png", png_of(PICTURE)), ("masks", "a.png", png_of(0 * MASK))], "is empty"),
        ("flaw", [("pictures", "a.npy", b"x"), ("masks", "a.png", png_of(MASK))], "is not a picture: use one of"),
        ("flaw", [("pictures", "a.png", png_of(PICTURE)[:60]), ("masks", "a.png", png_of(MASK))], "'a.png' is"),
        ("flaw", [("pictures", "a.tif", b"nothing"), ("masks", "a.png", png_of(MASK))], "'a.tif' is not a picture"),
        ("flaw", [("pictures", "../../a.svg", b"<svg/>"), ("masks", "a.png", png_of(MASK))], "is not a picture: use one of"),
    ],
    ids=["none", "kind", "good", "no-mask", "other-mask", "text", "size", "empty", "npy", "cut", "tif", "svg"],
)
def test_a_bad_drop_is_a_message(served: Served, kind: str, files: list[tuple[str, str, bytes]], told: str) -> None:
    status, answer = served.upload(kind, files)
    assert status == 422, answer
    assert told in answer["error"]
    assert str(served.shelf.aside) not in answer["error"], "no path of the machine is told"
    assert not list(served.shelf.aside.glob("making-*"))


def test_dropped_names_are_never_paths(served: Served) -> None:
    files = [("pictures", "../../../etc/evil.png", png_of(PICTURE)), ("masks", "..\\..\\evil_mask.png", png_of(MASK))]
    status, found = served.upload("flaw", files)
    assert status == 200, found
    root = served.shelf.upload(found["defects"]).root
    assert root.parent == served.shelf.aside
    assert sorted(path.name for path in root.rglob("*.png")) == ["000.png", "000_mask.png"]


def test_too_much_is_refused(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    many = [("pictures", f"{number}.png", b"x") for number in range(limits.UPLOAD_FILES + 1)]
    status, answer = served.upload("flaw", many)
    assert status in (400, 422) and str(limits.UPLOAD_FILES) in answer["error"]
    monkeypatch.setattr("defectsynth.studio.uploads.UPLOAD_PIXELS", 100)
    status, answer = served.upload("large", [("pictures", "a.png", png_of(PICTURE)), ("masks", "a.png", png_of(MASK))])
    assert status == 422 and "at most 100 are decoded" in answer["error"]
    monkeypatch.setattr("defectsynth.studio.safety.UPLOAD_BYTES", 1000)
    status, answer = served.upload("flaw", [("pictures", "a.png", bytes(2000))])
    assert status == 413 and "1,000 bytes" in answer["error"]
    status, _, body = served.ask(
        "POST",
        "/api/check",
        b" " * (limits.BODY_BYTES + 1),
        {"Content-Type": "application/json", **HEADER},
    )
    assert status == 413 and "bytes" in json.loads(body)["error"]


def test_too_much_in_pieces_is_refused_as_well(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("defectsynth.studio.safety.BODY_BYTES", 1000)
    lines = [
        "POST /api/check HTTP/1.1",
        f"Host: 127.0.0.1:{served.port}",
        "Content-Type: application/json",
        "X-Defectsynth-Studio: 1",
        "Transfer-Encoding: chunked",
        "",
        "600",
        "a" * 0x600,
        "0",
        "",
        "",
    ]
    with socket.create_connection(("127.0.0.1", served.port), timeout=30) as connection:
        connection.sendall("\r\n".join(lines).encode())
        answer = connection.recv(10_000)
    assert answer.startswith(b"HTTP/1.1 413")


# --- out ----------------------------------------------------------------------------------------------------------------


def test_render_with_progress(served: Served) -> None:
    state = {**served.start(), "count": 5, "train_fraction": 0.5}
    run = finished(served, served.fine("/api/render", {"state": state, "name": "first"}))
    assert run["status"] == "done", run
    assert (run["done"], run["total"]) == (9, 9)
    folder = Path(served.shelf.options.out) / "first"
    assert run["result"]["out"] == str(folder)
    body = served.fine("/api/sample", {"state": state, "place": {"seed": 0, "index": 2}, "form": "file"})
    assert body in [path.read_bytes() for path in (folder / "test").rglob("*.png")]
    again = finished(served, served.fine("/api/render", {"state": state, "name": "first"}))
    assert again["status"] == "failed" and "is not empty" in again["error"]


def test_render_is_cancelled(served: Served) -> None:
    state = {**served.start(), "count": 20, "size": [900, 900]}
    run = served.fine("/api/render", {"state": state, "name": "second"})
    served.fine(f"/api/runs/{run['id']}/cancel", {})
    run = finished(served, run)
    assert run["status"] == "cancelled"
    assert run["done"] < 24


@pytest.mark.parametrize("name", ["", "..", "../up", "/tmp/x", "a/b", "a\\b", "-rf", "a" * 65, "a\n", "%2e%2e"])
def test_a_render_goes_into_its_folder_and_nowhere_else(served: Served, name: str) -> None:
    status, answer = served.post("/api/render", {"state": served.start(), "name": name})
    assert status == 422 and "folder name" in answer["error"]


def test_runs_are_few_and_are_known() -> None:
    runs, hold = Runs(), threading.Event()

    def work(_: Any) -> dict[str, Any]:
        hold.wait(10)
        return {}

    for _ in range(limits.RUNS_AT_A_TIME):
        runs.start("render", work)
    with pytest.raises(InputError, match="are running"):
        runs.start("render", work)
    hold.set()
    runs.close()
    with pytest.raises(InputError, match="is not known"):
        runs.find("render-99")


def test_the_command_quotes_what_a_shell_would_read(tmp_path: Path, photo_folder: Path) -> None:
    folder = tmp_path / "my parts; echo $HOME"
    folder.mkdir()
    for path in photo_folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    shelf = shelf_of(images=str(folder))
    told = command(shelf, shelf.start())
    assert shlex.split(told.line)[shlex.split(told.line).index("--images") + 1] == str(folder)
    assert bundle(shelf, shelf.start()) == bundle(shelf, shelf.start())
    shelf.close()


def test_the_studio_is_a_command_that_ends_by_an_interrupt(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "defectsynth.cli", "studio", "--port", "0", "--out", str(tmp_path / "out")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        address = re.search(r"http://127\.0\.0\.1:(\d+)/", running.stdout.readline())
        assert address is not None, running.stderr
        connection = http.client.HTTPConnection("127.0.0.1", int(address.group(1)), timeout=60)
        connection.request("GET", "/api/setup")
        assert json.loads(connection.getresponse().read())["start"]["images"] == "builtin:disc"
        connection.close()
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=30)
    assert running.returncode == 0, said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


def test_a_taken_port_and_a_missing_extra_are_messages(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    from defectsynth import studio

    options = Options(load_recipe("industrial"))
    with pytest.raises(InputError, match="cannot listen on"):
        studio.serve(options, port=served.port)
    monkeypatch.setitem(sys.modules, "starlette", None)
    with pytest.raises(InputError, match=r"defectsynth\[studio\]"):
        studio.serve(options)


# --- safety ---------------------------------------------------------------------------------------------------------------

ODD_PATHS = [
    "/../../../../etc/passwd",
    "/..%2f..%2f..%2fetc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "//etc/passwd",
    "/js/../server.py",
    "/js/..%2fserver.py",
    "/js/%2e%2e%2fserver.py",
    "/js/main.js/../../server.py",
    "/js/main.js%00.png",
    "/static/main.js",
    "/index.html",
    "/api/preset/..%2f..%2frecipe",
    "/api/preset/%2fetc%2fpasswd",
    "/api/preset/industrial.yaml",
    "/api/preset/..",
    "/api/runs/..%2f..%2fetc%2fpasswd",
    "/..\\..\\etc\\passwd",
    "/.git/config",
]


@pytest.mark.parametrize("path", ODD_PATHS)
def test_no_file_is_served_but_the_page(served: Served, path: str) -> None:
    status, headers, body = served.ask("GET", path)
    assert status in (404, 422), body
    assert "json" in headers["content-type"]
    assert b"root:" not in body and b"import" not in body


@pytest.mark.parametrize("key", ["/etc", "../..", "given/../..", "builtin:../x", "%2fetc", "upload:../x", "", "file:///etc"])
def test_folders_are_named_by_keys_and_by_nothing_else(served: Served, key: str) -> None:
    assert served.post("/api/samples", {"state": {**served.start(), "images": key}, "places": [{"seed": 0, "index": 0}]})
    for part in ("images", "textures", "defects"):
        state = {**served.start(), part: key, "recipe": served.get("/api/preset/peng2024")["recipe"]}
        found = served.samples(state)
        assert all("error" in one for one in found) or part == "textures", part
        told = served.post("/api/command", {"state": state})
        assert told[0] == 422 and "/etc/passwd" not in told[1]["error"]


def test_recipes_read_no_file_of_their_own(served: Served) -> None:
    """A recipe names sources by their names in a bank; one that names a path finds nothing."""
    recipe = served.get("/api/preset/scratch")["recipe"]
    kind = next(iter(recipe["kinds"]))
    recipe["kinds"][kind]["mask"] = {"kind": "mask_file", "folders": ["../../etc", "/etc"]}
    found = served.samples({**served.start(), "recipe": recipe})
    assert all("none were given" in one["error"] for one in found)


def test_links_that_lead_out_are_not_shown(tmp_path: Path, photo_folder: Path) -> None:
    folder, elsewhere = tmp_path / "photos", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    names = sorted(path.name for path in photo_folder.iterdir())
    (folder / names[0]).write_bytes((photo_folder / names[0]).read_bytes())
    write_image(elsewhere / "secret.png", np.full((96, 96, 3), 7, np.uint8))
    (folder / "link.png").symlink_to(elsewhere / "secret.png")
    (folder / "below").symlink_to(elsewhere)
    (folder / "inner.png").symlink_to(folder / names[0])
    with serving(Options(load_recipe("industrial"), images=str(folder))) as found:
        assert found.get("/api/setup")["given"]["hidden"] >= 1
        state = {**found.start(), "train_fraction": 0.0}
        shown = found.samples(state, views=["normal"])
        for one in shown:
            assert "error" in one or one["name"] in (names[0], "inner.png")
        assert any("leads out of its folder" in one.get("error", "") for one in shown)
        for index in range(4):
            for form in ("normal", "view", "file"):
                status, answer = found.post("/api/sample", {"state": state, "place": {"seed": 0, "index": index}, "form": form})
                assert status == 200 or "leads out" in answer["error"]
                if status == 200:
                    assert cv2.imdecode(np.frombuffer(answer, np.uint8), cv2.IMREAD_COLOR).max() > 7


@pytest.mark.parametrize("option", ["textures", "defects", "masks", "real"])
def test_sources_with_links_that_lead_out_are_refused(tmp_path: Path, option: str) -> None:
    folder = tmp_path / "sources"
    folder.mkdir()
    write_image(tmp_path / "secret.png", PICTURE)
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(SourceError, match="lead out of it"):
        shelf_of(**{option: str(folder)})
    refuse_links(None)
    refuse_links("builtin:all")


def test_another_host_reaches_nothing(served: Served) -> None:
    others = ["evil.example", f"evil.example:{served.port}", f"127.0.0.1:{served.port + 1}", "127.0.0.1", ""]
    for host in (*others, f"localhost.:{served.port}", f"127.0.0.1.evil.example:{served.port}"):
        for path in ("/", "/api/setup"):
            status, _, body = served.ask("GET", path, headers={"Host": host})
            assert status in (400, 421), (host, body)
    for host in (f"localhost:{served.port}", f"127.0.0.1:{served.port}"):
        assert served.ask("GET", "/api/setup", headers={"Host": host})[0] == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"X-Defectsynth-Studio": None}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({}, 200),
    ],
)
def test_only_the_page_itself_sends_anything(served: Served, headers: dict[str, str | None], status: int) -> None:
    sent = {"Content-Type": "application/json", **HEADER, **headers}
    kept = {name: value for name, value in sent.items() if value is not None}
    found, _, body = served.ask("POST", "/api/check", b'{"recipe": {}}', kept)
    assert found == status, body
    assert served.upload("x", [], {name: value for name, value in headers.items() if value is not None})[0] in (status, 422)


def test_methods_that_are_not_used_are_refused(served: Served) -> None:
    for method in ("PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
        status, headers, _ = served.ask(method, "/api/setup")
        assert status == 405
        assert "access-control-allow-origin" not in headers


def test_every_answer_keeps_a_browser_to_this_page(served: Served) -> None:
    for path in ("/", "/js/main.js", "/api/setup", "/nowhere"):
        _, headers, _ = served.ask("GET", path)
        assert headers["content-security-policy"].startswith("default-src 'self'; img-src 'self' blob: data:")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in headers


def test_the_page_is_whole_and_asks_nobody_else(served: Served) -> None:
    from defectsynth.studio import server

    files = Path(server.__file__).parent / "static"
    named = {name for name, _ in server._STATIC.values()}
    assert {path.name for path in files.iterdir()} == named
    for path, (name, kind) in server._STATIC.items():
        status, headers, body = served.ask("GET", path)
        assert status == 200 and headers["content-type"] == kind and body == (files / name).read_bytes()
        text = body.decode().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text and "//cdn" not in text, name
        assert "<script>" not in text and "style=" not in text and "onclick=" not in text and "innerHTML" not in text, name


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.3.4"])
def test_an_open_address_takes_numbers_and_no_names(host: str) -> None:
    guard = Guard(None, host=host, port=80, upload_paths=())
    assert guard._served("192.168.3.4:80") and guard._served("192.168.3.4")
    assert not guard._served("evil.example:80")
    assert not guard._served("192.168.3.4:81")
    assert guard._served("10.0.0.9:80") == (host == "0.0.0.0")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"3", b"{}", b'{"state": 3}', b"[" * 100_000, b'{"recipe": null}'])
def test_what_cannot_be_read_is_a_message(served: Served, body: bytes) -> None:
    for name in ("check", "samples", "sample", "yaml", "open", "render", "stats", "foreground", "score", "command", "bundle"):
        path = f"/api/{name}"
        status, headers, answer = served.ask("POST", path, body, {"Content-Type": "application/json", **HEADER})
        assert status == 422 and "json" in headers["content-type"], (path, answer)
        assert json.loads(answer)["error"] and "Traceback" not in answer.decode()


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": -1},
        {"seed": 2**60},
        {"count": 0},
        {"size": [100_000, 100_000]},
        {"size": [0, 5]},
        {"train_fraction": 1.0},
        {"pins": [{"seed": 0, "index": 10**6}]},
        {"roi": {"strokes": [{"radius": 9, "points": [[0, 0]]}]}},
        {"roi": {"strokes": [{"radius": 0.1, "points": []}]}},
        {"roi": {"strokes": [{"radius": 0.1, "points": [[0, 0]] * (limits.STROKE_POINTS + 1)}]}},
        {"path": "/etc/passwd"},
    ],
    ids=str,
)
def test_a_state_beyond_its_limits_is_refused(served: Served, changes: dict[str, Any]) -> None:
    status, answer = served.post("/api/yaml", {"state": {**served.start(), **changes}})
    assert status == 422 and next(iter(changes)) in answer["error"]


def test_a_bad_picture_is_a_message_on_its_own_tile(tmp_path: Path, photo_folder: Path) -> None:
    for path in sorted(photo_folder.iterdir())[:2]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "broken.png").write_text("no picture")
    with serving(Options(load_recipe("industrial"), images=str(tmp_path))) as found:
        shown = found.samples({**found.start(), "train_fraction": 0.0})
        assert {"is not a picture that can be read" in one.get("error", "") for one in shown} == {True, False}


def test_two_tabs_do_not_disturb_each_other(served: Served) -> None:
    states = [changed_state(served, seed=seed) for seed in (1, 2)]
    states[1]["recipe"]["kinds"]["scratch"]["weight"] = 9
    alone = [served.samples(state) for state in states]
    found: dict[int, list[Any]] = {0: [], 1: []}

    def tab(number: int) -> None:
        for _ in range(6):
            found[number].append(served.samples(states[number]))

    tabs = [threading.Thread(target=tab, args=(number,)) for number in found]
    for one in tabs:
        one.start()
    for one in tabs:
        one.join()
    for number, turns in found.items():
        for turn in turns:
            for one, expected in zip(turn, alone[number], strict=True):
                assert one["area"] == expected["area"] and np.array_equal(one["anomalous"], expected["anomalous"])


def test_a_page_that_went_away_is_not_painted_for(served: Served) -> None:
    state = {**served.start(), "size": [700, 700], "seed": 77}
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    values = {"state": state, "places": [{"seed": 77, "index": index} for index in range(12)]}
    connection.request("POST", "/api/samples", json.dumps(values), {"Content-Type": "application/json", **HEADER})
    answer = connection.getresponse()
    answer.read(64)
    answer.close()
    connection.close()
    started = time.monotonic()
    assert len(served.samples(served.start())) == 4
    assert time.monotonic() - started < 10


def test_a_cache_forgets_the_longest_unused() -> None:
    cache: Cache[str, bytes] = Cache(10, len)
    cache.keep("a", b"1234")
    cache.keep("b", b"1234")
    assert cache.find("a") == b"1234"
    cache.keep("c", b"1234")
    assert cache.find("b") is None and cache.find("a") is not None
    cache.keep("d", b"1" * 50)
    assert cache.find("d") is not None and cache.find("c") is None
    assert cache.get("e", lambda: b"x") == b"x"
    gone: list[str] = []
    single: Cache[int, str] = Cache(1, forgotten=gone.append)
    single.keep(1, "a")
    single.keep(2, "b")
    assert gone == ["a"]


def test_what_is_kept_on_disk_is_bounded(photo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("defectsynth.studio.shelf.ROIS_KEPT", 3)
    monkeypatch.setattr("defectsynth.studio.shelf.UPLOADS_KEPT", 2)
    shelf = shelf_of(images=str(photo_folder))
    for number in range(6):
        stroke = Stroke(radius=0.2, points=((0.5, 0.5 + number / 100),))
        state = shelf.start().model_copy(update={"roi": Roi(strokes=(stroke,))})
        shelf.roi_folder(state, shelf.listing(state.images).canvases.names[:2])
        keep_uploads(shelf, f"k{number}", [Upload("a.png", png_of(PICTURE))], [Upload("a_mask.png", png_of(MASK))])
    assert len(list(shelf.aside.glob("roi-*"))) == 3
    assert len(list(shelf.aside.glob("upload-*"))) == 2
    with pytest.raises(InputError, match="no longer kept"):
        shelf.upload("upload:gone")
    shelf.close()


def test_tiles_keep_their_form() -> None:
    assert tile_shape((100, 400), 200) == (50, 200)
    assert tile_shape((30, 20), 200) == (30, 20)
    mask = np.zeros((100, 100), np.uint8)
    mask[20:60, 30:50] = 255
    (points,) = outline(mask, 50)
    assert (min(points[::2]), max(points[::2]), min(points[1::2]), max(points[1::2])) == (15, 24, 10, 29)


def test_many_requests_keep_the_memory(photo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty users' worth of different requests in a row: once the caches are full, nothing more is kept."""
    for module in ("painter", "shelf"):
        monkeypatch.setattr(f"defectsynth.studio.{module}.CACHE_BYTES", 12 * 2**20)
    with serving(Options(load_recipe("industrial"), images=str(photo_folder))) as found:
        start = found.start()

        def user(number: int) -> None:
            state = {**start, "seed": number, "size": [128 + 8 * (number % 6)] * 2}
            state["recipe"]["kinds"]["scratch"]["weight"] = 1 + number / 10
            places = [{"seed": number, "index": index} for index in range(12)]
            found.fine("/api/samples", {"state": state, "places": places, "tile": 128, "views": ["normal", "anomalous", "map"]})
            found.fine("/api/check", {"recipe": state["recipe"]})
            found.fine("/api/command", {"state": state})
            found.get("/api/setup")

        for number in range(25):
            user(number)
        before = resident()
        for number in range(25, 75):
            user(number)
        assert resident() - before < 24 * 2**20


def resident() -> int:
    """Bytes of memory that this process holds."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    except OSError:
        pytest.skip("this system does not say how much memory a process holds")
