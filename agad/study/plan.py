"""The expected cost of a study, before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from agad.config import Cell, Entry, Study
from agad.data import Library
from agad.search import expected_epochs
from agad.study.cell_data import CellData, find_cell_data
from agad.study.epoch_time import EpochTime, EpochTimes


@dataclass(frozen=True, slots=True, kw_only=True)
class CellPlan:
    """The share of a cell in a study."""

    label: str
    num_steps: int
    """Optimiser steps of an epoch."""

    epoch_time: EpochTime | None = None
    """Seconds of an epoch; None if unknown."""

    num_val_anomalies: int
    num_fit_anomalies: int
    num_search_instances: int = 1
    """Instances of the cell's class that each search trial trains; 0 if the search uses other
    classes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerTime:
    """The workers' time that a study takes, without the test."""

    search_s: float = 0.0
    """Seconds of one slot in the search."""

    confirm_s: float = 0.0
    search_gpu_s: float = 0.0
    """GPU seconds of the search: seconds x the GPUs that a trial reserves."""

    confirm_gpu_s: float = 0.0

    def __add__(self, other: WorkerTime) -> WorkerTime:
        return WorkerTime(
            **{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)}
        )

    @property
    def seconds(self) -> float:
        """Seconds of one slot, of both phases."""
        return self.search_s + self.confirm_s

    @property
    def gpu_s(self) -> float:
        """GPU seconds of both phases."""
        return self.search_gpu_s + self.confirm_gpu_s


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorPlan:
    """Trials, epochs, seconds and labels of one detector of a study."""

    detector: str
    """Name of the detector."""

    cells: tuple[CellPlan, ...]
    num_searches: int
    """Cells that search: all cells, or fewer with development classes."""

    trials_per_cell: int
    """Search trials of each cell that searches."""

    confirm_per_cell: int
    """Confirm trials of a cell, for all its candidates; the search does not change the number."""

    max_epochs: int
    stage_epochs: int = 0
    """Epochs of a trial before the study's first epoch, assumed to last as long as later epochs."""

    expected_epochs: float
    """Epochs of a search trial if the scheduler does what ``expectation`` says."""

    expectation: str
    """The assumption about the search, such as ``no trial is stopped``."""

    num_left_out: int = 0
    """Cells without the labelled anomalies that the detector needs, which do not run."""

    @property
    def num_search_trials(self) -> int:
        """Search trials of all cells."""
        return self.num_searches * self.trials_per_cell

    @property
    def num_confirm_trials(self) -> int:
        """Confirm trials of all cells."""
        return len(self.cells) * self.confirm_per_cell

    @property
    def confirm_epochs(self) -> int:
        """Epochs of all confirm trials."""
        return self.num_confirm_trials * self.max_epochs

    @property
    def most_epochs(self) -> int:
        """Epochs of all instances if no trial is stopped."""
        return self._num_instances * self.max_epochs + self.confirm_epochs

    @property
    def likely_epochs(self) -> float:
        """Epochs of all instances if the scheduler does what is expected."""
        return self._num_instances * self.expected_epochs + self.confirm_epochs

    @property
    def _num_instances(self) -> int:
        """Instances of all search trials."""
        return self.trials_per_cell * sum(cell.num_search_instances for cell in self.cells)

    @property
    def likely(self) -> WorkerTime | None:
        """Workers' time if the scheduler does what is expected; None if it is unknown."""
        return self._spent(self.expected_epochs)

    @property
    def most(self) -> WorkerTime | None:
        """Workers' time if no trial is stopped; None if it is unknown."""
        return self._spent(self.max_epochs)

    def _spent(self, search_epochs: float) -> WorkerTime | None:
        """Return the workers' time if each search trial trains so many epochs."""
        return _sum(self._spent_on(cell, search_epochs) for cell in self.cells)

    def _spent_on(self, cell: CellPlan, search_epochs: float) -> WorkerTime | None:
        if cell.epoch_time is None:
            return None
        search = (
            self.trials_per_cell * (search_epochs + self.stage_epochs) * cell.num_search_instances
        )
        search_s = cell.epoch_time.epoch_s * search
        confirm_s = (
            cell.epoch_time.epoch_s * self.confirm_per_cell * (self.max_epochs + self.stage_epochs)
        )
        return WorkerTime(
            search_s=search_s,
            confirm_s=confirm_s,
            search_gpu_s=search_s * cell.epoch_time.gpus,
            confirm_gpu_s=confirm_s * cell.epoch_time.gpus,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPlan:
    """Trials, epochs, seconds and labels of a whole study."""

    study: str
    detectors: tuple[DetectorPlan, ...]
    num_confirm_seeds: int

    @property
    def cells(self) -> tuple[CellPlan, ...]:
        """The cells of all detectors."""
        return tuple(cell for one in self.detectors for cell in one.cells)

    @property
    def likely(self) -> WorkerTime | None:
        """Workers' time if the schedulers do what is expected; None if it is unknown."""
        return _sum(one.likely for one in self.detectors)

    @property
    def most(self) -> WorkerTime | None:
        """Workers' time if no trial is stopped; None if it is unknown."""
        return _sum(one.most for one in self.detectors)


def _sum(times: Iterable[WorkerTime | None]) -> WorkerTime | None:
    whole = WorkerTime()
    for one in times:
        if one is None:
            return None
        whole = whole + one
    return whole


def plan_study(study: Study, library: Library, epoch_times: Sequence[EpochTimes] = ()) -> StudyPlan:
    """Check a study against its data and estimate its cost, without Ray.

    Args:
        study: The study to plan.
        library: Holds the data sets.
        epoch_times: For each cell, the first entry that knows the time of an epoch counts.

    Raises:
        AgadError: The study does not fit its data.
    """
    found = find_cell_data(study, library).values()
    confirmed = {one.cell.label: one for searching in found for one in searching.confirmed}
    return StudyPlan(
        study=study.name,
        detectors=tuple(
            _detector_plan(entry, [confirmed[cell.label] for cell in entry.cells], epoch_times)
            for entry in study.entries
        ),
        num_confirm_seeds=study.confirm.seeds,
    )


def _detector_plan(
    entry: Entry, cells: Sequence[CellData], epoch_times: Sequence[EpochTimes]
) -> DetectorPlan:
    study = entry.study
    searches = {one.cell.over(study.search.development) for one in cells}
    return DetectorPlan(
        detector=study.detector.name,
        cells=tuple(_cell_plan(one, epoch_times) for one in cells),
        num_searches=len(searches),
        trials_per_cell=study.num_search_trials,
        confirm_per_cell=study.confirm.num_trials,
        max_epochs=study.scheduler.max_epochs,
        stage_epochs=sum(stage.epochs or 0 for stage in study.detector.stages),
        expected_epochs=expected_epochs(study.scheduler, study.search.num_cell_trials),
        expectation=study.scheduler.expectation,
        num_left_out=len(entry.left_out),
    )


def _cell_plan(cell_data: CellData, epoch_times: Sequence[EpochTimes]) -> CellPlan:
    counts = cell_data.counts(cell_data.study.seed)
    known = (one.of(cell_data) for one in epoch_times)
    return CellPlan(
        label=cell_data.cell.label,
        num_steps=cell_data.num_steps,
        epoch_time=next((epoch_time for epoch_time in known if epoch_time is not None), None),
        num_val_anomalies=counts.num_val_anomalies,
        num_fit_anomalies=counts.num_fit_anomalies,
        num_search_instances=_num_search_instances(cell_data.study, cell_data.cell),
    )


def _num_search_instances(study: Study, cell: Cell) -> int:
    is_searched = cell.given_class in cell.over(study.search.development).classes
    return study.search.seeds if is_searched else 0
