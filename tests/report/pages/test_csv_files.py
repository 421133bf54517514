"""Leaderboards as CSV."""

import csv as csv_format
import io
import json
from collections.abc import Callable
from typing import TypeAlias

import pytest

from agad.config import Grid
from agad.records import TrialRow
from agad.report import PlannedDetector, csv, leaderboard

RowBuilder: TypeAlias = Callable[..., TrialRow]


def test_csv_has_one_row_a_cell_at_full_precision(
    make_row: RowBuilder, make_confirm_row: RowBuilder
) -> None:
    rows = [make_row(), make_confirm_row(1, 1 / 3), make_confirm_row(2, 2 / 3)]
    planned = Grid(dataset="digits", normal_class=1).all_cells

    confirmed, missing = csv_format.DictReader(
        io.StringIO(csv(leaderboard(rows, planned=[PlannedDetector(cells=planned)])))
    )

    assert json.loads(confirmed["test_aurocs"]) == [1 / 3, 2 / 3]
    assert float(confirmed["test_auroc_sd"]) == pytest.approx(1 / 18**0.5, rel=1e-15)
    assert json.loads(confirmed["best_params"]) == {"lr": 0.001}
    assert (confirmed["total_s"], confirmed["num_confirmed"]) == ("30.0", "2")
    assert (missing["cell"], missing["test_auroc"]) == ("digits class=1 ratio=0", "")


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r\n=1"])
def test_csv_holds_no_formula(make_row: RowBuilder, name: str) -> None:
    board = leaderboard([make_row(study=name, cell=name, dataset=name, detector=name)])

    (row,) = csv_format.DictReader(io.StringIO(csv(board), newline=""))

    assert {row[field] for field in ("study", "cell", "dataset", "detector")} == {f"'{name}"}


def test_csv_has_the_class_as_it_was_given_and_the_variant(make_confirm_row: RowBuilder) -> None:
    grid = Grid(dataset="cifar10", anomalous_class="cat", pollution_ratio=0.1)
    row = make_confirm_row(
        1,
        0.9,
        cell=grid.all_cells[0].label,
        dataset="cifar10",
        protocol="leave-one-out",
        normal_class=None,
        anomalous_class=3,
        pollution_ratio=0.1,
    )

    (line,) = csv_format.DictReader(
        io.StringIO(csv(leaderboard([row], planned=[PlannedDetector(cells=grid.all_cells)])))
    )

    assert (line["given_class"], line["variant"]) == ("cat", "leave-one-out pollution=0.1")


def test_csv_holds_no_formula_of_a_class_name() -> None:
    planned = Grid(dataset="photos", normal_class="=1+1").all_cells

    (line,) = csv_format.DictReader(
        io.StringIO(csv(leaderboard([], study="a", planned=[PlannedDetector(cells=planned)])))
    )

    assert line["given_class"] == "'=1+1"
