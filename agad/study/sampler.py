"""One cell's search: an Optuna study that proposes and is told how each trial ended."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
)
from optuna.trial import TrialState

from agad.config import Choice, Distribution, LogUniform, Search, Setting
from agad.records import State

optuna.logging.set_verbosity(optuna.logging.WARNING)

_TOLD: dict[State, TrialState] = {
    "finished": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "diverged": TrialState.FAIL,
    "failed": TrialState.FAIL,
}


def _optuna_distribution(distribution: Distribution) -> BaseDistribution:
    if isinstance(distribution, Choice):
        return CategoricalDistribution(tuple(distribution.values))
    is_log = isinstance(distribution, LogUniform)
    return FloatDistribution(distribution.low, distribution.high, log=is_log)


class CellSampler:
    """A TPE sampler with the memory of one cell.

    Proposal k draws from a stream that the study's seed, the cell and k decide, so a sampler that
    is built again after a restart does not repeat itself.
    """

    def __init__(self, search: Search, stream_name: str) -> None:
        """Start empty.

        Args:
            search: The space, and the number of random trials before TPE learns.
            stream_name: Names the study's seed and the cell.
        """
        self._search = search
        self._stream_name = stream_name
        self._distributions = {
            name: _optuna_distribution(distribution) for name, distribution in search.space.items()
        }
        self._study = optuna.create_study(direction="maximize")
        self._open: dict[str, optuna.Trial] = {}
        self._proposed: optuna.Trial | None = None

    def propose(self, number: int) -> dict[str, Setting]:
        """Draw proposal ``number``; ``accept`` or ``reject`` it before the next."""
        digest = hashlib.sha256(f"{self._stream_name}/{number}".encode()).digest()
        self._study.sampler = optuna.samplers.TPESampler(
            n_startup_trials=self._search.num_startup_trials,
            seed=int.from_bytes(digest[:4], "big"),
        )
        self._proposed = self._study.ask(self._distributions)
        return dict(self._proposed.params)

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
        """Take up a trial that an earlier driver started."""
        self._study.enqueue_trial(dict(params))
        self._open[trial_key] = self._study.ask(self._distributions)

    def tell(self, trial_key: str, state: State, objectives: Sequence[float]) -> None:
        """End a running trial.

        Args:
            trial_key: Of an accepted or reopened trial.
            state: A stopped trial is PRUNED, a diverged or failed one FAIL.
            objectives: After each epoch, from the first.
        """
        trial = self._open.pop(trial_key)
        told = _TOLD[state]
        if told is not TrialState.FAIL:
            for epoch, objective in enumerate(objectives):
                trial.report(objective, epoch)
        value = objectives[-1] if told is TrialState.COMPLETE else None
        self._study.tell(trial, value, state=told)

    def remember(
        self, params: Mapping[str, Setting], state: State, objectives: Sequence[float]
    ) -> None:
        """Add a trial that ended under an earlier driver."""
        told = _TOLD[state]
        self._study.add_trial(
            optuna.trial.create_trial(
                state=told,
                params=dict(params),
                distributions=self._distributions,
                value=objectives[-1] if told is TrialState.COMPLETE else None,
                intermediate_values=dict(enumerate(objectives)),
            )
        )

    @property
    def trials(self) -> list[optuna.trial.FrozenTrial]:
        """What Optuna was told."""
        return self._study.trials
