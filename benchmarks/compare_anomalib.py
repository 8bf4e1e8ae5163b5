"""Our detector beside anomalib's on the same folders, judged by the same code: one table.

    python benchmarks/compare_anomalib.py --data photos/bottle --data photos/grid --textures photos/textures \
        --weights efficientnet_lite0_imagenet.pth --models lkad-tiny patchcore padim draem --minutes 20 --json out.json

Every detector learns from ``train/good`` alone and sees pictures of ``--size``, except ``lkad-*`` and ``draem``, which take
``--synthetic-size`` (they are trained from nothing, and on two cores 256 pixels are too many). ``--minutes`` bounds those that
are trained by gradient. Metrics are those of ``lkad eval`` for all: maps at the size of the pictures, AUPRO up to 0.3.

Backbones: with ``--weights FILE`` those that can take it have EfficientNet-Lite0 from that file; without it, each has
anomalib's own default and downloads it. A model that can do neither is left out of the table, with the reason. Needs anomalib
2.7 (``pip install anomalib``) in the same environment.
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import statistics
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from torch import nn

from defectsynth.files import list_images, read_image, write_bytes
from lkad_models import LKADConfig
from lkad_models.evaluation import evaluate
from lkad_models.prediction import Detector, load
from lkad_models.run import RunConfig
from lkad_models.runtimes import Found
from lkad_models.training import train
from lkad_models.training_config import TrainingConfig

LITE = "tf_efficientnet_lite0"
SHOWN = ("image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "aupro")


@dataclass(frozen=True)
class Peer:
    """One of anomalib's models.

    Attributes:
        name: its class.
        layers: of EfficientNet-Lite0 that it compares; None where it cannot.
        arguments: that it needs besides with that backbone.
        synthetic: whether it is trained on painted pictures from nothing, and needs no backbone.
        floor: the lowest value its maps can have; what lies above is scaled down to [0, 1], so that order and interpolation
            stay what they are.
    """

    name: str
    layers: tuple[str, ...] | None = None
    arguments: dict[str, object] = field(default_factory=dict)
    synthetic: bool = False
    floor: float = 0.0


PEERS = {
    "patchcore": Peer("Patchcore", ("blocks.2", "blocks.4"), {"coreset_sampling_ratio": 0.01}),
    "padim": Peer("Padim", ("blocks.1", "blocks.2", "blocks.4"), {"n_features": 100}),
    "stfpm": Peer("Stfpm", ("blocks.1", "blocks.2", "blocks.4")),
    "supersimplenet": Peer("Supersimplenet", ("blocks.2", "blocks.4"), floor=-128.0),
    "reverse_distillation": Peer("ReverseDistillation"),
    "fastflow": Peer("Fastflow", floor=-128.0),
    "cfa": Peer("Cfa", floor=-128.0),
    "draem": Peer("Draem", synthetic=True),
}
"""Models of anomalib 2.7 that the paper's tables or their successors name; layers of the strides that their papers take.
PatchCore keeps a hundredth of its patches, as in its paper: to choose a tenth, anomalib's default, takes a CPU hours."""
_RANGE = 2.0**14
"""Above any map's floor; a power of two, so that scaling is exact."""


@dataclass
class Line:
    """One row of the table."""

    data: str
    model: str
    size: int
    steps: int
    minutes: float
    milliseconds: float
    metrics: dict[str, float | None]


class Runtime:
    """A model of anomalib as a runtime of ours: pictures in, maps and scores out."""

    def __init__(self, model: nn.Module, peer: Peer) -> None:
        self._model, self._peer = model.eval(), peer
        model.post_processor = None  # type: ignore[assignment]  # raw maps and scores: normalisation changes neither's order

    @torch.no_grad()
    def __call__(self, images: np.ndarray) -> Found:
        """``(B, 3, H, W)`` float32 in [0, 1]."""
        found = self._model(torch.from_numpy(images))
        maps = found.anomaly_map.reshape(len(images), *found.anomaly_map.shape[-2:]).float()
        scores = maps.flatten(1).amax(1) if found.pred_score is None else found.pred_score.reshape(len(images)).float()
        size = images.shape[2:]
        if maps.shape[1:] != size:
            maps = nn.functional.interpolate(maps[:, None], size=size, mode="bilinear")[:, 0]
        scaled = (maps - self._peer.floor) / _RANGE
        return Found(scaled.clamp(0.0, 1.0).numpy(), scores.numpy(), images)


def peer_of(name: str, data: Path, size: int, options: argparse.Namespace) -> tuple[Detector, int]:
    """Trains a model of anomalib; returns it as a detector of ours, and its steps."""
    import anomalib.models.image as models
    from anomalib.data import Folder
    from anomalib.data.utils import TestSplitMode, ValSplitMode
    from anomalib.engine import Engine

    peer = PEERS[name]
    kind = getattr(models, peer.name)
    seen_at = kind.configure_pre_processor((size, size))
    given: dict[str, object] = {"evaluator": False, "visualizer": False, "pre_processor": seen_at}
    if peer.synthetic:
        given["dtd_dir"] = options.textures
    elif options.weights is not None:
        if peer.layers is None:
            raise ValueError(f"{name} takes none but its own backbones: leave --weights out, and it downloads one")
        given |= {"backbone": LITE, "layers": list(peer.layers), **peer.arguments}
    model = kind(**given)
    folder = Folder(
        name=data.name,
        root=data,
        normal_dir="train/good",
        train_batch_size=options.batch_size,
        num_workers=0,
        test_split_mode=TestSplitMode.NONE,
        val_split_mode=ValSplitMode.NONE,
    )
    once = name in ("patchcore", "padim")
    with tempfile.TemporaryDirectory() as work:
        engine = Engine(
            default_root_dir=work,
            max_epochs=1 if once else 100_000,
            max_time=None if once else timedelta(minutes=options.minutes),
            accelerator=options.accelerator,
            devices=1,
            limit_val_batches=0,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        engine.fit(model=model, datamodule=folder)
    config = RunConfig(model=LKADConfig(size="tiny"), resize=(size, size))
    return Detector(Runtime(model.cpu(), peer), config), int(engine.trainer.global_step)


def own(name: str, data: Path, size: int, options: argparse.Namespace) -> tuple[Detector, int]:
    """Trains a detector of ours: ``lkad-<size>``, or ``lkad-<size>-<recipe>``."""
    _, width, *recipe = name.split("-", 2)
    out = options.runs / f"{data.name}_{name}_{size}_{options.seed}"
    config = TrainingConfig(
        data=data,
        out=out,
        recipe=recipe[0] if recipe else "draem-code",
        textures=str(options.textures),
        model=LKADConfig(size=width, image_size=size),
        max_minutes=options.minutes,
        max_steps=100_000,
        batch_size=options.batch_size,
        accelerator=options.accelerator,
        seed=options.seed,
        progress=False,
    )
    if not (out / "weights.safetensors").is_file():
        train(config)
    detector = load(out)
    return detector, int(detector.config.training["steps"])


def measured(name: str, data: Path, options: argparse.Namespace) -> Line:
    """Trains, judges and times one detector."""
    ours = name.startswith("lkad-")
    size = options.synthetic_size if ours or PEERS[name].synthetic else options.size
    torch.manual_seed(options.seed)
    begun = perf_counter()
    detector, steps = (own if ours else peer_of)(name, data, size, options)
    minutes = (perf_counter() - begun) / 60.0
    found = evaluate(detector, data, batch_size=4, resamples=0)
    metrics = {key: metric.value for key, metric in found.overall.named().items()}
    return Line(data.name, name, size, steps, minutes, latency(detector, data), metrics)


def latency(detector: Detector, data: Path) -> float:
    """Milliseconds for one decoded picture, the median of 20."""
    image = read_image(list_images(data / "test", "picture")[0])
    times = []
    for _ in range(23):
        begun = perf_counter()
        detector(image)
        times.append(perf_counter() - begun)
    return 1e3 * statistics.median(times[3:])


def local_weights(path: Path) -> None:
    """Makes timm take the weights of EfficientNet-Lite0 from a file, wherever they are asked for."""
    import timm.models._registry as registry

    for full, config in registry._model_pretrained_cfgs.items():
        if full.split(".")[0] == LITE:
            config.file, config.hf_hub_id, config.url = str(path), None, None


def table(lines: list[Line]) -> str:
    """As Markdown."""
    rows = ["| data | detector | px | image AUROC | image AP | pixel AUROC | pixel AP | AUPRO | minutes | steps | ms |"]
    rows.append("|---|---|" + "---:|" * 9)
    for line in lines:
        values = " | ".join("-" if value is None else f"{100.0 * value:.1f}" for value in map(line.metrics.get, SHOWN))
        cost = f"{line.minutes:.1f} | {line.steps} | {line.milliseconds:.0f}"
        rows.append(f"| {line.data} | {line.model} | {line.size} | {values} | {cost} |")
    return "\n".join(rows)


def main(report: Callable[[str], None] = print) -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", required=True, help="folder in the MVTec AD layout; repeatable")
    parser.add_argument("--textures", type=Path, required=True)
    parser.add_argument("--weights", type=Path, help="of EfficientNet-Lite0; none: each model's own backbone, downloaded")
    parser.add_argument("--models", nargs="+", default=["lkad-tiny", "patchcore", "padim", "stfpm", "draem"])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--synthetic-size", type=int, default=128)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--accelerator", default="auto")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where runs of ours are kept and found again")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    unknown = [name for name in options.models if not name.startswith("lkad-") and name not in PEERS]
    if unknown:
        parser.error(f"{', '.join(unknown)}: none of lkad-tiny, lkad-small, lkad-base, {', '.join(PEERS)}")
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    if options.weights is not None:
        local_weights(options.weights)
    lines: list[Line] = []
    for data in options.data:
        for name in options.models:
            try:
                lines.append(measured(name, data, options))
            except (ValueError, RuntimeError, OSError) as error:
                report(f"{data.name}, {name} left out: {error}")
                continue
            print(table(lines[-1:]).splitlines()[-1], file=sys.stderr, flush=True)
    report(f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}; {' '.join(sys.argv[1:])}\n")
    report(table(lines))
    if options.json is not None:
        write_bytes(options.json, json.dumps([asdict(line) for line in lines], indent=2).encode())


if __name__ == "__main__":
    main()
