"""Several candidates: all are confirmed, validation picks one, and it alone is tested."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from agad.config import Confirm, Grid, Search, Study, Uniform
from agad.errors import StoreError
from agad.records import Winner
from agad.study.store_outage import StoreOutage
from agad.trial import TrialSpec
from tests.parameters import agad_of

if TYPE_CHECKING:
    from tests.simulation import ListMemory, MakeSimulation, MakeStudy

CELL = "digits class=0 ratio=0"


@pytest.fixture
def study(make_study: MakeStudy) -> Study:
    """Return a study of one cell, of whose four configurations two are confirmed on two seeds."""
    return make_study(
        cells=Grid(dataset="digits", normal_class=0),
        search=Search(space={"weight_con": Uniform(0, 100)}, trials_per_cell=4),
        confirm=Confirm(seeds=2, candidates=2),
    )


def _second_wins(spec: TrialSpec, num_epochs: int) -> float:
    """Fall with the search's number by far less than it rises again on fresh seeds."""
    objective = 0.9 - agad_of(spec).weight_con / 1000 + num_epochs / 10_000
    return objective if spec.phase == "search" else 1.8 - objective - num_epochs / 5000


def _by_params(memory: ListMemory, phase: str) -> dict[float, list[tuple[int, ...]]]:
    """Return the seeds of a phase's rows, by ``weight_con``."""
    found: dict[float, list[tuple[int, ...]]] = {}
    for row in memory.rows_of(phase):
        claim = next(one for one in memory.all_claims if one.trial_key == row.trial_key)
        found.setdefault(claim.params["weight_con"], []).append(row.seeds)
    return found


def test_the_best_configurations_of_the_search_are_confirmed_on_every_fresh_seed(
    study: Study, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    make_simulation(study, curve=_second_wins).run_and_close()
    searched = sorted(_by_params(memory, "search"))
    assert _by_params(memory, "confirm") == {one: [(1,), (2,)] for one in searched[:2]}


def test_confirm_validation_picks_the_winner_which_alone_is_tested(
    study: Study, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    make_simulation(study, curve=_second_wins).run_and_close()
    _, second = sorted(_by_params(memory, "search"))[:2]
    assert _by_params(memory, "test") == {second: [(1,), (2,)]}
    (winner,) = memory.winners()
    assert winner.params == {"weight_con": second}
    confirms = [row for row in memory.rows_of("confirm") if str(second) in row.params]
    assert winner.val_auroc == pytest.approx(
        sum(row.val_auroc or 0 for row in confirms) / 2, abs=1e-12
    )


def test_only_test_rows_have_test_scores_and_they_count_no_epoch_again(
    study: Study, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    make_simulation(study).run_and_close()
    rows = memory.trials()
    assert {row.phase for row in rows if row.test_auroc is not None} == {"test"}
    assert {row.phase: row.epochs for row in rows if row.phase != "search"} == {
        "confirm": 9,
        "test": 0,
    }
    tested = {row.trial_key for row in memory.rows_of("test")}
    assert all(one.trial_key not in tested for one in memory.epochs())
    assert all(row.val_auroc is not None for row in memory.rows_of("test"))


@pytest.mark.parametrize("slots", [1, 3])
def test_the_winner_is_kept_after_all_confirm_claims_and_before_any_test_claim(
    slots: int, study: Study, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    make_simulation(study, slots=slots).run_and_close()
    phases = {one.trial_key: one.phase for one in memory.all_claims}
    order = [phases.get(key, kind) for kind, key, _ in memory.events if kind != "row"]
    assert order == ["search"] * 4 + ["confirm"] * 4 + ["winner"] + ["test"] * 2


@pytest.mark.parametrize("num_ends", range(1, 10))
def test_a_driver_that_dies_at_any_time_leaves_the_same_winner_and_rows(
    num_ends: int,
    study: Study,
    make_simulation: MakeSimulation,
    memory: ListMemory,
) -> None:
    make_simulation(study, curve=_second_wins).run_and_close(most_ends=num_ends)
    make_simulation(study, curve=_second_wins).run_and_close()
    assert len(memory.rows_of("test")) == 2
    assert len(memory.rows_of("confirm")) == 4
    assert len(memory.row_keys) == len({*memory.row_keys}) == 10
    assert len(memory.winners()) == 1
    assert make_simulation(study).board.is_done


def test_a_winner_that_is_kept_is_never_replaced(
    study: Study, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    make_simulation(study).run_and_close(most_ends=8)
    (loser,) = (
        claim.params
        for claim in memory.all_claims
        if claim.phase == "confirm" and claim.number == 0
        if claim.params != _choice(make_simulation(study)).params
    )
    kept = Winner(cell=CELL, num_search_trials=4, num_seeds=2, params=loser, val_auroc=0.5)
    memory.put_winner(kept)
    make_simulation(study).run_and_close()
    assert list(_by_params(memory, "test")) == [loser["weight_con"]]
    assert memory.winners() == [kept]


def _choice(simulation: Any) -> Winner:  # noqa: ANN401
    (cell,) = simulation.board._cells.values()
    choice: Winner = cell.choice()
    return choice


def test_of_equal_candidates_the_better_one_of_the_search_wins(
    study: Study, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    def tied(spec: TrialSpec, num_epochs: int) -> float:
        return _second_wins(spec, num_epochs) if spec.phase == "search" else 0.7

    make_simulation(study, curve=tied).run_and_close()
    assert list(_by_params(memory, "test")) == [min(_by_params(memory, "search"))]


def test_a_candidate_that_diverges_on_a_seed_loses_to_one_that_never_does(
    study: Study, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    def diverges(spec: TrialSpec) -> bool:
        return spec.is_candidate and spec.number == 1 and agad_of(spec).weight_con == second

    make_simulation(study, curve=_second_wins).run_and_close(most_ends=4)
    first, second = sorted(_by_params(memory, "search"))[:2]
    make_simulation(study, curve=_second_wins, diverges=diverges).run_and_close()
    assert _by_params(memory, "test") == {first: [(1,), (2,)]}


def test_a_seed_that_the_winner_diverged_on_is_not_tested(
    study: Study, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    def diverges(spec: TrialSpec) -> bool:
        return spec.is_candidate and spec.number == 1

    simulation = make_simulation(study, diverges=diverges)
    simulation.run_and_close()
    assert [row.seeds for row in memory.rows_of("test")] == [(1,)]


def test_a_cell_whose_confirm_trials_all_diverge_ends_without_a_winner(
    study: Study, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    make_simulation(study, diverges=lambda spec: spec.is_candidate).run_and_close()
    assert memory.winners() == []
    assert memory.rows_of("test") == []
    assert make_simulation(study).board.is_done


def test_nothing_is_tested_while_the_store_takes_no_winner(
    study: Study, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    now_s = [0.0]
    outage = StoreOutage(clock=lambda: now_s[0])
    simulation = make_simulation(study, outage=outage)
    with simulation.board:
        simulation.run(most_ends=8)
        memory.claim_error = StoreError("no route to the store")
        assert simulation.board.launch() is None
        assert not simulation.board.is_done
        assert memory.winners() == []
        memory.claim_error = None
        assert simulation.board.launch() is None  # Too soon to ask again.
        now_s[0] = 60.0
        launch = simulation.board.launch()
    assert launch is not None
    assert launch.spec.phase == "test"
    assert len(memory.winners()) == 1


def test_a_study_with_more_trials_chooses_anew(
    make_study: MakeStudy, study: Study, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    make_simulation(study).run_and_close()
    more = make_study(
        cells=study.cells,
        search=Search(space={"weight_con": Uniform(0, 100)}, trials_per_cell=12),
        confirm=study.confirm,
    )
    make_simulation(more).run_and_close()
    assert {one.num_search_trials for one in memory.winners()} == {4, 12}


def test_checkpoints_of_the_winner_alone_are_kept(
    study: Study, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    make_simulation(study, curve=_second_wins).run_and_close()
    _, second = sorted(_by_params(memory, "search"))[:2]
    winners = {row.trial_key for row in memory.rows_of("confirm") if str(second) in row.params}
    dropped, kept = memory.dropped[-1]
    assert kept == winners
    assert dropped >= {row.trial_key for row in memory.trials()}


def test_the_status_counts_confirm_and_test_trials(
    study: Study, make_simulation: MakeSimulation
) -> None:
    simulation = make_simulation(study)
    simulation.run_and_close(most_ends=7)
    (cell,) = simulation.board.status(1).cells
    assert (cell.phase, cell.confirmed, cell.confirm_planned) == ("confirm", 3, 6)
