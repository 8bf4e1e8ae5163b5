"""The paper's ablation: structure, appearance and training of the detector, one change at a time, under one budget.

Source: Peng et al. 2024, sections 4.4.1 to 4.4.3 and Table 4. Of its eight rows the figures of four are known here, from a
reading note; which combination each of the others was is chosen: those that lead from the first row to the last.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from defectsynth.errors import InputError
from defectsynth.files import write_bytes
from lkad_models.deep_features import FeatureSync
from lkad_models.detector import LKADConfig
from lkad_models.evaluation import NAMES, Evaluation, evaluate
from lkad_models.training import train
from lkad_models.training_config import TrainingConfig

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["RESULTS", "ROWS", "Result", "Row", "ablate", "ablation_table"]

RESULTS = "ablation.json"
_SHOWN = ("image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "aupro")
_SMALL_KERNELS = (3, 3, 3, 3)
"""Of the rows without large kernels: what a U-Net has."""


class Row(NamedTuple):
    """One row.

    Attributes:
        features: whether deep features are compared.
        large_kernel: whether the prediction has large kernels, else 3 x 3 alone.
        appearance: ``DTD``: textures in Perlin masks, as DRAEM's code (``draem-code``); ``MVTec``: real defects of other
            products on the foreground (``peng2024``).
        training: how the deep features get their parameters; None without them.
        paper_auroc, paper_ap: what the paper reports, mean over fifteen products, in percent; None where it is not known here.
            What its AP is, is not established (docs/leakage.md).
    """

    features: bool
    large_kernel: bool
    appearance: Literal["DTD", "MVTec"]
    training: FeatureSync | None
    paper_auroc: float | None = None
    paper_ap: float | None = None

    def model(self, size: str, image_size: int, channels: int) -> LKADConfig:
        """The detector."""
        given: dict[str, Any] = {"size": size, "image_size": image_size, "channels": channels, "features": self.features}
        if not self.large_kernel:
            given |= {"kernels": _SMALL_KERNELS, "small_kernel": None}
        if self.training is not None:
            given["feature_sync"] = self.training
        return LKADConfig.model_validate(given)

    @property
    def recipe(self) -> str:
        """What its defects are painted by."""
        return "draem-code" if self.appearance == "DTD" else "peng2024"


ROWS = (
    Row(False, False, "DTD", None, 98.00, 68.40),
    Row(True, False, "DTD", "copy"),
    Row(False, True, "DTD", None),
    Row(True, True, "DTD", "copy"),
    Row(False, False, "MVTec", None, 99.25, 99.54),
    Row(False, True, "MVTec", None),
    Row(True, True, "MVTec", "grad", 99.33, 99.69),
    Row(True, True, "MVTec", "copy", 99.70, 99.87),
)
"""The first is DRAEM's; the last is the paper's method."""


class Result(NamedTuple):
    """What one row came to.

    Attributes:
        number: of the row, from 1.
        steps: that it was trained for.
        metrics: by name, as ``Evaluation`` has them; None where one is not defined.
        warning: what has to be said beside them.
    """

    number: int
    steps: int
    metrics: dict[str, float | None]
    warning: str | None


def ablate(
    config: TrainingConfig, rows: Sequence[int] = (), *, progress: Callable[[int, Row], None] | None = None
) -> list[Result]:
    """Trains and judges every row under one budget; a row that has its result already is not done again.

    Args:
        config: of every row but for what the row changes: model and recipe. ``out`` gets a run ``row_<n>`` for each, and
            ``ablation.json``.
        rows: numbers from 1 of those to do; none for all.
        progress: called with the number of a row, and the row, before it is begun.

    Raises:
        InputError: a number is of no row; the folder holds the results of another configuration; there is nothing to draw from.
        LeakageError, TrainingError: as ``train``.
    """
    for number in rows:
        if not 1 <= number <= len(ROWS):
            raise InputError(f"row {number} is none of the ablation's: give 1 to {len(ROWS)}")
    wanted = sorted(set(rows)) or list(range(1, len(ROWS) + 1))
    _check_sources(config, wanted)
    done = {result.number: result for result in _read(config)}
    for number in wanted:
        if number not in done:
            row = ROWS[number - 1]
            if progress is not None:
                progress(number, row)
            done[number] = _done(config, number, row)
            _write(config, [done[each] for each in sorted(done)])
    return [done[number] for number in sorted(done)]


def ablation_table(results: Sequence[Result]) -> Table:
    """For a terminal: the paper's rows, what was measured, and the paper's own figures."""
    from rich.table import Table

    warnings = sorted({result.warning for result in results if result.warning})
    table = Table(
        title="ablation",
        caption="\n".join(
            [*warnings, "paper: mean over the 15 products of MVTec AD; what its AP is, is not established; -: not known here"]
        ),
    )
    for name in ("row", "features", "large kernel", "appearance", "training"):
        table.add_column(name, overflow="fold")
    for name in _SHOWN:
        table.add_column(NAMES[name].replace(" ", "\n"), justify="right", no_wrap=True)
    for name in ("paper\nAUROC", "paper\nAP", "steps"):
        table.add_column(name, justify="right", no_wrap=True)
    for result in results:
        row = ROWS[result.number - 1]
        table.add_row(
            str(result.number),
            "yes" if row.features else "no",
            "yes" if row.large_kernel else "no",
            row.appearance,
            row.training or "-",
            *(_percent(result.metrics[name]) for name in _SHOWN),
            "-" if row.paper_auroc is None else f"{row.paper_auroc:.2f}",
            "-" if row.paper_ap is None else f"{row.paper_ap:.2f}",
            str(result.steps),
        )
    return table


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100.0 * value:.1f}"


def _check_sources(config: TrainingConfig, wanted: Sequence[int]) -> None:
    """Before anything is trained: each row that is wanted has what its defects come from."""
    appearances = {ROWS[number - 1].appearance for number in wanted}
    for appearance, given, option in (("DTD", config.textures, "--textures"), ("MVTec", config.defects, "--defects")):
        if appearance in appearances and given is None:
            raise InputError(f"the rows whose appearance is {appearance} need {option}: give a folder, or leave these rows out")


def _done(config: TrainingConfig, number: int, row: Row) -> Result:
    folder = config.out / f"row_{number}"
    model = row.model(config.model.size, config.model.image_size, config.model.channels)
    settings = config.model_copy(update={"out": folder, "recipe": row.recipe, "settings": (), "model": model})
    train(settings, resume=(folder / "checkpoints" / "last.ckpt").is_file())
    return _result(number, folder, evaluate(folder, config.data, resamples=0))


def _result(number: int, folder: Path, found: Evaluation) -> Result:
    steps = json.loads((folder / "config.json").read_text())["training"]["steps"]
    return Result(number, steps, {name: metric.value for name, metric in found.overall.named().items()}, found.warning)


def _budget(config: TrainingConfig) -> dict[str, Any]:
    """What has to be the same for every row."""
    left_out = {"out", "recipe", "settings", "progress"}
    return {key: value for key, value in config.model_dump(mode="json").items() if key not in left_out}


def _read(config: TrainingConfig) -> list[Result]:
    path = config.out / RESULTS
    if not path.is_file():
        return []
    try:
        found = json.loads(path.read_text())
        results = [Result(**one) for one in found["results"]]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{str(path)!r} cannot be read: {error}; remove it, or give another --out") from None
    if found["budget"] != _budget(config):
        raise InputError(f"{str(path)!r} has results of another configuration: give that one again, or another --out")
    return results


def _write(config: TrainingConfig, results: Sequence[Result]) -> None:
    content = {"budget": _budget(config), "results": [result._asdict() for result in results]}
    write_bytes(config.out / RESULTS, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())
