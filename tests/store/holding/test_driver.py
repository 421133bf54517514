"""Which driver is known to be dead."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace

import pytest

from agad.store.holding.driver import Driver, this_driver

_CHILD = """
import dataclasses, json, time
from agad.store.holding.driver import this_driver
print(json.dumps(dataclasses.asdict(this_driver())), flush=True)
time.sleep(60)
"""


@pytest.fixture
def child() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-c", _CHILD], stdout=subprocess.PIPE, text=True) as one:
        yield one
        one.kill()


def test_this_driver_is_not_dead() -> None:
    here = this_driver()
    assert here.pid == os.getpid()
    assert here.started > 0
    assert not here.is_dead


def test_a_killed_driver_is_dead_before_and_after_its_parent_hears_of_it(
    child: subprocess.Popen[str],
) -> None:
    assert child.stdout is not None
    driver = Driver(**json.loads(child.stdout.readline()))
    is_dead = [driver.is_dead]
    os.kill(child.pid, signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # A zombie from now on.
    is_dead.append(driver.is_dead)
    child.wait()
    is_dead.append(driver.is_dead)
    assert is_dead == [False, True, True]


def test_a_driver_whose_number_another_process_has_now_is_dead() -> None:
    here = this_driver()
    assert replace(here, started=here.started - 1).is_dead


@pytest.mark.parametrize("place", ["host", "boot", "namespace"])
def test_a_driver_of_another_place_is_never_known_to_be_dead(place: str) -> None:
    gone = asdict(this_driver()) | {"pid": 2**22 + 1}
    assert Driver(**gone).is_dead
    assert not Driver(**gone | {place: "another"}).is_dead


def test_a_driver_that_the_system_does_not_tell_of_is_never_known_to_be_dead() -> None:
    assert not replace(this_driver(), pid=2**22 + 1, started=0).is_dead
