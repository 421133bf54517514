"""The plan as a table: it fits, and no label is cut."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from agad.config import Grid
from agad.report import expected_line, plan_table
from agad.study import CellPlan, DetectorPlan, EpochTime, FeatureTime, StudyPlan

CLASSES = ("airplane", "automobile", "bird", "deer", "dog", "frog", "horse", "ship", "truck")
GRID = Grid(
    dataset="cifar10",
    normal_class=["cat", "[red]x[/]\x1b[31m"],
    pollution_ratio=0.1,
    labelled_classes=[CLASSES],
)


NO_FEATURES = FeatureTime(num_images=0, seconds=0.0)
EPOCH_TIME = EpochTime(epoch_s=0.5, gpus=0.0, source="7 of 20 steps here", hardware="a processor")


def printed(
    width: int,
    num_searches: int = 2,
    instances: tuple[int, int] = (1, 1),
    *,
    epoch_times: tuple[EpochTime | None, EpochTime | None] = (EPOCH_TIME, EPOCH_TIME),
    price: float | None = None,
) -> str:
    detector = DetectorPlan(
        detector="agad",
        cells=tuple(
            CellPlan(
                label=cell.label,
                num_steps=20,
                epoch_time=epoch_time,
                num_val_anomalies=100,
                num_fit_anomalies=1250,
                num_search_instances=num_instances,
            )
            for cell, num_instances, epoch_time in zip(
                GRID.all_cells, instances, epoch_times, strict=True
            )
        ),
        num_searches=num_searches,
        trials_per_cell=8,
        confirm_per_cell=2,
        max_epochs=27,
        expected_epochs=7.0,
        expectation="ASHA lets 1/eta past each rung",
    )
    plan = StudyPlan(study="a-study", detectors=(detector,), num_confirm_seeds=2)
    return shown(plan, width, price)


def shown(plan: StudyPlan, width: int = 400, price: float | None = None) -> str:
    out = io.StringIO()
    Console(width=width, file=out, color_system=None).print(plan_table(plan, 2, price))
    return out.getvalue()


def planned(*epoch_times: EpochTime | None) -> StudyPlan:
    cells = tuple(
        CellPlan(
            label=f"digits class={place} ratio=0",
            num_steps=20,
            epoch_time=epoch_time,
            num_val_anomalies=1,
            num_fit_anomalies=0,
        )
        for place, epoch_time in enumerate(epoch_times)
    )
    detector = DetectorPlan(
        detector="agad",
        cells=cells,
        num_searches=len(cells),
        trials_per_cell=8,
        confirm_per_cell=2,
        tested_per_cell=2,
        max_epochs=10,
        expected_epochs=5.0,
        expectation="no trial is stopped",
    )
    return StudyPlan(study="a-study", detectors=(detector,), num_confirm_seeds=2)


def test_the_expected_time_is_that_of_all_trials_over_those_that_run_at_once() -> None:
    tested = replace(EPOCH_TIME, test_s=10.0)
    line = expected_line(planned(EPOCH_TIME, tested), 2, NO_FEATURES)
    # (8 x 5 + 2 x 10) epochs of 0.5 s in each of two cells, and two tests of 10 s in one.
    assert line == "Expected time: about 40 s (20 trials, 2 at once)"


def test_the_expected_time_says_what_it_does_not_know() -> None:
    line = expected_line(planned(EPOCH_TIME, None, None), 1, NO_FEATURES)
    assert line == "Expected time: more than 30 s (30 trials, 1 at once; unknown for 2 of 3 cells)"
    nothing = expected_line(planned(None), 1, NO_FEATURES)
    assert nothing == "Expected time: unknown (10 trials, 1 at once; unknown for 1 of 1 cell)"


def test_the_expected_time_counts_the_features() -> None:
    features = FeatureTime(num_images=12_345, seconds=100.0)
    line = expected_line(planned(EPOCH_TIME), 2, features)
    assert line == "Expected time: about 65 s (10 trials, 2 at once; features of 12,345 images)"


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
    assert "the search has 1 seed, the confirm phase 2 others" in plain
    assert "8 to search, 4 to confirm (8 for each of 1 search and 2 a cell)" in several
    assert "the search has 3 seeds, on 1 cell alone, the confirm phase 2 others" in several
    assert "at most 756" in several


def test_a_plan_tells_two_candidates_of_a_detector_apart() -> None:
    cell = CellPlan(
        label="digits class=0 labels=0",
        num_steps=1,
        epoch_time=None,
        num_val_anomalies=0,
        num_fit_anomalies=0,
        num_search_instances=0,
        label_budget=0,
    )
    first = DetectorPlan(
        detector="knn",
        cells=(cell,),
        num_searches=0,
        trials_per_cell=0,
        confirm_per_cell=3,
        max_epochs=1,
        expected_epochs=1.0,
        expectation="no trial is stopped",
    )
    second = replace(first, method="knn num_neighbors=5")
    plan = StudyPlan(study="a-study", detectors=(first, second), num_confirm_seeds=3)
    text = shown(plan)
    assert "• knn: Trials: 3 to confirm, of 1 epoch each; nothing to search." in text
    assert "• knn num_neighbors=5: Trials: 3 to confirm, of 1 epoch each" in text


def test_a_plan_says_that_seconds_are_unknown_and_never_makes_any_up() -> None:
    unknown, partly = (
        printed(400, epoch_times=(None, None), price=2),
        printed(400, epoch_times=(EPOCH_TIME, None)),
    )
    told = "seconds an epoch unknown: no trial of this kind in the store; --measure times one."
    assert told in unknown
    assert "Cost: unknown" in unknown
    assert "at once" not in unknown + partly
    assert "seconds an epoch unknown of 1 of 2 cells: no trial of this kind" in partly


def test_a_plan_adds_up_each_phase_and_its_cost() -> None:
    epoch_time = EpochTime(epoch_s=3600.0, gpus=0.5, source="24 trials", hardware="a [red]GPU[/]")
    text = printed(400, epoch_times=(epoch_time, epoch_time), price=3.0)
    # 2 cells of 8 x 7 epochs to search, 2 x 27 to confirm; an hour each, half a GPU.
    assert "about 56.0 h to search and 54.0 h to confirm, 110.0 h in all, or 270.0 h" in text
    assert "GPU-hours: about 56.00 to search and 54.00 to confirm, 110.00 in all" in text
    assert "Cost at 3.00 a GPU-hour: about 168.00 to search and 162.00 to confirm, 330.00" in text
    assert "or 810.00 where none is stopped" in text
    assert "by what was timed on a [red]GPU[/]" in text
    assert "24 trials" in text


def test_a_plan_of_trials_without_a_gpu_costs_nothing_by_the_gpu_hour() -> None:
    assert "took a GPU; no cost by the GPU-hour" in printed(400, price=3.0)
