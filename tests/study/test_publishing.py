"""The driver's bulletins: they come, they end as the driver does, and they harm nothing."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from agad.errors import OtherDriverError, StoreError, TrialsFailingError
from agad.records import Bulletin, StudyStatus
from agad.study.publishing import Publisher

if TYPE_CHECKING:
    from tests.simulation import ListMemory

STATUS = StudyStatus(study="a-study", cells=(), elapsed_s=5.0, slots=2)


def _wait_for(memory: ListMemory, count: int) -> None:
    end_s = time.monotonic() + 10
    while len(memory.bulletins) < count:
        assert time.monotonic() < end_s, memory.bulletins
        time.sleep(0.005)


def _end_by(error: BaseException, memory: ListMemory) -> None:
    with Publisher(memory, every_s=60) as publisher:
        publisher.show(STATUS)
        _wait_for(memory, 1)
        raise error


def test_bulletins_go_on_while_nothing_happens_and_their_time_does_too(memory: ListMemory) -> None:
    with Publisher(memory, every_s=0.02) as publisher:
        publisher.show(STATUS)
        _wait_for(memory, 4)
    told = memory.bulletins[:4]
    assert {one.state for one in told} == {"running"}
    assert told[3].status.elapsed_s > told[0].status.elapsed_s >= 5.0
    assert told[3].at > told[0].at


def test_the_last_bulletin_has_the_last_status_and_says_that_the_study_is_done(
    memory: ListMemory,
) -> None:
    with Publisher(memory, every_s=60) as publisher:
        publisher.show(STATUS)
        _wait_for(memory, 1)
        publisher.show(StudyStatus(study="a-study", cells=(), elapsed_s=9.0, slots=2))
    last = memory.bulletins[-1]
    assert (last.state, last.reason) == ("done", "")
    assert last.status.elapsed_s >= 9.0


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (KeyboardInterrupt(), "interrupted", ""),
        (TrialsFailingError("12 trials\nin a row"), "failed", "12 trials in a row"),
        (ValueError("the-password"), "failed", "ValueError, see its log"),
    ],
    ids=["interrupted", "ours", "another"],
)
def test_the_last_bulletin_says_how_the_driver_ended(
    memory: ListMemory, error: BaseException, state: str, reason: str
) -> None:
    with pytest.raises(type(error)):
        _end_by(error, memory)
    assert (memory.bulletins[-1].state, memory.bulletins[-1].reason) == (state, reason)


def test_a_driver_that_lost_its_study_says_nothing_more(memory: ListMemory) -> None:
    with pytest.raises(OtherDriverError):
        _end_by(OtherDriverError("another one has it"), memory)
    assert [one.state for one in memory.bulletins] == ["running"]


def test_a_memory_that_fails_harms_nothing_and_is_told_again(memory: ListMemory) -> None:
    memory.hold_error = StoreError("no network")
    with Publisher(memory, every_s=0.02) as publisher:
        publisher.show(STATUS)
        time.sleep(0.1)
        assert memory.bulletins == []
        memory.hold_error = None
        _wait_for(memory, 1)


def test_a_memory_that_does_not_answer_holds_nothing_up(
    memory: ListMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()

    def stall(_: Bulletin) -> None:
        answers.wait(30)

    monkeypatch.setattr(memory, "put_bulletin", stall)
    monkeypatch.setattr("agad.study.publishing._LAST_S", 0.1)
    start_s = time.monotonic()
    with Publisher(memory) as publisher:
        for _ in range(100):
            publisher.show(STATUS)
    assert time.monotonic() - start_s < 5
    answers.set()


def test_where_nothing_was_shown_nothing_is_told(memory: ListMemory) -> None:
    with Publisher(memory):
        pass
    assert memory.bulletins == []
