"""What a study will take, before anything runs."""

from __future__ import annotations

from dataclasses import dataclass

from agad.config import Choice, Study, draw
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


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPlan:
    """Trials, epochs, seconds and labels of a whole study."""

    study: str
    cells: tuple[CellPlan, ...]
    trials_per_cell: int
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
        return len(self.cells) * self.trials_per_cell

    @property
    def num_confirm_trials(self) -> int:
        """Confirm trials of all cells."""
        return len(self.cells) * self.confirm_per_cell

    @property
    def most_epochs(self) -> int:
        """Epochs where no trial is stopped."""
        return (self.num_search_trials + self.num_confirm_trials) * self.max_epochs

    @property
    def likely_epochs(self) -> float:
        """Epochs where the scheduler does what is expected of it."""
        search = self.num_search_trials * self.expected_epochs
        return search + self.num_confirm_trials * self.max_epochs

    @property
    def likely_s(self) -> float:
        """Seconds of one slot, from the measured epoch of each cell."""
        search = self.trials_per_cell * self.expected_epochs
        epochs = search + self.confirm_per_cell * self.max_epochs
        return sum(cell.epoch_s * epochs for cell in self.cells)

    @property
    def most_s(self) -> float:
        """Seconds of one slot where no trial is stopped."""
        epochs = (self.trials_per_cell + self.confirm_per_cell) * self.max_epochs
        return sum(cell.epoch_s * epochs for cell in self.cells)


def plan_study(study: Study, library: Library, runtime: Runtime) -> StudyPlan:
    """Check a study against its data and time the steps of each kind of cell, without Ray.

    Cells that differ only in their class share one measurement; each has its own number of steps.

    Raises:
        AgadError: The study does not fit its data.
    """
    costs: dict[tuple[str, float, str], EpochCost] = {}
    cells = []
    for label, materials in find_materials(study, library).items():
        cell = materials.cell
        kind = (cell.dataset, cell.anomaly_ratio, cell.variant)
        if kind not in costs:
            costs[kind] = _measure(study, materials, runtime)
        counts = materials.counts(study.seed)
        num_steps = materials.num_steps(study)
        num_val = counts.num_val_normals + counts.num_val_hidden + counts.num_val_anomalies
        cells.append(
            CellPlan(
                label=label,
                epoch_s=costs[kind].epoch_s(num_steps, num_val),
                num_steps=num_steps,
                num_measured=min(costs[kind].num_measured, num_steps),
                num_val_anomalies=counts.num_val_anomalies,
                num_fit_anomalies=counts.num_fit_anomalies,
            )
        )
    return StudyPlan(
        study=study.name,
        cells=tuple(cells),
        trials_per_cell=study.num_search_trials,
        confirm_per_cell=study.confirm.num_trials,
        num_confirm_seeds=study.confirm.seeds,
        max_epochs=study.scheduler.max_epochs,
        expected_epochs=expected_epochs(study.scheduler, study.search.num_cell_trials),
        expectation=study.scheduler.expectation,
    )


def _measure(study: Study, materials: CellMaterials, runtime: Runtime) -> EpochCost:
    """Time a configuration of the search space: the first choice, the middle of every range."""
    params = draw(
        study.search.space,
        lambda axis: axis.draw.at(0.0 if isinstance(axis.draw, Choice) else 0.5),
    )
    return measure_epoch(materials.search_spec(study, 0, params), runtime)
