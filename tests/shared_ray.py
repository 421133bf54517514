"""What tests with a Ray share: one local Ray, Ray's own warnings, and the order they run in."""

from __future__ import annotations

import gc
import warnings
from collections import Counter
from collections.abc import Iterator

import pytest


class _SharedRay:
    """A Ray of two slots in this process, between the first test that asks for it and the last."""

    is_up = False

    def start(self) -> None:
        # Imported here because Ray takes a second, which most tests do not need.
        import ray

        if not self.is_up:
            ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
            self.is_up = True

    def stop(self) -> None:
        import ray

        if self.is_up:
            self.is_up = False
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Ray's own, which are of no test.
                ray.shutdown()
                gc.collect()


_RAY = _SharedRay()


@pytest.fixture(scope="session")
def ray_until_the_end(own_ray_folder: None) -> Iterator[None]:  # noqa: ARG001
    """End the shared Ray with the process, before its folder goes."""
    yield
    _RAY.stop()


@pytest.fixture
def shared_ray(ray_until_the_end: None) -> None:  # noqa: ARG001
    """Be connected to the Ray that such tests share; ``run_study`` uses the connection."""
    _RAY.start()


_WARNINGS = (
    "ignore::ResourceWarning",
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)
"""Ray's own, which are of no test."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Pass over Ray's own warnings; where processes share the tests, start the long ones first.

    A file of tests with a Ray is of one process. If a long file came last, the other processes
    would wait for it.
    """
    for item in items:
        if item.get_closest_marker("cluster") is not None:
            for warning in _WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(warning))
    if hasattr(config, "workerinput"):
        num_tests = Counter(item.path for item in items)
        items.sort(key=lambda item: (-_limit_s(item), -num_tests[item.path]))


def _limit_s(item: pytest.Item) -> float:
    """Return the seconds that a test may take, or 0 if the test has no limit of its own."""
    mark = item.get_closest_marker("timeout")
    limit_s: float = mark.args[0] if mark is not None else 0.0
    return limit_s


def pytest_runtest_setup(item: pytest.Item) -> None:
    """End the shared Ray before a test that does not ask for it: it may start one of its own."""
    if not _asks_for_it(item):
        _RAY.stop()


def _asks_for_it(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and "shared_ray" in item.fixturenames
