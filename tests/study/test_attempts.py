"""Which lost attempts count against a trial, and when it counts as failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agad.config import Study
from agad.errors import StoreError
from agad.records import CheckpointName
from agad.study.attempts import MAX_ATTEMPTS
from agad.study.running import Launch

if TYPE_CHECKING:
    from tests.simulation import ListMemory, MakeSimulation


def _kill_driver(make_simulation: MakeSimulation, study: Study) -> Launch:
    """Start a driver that is killed while its first trial runs."""
    launch = make_simulation(study).board.__enter__().launch()
    assert launch is not None
    return launch


def test_a_trial_that_gets_on_survives_any_number_of_killed_drivers(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    for attempt in range(4 * MAX_ATTEMPTS):
        launch = _kill_driver(make_simulation, study)
        assert launch.attempt == attempt
        memory.newest_checkpoints[launch.spec.key] = CheckpointName(
            num_epochs=attempt + 1, attempt=attempt
        )
    make_simulation(study).run_and_close()
    assert {row.state for row in memory.trials()} <= {"finished", "pruned"}


def test_a_trial_fails_after_as_many_attempts_as_its_newest_checkpoint_is_old(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    for attempt in range(5):
        key = _kill_driver(make_simulation, study).spec.key
        memory.newest_checkpoints[key] = CheckpointName(
            num_epochs=1 + min(attempt, 1), attempt=min(attempt, 1)
        )
    launches = make_simulation(study).run_and_close()
    assert key not in {one.spec.key for one in launches}
    (row,) = [one for one in memory.all_rows if one.trial_key == key]
    # Attempt 1 wrote the newest; 2, 3 and 4 took the trial no further.
    assert (row.state, row.attempt) == ("failed", 4)


def test_a_worker_that_crashes_after_a_checkpoint_uses_no_attempts_up(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    key = _kill_driver(make_simulation, study).spec.key

    def crashes(launch: Launch) -> bool:
        if launch.spec.key != key or launch.attempt > 7:
            return False
        memory.newest_checkpoints[key] = CheckpointName(
            num_epochs=min(launch.attempt, 5), attempt=launch.attempt
        )
        return True

    launches = make_simulation(study, crashes=crashes).run_and_close()
    assert [one.attempt for one in launches if one.spec.key == key] == list(range(1, 9))
    (row,) = [one for one in memory.all_rows if one.trial_key == key]
    assert row.attempt == 8
    assert row.state in ("finished", "pruned")


def test_a_worker_that_always_crashes_past_a_checkpoint_fails(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    key = _kill_driver(make_simulation, study).spec.key
    memory.newest_checkpoints[key] = CheckpointName(num_epochs=1, attempt=0)
    crashing = make_simulation(study, crashes=lambda one: one.spec.key == key)
    launches = [one.attempt for one in crashing.run_and_close() if one.spec.key == key]
    assert launches == [1, 2, 3]
    (row,) = [one for one in memory.all_rows if one.trial_key == key]
    assert (row.state, row.attempt) == ("failed", 3)


def test_attempts_before_a_failed_row_count_no_more(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    key = _kill_driver(make_simulation, study).spec.key
    make_simulation(study, crashes=lambda one: one.spec.key == key).run_and_close()
    (row,) = [one for one in memory.all_rows if one.trial_key == key]
    assert (row.state, row.attempt) == ("failed", 2)
    launches = make_simulation(study).run_and_close()
    assert [one.attempt for one in launches if one.spec.key == key] == [3]


def test_the_store_is_asked_for_no_checkpoint_of_a_trial_that_lost_few_attempts(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    for _ in range(MAX_ATTEMPTS - 1):
        _kill_driver(make_simulation, study)
    board = make_simulation(study).board
    assert memory.asked_checkpoints == []
    launch = board.__enter__().launch()
    assert launch is not None
    board.fail(launch.spec.key, "no such luck")
    assert memory.asked_checkpoints == [{launch.spec.key}]


def test_a_crash_while_the_store_does_not_answer_fails_no_trial(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    for _ in range(MAX_ATTEMPTS - 1):
        key = _kill_driver(make_simulation, study).spec.key
    with make_simulation(study).board as board:
        assert board.launch() is not None
        memory.checkpoints_error = StoreError("the bucket is gone")
        board.fail(key, "no such luck")
        memory.checkpoints_error = None
        again = board.launch()
        assert again is not None
        assert (again.spec.key, again.attempt) == (key, MAX_ATTEMPTS)
        board.fail(key, "no such luck")
    assert [row.state for row in memory.all_rows] == ["failed"]


def test_a_driver_that_cannot_learn_of_checkpoints_does_not_start(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    for _ in range(MAX_ATTEMPTS):
        _kill_driver(make_simulation, study)
    memory.checkpoints_error = StoreError("the bucket is gone")
    with pytest.raises(StoreError, match="the bucket is gone"):
        make_simulation(study)
