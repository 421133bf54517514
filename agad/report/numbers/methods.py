"""Pairs of methods over the cells that they share; two questions are never compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean
from typing import Self, TypeAlias

from agad.report.numbers.results import CellResult
from agad.report.numbers.statistics import (
    DIFFERENCE_BOUNDS,
    Difference,
    Interval,
    difference,
    difference_interval,
    mean_interval,
    paired_differences,
    probability_better,
    probability_interval,
)

Question: TypeAlias = tuple[str, str, float, str]
"""Data set, class as it was given, ratio and task: what two cells must share to be compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellPair:
    """A cell of the first side and its partner on the second side."""

    first: CellResult | None
    """None if only the second side has the cell."""

    second: CellResult | None
    difference: Difference | None
    """First minus second; None if either cell has no confirmed seed."""

    @property
    def either(self) -> CellResult:
        """The first cell if there is one, else the second; both ask the same question."""
        cell = self.first or self.second
        assert cell is not None
        return cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """Two methods, or two studies, compared over the cells that both have confirmed."""

    first: str
    second: str
    num_cells: int
    """Cells confirmed on both sides. The numbers below are about these cells only."""

    num_missing: int
    """Cells that only one side has confirmed."""

    difference: float | None
    """Mean over the cells of the first's mean minus the second's, in [-1, 1]."""

    interval: Interval | None
    """95 % interval of ``difference`` over seeds; None if a cell has one seed or all agree."""

    probability: float | None
    """Chance that a seed of the first beats a seed of the second in a cell; ties count half."""

    probability_interval: Interval | None
    """95 % interval of ``probability`` over seeds; None if there are too few seeds."""


def question(cell: CellResult) -> Question:
    """Return the question that a cell asks, whichever method answers."""
    return (cell.dataset, str(cell.given_class), cell.anomaly_ratio, cell.task)


def pair(first: CellResult | None, second: CellResult | None) -> CellPair:
    """Return two cells of the same question, with their difference."""
    if not (first and second and first.test_aurocs and second.test_aurocs):
        return CellPair(first=first, second=second, difference=None)
    return CellPair(
        first=first, second=second, difference=difference(_by_seed(first), _by_seed(second))
    )


def contrast(first: str, second: str, pairs: Sequence[CellPair]) -> Contrast:
    """Return the differences of two sides over the cells that both have confirmed.

    A cell that stands at several ratios counts at each, but varies only once with its seeds.
    """
    both = [(one.first, one.second) for one in pairs if one.difference and one.first and one.second]
    ours, theirs = list(zip(*both, strict=True)) or ((), ())
    firsts, seconds = _Side.of(ours), _Side.of(theirs)
    groups = [_differences(group) for group in _sharing_trials(both)]
    is_paired = all(len(by_seed) >= 2 for group in groups for by_seed in group)
    differences = (
        [fmean(by_seed) for group in groups for by_seed in group]
        if is_paired
        else [fmean(one.test_aurocs) - fmean(other.test_aurocs) for one, other in both]
    )
    return Contrast(
        first=first,
        second=second,
        num_cells=len(both),
        num_missing=len(pairs) - len(both),
        difference=fmean(differences) if both else None,
        interval=mean_interval(
            [[fmean(of_seed) for of_seed in zip(*group, strict=True)] for group in groups],
            [len(group) for group in groups],
            DIFFERENCE_BOUNDS,
        )
        if is_paired
        else difference_interval(
            firsts.strata, seconds.strata, weights=(firsts.weights, seconds.weights)
        ),
        probability=probability_better(firsts.scores, seconds.scores) if both else None,
        probability_interval=probability_interval(
            firsts.strata, seconds.strata, list(zip(firsts.places, seconds.places, strict=True))
        ),
    )


@dataclass(frozen=True, slots=True)
class _Side:
    """One side of a contrast: the scores of each cell that ran, once."""

    strata: Sequence[Sequence[float]]
    weights: Sequence[float]
    """The share of each stratum in the mean over the cells."""

    places: Sequence[int]
    """The stratum of each cell."""

    @property
    def scores(self) -> list[Sequence[float]]:
        """The scores of each cell."""
        return [self.strata[place] for place in self.places]

    @classmethod
    def of(cls, cells: Sequence[CellResult]) -> Self:
        ran = {cell.origin: cell.test_aurocs for cell in cells}
        origins = list(ran)
        places = [origins.index(cell.origin) for cell in cells]
        return cls(
            strata=list(ran.values()),
            weights=[places.count(place) / len(cells) for place in range(len(origins))],
            places=places,
        )


_Cells: TypeAlias = tuple[CellResult, CellResult]


def _sharing_trials(both: Iterable[_Cells]) -> list[list[_Cells]]:
    """Return the pairs in groups that share no trial: a detector may stand at several ratios."""
    groups: list[list[_Cells]] = []
    for pair in both:
        shared = [group for group in groups if any(_share_trials(pair, one) for one in group)]
        groups = [group for group in groups if group not in shared]
        groups.append([*(one for group in shared for one in group), pair])
    return groups


def _share_trials(pair: _Cells, other: _Cells) -> bool:
    return any(one.origin == same.origin for one, same in zip(pair, other, strict=True))


def _differences(group: Sequence[_Cells]) -> list[list[float]]:
    """Return each pair's differences of the seeds that all pairs of a group share."""
    by_pair = [paired_differences(_by_seed(ours), _by_seed(theirs)) for ours, theirs in group]
    shared = set.intersection(*(set(one) for one in by_pair))
    return [[one[seed] for seed in sorted(shared)] for one in by_pair]


def contrasts(cells: Iterable[CellResult], *, is_one_contest: bool = False) -> list[Contrast]:
    """Return a contrast for every two methods of a study, over the questions of either method.

    Args:
        cells: The cells of the study.
        is_one_contest: Whether the study compares detectors. Otherwise, cells of another selection
            policy have contrasts of their own, which name the policy.
    """
    if is_one_contest:
        return _contrasts(cells)
    return [
        replace(one, first=_named(one.first, policy), second=_named(one.second, policy))
        for policy, alike in cells_by_policy(cells)
        for one in _contrasts(alike)
    ]


def _named(method: str, policy: str) -> str:
    return f"{method} ({policy})" if policy else method


def _contrasts(cells: Iterable[CellResult]) -> list[Contrast]:
    by_method = answers_by_method(cells)
    return [
        contrast(
            first,
            second,
            [
                pair(by_method[first].get(asked), by_method[second].get(asked))
                for asked in by_method[first] | by_method[second]
            ],
        )
        for first, second in combinations(sorted(by_method), 2)
    ]


def cells_by_policy(cells: Iterable[CellResult]) -> list[tuple[str, list[CellResult]]]:
    """Return the cells of each policy, in order of the policies' names."""
    by_policy: dict[str, list[CellResult]] = defaultdict(list)
    for cell in cells:
        by_policy[cell.policy].append(cell)
    return sorted(by_policy.items())


def answers_by_method(cells: Iterable[CellResult]) -> dict[str, dict[Question, CellResult]]:
    """Return the cell by which each method answers each question."""
    by_method: dict[str, dict[Question, CellResult]] = defaultdict(dict)
    for cell in cells:
        # A cell without rows has no detector if the study has several: its method is unknown.
        if cell.detector:
            by_method[cell.method][question(cell)] = cell
    return by_method


def _by_seed(cell: CellResult) -> tuple[Sequence[int], Sequence[float]]:
    """Return the seeds and scores of a cell; no seeds unless each score has exactly one seed.

    The score of a confirm trial with several instances is their mean, so it pairs with no other.
    """
    is_one_each = len(cell.seeds) == len(cell.test_aurocs) == len(set(cell.seeds))
    return (cell.seeds if is_one_each else (), cell.test_aurocs)
