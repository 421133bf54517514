"""What a study will take, before anything runs."""

from __future__ import annotations

from dataclasses import dataclass

from agad.config import Asha, Choice, Study
from agad.data import Library
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
    max_epochs: int
    expected_epochs: float
    """Epochs of a search trial where 1/eta survive each rung."""

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
        """Epochs where 1/eta of the search trials survive each rung."""
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


def expected_epochs(asha: Asha) -> float:
    """Return the epochs of a search trial where 1/eta of those at a rung go on."""
    epochs, share, reached = 0.0, 1.0, 0
    for rung in (*asha.milestones, asha.max_epochs):
        epochs += share * (rung - reached)
        share /= asha.reduction_factor
        reached = rung
    return epochs


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
        trials_per_cell=study.search.num_cell_trials,
        confirm_per_cell=study.confirm.seeds,
        max_epochs=study.scheduler.max_epochs,
        expected_epochs=expected_epochs(study.scheduler),
    )


def _measure(study: Study, materials: CellMaterials, runtime: Runtime) -> EpochCost:
    """Time a configuration of the search space: the first choice, the middle of every range."""
    params = {
        name: distribution.values[0]
        if isinstance(distribution, Choice)
        else (distribution.low + distribution.high) / 2
        for name, distribution in study.search.space.items()
    }
    return measure_epoch(materials.search_spec(study, 0, params), runtime)
