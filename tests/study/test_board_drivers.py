"""Drivers that are killed, interrupted or replaced, and stores that take nothing, without Ray."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from agad.config import Study
from agad.errors import OtherDriverError, StoreError
from agad.study.attempts import MAX_ATTEMPTS
from agad.study.running import Launch, Progress
from agad.study.store_outage import StoreOutage

if TYPE_CHECKING:
    from agad.study.board import StudyBoard
    from tests.simulation import ListMemory, MakeSimulation

GONE = StoreError("the bucket is gone")


class _KilledError(Exception):
    """A driver that dies."""


class _Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def _launched(board: StudyBoard) -> Launch:
    launch = board.launch()
    assert launch is not None
    return launch


# Attempts over drivers.


def _kill_after_first_launch(make_simulation: MakeSimulation, study: Study) -> Launch:
    """Start a driver that ends without a word while one trial runs."""
    return _launched(make_simulation(study).board.__enter__())


def test_a_trial_whose_drivers_are_all_killed_is_failed_by_the_next_and_not_started(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    killed = [_kill_after_first_launch(make_simulation, study) for _ in range(MAX_ATTEMPTS)]
    key = killed[0].spec.key
    assert [(one.spec.key, one.attempt) for one in killed] == [(key, 0), (key, 1), (key, 2)]
    launches = make_simulation(study).run_and_close()
    assert key not in {one.spec.key for one in launches}
    (row,) = [one for one in memory.all_rows if one.trial_key == key]
    assert (row.state, row.attempt, row.epochs) == ("failed", 2, 0)
    assert row.error.startswith("3 attempts, the last of them number 2, ended without a word")
    assert len(memory.trials()) == 20


def test_a_trial_that_kills_every_driver_is_started_six_times_and_never_again(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    key = _kill_after_first_launch(make_simulation, study).spec.key

    def kills(launch: Launch) -> bool:
        if launch.spec.key == key:
            raise _KilledError
        return False

    for _ in range(10):
        simulation = make_simulation(study, crashes=kills)
        simulation.board.__enter__()
        with suppress(_KilledError):
            simulation.run()
        # What was written arrived; what runs is never heard of again.
        simulation.board._writes.finish()
    assert len([one for one in memory.all_claims if one.trial_key == key]) == 2 * MAX_ATTEMPTS
    assert {one.state for one in memory.all_rows if one.trial_key == key} == {"failed"}


def test_drivers_that_are_interrupted_use_no_attempts_up(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    for attempt in range(2 * MAX_ATTEMPTS):
        board = make_simulation(study).board.__enter__()
        assert _launched(board).attempt == attempt
        board.__exit__(KeyboardInterrupt)
    assert len(memory.all_released) == 2 * MAX_ATTEMPTS
    make_simulation(study).run_and_close()
    assert {row.state for row in memory.trials()} <= {"finished", "pruned"}
    assert len(memory.trials()) == 20


def test_an_ended_trial_is_not_released(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    simulation = make_simulation(study, slots=3)
    simulation.run_and_close(most_ends=5)
    running = {(one.spec.key, one.attempt) for one, _ in simulation.running}
    assert len(running) == 2
    assert memory.all_released == running


def test_killed_drivers_and_crashed_workers_are_counted_together(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    key = _kill_after_first_launch(make_simulation, study).spec.key
    _kill_after_first_launch(make_simulation, study)
    simulation = make_simulation(study, crashes=lambda launch: launch.spec.key == key)
    launches = [one for one in simulation.run_and_close() if one.spec.key == key]
    assert [one.attempt for one in launches] == [2]
    (row,) = [one for one in memory.all_rows if one.trial_key == key]
    assert (row.state, row.attempt) == ("failed", 2)
    assert row.error.endswith("no such luck\n")


def test_a_board_that_is_not_entered_writes_nothing_and_knows_that_it_has_to(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    for _ in range(MAX_ATTEMPTS):
        _kill_after_first_launch(make_simulation, study)
    events = list(memory.events)
    assert not make_simulation(study).board.is_done
    assert memory.events == events


# A study that another driver has taken.


def test_a_driver_that_lost_the_study_launches_nothing_more_and_keeps_its_rows(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    with make_simulation(study).board as board:
        first, second = _launched(board), _launched(board)
        memory.hold_error = OtherDriverError("another driver has taken it")
        with pytest.raises(OtherDriverError, match="another driver has taken it"):
            board.launch()
        with pytest.raises(OtherDriverError, match="another driver has taken it"):
            board.report(second.spec.key, Progress())
        board.end(first.spec.key, Progress(diverged="nan"))
    assert len(memory.all_claims) == 2
    assert memory.row_keys == [first.spec.key]
    assert memory.all_released == {(second.spec.key, second.attempt)}


def test_a_driver_that_may_have_lost_the_study_waits_and_serves_what_runs(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    clock = _Clock()
    with make_simulation(study, outage=StoreOutage(clock=clock)).board as board:
        launch = _launched(board)
        memory.hold_error = StoreError("the lease could not be renewed")
        assert board.launch() is None
        assert board.report(launch.spec.key, Progress())
        memory.hold_error = None
        clock.now_s = 60.0
        _launched(board)
    assert len(memory.all_claims) == 2


def test_a_driver_that_loses_the_study_while_it_claims_launches_nothing_and_releases_the_claim(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    memory.lost_by_claim = OtherDriverError("another driver has taken it")
    with make_simulation(study).board as board:
        with pytest.raises(OtherDriverError, match="another driver has taken it"):
            board.launch()
        assert sum(cell.running for cell in board.status(slots=1).cells) == 0
    (claim,) = memory.all_claims
    assert memory.all_released == {(claim.trial_key, claim.attempt)}


def test_a_driver_that_may_have_lost_the_study_while_it_claims_launches_that_attempt_later(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    clock = _Clock()
    memory.lost_by_claim = StoreError("the lease could not be renewed")
    board = make_simulation(study, outage=StoreOutage(clock=clock)).board.__enter__()
    assert board.launch() is None
    memory.hold_error = None
    clock.now_s = 60.0
    launch = _launched(board)
    (claim,) = memory.all_claims
    assert (launch.spec.key, launch.attempt) == (claim.trial_key, claim.attempt)
    board.end(launch.spec.key, Progress(diverged="nan"))
    board.__exit__()
    assert memory.all_released == set()


def test_a_claim_of_a_driver_that_ends_before_it_may_launch_it_is_released(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    memory.lost_by_claim = StoreError("the lease could not be renewed")
    with make_simulation(study).board as board:
        assert board.launch() is None
    (claim,) = memory.all_claims
    assert memory.all_released == {(claim.trial_key, claim.attempt)}


# A store that takes no claims, or no rows.


def test_a_claim_that_the_store_does_not_take_is_put_when_it_does(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    with make_simulation(study).board as board:
        wanted = [_launched(board).spec.key for _ in range(4)]
    memory.all_claims.clear()
    clock = _Clock()
    with make_simulation(study, outage=StoreOutage(clock=clock)).board as board:
        started = [_launched(board).spec.key]
        memory.claim_error = GONE
        for _ in range(19):
            assert board.launch() is None
            assert not board.is_done
            clock.now_s += 30.0
        memory.claim_error = None
        started += [_launched(board).spec.key for _ in range(3)]
    assert started == wanted
    assert len(memory.all_claims) == 4


def test_a_store_that_fails_is_not_asked_at_every_event(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    clock = _Clock()
    with make_simulation(study, outage=StoreOutage(clock=clock)).board as board:
        memory.claim_error = GONE
        assert board.launch() is None
        memory.claim_error = None
        assert board.launch() is None
        clock.now_s += 30.0
        _launched(board)


def test_a_store_that_takes_no_claim_for_too_long_ends_the_study(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    clock = _Clock()
    outage = StoreOutage(limit_s=100.0, clock=clock)
    with make_simulation(study, outage=outage).board as board:
        memory.claim_error = GONE
        assert board.launch() is None
        clock.now_s = 99.0
        assert board.launch() is None
        clock.now_s = 200.0
        with pytest.raises(StoreError, match=r"took no claim for 200 s, .* the bucket is gone"):
            board.launch()


def test_a_store_that_came_back_has_its_whole_time_again(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    clock = _Clock()
    outage = StoreOutage(limit_s=100.0, clock=clock)
    with make_simulation(study, outage=outage).board as board:
        for _ in range(3):
            memory.claim_error = GONE
            assert board.launch() is None
            clock.now_s += 90.0
            memory.claim_error = None
            _launched(board)


def test_rows_that_wait_when_the_study_is_interrupted_are_kept_on_the_disk(
    study: Study,
    memory: ListMemory,
    make_simulation: MakeSimulation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agad.study.write_behind._LAST_WRITES_S", 0.1)
    board = make_simulation(study).board.__enter__()
    launches = [_launched(board) for _ in range(12)]
    memory.put_s = 2.0
    for launch in launches[:10]:
        board.end(launch.spec.key, Progress(diverged="nan"))
    board.__exit__(KeyboardInterrupt)
    assert not memory.is_connected
    assert sorted(memory.row_keys) == sorted(one.spec.key for one in launches[:10])
    assert memory.all_released == {(one.spec.key, 0) for one in launches[10:]}


def test_rows_that_cannot_even_be_kept_on_the_disk_are_told_of(
    study: Study,
    memory: ListMemory,
    make_simulation: MakeSimulation,
    caplog: pytest.LogCaptureFixture,
) -> None:
    board = make_simulation(study).board.__enter__()
    memory.put_error = StoreError("the disk is full")
    board.end(_launched(board).spec.key, Progress(diverged="nan"))
    board.__exit__(KeyboardInterrupt)
    assert "What 1 trial left could not be kept and will be run again: the disk" in caplog.text
