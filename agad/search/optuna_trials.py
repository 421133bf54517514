"""Ended trials in Optuna's form, for a running search and for later readers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from agad.config import Axis, Choice, Draw, Fixed, IntUniform, LogUniform, Search, Setting, draw
from agad.errors import ConfigError, StoreError
from agad.records import State

optuna.logging.set_verbosity(optuna.logging.WARNING)

TOLD: dict[State, TrialState] = {
    "finished": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "diverged": TrialState.FAIL,
    "failed": TrialState.FAIL,
}

MIN_IMPORTANCE_TRIALS = 10
"""The fewest trials for which importances are computed."""

_BEST_SHARE = 0.25
"""Share of best trials that PED-ANOVA compares with all. A tenth of 10 trials would be 1 trial."""


def optuna_distribution(one: Draw) -> BaseDistribution:
    """Return a distribution in Optuna's form."""
    if isinstance(one, Choice | Fixed):
        return CategoricalDistribution(tuple(one.values))
    if isinstance(one, IntUniform):
        return IntDistribution(one.low, one.high, log=one.log, step=one.step)
    return FloatDistribution(one.low, one.high, log=isinstance(one, LogUniform))


def labelled_params(
    search: Search, params: Mapping[str, Setting]
) -> dict[str, tuple[Setting, BaseDistribution]]:
    """Return the value and the Optuna distribution of each parameter, by the axis's label."""
    found: dict[str, tuple[Setting, BaseDistribution]] = {}

    def pick(axis: Axis) -> Setting:
        found[axis.label] = (params[axis.name], optuna_distribution(axis.draw))
        return params[axis.name]

    draw(search.space, pick)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedTrial:
    """A trial that ended."""

    params: Mapping[str, Setting]
    """The searched parameters, by name."""

    state: State
    objectives: Mapping[int, float]
    """Objective after each epoch, by epoch. Epochs count from 0 and ascend."""

    attributes: Mapping[str, Any] = field(default_factory=dict)
    """User attributes of the Optuna trial; JSON must be able to hold them."""

    started_at: datetime | None = None
    ended_at: datetime | None = None

    def frozen(self, search: Search) -> FrozenTrial:
        """Return the trial in Optuna's form; a finished trial without an objective failed.

        Raises:
            KeyError: ``params`` lacks a parameter of the space.
            ValueError: A parameter's value is outside the space.
        """
        labelled = labelled_params(search, self.params)
        told = TOLD[self.state]
        if told is TrialState.COMPLETE and not self.objectives:
            told = TrialState.FAIL
        is_complete = told is TrialState.COMPLETE
        trial = optuna.trial.create_trial(
            state=told,
            params={label: value for label, (value, _) in labelled.items()},
            distributions={label: one for label, (_, one) in labelled.items()},
            value=self.objectives[max(self.objectives)] if is_complete else None,
            intermediate_values=dict(self.objectives),
            user_attrs=dict(self.attributes),
        )
        if self.started_at is not None:
            trial.datetime_start = _as_optuna_has_it(self.started_at)
        if self.ended_at is not None:
            trial.datetime_complete = _as_optuna_has_it(self.ended_at)
        return trial


def _as_optuna_has_it(moment: datetime) -> datetime:
    """Return a moment in local time without a zone."""
    return moment.astimezone().replace(tzinfo=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedSearch:
    """The ended trials of one cell's search, for an Optuna study."""

    name: str
    """Name of the Optuna study."""

    search: Search
    trials: Sequence[EndedTrial]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """User attributes of the Optuna study; JSON must be able to hold them."""


def optuna_studies(
    searches: Sequence[EndedSearch], storage: optuna.storages.BaseStorage | None = None
) -> dict[str, optuna.Study]:
    """Return an Optuna study for each search, by its name.

    Args:
        searches: Their names must differ.
        storage: Holds all studies; None keeps them in memory.

    Raises:
        StoreError: A trial's parameters are outside its search's space.
    """
    storage = storage or optuna.storages.InMemoryStorage()
    studies = {}
    for one in searches:
        study = optuna.create_study(storage=storage, study_name=one.name, direction="maximize")
        study.add_trials(_frozen_trials(one))
        for name, value in one.attributes.items():
            study.set_user_attr(name, value)
        studies[one.name] = study
    return studies


def _frozen_trials(one: EndedSearch) -> list[FrozenTrial]:
    try:
        return [trial.frozen(one.search) for trial in one.trials]
    except (KeyError, ValueError) as error:
        raise StoreError(
            f"a trial of {one.name} has parameters that are not of its study's space "
            f"({type(error).__name__}: {error}); restore its row from a copy."
        ) from error


def dashboard_app(searches: Sequence[EndedSearch]) -> Callable[..., Iterable[bytes]]:
    """Return optuna-dashboard's WSGI application of these searches, held in memory.

    Raises:
        ConfigError: optuna-dashboard is not installed.
        StoreError: As in ``optuna_studies``.
    """
    try:
        import optuna_dashboard  # type: ignore[import-untyped]
    except ImportError as error:
        raise ConfigError(
            "the dashboard is asked for, but optuna-dashboard is not installed; run pip install "
            "optuna-dashboard."
        ) from error
    storage = optuna.storages.InMemoryStorage()
    optuna_studies(searches, storage)
    app: Callable[..., Iterable[bytes]] = optuna_dashboard.wsgi(storage)
    return app


def importances(search: Search, trials: Sequence[EndedTrial]) -> dict[str, float]:
    """Return how much each parameter decides whether a trial is one of the best, by its label.

    Args:
        search: The space.
        trials: At least ``MIN_IMPORTANCE_TRIALS`` trials of one cell, trained equally long.
            The last objective of each trial counts, finished or not.

    Returns:
        Shares that sum to 1, the highest first; empty if the objectives are all alike or no
        parameter varies.

    Source:
        Watanabe, Bansal and Hutter 2023, PED-ANOVA: Efficiently quantifying hyperparameter
        importance in arbitrary subspaces. The paper's quantile is ``_BEST_SHARE`` here.
    """
    known = [trial for trial in trials if trial.objectives]
    if len({trial.objectives[max(trial.objectives)] for trial in known}) < 2:
        return {}
    finished = [replace(one, state="finished") for one in known]
    study = optuna_studies([EndedSearch(name="", search=search, trials=finished)])[""]
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=_BEST_SHARE)
    return optuna.importance.get_param_importances(study, evaluator=evaluator)
