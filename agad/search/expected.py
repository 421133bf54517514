"""Expected epochs of a search trial, from a simulation of its scheduler's rule."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from agad.config import Median, NoStopping, Scheduler
from agad.search.ladder import Ladder

_MAX_TRIALS = 200
"""The most trials of a cell to simulate. With more, the share that goes on hardly changes."""

_NUM_PLAYED = 10_000
"""Trials to simulate in all: the mean for a cell of 12 trials is then right to about 1 %."""


def expected_epochs(scheduler: Scheduler, num_trials: int) -> float:
    """Return the mean epochs of a cell's search trials.

    The simulation uses the real ladder. Trials start one after another. Their objectives have a
    random order, which is the same at every rung. More than 1/eta of the trials go on, because the
    first trials meet few others: with 12 trials and eta = 3, nearly half go on. A sampler that
    learns proposes better and better trials, so more of them go on than this number says. For
    ``Median``, half of the trials are assumed to stop at the first decision.

    Args:
        scheduler: The scheduler whose rule decides.
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
    """Return the sum of the epochs of trials with these objectives, started in this order."""
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
    """Return after how many epochs a trial stops or pauses, given that it has ``num_epochs``."""
    for rung in scheduler.milestones:
        if rung <= num_epochs:
            continue
        if ladder.decide(trial_key, rung, objective).action != "go on":
            return rung
    return scheduler.max_epochs
