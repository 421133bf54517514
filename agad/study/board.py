"""A running study: which cell starts its next trial, and what is written when one ends."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from typing import Self, cast

from agad.config import Study
from agad.errors import StoreError, StudyChangedError, TrialsFailingError
from agad.records import Claim, State, StudyMemory
from agad.status import StudyStatus
from agad.study.cell import CellRun
from agad.study.materials import CellMaterials
from agad.study.running import Launch, Progress, RowMaker, Running
from agad.trial import TrialSpec

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
"""Launches of one trial by one driver before it counts as failed."""

_MAX_FAILURES_IN_A_ROW = 12
"""Crashes, each of a trial launched after the one before it crashed, with no other end between
them, before the study stops, to be run again later. A node that dies counts once."""

_LAST_WRITES_S = 5.0
"""Time for rows that still wait for the store when the study is interrupted."""

_WRITERS = 4
_MAX_WRITES_WAITING = 64
"""Rows that may wait for the store before the study waits for it too."""


class StudyBoard:
    """All cells of a study on one driver; a context that closes when every row is written.

    It starts trials and learns of their ends, and knows nothing of Ray: a test or a simulation
    drives it as well.
    """

    def __init__(
        self,
        study: Study,
        materials: Mapping[str, CellMaterials],
        memory: StudyMemory,
        rows: RowMaker,
    ) -> None:
        """Take up what an earlier driver left in the memory.

        Raises:
            StudyChangedError: A stored row was made of other data or by another detector.
        """
        self._study = study
        self._memory = memory
        self._rows = rows
        self._cells = {label: CellRun(study, one) for label, one in materials.items()}
        self._running: dict[str, Running] = {}
        self._attempts: dict[str, int] = defaultdict(int)
        self._num_failures: dict[str, int] = defaultdict(int)
        self._num_failures_in_a_row = 0
        self._last_failure_at = datetime.min.replace(tzinfo=UTC)
        self._writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="agad-store")
        self._writes: list[Future[None]] = []
        self._start = time.monotonic()
        self._remember()
        # Of a cell whose driver died before it dropped them.
        self._drop_checkpoints([cell for cell in self._cells.values() if cell.is_done])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None = None, *_: object) -> None:
        if kind is None:
            self._writers.shutdown(wait=True)
            self._check_writes(most=0)
            return
        waiting = wait(self._writes, timeout=_LAST_WRITES_S).not_done
        self._writers.shutdown(wait=False, cancel_futures=True)
        if waiting:
            logger.warning("%d rows could not be stored; their trials run again.", len(waiting))

    @property
    def is_done(self) -> bool:
        """Whether every cell has ended and every row was accepted for writing."""
        return not self._running and all(cell.is_done for cell in self._cells.values())

    def launch(self) -> Launch | None:
        """Claim the next trial of the cell that is furthest behind; None where all wait.

        Raises:
            StoreError: The store fails, or another driver works on this study.
        """
        for cell in sorted(self._cells.values(), key=lambda cell: cell.share_started):
            spec = cell.next_trial()
            if spec is not None:
                return self._claim(cell, spec)
        return None

    def report(self, trial_key: str, progress: Progress) -> bool:
        """Take a running trial's new epochs; False where it is to be stopped."""
        running = self._running[trial_key]
        running.take(progress)
        goes_on = True
        for result in progress.epochs:
            goes_on = goes_on and running.cell.survives(
                trial_key,
                result.epoch + 1,
                result.val_auroc,
                is_restored=result.is_restored,
            )
        running.is_pruned = not goes_on
        return goes_on

    def end(self, trial_key: str, progress: Progress) -> None:
        """Take the end of a trial that finished, was stopped, or diverged."""
        running = self._running[trial_key]
        running.take(progress)
        self._num_failures_in_a_row = 0
        state: State = "finished"
        if running.is_pruned:
            state = "pruned"
        elif progress.diverged:
            state = "diverged"
        self._end(running, state, error="")

    def fail(self, trial_key: str, error: str) -> None:
        """Take a crash: the trial starts again, or counts as failed after ``MAX_ATTEMPTS``.

        Raises:
            TrialsFailingError: So many in a row crashed that no trial can be what is wrong.
        """
        self._num_failures[trial_key] += 1
        if self._running[trial_key].started_at >= self._last_failure_at:
            self._num_failures_in_a_row += 1
            self._last_failure_at = datetime.now(UTC)
        if self._num_failures_in_a_row >= _MAX_FAILURES_IN_A_ROW:
            last_line = error.strip().rpartition("\n")[2]
            raise TrialsFailingError(
                f"{self._num_failures_in_a_row} trials in a row crashed on their workers, the last "
                f"with {last_line!r}; mend that, then run the same command again to go on."
            )
        if self._num_failures[trial_key] < MAX_ATTEMPTS:
            self._running.pop(trial_key).cell.retry(trial_key)
        else:
            self._end(self._running[trial_key], "failed", error)

    def status(self, slots: int) -> StudyStatus:
        """Return how far the study is."""
        num_running: dict[str, int] = defaultdict(int)
        for running in self._running.values():
            num_running[running.launch.spec.cell.label] += 1
        return StudyStatus(
            study=self._study.name,
            cells=tuple(cell.status(num_running[label]) for label, cell in self._cells.items()),
            elapsed_s=time.monotonic() - self._start,
            slots=slots,
        )

    def _remember(self) -> None:
        claims: dict[str, Claim] = {}
        for claim in self._memory.claims():
            claims[claim.trial_key] = claim
            attempt = self._attempts[claim.trial_key]
            self._attempts[claim.trial_key] = max(attempt, claim.attempt + 1)
        rows = {row.trial_key: row for row in self._memory.trials()}
        objectives: dict[str, list[float]] = defaultdict(list)
        for epoch in self._memory.epochs():
            if epoch.val_auroc is not None:
                objectives[epoch.trial_key].append(epoch.val_auroc)
        for claim in sorted(claims.values(), key=lambda one: (one.phase == "confirm", one.number)):
            row = rows.get(claim.trial_key)
            cell = self._cells[claim.cell]
            spec = cell.spec_of(claim.phase, claim.number, claim.params)
            if spec.key != claim.trial_key:
                raise StudyChangedError(
                    f"trial {claim.number} of {claim.cell} was made of other data or by another "
                    f"version of {self._study.detector.name}; choose another name for this study "
                    f"than {self._study.name}."
                )
            state = cast(State, row.state) if row else None
            cell.remember(spec, state, objectives[claim.trial_key])

    def _claim(self, cell: CellRun, spec: TrialSpec) -> Launch:
        self._check_writes(_MAX_WRITES_WAITING)
        key = spec.key
        launch = Launch(spec=spec, attempt=self._attempts[key])
        claim = Claim(
            trial_key=key,
            attempt=launch.attempt,
            cell=spec.cell.label,
            phase=spec.phase,
            number=spec.number,
            params=spec.params,
            seeds=(spec.seed,),
        )
        if not self._memory.put_claim(claim):
            raise StoreError(
                f"attempt {launch.attempt} of trial {key} was claimed by another driver; let it "
                f"finish study {self._study.name}, or stop it, then run this command again."
            )
        self._attempts[key] += 1
        self._running[key] = Running(launch, cell, datetime.now(UTC))
        return launch

    def _end(self, running: Running, state: State, error: str) -> None:
        key = running.launch.spec.key
        running.cell.end(key, state, running.objectives)
        del self._running[key]
        trial = self._rows.trial_row(running, state, error)
        epochs = self._rows.epoch_rows(running)
        scores = self._rows.score_rows(running) if state == "finished" else []
        self._writes.append(self._writers.submit(self._memory.put, trial, epochs, scores))
        if running.cell.is_done:
            self._drop_checkpoints([running.cell])

    def _drop_checkpoints(self, done: Sequence[CellRun]) -> None:
        """Let the checkpoints of done cells be removed, but the last of each confirmed trial."""
        trial_keys = {key for cell in done for key in cell.trial_keys}
        kept = {key for cell in done for key in cell.confirmed_keys}
        if trial_keys:
            self._writes.append(self._writers.submit(self._drop, trial_keys, kept))

    def _drop(self, trial_keys: set[str], kept: set[str]) -> None:
        try:
            self._memory.drop_checkpoints(trial_keys, kept)
        except StoreError as error:
            logger.warning("Checkpoints that nobody needs stay until the next run (%s).", error)

    def _check_writes(self, most: int) -> None:
        """Raise the first error of a write; wait where more than ``most`` are not done."""
        while self._writes and (len(self._writes) > most or self._writes[0].done()):
            self._writes.pop(0).result()
