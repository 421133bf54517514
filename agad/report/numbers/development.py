"""Development classes: the cells that search for others, and means without these classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from agad.config import Cell, ClassGiven
from agad.records import TrialRow
from agad.report.numbers.results import CellResult


@dataclass(frozen=True, slots=True)
class Development:
    """The development classes of a study, and the cells that searched on them."""

    searches: frozenset[str]
    """Labels of the cells that searched for other cells; empty if each searched for itself."""

    given: frozenset[ClassGiven]
    """The development classes as the study names them."""

    labels: frozenset[tuple[str, int | str]]
    """Data set and label of each development class in the rows."""

    @classmethod
    def of(cls, rows: Sequence[TrialRow], searches: Sequence[Cell]) -> Self:
        """Collect the development classes from rows and planned searches."""
        searched = [row for row in rows if row.development_classes]
        return cls(
            searches=frozenset([row.cell for row in searched] + [cell.label for cell in searches]),
            given=frozenset(one for cell in searches for one in cell.development_classes),
            labels=frozenset(
                (row.dataset, label) for row in searched for label in row.development_classes
            ),
        )

    def holds(self, cell: CellResult) -> bool:
        """Whether a cell's class is a development class."""
        return cell.given_class in self.given or (cell.dataset, cell.given_class) in self.labels


def with_and_without(
    cells: Sequence[CellResult],
) -> Iterator[tuple[Sequence[CellResult], tuple[int | str, ...]]]:
    """Yield all cells, then the cells of other than development classes, if both kinds exist.

    Each comes with the classes that are left out.
    """
    yield cells, ()
    left_out = dict.fromkeys(cell.given_class for cell in cells if cell.is_development)
    rest = [cell for cell in cells if not cell.is_development]
    if left_out and rest:
        yield rest, tuple(left_out)
