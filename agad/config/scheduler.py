"""The rules that stop a search trial early: a class for each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, TypeAlias

from agad.config.counts import check_count
from agad.config.typed_json import one_of_kinds
from agad.errors import ConfigError


def _check_grace_period(grace_period: int, max_epochs: int) -> None:
    check_count("scheduler.max_epochs", max_epochs, 1)
    check_count("scheduler.grace_period", grace_period, 1)
    if grace_period > max_epochs:
        raise ConfigError(
            f"scheduler.grace_period is {grace_period}, but must be at most "
            f"scheduler.max_epochs = {max_epochs}."
        )


def _rungs(grace_period: int, reduction_factor: int, max_epochs: int) -> tuple[int, ...]:
    """Return the epochs trained at each rung, computed in integers: a logarithm may lose a rung."""
    rungs = []
    epochs = grace_period
    while epochs < max_epochs:
        rungs.append(epochs)
        epochs *= reduction_factor
    return tuple(rungs)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Halving:
    """Rungs at which about 1/eta of a cell's trials continue."""

    max_epochs: int = 27
    """Epochs of a trial that continues at every rung."""

    grace_period: int = 3
    """Epochs that every trial trains: the first rung."""

    reduction_factor: int = 3
    """eta: about 1/eta of the trials continue at each rung."""

    def __post_init__(self) -> None:
        check_count("scheduler.reduction_factor", self.reduction_factor, 2)
        _check_grace_period(self.grace_period, self.max_epochs)

    @property
    def milestones(self) -> tuple[int, ...]:
        """Epochs trained at each rung, ascending, all below ``max_epochs``."""
        return _rungs(self.grace_period, self.reduction_factor, self.max_epochs)

    def reduced(self, max_epochs: int) -> Self:
        """Return the rule for so few epochs that a laptop finishes them."""
        return replace(self, max_epochs=min(max_epochs, self.max_epochs), grace_period=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asha(_Halving):
    """Asynchronous successive halving, one ladder a cell.

    A trial continues after a rung if its validation AUROC beats the (1 - 1/eta) quantile of the
    trials that reached the rung before; a tie loses.

    Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020.
    """

    rule: ClassVar[str] = "ASHA"
    expectation: ClassVar[str] = (
        "trials come in random order, more where the sampler learns to propose better ones"
    )
    """The assumption of a plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuccessiveHalving(_Halving):
    """Asynchronous successive halving that promotes, one ladder a cell.

    Every trial pauses at a rung: its checkpoint is kept and its slot becomes free. The best
    floor(n/eta) of the n trials that reached a rung may be promoted. A free slot goes to the best
    paused trial that may be promoted, at the highest rung that has one. If no rung has one, the
    slot goes to a new configuration.

    A paused trial may still be promoted later; a trial that ``Asha`` stopped cannot continue. An
    early promotion is not undone, so slightly more than 1/eta of the trials continue. When all
    configurations are tried and no trial can be promoted, the paused trials are stopped. They do
    not continue if the study is extended by more trials.

    At least one trial trains all epochs if a cell has eta^(number of rungs) trials or more. With
    fewer trials, maybe none does; the best trial of the highest rung is then confirmed.

    Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020,
    algorithm 2.
    """

    rule: ClassVar[str] = "successive halving"
    expectation: ClassVar[str] = Asha.expectation
    """The assumption of a plan."""

    def num_promoted(self, num_entered: int) -> int:
        """Return how many of the trials that reached a rung continue."""
        return num_entered // self.reduction_factor


@dataclass(frozen=True, slots=True, kw_only=True)
class NoStopping:
    """Every trial trains to the end, unless the trial diverges."""

    rule: ClassVar[str] = "none"
    expectation: ClassVar[str] = "no trial is stopped"
    """The assumption of a plan."""

    max_epochs: int = 27
    """Epochs of every trial."""

    def __post_init__(self) -> None:
        check_count("scheduler.max_epochs", self.max_epochs, 1)

    @property
    def milestones(self) -> tuple[int, ...]:
        """None: nothing is decided before the end."""
        return ()

    def reduced(self, max_epochs: int) -> NoStopping:
        """Return the rule for so few epochs that a laptop finishes them."""
        return replace(self, max_epochs=min(max_epochs, self.max_epochs))


@dataclass(frozen=True, slots=True, kw_only=True)
class Median:
    """The median rule, applied within a cell.

    Each other trial that came as far has a mean AUROC from the grace period to this epoch. A trial
    stops if its best validation AUROC so far is below the median of these means. A tie continues.

    Source: Golovin et al., "Google Vizier: A Service for Black-Box Optimization", KDD 2017,
    section 3.2.2. The paper uses completed trials, from the first epoch. The rule here uses all
    trials that came as far, as Ray's ``MedianStoppingRule`` does.
    """

    rule: ClassVar[str] = "median"
    expectation: ClassVar[str] = "the median rule stops half at the first decision"
    """The assumption of a plan."""

    max_epochs: int = 27
    """Epochs of a trial that is never stopped."""

    grace_period: int = 3
    """Epochs that every trial trains before the first decision."""

    min_trials: int = 4
    """Other trials that must have come as far before a trial is stopped."""

    interval: int = 1
    """Epochs from one decision to the next; at each decision, the worker waits for the driver."""

    def __post_init__(self) -> None:
        _check_grace_period(self.grace_period, self.max_epochs)
        check_count("scheduler.min_trials", self.min_trials, 1)
        check_count("scheduler.interval", self.interval, 1)

    @property
    def milestones(self) -> tuple[int, ...]:
        """Epochs trained at each decision, ascending, all below ``max_epochs``."""
        return tuple(range(self.grace_period, self.max_epochs, self.interval))

    def reduced(self, max_epochs: int) -> Median:
        """Return the rule for so few epochs that a laptop finishes them."""
        return replace(
            self, max_epochs=min(max_epochs, self.max_epochs), grace_period=1, min_trials=1
        )


Scheduler: TypeAlias = Asha | NoStopping | Median | SuccessiveHalving
SCHEDULERS = (Asha, NoStopping, Median, SuccessiveHalving)


def scheduler_as_json(scheduler: Scheduler) -> dict[str, Any]:
    """Return a scheduler as plain JSON values; ``Asha`` is written without the name of a rule."""
    kind = {} if isinstance(scheduler, Asha) else {"rule": scheduler.rule}
    return kind | dataclasses.asdict(scheduler)


def scheduler_from_json(values: Mapping[str, Any]) -> Scheduler:
    """Return the scheduler of a ``study.json``.

    Raises:
        ConfigError: The rule is unknown to this version, or refuses a value.
    """
    kinds = {one.rule: one for one in SCHEDULERS}
    found: Scheduler = one_of_kinds("scheduler", values, kinds, "rule", Asha.rule)
    return found
