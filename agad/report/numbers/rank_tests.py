"""Which methods rank apart over blocks: average ranks, Friedman's test and Wilcoxon-Holm groups."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from string import ascii_lowercase

ALPHA = 0.05
"""Level of the tests."""

_DIGITS = 12
"""Decimals kept before ranks are given: scores that differ by less are ties of floating point."""

Table = Sequence[Sequence[float]]
"""A score for each method, for each block: shape ``(num_blocks, num_methods)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the tests say. Methods are numbered as they were given."""

    average_ranks: tuple[float, ...]
    """1 is the best."""

    friedman_p: float | None
    """None for two methods, which Wilcoxon's test alone compares."""

    pair_ps: tuple[tuple[int, int, float], ...]
    """Two methods and their Wilcoxon p, Holm-corrected; empty where Friedman's test saw nothing."""

    groups: tuple[str, ...]
    """Letters of each method; two that share none differ."""


def fewest_blocks(num_methods: int) -> int:
    """Return the blocks below which the tests could tell no two methods apart.

    The smallest p that a two-sided Wilcoxon test of N blocks can give is 2 / 2^N, and Holm's first
    step asks for ALPHA over the number of pairs: 6 blocks for 2 methods, 7 for 3, 9 for 5.
    """
    num_pairs = math.comb(num_methods, 2)
    return next(num for num in range(2, 64) if 2 * num_pairs <= ALPHA * 2**num)


def verdict(table: Table) -> Verdict:
    """Test whether methods differ over blocks.

    Friedman's test goes first; only where it is below ALPHA are pairs compared by Wilcoxon's
    signed-rank test, zeros split evenly, corrected by Holm. Mean ranks compare no pair, since such
    a comparison would depend on the other methods.

    Args:
        table: At least ``fewest_blocks`` blocks of two or more methods, nothing missing.

    Source:
        Demsar 2006, Statistical comparisons of classifiers over multiple data sets; Benavoli,
        Corani and Mangili 2016, Should we really use post-hoc tests based on mean-ranks?
    """
    # Half a second to import, so only where there is enough to test.
    import numpy as np
    from scipy.stats import friedmanchisquare, rankdata

    scores = np.round(np.asarray(table, dtype=np.float64), _DIGITS)
    num_methods = scores.shape[1]
    ranks = rankdata(-scores, axis=1).mean(axis=0)
    friedman_p = None
    if num_methods > 2:
        # Friedman's statistic is 0 / 0 where every block is one tie.
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
    """Return letters such that two methods share one just where they do not differ.

    Args:
        order: All methods, the best first: it has the first letter.
        different: Pairs that differ.

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
