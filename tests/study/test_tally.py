"""What a study took and what is left of it, as its board counts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agad.config import Asha, Confirm, NoStopping, Study, SuccessiveHalving
from agad.status import CellStatus, StudyStatus

if TYPE_CHECKING:
    from tests.study.conftest import ListMemory, MakeSimulation, MakeStudy, Simulation


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


def test_the_time_left_is_epochs_left_by_seconds_an_epoch_by_slots(
    make_study: MakeStudy, make_simulation: MakeSimulation
) -> None:
    study = make_study(scheduler=NoStopping(max_epochs=9), confirm=Confirm(seeds=2))
    simulation = make_simulation(study)
    with simulation.board:
        simulation.run(most_ends=4)
        status = _status(simulation)
    # 2 cells of 8 search and 2 confirm trials, each of 9 epochs.
    seconds_an_epoch = _sum(status, "seconds") / _sum(status, "epochs")
    assert _sum(status, "epochs") == 4 * 9
    assert status.left_s == (2 * 10 * 9 - 4 * 9) * seconds_an_epoch / 2


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
    expected = (4 * epochs_a_trial + 2 * 9) * seconds_an_epoch / 2
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
