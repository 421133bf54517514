"""One cell of a running study: what it starts next, and how its trials end."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from statistics import fmean

from agad.config import ClassGiven, Labelled, Setting, Study
from agad.records import Phase, State, Winner
from agad.status import CellStatus
from agad.study.front import best_first
from agad.study.ladder import Ladder
from agad.study.materials import CellMaterials, work_of
from agad.study.sampler import CellSampler
from agad.trial import TrialSpec

_MAX_KNOWN_IN_A_ROW = 32
"""So many known configurations proposed in a row, and the next unknown choice is taken instead."""


class CellRun:
    """A cell's sampler, ladder and trials. It knows nothing of Ray and of no store.

    One that searches on development classes has the confirm trials of all classes.
    """

    def __init__(self, study: Study, materials: CellMaterials) -> None:
        self.materials = materials
        self.label = materials.cell.label
        self._study = study
        self.work_of = partial(work_of, study, materials) if study.search.counts_work else None
        stream_name = f"{study.seed}/{self.label}"
        self._sampler = CellSampler(study.search, stream_name, self.work_of)
        self._ladder = Ladder(study.scheduler, study.selection.objective)
        self._materials = {one.cell.label: one for one in (materials, *materials.confirmed)}
        self._num_asked = self._num_planned = study.num_search_trials
        self._ended_by = ""
        """What ended the search before all of its trials had started."""

        self._stop_reasons: dict[str, str] = {}
        self._specs: dict[str, TrialSpec] = {}
        self._remembered: set[str] = set()
        self._states: dict[str, State] = {}
        self._num_searched = 0
        """Search trials that were started, or taken up from an earlier driver."""

        self._search_states: Counter[State] = Counter()
        """How many of these ended, and how: a driver asks for it after every result."""

        self._again: deque[TrialSpec] = deque()
        self._failed_before: deque[TrialSpec] = deque()
        """Search trials that failed under an earlier driver; they start again after all others."""

        self._best_objective: float | None = None
        self._confirms: list[TrialSpec] = []
        self._confirmed: dict[str, float] = {}
        """What the study maximises, of each confirm trial after its last epoch, by trial key."""

        self._winner: Winner | None = None
        self._tests: list[TrialSpec] = []

    @property
    def labels(self) -> tuple[str, ...]:
        """The cells that its trials are of: its own, and those that its winner is confirmed on."""
        return tuple(self._materials)

    def spec_of(
        self, phase: Phase, number: int, params: Mapping[str, Setting], label: str = ""
    ) -> TrialSpec:
        """Return the trial at a place of a phase, of the cell of this label or of this very one."""
        materials = self._materials.get(label, self.materials)
        return materials.spec(self._study, phase, number, dict(params))

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
        if state is None or (state == "failed" and not (is_given_up or self._ended_by)):
            if spec.phase == "search":
                self._add(spec)
                (self._again if state is None else self._failed_before).append(spec)
                self._sampler.reopen(key, spec.params)
        else:
            self._add(spec)
            self._set_state(key, state)
            if spec.phase == "search":
                self._sampler.remember(spec.params, state, objectives)
                self._climb(key, state, objectives)
            elif objectives:
                self._confirmed[key] = objectives[-1]

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
            spec = self._specs[trial_key]
            (self._again if spec in self._again else self._failed_before).remove(spec)
        self._ladder.take_up(trial_key, objectives, is_paused=is_paused)
        self.pause(trial_key, objectives)

    def next_trial(self) -> TrialSpec | None:
        """Return the trial to start now, or None where the cell waits for one that runs."""
        if self._again:
            return self._again.popleft()
        promoted = self._ladder.promotable
        if promoted is not None and not self._ended_by:
            self._ladder.promote(promoted)
            return self._specs[promoted]
        if not self._has_proposed_all:
            return self._propose()
        if self._failed_before:
            return self._failed_before.popleft()
        for spec in (*self._confirm_specs(), *self._test_specs()):
            if spec.key not in self._specs:
                self._add(spec)
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
        if self._specs[trial_key].phase != "search":
            return True
        self._raise_best([objective])
        verdict = self._ladder.decide(trial_key, num_epochs, objective, is_restored=is_restored)
        self._stop_reasons[trial_key] = verdict.reason
        return verdict.action == "go on"

    def stop_reason(self, trial_key: str) -> str:
        """Return rule, rung, objective and cutoff of a trial that is stopped; empty for others."""
        return self._stop_reasons.get(trial_key, "")

    def is_paused(self, trial_key: str) -> bool:
        """Whether a trial waits at a rung to be promoted."""
        return trial_key in self._ladder.paused

    def state_of(self, trial_key: str) -> State | None:
        """Return how a trial ended, None where it has not."""
        return self._states.get(trial_key)

    def pause(self, trial_key: str, objectives: Sequence[float]) -> None:
        """Take a trial's pause into the sampler."""
        self._raise_best(objectives)
        self._sampler.pause(trial_key, objectives)

    def give_up_paused(self) -> list[str]:
        """Stop the paused trials where none can be promoted any more; ``end`` each of them."""
        paused = self._ladder.paused
        is_over = bool(self._ended_by) or self._ladder.promotable is None
        is_last = self._has_proposed_all and is_over
        if not is_last or self._num_searched > len(paused) + self._num_search_ended:
            return []
        paused.sort(key=lambda key: self._specs[key].number)
        self._stop_reasons |= {key: self._ladder.give_up(key) for key in paused}
        if self._ended_by:
            self._stop_reasons |= dict.fromkeys(paused, f"{self._ended_by} ended the search")
        return paused

    def end_search(self, ended_by: str) -> None:
        """Start no further search trial, nor a failed or paused one again; those that run go on.

        Args:
            ended_by: What ends it, such as ``the budget of 2 GPU-hours``.
        """
        starts_more = not self._has_proposed_all or self._failed_before or self._ladder.paused
        if self._ended_by or not starts_more:
            return
        self._ended_by = ended_by
        self._num_planned = self._num_searched
        for spec in self._failed_before:
            self._set_state(spec.key, "failed")
        self._failed_before.clear()

    def _add(self, spec: TrialSpec) -> None:
        if spec.key not in self._specs:
            self._num_searched += spec.phase == "search"
        self._specs[spec.key] = spec

    def _set_state(self, trial_key: str, state: State) -> None:
        if self._specs[trial_key].phase == "search":
            if trial_key in self._states:
                self._search_states[self._states[trial_key]] -= 1
            self._search_states[state] += 1
        self._states[trial_key] = state

    def retry(self, trial_key: str) -> None:
        """Start a trial again, from its newest checkpoint if it has one, before anything new."""
        self._again.append(self._specs[trial_key])

    def end(self, trial_key: str, state: State, objectives: Sequence[float]) -> None:
        """Take a trial's end into the sampler and the ladder."""
        self._set_state(trial_key, state)
        if self._specs[trial_key].phase == "search":
            self._sampler.tell(trial_key, state, objectives)
            self._climb(trial_key, state, objectives)
        elif objectives:
            self._confirmed[trial_key] = objectives[-1]

    def _climb(self, trial_key: str, state: State, objectives: Sequence[float]) -> None:
        """Enter a trial's rungs; one that diverged or failed may not be chosen as the best."""
        self._raise_best(objectives)
        if state not in ("finished", "pruned"):
            self._ladder.forget(trial_key)
            return
        for epoch, objective in enumerate(objectives):
            self._ladder.record(trial_key, epoch + 1, objective)

    def _raise_best(self, objectives: Sequence[float]) -> None:
        known = [] if self._best_objective is None else [self._best_objective]
        self._best_objective = max((*objectives, *known), default=None)

    def _propose(self) -> TrialSpec:
        """Return a configuration that was never tried; only called while there is one."""
        search = self._study.search
        spec = self._given(search.start) or self._sampled()
        spec = spec or self._given(search.configurations or ())
        assert spec is not None
        self._add(spec)
        return spec

    def _sampled(self) -> TrialSpec | None:
        """Take the sampler's first proposal that is unknown; None where it knows too few others."""
        number = self._num_searched
        for attempt in itertools.count():
            params = self._sampler.propose(number, attempt)
            spec = self.spec_of("search", number, params)
            if spec.key not in self._specs:
                self._sampler.accept(spec.key)
                return spec
            self._sampler.reject()
            is_listed = self._study.search.num_configurations is not None
            if is_listed and attempt >= _MAX_KNOWN_IN_A_ROW:
                break
        return None

    def _given(self, choices: Iterable[Mapping[str, Setting]]) -> TrialSpec | None:
        """Take the first of some configurations that is unknown; None where all are known."""
        specs = (self.spec_of("search", self._num_searched, params) for params in choices)
        spec = next((spec for spec in specs if spec.key not in self._specs), None)
        if spec is not None:
            self._sampler.reopen(spec.key, spec.params)
        return spec

    def _confirm_specs(self) -> list[TrialSpec]:
        """The candidates on every class and fresh seed; nothing while a search trial is to end."""
        if self.is_searched and not self._confirms:
            self._confirms = [
                spec for params in self._candidates() for spec in self._on_fresh_seeds(params)
            ]
        return self._confirms

    def _candidates(self) -> list[dict[str, Setting]]:
        """The best configurations, the best first, and with them a winner that was one earlier.

        A winner that was the only candidate stays so: whatever is found out later, its confirm
        trials have seen the test split.
        """
        if self._has_one_candidate and self._winner is not None:
            return [self._winner.params]
        if not self._study.selection.searches:
            return [self._only_params]
        best = [spec.params for spec in self._ranking()[: self._study.confirm.candidates]]
        if self._winner is not None and self._winner.params not in best:
            best.append(self._winner.params)
        return best

    @property
    def _only_params(self) -> dict[str, Setting]:
        """The one configuration there is where nothing is searched."""
        configurations = self._study.search.configurations
        assert configurations is not None
        return next(configurations)

    def _ranking(self) -> list[TrialSpec]:
        """The search trials, the best first, with two objectives those of the Pareto front."""
        ranking = self._ladder.ranking()
        return best_first([[self._specs[key] for key in tied] for tied in ranking], self.work_of)

    @property
    def _has_one_candidate(self) -> bool:
        return self._study.confirm.candidates == 1

    def _on_fresh_seeds(
        self, params: Mapping[str, Setting], phase: Phase = "confirm"
    ) -> list[TrialSpec]:
        return [
            one.spec(self._study, phase, number, dict(params))
            for one in self.materials.confirmed
            for number in range(self._study.confirm.seeds)
        ]

    def _test_specs(self) -> list[TrialSpec]:
        """The winner on every fresh seed that it finished on; nothing before there is a winner."""
        if self._has_one_candidate:
            return []  # Its confirm trials see the test split.
        if self._winner is not None and self._is_confirmed and not self._tests:
            tests = self._on_fresh_seeds(self._winner.params, "test")
            self._tests = [spec for spec in tests if self._is_finished(spec.training_key)]
        return self._tests

    def choice(self) -> Winner | None:
        """Return the candidate to keep as the winner; None while or where there is none to choose.

        Of several it is the one with the most finished confirm trials, then with the highest mean
        objective, then the better one of the search; where there are development classes, trials of
        others count for nothing. One alone is chosen by the search, before its confirm trials;
        where these have all ended, it is too late to choose.
        """
        if self._winner is not None or not self.is_searched:
            return None
        if self._has_one_candidate:
            if self._is_confirmed:
                return None
            if not self._study.selection.searches:
                return self._as_winner(self._only_params, None)
            best = self._ranking()[0]
            return self._as_winner(best.params, self._ladder.last_objective(best.key))
        if not self._is_confirmed:
            return None
        finished = [
            [
                spec
                for spec in self._on_fresh_seeds(params)
                if self._is_finished(spec.key) and spec.cell.given_class in self._deciding
            ]
            for params in self._candidates()
        ]
        means = [
            (len(specs), fmean(self._confirmed[spec.key] for spec in specs), specs[0].params)
            for specs in finished
            if specs
        ]
        if not means:
            return None
        _, objective, params = max(means, key=lambda one: one[:2])
        return self._as_winner(params, objective)

    @property
    def _deciding(self) -> tuple[ClassGiven, ...]:
        """The classes whose confirm trials choose among candidates."""
        return self.materials.cell.classes

    def _as_winner(self, params: dict[str, Setting], objective: float | None) -> Winner:
        is_auroc = isinstance(self._study.selection, Labelled)
        return Winner(
            cell=self.label,
            num_search_trials=self._num_planned,
            num_seeds=self._study.confirm.seeds,
            params=params,
            val_auroc=objective if is_auroc else None,
            objective=objective,
            ended_by=self._ended_by,
        )

    def take_winner(self, winner: Winner) -> None:
        """Take the winner that is kept; one of another number of trials or seeds is none.

        Where the study's budget ended the search before it, as it is now, the search stays ended.
        """
        is_ended = winner.ended_by in self._study.budget.names.values()
        if is_ended and winner.num_seeds == self._study.confirm.seeds:
            self._ended_by, self._num_planned = winner.ended_by, winner.num_search_trials
        extent = (self._num_planned, self._study.confirm.seeds)
        if (winner.num_search_trials, winner.num_seeds) == extent:
            self._winner = winner
            self._confirms = []  # It may be one that an earlier driver had among its candidates.

    def _is_finished(self, trial_key: str) -> bool:
        return self._states.get(trial_key) == "finished"

    @property
    def _is_confirmed(self) -> bool:
        """Whether every confirm trial has ended."""
        confirms = self._confirm_specs()
        return self.is_searched and all(spec.key in self._states for spec in confirms)

    @property
    def _num_search_ended(self) -> int:
        return self._search_states.total()

    @property
    def _has_proposed_all(self) -> bool:
        return self._num_searched >= self._num_planned

    @property
    def is_searched(self) -> bool:
        """Whether every search trial has ended."""
        return self._has_proposed_all and self._num_search_ended == self._num_searched

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to start or to wait for."""
        if not self._is_confirmed or self.choice() is not None:
            return False
        return all(spec.key in self._states for spec in self._test_specs())

    @property
    def trial_keys(self) -> set[str]:
        """All trials that were ever launched, by earlier drivers too."""
        return self._remembered | self._specs.keys()

    @property
    def confirmed_keys(self) -> set[str]:
        """The trials whose trained models were tested, those of an earlier winner too."""
        return {
            spec.training_key
            for key, spec in self._specs.items()
            if spec.sees_test and self._is_finished(key)
        }

    @property
    def share_started(self) -> float:
        """Share of the planned trials that were started, in [0, 1]."""
        num_waiting = len(self._again) + len(self._failed_before)
        return (len(self._specs) - num_waiting) / (self._num_planned + self._num_to_confirm)

    @property
    def ended_by(self) -> str:
        """What ended the search before its planned trials; empty where nothing did."""
        return self._ended_by

    @property
    def _num_to_confirm(self) -> int:
        """Confirm trials, and where these do not see the test split, test trials."""
        confirm = self._study.confirm
        of_class = confirm.num_trials + (confirm.seeds if confirm.candidates > 1 else 0)
        return of_class * len(self.materials.confirmed)

    @property
    def num_confirm_left(self) -> int:
        """Confirm trials that are still to end, those that run among them."""
        if not self.is_searched:
            return self._study.confirm.num_trials * len(self.materials.confirmed)
        return sum(spec.key not in self._states for spec in self._confirm_specs())

    def status(self, num_running: int) -> CellStatus:
        """Return how far the cell is, without what it takes."""
        confirms = [
            self._states.get(spec.key) for spec in (*self._confirm_specs(), *self._test_specs())
        ]
        return CellStatus(
            label=self.label,
            phase="done" if self.is_done else "confirm" if self.is_searched else "search",
            planned=self._num_asked,
            running=num_running,
            paused=len(self._ladder.paused),
            finished=self._search_states["finished"],
            pruned=self._search_states["pruned"],
            diverged=self._search_states["diverged"],
            failed=self._search_states["failed"],
            best_objective=self._best_objective,
            confirmed=confirms.count("finished"),
            confirm_planned=self._num_to_confirm,
        )
