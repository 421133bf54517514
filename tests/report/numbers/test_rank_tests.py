"""Ranks and groups against scipy, published corrections and cases with known answers."""

import itertools

import numpy as np
import pytest
from scipy import stats

from agad.report.numbers.rank_tests import fewest_blocks, holm, letters, verdict, wilcoxon_p


def table(num_blocks: int, shifts: list[float], noise: float = 0.001) -> list[list[float]]:
    rng = np.random.default_rng(2)
    level = rng.uniform(0.5, 0.9, size=(num_blocks, 1))
    scores: list[list[float]] = (
        level + np.array(shifts) + rng.normal(0, noise, (num_blocks, len(shifts)))
    ).tolist()
    return scores


def test_identical_methods_are_not_ranked_apart() -> None:
    found = verdict(table(12, [0.0, 0.0, 0.0], noise=0.0))

    assert found.average_ranks == (2.0, 2.0, 2.0)
    assert found.friedman_p == 1.0
    assert found.groups == ("a", "a", "a")
    assert found.pair_ps == ()


def test_two_identical_methods_have_a_p_of_one() -> None:
    found = verdict(table(12, [0.0, 0.0], noise=0.0))

    assert found.pair_ps == ((0, 1, 1.0),)
    assert found.groups == ("a", "a")


def test_a_difference_of_floating_point_is_a_tie() -> None:
    scores = [[0.1 + 0.2, 0.3] for _ in range(10)]

    assert verdict(scores).average_ranks == (1.5, 1.5)


def test_a_method_that_is_best_everywhere_stands_in_its_own_group() -> None:
    found = verdict(table(12, [-0.1, 0.05, -0.1]))

    assert found.average_ranks[1] == 1.0
    assert found.groups[1] == "a"
    assert found.groups[0] == found.groups[2] == "b"


def test_ranks_and_tests_are_scipys() -> None:
    scores = np.asarray(table(9, [0.0, 0.02, 0.05, 0.01], noise=0.02))

    found = verdict(scores.tolist())

    assert found.friedman_p == pytest.approx(stats.friedmanchisquare(*scores.T).pvalue, rel=1e-9)
    ranks = [np.mean([stats.rankdata(-row)[i] for row in scores]) for i in range(4)]
    assert found.average_ranks == pytest.approx(ranks, abs=1e-12)
    pairs = list(itertools.combinations(range(4), 2))
    raw = [stats.wilcoxon(scores[:, i], scores[:, j]).pvalue for i, j in pairs]
    in_order = sorted(raw)
    expected = [
        min(1.0, max((6 - k) * in_order[k] for k in range(in_order.index(p) + 1))) for p in raw
    ]
    assert [p for _, _, p in found.pair_ps] == pytest.approx(expected, rel=1e-9)


def test_friedmans_test_decides_whether_pairs_are_tested() -> None:
    found = verdict(table(12, [0.0, 0.0, 0.0, 0.0], noise=0.05))

    assert found.friedman_p is not None
    assert found.friedman_p > 0.05
    assert (found.pair_ps, set(found.groups)) == ((), {"a"})


@pytest.mark.parametrize(
    ("ps", "expected"),
    [
        # R 4: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm"), and the same by hand.
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.5, 0.9], [1.0, 1.0]),
        ([0.02], [0.02]),
        ([], []),
    ],
    ids=["four", "capped", "one", "none"],
)
def test_holms_correction_has_its_known_answers(ps: list[float], expected: list[float]) -> None:
    assert holm(ps) == pytest.approx(expected)


def test_wilcoxons_p_is_that_of_all_signs() -> None:
    differences = [0.1, 0.25, -0.3, 0.4, 0.55, 0.6]
    ranks = stats.rankdata(np.abs(differences))
    observed = sum(rank for rank, one in zip(ranks, differences, strict=True) if one > 0)
    center = ranks.sum() / 2
    sums = [
        sum(rank for rank, sign in zip(ranks, signs, strict=True) if sign)
        for signs in itertools.product([False, True], repeat=6)
    ]

    expected = np.mean([abs(one - center) >= abs(observed - center) for one in sums])

    assert wilcoxon_p(differences) == pytest.approx(expected)


@pytest.mark.parametrize(("methods", "blocks"), [(2, 6), (3, 7), (4, 8), (5, 9), (10, 11)])
def test_the_fewest_blocks_are_those_of_which_a_test_can_tell_two_apart(
    methods: int, blocks: int
) -> None:
    num_pairs = methods * (methods - 1) // 2
    enough, short = ([1.0 + i for i in range(num)] for num in (blocks, blocks - 1))

    assert fewest_blocks(methods) == blocks
    assert wilcoxon_p(enough) * num_pairs < 0.05 < wilcoxon_p(short) * num_pairs


@pytest.mark.parametrize(
    ("different", "expected"),
    [
        ([], ("a", "a", "a", "a")),
        ([(0, 3)], ("a", "ab", "ab", "b")),
        ([(0, 1), (0, 2), (0, 3)], ("a", "b", "b", "b")),
        ([(0, 2), (0, 3), (1, 3)], ("a", "ab", "bc", "c")),
    ],
    ids=["none", "ends", "best", "chain"],
)
def test_letters_are_shared_by_those_that_do_not_differ(
    different: list[tuple[int, int]], expected: tuple[str, ...]
) -> None:
    assert letters(range(4), different) == expected


def test_letters_say_just_what_differs() -> None:
    pairs = list(itertools.combinations(range(5), 2))
    rng = np.random.default_rng(4)
    for _ in range(50):
        different = [one for one in pairs if rng.random() < 0.4]
        found = letters(range(5), different)
        shared = [(i, j) for i, j in pairs if set(found[i]) & set(found[j])]
        assert sorted(shared + different) == pairs
