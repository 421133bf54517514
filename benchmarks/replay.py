"""A study replayed under a virtual clock: the real board decides, stored curves answer.

One unit of virtual time is an epoch. What runs is `StudyBoard`, with its cells' samplers and
ladders, as it runs under Ray; only training and the store are replaced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from agad import Study
from agad.config import Setting
from agad.records import ProcessMemory
from agad.records.provenance import Provenance
from agad.search.ladder import Decision, Ladder
from agad.study.board import StudyBoard
from agad.study.cell import CellRun
from agad.study.cell_data import CellData
from agad.study.row_maker import RowMaker
from agad.trial import TrialSpec
from benchmarks.virtual import VirtualCluster, VirtualTrial

NUM_SLOTS = 4


class CellAnswers(Protocol):
    """What training would answer in one cell."""

    def observe(self, spec: TrialSpec) -> Sequence[float]:
        """Return the objective after each epoch; fewer than the budget where it diverges."""

    def quality(self, params: Mapping[str, Setting]) -> float:
        """Return what a configuration is worth after the full budget."""


class PooledLadder(Ladder):
    """One cell's ladder where all cells share one: the ablation, which no study can ask for.

    The pool decides who goes on; the best is still chosen within the cell.
    """

    def __init__(self, study: Study, pool: Ladder) -> None:
        super().__init__(study.scheduler)
        self._pool = pool

    def decide(
        self, trial_key: str, num_epochs: int, objective: float, *, is_restored: bool = False
    ) -> Decision:
        """Record an objective here and in the pool, and tell what the pool decides."""
        self.record(trial_key, num_epochs, objective)
        return self._pool.decide(trial_key, num_epochs, objective, is_restored=is_restored)

    def forget(self, trial_key: str) -> None:
        """Take a trial out of the cell and of the pool."""
        super().forget(trial_key)
        self._pool.forget(trial_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What a cell would confirm if its study ended now."""

    epochs: int
    """Epochs trained so far, over all cells and search trials, running ones too."""

    quality: float
    """Of the configuration chosen by its observed objective, after the full budget."""


@dataclass(slots=True, kw_only=True)
class Outcome:
    """How a replayed study went."""

    moments: dict[str, list[Moment]]
    """By cell, one for every change of its choice."""

    epochs: int
    """Epochs that the whole search trained."""

    num_epochs: dict[str, list[int]]
    """By cell, the epochs of each of its search trials."""


@dataclass(slots=True, kw_only=True)
class Replay:
    """One study on ``NUM_SLOTS`` slots, until the search of every cell has ended.

    A cell that ended its search before the others confirms meanwhile, as it would on a cluster;
    those epochs are not counted.
    """

    study: Study
    cell_data: Mapping[str, CellData]
    answers: Mapping[str, CellAnswers]
    """By cell."""

    has_shared_ladder: bool = False
    epochs: int = 0
    _moments: dict[str, list[Moment]] = field(default_factory=dict)
    _cells: dict[str, CellRun] = field(default_factory=dict)

    def run(self) -> Outcome:
        """Replay the search."""
        memory = ProcessMemory()
        provenance = Provenance(commit="", is_dirty=False, versions="{}")
        rows = RowMaker(study=self.study.name, provenance=provenance)
        with StudyBoard(self.study, self.cell_data, memory, rows) as board:
            self._cells = dict(board._cells)
            self._moments = {label: [] for label in self._cells}
            if self.has_shared_ladder:
                pool = Ladder(self.study.scheduler)
                for cell in self._cells.values():
                    cell._trials.ladder = PooledLadder(self.study, pool)
            VirtualCluster(
                board=board,
                observe=lambda spec: self.answers[spec.cell.label].observe(spec),
                milestones=self.study.scheduler.milestones,
                num_slots=NUM_SLOTS,
                after_epoch=self._count,
                after_report=lambda trial: self._look(trial.launch.spec.cell.label),
            ).run(lambda: all(cell.is_searched for cell in self._cells.values()))
        num_epochs: dict[str, list[int]] = {label: [] for label in self._cells}
        for row in memory.all_rows:
            if row.phase == "search":
                num_epochs[row.cell].append(row.epochs)
        return Outcome(moments=self._moments, epochs=self.epochs, num_epochs=num_epochs)

    def _count(self, trial: VirtualTrial) -> None:
        self.epochs += trial.launch.spec.phase == "search"

    def _look(self, label: str) -> None:
        """Note the quality of what the cell would confirm now, where that changed."""
        trials = self._cells[label]._trials
        ranking = trials.ladder.ranking()
        if not ranking:
            return
        params = min((trials.specs[key] for key in ranking[0]), key=lambda spec: spec.number).params
        quality = self.answers[label].quality(params)
        moments = self._moments[label]
        if not moments or moments[-1].quality != quality:
            moments.append(Moment(epochs=self.epochs, quality=quality))
