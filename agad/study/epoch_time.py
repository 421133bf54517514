"""How long an epoch takes: by trials that a store keeps, or by steps that are timed here."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Protocol

from agad.config import DetectorConfig, Study, with_parameters
from agad.data import Library
from agad.records import TrialRow
from agad.study.cell_data import CellData, steps_of
from agad.trial import EpochCost, Runtime, measure_epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class PastStudy:
    """A stored study, whatever it asked."""

    config: Mapping[str, Any]
    """As ``Study.as_json`` has it."""

    rows: Sequence[TrialRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochTime:
    """Seconds of an epoch of one instance, and what says so."""

    epoch_s: float
    """Training and validation."""

    gpus: float
    """GPUs that a trial reserves, a share of one or several."""

    source: str
    """What was timed, such as ``24 trials``."""

    hardware: str
    """Processor or GPU on which it was."""


class EpochTimes(Protocol):
    """Says how long an epoch takes."""

    def of(self, cell_data: CellData) -> EpochTime | None:
        """Return the time of a cell's epoch; None if it is unknown."""


class StoredEpochTimes:
    """The times of stored trials of the same kind.

    Trials are of the same kind if they have the same detector and version, images of the same
    shape, the same precision, and the same value of every parameter that decides what a step
    computes. A searched parameter must have been searched there too. Seconds grow with the steps of
    an epoch. If trials ran on several kinds of hardware, the hardware of most trials counts.
    """

    def __init__(
        self, study: Study, library: Library, past: Sequence[PastStudy], precision: str
    ) -> None:
        self._study = study
        self._past = past
        self._precision = precision
        self._library = library
        self._known: dict[object, EpochTime | None] = {}
        """Of an epoch of one step, by the kind of cell."""

    def of(self, cell_data: CellData) -> EpochTime | None:
        """Return the mean time of an epoch over trials of the cell's kind; None without trials."""
        kind = (cell_data.cell.settings, cell_data.data.image_shape)
        if kind not in self._known:
            self._known[kind] = self._step_of(cell_data)
        step = self._known[kind]
        if step is None:
            return None
        return replace(step, epoch_s=step.epoch_s * cell_data.num_steps(self._study))

    def _step_of(self, cell_data: CellData) -> EpochTime | None:
        """Return the time of an epoch of one step."""
        by_hardware: dict[str, list[tuple[TrialRow, int]]] = defaultdict(list)
        for past in self._past:
            for row in past.rows:
                steps = self._steps(cell_data, past, row)
                if steps:
                    by_hardware[row.hardware].append((row, steps))
        if not by_hardware:
            return None
        hardware = max(by_hardware, key=lambda one: (len(by_hardware[one]), one))
        chosen = by_hardware[hardware]
        seconds = sum(row.seconds for row, _ in chosen)
        return EpochTime(
            epoch_s=seconds / sum(steps for _, steps in chosen),
            gpus=sum(row.gpu_s for row, _ in chosen) / seconds,
            source="1 trial" if len(chosen) == 1 else f"{len(chosen):,} trials",
            hardware=hardware,
        )

    @cached_property
    def _shapes(self) -> dict[str, tuple[int, int, int]]:
        """Of the images of each data set."""
        return {name: self._library.manifest(name).image_shape for name in self._library.names()}

    def _steps(self, cell_data: CellData, past: PastStudy, row: TrialRow) -> int:
        """Return the steps of a trial of the cell's kind; 0 where it is of another."""
        timed = row.epochs > 0 and row.seconds > 0 and row.phase != "test"
        if (
            not timed
            or (row.detector, row.detector_version)
            != (self._study.detector.name, self._study.detector.version)
            or row.precision != self._precision
            or self._shapes.get(row.dataset) != cell_data.data.image_shape
        ):
            return 0
        detector = self._detector(cell_data, past, row)
        if detector is None:
            return 0
        num_normals = row.num_fit_normals + row.num_fit_hidden
        steps = steps_of(detector, row.anomaly_ratio, num_normals, row.num_fit_anomalies)
        return row.epochs * steps

    def _detector(
        self, cell_data: CellData, past: PastStudy, row: TrialRow
    ) -> DetectorConfig | None:
        """Return a trial's detector; None where its steps compute something else."""
        searched: dict[str, Any] = json.loads(row.params)
        values = {**past.config["detector"], **json.loads(row.settings), **searched}
        own = cell_data.middle_spec(self._study).detector
        free = {"lr", *own.loss_weights}
        for name, value in asdict(own).items():
            is_searched = name in self._study.search.space
            if name in free or (is_searched and name in searched):
                continue
            if is_searched or values.get(name) != value:
                return None
        return with_parameters(
            own, {name: values[name] for name in asdict(own) if name in searched}
        )


class MeasuredEpochTimes:
    """The times of steps that are timed here, on this process's device.

    Cells that differ only in their class share one measurement; each has its own number of steps.
    """

    def __init__(self, study: Study, runtime: Runtime, hardware: str) -> None:
        self._study = study
        self._runtime = runtime
        self._hardware = hardware
        self._costs: dict[tuple[str, float, str], EpochCost] = {}

    def of(self, cell_data: CellData) -> EpochTime:
        """Train a few steps of a trial in the middle of the search space."""
        cell = cell_data.cell
        kind = (cell.dataset, cell.anomaly_ratio, cell.variant)
        if kind not in self._costs:
            self._costs[kind] = self._measured(cell_data)
        cost = self._costs[kind]
        counts = cell_data.counts(self._study.seed)
        num_steps = cell_data.num_steps(self._study)
        num_val = counts.num_val_normals + counts.num_val_hidden + counts.num_val_anomalies
        return EpochTime(
            epoch_s=cost.epoch_s(num_steps, num_val),
            gpus=1.0 if self._runtime.compute.device == "cuda" else 0.0,
            source=f"{min(cost.num_measured, num_steps)} of {num_steps} steps here",
            hardware=self._hardware,
        )

    def _measured(self, cell_data: CellData) -> EpochCost:
        """Time an instance of the search space's middle."""
        first, *_ = cell_data.middle_spec(self._study).instances
        return measure_epoch(first, self._runtime)
