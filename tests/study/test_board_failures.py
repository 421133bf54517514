"""A study whose trials, claims or writes fail, without Ray."""

from __future__ import annotations

import traceback
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agad.config import Grid, Search, Study, Uniform
from agad.errors import (
    GpuMemoryError,
    OtherDriverError,
    StoreError,
    StudyChangedError,
    TrialsFailingError,
)
from agad.study.attempts import MAX_ATTEMPTS
from agad.study.crashes import MAX_IN_A_ROW
from agad.study.running import Launch, Progress

if TYPE_CHECKING:
    from tests.simulation import Curve, ListMemory, MakeSimulation, MakeStudy

EASY, HARD = "digits class=0 ratio=0", "digits class=8 ratio=0"


def _places(launches: list[Launch]) -> list[tuple[str, str, int]]:
    return [(one.spec.cell.label, one.spec.phase, one.spec.number) for one in launches]


def test_a_trial_that_crashes_once_is_retried_before_anything_new_and_finishes(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    one_cell = replace(study, cells=Grid(dataset="digits", normal_class=0))
    simulation = make_simulation(
        one_cell, crashes=lambda launch: launch.spec.number == 0 and launch.attempt == 0
    )
    launches = simulation.run_and_close()
    assert [(one.spec.number, one.attempt) for one in launches[:3]] == [(0, 0), (0, 1), (1, 0)]
    row = memory.rows_of("search")[0]
    assert (row.state in ("finished", "pruned"), row.attempt) == (True, 1)
    assert len(memory.row_keys) == len(set(memory.row_keys)) == 10


def test_a_trial_that_always_crashes_counts_as_failed_with_its_traceback(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    launches = make_simulation(study, crashes=_crashes_first_search).run_and_close()
    attempts = [one.attempt for one in launches if _crashes_first_search(one)]
    assert attempts == [0, 1, 2]
    assert len(attempts) == MAX_ATTEMPTS
    row = memory.rows_of("search", EASY)[0]
    assert (row.state, row.attempt, row.stop_reason) == ("failed", MAX_ATTEMPTS - 1, "error")
    assert row.error == "Traceback:\n  a worker\nRuntimeError: no such luck\n"


def test_a_trial_that_exceeds_the_gpus_memory_counts_as_failed_with_that_error(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    error = GpuMemoryError(f"{EASY} does not fit the memory of cuda at a share of 0.5")
    text = "".join(traceback.format_exception(error))
    make_simulation(study, crashes=_crashes_first_search, crash_text=text).run_and_close()
    row = memory.rows_of("search", EASY)[0]
    assert (row.state, row.stop_reason) == ("failed", "error")
    assert row.error.strip() == f"agad.errors.GpuMemoryError: {error}"
    others = [one for one in memory.trials() if one.trial_key != row.trial_key]
    assert {one.state for one in others} <= {"finished", "pruned"}


def _crashes_first_search(launch: Launch) -> bool:
    spec = launch.spec
    return spec.cell.label == EASY and spec.phase == "search" and spec.number == 0


def test_a_failed_trial_does_not_hold_up_its_cell(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    make_simulation(study, crashes=_crashes_first_search).run_and_close()
    assert len(memory.rows_of("confirm", EASY)) == 2


def test_a_failed_trial_is_started_again_by_a_later_driver(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation, worst_last: Curve
) -> None:
    make_simulation(study, curve=worst_last, crashes=_crashes_first_search).run_and_close()
    failed = memory.rows_of("search", EASY)[0]
    launches = make_simulation(study, curve=worst_last).run_and_close()
    assert (launches[0].spec.key, launches[0].attempt) == (failed.trial_key, MAX_ATTEMPTS)
    row = memory.rows_of("search", EASY)[0]
    assert (row.trial_key, row.attempt, row.state) == (failed.trial_key, MAX_ATTEMPTS, "finished")


def test_a_failed_confirm_trial_is_started_again_by_a_later_driver(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    def crashes(launch: Launch) -> bool:
        return launch.spec.phase == "confirm" and launch.spec.number == 1

    make_simulation(study, crashes=crashes).run_and_close()
    assert [row.state for row in memory.rows_of("confirm", EASY)] == ["finished", "failed"]
    launches = make_simulation(study).run_and_close()
    assert _places(launches) == [(EASY, "confirm", 1), (HARD, "confirm", 1)]
    assert {row.state for row in memory.rows_of("confirm")} == {"finished"}


def test_twelve_crashes_in_a_row_stop_the_study(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    simulation = make_simulation(study, slots=3, crashes=lambda _: True)
    with pytest.raises(
        TrialsFailingError, match=r"12 trials in a row crashed .* 'RuntimeError: no such luck'"
    ):
        simulation.run_and_close()
    assert len(memory.all_claims) <= 12 * 3
    assert {row.state for row in memory.all_rows} <= {"failed"}


def test_a_study_stopped_by_crashes_goes_on_to_its_end(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    with pytest.raises(TrialsFailingError, match="12 trials in a row"):
        make_simulation(study, slots=3, crashes=lambda _: True).run_and_close()
    make_simulation(study, slots=3).run_and_close()
    assert len(memory.trials()) == 20
    assert {row.state for row in memory.trials()} <= {"finished", "pruned"}


def test_crashes_with_an_end_between_them_do_not_stop_the_study(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    make_simulation(study, crashes=lambda launch: launch.attempt < 2).run_and_close()
    assert len(memory.trials()) == 20
    assert "failed" not in {row.state for row in memory.trials()}


@pytest.fixture
def mostly_broken(make_study: MakeStudy) -> Study:
    """Return a study of one cell with 16 trials; most of them crash where ``_crashes_most``."""
    return make_study(
        cells=Grid(dataset="digits", normal_class=0),
        search=Search(space={"weight_con": Uniform(0, 100)}, trials_per_cell=16),
    )


def _crashes_most(launch: Launch) -> bool:
    """Let 12 search trials crash every time, the first 11 in a row."""
    return launch.spec.phase == "search" and launch.spec.number not in (11, 13, 14, 15)


@pytest.mark.parametrize("slots", [1, 3])
def test_trials_that_always_crash_do_not_stop_those_that_do_not(
    slots: int, mostly_broken: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    make_simulation(mostly_broken, slots=slots, crashes=_crashes_most).run_and_close()
    states = [row.state for row in memory.rows_of("search")]
    assert states.count("failed") == 12
    assert len(states) == 16
    assert len(memory.rows_of("confirm")) == 2


def test_trials_that_failed_under_an_earlier_driver_do_not_stop_a_later_one(
    mostly_broken: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    make_simulation(mostly_broken, crashes=_crashes_most).run_and_close(most_ends=2)
    for _ in range(2):  # The second finds nothing but those that failed.
        make_simulation(mostly_broken, crashes=_crashes_most).run_and_close()
    assert len(memory.rows_of("search")) == 16
    assert len(memory.rows_of("confirm")) == 2


def test_trials_that_failed_before_start_again_after_all_others_of_the_search(
    mostly_broken: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    make_simulation(mostly_broken, crashes=_crashes_most).run_and_close(most_ends=1)
    failed = [row.number for row in memory.rows_of("search") if row.state == "failed"]
    assert failed == [*range(11)]
    launches = make_simulation(mostly_broken).run_and_close()
    numbers = [one.spec.number for one in launches if one.spec.phase == "search"]
    assert numbers == [12, 13, 14, 15, *failed]


# A memory that fails.


def test_a_refused_claim_stops_the_study(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    memory.refuses_claims = True
    with (
        make_simulation(study).board as board,
        pytest.raises(OtherDriverError, match=r"attempt 0 of trial .* claimed by another driver"),
    ):
        board.launch()


def test_a_trial_of_another_key_is_refused(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    make_simulation(study).run_and_close(most_ends=2)
    memory.all_claims[0] = replace(memory.all_claims[0], trial_key="0" * 32)
    with pytest.raises(StudyChangedError, match="made of other data or by another version"):
        make_simulation(study)


def test_an_error_of_the_last_write_surfaces_when_the_board_closes(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    memory.put_error = StoreError("the bucket is gone")
    board = make_simulation(study).board
    launch = board.launch()
    assert launch is not None
    board.end(launch.spec.key, Progress(diverged="nan"))
    with pytest.raises(StoreError, match="the bucket is gone"):
        board.__exit__()


def test_an_error_of_a_write_surfaces_at_a_later_launch(
    make_study: MakeStudy, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    memory.put_error = StoreError("the bucket is gone")
    study = make_study(
        search=Search(space={"weight_con": Uniform(0, 1)}, trials_per_cell=200),
        cells=Grid(dataset="digits", normal_class=0),
    )
    simulation = make_simulation(study, diverges=lambda _: True)
    with pytest.raises(StoreError, match="the bucket is gone"):
        simulation.run_and_close()
    assert len(simulation.launches) < 200


def test_a_row_that_was_not_written_is_run_again(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    memory.put_error = StoreError("the bucket is gone")
    with pytest.raises(StoreError, match="the bucket is gone"):
        make_simulation(study).run_and_close(most_ends=1)
    memory.put_error = None
    launches = make_simulation(study).run_and_close()
    assert len(memory.trials()) == 20
    assert launches[0].spec.key == memory.all_claims[0].trial_key
    assert launches[0].attempt == 1


def test_a_node_that_dies_with_many_trials_does_not_stop_the_study(
    study: Study, make_simulation: MakeSimulation
) -> None:
    board = make_simulation(study).board
    launches = [board.launch() for _ in range(16)]
    for launch in launches:
        assert launch is not None
        board.fail(launch.spec.key, "RayActorError: the node died")
    assert not board.is_done
    again = [board.launch() for _ in range(16)]
    assert {one.attempt for one in again if one is not None} == {1}


def test_trials_that_are_given_back_start_again_and_never_count_as_failed(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    one_cell = replace(study, cells=Grid(dataset="digits", normal_class=0))
    board = make_simulation(one_cell).board
    places = []
    with board:
        for _ in range(MAX_IN_A_ROW + 1):
            launch = board.launch()
            assert launch is not None
            places.append((launch.spec.key, launch.attempt))
            board.give_back(launch.spec.key)
    assert places == [(places[0][0], attempt) for attempt in range(MAX_IN_A_ROW + 1)]
    assert memory.released() == {*places}
    # Nor under a later driver.
    launches = make_simulation(one_cell).run_and_close()
    assert (launches[0].spec.number, launches[0].attempt) == (0, len(places))
    assert {row.state for row in memory.rows_of("search")} <= {"finished", "pruned"}


def test_a_claim_whose_answer_was_lost_is_no_lost_attempt(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    one_cell = replace(study, cells=Grid(dataset="digits", normal_class=0))
    for attempt in range(MAX_ATTEMPTS):
        memory.put_claim_error = StoreError("no answer")
        with make_simulation(one_cell).board as board:
            assert board.launch() is None
        assert memory.all_claims[-1].attempt == attempt
    memory.put_claim_error = None
    launches = make_simulation(one_cell).run_and_close()
    assert (launches[0].spec.number, launches[0].attempt) == (0, MAX_ATTEMPTS)
    assert "failed" not in {row.state for row in memory.all_rows}
