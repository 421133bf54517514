"""The page of diagnostics: its numbers, and that they stay off the leaderboard."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from statistics import fmean
from typing import Any, TypeAlias

import pytest
from rich.console import Console
from scipy import stats

from agad.records import DiagnosticRow, TrialRow
from agad.report import Leaderboard, Page, diagnostics_page, leaderboard, markdown, terminal

RowBuilder: TypeAlias = Callable[..., TrialRow]

GAPS = {0: (0.0, 0.125, 0.25), 1: (0.5, 0.0, 0.25)}
"""Optimism gaps of the seeds, by normal class."""


def _row(trial: TrialRow, gap: float, **changes: Any) -> DiagnosticRow:  # noqa: ANN401
    assert trial.test_auroc is not None
    row = DiagnosticRow(
        study=trial.study,
        cell=trial.cell,
        phase=trial.phase,
        trial_key=trial.trial_key,
        attempt=0,
        number=trial.number,
        detector=trial.detector,
        detector_version=trial.detector_version,
        dataset=trial.dataset,
        params=trial.params,
        seeds=trial.seeds,
        kept_epochs=(1, 3, 26),
        kept_test_aurocs=(0.0, trial.test_auroc + gap, trial.test_auroc),
        reported_test_auroc=trial.test_auroc,
        oracle_best_epoch=3 if gap else 26,
        oracle_best_epoch_test_auroc=trial.test_auroc + gap,
        optimism_gap=gap,
        bn_batchstats_ordered_test_auroc=0.96875,
        bn_batchstats_shuffled_test_auroc=0.375,
        commit="",
        is_dirty=False,
        versions="{}",
        hardware="here",
        diagnosed_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return replace(row, **changes)


@pytest.fixture
def confirmed(make_confirm_row: RowBuilder) -> list[TrialRow]:
    """Three seeds of two cells, all of AUROC a half or a quarter."""
    return [
        make_confirm_row(
            seed, 0.5 - label / 4, cell=f"digits class={label} ratio=0", normal_class=label
        )
        for label in GAPS
        for seed in (1, 2, 3)
    ]


@pytest.fixture
def board(confirmed: list[TrialRow]) -> Leaderboard:
    return leaderboard(confirmed)


@pytest.fixture
def rows(confirmed: list[TrialRow]) -> list[DiagnosticRow]:
    gaps = [gap for of_cell in GAPS.values() for gap in of_cell]
    return [_row(trial, gap) for trial, gap in zip(confirmed, gaps, strict=True)]


def _tables(page: Page | None) -> list[list[dict[str, str]]]:
    """Return the rows of each table, by header."""
    assert page is not None
    return [
        [dict(zip(table.headers, row, strict=True)) for row in table.rows]
        for (table,) in (layouts[0] for layouts in page.tables)
    ]


def test_each_cell_has_its_means_and_the_interval_of_its_gap(
    board: Leaderboard, rows: list[DiagnosticRow]
) -> None:
    by_cell, _ = _tables(diagnostics_page(board, rows))
    low, high = stats.t.interval(0.95, 2, fmean(GAPS[0]), stats.sem(GAPS[0]))
    assert low < 0
    assert by_cell[0] == {
        "data set": "digits",
        "class": "0",
        "ratio": "0",
        "n": "3",
        "reported": "0.500",
        "best epoch": "0.625",
        "at": "3-26",
        "optimism gap": "+0.125",
        "95 % interval": f"0.000-{high:.3f}",
        "BN ordered": "0.969",
        "BN shuffled": "0.375",
    }
    assert by_cell[1]["reported"] == "0.250"
    assert by_cell[1]["optimism gap"] == "+0.250"


def test_the_mean_over_cells_weighs_each_cell_the_same(
    board: Leaderboard, rows: list[DiagnosticRow]
) -> None:
    _, ((mean),) = _tables(diagnostics_page(board, rows[:1] + rows[3:]))
    assert (mean["cells"], mean["n"]) == ("2", "4/6")
    assert (mean["reported"], mean["optimism gap"]) == ("0.375", "+0.125")
    assert mean["95 % interval"] == "-"


def test_a_detector_without_batch_normalisation_has_no_such_auroc(
    board: Leaderboard, rows: list[DiagnosticRow]
) -> None:
    without = [
        replace(row, bn_batchstats_ordered_test_auroc=None, bn_batchstats_shuffled_test_auroc=None)
        for row in rows
    ]
    by_cell, _ = _tables(diagnostics_page(board, without))
    assert {(one["BN ordered"], one["BN shuffled"]) for one in by_cell} == {("-", "-")}


@pytest.mark.parametrize(
    "changes", [{"params": json.dumps({"lr": 0.5})}, {"seeds": (9,)}, {"cell": "another"}]
)
def test_a_trial_that_is_in_no_mean_of_the_leaderboard_is_left_out(
    board: Leaderboard, rows: list[DiagnosticRow], changes: dict[str, Any]
) -> None:
    assert diagnostics_page(board, [replace(rows[0], **changes)]) is None
    with_it = diagnostics_page(board, [*rows, replace(rows[0], optimism_gap=1.0, **changes)])
    assert with_it == diagnostics_page(board, rows)


def test_there_is_no_page_where_nothing_was_diagnosed(board: Leaderboard) -> None:
    assert diagnostics_page(board, []) is None
    assert diagnostics_page(leaderboard([]), []) is None


def test_cells_without_diagnostics_are_counted(
    board: Leaderboard, rows: list[DiagnosticRow]
) -> None:
    page = diagnostics_page(board, rows[:3])
    assert page is not None
    assert page.notes[-1] == "Not diagnosed: 1 cell."


@pytest.mark.parametrize("width", [60, 80, 200])
def test_both_renderings_are_headed_so_that_nobody_takes_them_for_results(
    board: Leaderboard, rows: list[DiagnosticRow], width: int
) -> None:
    page = diagnostics_page(board, rows)
    assert page is not None
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(terminal(page))
    assert isinstance(console.file, io.StringIO)
    for text in (console.file.getvalue(), markdown(page)):
        words = " ".join(text.split())
        assert "Diagnostics that looked at the test split; never ranked" in words
        assert words.count("Diagnostics, not results") == 2
        assert "+0.125" in words
