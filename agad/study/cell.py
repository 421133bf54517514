"""One cell of a running study: what it starts next, and how its trials end."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from agad.config import Setting, Study
from agad.records import CellStatus, Phase, State, Winner
from agad.search import CellSampler, Ladder
from agad.study.cell_data import CellData, work_of
from agad.study.confirmation import Confirmation
from agad.study.trials import CellTrials
from agad.trial import TrialSpec

_MAX_KNOWN_IN_A_ROW = 32
"""So many known configurations proposed in a row, and the next unknown choice is taken instead."""


class CellRun:
    """A cell's sampler, trials and confirm phase. It knows nothing of Ray and of no store.

    One that searches on development classes has the confirm trials of all classes.
    """

    def __init__(self, study: Study, cell_data: CellData) -> None:
        self.cell_data = cell_data
        self.label = cell_data.cell.label
        self._study = study
        self._num_asked = study.num_search_trials
        self.work_of = partial(work_of, study, cell_data) if study.search.counts_work else None
        stream_name = f"{study.seed}/{self.label}"
        self._sampler = CellSampler(study.search, stream_name, self.work_of)
        ladder = Ladder(study.scheduler, study.selection.objective)
        self._trials = CellTrials(num_planned=self._num_asked, ladder=ladder)
        self._confirmation = Confirmation(study, cell_data, self._trials, self.work_of)
        self._cell_data = {one.cell.label: one for one in (cell_data, *cell_data.confirmed)}
        self._stop_reasons: dict[str, str] = {}
        self._remembered: set[str] = set()
        self._again: deque[TrialSpec] = deque()
        self._failed_before: deque[TrialSpec] = deque()
        """Search trials that failed under an earlier driver; they start again after all others."""

        self._best_objective: float | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """The cells that its trials are of: its own, and those that its winner is confirmed on."""
        return tuple(self._cell_data)

    def spec_of(
        self, phase: Phase, number: int, params: Mapping[str, Setting], label: str = ""
    ) -> TrialSpec:
        """Return the trial at a place of a phase, of the cell of this label or of this very one."""
        cell_data = self._cell_data.get(label, self.cell_data)
        return cell_data.spec(self._study, phase, number, dict(params))

    def remember(
        self,
        spec: TrialSpec,
        state: State | None,
        objectives: Sequence[float],
        *,
        is_given_up: bool = False,
    ) -> None:
        """Take up a trial of an earlier driver; one that failed or has no state starts again.

        One without a state does so before anything new; one that failed after all others of the
        search, so that trials that always fail hold up nothing. A confirm or test trial does so
        once all before it have ended, if its configuration is still to be confirmed or tested.

        Args:
            spec: In order of its phase and number.
            state: How it ended.
            objectives: What the study maximises, after each epoch.
            is_given_up: Whether one that failed stays so.
        """
        key = spec.key
        self._remembered.add(key)
        is_search = spec.phase == "search"
        stays = is_given_up or (is_search and self._trials.ended_by)
        if state is None or (state == "failed" and not stays):
            if is_search:
                self._trials.add(spec)
                (self._again if state is None else self._failed_before).append(spec)
                self._sampler.reopen(key, spec.params)
        else:
            self._trials.add(spec)
            self._trials.end(key, state)
            if is_search:
                self._sampler.remember(spec.params, state, objectives)
                self._climb(key, state, objectives)
            elif objectives:
                self._confirmation.take(key, objectives[-1])

    def remember_pause(
        self, trial_key: str, objectives: Sequence[float], *, is_paused: bool
    ) -> None:
        """Take up the last pause of a trial that was remembered and starts again.

        Args:
            trial_key: The trial.
            objectives: What the study maximises, after each epoch before the pause.
            is_paused: Whether it still waits, so that it starts when it is promoted and not before.
        """
        if is_paused:
            spec = self._trials.specs[trial_key]
            (self._again if spec in self._again else self._failed_before).remove(spec)
        self._trials.ladder.take_up(trial_key, objectives, is_paused=is_paused)
        self.pause(trial_key, objectives)

    def next_trial(self) -> TrialSpec | None:
        """Return the trial to start now, or None where the cell waits for one that runs."""
        if self._again:
            return self._again.popleft()
        promoted = self._trials.ladder.promotable
        if promoted is not None and not self._trials.ended_by:
            self._trials.ladder.promote(promoted)
            return self._trials.specs[promoted]
        if not self._trials.has_proposed_all:
            return self._propose()
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
        """Tell whether a trial goes on after ``num_epochs``; one that is no search trial does.

        Args:
            trial_key: The trial.
            num_epochs: Epochs that it has trained.
            objective: What the study maximises, after them.
            is_restored: Whether a checkpoint holds them.
        """
        if self._trials.specs[trial_key].phase != "search":
            return True
        self._raise_best([objective])
        verdict = self._trials.ladder.decide(
            trial_key, num_epochs, objective, is_restored=is_restored
        )
        self._stop_reasons[trial_key] = verdict.reason
        return verdict.action == "go on"

    def stop_reason(self, trial_key: str) -> str:
        """Return rule, rung, objective and cutoff of a trial that is stopped; empty for others."""
        return self._stop_reasons.get(trial_key, "")

    def is_paused(self, trial_key: str) -> bool:
        """Whether a trial waits at a rung to be promoted."""
        return trial_key in self._trials.ladder.paused

    def state_of(self, trial_key: str) -> State | None:
        """Return how a trial ended, None where it has not."""
        return self._trials.states.get(trial_key)

    def pause(self, trial_key: str, objectives: Sequence[float]) -> None:
        """Take a trial's pause into the sampler."""
        self._raise_best(objectives)
        self._sampler.pause(trial_key, objectives)

    def give_up_paused(self) -> list[str]:
        """Stop the paused trials where none can be promoted any more; ``end`` each of them."""
        paused = self._trials.ladder.paused
        is_over = bool(self._trials.ended_by) or self._trials.ladder.promotable is None
        is_last = self._trials.has_proposed_all and is_over
        num_ended = self._trials.search_states.total()
        if not is_last or self._trials.num_searched > len(paused) + num_ended:
            return []
        paused.sort(key=lambda key: self._trials.specs[key].number)
        self._stop_reasons |= {key: self._trials.ladder.give_up(key) for key in paused}
        if self._trials.ended_by:
            self._stop_reasons |= dict.fromkeys(paused, f"{self._trials.ended_by} ended the search")
        return paused

    def end_search(self, ended_by: str) -> None:
        """Start no further search trial, nor a failed or paused one again; those that run go on.

        Args:
            ended_by: What ends it, such as ``the budget of 2 GPU-hours``.
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
        """Start a trial again, from its newest checkpoint if it has one, before anything new."""
        self._again.append(self._trials.specs[trial_key])

    def end(self, trial_key: str, state: State, objectives: Sequence[float]) -> None:
        """Take a trial's end into the sampler and the ladder."""
        self._trials.end(trial_key, state)
        if self._trials.specs[trial_key].phase == "search":
            self._sampler.tell(trial_key, state, objectives)
            self._climb(trial_key, state, objectives)
        elif objectives:
            self._confirmation.take(trial_key, objectives[-1])

    def _climb(self, trial_key: str, state: State, objectives: Sequence[float]) -> None:
        """Enter a trial's rungs; one that diverged or failed may not be chosen as the best."""
        self._raise_best(objectives)
        if state not in ("finished", "pruned"):
            self._trials.ladder.forget(trial_key)
            return
        for epoch, objective in enumerate(objectives):
            self._trials.ladder.record(trial_key, epoch + 1, objective)

    def _raise_best(self, objectives: Sequence[float]) -> None:
        known = [] if self._best_objective is None else [self._best_objective]
        self._best_objective = max((*objectives, *known), default=None)

    def _propose(self) -> TrialSpec:
        """Return a configuration that was never tried; only called while there is one."""
        search = self._study.search
        spec = self._given(search.start) or self._sampled()
        spec = spec or self._given(search.configurations or ())
        assert spec is not None
        self._trials.add(spec)
        return spec

    def _sampled(self) -> TrialSpec | None:
        """Take the sampler's first proposal that is unknown; None where it knows too few others."""
        number = self._trials.num_searched
        for attempt in itertools.count():
            params = self._sampler.propose(number, attempt)
            spec = self.spec_of("search", number, params)
            if spec.key not in self._trials.specs:
                self._sampler.accept(spec.key)
                return spec
            self._sampler.reject()
            is_listed = self._study.search.num_configurations is not None
            if is_listed and attempt >= _MAX_KNOWN_IN_A_ROW:
                break
        return None

    def _given(self, choices: Iterable[Mapping[str, Setting]]) -> TrialSpec | None:
        """Take the first of some configurations that is unknown; None where all are known."""
        specs = (self.spec_of("search", self._trials.num_searched, params) for params in choices)
        spec = next((spec for spec in specs if spec.key not in self._trials.specs), None)
        if spec is not None:
            self._sampler.reopen(spec.key, spec.params)
        return spec

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
        """All trials that were ever launched, by earlier drivers too."""
        return self._remembered | self._trials.specs.keys()

    @property
    def confirmed_keys(self) -> set[str]:
        """The trials whose trained models were tested, those of an earlier winner too."""
        return {
            spec.training_key
            for key, spec in self._trials.specs.items()
            if spec.sees_test and self._trials.is_finished(key)
        }

    @property
    def share_started(self) -> float:
        """Share of the planned trials that were started, in [0, 1].

        Confirm trials of a winner of fewer search trials or seeds are not among them.
        """
        num_waiting = len(self._again) + len(self._failed_before)
        num_confirmed = sum(spec.key in self._trials.specs for spec in self._confirmation.specs())
        num_planned = self._trials.num_planned + self._confirmation.num_planned
        # A candidate that an earlier driver chose may be confirmed beside those planned.
        return min(1.0, (self._trials.num_searched + num_confirmed - num_waiting) / num_planned)

    @property
    def ended_by(self) -> str:
        """What ended the search before its planned trials; empty where nothing did."""
        return self._trials.ended_by

    @property
    def num_search_left(self) -> int:
        """Search trials that are still to end, those that run or wait among them."""
        return self._trials.num_planned - self._trials.search_states.total()

    @property
    def num_confirm_left(self) -> int:
        """Confirm trials that are still to end, those that run among them."""
        return self._confirmation.num_left

    def status(self, num_running: int) -> CellStatus:
        """Return how far the cell is, without what it takes."""
        states = self._trials.search_states
        return CellStatus(
            label=self.label,
            phase="done" if self.is_done else "confirm" if self.is_searched else "search",
            planned=self._num_asked,
            running=num_running,
            paused=len(self._trials.ladder.paused),
            finished=states["finished"],
            pruned=states["pruned"],
            diverged=states["diverged"],
            failed=states["failed"],
            best_objective=self._best_objective,
            confirmed=self._confirmation.num_finished,
            confirm_planned=self._confirmation.num_planned,
        )
