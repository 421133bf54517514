"""The page of diagnostics that looked back at the test split. They are no results."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from agad.records import DiagnosticRow
from agad.report.numbers.comparison import has_several_detectors
from agad.report.numbers.leaderboard import Leaderboard
from agad.report.numbers.results import CellResult
from agad.report.numbers.statistics import Interval, mean_interval
from agad.report.pages.page import Column, Layouts, Page, text_table
from agad.report.pages.rounding import (
    count_text,
    difference_text,
    interval_text,
    plain,
    ratio_text,
    score_text,
)

_TITLE = "Diagnostics that looked at the test split; never ranked"
_NOTES = (
    "None of these numbers is a result: each used the test labels, or the test images around an "
    "image. They are in no mean, contrast or ranking of the leaderboard, and chose nothing.",
    "Best epoch: the highest test AUROC among the epochs whose checkpoints were kept, the last "
    "among them; what is published where the test split chooses the epoch. Optimism gap: that "
    "minus the reported AUROC of the last epoch, at least 0, and larger had more epochs been kept; "
    "its 95 % interval is over seeds, as the leaderboard's.",
    "BN ordered, BN shuffled: the last epoch's AUROC where batch normalisation takes the "
    "statistics of test batches of 64, normals before anomalies or shuffled, as code without "
    "eval() does; - without batch normalisation.",
)


@dataclass(frozen=True, slots=True)
class _Diagnosed:
    """One cell, or several cells whose mean is taken with equal weights."""

    cells: tuple[CellResult, ...]
    rows: tuple[tuple[DiagnosticRow, ...], ...]
    """The diagnosed trials of each cell, at least one for each."""

    def mean(self, value: Callable[[DiagnosticRow], float | None]) -> float | None:
        """Return the mean over the cells of the means over seeds; None if a trial has no value."""
        strata = [[value(row) for row in rows] for rows in self.rows]
        known = [[one for one in values if one is not None] for values in strata]
        if [*map(len, known)] != [*map(len, strata)]:
            return None
        return fmean(map(fmean, known))

    @property
    def gap_interval(self) -> Interval | None:
        """The 95 % interval of the mean gap over seeds."""
        return mean_interval([[row.optimism_gap for row in rows] for rows in self.rows])

    @property
    def best_epochs(self) -> str:
        """The lowest and the highest best epoch of the trials."""
        epochs = sorted(row.oracle_best_epoch for rows in self.rows for row in rows)
        return str(epochs[0]) if epochs[0] == epochs[-1] else f"{epochs[0]}-{epochs[-1]}"

    @property
    def num_text(self) -> str:
        """The number of diagnosed trials, with that of confirmed trials if there are more."""
        num = sum(map(len, self.rows))
        of_all = sum(cell.num_confirmed for cell in self.cells)
        return str(num) if num == of_all else f"{num}/{of_all}"


def diagnostics_page(board: Leaderboard, rows: Iterable[DiagnosticRow]) -> Page | None:
    """Return the diagnostics of the trials that a leaderboard confirmed; None without any.

    Args:
        board: The leaderboard of the study.
        rows: The study's diagnostics; rows of trials that are in no mean of it are left out.
    """
    by_cell: dict[str, list[DiagnosticRow]] = defaultdict(list)
    for row in rows:
        by_cell[row.cell].append(row)
    cells = [_of_cell(cell, by_cell[cell.cell]) for cell in board.cells if not cell.stands_for]
    diagnosed = [one for one in cells if one is not None]
    if not diagnosed:
        return None
    groups: dict[tuple[str, str, str], list[_Diagnosed]] = defaultdict(list)
    for one in diagnosed:
        first = one.cells[0]
        groups[first.dataset, first.detector, first.variant].append(one)
    means = [_joined(group) for group in groups.values()]
    num_missing = len(cells) - len(diagnosed)
    missing = (f"Not diagnosed: {count_text(num_missing, 'cell')}.",) if num_missing else ()
    return Page(
        title=f"Study {plain(board.study)} · {_TITLE}",
        tables=(
            _layouts(_cell_names(diagnosed), diagnosed, "Diagnostics, not results · by cell"),
            _layouts(_mean_names(diagnosed), means, "Diagnostics, not results · mean over cells"),
        ),
        notes=(*_NOTES, *missing),
    )


def _of_cell(cell: CellResult, rows: Sequence[DiagnosticRow]) -> _Diagnosed | None:
    found = tuple(
        row
        for row in rows
        if json.loads(row.params) == cell.best_params and {*row.seeds} <= {*cell.seeds}
    )
    return _Diagnosed((cell,), (found,)) if found else None


def _joined(several: Sequence[_Diagnosed]) -> _Diagnosed:
    return _Diagnosed(
        tuple(cell for one in several for cell in one.cells),
        tuple(rows for one in several for rows in one.rows),
    )


def _cell_names(several: Sequence[_Diagnosed]) -> list[Column[_Diagnosed]]:
    return [
        *_group_names(several),
        ("class", lambda one: str(one.cells[0].given_class)),
        ("ratio", lambda one: ratio_text(one.cells[0].anomaly_ratio)),
    ]


def _mean_names(several: Sequence[_Diagnosed]) -> list[Column[_Diagnosed]]:
    return [*_group_names(several), ("cells", lambda one: str(len(one.cells)))]


def _group_names(several: Sequence[_Diagnosed]) -> list[Column[_Diagnosed]]:
    names: list[Column[_Diagnosed]] = [("data set", lambda one: one.cells[0].dataset)]
    if has_several_detectors(one.cells[0] for one in several):
        names.append(("detector", lambda one: one.cells[0].detector))
    if any(one.cells[0].variant for one in several):
        names.append(("variant", lambda one: one.cells[0].variant))
    return names


def _layouts(
    names: Sequence[Column[_Diagnosed]], several: Sequence[_Diagnosed], title: str
) -> Layouts:
    columns: list[Column[_Diagnosed]] = [
        *names,
        ("n", lambda one: one.num_text),
        ("reported", lambda one: score_text(one.mean(lambda row: row.reported_test_auroc))),
        (
            "best epoch",
            lambda one: score_text(one.mean(lambda row: row.oracle_best_epoch_test_auroc)),
        ),
        ("at", lambda one: one.best_epochs),
        ("optimism gap", lambda one: difference_text(one.mean(lambda row: row.optimism_gap))),
        ("95 % interval", lambda one: interval_text(one.gap_interval)),
        (
            "BN ordered",
            lambda one: score_text(one.mean(lambda row: row.bn_batchstats_ordered_test_auroc)),
        ),
        (
            "BN shuffled",
            lambda one: score_text(one.mean(lambda row: row.bn_batchstats_shuffled_test_auroc)),
        ),
    ]
    whole = text_table(columns, several, title)
    return [[whole], whole.grouped(), [one.shortened("at") for one in whole.grouped()]]
