"""A whole step of training, forward, backward and update, by how its large depthwise convolutions go; and its peak memory.

    python benchmarks/training_step.py [--model base] [--image-size 256] [--batch-size 8] [--threads 2] [--device cpu]

``default`` is torch's own in its default layout, channels first; ``channels last`` torch's own with channels last throughout;
``auto`` what ``lkad train`` does: each direction by what was the fastest. Each runs in a process of its own, since memory is
that of the process: the most it ever held, less what it held before the first step. Pictures are random: what a step costs does
not depend on them.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

import torch
from torch import nn

from defectsynth.files import write_bytes
from lkad_models import learner as learning
from lkad_models.detector import LKADConfig
from lkad_models.ops import DepthwiseConv2d
from lkad_models.stream import Painted
from lkad_models.training_config import TrainingConfig

WAYS = ("default", "channels last", "auto")


class Plain(nn.Conv2d):
    """A depthwise convolution as torch does it."""


def prepare(learner: learning.Learner, way: str) -> None:
    """Puts every large convolution on its way."""
    for module in learner.modules():
        if isinstance(module, DepthwiseConv2d):
            if way == "default":
                module.__class__ = Plain  # type: ignore[assignment]
            elif way == "channels last":
                module.backend = "aten"
    if way == "default":
        learner.to(memory_format=torch.contiguous_format)
        learning._channels_last = lambda images: images


def one(options: argparse.Namespace) -> dict[str, float]:
    """Seconds and mebibytes of one way."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    size, batch = options.image_size, options.batch_size
    model = LKADConfig(size=options.model, image_size=size)
    config = TrainingConfig(data=Path("none"), out=Path("none"), model=model, batch_size=batch, max_steps=100)
    learner = learning.Learner(config, 100).to(options.device)
    prepare(learner, options.way)
    optimizer = torch.optim.Adam([one for one in learner.model.parameters() if one.requires_grad], 1e-4)
    images = torch.rand(batch, 3, size, size, device=options.device)
    masks = (torch.rand(batch, 1, size, size, device=options.device) > 0.9).float()
    painted = Painted(images, images.clone(), masks, masks.clone())
    before, times = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, []
    for _ in range(options.rounds + 1):
        begun = perf_counter()
        optimizer.zero_grad(set_to_none=True)
        learner._losses(painted).total(config.loss_weights).backward()
        optimizer.step()
        if options.device == "cuda":
            torch.cuda.synchronize()
        times.append(perf_counter() - begun)
    kept = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    most = torch.cuda.max_memory_allocated() / 2**20 if options.device == "cuda" else kept / 2**10
    return {"seconds": median(times[1:]), "mebibytes": most}


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="base", choices=["tiny", "small", "base"])
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way is not None:
        print(json.dumps(one(options)))
        return
    found = {}
    size = f"{options.image_size} pixels, batch {options.batch_size}"
    print(f"{options.model}, {size}, {options.device}, {options.threads} threads, torch {torch.__version__}\n")
    print("| depthwise convolutions | s a step | to default | peak memory, MiB |\n|---|---:|---:|---:|")
    for way in WAYS:
        command = [sys.executable, *sys.argv, "--way", way]
        found[way] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        seconds, memory = found[way]["seconds"], found[way]["mebibytes"]
        print(f"| {way} | {seconds:.2f} | {found['default']['seconds'] / seconds:.1f} | {memory:,.0f} |", flush=True)
    if options.json is not None:
        write_bytes(options.json, json.dumps(found, indent=1).encode())


if __name__ == "__main__":
    main()
