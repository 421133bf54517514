"""Tables of text and the page that holds them, before a terminal or Markdown lays them out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TypeAlias, TypeVar

from agad.report.pages.rounding import plain

_Row = TypeVar("_Row")
Column: TypeAlias = tuple[str, Callable[[_Row], str]]
"""A header, and a function that returns a row's text under the header."""

NAMES = ("data set", "detector", "variant")
"""Headers of the columns whose texts a row shares with its neighbours."""

CONFIGURATION = "configuration"
"""Header of the confirmed parameters."""

_TEXTS = (
    *NAMES,
    CONFIGURATION,
    "given",
    "method",
    "first",
    "second",
    "group",
    "interval by",
    "outcome",
    "table",
    "system",
)
"""Headers of the columns of texts, which are aligned to the left."""

_SHORT = {
    "95 % interval": "95 %",
    "IQM 95 % interval": "IQM 95 %",
    "P 95 % interval": "P 95 %",
    "val AUROC": "val",
    "trials": "run",
    "stopped": "stop",
    "diverged": "div",
    "failed": "fail",
    "labels val+fit": "labels",
    "label budget": "budget",
    "difference": "diff.",
    "optimism gap": "gap",
    "BN ordered": "BN ord.",
    "BN shuffled": "BN shuf.",
}


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table whose every number is rounded already."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    """The subject that all rows share; empty if the columns say it."""

    names: tuple[str, ...] = NAMES
    """Headers of the columns by which rows are grouped."""

    subject: str = ""
    """The kind of the rows; shown only as the caption of a table without a title."""

    def is_number(self, header: str) -> bool:
        """Whether a column holds numbers, which are aligned to the right."""
        return header not in _TEXTS

    def group(self, row: Sequence[str]) -> tuple[str, ...]:
        """Return the texts by which a row is grouped with its neighbours."""
        pairs = zip(self.headers, row, strict=True)
        return tuple(text for header, text in pairs if header in self.names)

    def grouped(self) -> list[TextTable]:
        """Return a table for each group of rows, with the group's names as its title."""
        return [
            replace(
                self,
                rows=tuple(rows),
                title=" · ".join(text for text in (self.title, *names) if text),
            ).without(*self.names)
            for names, rows in groupby(self.rows, self.group)
        ]

    def without(self, *headers: str) -> TextTable:
        """Return the table without some of its columns."""
        kept = [number for number, header in enumerate(self.headers) if header not in headers]
        return replace(
            self,
            headers=tuple(self.headers[number] for number in kept),
            rows=tuple(tuple(row[number] for number in kept) for row in self.rows),
        )

    def titled(self, title: str) -> TextTable:
        """Return the table with another title."""
        return replace(self, title=title)

    def split(self, num_shared: int, num_others: int) -> list[TextTable]:
        """Return several tables, each with the first columns and some of the others."""
        others = self.headers[num_shared:]
        return [
            self.without(*others[:start], *others[start + num_others :])
            for start in range(0, len(others), num_others)
        ]

    def shortened(self, *headers: str) -> TextTable:
        """Return the table for 80 characters: without some columns, its headers short."""
        kept = self.without(*headers)
        return replace(kept, headers=tuple(_SHORT.get(header, header) for header in kept.headers))


Layouts: TypeAlias = list[list[TextTable]]
"""The layouts of one table, the widest first. A layout is one table or several."""


@dataclass(frozen=True, slots=True)
class Page:
    """A title, tables and notes that are printed together."""

    title: str
    tables: tuple[Layouts, ...]
    """The layouts of each table. Markdown has the first."""

    notes: tuple[str, ...]
    """Each note is a sentence or two."""


def text_table(
    columns: Sequence[Column[_Row]], rows: Iterable[_Row], title: str = "", subject: str = ""
) -> TextTable:
    """Return a table with a line for each row."""
    return TextTable(
        headers=tuple(header for header, _ in columns),
        rows=tuple(tuple(plain(text(row)) for _, text in columns) for row in rows),
        title=plain(title),
        subject=subject,
    )
