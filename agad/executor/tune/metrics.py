"""The live status as Prometheus metrics, which Ray serves on every node."""

from __future__ import annotations

import threading
from typing import Self

from ray.util.metrics import Gauge

from agad.config import Labelled
from agad.records import CellStatus, StudyStatus

_CELL = ("study", "cell")

METRICS = {
    "agad_trials": ("Search trials by how far they are", (*_CELL, "state")),
    "agad_confirmed_trials": ("Confirm trials, and test trials, that finished", _CELL),
    "agad_epochs": ("Epochs trained", _CELL),
    "agad_worker_seconds": ("Time that workers spent", _CELL),
    "agad_gpu_seconds": ("Time that workers spent x the GPUs reserved", _CELL),
    "agad_best_val_auroc": ("Highest validation AUROC of the search, in [0, 1]", _CELL),
    "agad_best_objective": ("Highest of what the search maximises", (*_CELL, "objective")),
    "agad_running_trials": ("Trials of any phase that train now", ("study",)),
    "agad_slots": ("Trials that can run at the same time", ("study",)),
    "agad_left_seconds": ("Estimate of the time until the study is done", ("study",)),
}
"""Description and labels of each metric, by its name. Ray puts ``ray_`` before each name.

All metrics are gauges: Ray drops a gauge that is no longer set, but never drops a counter. A
counter would stay for a study that is over or has moved to another driver.
"""

STATES = ("running", "paused", "finished", "stopped", "diverged", "failed", "waiting")
"""Values of the label ``state``."""


_SET_EVERY_S = 5.0
"""Ray exports a gauge once for each time it is set, at most every 10 s, and drops it after 20 s."""


class StudyMetrics:
    """Gauges of a driver that is connected to Ray, set by a thread while the context is open.

    After the context the gauges say that nothing runs. Within about 20 s, every series is gone.
    """

    def __init__(self) -> None:
        self._gauges = {
            name: Gauge(name, description=text, tag_keys=labels)
            for name, (text, labels) in METRICS.items()
        }
        self._values: dict[tuple[str, ...], float] = {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="agad-metrics", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Export that nothing runs any more, since the process itself may go on."""
        self._is_over.set()
        self._thread.join()
        for name, *labels in self._values:
            is_running = name == "agad_trials" and labels[-1] == "running"
            if is_running or name in ("agad_running_trials", "agad_slots", "agad_left_seconds"):
                self._set(name, 0, *labels)
        self._export()

    def _keep(self) -> None:
        while not self._is_over.wait(_SET_EVERY_S):
            self._export()

    def _export(self) -> None:
        for (name, *labels), value in self._values.copy().items():
            self._gauges[name].set(value, dict(zip(METRICS[name][1], labels, strict=True)))

    def show(self, status: StudyStatus) -> None:
        """Take the status to export from now on."""
        study = status.study
        for cell in status.cells:
            self._show_cell(status, cell)
        self._set("agad_running_trials", sum(cell.running for cell in status.cells), study)
        self._set("agad_slots", status.slots, study)
        if status.left_s is None:
            self._values.pop(("agad_left_seconds", study), None)
        else:
            self._set("agad_left_seconds", status.left_s, study)

    def _show_cell(self, status: StudyStatus, cell: CellStatus) -> None:
        study = status.study
        for state, count in zip(STATES, _counts(status, cell), strict=True):
            self._set("agad_trials", count, study, cell.label, state)
        self._set("agad_confirmed_trials", cell.confirmed, study, cell.label)
        self._set("agad_epochs", cell.epochs, study, cell.label)
        self._set("agad_worker_seconds", cell.seconds, study, cell.label)
        self._set("agad_gpu_seconds", cell.gpu_s, study, cell.label)
        if cell.best_objective is None:
            return
        objective = status.objective
        self._set("agad_best_objective", cell.best_objective, study, cell.label, objective)
        if objective == Labelled.objective:
            self._set("agad_best_val_auroc", cell.best_objective, study, cell.label)

    def _set(self, name: str, value: float, *labels: str) -> None:
        self._values[name, *labels] = value


def _counts(status: StudyStatus, cell: CellStatus) -> tuple[int, ...]:
    """Return the search trials in each of ``STATES``."""
    running = cell.running if cell.phase == "search" else 0
    is_open = cell.phase == "search" and not status.ended_by
    waiting = max(cell.planned - cell.ended - running - cell.paused, 0) if is_open else 0
    ends = (cell.finished, cell.pruned, cell.diverged, cell.failed)
    return (running, cell.paused, *ends, waiting)
