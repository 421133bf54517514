"""A leaderboard says whether its study has come to its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest

from agad.config import Cell
from agad.records import TrialRow
from agad.report import PlannedDetector, has_ended, leaderboard

RowBuilder: TypeAlias = Callable[..., TrialRow]
CELL = Cell(dataset="digits", normal_class=0, anomaly_ratio=0.0)
WINNER = {CELL.label}


def ended(*rows: TrialRow, winners: set[str] | None = None) -> bool:
    board = leaderboard(
        rows, planned=[PlannedDetector(cells=[CELL], cell_trials=2)], confirm_seeds=2
    )
    return has_ended(board, winners or set())


def test_a_study_without_rows_has_not_ended() -> None:
    assert not ended()


def test_a_search_alone_is_no_end(make_row: RowBuilder) -> None:
    assert not ended(make_row(), make_row())
    assert not ended(make_row(), make_row(), winners=WINNER)


def test_all_trials_and_all_seeds_are_an_end(
    make_row: RowBuilder, make_confirm_row: RowBuilder
) -> None:
    search = [make_row(), make_row(state="pruned")]
    seeds = [make_confirm_row(1, 0.8), make_confirm_row(2, 0.9)]
    assert ended(*search, *seeds)
    assert not ended(*search, seeds[0])
    assert not ended(search[0], *seeds)


@pytest.mark.parametrize("state", ["diverged", "failed"])
def test_a_confirm_trial_that_broke_has_ended(
    make_row: RowBuilder, make_confirm_row: RowBuilder, state: str
) -> None:
    broken = make_confirm_row(2, None, state=state)
    assert ended(make_row(), make_row(), make_confirm_row(1, 0.8), broken)


def test_a_small_space_has_ended_with_fewer_trials_where_its_winner_is_kept(
    make_row: RowBuilder, make_confirm_row: RowBuilder
) -> None:
    rows = [make_row(), make_confirm_row(1, 0.8), make_confirm_row(2, 0.9)]
    assert ended(*rows, winners=WINNER)
    assert not ended(*rows)


def test_a_search_in_which_every_trial_broke_has_nothing_to_confirm(make_row: RowBuilder) -> None:
    assert ended(make_row(state="diverged"), make_row(state="failed"))
    assert not ended(make_row(state="diverged"))
