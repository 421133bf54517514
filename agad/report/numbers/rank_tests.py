"""Tests of methods over blocks: average ranks, Friedman's test and Wilcoxon-Holm groups."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from string import ascii_lowercase

ALPHA = 0.05
"""Significance level of the tests."""

_DIGITS = 12
"""Decimals that ranks see. Scores that differ by less are ties: floating point made them."""

Table = Sequence[Sequence[float]]
"""A score for each method, for each block: shape ``(num_blocks, num_methods)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The outcome of the tests. Methods are numbered in the order of the table."""

    average_ranks: tuple[float, ...]
    """1 is the best."""

    friedman_p: float | None
    """None for two methods, which only Wilcoxon's test compares."""

    pair_ps: tuple[tuple[int, int, float], ...]
    """Two methods and the Holm-corrected p of Wilcoxon's test; empty if Friedman's p is high."""

    groups: tuple[str, ...]
    """The letters of each method; two methods that share no letter differ."""


def fewest_blocks(num_methods: int) -> int:
    """Return the fewest blocks with which the tests could tell two methods apart.

    The smallest p that a two-sided Wilcoxon test of N blocks can give is 2 / 2^N, and Holm's first
    step asks for ALPHA over the number of pairs: 6 blocks for 2 methods, 7 for 3, 9 for 5.
    """
    num_pairs = math.comb(num_methods, 2)
    return next(num for num in range(2, 64) if 2 * num_pairs <= ALPHA * 2**num)


def verdict(table: Table) -> Verdict:
    """Test whether methods differ over blocks.

    Friedman's test comes first. Only if its p is below ALPHA, Wilcoxon's signed-rank test compares
    pairs, with zeros split evenly and p corrected by Holm. Mean ranks do not compare pairs, since
    the result would depend on the other methods.

    Args:
        table: At least ``fewest_blocks`` blocks of two or more methods, without gaps.

    Source:
        Demsar 2006, Statistical comparisons of classifiers over multiple data sets; Benavoli,
        Corani and Mangili 2016, Should we really use post-hoc tests based on mean-ranks?
    """
    # Scipy takes half a second to import, so it is imported only if there is enough to test.
    import numpy as np
    from scipy.stats import friedmanchisquare, rankdata

    scores = np.round(np.asarray(table, dtype=np.float64), _DIGITS)
    num_methods = scores.shape[1]
    ranks = rankdata(-scores, axis=1).mean(axis=0)
    friedman_p = None
    if num_methods > 2:
        # Friedman's statistic is 0 / 0 if all methods are equal in every block.
        all_tied = bool((scores == scores[:, :1]).all())
        friedman_p = 1.0 if all_tied else float(friedmanchisquare(*scores.T).pvalue)
    pairs = list(combinations(range(num_methods), 2))
    pair_ps: tuple[tuple[int, int, float], ...] = ()
    if friedman_p is None or friedman_p < ALPHA:
        ps = holm([wilcoxon_p(list(scores[:, i] - scores[:, j])) for i, j in pairs])
        pair_ps = tuple((i, j, p) for (i, j), p in zip(pairs, ps, strict=True))
    different = [(i, j) for i, j, p in pair_ps if p < ALPHA]
    order = sorted(range(num_methods), key=lambda method: (ranks[method], method))
    return Verdict(
        average_ranks=tuple(map(float, ranks)),
        friedman_p=friedman_p,
        pair_ps=pair_ps,
        groups=letters(order, different),
    )


def wilcoxon_p(differences: Sequence[float]) -> float:
    """Return the two-sided p of Wilcoxon's signed-rank test, zeros split evenly; 1 of zeros."""
    from scipy.stats import wilcoxon

    return float(wilcoxon(differences, zero_method="zsplit").pvalue)


def holm(ps: Sequence[float]) -> list[float]:
    """Return p values corrected for their number, in the same order.

    Source:
        Holm 1979, A simple sequentially rejective multiple test procedure. Scipy has no such
        function, and statsmodels would bring pandas into every report for these lines.
    """
    corrected = [0.0] * len(ps)
    highest = 0.0
    for place, number in enumerate(sorted(range(len(ps)), key=lambda number: ps[number])):
        highest = max(highest, min(1.0, (len(ps) - place) * ps[number]))
        corrected[number] = highest
    return corrected


def letters(order: Sequence[int], different: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    """Return letters of methods. Two methods share a letter if and only if they do not differ.

    Args:
        order: All methods, the best first; the best has the first letter.
        different: Pairs of methods that differ.

    Source:
        Piepho 2004, An algorithm for a letter-based representation of all-pairwise comparisons.
    """
    groups = [frozenset(order)]
    for pair in different:
        split = [group - {one} for group in groups if group.issuperset(pair) for one in pair]
        kept = [group for group in groups if not group.issuperset(pair)]
        groups = [
            group
            for group in dict.fromkeys(kept + split)
            if not any(group < other for other in kept + split)
        ]
    place = {method: number for number, method in enumerate(order)}
    groups.sort(key=lambda group: sorted(place[method] for method in group))
    return tuple(
        "".join(_letter(number) for number, group in enumerate(groups) if method in group)
        for method in range(len(order))
    )


def _letter(number: int) -> str:
    """Return a, b, ... z, then a1, b1, ..."""
    turn, place = divmod(number, len(ascii_lowercase))
    return ascii_lowercase[place] + (str(turn) if turn else "")
