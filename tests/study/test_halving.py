"""Trials that pause at rungs and are promoted, under one driver and several, without Ray."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from agad.config import Grid, Search, Study, SuccessiveHalving, Tpe, Uniform
from agad.study.attempts import MAX_ATTEMPTS
from agad.study.running import Launch
from tests.parameters import agad_of

if TYPE_CHECKING:
    from tests.simulation import ListMemory, MakeSimulation, MakeStudy, Simulation


@pytest.fixture
def study(make_study: MakeStudy) -> Study:
    """One cell of 9 trials of 9 epochs with rungs at 1 and 3, then 2 seeds."""
    return make_study(
        cells=Grid(dataset="digits", normal_class=0),
        search=Search(space={"weight_con": Uniform(0, 100)}, trials_per_cell=9),
        scheduler=SuccessiveHalving(max_epochs=9, grace_period=1, reduction_factor=3),
    )


def _forget(memory: ListMemory) -> None:
    memory.all_claims.clear()
    memory.all_rows.clear()
    memory.all_pauses.clear()
    memory.all_released.clear()


def _launched(simulation: Simulation) -> list[tuple[str, int]]:
    return [(one.spec.phase, one.spec.number) for one in simulation.launches]


def _outcomes(memory: ListMemory) -> dict[str, tuple[str, str, int, float | None]]:
    return {
        row.trial_key: (row.state, row.stop_reason, row.epochs, row.val_auroc)
        for row in memory.trials()
    }


def test_trials_pause_and_the_best_third_of_each_rung_goes_on(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    make_simulation(study, slots=3).run_and_close()
    rows = memory.rows_of("search")
    assert len(rows) == len(memory.all_rows) - 2 == 9
    assert {row.state for row in rows} == {"finished", "pruned"}
    ordered = sorted(rows, key=lambda one: abs(json.loads(one.params)["weight_con"] - 30))
    # The best is in the best third whenever it comes; the third of each rung is 3, then 1.
    assert ordered[0].state == "finished"
    assert all(row.epochs > 1 for row in ordered[:3])
    assert sum(row.epochs for row in rows) < 9 * 9 / 2
    assert {row.params for row in memory.rows_of("confirm")} == {ordered[0].params}


def test_a_paused_trial_frees_its_slot_and_leaves_no_row_until_the_end(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    simulation = make_simulation(study)
    simulation.run(most_ends=3)
    assert simulation.running == []
    assert [one.attempt for one in simulation.launches] == [0, 0, 0]
    # The fourth launch promotes the best of the three: it does not start a fourth.
    simulation.run(most_ends=4)
    best = max(simulation.launches[:3], key=lambda one: -abs(agad_of(one.spec).weight_con - 30))
    assert simulation.launches[3] == Launch(spec=best.spec, attempt=1)
    assert memory.all_rows == []


def test_a_promoted_trial_goes_on_where_it_paused_and_its_row_has_every_epoch(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    simulation = make_simulation(study, slots=2)
    simulation.run_and_close()
    assert max(Counter(simulation.trained).values()) == 1
    by_key = {row.trial_key: row for row in memory.trials()}
    epochs = Counter((row.trial_key, row.attempt) for row in memory.epochs())
    assert epochs == {(key, row.attempt): row.epochs for key, row in by_key.items()}
    finished = [row for row in memory.rows_of("search") if row.state == "finished"]
    assert {row.attempt for row in finished} == {2}
    ran = [row.epoch for row in memory.epochs() if row.trial_key == finished[0].trial_key]
    assert ran == [*range(9)]


def test_who_is_passed_over_ends_as_pruned_with_its_reason(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    simulation = make_simulation(study)
    simulation.run_and_close()
    pruned = [row for row in memory.rows_of("search") if row.state == "pruned"]
    lowest = Counter(row.stop_reason.rpartition(" ")[2] for row in pruned if row.epochs == 1)
    assert len(lowest) == 1
    for row in pruned:
        rung = {1: "rung 0 after 1 epoch", 3: "rung 1 after 3 epochs"}[row.epochs]
        assert row.stop_reason.startswith(
            f"successive halving, {rung}: validation AUROC {row.val_auroc:.6f} is not among the "
        )


def test_optuna_is_told_of_the_paused_ones_as_pruned_with_their_objectives(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    simulation = make_simulation(study)
    simulation.run_and_close()
    (cell,) = simulation.board._cells.values()
    states = Counter(trial.state.name for trial in cell._search._sampler.trials)
    rows = Counter(row.state for row in memory.rows_of("search"))
    assert states == {"COMPLETE": rows["finished"], "PRUNED": rows["pruned"]}
    assert all(trial.intermediate_values for trial in cell._search._sampler.trials)


def test_tpe_learns_from_trials_that_wait(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    search = Search(
        space={"weight_con": Uniform(0, 100)},
        trials_per_cell=40,
        sampler=Tpe(startup_trials=9),
    )
    make_simulation(replace(study, search=search)).run_and_close()
    far = [abs(json.loads(row.params)["weight_con"] - 30) for row in memory.rows_of("search")]
    # A uniform draw is 29 away from the best in the mean.
    assert sum(far[20:]) / 20 < 15


def test_pauses_use_no_attempts_up(
    make_study: MakeStudy, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    study = make_study(
        cells=Grid(dataset="digits", normal_class=0),
        search=Search(space={"weight_con": Uniform(0, 100)}, trials_per_cell=32),
        scheduler=SuccessiveHalving(max_epochs=32, grace_period=1, reduction_factor=2),
    )
    simulation = make_simulation(study)
    simulation.run_and_close(most_ends=70)
    launches = [*simulation.launches, *make_simulation(study).run_and_close()]
    assert max(one.attempt for one in launches) > MAX_ATTEMPTS
    assert {row.state for row in memory.rows_of("search")} == {"finished", "pruned"}


def test_serial_runs_of_one_study_start_equal_trials_in_equal_order(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    first = [(one.spec.key, one.attempt) for one in make_simulation(study).run_and_close()]
    _forget(memory)
    second = make_simulation(study).run_and_close()
    assert [(one.spec.key, one.attempt) for one in second] == first


# Going on under another driver.


@pytest.mark.parametrize("most_ends", range(16))
def test_a_serial_run_in_two_parts_is_one_run(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation, most_ends: int
) -> None:
    whole = make_simulation(study)
    whole.run_and_close()
    expected = _outcomes(memory)
    _forget(memory)
    first = make_simulation(study)
    first.run_and_close(most_ends=most_ends)
    second = make_simulation(study, checkpoints=first.checkpoints)
    second.run_and_close()
    assert _launched(first) + _launched(second) == _launched(whole)
    assert _outcomes(memory) == expected
    assert max(Counter(first.trained + second.trained).values()) == 1
    assert len(memory.all_rows) == 11


@pytest.mark.parametrize("most_ends", [2, 5, 8, 11, 13])
@pytest.mark.parametrize("keeps", [True, False], ids=["checkpoints", "none"])
def test_a_killed_driver_loses_nothing_and_doubles_nothing(
    study: Study,
    memory: ListMemory,
    make_simulation: MakeSimulation,
    most_ends: int,
    keeps: bool,
) -> None:
    first = make_simulation(study, slots=3)
    first.board.__enter__()
    first.run(most_ends=most_ends)
    first.board._writes.finish()  # What was written arrived; what runs is never heard of again.
    ran = {one.spec.key for one, _ in first.running}
    waiting = {one.trial_key for one in memory.all_pauses} - {*memory.row_keys} - ran
    second = make_simulation(study, slots=3, checkpoints=first.checkpoints if keeps else {})
    with second.board:
        second._fill()
        again = {one.spec.key for one in second.launches}
        assert ran <= again
        assert second.board._paused.keys() == waiting - again
        second.run()
    rows = memory.rows_of("search")
    assert len(rows) == 9
    assert len(memory.row_keys) == len({*memory.row_keys}) == 11
    assert {row.state for row in rows} == {"finished", "pruned"}
    # Nobody had to be trained anew but what ran when the driver was killed.
    is_anew = Counter(first.trained + second.trained)
    assert not keeps or {key for (key, _), num in is_anew.items() if num > 1} <= ran


def test_a_pause_that_was_not_kept_happens_again_without_training(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    first = make_simulation(study)
    first.board.__enter__()
    first.run(most_ends=1)
    first.board._writes.finish()
    memory.all_pauses.clear()
    second = make_simulation(study, checkpoints=first.checkpoints)
    with second.board:
        second.run(most_ends=1)
        assert second.trained == []
        assert [(one.trial_key, one.attempt) for one in memory.all_pauses] == [
            (first.launches[0].spec.key, 1)
        ]
        second.run()
    assert len({*memory.row_keys}) == len(memory.row_keys) == 11


def test_a_row_of_an_earlier_drivers_pause_tells_what_that_driver_saw(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    whole = make_simulation(study)
    whole.run_and_close()
    num_search = len([one for one in whole.launches if one.spec.phase == "search"])
    expected = {row.trial_key: row for row in memory.rows_of("search")}
    epochs = {(row.trial_key, row.epoch): row for row in memory.epochs()}
    _forget(memory)
    first = make_simulation(study)
    first.board.__enter__()
    first.run(most_ends=num_search - 1)
    first.board._writes.finish()
    assert {row.state for row in memory.all_rows} <= {"finished"}
    paused = {one.trial_key: one for one in memory.all_pauses}
    make_simulation(study, checkpoints=first.checkpoints).run_and_close()
    of_the_time: dict[str, Any] = {"started_at": None, "ended_at": None}
    for row in memory.rows_of("search"):
        other = replace(expected[row.trial_key], **of_the_time)
        assert replace(row, **of_the_time) == other
        if row.state == "pruned":
            assert row.started_at == paused[row.trial_key].started_at
    assert {(row.trial_key, row.epoch): row for row in memory.epochs()} == epochs


def test_a_promoted_trial_that_crashes_goes_on_at_once(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    simulation = make_simulation(study, crashes=lambda one: one.attempt == 1)
    simulation.run_and_close()
    promoted = [place for place, one in enumerate(simulation.launches) if one.attempt == 1]
    for place in promoted:
        one, after = simulation.launches[place : place + 2]
        assert (after.spec.key, after.attempt) == (one.spec.key, 2)
    assert promoted
    assert {row.state for row in memory.rows_of("search")} == {"finished", "pruned"}


def test_a_driver_that_finds_only_pauses_gives_them_up_at_its_start(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    search = replace(study.search, trials_per_cell=2)
    small = replace(study, search=search)
    first = make_simulation(small)
    first.run(most_ends=1)
    first.board._writes.finish()
    first.board._writes = make_simulation(small).board._writes  # It dies at the second pause.
    first._fill()
    memory.put_pause(replace(memory.all_pauses[0], trial_key=first.launches[1].spec.key))
    simulation = make_simulation(small)
    simulation.run_and_close()
    assert {row.state for row in memory.rows_of("search")} == {"pruned"}
    assert {one.spec.phase for one in simulation.launches} == {"confirm"}


def test_a_study_that_is_extended_promotes_among_the_new_and_ends(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    make_simulation(study).run_and_close()
    before = _outcomes(memory)
    more = replace(study, search=replace(study.search, trials_per_cell=18))
    simulation = make_simulation(more)
    simulation.run_and_close()
    rows = memory.rows_of("search")
    assert len(rows) == 18
    assert {row.state for row in rows} == {"finished", "pruned"}
    # Who was given up before stays so.
    assert before.items() <= _outcomes(memory).items()
    assert any(row.attempt > 0 for row in rows if row.number >= 9)
