"""Cells of policies without labels stand apart: in no mean, contrast or ranking with the others."""

from __future__ import annotations

import csv as csv_format
import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import pytest
from rich.console import Console

from agad.config import Grid
from agad.records import CellStatus, StudyStatus, TrialRow
from agad.report import (
    Leaderboard,
    PlannedDetector,
    baseline_cells,
    compare,
    comparison_page,
    csv,
    leaderboard,
    live_table,
    markdown,
    plain_line,
)

RowBuilder: TypeAlias = Callable[..., TrialRow]
MakeBoard: TypeAlias = Callable[..., Leaderboard]

APART = ["label_free", "fixed_epoch(12)"]


@pytest.fixture
def make_board(make_confirm_row: RowBuilder) -> MakeBoard:
    """Build the leaderboard of one selection: some classes, two seeds each, maybe two methods."""

    def rows(selection: str, score: float, **changes: Any) -> list[TrialRow]:  # noqa: ANN401
        is_labelled = selection.startswith("labelled")
        return [
            make_confirm_row(
                seed,
                score + seed / 100 + label / 1000,
                cell=f"digits class={label} ratio=0 {changes.get('settings', '')}",
                normal_class=label,
                selection=selection,
                val_auroc=0.9 if is_labelled else None,
                objective=0.9 if is_labelled else -4.5,
                num_val_anomalies=30 if is_labelled else 0,
                **changes,
            )
            for label in range(3)
            for seed in (1, 2)
        ]

    def build(selections: dict[str, float], study: str = "a-study", **given: Any) -> Leaderboard:  # noqa: ANN401
        found = [
            row
            for selection, score in selections.items()
            for settings in ("{}", '{"backbone": "naive"}')
            for row in rows(selection, score, study=study, settings=settings)
        ]
        found = [replace(row, cell=f"{row.cell} {row.selection}") for row in found]
        return leaderboard(found, **given)

    return build


@pytest.mark.parametrize("selection", APART)
def test_the_page_says_what_was_maximised_and_calls_it_no_auroc(
    selection: str, make_board: MakeBoard
) -> None:
    text = markdown(make_board({selection: 0.8}))
    assert "val AUROC" not in text
    assert "| objective |" in text
    assert "| -4.5 |" in text
    assert "no mean, contrast or ranking holds them beside those that labels selected" in text
    assert f"selection={selection.partition('(')[0]}".replace("_", r"\_") in text
    assert "Chosen by validation AUROC" not in text


def test_the_page_of_a_labelled_study_has_no_objective(make_board: MakeBoard) -> None:
    text = markdown(make_board({"labelled(30)": 0.8}))
    assert "objective" not in text
    assert "ranked apart" not in text
    assert "Chosen by validation AUROC, labelled(30)" in text


def test_no_mean_contrast_or_ranking_holds_cells_of_two_policies(make_board: MakeBoard) -> None:
    means = {"labelled(30)": 0.9, "label_free": 0.5, "fixed_epoch(12)": 0.2}
    board = make_board(means)
    assert len(board.ratios) == 6
    for one in board.ratios:
        expected = next(
            mean
            for name, mean in means.items()
            if f"selection={name.partition('(')[0]}" in one.variant
            or ("selection" not in one.variant and name == "labelled(30)")
        )
        assert one.test_auroc == pytest.approx(expected + 0.015 + 0.001)
        assert one.num_confirmed == 6
    assert [(one.num_cells, one.num_missing) for one in board.contrasts] == [(3, 0)] * 3
    assert [one.second for one in board.contrasts] == [
        "agad backbone=naive",
        "agad backbone=naive (fixed_epoch)",
        "agad backbone=naive (label_free)",
    ]
    # A mean over policies would not be zero: the two methods score alike under each.
    assert [one.difference for one in board.contrasts] == pytest.approx([0.0] * 3, abs=1e-12)
    assert {one.policy for one in board.rankings} == {"", "label_free", "fixed_epoch"}
    assert {one.num_blocks for one in board.rankings if one.dataset} == {3}


def test_a_planned_cell_without_rows_is_missing_among_those_of_its_policy(
    make_board: MakeBoard,
) -> None:
    cells = Grid(dataset="digits", normal_class=[7]).all_cells
    board = make_board({"label_free": 0.8}, planned=[PlannedDetector(cells=cells)])
    (missing,) = (cell for cell in board.cells if not cell.num_confirmed)
    assert (missing.policy, missing.variant) == ("label_free", "selection=label_free")
    assert [one.num_missing for one in board.ratios] == [1, 0]


@pytest.mark.parametrize("selection", APART)
def test_studies_of_two_policies_are_no_partners(selection: str, make_board: MakeBoard) -> None:
    ours, theirs = make_board({selection: 0.9}), make_board({"labelled(30)": 0.5}, study="old")
    comparison = compare(("now", ours.cells), ("old", theirs.cells))
    assert all(one.difference is None for one in comparison.pairs)
    assert not any(one.first and one.second for one in comparison.pairs)
    assert comparison.contrast.num_cells == 0
    assert comparison.rankings == ()
    policy = selection.partition("(")[0].replace("_", r"\_")
    expected = f"Ranked apart: first selected by {policy}, second by labelled"
    assert expected in markdown(comparison_page(comparison))


def test_studies_of_one_policy_without_labels_are_compared(make_board: MakeBoard) -> None:
    ours, theirs = make_board({"label_free": 0.9}), make_board({"label_free": 0.5}, study="old")
    comparison = compare(("now", ours.cells), ("old", theirs.cells))
    assert comparison.contrast.num_cells == 6
    assert comparison.contrast.difference == pytest.approx(0.4)
    assert "Ranked apart" not in markdown(comparison_page(comparison))


def test_a_baseline_without_labels_stays_apart(make_board: MakeBoard) -> None:
    board = make_board({"fixed_epoch(12)": 0.9})
    text = csv(board)
    cells = baseline_cells(text, "base.csv", "a-study")
    assert {cell.policy for cell in cells} == {"fixed_epoch"}
    assert compare(("now", board.cells), ("base", cells)).contrast.num_cells == 6
    first = next(csv_format.DictReader(io.StringIO(text)))
    assert (first["objective"], first["val_auroc"]) == ("-4.5", "")


def test_the_configuration_of_a_cell_without_a_winner_is_the_one_of_the_best_objective(
    make_confirm_row: RowBuilder,
) -> None:
    rows = [
        make_confirm_row(
            seed,
            0.9,
            selection="label_free",
            val_auroc=None,
            objective=objective,
            params=f'{{"lr": {lr}}}',
        )
        for lr, objective in ((0.001, -3.0), (0.002, -1.0), (0.003, -2.0))
        for seed in (1, 2)
    ]
    (cell,) = leaderboard(rows).cells
    assert (cell.best_params, cell.objective) == ({"lr": 0.002}, -1.0)


def test_the_live_view_names_an_objective_that_is_no_auroc() -> None:
    cell = CellStatus(
        label="digits class=0 ratio=0",
        phase="search",
        planned=12,
        running=1,
        finished=1,
        pruned=0,
        diverged=0,
        failed=0,
        best_objective=-4.56789,
        confirmed=0,
        confirm_planned=3,
    )
    status = StudyStatus(
        study="s",
        cells=tuple(replace(cell, label=f"digits class={place}") for place in range(16)),
        elapsed_s=1.0,
        slots=1,
        objective="minus the mean validation score",
    )
    out = io.StringIO()
    Console(width=80, file=out, color_system=None).print(live_table(status, 80, height=24))
    text = out.getvalue()
    assert len(text.splitlines()) <= 24
    assert "obj: minus the mean validation score" in text
    assert "-4.568" in text
    assert " val " not in text
    assert "best digits class=0 -4.568 (minus the mean validation score)" in plain_line(status)
