"""How long an epoch takes, estimated from stored trials or from steps that are timed here."""

from __future__ import annotations

import json
import logging
import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

from agad.config import DetectorConfig, count_text, parameters_of, stored_detectors, with_parameters
from agad.data import Library
from agad.records import TrialRow
from agad.study.cell_data import CellData, steps_of
from agad.trial import EpochCost, Runtime, measure_epoch

logger = logging.getLogger(__name__)

_HASTE_S = 1.0
"""Seconds of one measurement if the measurements together have a limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastStudy:
    """A stored study, whatever it asked."""

    config: Mapping[str, Any]
    """The configuration as ``Study.as_json`` returns it."""

    rows: Sequence[TrialRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochTime:
    """Seconds of an epoch of one instance, and where the figure comes from."""

    epoch_s: float
    """Seconds of training and validation."""

    gpus: float
    """GPUs that a trial reserves, a share of one or several."""

    source: str
    """The things that were timed, such as ``24 trials``."""

    hardware: str
    """Processor or GPU of the timing."""

    test_s: float = 0.0
    """Seconds of scoring the test part; 0 if they are unknown."""


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

    def __init__(self, library: Library, past: Sequence[PastStudy], precision: str) -> None:
        self._past = past
        self._precision = precision
        self._library = library
        self._known: dict[object, EpochTime | None] = {}
        """The time of an epoch of one step, by the kind of cell."""

    def of(self, cell_data: CellData) -> EpochTime | None:
        """Return the mean time of an epoch over trials of the cell's kind; None without trials."""
        searched = frozenset(cell_data.study.search.space)
        kind = (cell_data.middle_spec().detector, searched, cell_data.data.image_shape)
        if kind not in self._known:
            self._known[kind] = self._step_of(cell_data)
        step = self._known[kind]
        if step is None:
            return None
        return replace(step, epoch_s=step.epoch_s * cell_data.num_steps)

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
        seconds = sum(row.seconds - row.pretrain_s - row.encode_s for row, _ in chosen)
        return EpochTime(
            epoch_s=seconds / sum(steps for _, steps in chosen),
            gpus=sum(row.gpu_s for row, _ in chosen) / seconds,
            source=count_text(len(chosen), "trial"),
            hardware=hardware,
        )

    @cached_property
    def _shapes(self) -> dict[str, tuple[int, int, int]]:
        """The shape of the images of each data set."""
        return {name: self._library.manifest(name).image_shape for name in self._library.names()}

    def _steps(self, cell_data: CellData, past: PastStudy, row: TrialRow) -> int:
        """Return the steps of a trial of the cell's kind; 0 if the trial is of another kind."""
        before_s = row.pretrain_s + row.encode_s
        timed = row.epochs > 0 and row.seconds > before_s and row.phase != "test"
        own = cell_data.study.detector
        if (
            not timed
            or (row.detector, row.detector_version) != (own.name, own.version)
            or row.precision != self._precision
            or self._shapes.get(row.dataset) != cell_data.data.image_shape
        ):
            return 0
        detector = self._detector(cell_data, past, row)
        if detector is None:
            return 0
        num_normals = row.num_fit_normals + row.num_fit_hidden
        num_anomalies = row.num_fit_anomalies
        ratio = row.anomaly_ratio
        if row.label_budget is not None:
            ratio = num_anomalies / (num_normals + num_anomalies)
        steps = steps_of(detector, ratio, num_normals, num_anomalies)
        return row.epochs * steps

    def _detector(
        self, cell_data: CellData, past: PastStudy, row: TrialRow
    ) -> DetectorConfig | None:
        """Return a trial's detector; None if its steps compute something else."""
        searched: dict[str, Any] = json.loads(row.params)
        given = next(
            (
                one.values
                for one in stored_detectors(past.config)
                if one.values["name"] == row.detector
            ),
            {},
        )
        values = {**given, **json.loads(row.settings), **searched}
        own = cell_data.middle_spec().detector
        for name, value in parameters_of(own).items():
            is_searched = name in cell_data.study.search.space
            if name in own.equal_time or (is_searched and name in searched):
                continue
            if is_searched or values.get(name) != value:
                return None
        return with_parameters(
            own, {name: values[name] for name in parameters_of(own) if name in searched}
        )


class MeasuredEpochTimes:
    """The times of steps that are timed here, on this process's device.

    Cells that differ only in their class share one measurement; each has its own number of steps.
    """

    def __init__(self, runtime: Runtime, hardware: str, *, limit_s: float = math.inf) -> None:
        """Measure nothing yet.

        Args:
            runtime: Where the images are, and what computes.
            hardware: The processor or GPU of this process.
            limit_s: No measurement begins after so many seconds of measuring. With a limit, cells
                that differ in their labels share a measurement too, and those of an encoder, whose
                features would be computed first, have none.
        """
        self._runtime = runtime
        self._hardware = hardware
        self._has_limit = math.isfinite(limit_s)
        self._left_s = limit_s
        self._costs: dict[object, EpochCost | None] = {}

    def of(self, cell_data: CellData) -> EpochTime | None:
        """Train a few steps of a trial in the middle of the search space, and time them.

        Returns:
            The time of an epoch; None if the limit was reached before this kind of cell, or if the
            steps failed under a limit.
        """
        cell = cell_data.cell
        detector = cell_data.middle_spec().detector
        kind: object = (detector, cell.dataset, cell.anomaly_ratio, cell.variant)
        if self._has_limit:
            kind = (detector, cell.dataset, cell.num_normals)
        if kind not in self._costs:
            if self._left_s <= 0 or (self._has_limit and detector.input().encoder):
                return None
            start = time.perf_counter()
            self._costs[kind] = self._estimated(cell_data)
            self._left_s -= time.perf_counter() - start
        cost = self._costs[kind]
        if cost is None:
            return None
        counts = cell_data.counts(cell_data.study.seed)
        num_steps = cell_data.num_steps
        num_val = counts.num_val_normals + counts.num_val_hidden + counts.num_val_anomalies
        return EpochTime(
            epoch_s=cost.epoch_s(num_steps, num_val),
            gpus=1.0 if self._runtime.compute.device == "cuda" else 0.0,
            source=f"{min(cost.num_measured, num_steps)} of {count_text(num_steps, 'step')} here",
            hardware=self._hardware,
            test_s=cost.val_image_s * cell_data.data.test.num_images,
        )

    def _estimated(self, cell_data: CellData) -> EpochCost | None:
        """Measure a cell; a trial that fails here stops no study that only has its time estimated.

        The trial fails in the study too, and is recorded there.
        """
        try:
            return self._measured(cell_data)
        except Exception:
            if not self._has_limit:
                raise
            logger.debug("The time of cell %s is unknown.", cell_data.cell.label, exc_info=True)
            return None

    def _measured(self, cell_data: CellData) -> EpochCost:
        """Time one instance of a trial in the middle of the search space."""
        cell_data.encoders.put_files()
        first, *_ = cell_data.middle_spec().instances
        if self._has_limit:
            return measure_epoch(first, self._runtime, limit_s=min(self._left_s, _HASTE_S))
        return measure_epoch(first, self._runtime)
