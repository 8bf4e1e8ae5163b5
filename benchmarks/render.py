"""How fast a dataset is rendered, and how near that is to encoding and writing the same pictures alone; memory on the way.

    python benchmarks/render.py --images photos/train/good --textures textures [--count 2000] [--size 256] [--json out.json]

For each recipe and number of workers, one after the other in one run:

    render    `defectsynth render` as a process of its own: what a user waits for, without the start of Python
    floor     the pictures and masks of that run, painted already and in memory, encoded and written by the same code to the
              same file names, by as many workers
    paint     the same pictures painted and not written: the processor time inside the synthesizer, summed over the workers

Shares of the floor are of wall time and of processor time. The second counts the start of every Python too, and is the one to
look at where other work runs on the machine.

Memory is the proportional set size of the process and its children (pages that several share are counted once), sampled ten
times a second; Linux only. The largest value up to a quarter, up to a half and up to the end of the pictures is shown.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from shutil import rmtree
from tempfile import mkdtemp
from time import perf_counter, sleep, thread_time

import numpy as np

from defectsynth.canvases import KeptCanvases
from defectsynth.encoding import Encoding
from defectsynth.files import read_image
from defectsynth.formats.manifest import read_manifest
from defectsynth.formats.mvtec import NORMAL_KIND, mask_path, write_mvtec
from defectsynth.job import Job, Task, read_job
from defectsynth.pool import run_tasks
from defectsynth.recipe import Recipe

Picture = tuple[int, str, str]  # its place in the stack, its kind, its stem


@dataclass
class Row:
    """One line of the table; megabytes are 10**6 bytes."""

    recipe: str
    workers: int
    pictures: int
    render_seconds: float
    floor_seconds: float
    render_cpu: float
    floor_cpu: float
    paint_cpu: float
    quarter_mb: float
    half_mb: float
    end_mb: float

    @property
    def share_of_floor(self) -> float:
        return self.floor_seconds / self.render_seconds

    @property
    def cpu_share_of_floor(self) -> float:
        return self.floor_cpu / self.render_cpu

    @property
    def paint_share(self) -> float:
        return self.paint_cpu / self.render_cpu

    @property
    def share_without_painting(self) -> float:
        return self.floor_cpu / (self.render_cpu - self.paint_cpu)

    def cells(self) -> list[str]:
        return [
            f"`{self.recipe}`",
            str(self.workers),
            f"{self.pictures / self.render_seconds:.0f}",
            f"{self.pictures / self.floor_seconds:.0f}",
            f"{self.share_of_floor:.0%}",
            f"{self.cpu_share_of_floor:.0%}",
            f"{self.paint_share:.0%}",
            f"{self.share_without_painting:.0%}",
            *(f"{value:.0f}" for value in (self.quarter_mb, self.half_mb, self.end_mb)),
        ]


HEADINGS = (
    "recipe", "workers", "pictures/s", "floor, pictures/s", "share of the floor", "the same, processor time", "of it painting",
    "share of the floor if painting cost nothing", "MB at 1/4", "MB at 1/2", "MB at the end",
)  # fmt: skip


# --- render -----------------------------------------------------------------------------------------------------------


def rendered(recipe: str, workers: int, out: Path, arguments: argparse.Namespace) -> tuple[float, list[float]]:
    """The seconds that a run of the command reports, and its memory in MB at a quarter, at a half and at the end."""
    command = [sys.executable, "-m", "defectsynth.cli", "render", "--out", out, "--recipe", recipe, "--workers", workers]
    command += ["--images", arguments.images, "--count", arguments.count, "--size", arguments.size, "--train-fraction", 0]
    command += ["--normal-fraction", 0.2, "--image-format", arguments.image_format, "--json"]
    command += ["--textures", arguments.textures] if arguments.textures else []
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)
    peaks = watched(process, out / "manifest.partial.jsonl", arguments.count)
    answer, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"`defectsynth render` ended with {process.returncode}")
    return json.loads(answer)["seconds"], peaks


def watched(process: subprocess.Popen[str], lines: Path, count: int) -> list[float]:
    """The largest memory of a process tree until a quarter, a half and all of the lines were written, in MB."""
    peaks = [0.0, 0.0, 0.0]
    reader = LineCounter(lines)
    while process.poll() is None:
        memory, done = tree_memory(process.pid) / 1e6, reader.count()
        for place, share in enumerate((0.25, 0.5, 1.0)):
            if done <= share * count:
                peaks[place] = max(peaks[place], memory)
        sleep(0.1)
    return peaks


class LineCounter:
    """Counts the lines of a file that grows."""

    def __init__(self, path: Path) -> None:
        self._path, self._read, self._lines = path, 0, 0

    def count(self) -> int:
        if self._path.is_file():
            with self._path.open("rb") as file:
                file.seek(self._read)
                new = file.read()
            self._read, self._lines = self._read + len(new), self._lines + new.count(b"\n")
        return self._lines


def tree_memory(pid: int) -> int:
    """Proportional set size in bytes of a process and all below it."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        own = next(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
        below = [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]
    except (OSError, StopIteration):  # it has just ended
        return 0
    return own + sum(tree_memory(child) for child in below)


# --- the floor --------------------------------------------------------------------------------------------------------


class Writer:
    """Encodes and writes painted pictures of a stack; lives in a worker process."""

    def __init__(self, stack: Path, out: Path, encoding: Encoding) -> None:
        self._images, self._masks = (np.load(stack / f"{name}.npy", mmap_mode="r") for name in ("images", "masks"))
        self._out, self._encoding = out, encoding

    def __call__(self, picture: Picture) -> Path:
        place, kind, stem = picture
        mask = None if kind == NORMAL_KIND else np.array(self._masks[place])
        return write_mvtec(self._out, "test", kind, stem, np.array(self._images[place]), mask, self._encoding)


def stacked(dataset: Path, stack: Path) -> list[Picture]:
    """Copies the pictures and masks of a dataset into two arrays, which stay in the memory of the system."""
    lines = list(read_manifest(dataset / "manifest.jsonl"))
    first = read_image(dataset / lines[0]["file"])
    stack.mkdir()
    images = np.lib.format.open_memmap(stack / "images.npy", "w+", first.dtype, (len(lines), *first.shape))
    masks = np.lib.format.open_memmap(stack / "masks.npy", "w+", np.dtype(np.uint8), (len(lines), *first.shape[:2]))
    pictures = []
    for place, line in enumerate(lines):
        stem = Path(line["file"]).stem
        images[place] = read_image(dataset / line["file"]).reshape(first.shape)
        if line["kind"] != NORMAL_KIND:
            masks[place] = read_image(mask_path(dataset, line["kind"], stem))
        pictures.append((place, line["kind"], stem))
    return pictures


# --- painting ---------------------------------------------------------------------------------------------------------


class Painter:
    """Paints and writes nothing; lives in a worker process. Its results are the processor time inside the synthesizer."""

    def __init__(self, job: Job, recipe: Recipe) -> None:
        self._canvases, self._synthesizer = KeptCanvases(job.open_canvases()), job.synthesizer(recipe, guard=False)

    def __call__(self, task: Task) -> float:
        canvas = self._canvases.load(task.canvas)
        started = thread_time()
        self._synthesizer(canvas.image, index=task.number, roi=canvas.roi)
        return thread_time() - started


def canvas_of(task: Task) -> str:
    return task.canvas


# --- one run ----------------------------------------------------------------------------------------------------------


def measure(recipe: str, workers: int, scratch: Path, arguments: argparse.Namespace) -> Row:
    """One line of the table."""
    dataset, stack, floor = scratch / "rendered", scratch / "stack", scratch / "floor"
    started = processor_time()
    render_seconds, peaks = rendered(recipe, workers, dataset, arguments)
    render_cpu = processor_time() - started
    pictures = stacked(dataset, stack)
    job, drawn = read_job(dataset)
    started, began = processor_time(), perf_counter()
    list(run_tasks(Writer, (stack, floor, job.encoding), pictures, workers))
    floor_seconds, floor_cpu = perf_counter() - began, processor_time() - started
    check_same_files(dataset, floor)
    tasks = sorted(job.tasks(job.open_canvases()), key=canvas_of)
    paint_cpu = sum(run_tasks(Painter, (job, drawn), tasks, workers, together=canvas_of))
    for folder in (dataset, stack, floor):
        rmtree(folder)
    return Row(recipe, workers, len(pictures), render_seconds, floor_seconds, render_cpu, floor_cpu, paint_cpu, *peaks)


def processor_time() -> float:
    """Seconds of this process and of all that have ended below it."""
    return sum(sum(getrusage(who)[:2]) for who in (RUSAGE_SELF, RUSAGE_CHILDREN))


def check_same_files(dataset: Path, floor: Path) -> None:
    """The floor is one only if it writes what rendering wrote (pictures that were lossy are encoded a second time)."""
    wrote, wanted = (
        sorted(path.relative_to(root).as_posix() for part in ("test", "ground_truth") for path in (root / part).rglob("*.*"))
        for root in (floor, dataset)
    )
    if wrote != wanted:
        raise SystemExit(f"the floor wrote {len(wrote)} files and rendering {len(wanted)}")


def table(rows: Sequence[Row]) -> str:
    lines = [HEADINGS, ["---", *["---:"] * (len(HEADINGS) - 1)], *(row.cells() for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, help="folder of normal pictures")
    parser.add_argument("--textures", help="folder of textures, or builtin:all")
    parser.add_argument("--recipes", nargs="+", default=["draem-code", "industrial"])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--image-format", choices=["png", "jpg", "webp"], default="png")
    parser.add_argument("--scratch", type=Path, help="where to write; a folder for temporary files if not given")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    scratch = Path(mkdtemp(prefix="render-", dir=arguments.scratch))
    try:
        rows = [measure(recipe, workers, scratch, arguments) for recipe in arguments.recipes for workers in arguments.workers]
    finally:
        rmtree(scratch)
    print(table(rows))
    if arguments.json:
        found = [asdict(row) | dict(zip(HEADINGS[2:8], row.cells()[2:8], strict=True)) for row in rows]
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
