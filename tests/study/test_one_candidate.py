"""One candidate: the search's best is kept as the winner before its test split is opened."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agad.config import Confirm, Grid, Search, Study, Uniform
from agad.errors import StoreError
from agad.study.running import Launch
from agad.study.store_outage import StoreOutage

if TYPE_CHECKING:
    from agad.trial import TrialSpec
    from tests.simulation import Curve, ListMemory, MakeSimulation, MakeStudy


@pytest.fixture
def study(make_study: MakeStudy) -> Study:
    """Return a study of one cell, of whose four configurations the best is confirmed."""
    return make_study(
        cells=Grid(dataset="digits", normal_class=0),
        search=Search(space={"weight_con": Uniform(0, 100)}, trials_per_cell=4),
        confirm=Confirm(seeds=2),
    )


def _crashes_first(launch: Launch) -> bool:
    return launch.spec.phase == "search" and launch.spec.number == 0


@pytest.mark.parametrize("num_ends", [None, 4])
def test_a_failed_trial_that_turns_out_the_best_replaces_no_tested_configuration(
    num_ends: int | None,
    study: Study,
    make_simulation: MakeSimulation,
    memory: ListMemory,
    worst_last: Curve,
) -> None:
    first = make_simulation(study, curve=worst_last, crashes=_crashes_first)
    first.run_and_close(most_ends=num_ends)
    make_simulation(study, curve=worst_last).run_and_close()
    search = memory.rows_of("search")
    assert search[0].val_auroc == max(row.val_auroc or 0 for row in search)
    assert {row.params for row in memory.rows_of("confirm")} == {search[1].params}
    assert len(memory.rows_of("confirm")) == 2
    assert make_simulation(study).board.is_done


@pytest.mark.parametrize("slots", [1, 3])
def test_the_winner_is_kept_after_the_search_and_before_any_confirm_claim(
    slots: int, study: Study, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    make_simulation(study, slots=slots).run_and_close()
    phases = {one.trial_key: one.phase for one in memory.all_claims}
    order = [phases.get(key, kind) for kind, key, _ in memory.events if kind != "row"]
    assert order == ["search"] * 4 + ["winner"] + ["confirm"] * 2
    (winner,) = memory.winners()
    assert winner.val_auroc == max(row.val_auroc or 0 for row in memory.rows_of("search"))


def test_nothing_is_confirmed_while_the_store_takes_no_winner(
    study: Study, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    now_s = [0.0]
    simulation = make_simulation(study, outage=StoreOutage(clock=lambda: now_s[0]))
    with simulation.board:
        simulation.run(most_ends=4)
        memory.claim_error = StoreError("no route to the store")
        assert simulation.board.launch() is None
        assert not simulation.board.is_done
        memory.claim_error = None
        now_s[0] = 60.0
        launch = simulation.board.launch()
    assert launch is not None
    assert launch.spec.phase == "confirm"
    assert len(memory.winners()) == 1


def test_a_study_that_was_finished_without_a_winner_is_left_as_it_is(
    study: Study, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    make_simulation(study).run_and_close()
    memory.all_winners.clear()
    with make_simulation(study).board as board:
        assert board.is_done
        assert board.launch() is None
    assert memory.winners() == []


def test_a_cell_without_a_best_configuration_ends_without_a_winner(
    study: Study, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    make_simulation(study, diverges=lambda _: True).run_and_close()
    assert memory.winners() == []
    assert make_simulation(study).board.is_done


def _best_of(order: dict[int, float]) -> Curve:
    """Return a curve that ranks the search's trials by their numbers."""

    def curve(spec: TrialSpec, num_epochs: int) -> float:
        scored = order[spec.number] if spec.phase == "search" else 0.5
        return scored + num_epochs / 1000

    return curve


def _of(study: Study, num_trials: int) -> Study:
    return replace(study, search=replace(study.search, trials_per_cell=num_trials))


def test_an_extension_whose_best_stays_keeps_it_as_its_winner_too(
    study: Study, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    curve = _best_of({0: 0.6, 1: 0.5, 2: 0.4, 3: 0.8, 4: 0.3})
    for num_trials in (3, 4, 5):
        make_simulation(_of(study, num_trials), curve=curve).run_and_close()
    kept = {one.num_search_trials: json.dumps(one.params) for one in memory.winners()}
    assert kept == {
        num_trials: memory.rows_of("search")[number].params
        for num_trials, number in ((3, 0), (4, 3), (5, 3))
    }


def test_the_same_study_again_tests_no_second_configuration(
    study: Study, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    curve = _best_of({0: 0.7, 1: 0.6, 2: 0.5, 3: 0.8})
    make_simulation(_of(study, 3), curve=curve).run_and_close()
    extended = make_simulation(
        study, curve=curve, crashes=lambda one: (one.spec.phase, one.spec.number) == ("search", 3)
    )
    extended.run_and_close()
    make_simulation(study, curve=curve).run_and_close()
    assert memory.rows_of("search")[3].state == "finished"
    assert {row.params for row in memory.rows_of("confirm")} == {memory.rows_of("search")[0].params}
