"""The search of one cell: a sampler, and an Optuna study that records how each trial ended."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from agad.config import Search, Setting, Tpe, all_axes, draw
from agad.records import State
from agad.search.optuna_trials import TOLD, EndedTrial, labelled_params, optuna_distribution
from agad.search.proposals import Place, Seen, proposer_of, suggested_by

_STATE = "state"
"""Attribute of an Optuna trial: how the trial ended. Optuna's FAIL does not say whether the trial
diverged, failed, or had a known configuration."""


class CellSampler:
    """A sampler with the memory of one cell.

    Proposal k depends on a random stream and on the results of the trials before. The study's
    seed, the cell and k choose the stream. A serial study therefore repeats exactly. A sampler that
    is built again after a restart proposes what the first sampler would have proposed.
    """

    def __init__(
        self,
        search: Search,
        stream_name: str,
        work_of: Callable[[Mapping[str, Setting]], int] | None = None,
    ) -> None:
        """Start empty.

        Args:
            search: The space and the sampler.
            stream_name: Names the study's seed and the cell.
            work_of: Returns a configuration's second objective, if ``search.counts_work``.
        """
        self._work_of = work_of
        self._search = search
        self._stream_name = stream_name
        self._proposer = proposer_of(search, _seed(stream_name))
        self._study = optuna.create_study(direction="maximize")
        self._params: dict[int, dict[str, Setting]] = {}
        """Configurations by the number of their Optuna trial."""

        self._paused: dict[int, list[float]] = {}
        """Objectives of open trials that have paused, by the number of their Optuna trial."""

        self._open: dict[str, optuna.Trial] = {}
        self._proposed: optuna.Trial | None = None

    def propose(self, number: int, attempt: int = 0) -> dict[str, Setting]:
        """Draw a proposal; ``accept`` or ``reject`` it before the next.

        Args:
            number: Search trials of the cell before this proposal.
            attempt: Proposals with this number that were rejected.
        """
        retried = f"/{attempt}" if attempt else ""
        seed = _seed(f"{self._stream_name}/{number}{retried}")
        if self._proposer is None:
            params = self._suggested(self._optuna_sampler(seed))
        else:
            place = Place(number=number, attempt=attempt, seed=seed)
            params = self._proposer.propose(place, self._seen())
            self._proposed = self._asked(params)
        return dict(params)

    def _suggested(self, sampler: optuna.samplers.BaseSampler) -> dict[str, Setting]:
        """Draw the proposal from an Optuna sampler."""
        if self._paused:
            known = optuna.create_study(direction="maximize", sampler=sampler)
            known.add_trials(self._as_seen(one) for one in self._study.get_trials(deepcopy=False))
            params = draw(self._search.space, suggested_by(known.ask()))
            self._proposed = self._asked(params)
            return params
        self._study.sampler = sampler
        self._proposed = self._study.ask()
        params = draw(self._search.space, suggested_by(self._proposed))
        self._params[self._proposed.number] = params
        return params

    def _as_seen(self, trial: FrozenTrial) -> FrozenTrial:
        """Return a trial as a sampler sees it: a paused trial looks stopped at its rung."""
        objectives = self._paused.get(trial.number)
        if objectives is None:
            return trial
        return optuna.trial.create_trial(
            state=TrialState.PRUNED,
            params=trial.params,
            distributions=trial.distributions,
            intermediate_values=dict(enumerate(objectives)),
        )

    def accept(self, trial_key: str) -> None:
        """Take the last proposal as a running trial."""
        if self._proposed is not None:
            self._open[trial_key] = self._proposed
        self._proposed = None

    def reject(self) -> None:
        """Drop the last proposal: its configuration is known already."""
        if self._proposed is not None:
            self._study.tell(self._proposed, state=TrialState.FAIL)
        self._proposed = None

    def reopen(self, trial_key: str, params: Mapping[str, Setting]) -> None:
        """Add an open trial that was not proposed here: an earlier driver's, or a start point."""
        self._open[trial_key] = self._asked(params)

    def pause(self, trial_key: str, objectives: Sequence[float]) -> None:
        """Learn from a paused trial's objectives until ``tell``, even while the trial goes on.

        Most trials pause. As a running trial, a paused trial would count for nothing or as bad.

        Args:
            trial_key: Key of an accepted or reopened trial.
            objectives: Objective after each epoch, from the first.
        """
        self._paused[self._open[trial_key].number] = list(objectives)

    def tell(self, trial_key: str, state: State, objectives: Sequence[float]) -> None:
        """End a running trial.

        Args:
            trial_key: Key of an accepted or reopened trial.
            state: Optuna calls a stopped trial PRUNED, and a diverged or failed trial FAIL.
            objectives: Objective after each epoch, from the first.
        """
        trial = self._open.pop(trial_key)
        self._paused.pop(trial.number, None)
        trial.set_user_attr(_STATE, state)
        told = TOLD[state]
        if told is not TrialState.FAIL:
            for epoch, objective in enumerate(objectives):
                trial.report(objective, epoch)
        value = objectives[-1] if told is TrialState.COMPLETE else None
        self._study.tell(trial, value, state=told)

    def remember(
        self, params: Mapping[str, Setting], state: State, objectives: Sequence[float]
    ) -> None:
        """Add a trial that ended under an earlier driver."""
        self._params[len(self._study.get_trials(deepcopy=False))] = dict(params)
        ended = EndedTrial(
            params=params,
            state=state,
            objectives=dict(enumerate(objectives)),
            attributes={_STATE: state},
        )
        self._study.add_trial(ended.frozen(self._search))

    @property
    def trials(self) -> list[FrozenTrial]:
        """The trials as Optuna knows them."""
        return self._study.trials

    def _asked(self, params: Mapping[str, Setting]) -> optuna.Trial:
        labelled = labelled_params(self._search, params)
        self._study.enqueue_trial({label: value for label, (value, _) in labelled.items()})
        self._study.sampler = optuna.samplers.RandomSampler(seed=0)  # Nothing is left to draw.
        trial = self._study.ask()
        self._params[trial.number] = draw(self._search.space, suggested_by(trial))
        return trial

    def _optuna_sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        sampler = self._search.sampler
        if not isinstance(sampler, Tpe):
            return optuna.samplers.RandomSampler(seed=seed)
        axes = all_axes(self._search.space)
        has_branches = any(axis.label != axis.name for axis in axes)
        known_space = None
        if sampler.multivariate and not has_branches:
            known_space = {axis.label: optuna_distribution(axis.draw) for axis in axes}
        with warnings.catch_warnings():
            # Optuna calls the grouping by branch experimental.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return _TpeSampler(
                known_space,
                n_startup_trials=self._search.num_startup_trials,
                multivariate=sampler.multivariate,
                group=sampler.multivariate and has_branches,
                constant_liar=True,
                seed=seed,
            )

    def _seen(self) -> list[Seen]:
        """Return the trials that a model learns from, in order of their number."""
        seen = []
        for trial in self._study.get_trials(deepcopy=False):
            state = trial.user_attrs.get(_STATE)
            paused = self._paused.get(trial.number)
            is_running = trial.state is TrialState.RUNNING and paused is None
            if is_running or paused or state in ("finished", "pruned", "diverged"):
                values = dict(enumerate(paused)) if paused else trial.intermediate_values
                is_scored = (paused or state in ("finished", "pruned")) and values
                score = values[max(values)] if is_scored else None
                params = self._params[trial.number]
                work = self._work_of(params) if self._work_of is not None else None
                seen.append(Seen(params=params, score=score, work=work, is_running=is_running))
        return seen


class _TpeSampler(optuna.samplers.TPESampler):
    """TPE that is given its search space, and need not find it in all trials at every proposal."""

    def __init__(
        self,
        known_space: Mapping[str, BaseDistribution] | None,
        **settings: Any,  # noqa: ANN401  Optuna's own.
    ) -> None:
        """Take the distributions of every trial by label, or None if trials differ in them."""
        super().__init__(**settings)
        self._known_space = known_space

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the distributions that are drawn together."""
        if self._known_space is None:
            return super().infer_relative_search_space(study, trial)
        varied = {label: one for label, one in self._known_space.items() if not one.single()}
        return dict(sorted(varied.items()))


def _seed(stream_name: str) -> int:
    return int.from_bytes(hashlib.sha256(stream_name.encode()).digest()[:4], "big")
