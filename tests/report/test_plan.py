"""The plan as a table: it fits, and no label is cut."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from agad.config import Grid
from agad.report import plan_table
from agad.study import CellPlan, StudyPlan

CLASSES = ("airplane", "automobile", "bird", "deer", "dog", "frog", "horse", "ship", "truck")
GRID = Grid(
    dataset="cifar10",
    normal_class=["cat", "[red]x[/]\x1b[31m"],
    pollution_ratio=0.1,
    labelled_classes=[CLASSES],
)


def printed(width: int, num_searches: int = 2, instances: tuple[int, int] = (1, 1)) -> str:
    plan = StudyPlan(
        study="a-study",
        cells=tuple(
            CellPlan(
                label=cell.label,
                epoch_s=0.5,
                num_steps=20,
                num_measured=7,
                num_val_anomalies=100,
                num_fit_anomalies=1250,
                num_search_instances=num_instances,
            )
            for cell, num_instances in zip(GRID.all_cells, instances, strict=True)
        ),
        num_searches=num_searches,
        trials_per_cell=8,
        confirm_per_cell=2,
        num_confirm_seeds=2,
        max_epochs=27,
        expected_epochs=7.0,
        expectation="ASHA lets 1/eta past each rung",
    )
    out = io.StringIO()
    Console(width=width, file=out, color_system=None).print(plan_table(plan, slots=2))
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 120, 200])
def test_a_plan_fits_the_terminal_and_cuts_nothing(width: int) -> None:
    text = printed(width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert text.count("100+1250") == 2
    assert text.count("7 of 20") == 2


def test_a_plan_never_reads_a_label_as_markup_or_as_a_command() -> None:
    text = printed(200)
    assert "[red]x[/]" in text
    assert "\x1b" not in text


def test_a_plan_tells_what_the_search_trains() -> None:
    plain, several = printed(400), printed(400, num_searches=1, instances=(3, 0))
    assert "16 to search, 4 to confirm (8 and 2 a cell)" in plain
    assert "the search has one seed, the confirm phase 2 others" in plain
    assert "8 to search, 4 to confirm (8 for each of 1 search and 2 a cell)" in several
    assert "the search has 3 seeds, on 1 cell alone, the confirm phase 2 others" in several
    assert "at most 756" in several
