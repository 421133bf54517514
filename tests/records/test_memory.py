"""A memory that forgets with the process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from agad.errors import OtherDriverError
from agad.records import Claim, EpochRow, Pause, ProcessMemory, StudyMemory, TrialRow, Winner

RowBuilder = Callable[..., TrialRow]

CLAIM = Claim(
    trial_key="ab" * 16,
    attempt=0,
    cell="digits class=0",
    phase="search",
    number=0,
    params={"lr": 0.1},
    seeds=(0,),
)


@pytest.fixture
def memory() -> StudyMemory:
    return ProcessMemory()


def _epoch(row: TrialRow, val_auroc: float) -> EpochRow:
    return EpochRow(
        study=row.study,
        cell=row.cell,
        phase=row.phase,
        trial_key=row.trial_key,
        attempt=row.attempt,
        epoch=0,
        val_auroc=val_auroc,
        train_s=1.0,
    )


def _pause(attempt: int) -> Pause:
    return Pause(
        trial_key=CLAIM.trial_key,
        attempt=attempt,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        seconds=1.0,
        gpu_s=0.0,
        hardware="a processor",
        peak_memory_bytes=None,
        peak_gpu_memory_bytes=None,
        epochs=(),
    )


def test_a_claim_put_again_is_granted_and_another_one_of_its_attempt_is_not(
    memory: StudyMemory,
) -> None:
    assert memory.put_claim(CLAIM)
    assert memory.put_claim(CLAIM)
    assert not memory.put_claim(replace(CLAIM, params={"lr": 0.2}))
    assert memory.put_claim(replace(CLAIM, attempt=1))
    assert memory.claims() == [CLAIM, replace(CLAIM, attempt=1)]


def test_one_driver_at_a_time_holds_the_study(memory: StudyMemory) -> None:
    with memory.hold(), pytest.raises(OtherDriverError, match="let it finish, or stop it"):
        memory.hold().__enter__()
    with memory.hold():
        memory.check_held()


def test_a_study_is_kept_once_it_is_opened(memory: StudyMemory) -> None:
    assert not memory.is_kept({"name": "a-study"})
    memory.open({"name": "a-study"})
    assert memory.is_kept({"name": "a-study"})
    assert not memory.is_kept({"name": "another"})


def test_trials_are_the_best_rows_of_their_keys_and_epochs_are_theirs(
    memory: StudyMemory, make_row: RowBuilder
) -> None:
    failed = make_row(state="failed", error="Traceback")
    finished = replace(failed, attempt=1, state="finished", error="")
    again = replace(finished, attempt=2)
    for row, val_auroc in ((again, 0.7), (failed, 0.5), (finished, 0.6), (finished, 0.8)):
        memory.put(row, [_epoch(row, val_auroc)])
    assert memory.trials() == [finished]
    assert memory.epochs() == [_epoch(finished, 0.6)]


def test_an_attempt_that_was_given_up_or_paused_is_released(memory: StudyMemory) -> None:
    memory.release("cd" * 16, 3)
    for attempt in (1, 0):
        memory.put_pause(_pause(attempt))
    assert memory.released() == {("cd" * 16, 3), (CLAIM.trial_key, 0), (CLAIM.trial_key, 1)}
    assert memory.pauses([CLAIM.trial_key, "ef" * 16]) == [_pause(1)]
    assert memory.pauses(["ef" * 16]) == []


def test_the_first_winner_of_a_cell_stays_its_winner(memory: StudyMemory) -> None:
    first = Winner(
        cell=CLAIM.cell, num_search_trials=8, num_seeds=2, params={"lr": 0.1}, val_auroc=0.9
    )
    longer = replace(first, num_search_trials=16)
    assert memory.put_winner(first) == first
    assert memory.put_winner(replace(first, params={"lr": 0.2})) == first
    assert memory.put_winner(longer) == longer
    assert memory.winners() == [first, longer]
