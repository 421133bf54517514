"""What a study will take, before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agad.config import Cell, Study
from agad.data import Library
from agad.search import expected_epochs
from agad.study.cell_data import find_cell_data
from agad.study.epoch_time import EpochTime, EpochTimes


@dataclass(frozen=True, slots=True, kw_only=True)
class CellPlan:
    """One cell's share of a study."""

    label: str
    num_steps: int
    """Optimiser steps of an epoch."""

    epoch_time: EpochTime | None = None
    """Seconds of an epoch; None where they are unknown."""

    num_val_anomalies: int
    num_fit_anomalies: int
    num_search_instances: int = 1
    """Instances of its class that each search trial trains; 0 where other classes are searched on.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerTime:
    """What a study takes of its workers, without the test."""

    search_s: float = 0.0
    """Seconds of one slot."""

    confirm_s: float = 0.0
    search_gpu_s: float = 0.0
    """GPU seconds: seconds x the GPUs that a trial reserves."""

    confirm_gpu_s: float = 0.0

    @property
    def seconds(self) -> float:
        """Seconds of one slot, of both phases."""
        return self.search_s + self.confirm_s

    @property
    def gpu_s(self) -> float:
        """GPU seconds of both phases."""
        return self.search_gpu_s + self.confirm_gpu_s


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPlan:
    """Trials, epochs, seconds and labels of a whole study."""

    study: str
    cells: tuple[CellPlan, ...]
    num_searches: int
    """Cells that search: all, or where there are development classes fewer."""

    trials_per_cell: int
    """Of each cell that searches."""

    confirm_per_cell: int
    """Of all candidates; set aside, whatever the search does."""

    num_confirm_seeds: int
    max_epochs: int
    expected_epochs: float
    """Epochs of a search trial where the scheduler does what is expected of it."""

    expectation: str
    """What is expected of the search, such as ``no trial is stopped``."""

    @property
    def num_search_trials(self) -> int:
        """Search trials of all cells."""
        return self.num_searches * self.trials_per_cell

    @property
    def num_confirm_trials(self) -> int:
        """Confirm trials of all cells."""
        return len(self.cells) * self.confirm_per_cell

    @property
    def most_epochs(self) -> int:
        """Epochs of all instances where no trial is stopped."""
        return (self._num_instances + self.num_confirm_trials) * self.max_epochs

    @property
    def _num_instances(self) -> int:
        """Instances of all search trials."""
        return self.trials_per_cell * sum(cell.num_search_instances for cell in self.cells)

    @property
    def likely_epochs(self) -> float:
        """Epochs of all instances where the scheduler does what is expected of it."""
        search = self._num_instances * self.expected_epochs
        return search + self.num_confirm_trials * self.max_epochs

    @property
    def likely(self) -> WorkerTime | None:
        """What it takes where the scheduler does what is expected; None where it is unknown."""
        return self._spent(self.expected_epochs)

    @property
    def most(self) -> WorkerTime | None:
        """What it takes where no trial is stopped; None where it is unknown."""
        return self._spent(self.max_epochs)

    def _spent(self, search_epochs: float) -> WorkerTime | None:
        """Return what it takes where a search trial trains so many epochs."""
        spent = WorkerTime()
        for cell in self.cells:
            if cell.epoch_time is None:
                return None
            search = self.trials_per_cell * search_epochs * cell.num_search_instances
            search_s = cell.epoch_time.epoch_s * search
            confirm_s = cell.epoch_time.epoch_s * self.confirm_per_cell * self.max_epochs
            spent = WorkerTime(
                search_s=spent.search_s + search_s,
                confirm_s=spent.confirm_s + confirm_s,
                search_gpu_s=spent.search_gpu_s + search_s * cell.epoch_time.gpus,
                confirm_gpu_s=spent.confirm_gpu_s + confirm_s * cell.epoch_time.gpus,
            )
        return spent


def plan_study(study: Study, library: Library, epoch_times: Sequence[EpochTimes] = ()) -> StudyPlan:
    """Check a study against its data and say what it takes, without Ray.

    Args:
        study: What to plan.
        library: Holds its data sets.
        epoch_times: Of each cell the first one that knows the time of an epoch counts.

    Raises:
        AgadError: The study does not fit its data.
    """
    cells = []
    found = find_cell_data(study, library).values()
    for cell_data in (one for searching in found for one in searching.confirmed):
        counts = cell_data.counts(study.seed)
        known = (one.of(cell_data) for one in epoch_times)
        cells.append(
            CellPlan(
                label=cell_data.cell.label,
                num_steps=cell_data.num_steps(study),
                epoch_time=next(
                    (epoch_time for epoch_time in known if epoch_time is not None), None
                ),
                num_val_anomalies=counts.num_val_anomalies,
                num_fit_anomalies=counts.num_fit_anomalies,
                num_search_instances=_num_search_instances(study, cell_data.cell),
            )
        )
    return StudyPlan(
        study=study.name,
        cells=tuple(cells),
        num_searches=len(study.search_cells),
        trials_per_cell=study.num_search_trials,
        confirm_per_cell=study.confirm.num_trials,
        num_confirm_seeds=study.confirm.seeds,
        max_epochs=study.scheduler.max_epochs,
        expected_epochs=expected_epochs(study.scheduler, study.search.num_cell_trials),
        expectation=study.scheduler.expectation,
    )


def _num_search_instances(study: Study, cell: Cell) -> int:
    is_searched = cell.given_class in cell.over(study.search.development).classes
    return study.search.seeds if is_searched else 0
