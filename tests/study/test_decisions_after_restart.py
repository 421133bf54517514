"""Rungs that a later driver decides anew, since no checkpoint of what went on was written."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest

from agad.config import Grid, Study
from agad.records import TrialRow
from agad.search import rung_table
from tests.simulation import ListMemory

if TYPE_CHECKING:
    from tests.simulation import MakeSimulation, MakeStudy


@pytest.fixture
def one_cell(make_study: MakeStudy) -> Study:
    """8 trials of 9 epochs with rungs at 1 and 3, then 2 seeds."""
    return make_study(cells=Grid(dataset="digits", normal_class=0))


def _search(memory: ListMemory) -> list[tuple[str, str, str, int]]:
    """Return key, state, reason and epochs of each search trial, in order of its number."""
    return [
        (row.trial_key, row.state, row.stop_reason, row.epochs) for row in memory.rows_of("search")
    ]


def _run_killed(
    make_simulation: MakeSimulation, study: Study, memory: ListMemory, seed: int, slots: int
) -> None:
    """Run a study whose drivers are killed after a random number of decisions each."""
    rng = np.random.default_rng(seed)
    for _ in itertools.count():
        simulation = make_simulation(study, kept_in=memory, slots=slots)
        if simulation.board.is_done:
            return
        simulation.board.__enter__()
        simulation.run(most_ends=int(rng.integers(1, 4)))
        # What was written arrived; what runs goes on past no checkpoint.
        simulation.board._writes.finish()


def test_a_serial_study_decides_anew_as_it_decided_before(
    one_cell: Study, make_simulation: MakeSimulation
) -> None:
    whole = ListMemory()
    make_simulation(one_cell, kept_in=whole).run_and_close()
    for num_decisions in range(1, 12):
        memory = ListMemory()
        killed = make_simulation(one_cell, kept_in=memory)
        killed.board.__enter__()
        for _ in range(num_decisions):
            killed._fill()
            killed._advance(*killed.running.pop(0))
        killed.board._writes.finish()
        make_simulation(one_cell, kept_in=memory).run_and_close()
        assert _search(memory) == _search(whole)


@pytest.mark.parametrize("seed", range(6))
def test_decisions_taken_anew_agree_with_the_recorded_rungs(
    one_cell: Study, make_simulation: MakeSimulation, seed: int
) -> None:
    memory = ListMemory()
    _run_killed(make_simulation, one_cell, memory, seed, slots=4)
    rows = memory.rows_of("search")
    assert len(rows) == 8
    assert max(row.attempt for row in rows) > 0
    epochs = memory.epochs()
    at_rung = {
        (one.trial_key, one.epoch + 1): one.val_auroc for one in epochs if one.phase == "search"
    }
    table = rung_table(one_cell.scheduler, memory.trials(), epochs)
    assert [one.num_promoted for one in table] == [
        sum(row.epochs > rung for row in rows) for rung in one_cell.scheduler.milestones
    ]
    assert [one.num_entered for one in table] == [
        sum(row.epochs >= rung for row in rows) for rung in one_cell.scheduler.milestones
    ]
    for row in rows:
        assert row.epochs in (1, 3, 9)
        assert row.state == ("finished" if row.epochs == 9 else "pruned")
        if row.state == "pruned":
            others = [
                value
                for (key, num_epochs), value in at_rung.items()
                if num_epochs == row.epochs and key != row.trial_key and value is not None
            ]
            _check_reason(row, others)


def _check_reason(row: TrialRow, others: list[float]) -> None:
    """The cutoff that stopped a trial is that of as many others as its row says."""
    told = re.search(
        r"AUROC ([\d.]+) does not beat ([\d.]+), .* of (\d+) before it", row.stop_reason
    )
    assert told is not None
    objective, bar, num = float(told[1]), float(told[2]), int(told[3])
    assert objective == pytest.approx(row.val_auroc, abs=1e-6)
    assert objective <= bar
    cutoffs = [float(np.quantile(some, 1 - 1 / 3)) for some in itertools.combinations(others, num)]
    assert min(abs(bar - one) for one in cutoffs) < 1e-6
