"""Methods that share cells, in pairs and in ranks; two questions are never compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean
from typing import TypeAlias

from agad.report.numbers.ranking import fewest_blocks, verdict
from agad.report.numbers.results import CellPair, CellResult, Contrast, Ranking
from agad.report.numbers.statistics import (
    DIFFERENCE_BOUNDS,
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
class _Block:
    """A class of a data set, or a data set."""

    name: str
    means: Mapping[str, float]
    """The mean of each method over it; empty where a method lacks a cell."""

    num_missing: int
    """Cells that methods lack."""


def question(cell: CellResult) -> Question:
    """Return what a cell asks, whoever answers."""
    return (cell.dataset, str(cell.given_class), cell.anomaly_ratio, cell.task)


def pair(first: CellResult | None, second: CellResult | None) -> CellPair:
    """Return two cells of one question and their difference."""
    if not (first and second and first.test_aurocs and second.test_aurocs):
        return CellPair(first=first, second=second, difference=None)
    return CellPair(
        first=first, second=second, difference=difference(_by_seed(first), _by_seed(second))
    )


def contrast(first: str, second: str, pairs: Sequence[CellPair]) -> Contrast:
    """Return how two sides differ over the cells that both have confirmed."""
    both = [(one.first, one.second) for one in pairs if one.difference and one.first and one.second]
    firsts = [ours.test_aurocs for ours, _ in both]
    seconds = [theirs.test_aurocs for _, theirs in both]
    by_seed = [paired_differences(_by_seed(ours), _by_seed(theirs)) for ours, theirs in both]
    is_paired = all(len(values) >= 2 for values in by_seed)
    differences = [
        fmean(values) if is_paired else fmean(ours) - fmean(theirs)
        for values, ours, theirs in zip(by_seed, firsts, seconds, strict=True)
    ]
    return Contrast(
        first=first,
        second=second,
        num_cells=len(both),
        num_missing=len(pairs) - len(both),
        difference=fmean(differences) if both else None,
        interval=mean_interval(by_seed, bounds=DIFFERENCE_BOUNDS)
        if is_paired
        else difference_interval(firsts, seconds),
        probability=probability_better(firsts, seconds) if both else None,
        probability_interval=probability_interval(firsts, seconds),
    )


def contrasts(cells: Iterable[CellResult]) -> list[Contrast]:
    """Return every two methods of a study, over the questions that either was asked.

    Cells that another policy selected have contrasts of their own, which name it.
    """
    return [
        replace(one, first=_named(one.first, policy), second=_named(one.second, policy))
        for policy, alike in _by_policy(cells)
        for one in _contrasts(alike)
    ]


def _named(method: str, policy: str) -> str:
    return f"{method} ({policy})" if policy else method


def _contrasts(cells: Iterable[CellResult]) -> list[Contrast]:
    by_method = _by_method(cells)
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


def rankings(cells: Iterable[CellResult]) -> list[Ranking]:
    """Rank the methods of a study over the classes of each data set, and over data sets.

    Classes of one data set share their images, so a ranking over them is about that data set
    alone; over several data sets, each is one block, however many classes it has. A class, or a
    data set, of which a method lacks a cell is left out. Cells that another policy selected have
    rankings of their own.
    """
    return [
        replace(one, policy=policy)
        for policy, alike in _by_policy(cells)
        for one in _rankings(alike)
    ]


def _rankings(cells: Iterable[CellResult]) -> list[Ranking]:
    by_method = _by_method(cells)
    if len(by_method) < 2:
        return []
    blocks: dict[str, dict[str, set[Question]]] = defaultdict(lambda: defaultdict(set))
    for asked in sorted({asked for answers in by_method.values() for asked in answers}):
        blocks[asked[0]][asked[1]].add(asked)
    by_dataset = {
        dataset: [_class_block(name, by_method, asked) for name, asked in classes.items()]
        for dataset, classes in blocks.items()
    }
    methods = sorted(by_method)
    whole = [_dataset_block(name, methods, classes) for name, classes in by_dataset.items()]
    return [
        *(_ranking(dataset, methods, classes) for dataset, classes in by_dataset.items()),
        _ranking("", methods, whole),
    ]


def _by_policy(cells: Iterable[CellResult]) -> list[tuple[str, list[CellResult]]]:
    by_policy: dict[str, list[CellResult]] = defaultdict(list)
    for cell in cells:
        by_policy[cell.policy].append(cell)
    return sorted(by_policy.items())


def _by_method(cells: Iterable[CellResult]) -> dict[str, dict[Question, CellResult]]:
    by_method: dict[str, dict[Question, CellResult]] = defaultdict(dict)
    for cell in cells:
        # Who would answer a cell without a row is not known where the study has several detectors.
        if cell.detector:
            by_method[cell.method][question(cell)] = cell
    return by_method


def _class_block(
    name: str,
    by_method: Mapping[str, Mapping[Question, CellResult]],
    block: Collection[Question],
) -> _Block:
    """Return a class with each method's mean over its ratios and tasks."""
    scores = {
        method: [
            cell.test_auroc
            for cell in map(answers.get, block)
            if cell and cell.test_auroc is not None
        ]
        for method, answers in by_method.items()
    }
    num_missing = sum(len(block) - len(found) for found in scores.values())
    means = {} if num_missing else {method: fmean(found) for method, found in scores.items()}
    return _Block(name=name, means=means, num_missing=num_missing)


def _dataset_block(name: str, methods: Sequence[str], classes: Sequence[_Block]) -> _Block:
    """Return a data set with each method's mean over its classes."""
    num_missing = sum(block.num_missing for block in classes)
    means = (
        {}
        if num_missing
        else {method: fmean(block.means[method] for block in classes) for method in methods}
    )
    return _Block(name=name, means=means, num_missing=num_missing)


def _ranking(dataset: str, methods: Sequence[str], blocks: Sequence[_Block]) -> Ranking:
    complete = [block.means for block in blocks if not block.num_missing]
    needed = fewest_blocks(len(methods))
    ranking = Ranking(
        dataset=dataset,
        methods=tuple(methods),
        num_blocks=len(complete),
        left_out=tuple((block.name, block.num_missing) for block in blocks if block.num_missing),
        num_needed=needed,
    )
    if len(complete) < needed:
        return ranking
    found = verdict([[block[method] for method in methods] for block in complete])
    order = sorted(range(len(methods)), key=lambda number: found.average_ranks[number])
    return replace(
        ranking,
        methods=tuple(methods[number] for number in order),
        average_ranks=tuple(found.average_ranks[number] for number in order),
        groups=tuple(found.groups[number] for number in order),
        friedman_p=found.friedman_p,
        pair_ps=tuple((methods[i], methods[j], p) for i, j, p in found.pair_ps),
    )


def _by_seed(cell: CellResult) -> tuple[Sequence[int], Sequence[float]]:
    """Return seeds and scores, without seeds where a score is not of exactly one.

    A confirm trial of several instances is the mean of all of them, and pairs with no other.
    """
    is_one_each = len(cell.seeds) == len(cell.test_aurocs) == len(set(cell.seeds))
    return (cell.seeds if is_one_each else (), cell.test_aurocs)
