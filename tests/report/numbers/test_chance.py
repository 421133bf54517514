"""Chance by one rule, and the bound of the false-positive rate."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from agad.report.numbers.chance import Verdict, chance_verdict, false_positive_bound
from agad.report.numbers.statistics import Interval


def _between(low: float, high: float) -> Interval:
    return Interval(low=low, high=high, method="t")


@pytest.mark.parametrize(
    ("auroc", "interval", "verdict"),
    [
        (0.9, None, "better"),
        (0.5, None, "chance"),
        (0.29, None, "worse"),
        (0.9, (0.8, 1.0), "better"),
        (0.9, (0.5, 1.0), "chance"),
        (0.55, (0.48, 0.62), "chance"),
        (0.45, (0.38, 0.52), "chance"),
        (0.29, (0.2, 0.38), "worse"),
        (0.29, (0.0, 0.5), "chance"),
    ],
)
def test_the_interval_decides_where_there_is_one(
    auroc: float, interval: tuple[float, float] | None, verdict: Verdict
) -> None:
    assert chance_verdict(auroc, _between(*interval) if interval else None) == verdict


@pytest.mark.parametrize(("above", "normals"), [(0, 1), (0, 6), (1, 36), (5, 100), (99, 100)])
def test_the_bound_is_clopper_and_pearsons(above: int, normals: int) -> None:
    wanted = binomtest(above, normals, alternative="less").proportion_ci(0.95, "exact").high
    assert false_positive_bound(above, normals, 0.95) == pytest.approx(wanted)


def test_the_bound_of_six_normals_is_the_rate_that_all_of_them_pass_once_in_twenty() -> None:
    assert false_positive_bound(0, 6, 0.95) == pytest.approx(1 - 0.05 ** (1 / 6))


def test_the_bound_holds_where_the_normals_chose_the_threshold() -> None:
    rng = np.random.default_rng(0)
    normals = np.sort(rng.random((20_000, 20)), axis=1)
    rate_above = 1 - normals[:, -2]  # One of the 20 scores above the threshold.
    is_held = rate_above <= false_positive_bound(1, 20, 0.95)
    assert is_held.mean() == pytest.approx(0.95, abs=0.01)
