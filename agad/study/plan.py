"""What a study will take, before anything runs."""

from __future__ import annotations

from dataclasses import dataclass

from agad.config import Cell, Choice, Study, draw
from agad.data import Library
from agad.study.expected import expected_epochs
from agad.study.materials import CellMaterials, find_materials
from agad.trial import EpochCost, Runtime, measure_epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class CellPlan:
    """One cell's share of a study."""

    label: str
    epoch_s: float
    """Seconds of an epoch, training and validation, from the steps that were measured."""

    num_steps: int
    """Optimiser steps of an epoch."""

    num_measured: int
    """Steps that were timed, of this cell or of one of another class."""

    num_val_anomalies: int
    num_fit_anomalies: int
    num_search_instances: int = 1
    """Instances of its class that each search trial trains; 0 where other classes are searched on.
    """


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
    def likely_s(self) -> float:
        """Seconds of one slot, from the measured epoch of each cell."""
        return self._seconds(self.expected_epochs)

    @property
    def most_s(self) -> float:
        """Seconds of one slot where no trial is stopped."""
        return self._seconds(self.max_epochs)

    def _seconds(self, search_epochs: float) -> float:
        """Return the seconds of one slot where a search trial trains so many epochs."""
        search = self.trials_per_cell * search_epochs
        confirm = self.confirm_per_cell * self.max_epochs
        return sum(
            cell.epoch_s * (cell.num_search_instances * search + confirm) for cell in self.cells
        )


def plan_study(study: Study, library: Library, runtime: Runtime) -> StudyPlan:
    """Check a study against its data and time the steps of each kind of cell, without Ray.

    Cells that differ only in their class share one measurement; each has its own number of steps.

    Raises:
        AgadError: The study does not fit its data.
    """
    costs: dict[tuple[str, float, str], EpochCost] = {}
    cells = []
    found = find_materials(study, library).values()
    for materials in (one for searching in found for one in searching.confirmed):
        cell = materials.cell
        kind = (cell.dataset, cell.anomaly_ratio, cell.variant)
        if kind not in costs:
            costs[kind] = _measure(study, materials, runtime)
        counts = materials.counts(study.seed)
        num_steps = materials.num_steps(study)
        num_val = counts.num_val_normals + counts.num_val_hidden + counts.num_val_anomalies
        cells.append(
            CellPlan(
                label=cell.label,
                epoch_s=costs[kind].epoch_s(num_steps, num_val),
                num_steps=num_steps,
                num_measured=min(costs[kind].num_measured, num_steps),
                num_val_anomalies=counts.num_val_anomalies,
                num_fit_anomalies=counts.num_fit_anomalies,
                num_search_instances=_num_search_instances(study, cell),
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


def _measure(study: Study, materials: CellMaterials, runtime: Runtime) -> EpochCost:
    """Time an instance of the search space: the first choice, the middle of every range."""
    params = draw(
        study.search.space,
        lambda axis: axis.draw.at(0.0 if isinstance(axis.draw, Choice) else 0.5),
    )
    first, *_ = materials.search_spec(study, 0, params).instances
    return measure_epoch(first, runtime)
