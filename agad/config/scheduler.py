"""When a trial of the search is stopped early: one class a rule."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, TypeAlias

from agad.config.counts import check_count
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
    """Return the epochs trained at each rung, in integers: a logarithm would lose a rung."""
    rungs = []
    epochs = grace_period
    while epochs < max_epochs:
        rungs.append(epochs)
        epochs *= reduction_factor
    return tuple(rungs)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Halving:
    """Rungs at which about 1/eta of a cell's trials go on."""

    max_epochs: int = 27
    """Epochs of a trial that goes on at every rung."""

    grace_period: int = 3
    """Epochs that every trial trains: the first rung."""

    reduction_factor: int = 3
    """eta: about 1/eta of the trials go on at each rung."""

    def __post_init__(self) -> None:
        check_count("scheduler.reduction_factor", self.reduction_factor, 2)
        _check_grace_period(self.grace_period, self.max_epochs)

    @property
    def milestones(self) -> tuple[int, ...]:
        """Epochs trained at each rung, ascending, all below ``max_epochs``, in integers."""
        return _rungs(self.grace_period, self.reduction_factor, self.max_epochs)

    def reduced(self, max_epochs: int) -> Self:
        """Return the rule for so few epochs that a laptop finishes them."""
        return replace(self, max_epochs=min(max_epochs, self.max_epochs), grace_period=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asha(_Halving):
    """Asynchronous successive halving, one ladder a cell.

    A trial goes on past a rung when its validation AUROC beats the (1 - 1/eta) quantile of those
    that reached the rung before it; a tie loses.

    Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020.
    """

    rule: ClassVar[str] = "ASHA"
    expectation: ClassVar[str] = (
        "trials come in random order, more where the sampler learns to propose better ones"
    )
    """What a plan takes for granted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuccessiveHalving(_Halving):
    """Asynchronous successive halving that promotes, one ladder a cell.

    Every trial pauses at a rung: its checkpoint is kept and its slot is free. A free slot goes to
    the best trial paused at the highest rung of which floor(n/eta) of the n that reached it go on,
    where it is one of those; else to a new configuration. So a trial that was passed over may go on
    later, which one that ``Asha`` stopped cannot, and one that was promoted early stays so, which
    makes them a few more than 1/eta. Once all are tried and none can be promoted, the paused ones
    are stopped, for good: a study that is extended by more trials goes on with none of them.

    At least one trial trains all epochs where a cell has eta to the power of the number of rungs or
    more. With fewer, maybe none does: the best of the highest rung is confirmed all the same.

    Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020,
    algorithm 2.
    """

    rule: ClassVar[str] = "successive halving"
    expectation: ClassVar[str] = Asha.expectation
    """What a plan takes for granted."""

    def num_promoted(self, num_entered: int) -> int:
        """Return how many of the trials that reached a rung go on."""
        return num_entered // self.reduction_factor


@dataclass(frozen=True, slots=True, kw_only=True)
class NoStopping:
    """Every trial trains to the end, but one that diverges."""

    rule: ClassVar[str] = "none"
    expectation: ClassVar[str] = "no trial is stopped"
    """What a plan takes for granted."""

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
    """The median rule, one a cell.

    A trial stops when its best validation AUROC so far is below the median, over the other trials
    that came as far, of their mean AUROC from the grace period to here; a tie goes on.

    Source: Golovin et al., "Google Vizier: A Service for Black-Box Optimization", KDD 2017,
    section 3.2.2; there over completed trials and from the first epoch, here, as in Ray's
    ``MedianStoppingRule``, over all that came as far.
    """

    rule: ClassVar[str] = "median"
    expectation: ClassVar[str] = "the median rule stops half at the first decision"
    """What a plan takes for granted."""

    max_epochs: int = 27
    """Epochs of a trial that is never stopped."""

    grace_period: int = 3
    """Epochs every trial trains before it can be stopped: the first decision."""

    min_trials: int = 4
    """Other trials that must have come as far before one is stopped."""

    interval: int = 1
    """Epochs from one decision to the next; at each, the worker waits for the driver."""

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
    """Return a scheduler as plain JSON values; what names no rule is ASHA."""
    kind = {} if isinstance(scheduler, Asha) else {"rule": scheduler.rule}
    return kind | dataclasses.asdict(scheduler)


def scheduler_from_json(values: Mapping[str, Any]) -> Scheduler:
    """Return the scheduler of a ``study.json``.

    Raises:
        ConfigError: A rule that this version does not know, or a value that it does not allow.
    """
    fields = dict(values)
    rule = fields.pop("rule", Asha.rule)
    for kind in SCHEDULERS:
        if kind.rule == rule:
            break
    else:
        known = ", ".join(kind.rule for kind in SCHEDULERS)
        raise ConfigError(f"scheduler.rule is {rule!r}, but must be one of: {known}.")
    unknown = sorted(fields.keys() - {field.name for field in dataclasses.fields(kind)})
    if unknown:
        raise ConfigError(f"scheduler has {', '.join(unknown)}, which {rule} does not know.")
    return kind(**fields)
