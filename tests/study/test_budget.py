"""A budget that ends the search before its planned trials; the confirm phase is set aside."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from agad.config import Budget, Confirm, Grid, NoStopping, Study, SuccessiveHalving
from agad.errors import ConfigError
from agad.records import TrialRow
from agad.study.board import StudyBoard
from agad.study.budget import BudgetSpent
from agad.study.costs_so_far import CostsSoFar
from agad.study.running import Progress
from tests.simulation import ListMemory

if TYPE_CHECKING:
    from tests.simulation import MakeSimulation, MakeStudy

EPOCHS = 9
"""Of every trial; each takes one second."""

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def make_budgeted(make_study: MakeStudy) -> MakeStudy:
    """Build a study of one cell, 8 search trials and 2 confirm trials, none stopped."""

    def build(budget: Budget, **changes: object) -> Study:
        values: dict[str, object] = {
            "cells": Grid(dataset="digits", normal_class=0),
            "scheduler": NoStopping(max_epochs=EPOCHS),
        }
        return make_study(budget=budget, **(values | changes))

    return build


def _gpu_hours(trials: float) -> Budget:
    """Return the budget of so many trials on a whole GPU."""
    return Budget(gpu_hours=trials * EPOCHS / 3600)


@pytest.mark.parametrize(
    ("trials", "num_searched"),
    [(4.5, 3), (5.5, 4), (9.5, 8), (100.0, 8), (0.1, 1)],
    ids=["four and a half", "one more", "just enough", "plenty", "less than one trial"],
)
def test_a_budget_of_gpu_hours_ends_the_search_and_leaves_the_confirm_phase(
    make_budgeted: MakeStudy,
    make_simulation: MakeSimulation,
    memory: ListMemory,
    trials: float,
    num_searched: int,
) -> None:
    study = make_budgeted(_gpu_hours(trials))
    make_simulation(study, gpus=1.0).run_and_close()
    # Two trials are set aside once the first has told what one takes; the last overruns.
    assert len(memory.rows_of("search")) == num_searched
    assert [row.state for row in memory.rows_of("confirm")] == ["finished"] * 2


def test_half_a_gpu_spends_half_the_budget(
    make_budgeted: MakeStudy, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    make_simulation(make_budgeted(_gpu_hours(2.75)), gpus=0.5).run_and_close()
    assert len(memory.rows_of("search")) == 4


def test_the_kept_winner_and_the_status_say_what_ended_the_search(
    make_budgeted: MakeStudy, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    simulation = make_simulation(make_budgeted(Budget(gpu_hours=5 * EPOCHS / 3600)), gpus=1.0)
    simulation.run_and_close()
    (winner,) = memory.winners()
    assert (winner.num_search_trials, winner.ended_by) == (3, "the budget of 0.0125 GPU-hours")
    status = simulation.board.status(1)
    assert status.ended_by == "the budget of 0.0125 GPU-hours"
    (cell,) = status.cells
    assert (cell.phase, cell.ended, cell.planned) == ("done", 3, 8)


def test_a_study_without_a_budget_says_nothing_of_one(
    make_budgeted: MakeStudy, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    simulation = make_simulation(make_budgeted(Budget()), gpus=1.0)
    simulation.run_and_close()
    assert simulation.board.status(1).ended_by == ""
    assert [winner.ended_by for winner in memory.winners()] == [""]


@pytest.mark.parametrize("most_ends", [3, 4, 5], ids=["before", "in", "after"])
def test_a_later_driver_leaves_a_search_ended_that_the_budget_ended(
    make_budgeted: MakeStudy, make_simulation: MakeSimulation, memory: ListMemory, most_ends: int
) -> None:
    study = make_budgeted(_gpu_hours(5))
    make_simulation(study, gpus=1.0).run_and_close(most_ends=most_ends)
    later = make_simulation(study, gpus=1.0)
    assert later.board.is_done == (most_ends == 5)
    later.run_and_close()
    assert (len(memory.rows_of("search")), len(memory.rows_of("confirm"))) == (3, 2)


def test_trials_that_failed_stay_so_where_the_budget_ended_the_search(
    make_budgeted: MakeStudy, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    study = make_budgeted(_gpu_hours(5))
    first = make_simulation(
        study,
        gpus=1.0,
        crashes=lambda one: (one.spec.phase, one.spec.number) == ("search", 1),
    )
    first.run_and_close()
    assert [row.state for row in memory.rows_of("search")].count("failed") == 1
    assert make_simulation(study, gpus=1.0).board.is_done


def test_a_confirm_trial_that_failed_starts_again_where_the_budget_ended_the_search(
    make_budgeted: MakeStudy, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    study = make_budgeted(_gpu_hours(5))
    first = make_simulation(
        study,
        gpus=1.0,
        crashes=lambda one: (one.spec.phase, one.spec.number) == ("confirm", 1),
    )
    first.run_and_close()
    assert [row.state for row in memory.rows_of("confirm")] == ["finished", "failed"]
    num_searched = len(memory.rows_of("search"))
    later = make_simulation(study, gpus=1.0)
    assert not later.board.is_done
    later.run_and_close()
    assert [row.state for row in memory.rows_of("confirm")] == ["finished", "finished"]
    assert len(memory.rows_of("search")) == num_searched


def test_a_larger_budget_goes_on_with_the_search(
    make_budgeted: MakeStudy, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    make_simulation(make_budgeted(_gpu_hours(5)), gpus=1.0).run_and_close()
    make_simulation(make_budgeted(_gpu_hours(8)), gpus=1.0).run_and_close()
    num_searched = len(memory.rows_of("search"))
    # The confirm trials of the first search count as spent, too.
    assert 3 < num_searched < 8
    assert {one.num_search_trials for one in memory.winners()} == {3, num_searched}
    make_simulation(make_budgeted(Budget()), gpus=1.0).run_and_close()
    assert len(memory.rows_of("search")) == 8


def test_a_study_that_is_extended_past_its_budget_keeps_its_winner_and_is_done(
    make_budgeted: MakeStudy, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    study = make_budgeted(Budget())
    make_simulation(study, gpus=1.0).run_and_close()
    search = replace(study.search, trials_per_cell=12)
    more = replace(study, search=search, budget=_gpu_hours(5))
    assert make_simulation(more, gpus=1.0).board.is_done
    assert len(memory.rows_of("search")) == 8


def test_cells_share_a_budget_evenly(
    make_budgeted: MakeStudy, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    cells = Grid(dataset="digits", normal_class=[0, 1, 2])
    study = make_budgeted(_gpu_hours(12), cells=cells)
    make_simulation(study, gpus=1.0).run_and_close()
    searched = [len(memory.rows_of("search", cell.label)) for cell in cells.all_cells]
    assert searched == [2, 2, 2]
    assert len(memory.rows_of("confirm")) == 6


def test_several_candidates_are_set_aside(
    make_budgeted: MakeStudy, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    study = make_budgeted(_gpu_hours(6.75), confirm=Confirm(seeds=2, candidates=2))
    make_simulation(study, gpus=1.0).run_and_close()
    assert len(memory.rows_of("search")) == 3
    assert (len(memory.rows_of("confirm")), len(memory.rows_of("test"))) == (4, 2)


def test_paused_trials_are_not_promoted_past_the_budget(
    make_budgeted: MakeStudy, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    scheduler = SuccessiveHalving(max_epochs=EPOCHS, grace_period=1, reduction_factor=3)
    # Each trial pauses after an epoch; two confirm trials take 18.
    study = make_budgeted(Budget(gpu_hours=20 / 3600), scheduler=scheduler)
    make_simulation(study, gpus=1.0).run_and_close()
    rows = memory.rows_of("search")
    assert [row.epochs for row in rows] == [1, 1]
    assert {row.stop_reason for row in rows} == {
        "the budget of 0.00555556 GPU-hours ended the search"
    }
    assert len(memory.rows_of("confirm")) == 2


def test_a_budget_that_leaves_a_cell_without_a_trial_ends_all_the_same(
    make_budgeted: MakeStudy, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    cells = Grid(dataset="digits", normal_class=[0, 1])
    study = make_budgeted(_gpu_hours(0.5), cells=cells)
    make_simulation(study, gpus=1.0).run_and_close()
    assert [row.cell for row in memory.rows_of("search")] == [cells.all_cells[0].label]
    assert len(memory.rows_of("confirm")) == 2
    assert make_simulation(study, gpus=1.0).board.is_done


class _Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_budget_of_hours_counts_this_driver_and_the_work_of_earlier_ones(
    make_budgeted: MakeStudy, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    study = make_budgeted(Budget(hours=1.0))
    make_simulation(study).run_and_close(most_ends=2)
    # Two that overlap, from the start to 40 minutes after it.
    spans = ((0, 30), (20, 40))
    rows: list[TrialRow] = [
        replace(
            row,
            started_at=START + timedelta(minutes=first),
            ended_at=START + timedelta(minutes=last),
            seconds=60.0 * (last - first),
            epochs=0,
        )
        for row, (first, last) in zip(memory.rows_of("search"), spans, strict=True)
    ]
    clock = _Clock()
    spent = BudgetSpent(study, CostsSoFar(), rows, clock=clock)
    clock.now_s += 19 * 60.0
    assert spent.ended_by([], {}) == ""
    assert spent.left_s([], {}) == pytest.approx(60.0)
    clock.now_s += 1.1 * 60.0
    assert spent.ended_by([], {}) == "the budget of 1 hour"
    assert spent.left_s([], {}) == 0.0


def test_a_row_that_waited_at_a_rung_counts_for_its_work(
    make_budgeted: MakeStudy, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    study = make_budgeted(Budget(hours=1.0))
    make_simulation(study).run_and_close(most_ends=1)
    (row,) = memory.rows_of("search")
    paused = replace(row, started_at=START, ended_at=START + timedelta(days=1), seconds=60.0)
    assert BudgetSpent(study, CostsSoFar(), [paused], clock=_Clock()).ended_by([], {}) == ""


def _reached_after(study: Study, rows: list[TrialRow]) -> float:
    """Return the hours at which a later driver would find the budget just reached."""
    spent = BudgetSpent(replace(study, budget=Budget(hours=1000.0)), CostsSoFar(), rows)
    left_s = spent.left_s([], {})
    assert left_s is not None
    return 1000.0 - left_s / 3600


def test_a_row_counts_for_the_work_of_an_earlier_attempt_too(
    make_budgeted: MakeStudy, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    study = make_budgeted(Budget(hours=1.0))
    make_simulation(study).run_and_close(most_ends=1)
    (row,) = memory.rows_of("search")
    # Four hours of five ran under a driver that was killed.
    started, ended = START + timedelta(hours=4), START + timedelta(hours=5)
    resumed = replace(row, started_at=started, ended_at=ended, seconds=5 * 3600.0)
    assert _reached_after(study, [resumed]) == pytest.approx(5.0, abs=0.01)


def test_trials_that_are_given_up_together_count_for_when_they_worked(
    make_budgeted: MakeStudy, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    scheduler = SuccessiveHalving(max_epochs=EPOCHS, grace_period=1, reduction_factor=3)
    study = make_budgeted(Budget(), scheduler=scheduler)
    make_simulation(study).run_and_close()
    pruned = [row for row in memory.rows_of("search") if row.state == "pruned"][:4]
    # One after the other, an hour each; all wait until the tenth hour.
    rows = [
        replace(
            row,
            started_at=START + timedelta(hours=number),
            ended_at=START + timedelta(hours=10),
            seconds=3600.0,
        )
        for number, row in enumerate(pruned)
    ]
    assert _reached_after(study, rows) == pytest.approx(4.0, abs=0.01)
    # Nor did they ever run at once: two confirm trials of 9 hours take 18.
    costs = CostsSoFar()
    costs.add(replace(row, epochs=1) for row in rows)
    cells = make_simulation(study, kept_in=ListMemory()).board._cells
    for hours, ended_by in ((21.9, "the budget of 21.9 hours"), (22.1, "")):
        limited = replace(study, budget=Budget(hours=hours))
        spent = BudgetSpent(limited, costs, rows, clock=_Clock())
        assert spent.ended_by([], cells) == ended_by


def test_a_promoted_trial_keeps_what_its_earlier_rungs_took(
    make_budgeted: MakeStudy, make_simulation: MakeSimulation
) -> None:
    scheduler = SuccessiveHalving(max_epochs=EPOCHS, grace_period=1, reduction_factor=3)
    study = make_budgeted(Budget(), scheduler=scheduler)
    simulation = make_simulation(study, gpus=1.0)
    simulation.run(most_ends=3)

    def gpu_s(board: StudyBoard) -> float:
        return sum(cell.gpu_s for cell in board.status(1).cells)

    board = simulation.board
    assert gpu_s(board) == 3.0
    launch = board.launch()
    assert launch is not None
    assert launch.attempt == 1  # It was promoted.
    assert gpu_s(board) == 3.0
    board.give_back(launch.spec.key)
    assert gpu_s(board) == 3.0
    again = board.launch()
    assert again is not None
    assert again.spec.key == launch.spec.key
    board._writes.finish()
    assert gpu_s(make_simulation(study, gpus=1.0).board) == 3.0
    epochs = tuple(simulation._epoch(launch.spec, epoch, 1) for epoch in range(2))
    board.report(launch.spec.key, Progress(epochs=epochs, seconds=2.0, gpu_s=2.0))
    assert gpu_s(board) == 4.0


@pytest.mark.parametrize(
    ("num_beside", "ended_by"), [(2, ""), (1, "the budget of 1 hour")], ids=["two", "one"]
)
def test_a_later_driver_shares_the_confirm_phase_out_as_the_earlier_one_did(
    make_budgeted: MakeStudy,
    make_simulation: MakeSimulation,
    memory: ListMemory,
    num_beside: int,
    ended_by: str,
) -> None:
    study = make_budgeted(Budget(hours=1.0))
    make_simulation(study).run_and_close(most_ends=2)
    # Each takes 20 minutes, and so do two confirm trials, where they run side by side.
    rows = [
        replace(
            row,
            started_at=START + timedelta(minutes=20 * number * (2 - num_beside)),
            ended_at=START + timedelta(minutes=20 * number * (2 - num_beside) + 20),
            seconds=20 * 60.0,
        )
        for number, row in enumerate(memory.rows_of("search"))
    ]
    costs = CostsSoFar()
    costs.add(rows)
    cells = make_simulation(study).board._cells
    clock = _Clock()
    spent = BudgetSpent(study, costs, rows, clock=clock)
    clock.now_s += 60.0
    assert spent.ended_by([], cells) == ended_by


def test_what_running_confirm_trials_have_behind_them_is_not_set_aside(
    make_budgeted: MakeStudy, make_simulation: MakeSimulation
) -> None:
    study = make_budgeted(Budget(gpu_hours=1.0), confirm=Confirm(seeds=2))
    simulation = make_simulation(study, gpus=1.0)
    with simulation.board as board:
        simulation.run(most_ends=8)
        launch = board.launch()
        assert launch is not None
        assert launch.spec.phase == "confirm"
        epochs = tuple(simulation._epoch(launch.spec, epoch, 0) for epoch in range(4))
        board.report(launch.spec.key, Progress(epochs=epochs, seconds=4.0, gpu_s=4.0))
        left = board._costs.confirm_epochs_left(board._cells, board._taken)
    assert [*left.values()] == [2 * EPOCHS - 4]


def test_trials_that_wait_at_a_rung_share_no_wall_time_of_the_confirm_phase(
    make_budgeted: MakeStudy, make_simulation: MakeSimulation
) -> None:
    scheduler = SuccessiveHalving(max_epochs=EPOCHS, grace_period=1, reduction_factor=3)
    simulation = make_simulation(make_budgeted(Budget(), scheduler=scheduler))
    simulation.run(most_ends=2)
    board = simulation.board
    paused = [*board._paused.values()]
    assert len(paused) == 2
    # Two confirm trials of 9 s, one after the other: 18 s, where two at once would take 9 s.
    study = make_budgeted(Budget(hours=10 / 3600), scheduler=scheduler)
    spent = BudgetSpent(study, CostsSoFar(), clock=_Clock())
    assert spent.ended_by(paused, board._cells) == "the budget of 0.00277778 hours"


def test_work_before_a_pause_under_an_earlier_driver_counts_as_wall_time(
    make_budgeted: MakeStudy, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    scheduler = SuccessiveHalving(max_epochs=EPOCHS, grace_period=1, reduction_factor=3)
    study = make_budgeted(Budget(hours=1.0), scheduler=scheduler)
    make_simulation(study).run_and_close(most_ends=1)
    (pause,) = memory.all_pauses
    for seconds, ended_by in ((3599.0, ""), (3600.0, "the budget of 1 hour")):
        pauses = [replace(pause, seconds=seconds)]
        spent = BudgetSpent(study, CostsSoFar(), pauses=pauses, clock=_Clock())
        assert spent.ended_by([], {}) == ended_by


def test_a_promoted_trial_that_failed_stays_so_where_the_budget_ended_the_search(
    make_budgeted: MakeStudy, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    scheduler = SuccessiveHalving(max_epochs=EPOCHS, grace_period=1, reduction_factor=3)
    study = make_budgeted(Budget(gpu_hours=22.5 / 3600), scheduler=scheduler)
    first = make_simulation(
        study,
        gpus=1.0,
        crashes=lambda one: one.spec.phase == "search" and one.attempt > 0 and one.spec.number == 0,
    )
    first.run_and_close()
    assert {row.state for row in memory.rows_of("search")} == {"pruned", "failed"}
    assert make_simulation(study, gpus=1.0).board.is_done


def test_whichever_limit_is_reached_first_ends_the_search(
    make_budgeted: MakeStudy, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    study = make_budgeted(Budget(gpu_hours=5 * EPOCHS / 3600, hours=1000.0))
    make_simulation(study, gpus=1.0).run_and_close()
    assert [one.ended_by for one in memory.winners()] == ["the budget of 0.0125 GPU-hours"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("gpu_hours", 0),
        ("gpu_hours", -1.0),
        ("hours", float("nan")),
        ("hours", float("inf")),
        ("hours", "2"),
        ("gpu_hours", True),
    ],
)
def test_a_limit_that_is_no_time_is_refused(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"budget\.{field} is .*, but must be a number above 0"):
        Budget(**{field: value})  # type: ignore[arg-type]


def test_a_study_refuses_a_budget_that_is_none(make_study: MakeStudy) -> None:
    with pytest.raises(ConfigError, match=r"study\.budget is 2, but must be one of: Budget"):
        make_study(budget=2)


def test_the_reduced_study_has_no_budget_of_its_own(make_study: MakeStudy) -> None:
    assert make_study(budget=Budget(hours=2)).reduced().budget == Budget()
