"""A study that goes on under another driver, or is extended, without Ray."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from agad.config import Asha, Choice, Confirm, Grid, Search, Study
from agad.study.running import Launch
from agad.trial import TrialSpec

if TYPE_CHECKING:
    from tests.simulation import Curve, ListMemory, MakeSimulation, MakeStudy

EASY, HARD = "digits class=0 ratio=0", "digits class=8 ratio=0"


def _best_last(spec: TrialSpec, num_epochs: int) -> float:
    return 0.5 + spec.number / 100 + num_epochs / 10_000


def _places(launches: list[Launch]) -> list[tuple[str, str, int]]:
    return [(one.spec.cell.label, one.spec.phase, one.spec.number) for one in launches]


def _params(text: str) -> dict[str, Any]:
    params: dict[str, Any] = json.loads(text)
    return params


def test_serial_runs_of_one_study_start_equal_trials_in_equal_order(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    first = [one.spec.key for one in make_simulation(study).run_and_close()]
    memory.all_claims.clear()
    memory.all_rows.clear()
    assert [one.spec.key for one in make_simulation(study).run_and_close()] == first


def test_another_seed_starts_other_trials(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    first = {str(one.spec.params) for one in make_simulation(study).run_and_close()}
    memory.all_claims.clear()
    memory.all_rows.clear()
    memory.all_winners.clear()
    second = {
        str(one.spec.params) for one in make_simulation(replace(study, seed=1)).run_and_close()
    }
    assert not first & second


@pytest.mark.parametrize("most_ends", [1, 5, 9, 15, 17, 19])
def test_a_serial_run_in_two_parts_starts_the_trials_of_one_run(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation, most_ends: int
) -> None:
    whole = [one.spec.key for one in make_simulation(study).run_and_close()]
    memory.all_claims.clear()
    memory.all_rows.clear()
    before = make_simulation(study).run_and_close(most_ends=most_ends)
    after = make_simulation(study).run_and_close()
    assert [one.spec.key for one in (*before, *after)] == whole


# Going on after an interruption.


@pytest.mark.parametrize("most_ends", [0, 3, 10, 16, 18])
def test_a_resumed_study_runs_exactly_the_rest(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation, most_ends: int
) -> None:
    make_simulation(study, slots=3).run_and_close(most_ends=most_ends)
    ended = set(memory.row_keys)
    assert len(ended) == most_ends
    launches = make_simulation(study, slots=3).run_and_close()
    assert not ended & {one.spec.key for one in launches}
    assert len(memory.row_keys) == len(set(memory.row_keys)) == 20


def test_claims_without_rows_are_launched_first_as_the_next_attempt(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    make_simulation(study, slots=4).run_and_close(most_ends=5)
    open_keys = {claim.trial_key for claim in memory.claims()} - set(memory.row_keys)
    assert len(open_keys) == 3
    launches = make_simulation(study, slots=4).run_and_close()
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
    make_simulation(study).run_and_close()
    (row,) = [one for one in memory.trials() if one.trial_key == launch.spec.key]
    assert row.attempt == 1


def test_a_finished_study_launches_nothing(study: Study, make_simulation: MakeSimulation) -> None:
    make_simulation(study, slots=3).run_and_close()
    board = make_simulation(study).board
    with board:
        assert board.is_done
        assert board.launch() is None


def test_a_finished_study_of_a_tiny_space_launches_nothing(
    make_study: MakeStudy, make_simulation: MakeSimulation
) -> None:
    space = {"weight_con": Choice([1.0, 2.0, 3.0])}
    study = make_study(search=Search(space=space, trials_per_cell=9))
    make_simulation(study).run_and_close()
    with make_simulation(study).board as board:
        assert board.launch() is None
        assert board.is_done


def test_a_finished_study_whose_trials_all_diverged_launches_nothing(
    study: Study, make_simulation: MakeSimulation
) -> None:
    make_simulation(study, diverges=lambda _: True).run_and_close()
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
    simulation.run_and_close()
    with make_simulation(study).board as board:
        assert board.is_done
        assert board.launch() is None


def test_a_resumed_study_confirms_the_winner_of_both_drivers(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation, worst_last: Curve
) -> None:
    make_simulation(study, curve=worst_last).run_and_close(most_ends=9)
    make_simulation(study, curve=worst_last).run_and_close()
    for cell in (EASY, HARD):
        first = memory.rows_of("search", cell)[0]
        assert {row.params for row in memory.rows_of("confirm", cell)} == {first.params}


# Extensions.


def test_more_trials_of_a_finished_study_run_only_the_new_ones(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation, worst_last: Curve
) -> None:
    make_simulation(study, curve=worst_last).run_and_close()
    more = replace(study, search=replace(study.search, trials_per_cell=11))
    launches = make_simulation(more, curve=worst_last).run_and_close()
    assert sorted(_places(launches)) == [
        (cell, "search", number) for cell in (EASY, HARD) for number in (8, 9, 10)
    ]
    assert len(set(memory.row_keys)) == len(memory.row_keys) == 26


def test_a_better_winner_among_more_trials_is_confirmed_too(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    make_simulation(study, curve=_best_last).run_and_close()
    more = replace(study, search=replace(study.search, trials_per_cell=11))
    launches = make_simulation(more, curve=_best_last).run_and_close()
    confirms = [one.spec for one in launches if one.spec.phase == "confirm"]
    assert [(one.cell.label, one.number) for one in confirms].count((EASY, 0)) == 1
    assert len(confirms) == 4
    latest = memory.rows_of("search", EASY)[-1]
    assert {str(one.params) for one in confirms if one.cell.label == EASY} == {
        str(_params(latest.params))
    }


def test_more_seeds_of_a_finished_study_run_only_the_new_ones(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    make_simulation(study).run_and_close()
    launches = make_simulation(replace(study, confirm=Confirm(seeds=4))).run_and_close()
    assert sorted(_places(launches)) == [
        (cell, "confirm", number) for cell in (EASY, HARD) for number in (2, 3)
    ]
    assert {one.spec.params["weight_con"] for one in launches} == {
        _params(row.params)["weight_con"] for row in memory.rows_of("confirm")
    }


def test_more_cells_of_a_finished_study_run_only_the_new_ones(
    make_study: MakeStudy, make_simulation: MakeSimulation
) -> None:
    make_simulation(make_study(cells=Grid(dataset="digits", normal_class=0))).run_and_close()
    launches = make_simulation(make_study()).run_and_close()
    assert {one.spec.cell.label for one in launches} == {HARD}
    assert len(launches) == 10


@pytest.mark.parametrize(
    ("axis", "values", "new"),
    [
        ("pollution_ratio", [0.0, 0.1], "digits class=0 ratio=0 pollution=0.1"),
        ("labelled_classes", ["all", (3, 5)], "digits class=0 ratio=0 labelled=(3,5)"),
    ],
    ids=["pollution", "labelled"],
)
def test_a_variant_more_of_a_finished_study_runs_only_its_cell(
    make_study: MakeStudy,
    make_simulation: MakeSimulation,
    axis: str,
    values: list[Any],
    new: str,
) -> None:
    grid = Grid(dataset="digits", normal_class=0)
    make_simulation(make_study(cells=grid)).run_and_close()
    changes: dict[str, Any] = {axis: values}
    more = make_study(cells=replace(grid, **changes))
    launches = make_simulation(more).run_and_close()
    assert {one.spec.cell.label for one in launches} == {new}
    assert len(launches) == 10
