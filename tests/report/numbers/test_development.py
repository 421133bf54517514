"""A study with development classes: its search, its cells, and the means with and without."""

from __future__ import annotations

import csv as csv_format
import io
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from agad.config import Grid
from agad.report import (
    Leaderboard,
    PlannedDetector,
    baseline_cells,
    compare,
    comparison_page,
    csv,
    leaderboard,
    markdown,
    means_csv,
    priced,
    terminal,
)

if TYPE_CHECKING:
    from tests.report.conftest import RowBuilder

GRID = Grid(dataset="digits", normal_class=[0, 3, 5, 7], anomaly_ratio=[0.0, 0.1])
SEARCHES = tuple(dict.fromkeys(cell.over((0, 5)) for cell in GRID.all_cells))
AUROCS = {0: 0.95, 3: 0.7, 5: 0.9, 7: 0.8}


@pytest.fixture
def board(make_row: RowBuilder, make_confirm_row: RowBuilder) -> Leaderboard:
    """Return a study of four classes and two ratios, two of the classes developed on two seeds."""
    rows = []
    for ratio, search in zip((0.0, 0.1), SEARCHES, strict=True):
        axes = {"anomaly_ratio": ratio}
        developed = {"cell": search.label, "normal_class": None, "development_classes": (0, 5)}
        counts = {"num_val_anomalies": 120, "num_fit_anomalies": 4, "epochs": 9}
        rows += [make_row(**axes, **developed, **counts, seeds=(0, 1)) for _ in range(3)]
        for label, auroc in AUROCS.items():
            cell = {"cell": f"digits class={label} ratio={ratio:g}", "normal_class": label}
            rows += [
                make_confirm_row(seed, auroc + seed / 1000 - ratio, **axes, **cell, epochs=27)
                for seed in (2, 3)
            ]
    return leaderboard(
        rows,
        planned=[PlannedDetector(cells=GRID.all_cells, cell_trials=3, searches=SEARCHES)],
        confirm_seeds=2,
    )


def test_cells_are_the_classes_and_the_search_stands_apart(board: Leaderboard) -> None:
    assert [cell.given_class for cell in board.cells] == [0, 0, 3, 3, 5, 5, 7, 7]
    assert {cell.given_class for cell in board.cells if cell.is_development} == {0, 5}
    assert {(cell.num_trials, cell.num_trials_planned) for cell in board.cells} == {(0, 0)}
    assert [(one.given_class, one.num_trials, one.num_instances) for one in board.searches] == [
        ("0, 5", 3, 4)
    ] * 2


def test_trials_time_epochs_and_labels_of_the_search_count_once(board: Leaderboard) -> None:
    assert (board.totals.num_trials, board.totals.num_trials_planned) == (6, 6)
    assert board.totals.num_confirm_trials == 16
    assert board.totals.total_s == 10.0 * 22
    assert board.totals.num_search_epochs == 6 * 4 * 9
    assert board.totals.num_epochs == 6 * 4 * 9 + 16 * 27
    assert board.totals.num_planned_search_epochs == 6 * 4 * 27
    assert {(one.num_val_anomalies, one.num_fit_anomalies) for one in board.searches} == {(120, 4)}
    assert {(one.num_val_anomalies, one.num_fit_anomalies) for one in board.cells} == {(30, 0)}


def test_each_ratio_has_a_mean_with_the_development_classes_and_one_without(
    board: Leaderboard,
) -> None:
    found = [(one.anomaly_ratio, one.left_out, one.num_classes) for one in board.ratios]
    assert found == [(0.0, (), 4), (0.0, (0, 5), 2), (0.1, (), 4), (0.1, (0, 5), 2)]
    every, rest, *_ = board.ratios
    assert every.test_auroc == pytest.approx(fmean(AUROCS.values()) + 0.0025)
    assert rest.test_auroc == pytest.approx(fmean((0.7, 0.8)) + 0.0025)
    assert rest.num_confirmed == 4


def test_summaries_over_ratios_have_both_means_too(board: Leaderboard) -> None:
    every, rest = board.summaries
    assert (every.left_out, rest.left_out) == ((), (0, 5))
    assert every.test_auroc == pytest.approx(fmean(AUROCS.values()) + 0.0025 - 0.05)
    assert rest.test_auroc == pytest.approx(0.75 + 0.0025 - 0.05)
    assert (every.num_cells, rest.num_cells) == (8, 4)


def test_the_page_names_the_development_classes_and_the_means_without_them(
    board: Leaderboard,
) -> None:
    text = markdown(board)
    assert "### Search on development classes" in text
    assert "Development classes: 0, 5." in text
    assert "trains up to 4 instances (class and seed) in lock-step" in text
    assert "30+0 to 120+4 a trial, all its instances together" in text
    assert text.count("| 0, 5 |") == 2 + 2 + 1


@pytest.mark.parametrize("width", [80, 120, 200])
def test_the_page_fits_a_terminal(board: Leaderboard, width: int) -> None:
    out = io.StringIO()
    Console(width=width, file=out, color_system=None).print(terminal(board))
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert text.count("0, 5 ") >= 4
    assert text.count("0.840") + text.count("0.839") >= 1


def test_the_means_as_csv_name_the_classes_left_out(board: Leaderboard) -> None:
    lines = list(csv_format.DictReader(io.StringIO(means_csv(board))))
    assert [line["left_out"] for line in lines] == ["[]", "[0, 5]"] * 3


def test_costs_are_those_of_cells_and_searches(board: Leaderboard) -> None:
    gpu = replace(board.searches[0], gpu_s=7200.0)
    (search,) = priced(replace(board, searches=(gpu,)), 1.5).searches
    assert search.cost == 3.0


def test_a_search_is_no_cell_of_a_comparison_but_part_of_what_a_side_took(
    board: Leaderboard,
) -> None:
    written = baseline_cells(csv(board), "board.csv", board.study)
    assert [cell.is_search for cell in written] == [False] * 8 + [True] * 2
    comparison = compare((board.study, [*board.cells, *board.searches]), ("board.csv", written))
    assert len(comparison.pairs) == 8
    assert not comparison.fallen
    text = markdown(comparison_page(comparison, is_checked=True))
    assert text.count("6 search trials, 4 min") == 2
    assert "class=(0,5)" not in text


def test_a_study_without_rows_plans_its_search_apart() -> None:
    board = leaderboard(
        [], study="a", planned=[PlannedDetector(cells=GRID.all_cells, searches=SEARCHES)]
    )
    assert [cell.cell for cell in board.searches] == [cell.label for cell in SEARCHES]
    assert len(board.cells) == 8
    assert sum(cell.is_development for cell in board.cells) == 4


def test_seeds_alone_change_no_mean_and_are_named(
    make_row: RowBuilder, make_confirm_row: RowBuilder
) -> None:
    rows = [make_row(seeds=(0, 1, 2), num_val_anomalies=90), make_confirm_row(3, 0.9)]
    board = leaderboard(rows)
    (cell,) = board.cells
    assert (cell.num_instances, cell.is_development, board.searches) == (3, False, ())
    assert [one.left_out for one in board.ratios] == [()]
    assert "trains up to 3 instances" in markdown(board)
    assert "Development" not in markdown(board)
