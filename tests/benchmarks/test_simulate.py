"""Searches under a virtual clock whose driver costs what the test says."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import pytest

from agad.study.cell_data import find_cell_data
from benchmarks.simulate import Result, simulate, study_of
from benchmarks.virtual import Charge

if TYPE_CHECKING:
    from agad.data import Library

_T = TypeVar("_T")
NUM_CELLS, NUM_TRIALS, NUM_SLOTS = 3, 40, 12
"""A tenth of the trials is as many as there are slots."""


def _charging(seconds: float) -> Charge:
    def charge(action: Callable[[], _T]) -> tuple[_T, float]:
        return action(), seconds

    return charge


@pytest.fixture
def simulated(digits_library: Library) -> Callable[[float], Result]:
    """Simulate a search of 3 cells on 12 slots, each decision of so many seconds."""
    study = study_of(NUM_CELLS, NUM_TRIALS)

    def run(seconds: float) -> Result:
        return simulate(study, find_cell_data(study, digits_library), NUM_SLOTS, _charging(seconds))

    return run


def test_a_driver_that_decides_in_a_millisecond_keeps_every_slot_busy(
    simulated: Callable[[float], Result],
) -> None:
    result = simulated(0.001)
    assert (result.trials, result.slots) == (NUM_CELLS * NUM_TRIALS, NUM_SLOTS)
    assert result.busy_share > 0.99
    assert 500 < result.decisions_per_s <= 1000  # Each costs 1 ms, and so does a status.
    assert result == simulated(0.001)


def test_a_driver_that_is_slow_leaves_slots_idle(simulated: Callable[[float], Result]) -> None:
    slow = simulated(4.0)
    assert slow.driver_share > 0.9
    # 12 slots report every 30 s or so, and the driver takes 4 s for each: it cannot do.
    assert slow.busy_share < 0.8
