"""Intervals, the interquartile mean and P(A > B) against scipy, brute force and known answers."""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy import stats

from agad.report.numbers.statistics import (
    difference,
    difference_interval,
    interquartile_mean,
    interquartile_mean_interval,
    mean_interval,
    probability_better,
    probability_interval,
    t_interval,
    welch_interval,
)

NUM_BRUTE = 8_000
CLOSE = 0.004
"""What the ends of two bootstraps of these cells may differ by: about four Monte Carlo errors."""


def cells(num: int, seeds: int, spread: float = 0.02) -> list[list[float]]:
    rng = np.random.default_rng(3)
    return [list(rng.normal(0.8, spread, seeds)) for _ in range(num)]


def brute_force(
    strata: list[list[float]], statistic: Callable[[list[np.ndarray]], float]
) -> tuple[float, float]:
    rng = np.random.default_rng(11)
    draws = [
        statistic([rng.choice(values, len(values)) for values in strata]) for _ in range(NUM_BRUTE)
    ]
    low, high = np.percentile(draws, [2.5, 97.5])
    return low, high


def satterthwaite(strata: Sequence[Sequence[float]], weights: Sequence[float]) -> list[float]:
    """Return the ends of the interval of a weighted sum of means, as the papers define it."""
    center = sum(weight * np.mean(values) for weight, values in zip(weights, strata, strict=True))
    errors = np.array([w * stats.sem(values) for w, values in zip(weights, strata, strict=True)])
    freedoms = np.array([len(values) - 1 for values in strata])
    freedom = (errors**2).sum() ** 2 / (errors**4 / freedoms).sum()
    scale = np.sqrt((errors**2).sum())
    return [float(end) for end in stats.t.interval(0.95, freedom, loc=center, scale=scale)]


@pytest.mark.parametrize("values", [[0.7, 0.9], [0.81, 0.84, 0.79], [0.6, 0.61, 0.62, 0.7, 0.5]])
def test_the_interval_of_a_cell_is_scipys(values: list[float]) -> None:
    expected = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))

    found = t_interval(values, (-9.0, 9.0))

    assert found is not None
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-12)


def test_the_interval_of_two_seeds_is_worked_out_by_hand() -> None:
    found = t_interval([0.80, 0.82])

    assert found is not None
    # The mean .81, its error .01, and Student's 12.7062 at one degree of freedom.
    assert (found.low, found.high) == pytest.approx((0.81 - 0.127062, 0.81 + 0.127062), abs=1e-6)


def test_an_interval_ends_where_an_auroc_does() -> None:
    found = t_interval([0.90, 0.99])

    assert found is not None
    assert found.high == 1.0


@pytest.mark.parametrize("values", [[], [0.9]], ids=["none", "one"])
def test_fewer_than_two_seeds_have_no_interval(values: list[float]) -> None:
    assert t_interval(values) is None


def test_students_interval_covers_three_seeds_where_the_percentile_bootstrap_does_not() -> None:
    draws = np.random.default_rng(0).normal(size=(2000, 3))
    resampled = draws[:, list(itertools.product(range(3), repeat=3))].mean(axis=2)
    low, high = np.percentile(resampled, [2.5, 97.5], axis=1)

    ours = [t_interval(list(values), (-999.0, 999.0)) for values in draws]

    coverage = np.mean([found is not None and found.low <= 0 <= found.high for found in ours])
    assert coverage == pytest.approx(0.95, abs=0.015)
    assert np.mean((low <= 0) & (high >= 0)) < 0.8


def test_welchs_interval_is_scipys() -> None:
    first, second = [0.81, 0.84, 0.79, 0.80], [0.7, 0.75, 0.9]
    expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)

    found = welch_interval(first, second)

    assert found is not None
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_shared_seeds_are_compared_in_pairs() -> None:
    first = ([1, 2, 3, 4], [0.81, 0.84, 0.79, 0.5])
    second = ([3, 1, 2], [0.70, 0.75, 0.80])
    expected = stats.ttest_rel([0.81, 0.84, 0.79], [0.75, 0.80, 0.70]).confidence_interval(0.95)

    found = difference(first, second)

    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx(expected, abs=1e-12)
    assert (found.interval.method, found.num) == ("paired t", 3)
    assert found.value == pytest.approx((0.06 + 0.04 + 0.09) / 3)


def test_seeds_that_are_not_shared_are_two_samples() -> None:
    found = difference(([1, 2], [0.8, 0.9]), ([3, 4, 5], [0.5, 0.6, 0.7]))

    assert found.value == pytest.approx(0.25)
    assert found.interval == welch_interval([0.8, 0.9], [0.5, 0.6, 0.7])


def test_equal_cells_differ_by_nothing() -> None:
    one = ([1, 2, 3], [0.8, 0.85, 0.9])

    found = difference(one, one)

    assert found.value == 0
    assert found.interval is None
    assert found.is_none


@pytest.mark.parametrize("num", [2, 3, 10])
def test_seeds_without_a_spread_claim_no_certainty(num: int) -> None:
    seeds, saturated = list(range(num)), [1.0] * num

    assert t_interval(saturated) is None
    assert t_interval([0.1 + 0.2, 0.3] * num) is None
    assert welch_interval(saturated, [0.999] * num) is None
    found = difference((seeds, saturated), (seeds, [0.999] * num))
    assert (found.interval, found.num, found.is_none) == (None, num, False)
    assert found.value == pytest.approx(0.001)


def test_cells_without_a_spread_claim_no_certainty() -> None:
    saturated, lower = [[1.0] * 3] * 4, [[0.9] * 3] * 4

    assert mean_interval(saturated) is None
    assert interquartile_mean_interval(saturated) is None
    assert difference_interval(saturated, lower) is None


def test_a_cell_without_a_spread_leaves_the_others_theirs() -> None:
    found = mean_interval([[1.0, 1.0, 1.0], [0.8, 0.9, 0.7]])

    assert found is not None
    assert found.low < 0.9 < found.high


@pytest.mark.parametrize("num", [1, 3, 4, 7, 50])
def test_the_interquartile_mean_is_scipys_trimmed_mean(num: int) -> None:
    values = list(np.random.default_rng(num).uniform(size=num))

    assert interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25), abs=1e-12)


def test_the_interval_of_two_cells_is_scipys_of_one_minus_the_others_opposite() -> None:
    first, second = [0.2, 0.3, 0.25], [0.8, 0.9, 0.7, 0.75]
    expected = stats.ttest_ind(first, np.negative(second), equal_var=False).confidence_interval()

    found = mean_interval([first, second])

    assert found is not None
    assert (found.low, found.high) == pytest.approx((expected.low / 2, expected.high / 2))


def test_the_interval_of_equal_spreads_is_worked_out_by_hand() -> None:
    found = mean_interval([[0.80, 0.82], [0.50, 0.52], [0.30, 0.32]])

    assert found is not None
    # The mean .55; the error .01 of each cell, so .01 / sqrt 3 of it, at 3 degrees of freedom, for
    # which Student has 3.18245.
    half = 0.01 / math.sqrt(3) * 3.18245
    assert (found.low, found.high) == pytest.approx(
        ((0.81 + 0.51 + 0.31) / 3 - half, (0.81 + 0.51 + 0.31) / 3 + half), abs=1e-6
    )


def test_the_interval_over_cells_has_satterthwaites_degrees_of_freedom() -> None:
    strata = [*cells(3, 5), *cells(2, 3, spread=0.004), [0.7, 0.75]]

    found = mean_interval(strata)

    assert found is not None
    assert [found.low, found.high] == pytest.approx(satterthwaite(strata, [1 / 6] * 6), abs=1e-12)


def test_cells_are_weighed() -> None:
    strata, weights = [[0.2, 0.3, 0.25], [0.8, 0.9, 0.7]], [3.0, 1.0]
    expected = stats.ttest_ind(
        np.multiply(strata[0], 0.75), np.multiply(strata[1], -0.25), equal_var=False
    ).confidence_interval()

    found = mean_interval(strata, weights)

    assert found is not None
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_interval_over_cells_ends_where_an_auroc_does() -> None:
    strata = [[0.90, 0.99], [0.96, 0.99]]

    found, unbound = mean_interval(strata), mean_interval(strata, bounds=(-9.0, 9.0))

    assert found is not None
    assert unbound is not None
    assert (found.low, found.high) == (unbound.low, 1.0)
    assert unbound.high > 1.0


@pytest.mark.parametrize(
    ("spreads", "num"),
    [
        ((0.002, 0.024), 3),
        ((0.02, 0.02), 3),
        ((0.02, 0.02), 2),
        ((0.002, 0.024), 5),
        ((0.002, 0.024) * 5, 3),
    ],
    ids=["unequal", "equal", "two seeds", "five seeds", "ten cells"],
)
def test_the_interval_of_a_mean_or_a_difference_holds_the_true_one(
    spreads: tuple[float, ...], num: int
) -> None:
    scale = np.array(spreads)[:, None]
    draws = np.random.default_rng(0).normal(0.5, scale, size=(1000, len(spreads), num))

    means = [mean_interval(strata) for strata in draws.tolist()]
    differences = [
        difference_interval(*pair) for pair in zip(draws[::2].tolist(), draws[1::2], strict=True)
    ]

    # A share of 1000 is off by .02 in 1 case of 300, of the 500 differences by .03.
    held = [found is not None and found.low <= 0.5 <= found.high for found in means]
    assert 0.925 < np.mean(held) < 0.99
    held = [found is not None and found.low <= 0 <= found.high for found in differences]
    assert 0.92 < np.mean(held) < 0.995


def test_the_interval_of_the_interquartile_mean_is_that_of_a_brute_force_bootstrap() -> None:
    strata = cells(6, 5)

    found = interquartile_mean_interval(strata)

    assert found is not None
    expected = brute_force(strata, lambda drawn: stats.trim_mean(np.concatenate(drawn), 0.25))
    assert (found.low, found.high) == pytest.approx(expected, abs=CLOSE / 2)


def test_the_interval_of_a_difference_over_cells_has_satterthwaites_degrees_of_freedom() -> None:
    first, second = cells(4, 6), [*cells(3, 3, spread=0.05), [0.7, 0.8]]

    found = difference_interval(first, second)

    assert found is not None
    expected = satterthwaite([*first, *second], [0.25] * 4 + [-0.25] * 4)
    assert [found.low, found.high] == pytest.approx(expected, abs=1e-12)


def test_one_pair_of_cells_has_welchs_interval() -> None:
    first, second = [0.81, 0.84, 0.79, 0.80], [0.7, 0.75, 0.9]

    assert difference_interval([first], [second]) == welch_interval(first, second)


def test_equal_scores_have_equal_intervals_and_global_draws_change_nothing() -> None:
    strata = cells(5, 3)

    before = (mean_interval(strata), interquartile_mean_interval(strata))
    np.random.seed(1)  # noqa: NPY002 (what a user's own code may do)
    after = (mean_interval(strata), interquartile_mean_interval(strata))

    assert before == after


def test_a_single_cell_has_students_interval() -> None:
    assert mean_interval([[0.8, 0.9, 0.7]]) == t_interval([0.8, 0.9, 0.7])


@pytest.mark.parametrize("strata", [[], [[0.9]], [[0.8, 0.9], [0.7]]], ids=["none", "one", "mixed"])
def test_a_cell_of_one_seed_leaves_the_mean_without_an_interval(strata: list[list[float]]) -> None:
    assert mean_interval(strata) is None
    assert difference_interval(strata, strata) is None
    assert interquartile_mean_interval(strata) is None


def test_the_chance_to_be_better_is_the_mann_whitney_u_of_each_cell() -> None:
    first = [[0.8, 0.9, 0.85], [0.5, 0.6]]
    second = [[0.8, 0.7, 0.95], [0.6, 0.4, 0.5]]
    expected = np.mean(
        [
            stats.mannwhitneyu(one, other).statistic / (len(one) * len(other))
            for one, other in zip(first, second, strict=True)
        ]
    )

    assert probability_better(first, second) == pytest.approx(expected, abs=1e-12)


def test_the_interval_of_the_chance_is_that_of_a_brute_force_bootstrap() -> None:
    first, second = cells(3, 4, spread=0.05), [[v - 0.02 for v in one] for one in cells(3, 5, 0.05)]

    found = probability_interval(first, second)

    def chance(drawn: list[np.ndarray]) -> float:
        return float(
            np.mean(
                [
                    np.mean([(a > b) + 0.5 * (a == b) for a in one for b in other])
                    for one, other in zip(drawn[:3], drawn[3:], strict=True)
                ]
            )
        )

    rng = np.random.default_rng(5)
    draws = [
        chance([rng.choice(values, len(values)) for values in (*first, *second)])
        for _ in range(3000)
    ]
    assert found is not None
    expected = np.percentile(draws, [2.5, 97.5])
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=0.03)


def test_equal_sides_have_even_chances() -> None:
    strata = cells(3, 4)

    found = probability_interval(strata, strata)

    assert probability_better(strata, strata) == 0.5
    assert found is not None
    assert found.low < 0.5 < found.high


def test_one_cell_has_no_interval_of_the_chance() -> None:
    assert probability_interval([[0.9, 0.8]], [[0.1, 0.2]]) is None


@pytest.mark.parametrize(
    ("firsts", "seconds"),
    [
        ([[0.9, 0.8], [0.9, 0.8]], [[0.7, 0.85], [0.7, 0.85]]),
        ([[0.9, 0.8, 0.7], [0.9, 0.8, 0.7]], [[0.7, 0.85, 0.9], [0.7, 0.85]]),
        ([[0.9, 0.8, 0.7]] * 4, [[0.1, 0.2, 0.3]] * 4),
        ([[0.1, 0.2, 0.3]] * 4, [[0.9, 0.8, 0.7]] * 4),
        ([[1.0, 1.0, 1.0]] * 4, [[1.0, 1.0, 1.0]] * 4),
    ],
    ids=["two seeds", "two on one side", "all won", "all lost", "all equal"],
)
def test_too_few_seeds_claim_no_certain_chance(
    firsts: list[list[float]], seconds: list[list[float]]
) -> None:
    assert probability_interval(firsts, seconds) is None


def test_scores_below_a_half_are_not_turned_over() -> None:
    found = mean_interval([[0.1, 0.2], [0.2, 0.3]])

    assert found is not None
    assert found.high < 0.5
    assert math.isclose(interquartile_mean([0.1, 0.2, 0.2, 0.3]) or 0, 0.2)
