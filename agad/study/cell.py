"""A cell of a running study: the trials that it starts next, and how far it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from functools import partial

from agad.config import Scheduler, Setting
from agad.records import CellStatus, Phase, State, Winner
from agad.search import Ladder
from agad.study.cell_data import CellData, work_of
from agad.study.cell_search import CellSearch
from agad.study.confirmation import Confirmation
from agad.study.trials import CellTrials
from agad.trial import TrialSpec


class CellRun:
    """A cell's trials, its search and then its confirm phase. The class knows no Ray and no store.

    A cell that searches on development classes has the confirm trials of all classes.
    """

    def __init__(self, cell_data: CellData) -> None:
        self.cell_data = cell_data
        self.label = cell_data.cell.label
        study = cell_data.study
        self._num_asked = study.num_search_trials
        self.work_of = partial(work_of, cell_data) if study.search.counts_work else None
        ladder = Ladder(study.scheduler, study.selection.objective)
        self._trials = CellTrials(num_planned=self._num_asked, ladder=ladder)
        self._search = CellSearch(cell_data, self._trials, self.work_of)
        self._confirmation = Confirmation(cell_data, self._trials, self.work_of)
        self._cell_data = {one.cell.label: one for one in (cell_data, *cell_data.confirmed)}
        self._remembered: set[str] = set()
        self._again: deque[TrialSpec] = deque()
        self._failed_before: deque[TrialSpec] = deque()
        """Search trials that failed under an earlier driver; they start again after all others."""

    @property
    def scheduler(self) -> Scheduler:
        """The rule that stops search trials of the cell; has the epochs of every trial too."""
        return self.cell_data.study.scheduler

    @property
    def detector(self) -> str:
        """The name of the cell's detector."""
        return self.cell_data.study.detector.name

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of this cell and of the cells that its winner is confirmed on."""
        return tuple(self._cell_data)

    def data_of(self, label: str) -> CellData:
        """Return the data of the cell with one of ``labels``."""
        return self._cell_data[label]

    def spec_of(
        self, phase: Phase, number: int, params: Mapping[str, Setting], label: str = ""
    ) -> TrialSpec:
        """Return the trial with this number in this phase.

        Args:
            phase: The trial's.
            number: The trial's place in the phase.
            params: The searched parameters.
            label: The label of the trial's cell; empty for this cell.
        """
        cell_data = self._cell_data.get(label, self.cell_data)
        return cell_data.spec(phase, number, dict(params))

    def remember(
        self,
        spec: TrialSpec,
        state: State | None,
        objectives: Sequence[float],
        *,
        is_given_up: bool = False,
    ) -> None:
        """Take up a trial of an earlier driver; a trial that failed or did not end starts again.

        A trial that did not end starts before any new trial. A search trial that failed starts
        after all others of the search, so that trials that always fail delay nothing. A confirm or
        test trial waits until all trials before it have ended. The trial starts only if its
        configuration is still to be confirmed or tested.

        Args:
            spec: The trial. The caller passes trials in order of phase and number.
            state: How the trial ended; None if it did not end.
            objectives: What the study maximises, after each epoch.
            is_given_up: Whether a failed trial stays failed.
        """
        key = spec.key
        self._remembered.add(key)
        is_search = spec.phase == "search"
        stays = is_given_up or (is_search and self._trials.ended_by)
        if state is None or (state == "failed" and not stays):
            if is_search:
                self._trials.add(spec)
                (self._again if state is None else self._failed_before).append(spec)
                self._search.reopen(spec)
        else:
            self._trials.add(spec)
            self._trials.end(key, state)
            if is_search:
                self._search.remember(spec, state, objectives)
            elif objectives:
                self._confirmation.take(key, objectives[-1])

    def remember_pause(
        self, trial_key: str, objectives: Sequence[float], *, is_paused: bool
    ) -> None:
        """Take up the last pause of a trial that was remembered and starts again.

        Args:
            trial_key: The trial.
            objectives: What the study maximises, after each epoch before the pause.
            is_paused: Whether the trial still waits. Such a trial starts only when promoted.
        """
        if is_paused:
            spec = self._trials.specs[trial_key]
            (self._again if spec in self._again else self._failed_before).remove(spec)
        self._search.remember_pause(trial_key, objectives, is_paused=is_paused)

    def next_trial(self) -> TrialSpec | None:
        """Return the trial to start now, or None while the cell waits for trials that run."""
        if self._again:
            return self._again.popleft()
        promoted = self._search.promote()
        if promoted is not None:
            return promoted
        if not self._trials.has_proposed_all:
            return self._search.propose()
        if self._failed_before:
            return self._failed_before.popleft()
        for spec in self._confirmation.specs():
            if spec.key not in self._trials.specs:
                self._trials.add(spec)
                return spec
        return None

    def survives(
        self, trial_key: str, num_epochs: int, objective: float, *, is_restored: bool = False
    ) -> bool:
        """Return whether a trial continues after ``num_epochs``; confirm and test trials always do.

        Args:
            trial_key: The trial.
            num_epochs: Epochs that the trial has trained.
            objective: What the study maximises, after ``num_epochs``.
            is_restored: Whether the epochs come from a checkpoint.
        """
        if self._trials.specs[trial_key].phase != "search":
            return True
        return self._search.survives(trial_key, num_epochs, objective, is_restored=is_restored)

    def stop_reason(self, trial_key: str) -> str:
        """Return rule, rung, objective and cutoff of a trial that is stopped; empty for others."""
        return self._search.stop_reason(trial_key)

    def is_paused(self, trial_key: str) -> bool:
        """Whether a trial waits at a rung to be promoted."""
        return trial_key in self._trials.ladder.paused

    def state_of(self, trial_key: str) -> State | None:
        """Return how a trial ended; None if it has not."""
        return self._trials.states.get(trial_key)

    def pause(self, trial_key: str, objectives: Sequence[float]) -> None:
        """Let the search learn from a trial that paused."""
        self._search.pause(trial_key, objectives)

    def give_up_paused(self) -> list[str]:
        """Stop the paused trials if none can be promoted any more; ``end`` each of them."""
        return self._search.give_up_paused()

    def end_search(self, ended_by: str) -> None:
        """Start no further search trial; running trials go on, failed or paused ones do not.

        Args:
            ended_by: What ends the search, such as ``the budget of 2 GPU-hours``.
        """
        starts_more = (
            not self._trials.has_proposed_all or self._failed_before or self._trials.ladder.paused
        )
        if self._trials.ended_by or not starts_more:
            return
        self._trials.ended_by = ended_by
        self._trials.num_planned = self._trials.num_searched
        for spec in self._failed_before:
            self._trials.end(spec.key, "failed")
        self._failed_before.clear()

    def retry(self, trial_key: str) -> None:
        """Start a trial again before any new one, from its newest checkpoint if it has one."""
        self._again.append(self._trials.specs[trial_key])

    def end(self, trial_key: str, state: State, objectives: Sequence[float]) -> None:
        """Take a trial's end into its phase."""
        self._trials.end(trial_key, state)
        if self._trials.specs[trial_key].phase == "search":
            self._search.end(trial_key, state, objectives)
        elif objectives:
            self._confirmation.take(trial_key, objectives[-1])

    @property
    def is_searched(self) -> bool:
        """Whether every search trial has ended."""
        return self._trials.is_searched

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to start or to wait for."""
        return self._confirmation.is_done

    def choice(self) -> Winner | None:
        """Return the candidate to keep as the winner, as ``Confirmation.choice`` does."""
        return self._confirmation.choice()

    def take_winner(self, winner: Winner) -> None:
        """Take the winner that is kept, as ``Confirmation.take_winner`` does."""
        self._confirmation.take_winner(winner)

    @property
    def trial_keys(self) -> set[str]:
        """The keys of all trials that were ever launched, also by earlier drivers."""
        return self._remembered | self._trials.specs.keys()

    @property
    def confirmed_keys(self) -> set[str]:
        """The keys of trials whose trained models were tested, also those of an earlier winner."""
        return {
            spec.training_key
            for key, spec in self._trials.specs.items()
            if spec.sees_test and self._trials.is_finished(key)
        }

    @property
    def share_started(self) -> float:
        """Share of the planned trials that were started, in [0, 1].

        Confirm trials of a winner that was chosen after fewer search trials or seeds do not count.
        """
        num_waiting = len(self._again) + len(self._failed_before)
        num_confirmed = sum(spec.key in self._trials.specs for spec in self._confirmation.specs())
        num_planned = self._trials.num_planned + self._confirmation.num_planned
        # A candidate that an earlier driver chose may be confirmed in addition to the planned ones.
        return min(1.0, (self._trials.num_searched + num_confirmed - num_waiting) / num_planned)

    @property
    def ended_by(self) -> str:
        """The limit that ended the search before its planned trials; empty if none did."""
        return self._trials.ended_by

    @property
    def num_search_left(self) -> int:
        """Search trials that have not ended, also those that run or wait."""
        return self._trials.num_planned - self._trials.search_states.total()

    @property
    def num_confirm_left(self) -> int:
        """Confirm trials that have not ended, also those that run."""
        return self._confirmation.num_left

    def status(self, num_running: int) -> CellStatus:
        """Return how far the cell is, without its costs."""
        states = self._trials.search_states
        return CellStatus(
            label=self.label,
            detector=self.detector,
            phase="done" if self.is_done else "confirm" if self.is_searched else "search",
            planned=self._num_asked,
            running=num_running,
            paused=len(self._trials.ladder.paused),
            finished=states["finished"],
            pruned=states["pruned"],
            diverged=states["diverged"],
            failed=states["failed"],
            best_objective=self._search.best_objective,
            confirmed=self._confirmation.num_finished,
            confirm_planned=self._confirmation.num_planned,
        )
