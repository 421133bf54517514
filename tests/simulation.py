"""Studies on digits, a memory in a list, and workers that only pretend to train."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from agad.config import Asha, Confirm, Grid, Search, Study, SuccessiveHalving, Uniform
from agad.detectors import Agad
from agad.errors import AgadError, StoreError
from agad.records import (
    Bulletin,
    CheckpointName,
    Claim,
    EpochRow,
    Pause,
    ProcessMemory,
    ScoreRow,
    StudyMemory,
    TrialRow,
    Winner,
)
from agad.records.provenance import Provenance
from agad.study.board import StudyBoard
from agad.study.cell_data import CellData, find_cell_data
from agad.study.row_maker import RowMaker
from agad.study.running import Launch, Progress
from agad.study.store_outage import StoreOutage
from agad.trial import EpochResult, TestResult, TrialSpec
from tests.parameters import agad_of

if TYPE_CHECKING:
    from agad.data import Library

MakeStudy: TypeAlias = Callable[..., Study]
MakeSimulation: TypeAlias = Callable[..., "Simulation"]
Curve: TypeAlias = Callable[[TrialSpec, int], float]
"""Validation AUROC of a trial after so many epochs."""


def _make_study(**changes: object) -> Study:
    values: dict[str, Any] = {
        "name": "a-study",
        "cells": Grid(dataset="digits", normal_class=[0, 8]),
        "detector": Agad(
            backbone="naive",
            base_width=4,
            discriminator_width=4,
            batch_size=32,
            min_batch_anomalies=16,
        ),
        "search": Search(
            space={"weight_con": Uniform(0, 100), "weight_lat": Uniform(0, 10)}, trials_per_cell=8
        ),
        "scheduler": Asha(max_epochs=9, grace_period=1, reduction_factor=3),
        "confirm": Confirm(seeds=2),
    }
    return Study(**(values | changes))


@pytest.fixture
def make_study() -> MakeStudy:
    """Build a study of two cells with 8 trials and 2 seeds each, some of its fields changed."""
    return _make_study


@pytest.fixture
def study() -> Study:
    return _make_study()


def _worst_last(spec: TrialSpec, num_epochs: int) -> float:
    return 0.9 - spec.number / 100 + num_epochs / 10_000


@pytest.fixture
def worst_last() -> Curve:
    """Return a curve where every trial is worse than the ones before it: the first wins."""
    return _worst_last


class ListMemory(ProcessMemory):
    """A list that fails where it is told to, and notes the order of what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[str, str, int]] = []
        """``claim``, ``row`` or ``pause``, trial key, attempt; or ``winner``, cell, 0."""

        self.refuses_claims = False
        self.claim_error: StoreError | None = None
        self.put_claim_error: StoreError | None = None
        """Raised once the claim is kept."""

        self.hold_error: AgadError | None = None
        """Raised by ``hold`` and by ``check_held``."""

        self.lost_by_claim: AgadError | None = None
        """Is ``hold_error`` once a claim was put."""

        self.num_flushes = 0
        self.num_holds = 0
        self.is_connected = True
        """Where it is not, rows are kept all the same, and at once, whatever ``put_s`` says."""

        self.put_error: Exception | None = None
        self.put_s = 0.0
        """Seconds that a row takes."""

        self.dropped: list[tuple[set[str], set[str]]] = []
        """Trial keys whose checkpoints were dropped, and those of which the newest was kept."""

        self.newest_checkpoints: dict[str, CheckpointName] = {}
        """By trial key."""

        self.asked_checkpoints: list[set[str]] = []
        """The trial keys that ``checkpoints`` was asked for, call by call."""

        self.checkpoints_error: StoreError | None = None

    def flush(self) -> None:
        self.num_flushes += 1

    @contextmanager
    def hold(self) -> Iterator[None]:
        self.check_held()
        with super().hold():
            self.num_holds += 1
            yield

    def check_held(self) -> None:
        if self.hold_error is not None:
            raise self.hold_error

    def disconnect(self) -> None:
        self.is_connected = False

    def put_claim(self, claim: Claim) -> bool:
        if self.claim_error is not None:
            raise self.claim_error
        if self.refuses_claims:
            return False
        is_new = claim not in self.all_claims
        if not super().put_claim(claim):
            return False
        if is_new:
            self.events.append(("claim", claim.trial_key, claim.attempt))
        if self.lost_by_claim is not None:
            self.hold_error, self.lost_by_claim = self.lost_by_claim, None
        if self.put_claim_error is not None:
            raise self.put_claim_error
        return True

    def put_pause(self, pause: Pause) -> None:
        super().put_pause(pause)
        self.events.append(("pause", pause.trial_key, pause.attempt))

    def put_winner(self, winner: Winner) -> Winner:
        if self.claim_error is not None:
            raise self.claim_error
        self.events.append(("winner", winner.cell, 0))
        return super().put_winner(winner)

    def put(
        self, trial: TrialRow, epochs: Sequence[EpochRow], scores: Sequence[ScoreRow] = ()
    ) -> None:
        if self.is_connected:
            time.sleep(self.put_s)
        if self.put_error is not None:
            raise self.put_error
        num_rows = len(self.all_rows)
        super().put(trial, epochs, scores)
        if len(self.all_rows) > num_rows:
            self.events.append(("row", trial.trial_key, trial.attempt))

    def put_bulletin(self, bulletin: Bulletin) -> None:
        self.check_held()
        super().put_bulletin(bulletin)

    def checkpoints(self, trial_keys: Collection[str]) -> dict[str, CheckpointName]:
        self.asked_checkpoints.append(set(trial_keys))
        if self.checkpoints_error is not None:
            raise self.checkpoints_error
        return {key: one for key, one in self.newest_checkpoints.items() if key in trial_keys}

    def drop_checkpoints(self, trial_keys: Collection[str], kept: Collection[str]) -> None:
        self.dropped.append((set(trial_keys), set(kept)))

    @property
    def row_keys(self) -> list[str]:
        """Trial keys of all rows, in the order of their arrival."""
        return [row.trial_key for row in self.all_rows]

    def rows_of(self, phase: str, cell: str = "") -> list[TrialRow]:
        """Return the rows of a phase, of one cell or of all, in order of their number."""
        rows = [row for row in self.trials() if row.phase == phase and cell in ("", row.cell)]
        return sorted(rows, key=lambda row: (row.cell, row.number))


@pytest.fixture
def memory() -> ListMemory:
    return ListMemory()


def by_weight(spec: TrialSpec, num_epochs: int) -> float:
    """Best at ``weight_con`` 30, and better with every epoch; no two configurations are equal."""
    return 0.9 - abs(agad_of(spec).weight_con - 30) / 200 + num_epochs / 1000


@dataclass
class Simulation:
    """A board and workers that train nothing: each epoch's AUROC is read off a curve."""

    board: StudyBoard
    curve: Curve = by_weight
    slots: int = 1
    gpus: float = 0.0
    """The share that each trial reserves."""

    crashes: Callable[[Launch], bool] = lambda _: False
    crash_text: str = "Traceback:\n  a worker\nRuntimeError: no such luck\n"
    diverges: Callable[[TrialSpec], bool] = lambda _: False
    launches: list[Launch] = field(default_factory=list)
    checkpoints: dict[str, int] = field(default_factory=dict)
    """Epochs behind each trial that came to a rung, from which its next launch goes on."""

    trained: list[tuple[str, int]] = field(default_factory=list)
    """Trial key and epoch of all that was trained, in order."""

    num_ended: int = 0
    """Trials that ended or paused."""

    running: list[tuple[Launch, int]] = field(default_factory=list)
    """Launched trials and the epochs that each has behind it."""

    def run(self, *, most_ends: int | None = None) -> list[Launch]:
        """Work until the board is done, or like a driver that dies after so many ends."""
        while not self.board.is_done and self.num_ended != most_ends:
            self._fill()
            if self.running:
                self._advance(*self.running.pop(0))
            else:  # It had a winner left to keep.
                assert self.board.is_done, "the board is not done, but starts nothing"
        return self.launches

    def run_and_close(self, *, most_ends: int | None = None) -> list[Launch]:
        """Run, then wait for every row to be kept, as a driver does at its end."""
        with self.board:
            return self.run(most_ends=most_ends)

    @property
    def specs(self) -> list[TrialSpec]:
        return [launch.spec for launch in self.launches]

    def _fill(self) -> None:
        while len(self.running) < self.slots:
            launch = self.board.launch()
            if launch is None:
                return
            self.board.start(launch.spec.key)
            self.launches.append(launch)
            self.running.append((launch, 0))

    def _advance(self, launch: Launch, behind: int) -> None:
        """Train one trial to its next rung."""
        spec = launch.spec
        if self.crashes(launch):
            self.board.fail(spec.key, self.crash_text)
            return
        scheduler = self.board._cell_of[spec.cell.label].scheduler
        goal = min(one for one in (*scheduler.milestones, spec.max_epochs) if one > behind)
        num_kept = self.checkpoints.get(spec.key, 0)
        epochs = tuple(self._epoch(spec, epoch, num_kept) for epoch in range(behind, goal))
        self.trained += [(spec.key, one.epoch) for one in epochs if not one.is_restored]
        if launch.spec.phase == "search" and isinstance(scheduler, SuccessiveHalving):
            self.checkpoints[spec.key] = max(goal, num_kept)
        diverged = "loss_g is nan" if self.diverges(spec) else ""
        progress = Progress(
            epochs=epochs,
            diverged=diverged,
            seconds=float(goal),
            gpu_s=goal * self.gpus,
            hardware="none",
        )
        is_over = bool(diverged) or goal == spec.max_epochs
        if not is_over and self.board.report(spec.key, progress):
            self.running.append((launch, goal))
            return
        self.num_ended += 1
        self.board.end(spec.key, progress)

    def _epoch(self, spec: TrialSpec, epoch: int, num_kept: int) -> EpochResult:
        val_auroc = self.curve(spec, epoch + 1)
        is_scored = spec.sees_test and epoch == spec.max_epochs - 1
        test = TestResult(auroc=val_auroc, average_precision=val_auroc) if is_scored else None
        return EpochResult(
            epoch=epoch,
            objective=val_auroc,
            val_auroc=val_auroc,
            train_s=1.0,
            losses={"loss_g": 1 - val_auroc},
            test=test,
            is_restored=epoch < num_kept or spec.phase == "test",
        )


@pytest.fixture
def cell_data_of(digits_library: Library) -> Callable[[Study], dict[str, CellData]]:
    """Find the data of a study's cells among the digits."""
    return lambda study: find_cell_data(study, digits_library)


@pytest.fixture
def make_simulation(memory: ListMemory, digits_library: Library) -> MakeSimulation:
    """Build a new driver's board on the test's memory, and its workers."""

    def build(
        study: Study,
        *,
        kept_in: StudyMemory = memory,
        outage: StoreOutage | None = None,
        **changes: Any,  # noqa: ANN401
    ) -> Simulation:
        provenance = Provenance(commit="", is_dirty=False, versions="{}")
        rows = RowMaker(study=study.name, provenance=provenance)
        cell_data = find_cell_data(study, digits_library)
        return Simulation(
            board=StudyBoard(study, cell_data, kept_in, rows, outage=outage),
            **changes,
        )

    return build


def _cells(study: Study) -> list[str]:
    return [cell.label for cell in study.cells.all_cells]


@pytest.fixture
def cells_of() -> Callable[[Study], list[str]]:
    """Return the labels of a study's cells."""
    return _cells
