"""The live view of a study: it fits, and says what it leaves out."""

import io
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from agad.records import CellStatus, StudyStatus
from agad.report import is_status_line, live_table, plain_line

CELL = CellStatus(
    label="digits class=0 ratio=0",
    phase="search",
    planned=12,
    running=0,
    paused=0,
    finished=1,
    pruned=1,
    diverged=0,
    failed=0,
    best_objective=0.9,
    confirmed=0,
    confirm_planned=3,
)


def study_of(*cells: CellStatus) -> StudyStatus:
    return StudyStatus(study="a-study", cells=cells, elapsed_s=41.2, slots=16)


def printed(status: StudyStatus, width: int, height: int = 24) -> str:
    out = io.StringIO()
    Console(width=width, file=out, color_system=None).print(
        live_table(status, width, height=height)
    )
    return out.getvalue()


def many_cells(label: str, count: int) -> StudyStatus:
    return study_of(
        *(
            replace(CELL, label=label.format(place), running=int(place % 4 == 0), planned=1000)
            for place in range(count)
        )
    )


def test_plain_line_says_all_on_one_line() -> None:
    cells = [
        replace(CELL, label=f"digits class={place} ratio=0", best_objective=0.987 - place / 10)
        for place in range(6)
    ]
    cells[1] = replace(cells[1], pruned=2, finished=0, diverged=1, best_objective=None)

    line = plain_line(study_of(*cells))

    assert line == (
        "13/72 search trials, 7 stopped, 1 diverged, best digits class=0 ratio=0 0.987, "
        "0/18 confirmed, 41 s, ? left"
    )
    assert is_status_line(line)
    assert not is_status_line("13/72 confirmed")


def test_a_search_that_a_budget_ended_says_so() -> None:
    status = replace(study_of(CELL), ended_by="the budget of 2 GPU-hours")
    text = "2/12 search trials, 1 stopped, the budget of 2 GPU-hours ended the search, "
    assert plain_line(status).startswith(text)
    assert text in printed(status, 200)


def test_plain_line_of_a_study_that_has_just_begun_names_no_best() -> None:
    cell = replace(CELL, finished=0, pruned=0, best_objective=None)

    assert plain_line(study_of(cell)) == "0/12 search trials, 0/3 confirmed, 41 s, ? left"


def test_plain_line_stays_one_line_whatever_the_name() -> None:
    line = plain_line(study_of(replace(CELL, label="a\nb\x1b[31m[bold]")))

    assert line.isprintable()
    assert "[bold]" in line


@pytest.mark.parametrize("width", [80, 99, 100, 200])
@pytest.mark.parametrize(
    "label",
    ["digits class={} ratio=0.05", "fashion-mnist class={} ratio=0.05 backbone=unet++ lr=0.001"],
    ids=["short", "long"],
)
@pytest.mark.parametrize("count", [1, 6, 100])
def test_table_fits_the_terminal_and_cuts_nothing(width: int, label: str, count: int) -> None:
    text = printed(many_cells(label, count), width)

    lines = text.splitlines()
    assert len(lines) <= 24
    assert max(cell_len(line) for line in lines) <= width
    assert "…" not in text
    assert "2/1000" in text


def test_table_shows_the_running_cells_and_sums_up_the_others() -> None:
    cells = [replace(CELL, label=f"cell-{place}") for place in range(97)]
    waiting = replace(CELL, label="waiting", finished=0, pruned=0)
    confirming = replace(CELL, label="confirming", phase="confirm")
    running = replace(CELL, label="the-running-one", running=2)

    text = printed(study_of(*cells, waiting, confirming, running), 80)

    assert "the-running-one" in text
    assert "cell-5" not in text
    assert "and 99 more cells: 1 waiting, 97 searching, 1 confirming" in text


def test_table_with_no_room_for_any_running_cell_counts_them() -> None:
    text = printed(many_cells("cell-{}", 100), 80, height=8)

    assert "and 99 more cells: 24 running, 75 searching" in text


def test_table_never_reads_a_name_as_markup() -> None:
    status = replace(study_of(replace(CELL, label="[red]a[/]\x1b[2J")), study="[bold]s[/bold]")

    text = printed(status, 80)

    assert "[red]a[/]" in text
    assert "[bold]s[/bold]" in text
    assert "\x1b" not in text


def test_table_of_a_study_without_cells_shows_its_totals() -> None:
    text = printed(study_of(), 80)
    assert "0/0 confirmed" in text
    assert "search trials" not in text  # Nothing is searched.


def test_words_that_all_cells_share_stand_once_above_the_table() -> None:
    lines = printed(many_cells("digits class={} ratio=0.05", 6), 80).splitlines()

    assert "all cells: digits ratio=0.05" in lines
    assert any(line.startswith("class=3 ") for line in lines)


def test_table_says_what_each_cell_costs_and_when_it_may_be_done() -> None:
    busy = replace(
        CELL,
        running=1,
        paused=2,
        seconds=5400.0,
        gpu_s=3600.0,
        left_s=7200.0,
        num_val_anomalies=30,
        num_fit_anomalies=270,
    )
    text = printed(replace(study_of(busy, replace(busy, label="b")), slots=4), 200)

    assert "2.00 GPU h, ~60 min left" in text
    header, row = (
        next(line.split() for line in text.splitlines() if line.startswith(start))
        for start in ("cell", "b ")
    )
    assert " ".join(header) == (
        "cell phase run done stop pause div fail val conf labels time GPU h left"
    )
    assert " ".join(row) == "b search 1 2/12 1 2 0 0 0.900 0/3 30+270 90 min 1.00 ~60 min"


def test_a_narrow_table_breaks_no_word_of_a_label_and_sums_up_the_labels_it_leaves_out() -> None:
    cells = [
        replace(
            CELL,
            label=f"digits class={place} pollution_ratio=0.05",
            running=1,
            paused=1,
            gpu_s=36e5,
            seconds=36e5,
            left_s=36e5,
            num_val_anomalies=30,
            num_fit_anomalies=1000 + place,
        )
        for place in range(3)
    ]
    cells[1] = replace(cells[1], label="digits class=1 pollution_ratio=0.15")
    text = printed(study_of(*cells), 80)

    assert max(map(cell_len, text.splitlines())) <= 80
    assert "pollution_ratio=0.15" in text
    assert "labels: 30+1000 to 30+1002" in text


def test_columns_that_would_say_nothing_are_left_out() -> None:
    header = next(line for line in printed(study_of(CELL), 80).splitlines() if "run" in line)

    assert "pause" not in header
    assert "GPU" not in header


def test_a_study_that_computes_features_says_how_far_they_are() -> None:
    status = replace(study_of(CELL), features_done=512, features_missing=2000)
    assert "features 512 of 2,000" in plain_line(status)
    assert "features 512 of 2,000" in printed(status, 80)
    assert "features" not in plain_line(study_of(CELL))
