"""Pages and files of a study of several detectors."""

from __future__ import annotations

import csv as csv_format
import io
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import pytest
from rich.console import Console

from agad.config import Candidate, Cell
from agad.detectors import Probe
from agad.records import CellStatus, StudyStatus, TrialRow
from agad.report import (
    Leaderboard,
    Page,
    PlannedDetector,
    baseline_cells,
    compare,
    comparison_csv,
    comparison_page,
    csv,
    latex,
    leaderboard,
    live_table,
    markdown,
    means_csv,
    plain_line,
    terminal,
)
from tests.report.contest_rows import STUDY, planned, rows_of_contest

RowBuilder: TypeAlias = Callable[..., TrialRow]


@pytest.fixture
def board(make_row: RowBuilder) -> Leaderboard:
    return leaderboard(rows_of_contest(make_row), planned=planned(), confirm_seeds=2)


def printed(shown: Leaderboard | Page, width: int) -> str:
    out = io.StringIO()
    Console(width=width, file=out, color_system=None).print(terminal(shown))
    return out.getvalue()


def test_tables_show_the_detector_and_what_it_was_given(board: Leaderboard) -> None:
    text = markdown(board)
    assert "| data set | detector | variant | given | class | ratio |" in text
    assert "| digits | pca |  | nothing | 0 | 0 | 0.715 ± 0.007 (n=2) |" in text
    assert "| digits | pca | variance=0.6 | labels | 0 | 0 |" in text
    assert "| data set | given | ratio | detector | variant | test AUROC | highest |" in text


def test_a_standing_result_has_no_trials_and_no_time(board: Leaderboard) -> None:
    (line,) = [
        line
        for line in markdown(board).splitlines()
        if line.startswith("| digits | pca |  | nothing | 0 | 0.05 |")
    ]
    assert "| 0.715 ± 0.007 (n=2) |" in line
    assert line.endswith("| - | - | - | - | - | 0+0 |  |")


def test_notes_explain_candidates_in_plain_sentences(board: Leaderboard) -> None:
    text = " ".join(printed(board, 1000).split())
    assert "all are in one ranking" in text
    assert "A cell whose name has no detector is a cell of agad." in text
    assert "No labels used: pca ran once for each class." in text
    assert "stand in 9 further cells too" in text
    assert "the search of pca variance=0.6 sets variance" in text
    assert "ranked apart" not in text


def test_means_stand_by_what_was_given_and_the_highest_of_each_stands_first(
    board: Leaderboard,
) -> None:
    lines = markdown(board).splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("| data set | given |"))
    rows = [line.split(" | ")[1:7] for line in lines[start + 2 : start + 7]]
    assert [row[:4] for row in rows] == [
        ["nothing", "0", "pca", ""],
        ["labels", "0", "pca", "variance=0.6"],
        ["labels", "0", "agad", ""],
        ["labels", "0.05", "pca", "variance=0.6"],
        ["labels", "0.05", "agad", ""],
    ]
    assert [row[5] for row in rows] == ["", "highest", "", "highest", ""]
    # The result of pca stands at 0.05 too, and is not told twice.
    assert "the means by what was given show the first ratio alone" in markdown(board)


@pytest.mark.parametrize("width", [80, 120, 190])
def test_a_page_of_several_detectors_fits_the_terminal(board: Leaderboard, width: int) -> None:
    text = printed(board, width)
    assert max(map(len, text.splitlines())) <= width
    assert "digits · pca · variance=0.6" in text
    # The means by what was given lose no column at the right.
    heads = [line for line in text.splitlines() if "highest" in line and "detector" in line]
    assert heads
    assert all(line.rstrip().endswith(" n") for line in heads)


def test_latex_names_the_detector_of_each_table(board: Leaderboard) -> None:
    assert r"digits $\cdot$ pca $\cdot$ variance=0.6: test AUROC by cell" in latex(board)


def test_only_a_study_of_several_detectors_has_their_columns(
    board: Leaderboard, make_row: RowBuilder
) -> None:
    alone = leaderboard([make_row(phase="confirm", seeds=(1,), test_auroc=0.9)])
    headers = [text.splitlines()[0].split(",") for text in (csv(board), csv(alone))]
    assert {*headers[0]} - {*headers[1]} == {"stands_for", "given"}
    assert "detector" not in markdown(alone).splitlines()[2]
    assert csv(board, alone).splitlines()[0] == csv(board).splitlines()[0]
    (first, *_) = csv_format.DictReader(io.StringIO(means_csv(board)))
    assert (first["detector"], first["given"], first["is_highest"]) == ("agad", "labels", "False")


def test_a_baseline_of_several_detectors_is_compared_cell_by_cell(board: Leaderboard) -> None:
    baseline = baseline_cells(csv(board), "old.csv", "a-study")
    compared = compare(("a-study", board.cells), ("old.csv", baseline))
    assert len(compared.pairs) == len(board.cells)
    assert all(one.difference and one.difference.is_none for one in compared.pairs)
    page = comparison_page(compared, is_checked=True)
    text = printed(page, 250)
    assert "Check: 0 cells fell." in text
    rows = [*csv_format.DictReader(io.StringIO(comparison_csv(compared)))]
    assert {row["detector"] for row in rows} == {"agad", "pca"}


CELL = CellStatus(
    label="digits class=0 ratio=0",
    phase="search",
    planned=4,
    running=1,
    finished=1,
    pruned=0,
    diverged=0,
    failed=0,
    best_objective=0.9,
    confirmed=0,
    confirm_planned=2,
    detector="agad",
)
UNSEARCHED = replace(
    CELL,
    label="digits class=0 ratio=0 detector=pca",
    phase="confirm",
    planned=0,
    finished=0,
    best_objective=None,
    confirmed=1,
    detector="pca",
)


def viewed(*cells: CellStatus) -> tuple[str, str]:
    status = StudyStatus(study="a-study", cells=cells, elapsed_s=9.0, slots=2)
    out = io.StringIO()
    Console(width=110, file=out, color_system=None).print(live_table(status, 110))
    return out.getvalue(), plain_line(status)


def test_the_live_view_names_the_detector_of_every_cell_of_several() -> None:
    table, line = viewed(CELL, UNSEARCHED)
    assert "detector=agad" in table
    assert "detector=pca" in table
    assert "all cells: digits class=0 ratio=0" in table
    assert "1/4 search trials, best digits class=0 ratio=0 detector=agad 0.900, 1/4" in line


def test_the_live_view_of_one_detector_names_none() -> None:
    for text in viewed(CELL, replace(CELL, label="digits class=1 ratio=0")):
        assert "agad" not in text


def test_a_cell_that_searches_nothing_has_no_best_in_the_live_view() -> None:
    table, _ = viewed(CELL, UNSEARCHED)
    (line,) = [line for line in table.splitlines() if line.startswith("detector=pca")]
    assert line.split()[1:5] == ["confirm", "1", "0/0", "0"]
    assert " - " in line


def test_a_page_says_why_a_detector_that_needs_labels_has_no_row_at_ratio_0(
    make_row: RowBuilder,
) -> None:
    study = replace(STUDY, detectors=[*STUDY.detectors, Candidate(Probe(), space={})])
    board = leaderboard(rows_of_contest(make_row), planned=planned(study))
    text = " ".join(printed(board, 1000).split())
    assert (
        "Labels needed: probe has no row in 9 cells at ratio 0, where no labelled anomaly can be "
        "fitted." in text
    )
    assert "digits class=0 ratio=0 detector=probe" not in {cell.cell for cell in board.cells}
    assert "digits class=0 ratio=0.05 detector=probe" in {cell.cell for cell in board.cells}


@pytest.mark.parametrize(
    ("dataset", "data", "is_said"),
    [("cifar10", "ImageNet", True), ("digits", "ImageNet", False), ("cifar10", "", False)],
)
def test_a_page_says_that_the_classes_of_cifar_are_among_those_of_imagenet(
    make_row: RowBuilder, dataset: str, data: str, is_said: bool
) -> None:
    cell = Cell(dataset=dataset, normal_class=0, anomaly_ratio=0.0)
    row = make_row(
        cell=cell.label,
        dataset=dataset,
        detector="knn",
        phase="confirm",
        seeds=(1,),
        test_auroc=0.9,
        seconds=10.0,
        encode_s=4.0,
        num_val_anomalies=0,
    )
    alone = PlannedDetector(cells=[cell], name="knn", external_data=data)
    text = markdown(leaderboard([row], planned=[alone], confirm_seeds=1))
    assert ("classes of cifar10 are among those of ImageNet" in text) is is_said
    assert ("| given |" in text.splitlines()[2]) is bool(data)
    assert "| 6.0 s | 4.0 s |" in text
    assert "4.0 s of it on features of an encoder" in text
