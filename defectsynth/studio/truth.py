"""The truth beside it: distributions of synthetic and real defects, and the two-sample score."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event, Lock
from typing import Any

import numpy as np

from defectsynth.errors import DefectSynthError, InputError
from defectsynth.pool import available_cores
from defectsynth.render import render
from defectsynth.statistics import MEASURES, Measure, Measures, as_rows, compare, measure_defect
from defectsynth.studio.limits import STATISTICS
from defectsynth.studio.painter import Painter, Written
from defectsynth.studio.shelf import REAL, Shelf
from defectsynth.studio.state import Place, State
from defectsynth.studio.takeaway import whole_roi

__all__ = ["Truth"]

_BINS = 20
_SCORED = 80  # synthetic defects of a score


class Truth:
    """Compares a state's samples with the real defects of ``--real``.

    Args:
        shelf: where the pictures are.
        painter: paints the samples.
    """

    def __init__(self, shelf: Shelf, painter: Painter) -> None:
        self._shelf, self._painter = shelf, painter
        self._real: dict[str, list[dict[str, float]]] | None = None
        self._lock = Lock()

    @property
    def kinds(self) -> dict[str, int]:
        """The real defects: how many of each kind; empty without ``--real``."""
        if REAL not in self._shelf.defects:
            return {}
        bank = self._bank()
        return {kind: len(bank.names_of(kind)) for kind in bank.kinds}

    def statistics(self, state: State, kinds: Sequence[str] | None, stop: Event) -> dict[str, Any]:
        """Histograms and quantiles of both, for JSON.

        Raises:
            InputError: there are no real defects, or not of these kinds.
            DefectSynthError: no sample can be painted.
        """
        own, failed = self._synthetic(state, stop)
        real = self._measured(kinds) if REAL in self._shelf.defects else None
        rows = {str(row["measure"]): row for row in as_rows(compare(own, real))}
        panels = [{**_panel(measure, own, real), "summary": rows[measure.name]} for measure in MEASURES]
        return {
            "panels": panels,
            "synthetic": len(own["area"]),
            "real": 0 if real is None else len(real["area"]),
            "failed": failed,
        }

    def score(self, state: State, kinds: Sequence[str] | None) -> Callable[[Callable[[int, int], None]], dict[str, Any]]:
        """The work of a two-sample score: renders samples aside and asks how well they can be told from the real ones.

        Raises:
            InputError: there are no real defects.
            RecipeError: the recipe breaks a rule.
        """
        self._check(kinds)
        recipe = state.parsed_recipe().model_copy(update={"normal_fraction": 0.0})

        def work(progress: Callable[[int, int], None]) -> dict[str, Any]:
            from defectsynth.scoring import score

            roi = None if state.roi is None else whole_roi(self._shelf, state)
            job = self._shelf.job(state, count=_SCORED, roi=roi).model_copy(update={"train_fraction": 0.0})
            with tempfile.TemporaryDirectory(dir=self._shelf.aside) as folder:
                synthetic = Path(folder) / "synthetic"
                render(job, recipe, synthetic, workers=available_cores(), on_error="skip", progress=progress)
                real = Path(self._shelf.defects[REAL])
                found = score(real, synthetic, kinds=list(kinds) if kinds else None, seed=state.seed, progress=progress)
            told = found.to_dict()
            return {key: told[key] for key in ("measures", "shape", "appearance", "notes")} | {
                "real": told["real"]["used"],
                "synthetic": told["synthetic"]["used"],
            }

        return work

    def _synthetic(self, state: State, stop: Event) -> tuple[Measures, int]:
        """Measures of the state's first samples, normal ones left out, and how many could not be painted."""
        written = Written.of(state.parsed_recipe())
        rows: list[dict[str, float]] = []
        failure: DefectSynthError | None = None
        failed = 0
        for index in range(STATISTICS):
            try:
                sample = self._painter.paint(state, written, Place(seed=state.seed, index=index), stop).sample
            except DefectSynthError as error:
                failure, failed = error, failed + 1
                if failed > STATISTICS // 4 and not rows:
                    break
                continue
            if sample.is_anomalous:
                rows.append(measure_defect(sample.image, sample.mask))
        if not rows:
            raise failure or InputError("every sample is normal: lower normal_fraction to compare defects")
        return _columns(rows), failed

    def _measured(self, kinds: Sequence[str] | None) -> Measures:
        self._check(kinds)
        with self._lock:  # two tabs wait for one measurement
            if self._real is None:
                bank = self._bank()
                defects = {kind: [bank.load(name) for name in bank.names_of(kind)] for kind in bank.kinds}
                self._real = {kind: [measure_defect(one.rgb, one.mask) for one in own] for kind, own in defects.items()}
        return _columns([row for kind, rows in self._real.items() if not kinds or kind in kinds for row in rows])

    def _check(self, kinds: Sequence[str] | None) -> None:
        known = self.kinds
        if not known:
            raise InputError("there are no real defects to compare with: start the studio with --real FOLDER (MVTec AD layout)")
        for kind in kinds or ():
            if kind not in known:
                raise InputError(f"kind {kind!r} is not among the real defects: they are {', '.join(known)}")

    def _bank(self) -> Any:
        return self._shelf.given_defects[REAL]


def _columns(rows: list[dict[str, float]]) -> Measures:
    return {measure.name: np.array([row[measure.name] for row in rows]) for measure in MEASURES}


def _panel(measure: Measure, own: Measures, real: Measures | None) -> dict[str, Any]:
    """Shares of both in the same bins."""
    both = [own[measure.name]] + ([] if real is None else [real[measure.name]])
    edges = _edges(measure, np.concatenate(both))
    shares = [(np.histogram(np.clip(one, edges[0], edges[-1]), edges)[0] / len(one)).round(5).tolist() for one in both]
    return {
        "name": measure.name,
        "meaning": measure.meaning,
        "log": measure.logarithmic,
        "edges": [float(f"{edge:.5g}") for edge in edges],
        "synthetic": shares[0],
        "real": shares[1] if real is not None else None,
    }


def _edges(measure: Measure, values: Any) -> Any:
    if measure.name == "components":
        return np.arange(0.5, min(max(float(values.max()), 6.0), float(_BINS)) + 1.0)
    low, high = float(values.min()), float(values.max())
    if high <= low:
        low, high = low * 0.9, low * 1.1 + 1e-6
    return np.geomspace(low, high, _BINS + 1) if measure.logarithmic and low > 0 else np.linspace(low, high, _BINS + 1)
