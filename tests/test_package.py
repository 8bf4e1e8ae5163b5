"""The package as a whole: what importing it brings, which way its imports point, and that no bit depends on the machine."""

from __future__ import annotations

import ast
import doctest
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import defectsynth
import defectsynth.synthesizer

ROOT = Path(defectsynth.__file__).parent

# a room stands above all that it imports
FLOORS = [
    {"compiled"},
    {"errors", "affine", "rng", "products", "noise", "images", "memory", "encoding", "files", "plugins", "spec", "extras"},
    {"labels", "sample", "foreground", "samples", "visibility", "camera"},
    {"formats"},
    {"banks"},
    {"masks"},
    {"site"},
    {"fill", "painting"},
    {"sources", "blends"},
    {"plan", "recipe"},
    {"region", "textures"},
    {"synthesizer", "batched"},
    {"preview", "canvases", "statistics"},
    {"charts", "job", "pool", "ledger"},
    {"making", "verify", "scoring"},
    {"render", "convert"},
    {"matching", "integrations", "sharding"},
    {"ray_engine"},
    {"render_as"},
    {"studio"},
    {"cli"},
]
FLOOR = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}


def python(code: str, **environment: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **environment}
    )
    return ended.stdout.strip()


def test_import_brings_nothing_heavy():
    loaded = python("import sys, defectsynth; print(' '.join(sys.modules))").split()
    heavy = {"torch", "torchvision", "numba", "albumentations", "datasets", "ray", "scipy", "matplotlib", "typer", "rich"}
    assert not (heavy | {"lkad_models"}) & set(loaded)


@pytest.mark.parametrize(
    ("absent", "extra", "code"),
    [
        ("torch", "torch", "import defectsynth.integrations.pytorch"),
        ("torchvision", "torch", "import defectsynth.integrations.torchvision"),
        ("albumentations", "albumentations", "import defectsynth.integrations.albumentations"),
        ("datasets", "huggingface", "import defectsynth.integrations.huggingface"),
        ("ray", "ray", "from defectsynth.ray_engine import ray_engine; ray_engine()"),
        ("fsspec", "shards", "from defectsynth.formats.shards import open_store; open_store('s3://x')"),
        ("pyarrow", "shards", "from defectsynth.formats import parquet; import io; parquet.write_shard([], io.BytesIO())"),
    ],
)
def test_a_missing_extra_is_named_with_its_pip_command(absent, extra, code):
    said = python(f"""
import sys
sys.modules[{absent!r}] = None
from defectsynth.errors import InputError
try:
    {code.replace("; ", chr(10) + "    ")}
except InputError as error:
    print(error)
""")
    assert f'pip install "defectsynth[{extra}]"' in said and absent in said


def imports_of(path: Path) -> set[str]:
    """Rooms that a file imports while it runs (imports for type checkers do not count)."""
    found: set[str] = set()
    tree = ast.parse(path.read_text())
    guarded = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and id(node) not in guarded and (node.module or "").startswith("defectsynth"):
            parts = (node.module or "").split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
    return found


def test_no_arrow_runs_upward():
    for path in ROOT.rglob("*.py"):
        room = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        for imported in imports_of(path) - {room, "__version__"}:
            assert FLOOR[imported] <= FLOOR[room], f"{path.name} ({room}) imports {imported}, which stands above it"


def test_the_other_package_is_never_imported():
    assert not [
        path
        for path in ROOT.rglob("*.py")
        if "import lkad_models" in path.read_text() or "from lkad_models" in path.read_text()
    ]


PAINT = """
import hashlib, cv2, numpy as np
from defectsynth import AnomalySynthesizer
if THREADS: cv2.setNumThreads(THREADS)
synth = AnomalySynthesizer("industrial", seed=5)
image = np.full((160, 200, 3), 120, np.uint8)
roi = np.full((160, 200), 255, np.uint8)
digest = hashlib.sha256()
for index in range(12):
    sample = synth(image, index=index, roi=roi)
    digest.update(sample.mask.tobytes() + sample.image.tobytes() + sample.defect_map.tobytes())
    digest.update(synth(image[:, :, 0], index=index, roi=roi).image.tobytes())
grain = np.random.default_rng(1).integers(0, 256, (2, 160, 200, 3)).astype(np.uint8)
soft = cv2.boxFilter(grain[0], -1, (7, 7))
for index in range(12):
    digest.update(synth(soft, index=index, roi=roi).image.tobytes())
patches = AnomalySynthesizer("nsa-texture", seed=5, normals={"one": grain[0], "other": grain[1]})
for index in range(6):
    digest.update(patches(image, index=index).image.tobytes())
print(digest.hexdigest())
"""


def test_neither_blas_nor_threads_nor_compiled_loops_change_a_byte():
    ways = [("0", {}), ("1", {"OPENBLAS_NUM_THREADS": "1"}), ("4", {"OPENBLAS_NUM_THREADS": "8", "OMP_NUM_THREADS": "8"})]
    ways += [("0", {"DEFECTSYNTH_COMPILED": "0"}), ("0", {"DEFECTSYNTH_COMPILED": "1"})]
    ways += [("0", {"OPENBLAS_CORETYPE": core}) for core in ("Prescott", "Haswell", "SkylakeX")]
    digests = {python(PAINT.replace("THREADS", threads), **environment) for threads, environment in ways}
    assert len(digests) == 1


@pytest.mark.parametrize("module", [defectsynth, defectsynth.synthesizer])
def test_examples_in_docstrings(module):
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


def test_sources_hold_no_module_level_random_state():
    for path in ROOT.rglob("*.py"):
        text = path.read_text()
        assert "np.random" not in text, path
        assert "import random" not in text, path


def test_a_digest_that_only_a_change_of_method_may_change():
    """The masks of ten plans. If this fails, plans on users' disks no longer replay: say so in the changelog."""
    import numpy as np

    from defectsynth.banks import Banks
    from defectsynth.masks import Perlin
    from defectsynth.rng import Draws

    digest = hashlib.sha256()
    spec = Perlin(area_range=(0.01, 0.1), components_range=(1, 3), octaves=2)
    for index in range(10):
        digest.update(spec.draw(Draws(1, index), Banks()).paint(np.full((90, 110), 255, np.uint8), Banks()).tobytes())
    assert digest.hexdigest()[:16] == "98bc7ecebdb00995"
