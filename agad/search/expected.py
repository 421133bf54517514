"""How many epochs a search trial is to be expected to train, by playing its scheduler's rule."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from agad.config import Median, NoStopping, Scheduler
from agad.search.ladder import Ladder

_MAX_TRIALS = 200
"""Trials of a cell that are played, at most: the share that goes on hardly changes after."""

_NUM_PLAYED = 10_000
"""Trials that are played in all: the mean of 12 a cell is then right to 1 % or so."""


def expected_epochs(scheduler: Scheduler, num_trials: int) -> float:
    """Return the mean epochs of a cell's search trials.

    Rungs are played on the real ladder, with trials that come one after the other, whose objectives
    have a random order that stays the same at every rung. More than 1/eta of them go on, since the
    first ones meet few others: with 12 trials and eta = 3 nearly half of them do. A sampler that
    learns proposes better and better ones, of which more go on than this says. Of ``Median`` half
    are taken to stop at the first decision.

    Args:
        scheduler: Its rule decides.
        num_trials: Search trials of a cell.
    """
    if isinstance(scheduler, NoStopping):
        return float(scheduler.max_epochs)
    if isinstance(scheduler, Median):
        return scheduler.grace_period + (scheduler.max_epochs - scheduler.grace_period) / 2
    rng = np.random.default_rng(0)
    num = min(num_trials, _MAX_TRIALS)
    played = [
        _played_epochs(scheduler, rng.permutation(num).tolist())
        for _ in range(math.ceil(_NUM_PLAYED / num))
    ]
    return float(np.mean(played)) / num


def _played_epochs(scheduler: Scheduler, objectives: Sequence[float]) -> int:
    """Return the epochs of trials of these objectives, in this order."""
    ladder = Ladder(scheduler)
    reached = dict.fromkeys(map(str, range(len(objectives))), 0)
    fresh = iter(reached)
    while True:
        key = ladder.promotable
        if key is not None:
            ladder.promote(key)
        else:
            key = next(fresh, None)
        if key is None:
            return sum(reached.values())
        reached[key] = _next_end(scheduler, ladder, key, reached[key], objectives[int(key)])


def _next_end(
    scheduler: Scheduler, ladder: Ladder, trial_key: str, num_epochs: int, objective: float
) -> int:
    """Return the epochs at which a trial stops or pauses that goes on after so many."""
    for rung in scheduler.milestones:
        if rung <= num_epochs:
            continue
        if ladder.decide(trial_key, rung, objective).action != "go on":
            return rung
    return scheduler.max_epochs
