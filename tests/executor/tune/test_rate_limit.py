"""What may wait is done now and then, and the more rarely the longer it takes."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest

from agad.executor.tune.rate_limit import RateLimit


@dataclass
class _Clock:
    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize(("took_s", "num_done"), [(0.001, 20), (0.1, 2)], ids=["quick", "slow"])
def test_a_throttle_keeps_to_its_period_and_to_its_share(took_s: float, num_done: int) -> None:
    clock = _Clock()
    throttle = RateLimit(0.5, 0.02, clock)
    starts: list[float] = []

    def act() -> None:
        starts.append(clock.now_s)
        clock.now_s += took_s

    for step in range(1000):
        clock.now_s = max(clock.now_s, step / 100)
        throttle.run(act)
    assert starts[0] == 0.0
    assert len(starts) == num_done
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert min(gaps) >= max(0.5, took_s / 0.02)
