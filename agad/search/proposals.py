"""Proposals that depend only on a seed and a cell's trials, so that a restart changes none."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import cmaes  # type: ignore[import-untyped]
import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import TrialState
from scipy.stats import qmc

from agad.config import (
    Axis,
    CmaEs,
    GaussianProcess,
    GridSearch,
    IntUniform,
    LogUniform,
    Nsga2,
    QuasiRandom,
    Search,
    Setting,
    Uniform,
    all_axes,
    draw,
)
from agad.search.optuna_trials import labelled_params


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A trial as the search has seen it so far."""

    params: Mapping[str, Setting]
    score: float | None
    """The last objective of a finished, paused or stopped trial; None if it runs or diverged."""

    work: float | None = None
    """The second objective, of which less is better; None if the search has a single objective."""

    is_running: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The number, attempt and seed of a proposal."""

    number: int
    """Search trials of the cell before this proposal."""

    attempt: int
    """Earlier proposals with this number, whose configurations were known already."""

    seed: int
    """Seed of this number and attempt, in [0, 2**32)."""


class Proposer(Protocol):
    """Proposes a configuration. A proposer has no state: equal arguments give equal proposals."""

    def propose(self, place: Place, seen: Sequence[Seen]) -> dict[str, Setting]:
        """Return a configuration, which may be known already.

        Args:
            place: Which proposal.
            seen: All trials of the search, in order of their number.
        """


def proposer_of(search: Search, cell_seed: int) -> Proposer | None:
    """Return the proposer of a cell; None if the cell's Optuna study proposes by itself."""
    sampler = search.sampler
    if isinstance(sampler, GridSearch):
        return GridWalk(search, cell_seed)
    if isinstance(sampler, QuasiRandom):
        return SobolWalk(search, cell_seed)
    if isinstance(sampler, CmaEs):
        return Evolution(search, sampler)
    if isinstance(sampler, GaussianProcess):
        return ProcessModel(search)
    if isinstance(sampler, Nsga2):
        return Genetics(search)
    return None


class GridWalk:
    """Walks through a grid in an order that the cell's seed shuffles."""

    def __init__(self, search: Search, cell_seed: int) -> None:
        self._search = search
        size = search.num_configurations or 0
        self._order = np.random.default_rng(cell_seed).permutation(size)

    def propose(self, place: Place, seen: Sequence[Seen]) -> dict[str, Setting]:  # noqa: ARG002
        """Return the point at this place of the order; each rejected attempt moves one place on."""
        index = int(self._order[(place.number + place.attempt) % len(self._order)])
        listed = self._search.configurations
        assert listed is not None
        return next(itertools.islice(listed, index, None))


class SobolWalk:
    """Walks along a scrambled Sobol sequence with one coordinate per parameter and branch."""

    def __init__(self, search: Search, cell_seed: int) -> None:
        self._search = search
        self._places = {axis.label: place for place, axis in enumerate(all_axes(search.space))}
        self._cell_seed = cell_seed

    def propose(self, place: Place, seen: Sequence[Seen]) -> dict[str, Setting]:  # noqa: ARG002
        """Return the point at this place of the sequence; each rejected attempt moves one on."""
        rng = np.random.default_rng(self._cell_seed)
        sequence = qmc.Sobol(len(self._places), scramble=True, rng=rng)
        index = place.number + place.attempt
        if index:  # Sobol refuses to skip 0 points.
            sequence.fast_forward(index)
        point = sequence.random(1)[0]
        return draw(
            self._search.space, lambda axis: axis.draw.at(float(point[self._places[axis.label]]))
        )


class Evolution:
    """CMA-ES, which gets all generations again for every proposal.

    Source: Hansen, "The CMA Evolution Strategy: A Tutorial", arXiv 1604.00772, 2016.
    """

    def __init__(self, search: Search, sampler: CmaEs) -> None:
        self._search = search
        self._sampler = sampler
        self._axes = {
            axis.name: axis.draw
            for axis in all_axes(search.space)
            if isinstance(axis.draw, Uniform | LogUniform | IntUniform)
        }

    def propose(self, place: Place, seen: Sequence[Seen]) -> dict[str, Setting]:
        """Draw from the distribution after all generations that the ended trials fill."""
        middle = np.full(len(self._axes), 0.5)
        strategy = cmaes.CMA(
            mean=self._point(self._search.start[0]) if self._search.start else middle,
            sigma=self._sampler.sigma,
            bounds=np.tile([0.0, 1.0], (len(self._axes), 1)),
            seed=place.seed,
            population_size=self._sampler.population,
        )
        ended = scored(seen)
        size = strategy.population_size
        for first in range(0, len(ended) - size + 1, size):
            generation = ended[first : first + size]
            strategy.tell([(self._point(one), -score) for one, score in generation])
            if strategy.should_stop():
                break  # CMA-ES has converged: a further generation would be a single point.
        point = dict(zip(self._axes, strategy.ask().tolist(), strict=True))
        return draw(self._search.space, lambda axis: axis.draw.at(point[axis.name]))

    def _point(self, params: Mapping[str, Setting]) -> NDArray[np.float64]:
        shares = [one.share_of(float(params[name])) for name, one in self._axes.items()]
        return np.clip(np.array(shares, dtype=np.float64), 0.0, 1.0)


class ProcessModel:
    """A Gaussian process fitted anew for every proposal, by Optuna's ``GPSampler``."""

    def __init__(self, search: Search) -> None:
        self._search = search

    def propose(self, place: Place, seen: Sequence[Seen]) -> dict[str, Setting]:
        """Return the maximum of the expected improvement, which counts running trials too.

        If that configuration is known already, return a random draw. The maximum would be the same
        again, for example at the end of a range.
        """
        if place.attempt:
            rng = np.random.default_rng(place.seed)
            return draw(self._search.space, lambda axis: axis.draw.at(rng.random()))
        sampler = optuna.samplers.GPSampler(
            seed=place.seed,
            n_startup_trials=self._search.num_startup_trials,
            warn_independent_sampling=False,
        )
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for params, score in scored(seen):
            study.add_trial(_frozen(self._search, params, TrialState.COMPLETE, (score,)))
        for one in seen:
            if one.is_running:
                study.add_trial(_frozen(self._search, one.params, TrialState.RUNNING, None))
        return draw(self._search.space, suggested_by(study.ask()))


class Genetics:
    """NSGA-II by Optuna, which gets all generations again for every proposal."""

    def __init__(self, search: Search) -> None:
        self._search = search

    def propose(self, place: Place, seen: Sequence[Seen]) -> dict[str, Setting]:
        """Return a child of the generations that the ended trials fill; at first, a random draw."""
        size = self._search.num_startup_trials
        sampler = optuna.samplers.NSGAIISampler(population_size=size, seed=place.seed)
        study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
        for number, (params, score, work) in enumerate(weighed(seen)):
            # Optuna notes this attribute when it proposes a trial itself.
            generation = {sampler._get_generation_key(): number // size}
            trial = _frozen(self._search, params, TrialState.COMPLETE, (score, work), generation)
            study.add_trial(trial)
        return draw(self._search.space, suggested_by(study.ask()))


def weighed(seen: Sequence[Seen]) -> list[tuple[Mapping[str, Setting], float, float]]:
    """Return the ended trials as in ``scored``, with their work; a diverged trial gets the most.

    Empty if all trials diverged.
    """
    ended = [one for one in seen if not one.is_running]
    most = max((one.work for one in ended if one.work is not None), default=0.0)
    works = [most if one.score is None or one.work is None else one.work for one in ended]
    return [(*one, work) for one, work in zip(scored(seen), works, strict=False)]


def scored(seen: Sequence[Seen]) -> list[tuple[Mapping[str, Setting], float]]:
    """Return the ended trials with their scores; a diverged trial gets the lowest score of all.

    This is for samplers that accept no trial without a value.
    """
    scores = [one.score for one in seen if one.score is not None]
    if not scores:
        return []
    lowest = min(scores)
    return [
        (one.params, lowest if one.score is None else one.score)
        for one in seen
        if not one.is_running
    ]


def suggested_by(trial: optuna.Trial) -> Callable[[Axis], Setting]:
    """Return a function that draws each parameter from an Optuna trial, by its label."""

    def pick(axis: Axis) -> Setting:
        one = axis.draw
        if isinstance(one, IntUniform):
            return trial.suggest_int(axis.label, one.low, one.high, step=one.step, log=one.log)
        if isinstance(one, Uniform | LogUniform):
            is_log = isinstance(one, LogUniform)
            return trial.suggest_float(axis.label, one.low, one.high, log=is_log)
        value = trial.suggest_categorical(axis.label, tuple(one.values))
        assert value is not None
        return value

    return pick


def _frozen(
    search: Search,
    params: Mapping[str, Setting],
    state: TrialState,
    values: Sequence[float] | None,
    system_attrs: dict[str, int] | None = None,
) -> optuna.trial.FrozenTrial:
    labelled = labelled_params(search, params)
    return optuna.trial.create_trial(
        state=state,
        values=values,
        params={label: value for label, (value, _) in labelled.items()},
        distributions={label: one for label, (_, one) in labelled.items()},
        system_attrs=system_attrs,
    )
