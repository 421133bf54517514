"""The samplers, which propose a cell's next configuration: a class for each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from agad.config.branches import Space, all_axes, evenly, num_configurations
from agad.config.counts import check_count
from agad.config.space import Choice, Draw, Fixed, IntUniform, LogUniform, Setting, Uniform, When
from agad.config.typed_json import one_of_kinds
from agad.errors import ConfigError

_MAX_GRID = 10_000
"""The most configurations of a grid: each cell walks through all of them."""

_FOR_EVERY_SPACE = "Tpe(), Random() or QuasiRandom()"


def _check_startup(startup_trials: int | None) -> None:
    if startup_trials is not None:
        check_count("search.sampler.startup_trials", startup_trials, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tpe:
    """Tree-structured Parzen estimator: densities of the good and the bad configurations so far.

    A stopped trial counts by its last epoch and its AUROC there. A running trial counts as bad (the
    constant liar), and a diverged trial is ignored. The sampler works on every space.

    Source: Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011.
    """

    startup_trials: int | None = None
    """Random trials of a cell before it learns; None is a quarter of the trials, at least 4."""

    multivariate: bool = True
    """Whether the parameters of a branch of the space are drawn together. If False, each parameter
    is drawn separately."""

    def __post_init__(self) -> None:
        _check_startup(self.startup_trials)
        if not isinstance(self.multivariate, bool):
            raise ConfigError(
                f"search.sampler.multivariate is {self.multivariate!r}, but must be True or False."
            )

    def check_space(self, space: Space) -> None:
        """Allow every space."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Random:
    """Independent draws that learn nothing: the baseline. The sampler works on every space."""

    def check_space(self, space: Space) -> None:
        """Allow every space."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuasiRandom:
    """A scrambled Sobol sequence, which covers the space more evenly than random draws.

    The sampler learns nothing and works on every space: a parameter has its own coordinate on each
    branch.

    Source: Owen, "Scrambling Sobol' and Niederreiter-Xing Points", Journal of Complexity 1998.
    """

    def check_space(self, space: Space) -> None:
        """Allow every space."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GridSearch:
    """Every configuration of a grid once, in an order that the seed and the cell decide.

    The search of a cell ends with the grid. If a cell has fewer trials than the grid has
    configurations, the cell tries a random part of the grid.
    """

    points: int | Mapping[str, int] | None = None
    """Points of a range, including both ends: a number for all ranges, or a number by parameter.
    Choices take all their values, and so do ranges of whole numbers that are not named."""

    def __post_init__(self) -> None:
        points = self.points
        if isinstance(points, Mapping):
            for name, count in points.items():
                check_count(f"search.sampler.points[{name!r}]", count, 2, _MAX_GRID)
            object.__setattr__(self, "points", dict(sorted(points.items())))
        elif points is not None:
            check_count("search.sampler.points", points, 2, _MAX_GRID)

    def values_of(self, name: str, draw: Draw) -> Sequence[Setting] | None:
        """Return a parameter's values on the grid; None if the number of points is missing."""
        points = self.points.get(name) if isinstance(self.points, Mapping) else self.points
        if points is not None:
            return evenly(draw, points)
        return draw.values

    def check_space(self, space: Space) -> None:
        """Refuse a range without a number of points, and a grid too large to walk through."""
        axes = all_axes(space)
        if isinstance(self.points, Mapping):
            ranges = {axis.name for axis in axes if not isinstance(axis.draw, Choice | Fixed)}
            unknown = sorted(self.points.keys() - ranges)
            if unknown:
                raise ConfigError(
                    f"search.sampler.points names {', '.join(unknown)}, but must name ranges of "
                    f"search.space: {', '.join(sorted(ranges)) or 'it has none'}."
                )
        for axis in axes:
            if self.values_of(axis.name, axis.draw) is None:
                raise ConfigError(
                    f"search.sampler is a GridSearch, and search.space[{axis.name!r}] a range of "
                    f'real numbers, which needs a number of points; use points={{"{axis.name}": 5}}'
                    ", or a Choice."
                )
        size = num_configurations(space, lambda axis: self.values_of(axis.name, axis.draw))
        if size is not None and size > _MAX_GRID:
            raise ConfigError(
                f"search.sampler is a grid of {size:,} configurations, but must have at most "
                f"{_MAX_GRID:,}; use fewer points, or QuasiRandom()."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class CmaEs:
    """Covariance matrix adaptation: a normal distribution that moves after each population.

    The sampler draws only numbers, and rounds to get whole numbers. Ended trials form populations
    in order of their number. A stopped trial counts with its last AUROC, a diverged trial with the
    lowest AUROC of all. The search starts at the first start point, or else in the middle.

    Source: Hansen, "The CMA Evolution Strategy: A Tutorial", arXiv 1604.00772, 2016.
    """

    sigma: float = 1 / 6
    """Standard deviation at the start, as a share of each range, in (0, 1]."""

    population: int | None = None
    """Trials a generation, at least 4; None is 4 + 3 ln(number of parameters)."""

    def __post_init__(self) -> None:
        is_number = isinstance(self.sigma, int | float) and not isinstance(self.sigma, bool)
        if not is_number or not 0 < self.sigma <= 1:
            raise ConfigError(f"search.sampler.sigma is {self.sigma!r}, but must be in (0, 1].")
        if self.population is not None:
            check_count("search.sampler.population", self.population, 4)

    def check_space(self, space: Space) -> None:
        """Refuse conditions, choices, and a space without any number."""
        for name, distribution in space.items():
            if isinstance(distribution, When | Choice):
                raise ConfigError(
                    f"search.sampler is CmaEs, which draws numbers alone, but search.space"
                    f"[{name!r}] is a {type(distribution).__name__}; use {_FOR_EVERY_SPACE}."
                )
        if not any(isinstance(one, Uniform | LogUniform | IntUniform) for one in space.values()):
            raise ConfigError(
                f"search.sampler is CmaEs, but search.space holds no range; use {_FOR_EVERY_SPACE}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class GaussianProcess:
    """Bayesian optimisation: a Gaussian process over the whole space, and expected improvement.

    Running trials are taken into account. A stopped trial counts with its last AUROC, a diverged
    trial with the lowest AUROC of all. The driver needs seconds for a proposal, and starts no other
    trial meanwhile. The sampler therefore suits studies of few, expensive trials.

    Source: Ament et al., "Unexpected Improvements to Expected Improvement for Bayesian
    Optimization", NeurIPS 2023.
    """

    startup_trials: int | None = None
    """Random trials of a cell before it learns; None is a quarter of the trials, at least 4."""

    def __post_init__(self) -> None:
        _check_startup(self.startup_trials)

    def check_space(self, space: Space) -> None:
        """Refuse conditions: a Gaussian process needs the same parameters everywhere."""
        for name, distribution in space.items():
            if isinstance(distribution, When):
                raise ConfigError(
                    "search.sampler is GaussianProcess, which needs every parameter in every "
                    f"configuration, but search.space[{name!r}] is a When; use {_FOR_EVERY_SPACE}."
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Nsga2:
    """NSGA-II: a genetic algorithm with two objectives: the selection's, and little work.

    Work is the number of floating-point operations for scoring one image, which every later use of
    the detector costs. The operations are counted, not timed, and are in the row's ``work_flop``.
    The sampler requires ``NoStopping``, because the final objective of a stopped trial is unknown.
    Ended trials become parents in order of their number. A diverged trial counts as the worst.

    The candidates to confirm are the best of the Pareto front by the selection's objective. If the
    front has too few, the best of the other trials follow. If there are several candidates, the
    highest mean objective wins.

    Source: Deb et al., "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", IEEE
    Transactions on Evolutionary Computation 2002.
    """

    population: int | None = None
    """Trials a generation, at least 2; None is a quarter of the trials, at least 4. The first
    generation is random."""

    def __post_init__(self) -> None:
        if self.population is not None:
            check_count("search.sampler.population", self.population, 2)

    def check_space(self, space: Space) -> None:
        """Refuse conditions: a parameter that only some parents have cannot be inherited."""
        for name, distribution in space.items():
            if isinstance(distribution, When):
                raise ConfigError(
                    "search.sampler is Nsga2, which needs every parameter in every configuration, "
                    f"but search.space[{name!r}] is a When; use {_FOR_EVERY_SPACE}."
                )


Sampler: TypeAlias = Tpe | Random | QuasiRandom | GridSearch | CmaEs | GaussianProcess | Nsga2
SAMPLERS = (Tpe, Random, QuasiRandom, GridSearch, CmaEs, GaussianProcess, Nsga2)


def sampler_as_json(sampler: Sampler) -> dict[str, Any]:
    """Return a sampler as plain JSON values."""
    return {"name": type(sampler).__name__} | dataclasses.asdict(sampler)


def sampler_from_json(values: Mapping[str, Any]) -> Sampler:
    """Return the sampler of a ``study.json``.

    Raises:
        ConfigError: The sampler is unknown to this version, or refuses a value.
        KeyError: The sampler has no name.
    """
    kinds = {one.__name__: one for one in SAMPLERS}
    found: Sampler = one_of_kinds("search.sampler", values, kinds, "name")
    return found
