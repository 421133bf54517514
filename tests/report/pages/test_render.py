"""The three renderings: nothing cut, nothing run, nothing hidden."""

import io
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import pytest
from rich.cells import cell_len
from rich.console import Console

from agad.config import Cell, Grid, labelled_text
from agad.records import TrialRow
from agad.report import Leaderboard, PlannedDetector, leaderboard, markdown, terminal

RowBuilder: TypeAlias = Callable[..., TrialRow]

HOSTILE = "[bold red]x[/]|`<script>&*_@me\\\n\x1b[31m=1+1"


def printed(board: Leaderboard, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(terminal(board))
    out = console.file
    assert isinstance(out, io.StringIO)
    return out.getvalue()


def words(text: str) -> str:
    return " ".join(text.replace("•", " ").split())


def grid_rows(make_row: RowBuilder, make_confirm_row: RowBuilder, grid: Grid) -> Sequence[TrialRow]:
    rows = []
    for place, cell in enumerate(grid.all_cells):
        fixed = {
            "cell": cell.label,
            "dataset": cell.dataset,
            "protocol": cell.protocol,
            "normal_class": cell.normal_class,
            "anomalous_class": cell.anomalous_class,
            "pollution_ratio": cell.pollution_ratio,
            "labelled_classes": labelled_text(cell.labelled_classes),
            "anomaly_ratio": cell.anomaly_ratio,
            "settings": json.dumps(dict(cell.settings)),
            "num_fit_anomalies": 1250,
            "gpu_s": 1000.0,
            "seconds": 4000.0,
        }
        rows += [make_row(**fixed, state="pruned"), make_row(**fixed, state="diverged")]
        rows += [make_confirm_row(seed, 0.5 + place / 1000, **fixed) for seed in range(1, 10)]
    return rows


SMALL = Grid(dataset="digits", normal_class=[0, 1], anomaly_ratio=[0, 0.05, 0.2])
LARGE = Grid(
    dataset=["cifar10", "fashion-mnist"],
    normal_class=range(10),
    anomaly_ratio=[0, 0.01, 0.05, 0.1, 0.2],
    settings={"backbone": ["naive", "unet++"]},
)
VARIANTS = Grid(
    dataset="digits",
    anomalous_class=[0, 1],
    anomaly_ratio=[0, 0.05],
    pollution_ratio=[0, 0.1],
    labelled_classes=["all", 1, (0, 1)],
)


@pytest.mark.parametrize("grid", [SMALL, LARGE, VARIANTS], ids=["small", "large", "variants"])
@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_every_line_fits_and_no_number_is_cut(
    make_row: RowBuilder, make_confirm_row: RowBuilder, grid: Grid, width: int
) -> None:
    board = leaderboard(grid_rows(make_row, make_confirm_row, grid), confirm_seeds=10)

    text = printed(board, width)

    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert "…" not in text
    assert text.count("± 0.000 (n=9/10)") == len(grid.all_cells)
    assert text.count("30+1250") >= len(grid.all_cells)


def test_a_narrow_terminal_still_holds_every_digit(
    make_row: RowBuilder, make_confirm_row: RowBuilder
) -> None:
    board = leaderboard(grid_rows(make_row, make_confirm_row, SMALL), confirm_seeds=10)

    text = printed(board, 40)

    assert max(cell_len(line) for line in text.splitlines()) <= 40
    assert "…" not in text


def test_an_auroc_is_a_fraction_of_three_decimals_and_is_never_flipped(
    make_confirm_row: RowBuilder,
) -> None:
    board = leaderboard([make_confirm_row(1, 0.1234), make_confirm_row(2, 0.1456)])

    for text in (printed(board, 80), printed(board, 200), markdown(board)):
        assert "0.135 ± 0.016 (n=2)" in text


@pytest.mark.parametrize("width", [80, 200])
def test_failed_confirm_seeds_are_visible(make_confirm_row: RowBuilder, width: int) -> None:
    rows = [
        make_confirm_row(1, 0.9),
        make_confirm_row(2, 0.8),
        make_confirm_row(3, None, state="diverged"),
    ]

    text = words(printed(leaderboard(rows), width))

    assert "(n=2/3)" in text
    assert "Confirm: 3 trials, 1 diverged, 0 failed." in text
    assert "digits class=0 ratio=0 (2 of 3, 1 diverged)" in text


@pytest.mark.parametrize("width", [80, 200])
def test_missing_cells_have_their_row_and_are_named(
    make_row: RowBuilder, make_confirm_row: RowBuilder, width: int
) -> None:
    planned = Grid(dataset="digits", normal_class=[0, 1, 2]).all_cells
    rows = [
        make_confirm_row(1, 0.9),
        make_row(cell="digits class=1 ratio=0", normal_class=1),
    ]
    board = leaderboard(rows, planned=[PlannedDetector(cells=planned)])

    text = words(printed(board, width))

    assert "not confirmed" in text
    assert "no trial yet" in text
    assert "in no mean: 2 cells: digits class=1 ratio=0, digits class=2 ratio=0." in text
    assert "1/3" in text


def test_the_notes_say_what_was_chosen_how_and_at_what_cost(
    make_row: RowBuilder, make_confirm_row: RowBuilder
) -> None:
    rows = [
        make_row(state="diverged", epochs=2),
        make_row(state="failed", epochs=5),
        make_confirm_row(1, 0.9, is_dirty=True),
    ]

    text = words(printed(leaderboard(rows), 80))

    assert "Chosen by validation AUROC, labelled(30); the test split was scored once" in text
    assert "Labels: anomalies labelled to select + to train; 30+0 a seed." in text
    assert "2 trials run, 0 stopped early, 1 diverged, 1 failed; 7 of 54 planned epochs" in text
    assert "No trial was stopped early in 1 cell: digits class=0 ratio=0." in text
    assert "in all 30 s, no GPU, 34 epochs" in text
    assert "0123456789ab with changes" in text
    assert "torch 2.13.0" in text


def test_a_configuration_that_is_not_the_choice_is_noted(make_confirm_row: RowBuilder) -> None:
    rows = [
        make_confirm_row(1, 0.9),
        make_confirm_row(2, 0.9),
        make_confirm_row(1, 0.99, params='{"lr": 0.5}'),
    ]

    text = words(printed(leaderboard(rows), 80))

    assert "not the cell's choice, in no mean: digits class=0 ratio=0 (1)." in text


def test_the_wide_table_and_markdown_show_the_configuration(make_confirm_row: RowBuilder) -> None:
    board = leaderboard([make_confirm_row(1, 0.9, params='{"lr": 0.00123456, "depth": 3}')])

    assert "depth=3 lr=0.00123" in printed(board, 200)
    assert "depth=3 lr=0.00123" in markdown(board)
    assert "configurations stand in a wider terminal" in words(printed(board, 80))


def hostile_board(make_row: RowBuilder, make_confirm_row: RowBuilder) -> Leaderboard:
    names = {
        "study": HOSTILE,
        "cell": HOSTILE,
        "dataset": HOSTILE,
        "protocol": HOSTILE,
        "labelled_classes": HOSTILE,
        "settings": json.dumps({HOSTILE: HOSTILE}),
        "detector": HOSTILE,
        "hardware": HOSTILE,
        "selection": HOSTILE,
        "commit": HOSTILE,
        "data_fingerprint": HOSTILE,
        "versions": json.dumps({HOSTILE: HOSTILE}),
        "params": json.dumps({HOSTILE: HOSTILE}),
    }
    return leaderboard([make_row(**names), make_confirm_row(1, 0.9, **names)])


NOTES = {
    "leave-one-out": "Leave-one-out: the class named is the anomalous one",
    "pollution": "Pollution: share of hidden anomalies among the unlabelled images",
    "labelled": "Labelled: anomalous classes of which images are labelled",
}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({}, []),
        (
            {"protocol": "leave-one-out", "normal_class": None, "anomalous_class": 0},
            ["leave-one-out"],
        ),
        ({"pollution_ratio": 0.1}, ["pollution"]),
        ({"labelled_classes": "(3,5)"}, ["labelled"]),
        ({"pollution_ratio": 0.1, "labelled_classes": "1"}, ["pollution", "labelled"]),
    ],
    ids=["plain", "leave-one-out", "pollution", "labelled", "both"],
)
def test_the_notes_explain_the_variants_that_are_there_and_no_others(
    make_confirm_row: RowBuilder, changes: dict[str, Any], named: list[str]
) -> None:
    board = leaderboard([make_confirm_row(1, 0.9, **changes)])

    for text in (words(printed(board, 80)), words(printed(board, 200))):
        assert [name for name, note in NOTES.items() if note in text] == named


@pytest.mark.parametrize("width", [80, 200])
def test_classes_stand_by_the_name_that_the_study_gave(
    make_confirm_row: RowBuilder, width: int
) -> None:
    grid = Grid(dataset="cifar10", normal_class=["airplane", 1])
    rows = [
        make_confirm_row(1, 0.9, cell=cell.label, dataset="cifar10", normal_class=label)
        for label, cell in enumerate(grid.all_cells)
    ]
    board = leaderboard(rows, planned=[PlannedDetector(cells=grid.all_cells)])

    lines = [words(line) for line in printed(board, width).splitlines()]

    assert any("airplane 0 0.900 (n=1)" in line for line in lines)
    assert any("1 0 0.900 (n=1)" in line and "airplane" not in line for line in lines)
    assert "| airplane | 0 | 0.900 (n=1) |" in " ".join(markdown(board).split())


@pytest.mark.parametrize("width", [80, 1000])
def test_a_class_name_is_never_read_as_markup_or_as_a_command(
    make_confirm_row: RowBuilder, width: int
) -> None:
    grid = Grid(dataset="photos", normal_class=HOSTILE)
    row = make_confirm_row(1, 0.9, cell=grid.all_cells[0].label, dataset="photos")
    board = leaderboard([row], planned=[PlannedDetector(cells=grid.all_cells)])

    assert "\x1b" not in printed(board, width)
    assert "<script>" not in markdown(board)


@pytest.mark.parametrize("width", [80, 200, 1000])
def test_a_terminal_never_reads_a_name_as_markup_or_as_a_command(
    make_row: RowBuilder, make_confirm_row: RowBuilder, width: int
) -> None:
    text = printed(hostile_board(make_row, make_confirm_row), width)

    assert "[bold red]x[/]" in text
    assert "\x1b" not in text
    assert max(cell_len(line) for line in text.splitlines()) <= width


def test_markdown_never_reads_a_name_as_markup(
    make_row: RowBuilder, make_confirm_row: RowBuilder
) -> None:
    text = markdown(hostile_board(make_row, make_confirm_row))

    assert "<script>" not in text
    assert "@" not in text
    assert "\x1b" not in text
    assert r"\[bold red\]x\[/\]\|\`&lt;script&gt;&amp;\*\_&#64;me\\" in text
    table_lines = [line for line in text.splitlines() if line.startswith("|")]
    bars = [line.replace(r"\\", "").replace(r"\|", "").count("|") for line in table_lines]
    assert bars == [bars[0]] * 3 + [bars[-1]] * 3


def test_markdown_has_a_cell_for_every_header(
    make_row: RowBuilder, make_confirm_row: RowBuilder
) -> None:
    text = markdown(leaderboard(grid_rows(make_row, make_confirm_row, SMALL)))

    rows = [line.count("|") for line in text.splitlines() if line.startswith("| digits")]
    headers = [line.count("|") for line in text.splitlines() if line.startswith("| data set")]
    assert rows == [headers[0]] * 6 + [headers[1]] * 3 + [headers[2]]


@pytest.mark.parametrize(
    ("planned", "sentence"),
    [
        ((), "No trial of this study has ended yet."),
        (SMALL.all_cells[:1], "has ended yet; 1 cell is planned."),
        (SMALL.all_cells[:2], "has ended yet; 2 cells are planned."),
    ],
    ids=["unknown", "one", "two"],
)
def test_a_study_without_rows_is_a_sentence(planned: Sequence[Cell], sentence: str) -> None:
    board = leaderboard([], study="a-study", planned=[PlannedDetector(cells=planned)])

    for text in (printed(board, 80), markdown(board)):
        assert sentence in text
        assert "a-study" in text
        assert "AUROC" not in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (83.2, "83 s"),
        (119.4, "119 s"),
        (720.0, "12 min"),
        (7169.0, "119 min"),
        (12240.0, "3.4 h"),
        (360000.0, "100.0 h"),
    ],
)
def test_a_duration_has_the_unit_that_reads_best(
    make_confirm_row: RowBuilder, seconds: float, text: str
) -> None:
    board = leaderboard([make_confirm_row(1, 0.9, seconds=seconds)])

    assert f" {text} " in markdown(board)


def test_the_report_needs_no_heavy_library() -> None:
    check = (
        "import sys, agad.report, agad.records; "
        "heavy = {'torch', 'ray', 'optuna', 'pyarrow', 'numpy', 'boto3', 'scipy'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
