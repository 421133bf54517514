"""One local Ray for all tests that leave it as it is, whichever file they stand in."""

from __future__ import annotations

import gc
import warnings
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


def pytest_runtest_setup(item: pytest.Item) -> None:
    """End the shared Ray before a test that does not ask for it: it may start one of its own."""
    if not _asks_for_it(item):
        _RAY.stop()


def _asks_for_it(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and "shared_ray" in item.fixturenames
