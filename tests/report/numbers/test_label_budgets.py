"""Cells with label budgets on the board: their names, their order, what they were given."""

from __future__ import annotations

import csv as csv_format
import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import pytest

from agad.config import Cell, Grid
from agad.records import TrialRow
from agad.report import Leaderboard, PlannedDetector, csv, leaderboard, markdown, means_csv

RowBuilder: TypeAlias = Callable[..., TrialRow]
BUDGETS = (0, 5, 10)


def _cells(detector: str = "", **axes: Any) -> list[Cell]:  # noqa: ANN401
    grid = Grid(dataset="digits", normal_class=[0, 8], labels=BUDGETS, **axes)
    return [Cell(**{**_values(cell), "detector": detector}) for cell in grid.all_cells]


def _values(cell: Cell) -> dict[str, Any]:
    return {name: getattr(cell, name) for name in Cell.__dataclass_fields__}


def _row(make_row: RowBuilder, cell: Cell, seed: int, **changes: Any) -> TrialRow:  # noqa: ANN401
    budget = cell.labels or 0
    values: dict[str, Any] = {
        "phase": "confirm",
        "cell": cell.label,
        "normal_class": cell.normal_class,
        "detector": cell.detector or "knn",
        "seeds": (seed,),
        "selection": f"labelled({budget} of {budget})" if budget else "fixed_epoch(1)",
        "num_val_anomalies": budget,
        "num_fit_anomalies": 0,
        "label_budget": budget,
        "num_labelled": budget,
        "num_test_anomalies": 500,
        "num_normals": cell.num_normals,
        "test_auroc": 0.9 + seed / 1000,
        "test_average_precision": 0.9,
    }
    return make_row(**(values | changes))


@pytest.fixture
def board(make_row: RowBuilder) -> Leaderboard:
    knn, probe = _cells(), [cell for cell in _cells("probe") if cell.labels]
    rows = [_row(make_row, cell, seed) for cell in (*knn, *probe) for seed in (1, 2)]
    planned = [
        PlannedDetector(cells=knn, name="knn", unsearched=[one for one in knn if not one.labels]),
        PlannedDetector(
            cells=probe, name="probe", left_out=[one for one in _cells("probe") if not one.labels]
        ),
    ]
    return leaderboard(rows, planned=planned, confirm_seeds=2)


def test_budgets_are_in_order_of_their_number(board: Leaderboard) -> None:
    shown = [(cell.detector, cell.label_budget, cell.given_class) for cell in board.cells]
    assert shown == [
        *(("knn", budget, given) for budget in BUDGETS for given in (0, 8)),
        *(("probe", budget, given) for budget in (5, 10) for given in (0, 8)),
    ]
    means = [(one.detector, one.label_budget, one.num_classes) for one in board.ratios]
    assert means == [
        ("knn", 0, 2),
        ("knn", 5, 2),
        ("knn", 10, 2),
        ("probe", 5, 2),
        ("probe", 10, 2),
    ]


def test_numbers_of_normals_are_in_order_and_all_of_them_last(make_row: RowBuilder) -> None:
    cells = _cells(num_normals=[None, 200, 50])
    board = leaderboard([_row(make_row, cell, 1) for cell in cells])
    places = [(cell.num_normals, cell.label_budget, cell.given_class) for cell in board.cells]
    assert places == [
        (normals, budget, given)
        for normals in (50, 200, None)
        for budget in BUDGETS
        for given in (0, 8)
    ]


def test_means_on_other_numbers_of_normals_are_not_mixed(make_row: RowBuilder) -> None:
    knn, probe = _cells(num_normals=[50, None]), _cells("probe", num_normals=[50, None])
    planned = [PlannedDetector(cells=knn, name="knn"), PlannedDetector(cells=probe, name="probe")]
    scores = {("knn", 50): 0.7, ("knn", None): 0.9, ("probe", 50): 0.6, ("probe", None): 0.8}
    rows = [
        _row(make_row, cell, 1, test_auroc=scores[cell.detector or "knn", cell.num_normals])
        for cell in (*knn, *probe)
    ]
    board = leaderboard(rows, planned=planned, confirm_seeds=1)
    lines = [line.split(" | ") for line in markdown(board).splitlines()]
    start = next(n for n, line in enumerate(lines) if line[1:3] == ["given", "label budget"])
    shown = [(*line[3:5], line[6]) for line in lines[start + 2 : start + 6]]
    assert shown == [
        ("knn", "normals=50", "highest"),
        ("probe", "normals=50", ""),
        ("knn", "", "highest"),
        ("probe", "", ""),
    ]


def test_a_pool_counts_once_whatever_is_hidden(make_row: RowBuilder) -> None:
    cells = _cells(pollution_ratio=[0.0, 0.1])
    rows = [_row(make_row, cell, 1, pollution_ratio=cell.pollution_ratio) for cell in cells]
    board = leaderboard(rows)
    assert (board.num_labelled, board.num_test_anomalies) == (20, 1000)


def test_labels_that_only_selected_were_given(board: Leaderboard) -> None:
    given = {(cell.detector, cell.label_budget): cell.given for cell in board.cells}
    assert given["knn", 0] == "nothing"
    assert given["knn", 5] == "5 labels"
    assert given["probe", 10] == "10 labels"


def test_a_cell_at_budget_0_is_ranked_beside_the_others(board: Leaderboard) -> None:
    assert {cell.variant for cell in board.cells} == {"labels=0", "labels=5", "labels=10"}
    assert {cell.method for cell in board.cells} == {"knn", "probe"}


def test_methods_are_compared_at_the_same_budget_alone(board: Leaderboard) -> None:
    (contrast,) = board.contrasts
    assert (contrast.num_cells, contrast.num_missing) == (4, 2)


def test_an_image_counts_once_whatever_the_detectors_and_budgets(board: Leaderboard) -> None:
    assert (board.num_labelled, board.num_test_anomalies) == (20, 1000)


def test_labels_are_not_counted_if_a_row_of_an_earlier_version_does_not_tell(
    make_row: RowBuilder,
) -> None:
    first, second = _cells()[:2]
    rows = [_row(make_row, first, 1), _row(make_row, second, 1, num_labelled=None)]
    assert leaderboard(rows).num_labelled is None


def test_the_page_has_a_column_of_budgets_and_none_of_ratios(board: Leaderboard) -> None:
    page = markdown(board)
    header = next(line for line in page.splitlines() if line.startswith("| data set"))
    columns = [one.strip() for one in header.strip("|").split("|")]
    assert "label budget" in columns
    assert not {"ratio", "variant"} & {*columns}
    assert "Label budget: labelled anomalies of one pool" in page
    assert "20 distinct anomalies to build" in page
    assert "1,000 more of the test split to judge" in page
    assert "probe has no row in 2 cells at label budget 0" in page


def test_the_csv_of_means_has_the_budget(board: Leaderboard) -> None:
    rows = [*csv_format.DictReader(io.StringIO(means_csv(board)))]
    found = {(row["detector"], row["variant"], row["label_budget"]) for row in rows}
    assert ("probe", "labels=5", "5") in found
    assert ("knn", "labels=0", "0") in found


def test_notes_name_no_search_if_nothing_is_searched(board: Leaderboard) -> None:
    lines = [line for line in markdown(board).splitlines() if line.startswith("- ")]
    assert [line for line in lines if line.startswith("- Search:")] == []
    assert any("By label budget: mean over the classes' means" in line for line in lines)


def test_policies_of_budgets_are_in_order_of_their_numbers(board: Leaderboard) -> None:
    text = markdown(board)
    assert text.index("labelled(5 of 5)") < text.index("labelled(10 of 10)")


def test_the_csv_has_columns_of_budgets_where_there_are_any(
    board: Leaderboard, make_row: RowBuilder
) -> None:
    names = {"label_budget", "num_labelled", "num_test_anomalies"}
    assert names <= {*csv(board).splitlines()[0].split(",")}
    without = csv(leaderboard([make_row(phase="confirm", test_auroc=0.9)]))
    assert not names & {*without.splitlines()[0].split(",")}


def test_numbers_of_normals_are_questions_of_their_own(make_row: RowBuilder) -> None:
    cells = _cells(num_normals=[10, None])
    board = leaderboard([_row(make_row, cell, 1) for cell in cells])
    assert {(cell.variant, cell.task) for cell in board.cells} == {
        (f"labels={budget}{normals}",) * 2 for budget in BUDGETS for normals in ("", " normals=10")
    }
    assert board.num_labelled == 20


def test_two_candidates_of_a_detector_that_lack_labels_are_told_apart(
    make_row: RowBuilder,
) -> None:
    knn, without = _cells(), [one for one in _cells("probe") if not one.labels]
    on_features = [replace(one, settings=(("features", "mine"),)) for one in without]
    planned = [
        PlannedDetector(cells=knn, name="knn"),
        PlannedDetector(cells=[], name="probe", left_out=without),
        PlannedDetector(cells=[], name="probe", left_out=on_features),
    ]
    rows = [_row(make_row, cell, 1) for cell in knn]
    board = leaderboard(rows, planned=planned, confirm_seeds=1)
    assert board.left_out == (("probe", 2), ("probe features=mine", 2))
