"""A board whose trials go on from checkpoints: what they decide, and which are dropped."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from agad.config import Grid, Study
from agad.errors import StoreError
from agad.study.attempts import MAX_ATTEMPTS
from agad.study.board import StudyBoard
from agad.study.running import Launch, Progress
from agad.trial import EpochResult, TestResult, TrialSpec

if TYPE_CHECKING:
    from tests.simulation import ListMemory, MakeSimulation, MakeStudy

EASY, HARD = "digits class=0 ratio=0", "digits class=8 ratio=0"


@pytest.fixture
def one_cell(make_study: MakeStudy) -> Study:
    """8 trials of 9 epochs with rungs at 1 and 3, then 2 seeds."""
    return make_study(cells=Grid(dataset="digits", normal_class=0))


def _launched(board: StudyBoard) -> Launch:
    launch = board.launch()
    assert launch is not None
    return launch


def _epochs(first: int, last: int, val_auroc: float, *, num_restored: int = 0) -> Progress:
    """Return the progress of the epochs from the first up to the last, counted from 1."""
    return Progress(
        epochs=tuple(
            EpochResult(
                epoch=epoch,
                objective=val_auroc,
                val_auroc=val_auroc,
                train_s=1.0,
                is_restored=epoch < num_restored,
            )
            for epoch in range(first - 1, last)
        )
    )


def _lead(board: StudyBoard, num: int) -> None:
    """Let so many good trials finish, so that no worse one survives a rung."""
    for _ in range(num):
        key = _launched(board).spec.key
        board.report(key, _epochs(1, 1, 0.9))
        board.report(key, _epochs(2, 3, 0.9))
        board.end(key, _epochs(4, 9, 0.9))


def test_a_rung_that_a_checkpoint_holds_is_not_decided_again(
    one_cell: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    first = make_simulation(one_cell).board
    key = _launched(first).spec.key
    assert first.report(key, _epochs(1, 1, 0.5))
    assert first.report(key, _epochs(2, 3, 0.5))
    # That driver dies; under the next one, trials that are better come to both rungs before.
    with make_simulation(one_cell).board as board:
        again = _launched(board)
        assert (again.spec.key, again.attempt) == (key, 1)
        _lead(board, 3)
        assert board.report(key, _epochs(1, 1, 0.5, num_restored=3))
        assert board.report(key, _epochs(2, 3, 0.5, num_restored=3))
        board.end(key, _epochs(4, 9, 0.5))
    (row,) = [row for row in memory.trials() if row.trial_key == key]
    assert (row.state, row.epochs, row.attempt) == ("finished", 9, 1)
    assert [one.epoch for one in memory.epochs() if one.trial_key == key] == list(range(9))


def test_a_rung_that_is_trained_anew_is_decided(
    one_cell: Study, make_simulation: MakeSimulation
) -> None:
    first = make_simulation(one_cell).board
    key = _launched(first).spec.key
    assert first.report(key, _epochs(1, 1, 0.5))
    with make_simulation(one_cell).board as board:
        _launched(board)
        _lead(board, 3)
        assert board.report(key, _epochs(1, 1, 0.5, num_restored=1))
        assert not board.report(key, _epochs(2, 3, 0.5, num_restored=1))


def test_the_rungs_that_a_checkpoint_holds_count_for_the_trials_after_it(
    one_cell: Study, make_simulation: MakeSimulation
) -> None:
    board = make_simulation(one_cell).board
    restored, other = _launched(board).spec.key, _launched(board).spec.key
    assert board.report(restored, _epochs(1, 1, 0.8, num_restored=3))
    assert not board.report(other, _epochs(1, 1, 0.7))


def test_a_restored_winner_is_confirmed(
    one_cell: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    with make_simulation(one_cell).board as board:
        best = _launched(board).spec
        board.report(best.key, _epochs(1, 1, 0.99, num_restored=9))
        board.report(best.key, _epochs(2, 3, 0.99, num_restored=9))
        board.end(best.key, _epochs(4, 9, 0.99, num_restored=9))
        _lead(board, 7)
        assert _launched(board).spec.params == best.params
    states = {row.trial_key: row.state for row in memory.all_rows}
    assert states[best.key] == "finished"


# Scores.


def test_a_finished_confirm_trial_puts_its_scores_with_its_row(
    one_cell: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    scores, labels = np.array([0.5, 2.25], np.float32), np.array([0, 8], np.int32)
    test = TestResult(auroc=1.0, average_precision=1.0, scores=scores, labels=labels)
    with make_simulation(one_cell).board as board:
        _lead(board, 8)
        confirm = _launched(board).spec
        last = EpochResult(epoch=8, objective=0.9, val_auroc=0.9, train_s=1.0, test=test)
        board.end(confirm.key, Progress(epochs=(last,)))
    assert {(row.trial_key, row.attempt, row.cell) for row in memory.all_scores} == {
        (confirm.key, 0, EASY)
    }
    assert [(row.image, row.label, row.is_anomaly, row.score) for row in memory.all_scores] == [
        (0, 0, False, 0.5),
        (1, 8, True, 2.25),
    ]


# Dropping.


def test_the_checkpoints_of_a_cell_are_dropped_once_it_is_done(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    make_simulation(study, slots=3).run_and_close()
    of_cell = [
        (
            {row.trial_key for row in memory.trials() if row.cell == cell},
            {row.trial_key for row in memory.rows_of("confirm", cell)},
        )
        for cell in (EASY, HARD)
    ]
    assert [len(trials) for trials, _ in of_cell] == [10, 10]
    by_keys = [sorted(drops, key=lambda drop: min(drop[0])) for drops in (memory.dropped, of_cell)]
    assert by_keys[0] == by_keys[1]


def test_nothing_is_dropped_before_a_cell_is_done(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    simulation = make_simulation(study)
    simulation.run_and_close(most_ends=18)
    assert not simulation.board.is_done
    assert memory.dropped == []


def test_a_confirm_trial_that_failed_keeps_no_checkpoint(
    one_cell: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    crashing = make_simulation(
        one_cell, crashes=lambda one: (one.spec.phase, one.spec.number) == ("confirm", 1)
    )
    crashing.run_and_close()
    (finished, failed) = memory.rows_of("confirm")
    assert (finished.state, failed.state, failed.attempt) == (
        "finished",
        "failed",
        MAX_ATTEMPTS - 1,
    )
    ((trial_keys, kept),) = memory.dropped
    assert failed.trial_key in trial_keys
    assert kept == {finished.trial_key}


def test_a_driver_drops_what_an_earlier_one_left_of_its_done_cells(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    make_simulation(study).run_and_close()
    by_end = {frozenset(trial_keys) for trial_keys, _ in memory.dropped}
    memory.dropped.clear()
    with make_simulation(study).board as board:
        assert board.is_done
    ((trial_keys, kept),) = memory.dropped
    assert trial_keys == set().union(*by_end)
    assert kept == {row.trial_key for row in memory.rows_of("confirm")}


def test_the_confirm_trials_of_an_earlier_winner_are_dropped_or_kept_as_they_ended(
    one_cell: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    def best_last(spec: TrialSpec, num_epochs: int) -> float:
        return 0.5 + spec.number / 100 + num_epochs / 10_000

    first = make_simulation(one_cell, curve=best_last)
    first.run_and_close(most_ends=9)  # One seed of the winner; the other is launched and dies.
    first.board.launch()
    old = {claim.trial_key for claim in memory.claims() if claim.phase == "confirm"}
    more = replace(one_cell, search=replace(one_cell.search, trials_per_cell=11))
    make_simulation(more, curve=best_last).run_and_close()
    ((trial_keys, kept),) = memory.dropped
    confirmed = {row.trial_key for row in memory.rows_of("confirm")}
    assert len(old) == 2
    assert old <= trial_keys
    assert kept == confirmed
    assert len(old & kept) == 1


def test_a_store_that_cannot_drop_stops_no_study(
    study: Study,
    memory: ListMemory,
    make_simulation: MakeSimulation,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> None:
        raise StoreError("the store answered 503.")

    monkeypatch.setattr(memory, "drop_checkpoints", fail)
    make_simulation(study).run_and_close()
    assert len(memory.all_rows) == 20
    assert "stay until the next run (the store answered 503.)" in caplog.text
