"""A cluster of slots under a virtual clock: a real board decides, and epochs only take their time.

The driver is one and serial, as Ray Tune's is: what it does costs virtual time if its costs are
charged, and a trial that reports waits until the driver has come to it and has decided.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from agad.executor.tune.run import WATCH_EVERY_S, WATCH_SHARE, RateLimit
from agad.study.board import StudyBoard
from agad.study.running import Launch, Progress
from agad.trial import EpochResult, TrialSpec

_T = TypeVar("_T")

Charge = Callable[[Callable[[], Any]], tuple[Any, float]]
"""Does something on the driver, and returns its result and the seconds that it costs."""


def free(action: Callable[[], _T]) -> tuple[_T, float]:
    """Charge nothing."""
    return action(), 0.0


def _one_second(_: TrialSpec) -> float:
    return 1.0


def _nothing(_: VirtualTrial) -> None:
    pass


@dataclass(slots=True, kw_only=True)
class VirtualTrial:
    """A trial on a slot."""

    launch: Launch
    observed: Sequence[float]
    """The objective after each epoch; fewer than the budget where it diverges."""

    epoch_s: float
    trained: int = 0
    reported: int = 0
    last_report_s: float = 0.0
    """When the driver last let it go on."""

    @property
    def diverges(self) -> bool:
        """Whether the epoch just trained is the one at which the curve broke off."""
        return self.trained > len(self.observed)

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to train."""
        return self.diverges or self.trained == self.launch.spec.max_epochs

    def progress(self) -> Progress:
        """Return the epochs since the last time, as a worker would send them."""
        known = min(self.trained, len(self.observed))
        results = tuple(
            EpochResult(epoch=epoch, objective=auroc, val_auroc=auroc, train_s=self.epoch_s)
            for epoch in range(self.reported, known)
            for auroc in [float(self.observed[epoch])]
        )
        self.reported = known
        return Progress(
            epochs=results,
            diverged="loss_g is nan" if self.diverges else "",
            seconds=self.trained * self.epoch_s,
            hardware="none",
        )


@dataclass(slots=True, kw_only=True)
class VirtualCluster:
    """Runs a board's trials on slots, in virtual time."""

    board: StudyBoard
    observe: Callable[[TrialSpec], Sequence[float]]
    """What training would answer: the objective after each epoch."""

    milestones: Sequence[int]
    """Numbers of epochs after which a trial reports; it does so at its end, too."""

    num_slots: int
    epoch_s: Callable[[TrialSpec], float] = _one_second
    heartbeat_s: float = math.inf
    """A trial reports after an epoch, too, where it has not for so long."""

    charge: Charge = free
    has_watch: bool = False
    """Whether the driver counts its status now and then, as it does to show and store it."""

    after_epoch: Callable[[VirtualTrial], None] = _nothing
    after_report: Callable[[VirtualTrial], None] = _nothing
    now_s: float = 0.0
    """When the last epoch ended of those that were looked at."""

    driver_free_s: float = 0.0
    """When the driver has done all that it was asked."""

    driver_s: float = 0.0
    """Seconds of the driver that were charged."""

    num_decisions: int = 0
    """Launches, those asked for in vain too, reports and ends."""

    busy: list[tuple[float, float]] = field(default_factory=list)
    """Start and end of every epoch that was trained."""

    _waiting: list[tuple[float, int, VirtualTrial]] = field(default_factory=list)
    """Trials by the virtual time at which their next epoch ends."""

    _tickets: Callable[[], int] = field(default_factory=lambda: itertools.count().__next__)
    _rate_limit: RateLimit = field(init=False)

    def __post_init__(self) -> None:
        self._rate_limit = RateLimit(WATCH_EVERY_S, WATCH_SHARE, clock=lambda: self.driver_free_s)

    def run(self, is_over: Callable[[], bool]) -> None:
        """Train until it is over."""
        self._fill()
        while not is_over():
            self.now_s, _, trial = heapq.heappop(self._waiting)
            trial.trained += 1
            self.after_epoch(trial)
            has_waited = self.now_s - trial.last_report_s >= self.heartbeat_s
            if trial.is_over or trial.trained in self.milestones or has_waited:
                self._report(trial)
                self._fill()
            else:
                self._train(trial, self.now_s)

    def _report(self, trial: VirtualTrial) -> None:
        """Let the driver decide, and the trial go on if it may."""
        key, progress = trial.launch.spec.key, trial.progress()
        goes_on = not trial.is_over and self._decided(lambda: self.board.report(key, progress))
        if goes_on:
            trial.last_report_s = self.driver_free_s
            self._train(trial, self.driver_free_s)
        else:
            self._decided(lambda: self.board.end(key, progress))
        self.after_report(trial)
        if self.has_watch:
            self._rate_limit.run(self._count_status)

    def _count_status(self) -> None:
        self._driven(lambda: self.board.status(self.num_slots))

    def _fill(self) -> None:
        while len(self._waiting) < self.num_slots:
            launch = self._decided(self.board.launch)
            if launch is None:
                return
            spec = launch.spec
            trial = VirtualTrial(
                launch=launch,
                observed=self.observe(spec),
                epoch_s=self.epoch_s(spec),
                last_report_s=self.driver_free_s,
            )
            self._train(trial, self.driver_free_s)

    def _train(self, trial: VirtualTrial, start_s: float) -> None:
        """Let a trial train its next epoch."""
        end_s = start_s + trial.epoch_s
        self.busy.append((start_s, end_s))
        heapq.heappush(self._waiting, (end_s, self._tickets(), trial))

    def _decided(self, action: Callable[[], _T]) -> _T:
        self.num_decisions += 1
        return self._driven(action)

    def _driven(self, action: Callable[[], _T]) -> _T:
        """Do something on the driver once it is free."""
        result: _T
        result, seconds = self.charge(action)
        self.driver_s += seconds
        self.driver_free_s = max(self.now_s, self.driver_free_s) + seconds
        return result

    def busy_share(self, until_s: float) -> float:
        """Return the share of the slots' time that was trained, in [0, 1], from 0 until then."""
        busy_s = sum(min(end, until_s) - start for start, end in self.busy if start < until_s)
        return busy_s / (until_s * self.num_slots)
