"""The cutoff of each rule, worked out by hand."""

from __future__ import annotations

import math

import pytest

from agad.config import Asha, Median, NoStopping, Scheduler, SuccessiveHalving
from agad.search import cutoff

CURVES = [{1: 0.1, 2: 0.5}, {1: 0.2, 2: 0.6}, {1: 0.3, 2: 0.7}]


@pytest.mark.parametrize(
    ("scheduler", "num_epochs", "expected"),
    [
        (Asha(grace_period=1, reduction_factor=2), 1, 0.2),
        (Asha(grace_period=1, reduction_factor=2), 2, 0.6),
        (Asha(grace_period=2, reduction_factor=4), 2, 0.65),
        (Median(grace_period=1, min_trials=3), 2, 0.4),
        (Median(grace_period=2, min_trials=3), 2, 0.6),
        (SuccessiveHalving(grace_period=1, reduction_factor=3), 1, 0.3),
        (SuccessiveHalving(grace_period=1, reduction_factor=2), 2, 0.7),
    ],
    ids=["half", "half later", "quarter", "means", "means later", "best third", "best half"],
)
def test_cutoff_is_the_one_worked_out_by_hand(
    scheduler: Scheduler, num_epochs: int, expected: float
) -> None:
    found = cutoff(scheduler, CURVES, num_epochs)
    assert found is not None
    assert math.isclose(found, expected)


@pytest.mark.parametrize(
    ("scheduler", "num_epochs"),
    [
        (NoStopping(), 1),
        (Asha(grace_period=1, reduction_factor=3), 2),
        (Median(grace_period=1, min_trials=4), 1),
        (Median(grace_period=2, min_trials=1), 1),
        (SuccessiveHalving(grace_period=1, reduction_factor=4), 1),
    ],
    ids=["none", "between rungs", "too few", "before the grace period", "too few to promote"],
)
def test_there_is_no_cutoff_where_nothing_is_decided(scheduler: Scheduler, num_epochs: int) -> None:
    assert cutoff(scheduler, CURVES, num_epochs) is None
