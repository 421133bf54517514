"""The confirm phase of a running cell: its candidates, its winner and the winner's tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

from agad.config import ClassGiven, Labelled, Setting
from agad.records import Phase, Winner
from agad.study.cell_data import CellData
from agad.study.trials import CellTrials
from agad.trial import TrialSpec


class Confirmation:
    """The trials that a cell starts after its search, and the choice of its winner."""

    def __init__(
        self,
        cell_data: CellData,
        trials: CellTrials,
        work_of: Callable[[Mapping[str, Setting]], int] | None,
    ) -> None:
        """Start without a winner.

        Args:
            cell_data: The data of the cell, and of the cells that its winner is confirmed on.
            trials: The trials of the cell. A kept winner sets the number of planned search trials.
            work_of: Returns a configuration's second objective, if the search counts work.
        """
        self._study = cell_data.study
        self._cell_data = cell_data
        self._trials = trials
        self._work_of = work_of
        self._objectives: dict[str, float] = {}
        """The objective of each confirm trial after its last epoch, by trial key."""

        self._confirms: list[TrialSpec] = []
        self._winner: Winner | None = None
        self._ever_won: list[dict[str, Setting]] = []
        """The parameters of every kept winner, whatever its number of search trials and seeds."""

        self._tests: list[TrialSpec] = []

    def take(self, trial_key: str, objective: float) -> None:
        """Take the objective of a confirm or test trial after its last epoch."""
        self._objectives[trial_key] = objective

    def specs(self) -> list[TrialSpec]:
        """Return all trials that can start now, in their order."""
        return [*self._confirm_specs(), *self._test_specs()]

    def _confirm_specs(self) -> list[TrialSpec]:
        """The candidates on every class and fresh seed; empty until every search trial ended."""
        if self._trials.is_searched and not self._confirms:
            self._confirms = [
                spec for params in self._candidates() for spec in self._on_fresh_seeds(params)
            ]
        return self._confirms

    def _candidates(self) -> list[dict[str, Setting]]:
        """The best configurations, the best first, and also the kept winner if there is one.

        A kept winner that was the only candidate stays the only candidate. Later results cannot
        change this: the winner's confirm trials have seen the test split.
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
        """The only configuration of a study that searches nothing."""
        configurations = self._study.search.configurations
        assert configurations is not None
        return next(configurations)

    def _ranking(self) -> list[TrialSpec]:
        """The search trials, the best first; with two objectives, the Pareto front comes first."""
        ranking = self._trials.ladder.ranking()
        return _best_first(
            [[self._trials.specs[key] for key in tied] for tied in ranking], self._work_of
        )

    @property
    def _has_one_candidate(self) -> bool:
        return self._study.confirm.candidates == 1

    def _on_fresh_seeds(
        self, params: Mapping[str, Setting], phase: Phase = "confirm"
    ) -> list[TrialSpec]:
        return [
            one.spec(phase, number, dict(params))
            for one in self._cell_data.confirmed
            for number in range(self._study.confirm.seeds)
        ]

    def _test_specs(self) -> list[TrialSpec]:
        """The winner on every fresh seed that it finished on; empty before a winner exists."""
        if self._has_one_candidate:
            return []  # Its confirm trials see the test split.
        if self._winner is not None and self._is_confirmed and not self._tests:
            tests = self._on_fresh_seeds(self._winner.params, "test")
            self._tests = [spec for spec in tests if self._trials.is_finished(spec.training_key)]
        return self._tests

    def choice(self) -> Winner | None:
        """Return the candidate to keep as the winner; None if there is nothing to choose now.

        Several candidates are ordered by the number of finished confirm trials, then by the mean
        objective, then by rank in the search. With development classes, only the confirm trials of
        these classes count.

        A single candidate is chosen by the search, before its confirm trials start. After all of
        them have ended, only a configuration that was a winner before may be chosen.
        """
        if self._winner is not None or not self._trials.is_searched:
            return None
        if self._has_one_candidate:
            if self._is_confirmed and not any(
                params in self._ever_won for params in self._candidates()
            ):
                return None
            if not self._study.selection.searches:
                return self._as_winner(self._only_params, None)
            best = self._ranking()[0]
            return self._as_winner(best.params, self._trials.ladder.last_objective(best.key))
        if not self._is_confirmed:
            return None
        finished = [
            [
                spec
                for spec in self._on_fresh_seeds(params)
                if self._trials.is_finished(spec.key) and spec.cell.given_class in self._deciding
            ]
            for params in self._candidates()
        ]
        means = [
            (len(specs), fmean(self._objectives[spec.key] for spec in specs), specs[0].params)
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
        return self._cell_data.cell.classes

    def _as_winner(self, params: dict[str, Setting], objective: float | None) -> Winner:
        is_auroc = isinstance(self._study.selection, Labelled)
        return Winner(
            cell=self._cell_data.cell.label,
            num_search_trials=self._trials.num_planned,
            num_seeds=self._study.confirm.seeds,
            params=params,
            val_auroc=objective if is_auroc else None,
            objective=objective,
            ended_by=self._trials.ended_by,
        )

    def take_winner(self, winner: Winner) -> None:
        """Take a kept winner; ignore a winner of another number of search trials or seeds.

        If a limit of the study's present budget ended that winner's search, the search stays ended.
        """
        self._ever_won.append(winner.params)
        is_ended = winner.ended_by in self._study.budget.names.values()
        if is_ended and winner.num_seeds == self._study.confirm.seeds:
            self._trials.ended_by = winner.ended_by
            self._trials.num_planned = winner.num_search_trials
        extent = (self._trials.num_planned, self._study.confirm.seeds)
        if (winner.num_search_trials, winner.num_seeds) == extent:
            self._winner = winner
            self._confirms = []  # The winner may be a candidate of an earlier driver alone.

    @property
    def _is_confirmed(self) -> bool:
        """Whether every confirm trial has ended."""
        confirms = self._confirm_specs()
        return self._trials.is_searched and all(
            spec.key in self._trials.states for spec in confirms
        )

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to start or to wait for."""
        if not self._is_confirmed or self.choice() is not None:
            return False
        return all(spec.key in self._trials.states for spec in self._test_specs())

    @property
    def num_planned(self) -> int:
        """Confirm trials, plus test trials if the confirm trials do not see the test split."""
        confirm = self._study.confirm
        of_class = confirm.num_trials + (confirm.seeds if confirm.candidates > 1 else 0)
        return of_class * len(self._cell_data.confirmed)

    @property
    def num_left(self) -> int:
        """Confirm trials that have not ended, also those that run."""
        if not self._trials.is_searched:
            return self._study.confirm.num_trials * len(self._cell_data.confirmed)
        return sum(spec.key not in self._trials.states for spec in self._confirm_specs())

    @property
    def num_finished(self) -> int:
        """The number of trials in ``specs`` that finished."""
        return sum(self._trials.is_finished(spec.key) for spec in self.specs())


def _best_first(
    ranking: Sequence[Sequence[TrialSpec]],
    work_of: Callable[[Mapping[str, Setting]], int] | None,
) -> list[TrialSpec]:
    """Return trials from the best to the worst; with two objectives, the Pareto front comes first.

    A trial is in the front if every other trial that is as good takes more work. If trials are
    equal, the lowest number comes first: a later driver does not know which trial ended first.

    Args:
        ranking: The best first; trials that tie in their objective stand together.
        work_of: Returns a configuration's work (less is better); None if work is no objective.
    """
    ordered = [sorted(tied, key=lambda spec: spec.number) for tied in ranking]
    if work_of is None:
        return [spec for tied in ordered for spec in tied]
    front: list[TrialSpec] = []
    others: list[TrialSpec] = []
    least = float("inf")
    for tied in ordered:
        works = {spec.key: work_of(spec.params) for spec in tied}
        for spec in sorted(tied, key=lambda spec: works[spec.key]):
            (front if works[spec.key] < least else others).append(spec)
            least = min(least, works[spec.key])
    return front + others
