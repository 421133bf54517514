"""A worker that looks now and then whether its node drains."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from agad.executor.tune.preemption import DrainWatch


@dataclass
class Clock:
    """A clock that stands still until it is set."""

    now_s: float

    def __call__(self) -> float:
        return self.now_s


def test_a_worker_looks_every_3_seconds_however_often_it_is_asked() -> None:
    clock = Clock(100.0)
    looks: list[float] = []

    def look() -> bool:
        looks.append(clock.now_s)
        return False

    watch = DrainWatch(look, clock)
    for moment_s in (100.0, 101.0, 102.9, 103.0, 103.1, 106.0):
        clock.now_s = moment_s
        assert not watch.is_draining()
    assert looks == [100.0, 103.0, 106.0]


def test_a_node_that_drains_is_not_looked_at_again() -> None:
    answers = iter([False, True])
    clock = Clock(0.0)
    watch = DrainWatch(lambda: next(answers), clock)
    found = []
    for moment_s in (0.0, 3.0, 6.0, 9.0):
        clock.now_s = moment_s
        found.append(watch.is_draining())
    assert found == [False, True, True, True]


def test_a_process_outside_of_ray_is_never_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    assert not DrainWatch().is_draining()
