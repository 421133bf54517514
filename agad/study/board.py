"""A running study: which cell starts its next trial, and what is written when one ends."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Self, cast

from agad.config import Study, SuccessiveHalving
from agad.errors import OtherDriverError, StoreError, StudyChangedError
from agad.records import (
    PHASES,
    Claim,
    Pause,
    State,
    StudyMemory,
    StudyStatus,
    TrialRow,
    Winner,
    objective_of,
)
from agad.study.attempts import Attempts, given_up_text
from agad.study.budget import BudgetSpent
from agad.study.cell import CellRun
from agad.study.cell_data import CellData
from agad.study.costs_so_far import CostsSoFar
from agad.study.crashes import Crashes
from agad.study.running import Launch, Progress, RowMaker, Running
from agad.study.store_outage import StoreOutage
from agad.trial import TrialSpec

logger = logging.getLogger(__name__)

_LAST_WRITES_S = 5.0
"""Time for what still waits for the store when the study is interrupted."""

_WRITERS = 4
_MAX_WRITES_WAITING = 64
"""Rows that may wait for the store before the study waits for it too."""


def _always(_: TrialSpec) -> bool:
    return True


class StudyBoard:
    """All cells of a study on one driver; a context that closes when every row is written.

    It starts trials and learns of their ends, and knows nothing of Ray: a test or a simulation
    drives it as well.
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
        """Take up what an earlier driver left in the memory, and write nothing yet.

        Args:
            study: What to run.
            cell_data: Of each cell, by its label.
            memory: What ran before, and where each row goes. It is held where trials are launched.
            rows: Makes the rows.
            outage: How long claims may fail; None is 10 minutes.

        Raises:
            StudyChangedError: A stored row was made of other data or by another detector.
        """
        self._study = study
        self._memory = memory
        self._rows = rows
        self._cells = {label: CellRun(study, one) for label, one in cell_data.items()}
        self._cell_of = {label: cell for cell in self._cells.values() for label in cell.labels}
        """By the label of any cell that it has trials of."""

        self._running: dict[str, Running] = {}
        self._paused: dict[str, Running] = {}
        """Trials that wait at a rung."""

        self._promoted: dict[str, Running] = {}
        """As they waited: trials that go on and whose workers have not told yet what they took."""

        self._most_running = 0
        self._costs = CostsSoFar(study)
        self._given_up: list[Running] = []
        """Trials that earlier drivers started too often, and whose rows are to be written."""

        self._failed_before: set[str] = set()
        """Trials that failed under an earlier driver."""

        self._crashes = Crashes()
        self._writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="agad-store")
        self._writes: list[tuple[Future[None], Callable[[], None]]] = []
        self._outage = outage or StoreOutage()
        self._unclaimed: tuple[CellRun, TrialSpec] | None = None
        """The next trial, whose claim could not be put, or only while the study was not held."""

        self._waiting: tuple[CellRun, TrialSpec] | None = None
        """The next trial, which does not fit yet."""

        self._idle: Launch | None = None
        """A launch whose claim was put and that has not started."""

        self.past: list[tuple[TrialSpec, TrialRow]] = []
        """Trials that ended under an earlier driver."""

        self._start = time.monotonic()
        self._remember()

    def __enter__(self) -> Self:
        for running in self._given_up:
            self._write_rows(running, "failed", given_up_text(running.launch.attempt))
        self._given_up.clear()
        for cell in self._cells.values():
            self._give_up_paused(cell)
        # Of a cell whose driver died before it dropped them.
        self._drop_checkpoints([cell for cell in self._cells.values() if cell.is_done])
        return self

    def __exit__(self, kind: type[BaseException] | None = None, *_: object) -> None:
        launches = [running.launch for running in self._running.values()]
        for launch in launches + ([self._idle] if self._idle else []):
            self._write(partial(self._memory.release, launch.spec.key, launch.attempt))
        if self._unclaimed is not None and kind is not OtherDriverError:
            # The store may have kept the claim and lost its answer.
            key = self._unclaimed[1].key
            self._write(partial(self._memory.release, key, self._attempts.next(key)))
        if kind is None:
            self._writers.shutdown(wait=True)
            self._check_writes(most=0)
            return
        wait([write for write, _ in self._writes], timeout=_LAST_WRITES_S)
        self._writers.shutdown(wait=False, cancel_futures=True)
        self._keep_on_disk()

    @property
    def is_done(self) -> bool:
        """Whether every cell has ended and every row was accepted for writing."""
        return not (self._running or self._given_up) and all(
            cell.is_done for cell in self._cells.values()
        )

    def launch(self, fits: Callable[[TrialSpec], bool] = _always) -> Launch | None:
        """Claim the next trial of the cell that is furthest behind; None where all wait.

        Args:
            fits: Whether there is room for a trial now. For one that has none the others wait, too:
                they would take the room away for ever.

        Raises:
            OtherDriverError: Another driver works on this study.
            StoreError: Claims, or rows, could not be put for too long.
        """
        if not self._outage.is_over:
            return None
        if self._unclaimed is not None:
            return self._claim(*self._unclaimed)
        if self._is_over_budget():
            for cell in self._cells.values():
                self._give_up_paused(cell)
        if not self._choose_winners():
            return None
        self._waiting = self._waiting or self._next_trial()
        if self._waiting is None or not fits(self._waiting[1]):
            return None
        (cell, spec), self._waiting = self._waiting, None
        return self._claim(cell, spec)

    def _next_trial(self) -> tuple[CellRun, TrialSpec] | None:
        for cell in sorted(self._cells.values(), key=lambda cell: cell.share_started):
            spec = cell.next_trial()
            if spec is not None:
                return cell, spec
        return None

    def _is_over_budget(self) -> bool:
        """Whether a limit of the budget is reached, which ends the search of all cells."""
        ended_by = self._budget.ended_by(self._taken, self._cells)
        for cell in self._cells.values() if ended_by else ():
            cell.end_search(ended_by)
        return bool(ended_by)

    @property
    def _taken(self) -> list[Running]:
        """What trials took that run, wait at a rung, or were promoted from one."""
        return [*self._running.values(), *self._paused.values(), *self._promoted.values()]

    def _choose_winners(self) -> bool:
        """Keep the winner of each cell that has to choose one; False where the store fails.

        Nothing that sees the test split is launched before the memory has it: a later driver can
        pick no other.
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
        """Take a running trial's new epochs; False where it is to be stopped, or pauses.

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
            TrialsFailingError: So many in a row crashed that no trial can be what is wrong.
        """
        if trial_key not in self._failed_before:
            self._crashes.count(trial_key, self._running[trial_key].started_at, error)
        if self._attempts.lose(trial_key):
            self._end(self._running[trial_key], "failed", error)
        else:
            self._running.pop(trial_key).cell.retry(trial_key)

    def outcome(self, spec: TrialSpec) -> str:
        """Return the state of an ended trial, ``paused``, or ``again`` where it starts so."""
        cell = self._cells[spec.cell.label]
        return cell.state_of(spec.key) or ("paused" if cell.is_paused(spec.key) else "again")

    def give_back(self, trial_key: str) -> None:
        """Take a trial that its worker gave up through no fault of it: its attempt counts nothing.

        It starts again, from its newest checkpoint, before anything new.
        """
        running = self._running.pop(trial_key)
        self._write(partial(self._memory.release, trial_key, running.launch.attempt))
        running.cell.retry(trial_key)

    def status(self, slots: int) -> StudyStatus:
        """Return how far the study is."""
        ended_by = next((cell.ended_by for cell in self._cells.values() if cell.ended_by), "")
        waiting = self._paused | self._promoted
        return StudyStatus(
            study=self._study.name,
            cells=self._costs.statuses(self._cells, self._running.values(), waiting.values()),
            elapsed_s=time.monotonic() - self._start,
            slots=slots,
            most_running=self._most_running,
            budget_left_s=None if ended_by else self._budget.left_s(self._taken, self._cells),
            ended_by=ended_by,
            objective=self._study.selection.objective,
        )

    def _remember(self) -> None:
        rows = {row.trial_key: row for row in self._memory.trials()}
        self._costs.add(rows.values())
        self._failed_before = {key for key, row in rows.items() if row.state == "failed"}
        self._attempts = Attempts(self._memory, rows)
        claims = self._attempts.last_claims
        pauses = self._last_pauses(claims, rows)
        self._budget = BudgetSpent(self._study, self._costs, rows.values(), pauses.values())
        objectives = self._past_objectives()
        winners = self._memory.winners()
        self._take(winners)
        for claim in sorted(claims.values(), key=lambda one: (PHASES.index(one.phase), one.number)):
            row = rows.get(claim.trial_key)
            cell = self._cell_of[claim.cell]
            spec = cell.spec_of(claim.phase, claim.number, claim.params, claim.cell)
            if spec.key != claim.trial_key:
                raise StudyChangedError(
                    f"trial {claim.number} of {claim.cell} was made of other data or by another "
                    f"version of {self._study.detector.name}; choose another name for this study "
                    f"than {self._study.name}."
                )
            if row is not None:
                self.past.append((spec, row))
            state = cast(State, row.state) if row else None
            is_given_up = spec.key in self._attempts.given_up
            if is_given_up and row is None:
                state = "failed"
                launch = Launch(spec=spec, attempt=claim.attempt)
                self._given_up.append(Running(launch, cell, datetime.now(UTC)))
            cell.remember(spec, state, objectives[spec.key], is_given_up=is_given_up)
            pause = pauses.get(spec.key)
            if pause is not None and cell.state_of(spec.key) is None:
                paused = Running.paused(spec, cell, pause)
                self._remember_pause(paused, claim, has_row=row is not None)
        if self._is_over_budget():  # A cell that it left without a winner is done, too.
            self._take(winners)  # One of as many trials, which are all there will be.

    def _take(self, winners: Iterable[Winner]) -> None:
        for winner in winners:
            self._cells[winner.cell].take_winner(winner)

    def _past_objectives(self) -> dict[str, list[float]]:
        objectives: dict[str, list[float]] = defaultdict(list)
        for epoch in self._memory.epochs():
            objective = objective_of(epoch)
            if objective is not None:
                objectives[epoch.trial_key].append(objective)
        return objectives

    def _last_pauses(
        self, trial_keys: Iterable[str], rows: Mapping[str, TrialRow]
    ) -> dict[str, Pause]:
        """Return the last pause of each trial that is still to end, if it ever paused."""
        if not isinstance(self._study.scheduler, SuccessiveHalving):
            return {}
        ended = {key for key, row in rows.items() if row.state != "failed"}
        return {one.trial_key: one for one in self._memory.pauses({*trial_keys} - ended)}

    def _remember_pause(self, paused: Running, last: Claim, *, has_row: bool) -> None:
        """Let a trial wait on; where it was launched since its pause, it was promoted."""
        key, is_paused = last.trial_key, last.attempt == paused.launch.attempt
        if is_paused:
            self._paused[key] = paused
        elif not has_row:  # That of a trial that failed since then counts in its stead.
            self._promoted[key] = paused
        paused.cell.remember_pause(key, paused.objectives, is_paused=is_paused)

    def _claim(self, cell: CellRun, spec: TrialSpec) -> Launch | None:
        """Put the claim of a trial; None where the store fails, and the trial stays the next."""
        self._check_writes(_MAX_WRITES_WAITING)
        key = spec.key
        launch = Launch(spec=spec, attempt=self._attempts.next(key))
        claim = Claim(
            trial_key=key,
            attempt=launch.attempt,
            cell=spec.cell.label,
            phase=spec.phase,
            number=spec.number,
            params=spec.params,
            seeds=spec.seeds,
        )
        try:
            self._memory.check_held()
            is_ours = self._memory.put_claim(claim)
            if is_ours:
                self._idle = launch
                # A put may take longer than another driver waits before it takes the study over.
                self._memory.check_held()
        except StoreError as error:
            self._unclaimed = cell, spec
            self._outage.lose(error)
            return None
        if not is_ours:
            raise OtherDriverError(
                f"attempt {launch.attempt} of trial {key} was claimed by another driver, which has "
                f"taken study {self._study.name} over; let it finish, or stop it, then run this "
                "command again."
            )
        self._unclaimed = self._idle = None
        self._outage.regain()
        self._attempts.launch(key)
        if key in self._paused:
            self._promoted[key] = self._paused.pop(key)
        self._running[key] = Running(launch, cell, datetime.now(UTC))
        return launch

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
        self._write(partial(self._memory.put_pause, self._rows.pause(running)))
        self._give_up_paused(running.cell)

    def _give_up_paused(self, cell: CellRun) -> None:
        """End the paused trials of a cell where none can be promoted any more."""
        for key in cell.give_up_paused():
            running = self._paused.pop(key)
            cell.end(key, "pruned", running.objectives)
            self._write_rows(running, "pruned", error="")

    def _write_rows(self, running: Running, state: State, error: str) -> None:
        trial = self._rows.trial_row(running, state, error)
        self._costs.add([trial])
        epochs = self._rows.epoch_rows(running)
        scores = self._rows.score_rows(running) if state == "finished" else []
        self._write(partial(self._memory.put, trial, epochs, scores))
        if running.cell.is_done:
            self._drop_checkpoints([running.cell])

    def _drop_checkpoints(self, done: Sequence[CellRun]) -> None:
        """Let the checkpoints of done cells be removed, but the last of each confirmed trial."""
        trial_keys = {key for cell in done for key in cell.trial_keys}
        kept = {key for cell in done for key in cell.confirmed_keys}
        if trial_keys:
            self._write(partial(self._drop, trial_keys, kept))

    def _drop(self, trial_keys: set[str], kept: set[str]) -> None:
        try:
            self._memory.drop_checkpoints(trial_keys, kept)
        except StoreError as error:
            logger.warning("Checkpoints that nobody needs stay until the next run (%s).", error)

    def _write(self, action: Callable[[], None]) -> None:
        """Start something that is safe to repeat."""
        self._writes.append((self._writers.submit(action), action))

    def _check_writes(self, most: int) -> None:
        """Raise the first error of a write; wait where more than ``most`` are not done."""
        while self._writes and (len(self._writes) > most or self._writes[0][0].done()):
            self._writes.pop(0)[0].result()

    def _keep_on_disk(self) -> None:
        """Keep what could not be stored in time where the next driver on this host finds it."""
        self._memory.disconnect()
        num_lost = 0
        for write, action in self._writes:
            if write.done() and not write.cancelled() and write.exception() is None:
                continue
            try:
                action()
            except StoreError as error:
                num_lost += 1
                last_error = error
        if num_lost:
            logger.warning(
                "What %d trials left could not be kept, so they run again: %s", num_lost, last_error
            )
