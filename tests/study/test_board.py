"""A whole study without Ray: a loop hands out trials and reads their AUROC off a curve."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from agad.config import Asha, Choice, Confirm, Grid, Search, Study, Uniform
from agad.errors import StoreError, StudyChangedError, TrialsFailingError
from agad.study.board import MAX_ATTEMPTS
from agad.study.running import Launch, Progress
from agad.trial import EpochResult, TrialSpec

if TYPE_CHECKING:
    from tests.study.conftest import ListMemory, MakeSimulation, MakeStudy, Simulation

EASY, HARD = "digits class=0 ratio=0", "digits class=8 ratio=0"


@pytest.fixture
def study(make_study: MakeStudy) -> Study:
    return make_study()


def _worst_last(spec: TrialSpec, num_epochs: int) -> float:
    """Every trial is worse than the ones before it, so the first of a cell wins."""
    return 0.9 - spec.number / 100 + num_epochs / 10_000


def _best_last(spec: TrialSpec, num_epochs: int) -> float:
    return 0.5 + spec.number / 100 + num_epochs / 10_000


def _easy_and_hard(spec: TrialSpec, num_epochs: int) -> float:
    level = 0.95 if spec.cell.normal_class == 0 else 0.60
    return level + float(spec.params["weight_con"]) / 10_000 + num_epochs / 100_000


def _run(simulation: Simulation, **limits: Any) -> list[Launch]:  # noqa: ANN401
    with simulation.board:
        return simulation.run(**limits)


def _places(launches: list[Launch]) -> list[tuple[str, str, int]]:
    return [(one.spec.cell.label, one.spec.phase, one.spec.number) for one in launches]


# Every planned trial, once.


@pytest.mark.parametrize("slots", [1, 3, 16])
def test_a_board_puts_every_planned_trial_exactly_once(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation, slots: int
) -> None:
    _run(make_simulation(study, slots=slots))
    assert len(set(memory.row_keys)) == len(memory.row_keys)
    planned = [
        (cell, phase, number)
        for cell in (EASY, HARD)
        for phase, count in (("search", 8), ("confirm", 2))
        for number in range(count)
    ]
    rows = [(row.cell, row.phase, row.number) for row in memory.trials()]
    assert sorted(rows) == sorted(planned)


def test_a_board_puts_the_claim_of_a_trial_before_its_row(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    _run(make_simulation(study, slots=3))
    claims = {event[1:]: place for place, event in enumerate(memory.events) if event[0] == "claim"}
    rows = {event[1:]: place for place, event in enumerate(memory.events) if event[0] == "row"}
    assert len(rows) == 20
    assert all(claims[trial] < place for trial, place in rows.items())


def test_a_claim_is_put_before_its_trial_is_handed_out(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    with make_simulation(study).board as board:
        launch = board.launch()
    assert launch is not None
    (claim,) = memory.all_claims
    spec = launch.spec
    assert (claim.trial_key, claim.attempt, claim.cell) == (spec.key, 0, spec.cell.label)
    assert (claim.phase, claim.number, claim.params) == ("search", 0, spec.params)
    assert claim.seeds == (spec.seed,)


def test_rows_wait_for_a_slow_memory_and_all_arrive(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    memory.put_s = 0.05
    _run(make_simulation(study, slots=3))
    assert len(memory.all_rows) == 20


def test_a_finished_row_has_every_epoch_and_the_last_auroc(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    _run(make_simulation(study, curve=_worst_last))
    row = memory.rows_of("search", EASY)[0]
    epochs = [one for one in memory.epochs() if one.trial_key == row.trial_key]
    assert (row.state, row.epochs, row.stop_reason, row.error) == ("finished", 9, "", "")
    assert [one.epoch for one in epochs] == list(range(9))
    assert row.val_auroc == epochs[-1].val_auroc == 0.9 + 9 / 10_000


def test_a_pruned_row_says_after_which_epoch(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    _run(make_simulation(study, curve=_worst_last))
    row = memory.rows_of("search", EASY)[1]
    assert (row.state, row.epochs) == ("pruned", 1)
    assert row.stop_reason == "ASHA: validation AUROC at epoch 1 in the lower share"


def test_a_diverged_row_says_what_was_not_finite(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    _run(make_simulation(study, diverges=lambda spec: spec.number == 0))
    row = memory.rows_of("search", EASY)[0]
    assert (row.state, row.stop_reason) == ("diverged", "loss_g is nan")


def test_a_trial_that_diverges_in_its_first_epoch_has_no_auroc(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    with make_simulation(study).board as board:
        launch = board.launch()
        assert launch is not None
        board.end(launch.spec.key, Progress(diverged="loss_g is inf"))
    (row,) = memory.all_rows
    assert (row.state, row.epochs, row.val_auroc) == ("diverged", 0, None)


def test_a_search_row_has_no_test_score(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    _run(make_simulation(study))
    rows = memory.rows_of("search")
    assert {row.test_auroc for row in rows} == {None}
    assert {row.test_average_precision for row in rows} == {None}


def test_a_confirm_row_has_a_test_score_and_a_fresh_seed(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    _run(make_simulation(study))
    rows = memory.rows_of("confirm", EASY)
    assert [row.seeds for row in rows] == [(1,), (2,)]
    assert all(row.test_auroc is not None for row in rows)
    assert {row.state for row in rows} == {"finished"}


def test_epochs_of_several_reports_are_kept_in_order(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    # A heartbeat brings epochs between rungs; the last report comes again with the end.
    def some(*epochs: int) -> Progress:
        return Progress(
            epochs=tuple(EpochResult(epoch=one, val_auroc=0.5, train_s=1.0) for one in epochs)
        )

    with make_simulation(study).board as board:
        launch = board.launch()
        assert launch is not None
        for progress in (some(0), some(1), some(2), some(3, 4), some(3, 4)):
            assert board.report(launch.spec.key, progress)
        board.end(launch.spec.key, some(5, 6, 7, 8))
    assert [row.epoch for row in memory.epochs()] == list(range(9))


# Cells.


def test_a_board_serves_the_cell_that_is_furthest_behind_first(
    study: Study, make_simulation: MakeSimulation
) -> None:
    launches = _run(make_simulation(study))
    searched = [one.spec.cell.label for one in launches if one.spec.phase == "search"]
    ahead = [searched[:n].count(EASY) - searched[:n].count(HARD) for n in range(len(searched))]
    assert {abs(one) for one in ahead} == {0, 1}


def test_a_cell_that_was_left_behind_catches_up(
    make_study: MakeStudy, make_simulation: MakeSimulation
) -> None:
    first = make_study(cells=Grid(dataset="digits", normal_class=0))
    _run(make_simulation(first), most_ends=4)
    launches = _run(make_simulation(make_study()), most_ends=4)
    assert [one.spec.cell.label for one in launches] == [HARD] * 4


def test_an_easy_and_a_hard_cell_both_have_survivors_at_every_rung(
    make_study: MakeStudy, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    study = make_study(
        search=Search(space={"weight_con": Uniform(0, 100)}, trials_per_cell=30),
        scheduler=Asha(max_epochs=27, grace_period=3, reduction_factor=3),
    )
    _run(make_simulation(study, slots=4, curve=_easy_and_hard))
    for cell in (EASY, HARD):
        epochs = Counter(row.epochs for row in memory.rows_of("search", cell))
        assert set(epochs) == {3, 9, 27}


def test_status_counts_running_trials_by_cell(
    study: Study, make_simulation: MakeSimulation
) -> None:
    with make_simulation(study).board as board:
        for _ in range(3):
            board.launch()
        status = board.status(slots=4)
    assert (status.study, status.slots) == ("a-study", 4)
    assert [(cell.label, cell.running) for cell in status.cells] == [(EASY, 2), (HARD, 1)]


def test_a_board_hands_out_nothing_while_every_cell_waits(
    study: Study, make_simulation: MakeSimulation
) -> None:
    with make_simulation(study).board as board:
        launches = [board.launch() for _ in range(17)]
        assert launches[15] is not None
        assert launches[16] is None
        assert not board.is_done


# Equal seeds, equal studies.


def test_serial_runs_of_one_study_start_equal_trials_in_equal_order(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    first = [one.spec.key for one in _run(make_simulation(study))]
    memory.all_claims.clear()
    memory.all_rows.clear()
    assert [one.spec.key for one in _run(make_simulation(study))] == first


def test_another_seed_starts_other_trials(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    first = {str(one.spec.params) for one in _run(make_simulation(study))}
    memory.all_claims.clear()
    memory.all_rows.clear()
    second = {str(one.spec.params) for one in _run(make_simulation(replace(study, seed=1)))}
    assert not first & second


@pytest.mark.parametrize("most_ends", [1, 5, 9, 15, 17, 19])
def test_a_serial_run_in_two_parts_starts_the_trials_of_one_run(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation, most_ends: int
) -> None:
    whole = [one.spec.key for one in _run(make_simulation(study))]
    memory.all_claims.clear()
    memory.all_rows.clear()
    before = _run(make_simulation(study), most_ends=most_ends)
    after = _run(make_simulation(study))
    assert [one.spec.key for one in (*before, *after)] == whole


# Going on after an interruption.


@pytest.mark.parametrize("most_ends", [0, 3, 10, 16, 18])
def test_a_resumed_study_runs_exactly_the_rest(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation, most_ends: int
) -> None:
    _run(make_simulation(study, slots=3), most_ends=most_ends)
    ended = set(memory.row_keys)
    assert len(ended) == most_ends
    launches = _run(make_simulation(study, slots=3))
    assert not ended & {one.spec.key for one in launches}
    assert len(memory.row_keys) == len(set(memory.row_keys)) == 20


def test_claims_without_rows_are_launched_first_as_the_next_attempt(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    _run(make_simulation(study, slots=4), most_ends=5)
    open_keys = {claim.trial_key for claim in memory.claims()} - set(memory.row_keys)
    assert len(open_keys) == 3
    launches = _run(make_simulation(study, slots=4))
    relaunched = [one for one in launches if one.spec.key in open_keys]
    assert {one.attempt for one in relaunched} == {1}
    by_cell = {
        cell: [one for one in launches if one.spec.cell.label == cell] for cell in (EASY, HARD)
    }
    for of_cell in by_cell.values():
        attempts = [one.attempt for one in of_cell]
        assert attempts == sorted(attempts, reverse=True)


def test_claims_without_rows_are_launched_in_the_order_of_their_number(
    study: Study, make_simulation: MakeSimulation
) -> None:
    with make_simulation(study).board as board:
        before = [board.launch() for _ in range(16)]
    with make_simulation(study).board as board:
        after = [board.launch() for _ in range(16)]
    assert None not in after
    assert _places([one for one in after if one]) == _places([one for one in before if one])


def test_an_attempt_number_grows_with_every_driver(
    study: Study, make_simulation: MakeSimulation
) -> None:
    attempts = []
    for _ in range(4):
        with make_simulation(study).board as board:
            launch = board.launch()
        assert launch is not None
        attempts.append((launch.spec.number, launch.attempt))
    assert attempts == [(0, 0), (0, 1), (0, 2), (0, 3)]


def test_a_row_of_a_later_attempt_names_it(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    with make_simulation(study).board as board:
        launch = board.launch()
    assert launch is not None
    _run(make_simulation(study))
    (row,) = [one for one in memory.trials() if one.trial_key == launch.spec.key]
    assert row.attempt == 1


def test_a_finished_study_launches_nothing(study: Study, make_simulation: MakeSimulation) -> None:
    _run(make_simulation(study, slots=3))
    board = make_simulation(study).board
    with board:
        assert board.is_done
        assert board.launch() is None


def test_a_finished_study_of_a_tiny_space_launches_nothing(
    make_study: MakeStudy, make_simulation: MakeSimulation
) -> None:
    space = {"weight_con": Choice([1.0, 2.0, 3.0])}
    study = make_study(search=Search(space=space, trials_per_cell=9))
    _run(make_simulation(study))
    with make_simulation(study).board as board:
        assert board.launch() is None
        assert board.is_done


def test_a_finished_study_whose_trials_all_diverged_launches_nothing(
    study: Study, make_simulation: MakeSimulation
) -> None:
    _run(make_simulation(study, diverges=lambda _: True))
    with make_simulation(study).board as board:
        assert board.is_done
        assert board.launch() is None


def test_a_finished_study_with_equal_winners_launches_nothing(
    make_study: MakeStudy, make_simulation: MakeSimulation
) -> None:
    # Trial 0 crashes once, so that trial 1, just as good, is there before it.
    study = make_study(scheduler=Asha(max_epochs=1, grace_period=1, reduction_factor=3))
    simulation = make_simulation(
        study,
        slots=4,
        curve=lambda _spec, _num_epochs: 1.0,
        crashes=lambda launch: launch.spec.number == 0 and launch.attempt == 0,
    )
    _run(simulation)
    with make_simulation(study).board as board:
        assert board.is_done
        assert board.launch() is None


def test_a_resumed_study_confirms_the_winner_of_both_drivers(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    _run(make_simulation(study, curve=_worst_last), most_ends=9)
    _run(make_simulation(study, curve=_worst_last))
    for cell in (EASY, HARD):
        first = memory.rows_of("search", cell)[0]
        assert {row.params for row in memory.rows_of("confirm", cell)} == {first.params}


# Extensions.


def test_more_trials_of_a_finished_study_run_only_the_new_ones(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    _run(make_simulation(study, curve=_worst_last))
    more = replace(study, search=replace(study.search, trials_per_cell=11))
    launches = _run(make_simulation(more, curve=_worst_last))
    assert sorted(_places(launches)) == [
        (cell, "search", number) for cell in (EASY, HARD) for number in (8, 9, 10)
    ]
    assert len(set(memory.row_keys)) == len(memory.row_keys) == 26


def test_a_better_winner_among_more_trials_is_confirmed_too(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    _run(make_simulation(study, curve=_best_last))
    more = replace(study, search=replace(study.search, trials_per_cell=11))
    launches = _run(make_simulation(more, curve=_best_last))
    confirms = [one.spec for one in launches if one.spec.phase == "confirm"]
    assert [(one.cell.label, one.number) for one in confirms].count((EASY, 0)) == 1
    assert len(confirms) == 4
    latest = memory.rows_of("search", EASY)[-1]
    assert {str(one.params) for one in confirms if one.cell.label == EASY} == {
        str(_params(latest.params))
    }


def _params(text: str) -> dict[str, Any]:
    params: dict[str, Any] = json.loads(text)
    return params


def test_more_seeds_of_a_finished_study_run_only_the_new_ones(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    _run(make_simulation(study))
    launches = _run(make_simulation(replace(study, confirm=Confirm(seeds=4))))
    assert sorted(_places(launches)) == [
        (cell, "confirm", number) for cell in (EASY, HARD) for number in (2, 3)
    ]
    assert {one.spec.params["weight_con"] for one in launches} == {
        _params(row.params)["weight_con"] for row in memory.rows_of("confirm")
    }


def test_more_cells_of_a_finished_study_run_only_the_new_ones(
    make_study: MakeStudy, make_simulation: MakeSimulation
) -> None:
    _run(make_simulation(make_study(cells=Grid(dataset="digits", normal_class=0))))
    launches = _run(make_simulation(make_study()))
    assert {one.spec.cell.label for one in launches} == {HARD}
    assert len(launches) == 10


# Crashes.


def test_a_trial_that_crashes_once_is_retried_before_anything_new_and_finishes(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    one_cell = replace(study, cells=Grid(dataset="digits", normal_class=0))
    simulation = make_simulation(
        one_cell, crashes=lambda launch: launch.spec.number == 0 and launch.attempt == 0
    )
    launches = _run(simulation)
    assert [(one.spec.number, one.attempt) for one in launches[:3]] == [(0, 0), (0, 1), (1, 0)]
    row = memory.rows_of("search")[0]
    assert (row.state in ("finished", "pruned"), row.attempt) == (True, 1)
    assert len(memory.row_keys) == len(set(memory.row_keys)) == 10


def test_a_trial_that_always_crashes_counts_as_failed_with_its_traceback(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    launches = _run(make_simulation(study, crashes=_crashes_first_search))
    attempts = [one.attempt for one in launches if _crashes_first_search(one)]
    assert attempts == [0, 1, 2]
    assert len(attempts) == MAX_ATTEMPTS
    row = memory.rows_of("search", EASY)[0]
    assert (row.state, row.attempt, row.stop_reason) == ("failed", MAX_ATTEMPTS - 1, "error")
    assert row.error == "Traceback:\n  a worker\nRuntimeError: no such luck\n"


def _crashes_first_search(launch: Launch) -> bool:
    spec = launch.spec
    return spec.cell.label == EASY and spec.phase == "search" and spec.number == 0


def test_a_failed_trial_does_not_hold_up_its_cell(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    _run(make_simulation(study, crashes=_crashes_first_search))
    assert len(memory.rows_of("confirm", EASY)) == 2


def test_a_failed_trial_is_started_again_by_a_later_driver(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    _run(make_simulation(study, curve=_worst_last, crashes=_crashes_first_search))
    failed = memory.rows_of("search", EASY)[0]
    launches = _run(make_simulation(study, curve=_worst_last))
    assert (launches[0].spec.key, launches[0].attempt) == (failed.trial_key, MAX_ATTEMPTS)
    row = memory.rows_of("search", EASY)[0]
    assert (row.trial_key, row.attempt, row.state) == (failed.trial_key, MAX_ATTEMPTS, "finished")


def test_a_failed_confirm_trial_is_started_again_by_a_later_driver(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    def crashes(launch: Launch) -> bool:
        return launch.spec.phase == "confirm" and launch.spec.number == 1

    _run(make_simulation(study, crashes=crashes))
    assert [row.state for row in memory.rows_of("confirm", EASY)] == ["finished", "failed"]
    launches = _run(make_simulation(study))
    assert _places(launches) == [(EASY, "confirm", 1), (HARD, "confirm", 1)]
    assert {row.state for row in memory.rows_of("confirm")} == {"finished"}


def test_twelve_crashes_in_a_row_stop_the_study(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    simulation = make_simulation(study, slots=3, crashes=lambda _: True)
    with pytest.raises(
        TrialsFailingError, match=r"12 trials in a row crashed .* 'RuntimeError: no such luck'"
    ):
        _run(simulation)
    assert len(memory.all_claims) <= 12 * 3
    assert {row.state for row in memory.all_rows} <= {"failed"}


def test_a_study_stopped_by_crashes_goes_on_to_its_end(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    with pytest.raises(TrialsFailingError, match="12 trials in a row"):
        _run(make_simulation(study, slots=3, crashes=lambda _: True))
    _run(make_simulation(study, slots=3))
    assert len(memory.trials()) == 20
    assert {row.state for row in memory.trials()} <= {"finished", "pruned"}


def test_crashes_with_an_end_between_them_do_not_stop_the_study(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    _run(make_simulation(study, crashes=lambda launch: launch.attempt < 2))
    assert len(memory.trials()) == 20
    assert "failed" not in {row.state for row in memory.trials()}


# A memory that fails.


def test_a_refused_claim_stops_the_study(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    memory.refuses_claims = True
    with (
        make_simulation(study).board as board,
        pytest.raises(StoreError, match=r"attempt 0 of trial .* was claimed by another driver"),
    ):
        board.launch()


def test_a_trial_of_another_key_is_refused(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    _run(make_simulation(study), most_ends=2)
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
        _run(simulation)
    assert len(simulation.launches) < 200


def test_a_row_that_was_not_written_is_run_again(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    memory.put_error = StoreError("the bucket is gone")
    with pytest.raises(StoreError, match="the bucket is gone"):
        _run(make_simulation(study), most_ends=1)
    memory.put_error = None
    launches = _run(make_simulation(study))
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
