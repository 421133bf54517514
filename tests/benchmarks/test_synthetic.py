"""The synthetic cell is as its docstring says."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.curve_table import at_point, draw_configurations
from benchmarks.synthetic import OPTIMUM, SPACE, SyntheticCell


@pytest.fixture
def cell() -> SyntheticCell:
    return SyntheticCell(max_epochs=27)


def _at(*shares: float) -> dict[str, float]:
    return at_point(SPACE, shares)


def test_no_configuration_is_better_than_the_optimum(cell: SyntheticCell) -> None:
    assert cell.quality(_at(*OPTIMUM)) == pytest.approx(0.98)
    drawn = [cell.quality(params) for params in draw_configurations(SPACE, 1000)]
    assert min(drawn) >= 0.5
    assert max(drawn) < 0.98


def test_curves_end_at_the_quality_but_for_the_noise(cell: SyntheticCell) -> None:
    ends = [cell.curve(_at(*OPTIMUM), f"{number:032x}")[-1] for number in range(400)]
    assert np.mean(ends) == pytest.approx(0.98, abs=0.002)
    assert np.std(ends) == pytest.approx(0.02 * 0.48, rel=0.2)


def test_curves_cross(cell: SyntheticCell) -> None:
    slow, fast = (
        np.mean([cell.curve(params, f"{number:032x}") for number in range(100)], axis=0)
        for params in (_at(0.28, 0.565, 0.7, 0.45), _at(0.43, 0.64, 0.7, 0.45))
    )
    assert fast[2] > slow[2] + 0.02
    assert fast[26] < slow[26] - 0.01


def test_a_trial_that_runs_again_gives_the_same_curve(cell: SyntheticCell) -> None:
    params = _at(*OPTIMUM)
    assert np.array_equal(cell.curve(params, "0" * 32), cell.curve(params, "0" * 32))
