"""The comparison of two studies, or of a study and a baseline, cell by cell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from agad.report.numbers.cells import named_apart
from agad.report.numbers.methods import CellPair, Contrast, Question, contrast, pair, question
from agad.report.numbers.rankings import Ranking, rankings
from agad.report.numbers.results import CellResult
from agad.report.numbers.statistics import Difference

Outcome: TypeAlias = Literal[
    "higher",
    "lower",
    "not apart",
    "all higher",
    "all lower",
    "one seed",
    "no spread",
    "fewer seeds",
    "not confirmed",
    "first only",
    "second only",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The cells of two sides in pairs. Differences are first minus second."""

    first: str
    """Name of the first side."""

    second: str
    pairs: tuple[CellPair, ...]
    """In order of the first side's cells, then the cells that only the second side has; by detector
    and variant if a side has several detectors."""

    contrast: Contrast
    """The difference of both sides over the cells that both have confirmed."""

    rankings: tuple[Ranking, ...]
    first_searches: tuple[CellResult, ...] = ()
    """The first side's searches on development classes, which are not compared."""

    second_searches: tuple[CellResult, ...] = ()

    @property
    def fallen(self) -> tuple[CellPair, ...]:
        """Cells that are below the second side beyond chance, or have lost seeds."""
        return tuple(one for one in self.pairs if has_fallen(one))


def compare(
    first: tuple[str, Sequence[CellResult]], second: tuple[str, Sequence[CellResult]]
) -> Comparison:
    """Compare two sides.

    Cells with the same data set, class, ratio and task are partners. If a side has several variants
    of such a cell, partners must also have the same variant; if a side has several detectors, the
    same detector too.

    Args:
        first: The first side's name, and its cells with the searches on development classes.
        second: The same of the second side.
    """
    (first_name, ours), (second_name, theirs) = first, second
    pairs = tuple(pair(*one) for one in _partners(_compared(ours), _compared(theirs)))
    have_several = any(has_several_detectors(side) for side in (ours, theirs))
    if have_several:
        pairs = tuple(sorted(pairs, key=_by_detector))
    sides = [
        replace(cell, method=name, task=_place(one.either, with_detector=have_several))
        for one in pairs
        for name, cell in (("first", one.first), ("second", one.second))
        if cell
    ]
    named = {"first": first_name, "second": second_name}
    return Comparison(
        first=first_name,
        second=second_name,
        pairs=pairs,
        contrast=contrast(first_name, second_name, pairs),
        rankings=tuple(
            replace(
                ranking,
                methods=tuple(named[method] for method in ranking.methods),
                pair_ps=tuple((named[a], named[b], p) for a, b, p in ranking.pair_ps),
            )
            for ranking in rankings(sides)
        ),
        first_searches=tuple(cell for cell in ours if cell.is_search),
        second_searches=tuple(cell for cell in theirs if cell.is_search),
    )


def has_several_detectors(cells: Iterable[CellResult]) -> bool:
    """Whether cells are of several detectors, so that a cell's detector must be named."""
    return len({cell.detector for cell in cells if cell.detector}) > 1


def _compared(cells: Iterable[CellResult]) -> list[CellResult]:
    """Return the cells of a side, those of another policy named apart.

    Candidates of one study are ranked together, but two studies may have chosen in other ways.
    """
    return [
        replace(
            cell,
            variant=named_apart(cell.policy, cell.variant),
            task=named_apart(cell.policy, cell.task),
        )
        for cell in cells
        if not cell.is_search
    ]


def _by_detector(one: CellPair) -> tuple[str, ...]:
    cell = one.either
    return (cell.dataset, cell.detector, cell.variant)


def _place(cell: CellResult, *, with_detector: bool) -> str:
    """Return what tells a cell from the others of its question."""
    return f"{cell.detector} {cell.variant}" if with_detector else cell.variant


def outcome(one: CellPair) -> Outcome:
    """Return the outcome of a pair of cells."""
    if one.second is None:
        return "first only"
    if one.first is None:
        return "second only"
    if one.difference is None:
        return "not confirmed"
    interval = one.difference.interval
    if interval is None:
        return _without_interval(one, one.difference)
    if interval.low > 0:
        return "higher"
    return "lower" if interval.high < 0 else "not apart"


def has_fewer_seeds(one: CellPair) -> bool:
    """Whether the first side has fewer confirmed seeds of a cell than the second."""
    return _num_confirmed(one.first) < _num_confirmed(one.second)


def has_fallen(one: CellPair) -> bool:
    """Whether a cell is below the second side, or has lost seeds.

    A cell is below if its whole interval is, or if every shared seed fell by the same amount. Equal
    differences have no interval, but a seed draws the same images and weights again, so they are
    hardly chance. A seed that diverges has no score, so lost seeds count as a fall by themselves.
    """
    return has_fewer_seeds(one) or outcome(one) in ("lower", "all lower")


def _without_interval(one: CellPair, found: Difference) -> Outcome:
    if found.is_none:
        return "not apart"
    if has_fewer_seeds(one):
        return "fewer seeds"
    if found.is_alike:
        return "all higher" if found.value > 0 else "all lower"
    return "one seed" if found.num < 2 else "no spread"


def _num_confirmed(cell: CellResult | None) -> int:
    return len(cell.test_aurocs) if cell else 0


def _partners(
    ours: Iterable[CellResult], theirs: Iterable[CellResult]
) -> list[tuple[CellResult | None, CellResult | None]]:
    partners: list[tuple[CellResult | None, CellResult | None]] = []
    unclaimed = _by_question(theirs)
    for asked, cells in _by_question(ours).items():
        others = unclaimed.pop(asked, [])
        if len(cells) == len(others) == 1:
            partners.append((cells[0], others[0]))
            continue
        has_several = has_several_detectors(cells) or has_several_detectors(others)
        by_place = {_place(cell, with_detector=has_several): cell for cell in others}
        for cell in cells:
            place = _place(cell, with_detector=has_several)
            partners.append((cell, by_place.pop(place, None)))
        partners += [(None, cell) for cell in by_place.values()]
    return partners + [(None, cell) for cells in unclaimed.values() for cell in cells]


def _by_question(cells: Iterable[CellResult]) -> dict[Question, list[CellResult]]:
    by_question: dict[Question, list[CellResult]] = defaultdict(list)
    for cell in cells:
        by_question[question(cell)].append(cell)
    return by_question
