"""A study of several detectors: one contest, and results that stand at several ratios."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import pytest

from agad.config import Grid
from agad.records import TrialRow, Winner
from agad.report import Leaderboard, PlannedDetector, compare, has_ended, leaderboard
from agad.report.numbers.cells import standing_cell
from agad.report.numbers.methods import contrasts
from tests.report.contest_rows import METHODS, SEEDS, STUDY, planned, rows_of_contest

RowBuilder: TypeAlias = Callable[..., TrialRow]

CLASSES, RATIOS = 9, 2


@pytest.fixture
def rows(make_row: RowBuilder) -> list[TrialRow]:
    return rows_of_contest(make_row)


@pytest.fixture
def board(rows: list[TrialRow]) -> Leaderboard:
    return leaderboard(rows, planned=planned(), confirm_seeds=len(SEEDS))


def test_candidates_are_in_one_ranking_whatever_chose_them(board: Leaderboard) -> None:
    of_classes, of_datasets = board.rankings
    assert of_classes.methods == ("pca", "pca variance=0.6", "agad")
    assert (of_classes.policy, of_classes.num_blocks, of_classes.left_out) == ("", CLASSES, ())
    assert of_datasets.num_blocks == 1
    pairs = [(one.first, one.second, one.num_cells, one.num_missing) for one in board.contrasts]
    num = CLASSES * RATIOS
    assert pairs == [
        ("agad", "pca", num, 0),
        ("agad", "pca variance=0.6", num, 0),
        ("pca", "pca variance=0.6", num, 0),
    ]
    assert {cell.selection for cell in board.cells} == {"labelled(30)", "fixed_epoch(1)"}
    assert {cell.given for cell in board.cells if cell.method == "pca"} == {"nothing"}
    assert {cell.given for cell in board.cells if cell.method != "pca"} == {"labels"}


def test_the_same_rows_without_a_contest_are_ranked_apart(rows: list[TrialRow]) -> None:
    policies = {one.policy for one in leaderboard(rows).rankings}
    assert policies == {""}
    assert {cell.variant for cell in leaderboard(rows).cells} == {
        "",
        "variance=0.6",
        "selection=fixed_epoch",
    }


def test_a_result_stands_at_each_ratio_and_is_counted_once(
    rows: list[TrialRow], board: Leaderboard
) -> None:
    standing = [cell for cell in board.cells if cell.stands_for]
    assert len(standing) == CLASSES
    by_label = {cell.cell: cell for cell in board.cells}
    for cell in standing:
        ran = by_label[cell.stands_for]
        assert (cell.anomaly_ratio, ran.anomaly_ratio) == (0.05, 0.0)
        assert (cell.test_aurocs, cell.seeds) == (ran.test_aurocs, ran.seeds)
        assert cell.cell == ran.cell.replace("ratio=0", "ratio=0.05")
        assert (cell.total_s, cell.num_epochs, cell.num_trials) == (0, 0, 0)
    assert board.totals.total_s == pytest.approx(sum(cell.total_s for cell in board.cells))
    assert board.totals.num_confirm_trials == sum(row.phase == "confirm" for row in rows)
    assert len(board.ratios) == len(METHODS) * RATIOS


def test_a_mean_over_ratios_varies_once_with_a_result_that_stands_at_both(
    board: Leaderboard,
) -> None:
    (over,) = [one for one in board.summaries if (one.detector, one.variant) == ("pca", "")]
    at_zero = next(one for one in board.ratios if (one.detector, one.variant) == ("pca", ""))
    assert (over.num_cells, over.num_confirmed) == (CLASSES * RATIOS, CLASSES * len(SEEDS))
    assert over.interval == at_zero.interval
    assert over.iqm_interval == at_zero.iqm_interval
    assert over.test_auroc == pytest.approx(at_zero.test_auroc)


def test_a_difference_varies_once_with_results_that_stand_at_both_ratios(
    make_row: RowBuilder,
) -> None:
    first, second = Grid(dataset="digits", normal_class=0, anomaly_ratio=[0, 0.05]).all_cells
    ran = [
        cell
        for method, scores in (("a", (0.5, 0.7, 0.9)), ("b", (0.6, 0.65, 0.8)))
        for cell in leaderboard(
            [
                make_row(
                    phase="confirm",
                    cell=first.label,
                    seeds=(seed,),
                    test_auroc=score,
                    detector=method,
                )
                for seed, score in enumerate(scores)
            ]
        ).cells
    ]
    (once,) = contrasts(ran, is_one_contest=True)
    (twice,) = contrasts([*ran, *(standing_cell(one, second) for one in ran)], is_one_contest=True)
    assert (once.num_cells, twice.num_cells) == (1, 2)
    assert twice.interval is not None
    assert once.interval is not None
    assert (twice.interval.low, twice.interval.high) == pytest.approx(
        (once.interval.low, once.interval.high)
    )
    assert twice.probability_interval is None  # A single cell has none either.


def test_a_cell_without_rows_knows_its_detector_and_its_trials(rows: list[TrialRow]) -> None:
    gone = {"digits class=0 ratio=0", "digits class=1 ratio=0 detector=pca"}
    board = leaderboard(
        [row for row in rows if row.cell not in gone], planned=planned(), confirm_seeds=2
    )
    found = {cell.cell: cell for cell in board.cells}
    assert found["digits class=0 ratio=0"].method == "agad"
    assert found["digits class=0 ratio=0"].num_trials_planned == 3
    missing = found["digits class=1 ratio=0 detector=pca"]
    assert (missing.method, missing.variant, missing.num_trials_planned) == ("pca", "", 0)
    assert found["digits class=1 ratio=0.05 detector=pca"].test_auroc is None
    other = found["digits class=1 ratio=0 variance=0.6 detector=pca"]
    assert other.num_trials_planned == 2
    num_searched = CLASSES * RATIOS * (3 + 2)
    assert board.totals.num_trials_planned == num_searched
    assert board.totals.num_trials == num_searched - 3
    (of_classes, _) = board.rankings
    assert dict(of_classes.left_out) == {"0": 1, "1": 2}


def test_a_ratio_that_a_detector_cannot_answer_is_in_no_ranking(rows: list[TrialRow]) -> None:
    first, *others = planned()
    needs_labels = replace(first, cells=[one for one in first.cells if one.anomaly_ratio > 0])
    kept = [row for row in rows if row.detector != "agad" or row.anomaly_ratio > 0]
    board = leaderboard(kept, planned=[needs_labels, *others], confirm_seeds=2)
    assert board.rankings[0].num_blocks == CLASSES
    assert board.rankings[0].left_out == ()
    assert board.contrasts[0].num_cells == CLASSES


def test_a_contest_has_ended_when_every_cell_that_runs_has(rows: list[TrialRow]) -> None:
    labels = {cell.label for cell in STUDY.all_cells}

    def ended(kept: list[TrialRow], winners: set[str]) -> bool:
        board = leaderboard(kept, planned=planned(), confirm_seeds=2)
        return has_ended(board, winners)

    assert ended(rows, labels)
    without_pca = [row for row in rows if row.cell != "digits class=0 ratio=0 detector=pca"]
    assert not ended(without_pca, labels)
    assert not ended(without_pca, labels - {"digits class=0 ratio=0 detector=pca"})
    failed = [
        replace(row, state="diverged", test_auroc=None)
        if row.cell == "digits class=0 ratio=0 detector=pca" and row.seeds == (1,)
        else row
        for row in rows
    ]
    assert ended(failed, labels)


def test_two_studies_of_several_detectors_are_compared_detector_by_detector(
    rows: list[TrialRow],
) -> None:
    boards = [
        leaderboard([replace(row, study=name) for row in rows], planned=planned())
        for name in ("new", "old")
    ]
    compared = compare(*((board.study, board.cells) for board in boards))
    assert len(compared.pairs) == len(boards[0].cells)
    for one in compared.pairs:
        assert one.first is not None
        assert one.second is not None
        assert (one.first.method, one.first.cell) == (one.second.method, one.second.cell)
    assert [one.either.detector for one in compared.pairs] == sorted(
        one.either.detector for one in compared.pairs
    )
    # Every cell counts in the ranks, whichever detector it is of.
    labelled, fixed = compared.rankings[:2], compared.rankings[2:]
    assert [one.policy for one in (*labelled, *fixed)] == ["", "", "fixed_epoch", "fixed_epoch"]


def test_a_study_of_one_detector_is_compared_with_its_detector_among_several(
    rows: list[TrialRow],
) -> None:
    several = leaderboard([replace(row, study="several") for row in rows], planned=planned())
    one_plan = PlannedDetector(cells=planned()[0].cells)
    alone = leaderboard([row for row in rows if row.detector == "agad"], planned=[one_plan])
    compared = compare(("alone", alone.cells), ("several", several.cells))
    both = [one for one in compared.pairs if one.first and one.second]
    assert len(both) == CLASSES * RATIOS
    assert {one.second.method for one in both if one.second} == {"agad"}
    assert compared.contrast.difference == 0


def test_the_winner_of_each_cell_is_that_of_its_own_detector(rows: list[TrialRow]) -> None:
    label = "digits class=0 ratio=0 detector=pca"
    winner = Winner(cell=label, num_search_trials=0, num_seeds=2, params={}, val_auroc=None)
    board = leaderboard(rows, planned=planned(), winners={label: winner})
    (cell,) = [one for one in board.cells if one.cell == label]
    assert (cell.best_params, cell.num_confirmed) == ({}, 2)


def test_the_highest_mean_of_each_question_is_marked_among_those_given_the_same(
    board: Leaderboard,
) -> None:
    marked = {(one.detector, one.variant, one.given) for one in board.ratios if one.is_highest}
    assert marked == {("pca", "variance=0.6", "labels")}
    assert sum(one.is_highest for one in board.ratios) == RATIOS
    # PCA alone was given nothing: nothing is lower than it, so it is not marked.
    assert {one.given for one in board.ratios if (one.detector, one.variant) == ("pca", "")} == {
        "nothing"
    }


def test_a_mean_that_lacks_a_class_is_not_marked_as_the_highest(rows: list[TrialRow]) -> None:
    lacking = [
        row for row in rows if row.cell != "digits class=0 ratio=0 variance=0.6 detector=pca"
    ]
    assert len(lacking) < len(rows)
    marked = [one for one in leaderboard(lacking, planned=planned()).ratios if one.is_highest]
    assert [(one.anomaly_ratio, one.variant) for one in marked] == [(0.05, "variance=0.6")]
