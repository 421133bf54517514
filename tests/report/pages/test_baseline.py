"""A study against the CSV of an earlier report."""

import csv as csv_format
import io
from collections.abc import Callable

import pytest

from agad.errors import ConfigError
from agad.report import Comparison, Leaderboard, baseline_cells, compare, comparison_csv, csv

OLD = (0.80, 0.82, 0.81)


def lines(comparison: Comparison) -> list[dict[str, str]]:
    return list(csv_format.DictReader(io.StringIO(comparison_csv(comparison))))


def test_a_baseline_reads_back_what_csv_wrote(board: Callable[..., Leaderboard]) -> None:
    old = board((1 / 3, 2 / 3), (), study="=old")

    cells = baseline_cells(csv(board(OLD), old), "base.csv", "=old")

    assert [cell.test_aurocs for cell in cells] == [(1 / 3, 2 / 3), ()]
    assert [cell.cell for cell in cells] == [cell.cell for cell in old.cells]
    comparison = compare(("now", old.cells), ("base.csv", cells))
    assert [line["outcome"] for line in lines(comparison)] == ["not apart", "not confirmed"]
    assert comparison.fallen == ()


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("test_aurocs", "scores", "lacks the columns test_aurocs"),
        ("[0.8, 0.82, 0.81]", "[0.8", "row 2 cannot be read"),
        ("[0.8, 0.82, 0.81]", "[0.8, NaN, 0.81]", "row 2 has a number out of its range"),
        ("[0.8, 0.82, 0.81]", "[0.8, 82, 0.81]", "row 2 has a number out of its range"),
        ("[0.8, 0.82, 0.81]", "[]", "row 2 has a mean without its scores"),
        ("[0.8, 0.82, 0.81]", "8", "row 2 cannot be read"),
        ("\nnew,", "\nother,", "holds no cell of the study 'new'.*its studies: other"),
    ],
    ids=["column", "json", "nan", "percent", "no scores", "no list", "study"],
)
def test_a_baseline_that_is_none_is_refused(
    board: Callable[..., Leaderboard], old: str, new: str, match: str
) -> None:
    text = csv(board(OLD))
    assert old in text

    with pytest.raises(ConfigError, match=match):
        baseline_cells(text.replace(old, new), "base.csv", "new")


def test_a_baseline_with_a_cell_twice_is_refused(board: Callable[..., Leaderboard]) -> None:
    text = csv(board(OLD))

    with pytest.raises(ConfigError, match="holds a cell twice of the study 'new'"):
        baseline_cells(text + text.splitlines()[1], "base.csv", "new")


def test_an_empty_baseline_is_refused() -> None:
    with pytest.raises(ConfigError, match="lacks the columns"):
        baseline_cells("", "base.csv", "new")
