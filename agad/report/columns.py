"""What stands in the tables by cell and by ratio: headers and, row by row, text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TypeAlias, TypeVar

from agad.report.results import CellResult, Leaderboard, RatioResult
from agad.report.rounding import (
    NONE,
    classes_text,
    confirmed_text,
    labels_text,
    params_text,
    plain,
    ratio_text,
    score_text,
    seconds_text,
)

_Row = TypeVar("_Row", CellResult, RatioResult)
_Column: TypeAlias = tuple[str, Callable[[_Row], str]]

_NAMES = ("data set", "variant")
"""Headers of the columns that a row shares with its neighbours."""

CONFIGURATION = "configuration"
"""Header of the confirmed parameters."""

_SHORT = {
    "val AUROC": "val",
    "trials": "run",
    "stopped": "stop",
    "diverged": "div",
    "failed": "fail",
    "labels val+fit": "labels",
}


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table whose every number is rounded already."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    """What all rows share; empty where the columns tell."""

    def is_number(self, header: str) -> bool:
        """Whether a column holds numbers and stands to the right."""
        return header not in (*_NAMES, CONFIGURATION)

    def group(self, row: Sequence[str]) -> tuple[str, ...]:
        """Return the names that a row shares with its neighbours."""
        pairs = zip(self.headers, row, strict=True)
        return tuple(text for header, text in pairs if header in _NAMES)

    def grouped(self) -> list[TextTable]:
        """Return one table for each group of rows, its names as the title."""
        return [
            replace(
                self, rows=tuple(rows), title=" · ".join(text for text in names if text)
            ).without(*_NAMES)
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

    def shortened(self) -> TextTable:
        """Return the table without what 80 characters have no room for, its headers short."""
        kept = self.without("avg. prec.", "GPU time", CONFIGURATION)
        return replace(kept, headers=tuple(_SHORT.get(header, header) for header in kept.headers))


def cell_layouts(board: Leaderboard) -> list[list[TextTable]]:
    """Return the ways to show the table by cell, the widest first."""
    whole = cell_table(board)
    return [
        [whole],
        whole.grouped(),
        whole.without(CONFIGURATION).grouped(),
        [table.shortened() for table in whole.grouped()],
    ]


def ratio_layouts(board: Leaderboard) -> list[list[TextTable]]:
    """Return the ways to show the table by ratio, the widest first."""
    whole = ratio_table(board)
    return [[whole], whole.grouped()]


def cell_table(board: Leaderboard) -> TextTable:
    """Return the table by cell with every column that holds something."""
    columns: list[_Column[CellResult]] = [
        ("data set", lambda cell: cell.dataset),
        ("variant", lambda cell: cell.variant),
        ("class", lambda cell: str(cell.given_class)),
        ("ratio", lambda cell: ratio_text(cell.anomaly_ratio)),
        ("test AUROC", confirmed_text),
        ("avg. prec.", lambda cell: score_text(cell.test_average_precision)),
        ("val AUROC", lambda cell: score_text(cell.val_auroc)),
        ("trials", lambda cell: _trials(cell, cell.num_trials)),
        ("stopped", lambda cell: _trials(cell, cell.num_pruned)),
        ("diverged", lambda cell: _trials(cell, cell.num_diverged)),
        ("failed", lambda cell: _trials(cell, cell.num_failed)),
        ("time", lambda cell: seconds_text(cell.total_s) if cell.num_epochs else NONE),
        ("GPU time", lambda cell: seconds_text(cell.gpu_s) if cell.num_epochs else NONE),
        ("labels val+fit", labels_text),
        (CONFIGURATION, params_text),
    ]
    left_out = _empty_headers(board)
    return _table([column for column in columns if column[0] not in left_out], board.cells)


def ratio_table(board: Leaderboard) -> TextTable:
    """Return the table by ratio."""
    columns: list[_Column[RatioResult]] = [
        ("data set", lambda one: one.dataset),
        ("variant", lambda one: one.variant),
        ("ratio", lambda one: ratio_text(one.anomaly_ratio)),
        ("test AUROC", lambda one: score_text(one.test_auroc)),
        ("± classes", lambda one: score_text(one.sd_over_classes)),
        ("± seeds", lambda one: score_text(one.sd_over_seeds)),
        ("avg. prec.", lambda one: score_text(one.test_average_precision)),
        ("classes", classes_text),
        ("n", lambda one: str(one.num_confirmed)),
    ]
    left_out = _empty_headers(board)
    return _table([column for column in columns if column[0] not in left_out], board.ratios)


def _table(columns: Sequence[_Column[_Row]], rows: Iterable[_Row]) -> TextTable:
    return TextTable(
        headers=tuple(header for header, _ in columns),
        rows=tuple(tuple(plain(text(row)) for _, text in columns) for row in rows),
    )


def _empty_headers(board: Leaderboard) -> set[str]:
    has_variants = any(cell.variant for cell in board.cells)
    empty = {"variant"} if not has_variants else set()
    return empty if board.totals.gpu_s else empty | {"GPU time"}


def _trials(cell: CellResult, count: int) -> str:
    return str(count) if cell.num_trials else NONE
