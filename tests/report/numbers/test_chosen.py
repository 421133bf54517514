"""A leaderboard of cells that confirmed several candidates and tested one of them."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import pytest

from agad.config import Grid
from agad.records import TrialRow, Winner
from agad.report import PlannedDetector, leaderboard
from agad.report.pages.notes import notes

RowBuilder: TypeAlias = Callable[..., TrialRow]
Pairs: TypeAlias = list[tuple[float | None, float]]


OLD, NEW = json.dumps({"lr": 0.1}), json.dumps({"lr": 0.2})


@pytest.mark.parametrize(
    ("old", "new", "expected_lr"),
    [
        pytest.param([(0.9, 0.99), (0.9, 0.99)], [(0.5, 0.6)], 0.1, id="most seeds"),
        pytest.param([(0.8, 0.99)], [(0.9, 0.60)], 0.2, id="validation breaks a tie"),
        pytest.param([(None, 0.99)], [(0.5, 0.6)], 0.2, id="a known validation AUROC wins"),
        pytest.param([(0.9, 0.60)], [(0.9, 0.99)], 0.1, id="then the lowest key"),
    ],
)
def test_the_configuration_is_chosen_without_a_test_score(
    make_confirm_row: RowBuilder, old: Pairs, new: Pairs, expected_lr: float
) -> None:
    rows = [
        make_confirm_row(seed, test_auroc, val_auroc=val_auroc, params=params)
        for params, pairs in ((OLD, old), (NEW, new))
        for seed, (val_auroc, test_auroc) in enumerate(pairs, start=1)
    ]

    cells = [leaderboard(some).cells[0] for some in (rows, rows[::-1])]

    assert [cell.best_params for cell in cells] == [{"lr": expected_lr}] * 2
    assert cells[0].num_other_confirm_trials == len(rows) - cells[0].num_confirmed


def test_the_order_of_names_makes_no_other_configuration(make_confirm_row: RowBuilder) -> None:
    rows = [
        make_confirm_row(1, 0.8, params='{"a": 1, "b": 2}'),
        make_confirm_row(2, 0.9, params='{"b": 2, "a": 1}'),
    ]

    (cell,) = leaderboard(rows).cells

    assert (cell.num_confirmed, cell.num_other_confirm_trials) == (2, 0)


def _candidates(make_confirm_row: RowBuilder) -> list[TrialRow]:
    """Return the rows of two candidates on two seeds, of which the second won; one diverged."""
    loser, winner = json.dumps({"lr": 0.1}), json.dumps({"lr": 0.2})
    return [
        make_confirm_row(1, None, params=loser, val_auroc=0.99),
        make_confirm_row(2, None, params=loser, val_auroc=None, state="failed"),
        make_confirm_row(1, None, params=winner, val_auroc=0.7),
        make_confirm_row(2, None, params=winner, val_auroc=0.6, state="diverged"),
        replace(make_confirm_row(1, 0.75, params=winner, val_auroc=0.7), phase="test", epochs=0),
    ]


def test_of_several_candidates_the_tested_one_alone_is_a_result(
    make_confirm_row: RowBuilder,
) -> None:
    (cell,) = leaderboard(_candidates(make_confirm_row), confirm_seeds=2).cells
    assert cell.test_aurocs == (0.75,)
    assert cell.best_params == {"lr": 0.2}
    assert cell.val_auroc == 0.7
    assert (cell.num_confirmed, cell.num_confirm_planned, cell.num_confirm_diverged) == (1, 2, 1)
    assert (cell.num_candidates, cell.num_other_confirm_trials) == (2, 2)


def test_a_tested_model_counts_its_epochs_once_and_all_its_seconds(
    make_confirm_row: RowBuilder,
) -> None:
    (cell,) = leaderboard(_candidates(make_confirm_row)).cells
    assert cell.num_epochs == 4 * 27
    assert cell.total_s == 50.0


def test_candidates_are_no_result_before_the_winner_is_tested(
    make_confirm_row: RowBuilder,
) -> None:
    *rows, _ = _candidates(make_confirm_row)
    (cell,) = leaderboard(rows, confirm_seeds=2).cells
    assert (cell.test_auroc, cell.val_auroc, cell.best_params) == (None, None, None)
    assert (cell.num_confirmed, cell.num_confirm_planned) == (0, 2)


def test_a_leaderboard_says_that_validation_chose_among_candidates(
    make_confirm_row: RowBuilder,
) -> None:
    rows = _candidates(make_confirm_row)
    assert any("Of the up to 2 best configurations" in line for line in notes(leaderboard(rows)))
    alone = [make_confirm_row(1, 0.5)]
    assert not any("best configurations" in line for line in notes(leaderboard(alone)))


def test_the_kept_winner_is_the_result_and_not_the_better_confirmed_one(
    make_confirm_row: RowBuilder,
) -> None:
    other, kept = {"lr": 0.1}, {"b": 1, "a": 2}
    rows = [
        make_confirm_row(1, 0.9, params=json.dumps(other), val_auroc=0.99),
        make_confirm_row(2, 0.9, params=json.dumps(other), val_auroc=0.99),
        make_confirm_row(1, 0.5, params=json.dumps(kept), val_auroc=0.6),
        make_confirm_row(2, None, params=json.dumps(kept), state="diverged"),
    ]
    winner = Winner(cell=rows[0].cell, num_search_trials=8, num_seeds=2, params=kept, val_auroc=0.6)
    (cell,) = leaderboard(rows, winners={winner.cell: winner}).cells
    assert (cell.best_params, cell.test_aurocs) == (kept, (0.5,))
    assert (cell.num_confirm_diverged, cell.num_other_confirm_trials) == (1, 2)


def test_a_report_says_what_ended_a_search(make_confirm_row: RowBuilder) -> None:
    rows = [make_confirm_row(1, 0.9)]
    rows += [
        replace(
            rows[0], phase="search", number=number, trial_key=f"{number + 99:032x}", test_auroc=None
        )
        for number in range(3)
    ]
    (cell,) = Grid(dataset="digits", normal_class=0).all_cells
    winner = Winner(
        cell=cell.label,
        num_search_trials=3,
        num_seeds=1,
        params={},
        val_auroc=0.6,
        ended_by="the budget of 2 GPU-hours",
    )
    lines = notes(
        leaderboard(
            rows,
            planned=[PlannedDetector(cells=[cell], cell_trials=8)],
            winners={winner.cell: winner},
        )
    )
    assert "3 of 8 planned trials in 1 cell: the budget of 2 GPU-hours ended the search." in lines
    assert not any("ended the search" in line for line in notes(leaderboard(rows)))


def test_a_winner_without_a_test_score_leaves_the_earlier_result(
    make_confirm_row: RowBuilder,
) -> None:
    rows = [make_confirm_row(1, 0.9, params='{"lr": 0.1}')]
    rows.append(make_confirm_row(1, None, params='{"lr": 0.2}', state="failed"))
    for params in ({"lr": 0.2}, {"lr": 0.3}):
        winner = Winner(
            cell=rows[0].cell, num_search_trials=8, num_seeds=1, params=params, val_auroc=0.6
        )
        (cell,) = leaderboard(rows, winners={winner.cell: winner}).cells
        assert cell.best_params == {"lr": 0.1}
