"""What one picture costs on the CPU: as trained or with folded kernels, channels first or last, and in onnxruntime.

    python benchmarks/latency.py [--sizes tiny base] [--image-size 256] [--threads 2] [--json out.json]

Milliseconds of one pass of one picture, median and quickest of ``--rounds``; the ways take turns, so that what else the machine
does falls on all of them. Weights are random: they do not change what a pass costs.
"""

from __future__ import annotations

import argparse
import copy
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import onnxruntime
import torch

from defectsynth.files import write_bytes
from lkad_models import LKAD, LKADConfig
from lkad_models.export import export
from lkad_models.run import save_run
from lkad_models.runtimes import ONNX_FILE


def ways(size: str, side: int, threads: int) -> dict[str, Callable[[], object]]:
    """One pass of each way."""
    torch.manual_seed(0)
    model = LKAD(LKADConfig.model_validate({"size": size, "image_size": side})).eval()
    picture = torch.rand(1, 3, side, side)
    found: dict[str, Callable[[], object]] = {}
    for folded in (False, True):
        for last in (False, True):
            layout = torch.channels_last if last else torch.contiguous_format
            one = copy.deepcopy(model)
            one = (one.reparameterize() if folded else one).to(memory_format=layout)
            name = f"torch, {'folded' if folded else 'as trained'}, channels {'last' if last else 'first'}"
            given = picture.contiguous(memory_format=layout)
            found[name] = lambda one=one, given=given: one(given)  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as folder:
        save_run(Path(folder), model, (side, side), {})
        export(folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(Path(folder) / ONNX_FILE, options, providers=["CPUExecutionProvider"])
    array = np.ascontiguousarray(picture.numpy())
    found["onnxruntime, folded"] = lambda: session.run(None, {"image": array})
    return found


@torch.inference_mode()
def measured(passes: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each round, by way."""
    times: dict[str, list[float]] = {name: [] for name in passes}
    for number in range(rounds + 1):
        for name, one in passes.items():
            begun = perf_counter()
            one()
            if number:  # the first warms up
                times[name].append(1e3 * (perf_counter() - begun))
    return times


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["tiny", "base"], choices=["tiny", "small", "base"])
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{options.image_size} x {options.image_size}, {options.threads} threads, torch {torch.__version__}, ", end="")
    print(f"onnxruntime {onnxruntime.__version__}\n")
    print("| detector | way | ms, median | ms, quickest | times the first |")
    print("|---|---|---:|---:|---:|")
    kept = {}
    for size in options.sizes:
        times = measured(ways(size, options.image_size, options.threads), options.rounds)
        kept[size] = times
        first = median(next(iter(times.values())))
        for name, found in times.items():
            print(f"| {size} | {name} | {median(found):.0f} | {min(found):.0f} | {first / median(found):.1f} |", flush=True)
    if options.json is not None:
        write_bytes(options.json, json.dumps(kept, indent=2).encode())


if __name__ == "__main__":
    main()
