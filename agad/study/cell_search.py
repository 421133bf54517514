"""The search phase of a running cell: what is tried, and which trials stop, pause or continue."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence

from agad.config import Setting
from agad.records import State
from agad.search import CellSampler
from agad.study.cell_data import CellData
from agad.study.trials import CellTrials
from agad.trial import TrialSpec

_MAX_KNOWN_IN_A_ROW = 32
"""Consecutive proposals of known configurations after which the next unknown configuration of the
list is taken."""


class CellSearch:
    """A cell's sampler and the ladder of its search trials."""

    def __init__(
        self,
        cell_data: CellData,
        trials: CellTrials,
        work_of: Callable[[Mapping[str, Setting]], int] | None,
    ) -> None:
        """Start without a trial.

        Args:
            cell_data: The data of the cell.
            trials: The trials of the cell, with the ladder of its search.
            work_of: Returns a configuration's second objective, if the search counts work.
        """
        study = self._study = cell_data.study
        self._cell_data = cell_data
        self._trials = trials
        stream_name = f"{study.seed}/{cell_data.cell.label}"
        self._sampler = CellSampler(study.search, stream_name, work_of)
        self._stop_reasons: dict[str, str] = {}
        self.best_objective: float | None = None
        """The highest objective so far, of any trial after any epoch."""

    def remember(self, spec: TrialSpec, state: State, objectives: Sequence[float]) -> None:
        """Take up a trial that ended under an earlier driver."""
        self._sampler.remember(spec.params, state, objectives)
        self._climb(spec.key, state, objectives)

    def reopen(self, spec: TrialSpec) -> None:
        """Take up a trial of an earlier driver that starts again."""
        self._sampler.reopen(spec.key, spec.params)

    def remember_pause(
        self, trial_key: str, objectives: Sequence[float], *, is_paused: bool
    ) -> None:
        """Take up the last pause of a reopened trial, which may still wait."""
        self._trials.ladder.take_up(trial_key, objectives, is_paused=is_paused)
        self.pause(trial_key, objectives)

    def propose(self) -> TrialSpec:
        """Return a configuration that was never tried; only called while one exists."""
        search = self._study.search
        spec = self._given(search.start) or self._sampled()
        spec = spec or self._given(search.configurations or ())
        assert spec is not None
        self._trials.add(spec)
        return spec

    def _sampled(self) -> TrialSpec | None:
        """Take the sampler's first unknown proposal; None after too many known proposals."""
        for attempt in itertools.count():
            params = self._sampler.propose(self._trials.num_searched, attempt)
            spec = self._spec_of(params)
            if spec.key not in self._trials.specs:
                self._sampler.accept(spec.key)
                return spec
            self._sampler.reject()
            is_listed = self._study.search.num_configurations is not None
            if is_listed and attempt >= _MAX_KNOWN_IN_A_ROW:
                break
        return None

    def _given(self, choices: Iterable[Mapping[str, Setting]]) -> TrialSpec | None:
        """Take the first unknown configuration; None if all are known."""
        specs = (self._spec_of(params) for params in choices)
        spec = next((spec for spec in specs if spec.key not in self._trials.specs), None)
        if spec is not None:
            self.reopen(spec)
        return spec

    def _spec_of(self, params: Mapping[str, Setting]) -> TrialSpec:
        """Return the trial that would try a configuration next."""
        return self._cell_data.search_spec(self._trials.num_searched, dict(params))

    def survives(
        self, trial_key: str, num_epochs: int, objective: float, *, is_restored: bool
    ) -> bool:
        """Return whether a trial continues, and remember why if the ladder stops the trial."""
        self._raise_best([objective])
        decision = self._trials.ladder.decide(
            trial_key, num_epochs, objective, is_restored=is_restored
        )
        self._stop_reasons[trial_key] = decision.reason
        return decision.action == "go on"

    def stop_reason(self, trial_key: str) -> str:
        """Return rule, rung, objective and cutoff of a trial that is stopped; empty for others."""
        return self._stop_reasons.get(trial_key, "")

    def pause(self, trial_key: str, objectives: Sequence[float]) -> None:
        """Let the sampler learn from a trial that paused."""
        self._raise_best(objectives)
        self._sampler.pause(trial_key, objectives)

    def promote(self) -> TrialSpec | None:
        """Let the best paused trial continue; None if no trial may, or if the search is over."""
        trial_key = self._trials.ladder.promotable
        if trial_key is None or self._trials.ended_by:
            return None
        self._trials.ladder.promote(trial_key)
        return self._trials.specs[trial_key]

    def give_up_paused(self) -> list[str]:
        """Stop the paused trials if none can be promoted any more; ``end`` each of them."""
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

    def end(self, trial_key: str, state: State, objectives: Sequence[float]) -> None:
        """Take a trial's end into the sampler and the ladder."""
        self._sampler.tell(trial_key, state, objectives)
        self._climb(trial_key, state, objectives)

    def _climb(self, trial_key: str, state: State, objectives: Sequence[float]) -> None:
        """Enter a trial at its rungs; a trial that diverged or failed cannot become the best."""
        self._raise_best(objectives)
        if state not in ("finished", "pruned"):
            self._trials.ladder.forget(trial_key)
            return
        for epoch, objective in enumerate(objectives):
            self._trials.ladder.record(trial_key, epoch + 1, objective)

    def _raise_best(self, objectives: Sequence[float]) -> None:
        known = [] if self.best_objective is None else [self.best_objective]
        self.best_objective = max((*objectives, *known), default=None)
