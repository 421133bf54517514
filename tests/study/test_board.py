"""A whole study without Ray: who is served, what is stored, who survives."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from agad.config import Asha, Grid, Median, NoStopping, Search, Study, Uniform
from agad.search import rung_table
from agad.study.running import Progress
from agad.trial import EpochResult, TrialSpec

if TYPE_CHECKING:
    from tests.simulation import Curve, ListMemory, MakeSimulation, MakeStudy

EASY, HARD = "digits class=0 ratio=0", "digits class=8 ratio=0"


def _easy_and_hard(spec: TrialSpec, num_epochs: int) -> float:
    level = 0.95 if spec.cell.normal_class == 0 else 0.60
    return level + float(spec.params["weight_con"]) / 10_000 + num_epochs / 100_000


# Every planned trial, once.


@pytest.mark.parametrize("slots", [1, 3, 16])
def test_a_board_puts_every_planned_trial_exactly_once(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation, slots: int
) -> None:
    make_simulation(study, slots=slots).run_and_close()
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
    make_simulation(study, slots=3).run_and_close()
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
    make_simulation(study, slots=3).run_and_close()
    assert len(memory.all_rows) == 20


def test_a_finished_row_has_every_epoch_and_the_last_auroc(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation, worst_last: Curve
) -> None:
    make_simulation(study, curve=worst_last).run_and_close()
    row = memory.rows_of("search", EASY)[0]
    epochs = [one for one in memory.epochs() if one.trial_key == row.trial_key]
    assert (row.state, row.epochs, row.stop_reason, row.error) == ("finished", 9, "", "")
    assert [one.epoch for one in epochs] == list(range(9))
    assert row.val_auroc == epochs[-1].val_auroc == 0.9 + 9 / 10_000


def test_a_pruned_row_says_after_which_epoch(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation, worst_last: Curve
) -> None:
    make_simulation(study, curve=worst_last).run_and_close()
    row = memory.rows_of("search", EASY)[1]
    assert (row.state, row.epochs) == ("pruned", 1)
    assert row.stop_reason == (
        "ASHA, rung 0 after 1 epoch: validation AUROC 0.890100 does not beat 0.900100, "
        "the 1 - 1/3 quantile of 1 before it"
    )


def test_a_diverged_row_says_what_was_not_finite(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    make_simulation(study, diverges=lambda spec: spec.number == 0).run_and_close()
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
    make_simulation(study).run_and_close()
    rows = memory.rows_of("search")
    assert {row.test_auroc for row in rows} == {None}
    assert {row.test_average_precision for row in rows} == {None}


def test_a_confirm_row_has_a_test_score_and_a_fresh_seed(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    make_simulation(study).run_and_close()
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
            epochs=tuple(
                EpochResult(epoch=one, objective=0.5, val_auroc=0.5, train_s=1.0) for one in epochs
            )
        )

    with make_simulation(study).board as board:
        launch = board.launch()
        assert launch is not None
        for progress in (some(0), some(1), some(2), some(3, 4), some(3, 4)):
            assert board.report(launch.spec.key, progress)
        board.end(launch.spec.key, some(5, 6, 7, 8))
    assert [row.epoch for row in memory.epochs()] == list(range(9))


@pytest.mark.parametrize("slots", [1, 5])
def test_a_board_puts_every_planned_trial_of_every_variant_exactly_once(
    make_study: MakeStudy, memory: ListMemory, make_simulation: MakeSimulation, slots: int
) -> None:
    grid = Grid(
        dataset="digits",
        normal_class=["0", 8],
        pollution_ratio=[0.0, 0.1],
        labelled_classes=["all", 1, (3, 5)],
    )
    study = make_study(cells=grid)
    make_simulation(study, slots=slots).run_and_close()
    planned = [
        (cell.label, phase, number)
        for cell in grid.all_cells
        for phase, count in (("search", 8), ("confirm", 2))
        for number in range(count)
    ]
    rows = [(row.cell, row.phase, row.number) for row in memory.trials()]
    assert sorted(rows) == sorted(planned)
    assert len(set(memory.row_keys)) == 12 * 10
    with make_simulation(study).board as board:
        assert board.is_done


# Cells.


def test_a_board_serves_the_cell_that_is_furthest_behind_first(
    study: Study, make_simulation: MakeSimulation
) -> None:
    launches = make_simulation(study).run_and_close()
    searched = [one.spec.cell.label for one in launches if one.spec.phase == "search"]
    ahead = [searched[:n].count(EASY) - searched[:n].count(HARD) for n in range(len(searched))]
    assert {abs(one) for one in ahead} == {0, 1}


def test_a_cell_that_was_left_behind_catches_up(
    make_study: MakeStudy, make_simulation: MakeSimulation
) -> None:
    first = make_study(cells=Grid(dataset="digits", normal_class=0))
    make_simulation(first).run_and_close(most_ends=4)
    launches = make_simulation(make_study()).run_and_close(most_ends=4)
    assert [one.spec.cell.label for one in launches] == [HARD] * 4


def test_an_easy_and_a_hard_cell_both_have_survivors_at_every_rung(
    make_study: MakeStudy, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    study = make_study(
        search=Search(space={"weight_con": Uniform(0, 100)}, trials_per_cell=30),
        scheduler=Asha(max_epochs=27, grace_period=3, reduction_factor=3),
    )
    make_simulation(study, slots=4, curve=_easy_and_hard).run_and_close()
    for cell in (EASY, HARD):
        epochs = Counter(row.epochs for row in memory.rows_of("search", cell))
        assert set(epochs) == {3, 9, 27}


def test_status_counts_running_trials_by_cell(
    study: Study, make_simulation: MakeSimulation
) -> None:
    with make_simulation(study).board as board:
        for _ in range(3):
            launch = board.launch()
            assert launch is not None
            board.start(launch.spec.key)
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


@pytest.mark.parametrize("scheduler", [Asha(max_epochs=9), Median(max_epochs=9, min_trials=2)])
def test_the_rung_table_is_rebuilt_from_the_rows(
    make_study: MakeStudy,
    memory: ListMemory,
    make_simulation: MakeSimulation,
    worst_last: Curve,
    scheduler: Asha | Median,
) -> None:
    make_simulation(make_study(scheduler=scheduler), curve=worst_last).run_and_close()
    trials = memory.rows_of("search", EASY) + memory.rows_of("confirm", EASY)
    table = rung_table(scheduler, trials, [row for row in memory.epochs() if row.cell == EASY])
    searched = memory.rows_of("search", EASY)
    assert [rung.num_epochs for rung in table] == list(scheduler.milestones)
    for rung in table:
        assert rung.num_entered == sum(row.epochs >= rung.num_epochs for row in searched)
        assert rung.num_promoted == sum(row.epochs > rung.num_epochs for row in searched)
    stopped = [row for row in searched if row.state == "pruned"]
    assert stopped
    assert all(f"after {row.epochs} epoch" in row.stop_reason for row in stopped)


def test_without_stopping_every_trial_trains_to_the_end(
    make_study: MakeStudy, memory: ListMemory, make_simulation: MakeSimulation, worst_last: Curve
) -> None:
    study = make_study(scheduler=NoStopping(max_epochs=9))
    make_simulation(study, curve=worst_last).run_and_close()
    rows = memory.rows_of("search")
    assert {(row.state, row.epochs, row.stop_reason) for row in rows} == {("finished", 9, "")}
    assert rung_table(study.scheduler, rows, memory.epochs()) == []
