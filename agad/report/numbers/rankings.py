"""The ranks of a study's methods over classes and over data sets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from agad.report.numbers.methods import (
    Question,
    answers_by_method,
    cells_by_policy,
    question,
)
from agad.report.numbers.rank_tests import fewest_blocks, verdict
from agad.report.numbers.results import CellResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Methods ranked over the classes of a data set or over data sets, or why they are not."""

    dataset: str
    """The data set whose classes are the blocks; empty if the blocks are data sets."""

    methods: tuple[str, ...]
    """The best average rank first; in order of their names if there is no verdict."""

    num_blocks: int
    """N: the classes or data sets in which every method has all cells."""

    left_out: tuple[tuple[str, int], ...]
    """Each class or data set that is no block, with the number of cells that methods lack."""

    num_needed: int
    """The least N with which the tests could tell two of the methods apart."""

    average_ranks: tuple[float, ...] = ()
    """In order of ``methods``; 1 is the best. Empty if there are too few blocks."""

    policy: str = ""
    """The ``CellResult.policy`` that the cells of all methods share."""

    groups: tuple[str, ...] = ()
    """The letters of each method; two methods that share no letter differ."""

    friedman_p: float | None = None
    """None without a verdict, and for two methods."""

    pair_ps: tuple[tuple[str, str, float], ...] = ()
    """Two methods and the Holm-corrected p of their Wilcoxon test."""

    @property
    def has_verdict(self) -> bool:
        """Whether there were enough blocks to test."""
        return bool(self.average_ranks)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """A class of a data set, or a whole data set: a row of the table that is tested."""

    name: str
    means: Mapping[str, float]
    """The mean of each method over the block; empty if a method lacks a cell."""

    num_missing: int
    """Cells that methods lack."""


def rankings(cells: Iterable[CellResult], *, is_one_contest: bool = False) -> list[Ranking]:
    """Rank the methods of a study over the classes of each data set, and over data sets.

    Classes of a data set share its images, so a ranking over classes is about that data set only.
    In the ranking over data sets, each data set is one block, however many classes it has. A block
    in which a method lacks a cell is left out.

    Args:
        cells: The cells of the study, those without rows included.
        is_one_contest: Whether the study compares detectors. Then a question that a detector does
            not answer, such as a ratio of 0 if it needs labels, is in no ranking. Otherwise, cells
            of another selection policy have rankings of their own.
    """
    if is_one_contest:
        cells = list(cells)
        of_methods = answers_by_method(cells).values()
        return _rankings(
            cell for cell in cells if all(question(cell) in answers for answers in of_methods)
        )
    return [
        replace(one, policy=policy)
        for policy, alike in cells_by_policy(cells)
        for one in _rankings(alike)
    ]


def _rankings(cells: Iterable[CellResult]) -> list[Ranking]:
    by_method = answers_by_method(cells)
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
