"""A running study: which trial starts next, and what becomes of each that ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Self

from agad.config import Scheduler, Study
from agad.errors import OtherDriverError, StoreError
from agad.records import State, StudyMemory, StudyStatus
from agad.study.attempts import given_up_text
from agad.study.budget import BudgetSpent
from agad.study.cell import CellRun
from agad.study.cell_data import CellData
from agad.study.claims import Claims
from agad.study.costs_so_far import CostsSoFar
from agad.study.crashes import Crashes
from agad.study.earlier_drivers import EarlierDrivers
from agad.study.row_maker import RowMaker
from agad.study.running import Launch, Progress, Running
from agad.study.store_outage import StoreOutage
from agad.study.write_behind import WriteBehind
from agad.trial import TrialSpec

logger = logging.getLogger(__name__)


def _always(_: TrialSpec) -> bool:
    return True


class StudyBoard:
    """All cells of a study on one driver; a context that closes when every row is written.

    The board starts trials and is told of their ends. The board knows nothing of Ray, so a test or
    a simulation can drive it too.
    """

    def __init__(
        self,
        study: Study,
        cell_data: Mapping[str, CellData],
        memory: StudyMemory,
        rows: RowMaker,
        *,
        outage: StoreOutage | None = None,
    ) -> None:
        """Read the records that earlier drivers left in the memory, and write nothing yet.

        Args:
            study: What to run.
            cell_data: The data of each cell, by the cell's label.
            memory: Holds what ran before, and takes each row. The caller holds the study in the
                memory while trials are launched.
            rows: Makes the rows.
            outage: Says how long claims may fail; None is 10 minutes.

        Raises:
            StudyChangedError: A stored row was made from other data or by another detector.
        """
        self._study = study
        self._memory = memory
        self._rows = rows
        self._cells = {label: CellRun(one) for label, one in cell_data.items()}
        self._cell_of = {label: cell for cell in self._cells.values() for label in cell.labels}
        """The cell that runs the trials of each label."""

        self._running: dict[str, Running] = {}
        self._most_running = 0
        self._costs = CostsSoFar()
        self._crashes = Crashes()
        self._writes = WriteBehind(memory)
        self._outage = outage or StoreOutage()
        self._waiting: TrialSpec | None = None
        """The next trial, which does not fit yet."""

        self._start = time.monotonic()
        earlier = EarlierDrivers(study, memory, self._cell_of)
        self._costs.add(earlier.rows.values())
        self._attempts = earlier.attempts
        self._claims = Claims(study.name, memory, self._attempts, self._outage)
        self._budget = BudgetSpent(
            study, self._costs, earlier.rows.values(), earlier.pauses.values()
        )
        earlier.bring_back()
        self.past = earlier.ended
        """Trials that ended under an earlier driver, and their rows."""

        self._failed_before = earlier.failed
        self._given_up = earlier.given_up
        self._paused = earlier.paused
        """Trials that wait at a rung."""

        self._promoted = earlier.promoted
        """Promoted trials whose workers have not reported yet, as they were at their pause."""

        if self._is_over_budget():
            # The budget has shortened the searches, so a winner of a search this short counts now.
            earlier.bring_back_winners()

    def __enter__(self) -> Self:
        for running in self._given_up:
            self._write_rows(running, "failed", given_up_text(running.launch.attempt))
        self._given_up.clear()
        for cell in self._cells.values():
            self._give_up_paused(cell)
        # A driver may have died before it dropped a done cell's checkpoints.
        self._drop_checkpoints([cell for cell in self._cells.values() if cell.is_done])
        return self

    def __exit__(self, kind: type[BaseException] | None = None, *_: object) -> None:
        for running in self._running.values():
            self._release(running.launch.spec.key, running.launch.attempt)
        for claim in self._claims.idle(is_taken_over=kind is OtherDriverError):
            self._release(*claim)
        if kind is None:
            self._writes.finish()
        else:
            self._writes.break_off()

    @property
    def is_done(self) -> bool:
        """Whether every cell has ended and every row was accepted for writing."""
        return not (self._running or self._given_up) and all(
            cell.is_done for cell in self._cells.values()
        )

    def launch(self, fits: Callable[[TrialSpec], bool] = _always) -> Launch | None:
        """Claim the next trial of the cell that is furthest behind; None if all cells wait.

        Args:
            fits: Whether there is room for a trial now. While the next trial has no room, all
                others wait too: otherwise small trials could keep a large one waiting for ever.

        Raises:
            OtherDriverError: Another driver works on this study.
            StoreError: The store has refused claims or rows for too long.
        """
        if not self._outage.is_over:
            return None
        if self._claims.unclaimed is not None:
            return self._claim(self._claims.unclaimed)
        if self._is_over_budget():
            for cell in self._cells.values():
                self._give_up_paused(cell)
        if not self._choose_winners():
            return None
        self._waiting = self._waiting or self._next_trial()
        if self._waiting is None or not fits(self._waiting):
            return None
        spec, self._waiting = self._waiting, None
        return self._claim(spec)

    def _next_trial(self) -> TrialSpec | None:
        by_share = sorted(self._cells.values(), key=lambda cell: cell.share_started)
        specs = (cell.next_trial() for cell in by_share)
        return next((spec for spec in specs if spec is not None), None)

    def _claim(self, spec: TrialSpec) -> Launch | None:
        """Claim a trial and count it as running; None while the store fails."""
        self._writes.wait_for_room()
        launch = self._claims.put(spec)
        if launch is None:
            return None
        if spec.key in self._paused:
            self._promoted[spec.key] = self._paused.pop(spec.key)
        cell = self._cell_of[spec.cell.label]
        self._running[spec.key] = Running(launch, cell, datetime.now(UTC))
        return launch

    def _is_over_budget(self) -> bool:
        """Whether a limit of the budget is reached; if so, end the search of all cells."""
        ended_by = self._budget.ended_by(self._taken, self._cells)
        for cell in self._cells.values() if ended_by else ():
            cell.end_search(ended_by)
        return bool(ended_by)

    @property
    def _taken(self) -> list[Running]:
        """The trials that run, wait at a rung, or were just promoted from a rung."""
        return [*self._running.values(), *self._paused.values(), *self._promoted.values()]

    def _choose_winners(self) -> bool:
        """Keep the winner of each cell that has to choose one; False if the store fails.

        No trial that sees the test split is launched before the memory has the winner. A later
        driver can therefore choose no other winner.
        """
        for cell in self._cells.values():
            choice = cell.choice()
            if choice is None:
                continue
            try:
                self._memory.check_held()
                cell.take_winner(self._memory.put_winner(choice))
            except StoreError as error:
                self._outage.lose(error)
                return False
            self._outage.regain()
        return True

    def start(self, trial_key: str) -> None:
        """Note that a worker has a launched trial now."""
        self._running[trial_key].is_started = True
        num = sum(one.is_started for one in self._running.values())
        self._most_running = max(self._most_running, num)
        self._budget.run(num)

    def report(self, trial_key: str, progress: Progress) -> bool:
        """Take a running trial's new epochs; False if the trial must stop or pause.

        Raises:
            OtherDriverError: Another driver has taken this study over.
        """
        with suppress(StoreError):  # A store that does not answer is no reason to stop trials.
            self._memory.check_held()
        running = self._running[trial_key]
        running.take(progress)
        self._promoted.pop(trial_key, None)
        goes_on = True
        for result in progress.epochs:
            goes_on = goes_on and running.cell.survives(
                trial_key,
                result.epoch + 1,
                result.objective,
                is_restored=result.is_restored,
            )
        running.is_pruned = not goes_on
        return goes_on

    def end(self, trial_key: str, progress: Progress) -> None:
        """Take the end of a trial that finished, was stopped, diverged, or pauses."""
        running = self._running[trial_key]
        running.take(progress)
        self._promoted.pop(trial_key, None)
        self._crashes.forget()
        if running.cell.is_paused(trial_key):
            self._pause(running)
            return
        state: State = "finished"
        if running.is_pruned:
            state = "pruned"
        elif progress.diverged:
            state = "diverged"
        self._end(running, state, error="")

    def fail(self, trial_key: str, error: str) -> None:
        """Take a crash: the trial starts again, or counts as failed, as ``Attempts`` says.

        Raises:
            TrialsFailingError: So many consecutive trials crashed that the cluster is broken, not
                a trial.
        """
        if trial_key not in self._failed_before:
            self._crashes.count(trial_key, self._running[trial_key].started_at, error)
        if self._attempts.lose(trial_key):
            self._end(self._running[trial_key], "failed", error)
        else:
            self._running.pop(trial_key).cell.retry(trial_key)

    def scheduler_of(self, spec: TrialSpec) -> Scheduler:
        """Return the scheduler of a trial's cell."""
        return self._cell_of[spec.cell.label].scheduler

    def outcome(self, spec: TrialSpec) -> str:
        """Return the state of an ended trial, ``paused``, or ``again`` if it starts again."""
        cell = self._cell_of[spec.cell.label]
        return cell.state_of(spec.key) or ("paused" if cell.is_paused(spec.key) else "again")

    def give_back(self, trial_key: str) -> None:
        """Take back a trial whose worker gave it up through no fault of the trial.

        The attempt does not count. The trial starts again before any new trial, from its newest
        checkpoint.
        """
        running = self._running.pop(trial_key)
        self._release(trial_key, running.launch.attempt)
        running.cell.retry(trial_key)

    def status(self, slots: int) -> StudyStatus:
        """Return how far the study is."""
        ended_by = next((cell.ended_by for cell in self._cells.values() if cell.ended_by), "")
        waiting = self._paused | self._promoted
        # Several trials may wait for the same images, so the sum would count images twice.
        encoding = max(
            (
                one.last.features
                for one in self._running.values()
                if one.last.features and not one.last.features.is_done
            ),
            key=lambda one: one.num_missing,
            default=None,
        )
        return StudyStatus(
            study=self._study.name,
            cells=self._costs.statuses(self._cells, self._running.values(), waiting.values()),
            elapsed_s=time.monotonic() - self._start,
            slots=slots,
            most_running=self._most_running,
            budget_left_s=None if ended_by else self._budget.left_s(self._taken, self._cells),
            ended_by=ended_by,
            features_done=encoding.num_done if encoding else 0,
            features_missing=encoding.num_missing if encoding else 0,
            objective=self._study.selection.objective,
        )

    def _release(self, trial_key: str, attempt: int) -> None:
        """Note that a claimed attempt does not count."""
        self._writes.start(partial(self._memory.release, trial_key, attempt))

    def _end(self, running: Running, state: State, error: str) -> None:
        key = running.launch.spec.key
        running.cell.end(key, state, running.objectives)
        del self._running[key]
        self._promoted.pop(key, None)
        self._write_rows(running, state, error)
        self._give_up_paused(running.cell)

    def _pause(self, running: Running) -> None:
        """Free a trial's slot, and let it wait to be promoted."""
        key = running.launch.spec.key
        running.cell.pause(key, running.objectives)
        self._paused[key] = self._running.pop(key)
        self._writes.start(partial(self._memory.put_pause, self._rows.pause(running)))
        self._give_up_paused(running.cell)

    def _give_up_paused(self, cell: CellRun) -> None:
        """End a cell's paused trials if none of them can be promoted any more."""
        for key in cell.give_up_paused():
            running = self._paused.pop(key)
            cell.end(key, "pruned", running.objectives)
            self._write_rows(running, "pruned", error="")

    def _write_rows(self, running: Running, state: State, error: str) -> None:
        trial = self._rows.trial_row(running, state, error)
        self._costs.add([trial])
        epochs = self._rows.epoch_rows(running)
        scores = self._rows.score_rows(running) if state == "finished" else []
        self._writes.start(partial(self._memory.put, trial, epochs, scores))
        if running.cell.is_done:
            self._drop_checkpoints([running.cell])

    def _drop_checkpoints(self, done: Sequence[CellRun]) -> None:
        """Remove the checkpoints of done cells, except the last one of each confirmed trial."""
        trial_keys = {key for cell in done for key in cell.trial_keys}
        kept = {key for cell in done for key in cell.confirmed_keys}
        if trial_keys:
            self._writes.start(partial(self._drop, trial_keys, kept))

    def _drop(self, trial_keys: set[str], kept: set[str]) -> None:
        try:
            self._memory.drop_checkpoints(trial_keys, kept)
        except StoreError as error:
            logger.warning("Checkpoints that nobody needs stay until the next run (%s).", error)
