"""The retry loop, without waiting."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable

import pytest

from agad.errors import StoreError
from agad.objects import Backoff, TransientError, retry


def _failing(num_failures: int, error: StoreError) -> Callable[[], int]:
    """Return a function that counts its calls, and fails at the first few."""
    num_calls = 0

    def action() -> int:
        nonlocal num_calls
        num_calls += 1
        if num_calls <= num_failures:
            raise error
        return num_calls

    return action


def test_retry_returns_at_once_what_succeeds() -> None:
    waits: list[float] = []
    assert retry(_failing(0, TransientError("busy")), sleep=waits.append) == 1
    assert waits == []


def test_retry_waits_below_a_bound_that_doubles_up_to_the_limit() -> None:
    waits: list[float] = []
    backoff = Backoff(attempts=6, first_s=1.0, limit_s=4.0)
    action = _failing(5, TransientError("busy"))
    assert retry(action, backoff=backoff, sleep=waits.append, rng=_Longest()) == 6
    assert waits == [1.0, 2.0, 4.0, 4.0, 4.0]


def test_retry_draws_its_waits_so_that_clients_come_back_apart() -> None:
    waits: list[float] = []
    retry(_failing(7, TransientError("busy")), sleep=waits.append, rng=random.Random(0))
    assert len(set(waits)) == 7
    assert all(0 <= wait <= 5 for wait in waits)


def test_retry_raises_the_last_error_when_attempts_run_out() -> None:
    waits: list[float] = []
    with pytest.raises(TransientError, match="busy"):
        retry(_failing(3, TransientError("busy")), backoff=Backoff(attempts=3), sleep=waits.append)
    assert len(waits) == 2


def test_retry_leaves_another_error_alone() -> None:
    waits: list[float] = []
    with pytest.raises(StoreError, match="denied"):
        retry(_failing(1, StoreError("denied")), sleep=waits.append)
    assert waits == []


def test_retry_makes_no_attempt_after_the_deadline() -> None:
    num_calls = 0

    def stall() -> None:
        nonlocal num_calls
        num_calls += 1
        time.sleep(0.2)
        raise TransientError(f"stalled {num_calls}")

    backoff = Backoff(attempts=100, first_s=0.0, deadline_s=0.5)
    with pytest.raises(TransientError, match=r"stalled 3"):
        retry(stall, backoff=backoff)


@pytest.mark.parametrize(
    ("first_s", "levels"),
    [
        pytest.param(1.0, ["INFO"], id="short"),
        pytest.param(4.0, ["WARNING"], id="more-than-3-s"),
    ],
)
def test_retry_says_so_when_it_takes_long(
    first_s: float, levels: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    backoff = Backoff(attempts=2, first_s=first_s)
    action = _failing(1, TransientError("s3://b/key is busy."))
    retry(action, backoff=backoff, sleep=_ignore, rng=_Longest())
    assert [record.levelname for record in caplog.records] == levels
    assert caplog.messages == [f"s3://b/key is busy. Attempt 2 follows in {first_s} s."]


def _ignore(_seconds: float) -> None:
    """Wait for no time at all."""


class _Longest(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return max(a, b)
