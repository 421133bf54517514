"""What a study took and what is left of it, as its board counts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agad.config import (
    Asha,
    Budget,
    Choice,
    Confirm,
    Grid,
    NoStopping,
    Search,
    Study,
    SuccessiveHalving,
)
from agad.records import CellStatus, StudyStatus

if TYPE_CHECKING:
    from tests.simulation import ListMemory, MakeSimulation, MakeStudy, Simulation


def _status(simulation: Simulation) -> StudyStatus:
    return simulation.board.status(slots=2)


def _sum(status: StudyStatus, name: str) -> float:
    return float(sum(getattr(cell, name) for cell in status.cells))


def test_a_study_that_has_just_begun_has_no_time_left_to_tell(
    study: Study, make_simulation: MakeSimulation
) -> None:
    status = _status(make_simulation(study))
    assert (_sum(status, "epochs"), _sum(status, "seconds")) == (0, 0)
    assert status.left_s is None
    assert {cell.num_val_anomalies for cell in status.cells} == {30}


def test_a_study_that_searches_what_goes_with_its_settings_alone_has_a_status(
    make_study: MakeStudy, make_simulation: MakeSimulation
) -> None:
    # The detector's own 16 labelled anomalies of a batch would leave no room for a normal image.
    cells = Grid(dataset="digits", normal_class=0, settings={"batch_size": [16]})
    search = Search(space={"min_batch_anomalies": Choice([4, 8])}, trials_per_cell=2)
    (cell,) = _status(make_simulation(make_study(cells=cells, search=search))).cells
    assert (cell.planned, cell.num_val_anomalies) == (2, 30)


def test_the_time_left_is_not_told_before_three_trials_ended(
    make_study: MakeStudy, make_simulation: MakeSimulation
) -> None:
    study = make_study(scheduler=NoStopping(max_epochs=9))
    simulation = make_simulation(study)
    with simulation.board:
        simulation.run(most_ends=2)
        assert _status(simulation).left_s is None
        simulation.run(most_ends=3)
        assert _status(simulation).left_s is not None


@pytest.mark.parametrize("at_once", [1, 2])
def test_the_time_left_is_epochs_left_by_seconds_an_epoch_by_the_trials_at_once(
    make_study: MakeStudy, make_simulation: MakeSimulation, at_once: int
) -> None:
    study = make_study(scheduler=NoStopping(max_epochs=9), confirm=Confirm(seeds=2))
    simulation = make_simulation(study, slots=at_once)
    with simulation.board:
        simulation.run(most_ends=4)
        status = _status(simulation)
    # 2 cells of 8 search and 2 confirm trials, each of 9 epochs.
    seconds_an_epoch = _sum(status, "seconds") / _sum(status, "epochs")
    assert _sum(status, "epochs") == 4 * 9
    assert status.left_s == (2 * 10 * 9 - 4 * 9) * seconds_an_epoch / at_once


@pytest.mark.parametrize("num_ends", [4, 5], ids=["confirms", "half of it done"])
def test_what_the_budget_ended_is_not_left(
    make_study: MakeStudy, make_simulation: MakeSimulation, num_ends: int
) -> None:
    study = make_study(
        cells=Grid(dataset="digits", normal_class=0),
        scheduler=NoStopping(max_epochs=9),
        confirm=Confirm(seeds=2),
        budget=Budget(gpu_hours=5 * 9 / 3600),
    )
    simulation = make_simulation(study, gpus=1.0)
    with simulation.board:
        simulation.run(most_ends=num_ends)
        status = _status(simulation)
    assert status.ended_by
    assert status.left_s == (5 - num_ends) * 9
    assert status.budget_left_s is None


def test_no_more_time_is_left_than_the_budget_has(
    make_study: MakeStudy, make_simulation: MakeSimulation
) -> None:
    study = make_study(scheduler=NoStopping(max_epochs=9), budget=Budget(gpu_hours=60 / 3600))
    simulation = make_simulation(study, gpus=0.5, slots=2)
    with simulation.board:
        simulation.run(most_ends=4)
        status = _status(simulation)
    # 18 of 60 GPU seconds are spent, and two trials on half a GPU each spend one a second.
    assert status.budget_left_s == pytest.approx(42)
    assert status.left_s == pytest.approx(42)
    assert status.cell_left_s(status.cells[0]) == pytest.approx(42)


def test_a_trial_that_waits_for_a_worker_does_not_run(
    study: Study, make_simulation: MakeSimulation
) -> None:
    simulation = make_simulation(study)
    with simulation.board as board:
        waiting, started = board.launch(), board.launch()
        assert waiting is not None
        assert started is not None
        board.start(started.spec.key)
        status = board.status(slots=100)
    assert (_sum(status, "running"), status.most_running) == (1, 1)


def test_a_study_that_is_done_has_no_time_left_and_what_its_rows_say(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    simulation = make_simulation(study)
    simulation.run_and_close()
    status = _status(simulation)
    assert status.left_s == 0
    assert _sum(status, "epochs") == sum(row.epochs for row in memory.trials())
    assert _sum(status, "seconds") == sum(row.seconds for row in memory.trials())
    assert _sum(status, "gpu_s") == sum(row.gpu_s for row in memory.trials())


def test_a_later_driver_counts_what_the_earlier_one_took(
    study: Study, make_simulation: MakeSimulation
) -> None:
    def costs(cell: CellStatus) -> CellStatus:
        return replace(cell, running=0, left_s=None)

    earlier = make_simulation(study)
    earlier.run_and_close()
    later = make_simulation(study)
    assert [*map(costs, _status(later).cells)] == [*map(costs, _status(earlier).cells)]


def test_stopped_trials_shorten_what_is_expected_of_the_others(
    make_study: MakeStudy, make_simulation: MakeSimulation
) -> None:
    asha = Asha(max_epochs=9, grace_period=1, reduction_factor=3)
    simulation = make_simulation(make_study(scheduler=asha, confirm=Confirm(seeds=1)))
    with simulation.board:
        simulation.run(most_ends=12)
        status = _status(simulation)
    assert status.left_s is not None
    epochs_a_trial = _sum(status, "epochs") / 12
    assert epochs_a_trial < 9
    seconds_an_epoch = _sum(status, "seconds") / _sum(status, "epochs")
    expected = (4 * epochs_a_trial + 2 * 9) * seconds_an_epoch
    assert status.left_s == pytest.approx(expected, rel=0.25)  # Each cell by its own mean.


def test_paused_trials_are_counted_with_what_they_took(
    make_study: MakeStudy, make_simulation: MakeSimulation
) -> None:
    halving = SuccessiveHalving(max_epochs=4, grace_period=1, reduction_factor=2)
    simulation = make_simulation(make_study(scheduler=halving))
    with simulation.board:
        simulation.run(most_ends=2)
        status = _status(simulation)
    assert _sum(status, "paused") == 2
    assert _sum(status, "ended") == 0
    assert _sum(status, "epochs") == 2
