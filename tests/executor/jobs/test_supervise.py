"""A driver that crashes is started again, as long as it gets somewhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agad.executor.jobs import Supervisor

DRIVER = """
import os, pathlib, signal, sys
starts = pathlib.Path(sys.argv[1])
number = len(list(starts.iterdir()))
(starts / str(number)).touch()
codes = [int(code) for code in sys.argv[2].split(",")]
code = codes[min(number, len(codes) - 1)]
os.kill(os.getpid(), -code) if code < 0 else sys.exit(code)
"""


@pytest.fixture
def starts(tmp_path: Path) -> Path:
    folder = tmp_path / "starts"
    folder.mkdir()
    return folder


def supervise(
    starts: Path,
    codes: str,
    *,
    restarts: int = 2,
    steps: Callable[[], frozenset[str]] = frozenset,
) -> tuple[int, int]:
    """Supervise a driver that ends with these codes, the last one again; count its starts."""
    supervisor = Supervisor(
        final=frozenset({3, 4, 130}), refusal=2, restarts=restarts, pause_s=0.01, steps=steps
    )
    code = supervisor.run([sys.executable, "-c", DRIVER, str(starts), codes])
    return code, len(list(starts.iterdir()))


@pytest.mark.parametrize("code", [0, 2, 3, 4, 130])
def test_a_driver_that_ends_on_purpose_is_not_started_again(starts: Path, code: int) -> None:
    assert supervise(starts, str(code)) == (code, 1)


def test_a_driver_that_crashes_is_started_until_it_is_done(starts: Path) -> None:
    assert supervise(starts, "1,-9,0") == (0, 3)


def test_a_driver_that_gets_nowhere_is_given_up_with_its_own_exit_code(
    starts: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert supervise(starts, "1,7,-9") == (137, 3)
    assert "exit code 137, 3 times in a row without a step forward" in caplog.text


def test_no_restart_is_allowed(starts: Path) -> None:
    assert supervise(starts, "7", restarts=0) == (7, 1)


def test_each_step_forward_starts_the_count_anew(starts: Path) -> None:
    def steps() -> frozenset[str]:
        num_starts = len(list(starts.iterdir()))
        return frozenset(f"row {number}" for number in range(min(num_starts, 4)))

    assert supervise(starts, "9", restarts=2, steps=steps) == (9, 6)


def test_what_hinders_a_driver_that_has_run_is_no_bad_input(starts: Path) -> None:
    assert supervise(starts, "1,2,0") == (0, 3)


def test_what_hinders_a_driver_that_has_got_somewhere_is_no_bad_input(starts: Path) -> None:
    def steps() -> frozenset[str]:
        return frozenset({"row"}) if list(starts.iterdir()) else frozenset()

    assert supervise(starts, "2,0", steps=steps) == (0, 2)


def test_a_row_that_a_compaction_takes_away_is_no_step(starts: Path) -> None:
    def steps() -> frozenset[str]:
        return frozenset({"row"}) if not list(starts.iterdir()) else frozenset()

    assert supervise(starts, "9", restarts=1, steps=steps) == (9, 2)


PATIENT = """
import pathlib, signal, sys, time
heard = []
signal.signal(signal.SIGTERM, lambda *_: heard.append(1))
pathlib.Path(sys.argv[1], "ready").touch()
while not heard:
    time.sleep(0.02)
time.sleep(0.5)
pathlib.Path(sys.argv[1], f"heard-{len(heard)}").touch()
sys.exit(130)
"""


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_stop_reaches_the_driver_once_and_is_the_end(starts: Path, stop: signal.Signals) -> None:
    def send() -> None:
        while not (starts / "ready").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), stop)

    supervisor = Supervisor(final=frozenset(), refusal=2, restarts=5, pause_s=0.01, steps=frozenset)
    before = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)]
    thread = threading.Thread(target=send)
    thread.start()
    code = supervisor.run([sys.executable, "-c", PATIENT, str(starts)])
    thread.join()
    assert code == 130
    assert {path.name for path in starts.iterdir()} == {"ready", "heard-1"}
    assert [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)] == before


def test_a_driver_ends_with_a_supervisor_that_is_killed(starts: Path) -> None:
    code = (
        "import sys; from agad.executor.jobs import Supervisor; "
        "Supervisor(final=frozenset(), refusal=2, restarts=0, pause_s=1, steps=frozenset)"
        f".run([sys.executable, '-c', {PATIENT!r}, sys.argv[1]])"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(starts)]) as supervisor:
        end_s = time.monotonic() + 30
        while not (starts / "ready").exists() and time.monotonic() < end_s:
            time.sleep(0.05)
        supervisor.kill()
    while not (starts / "heard-1").exists():
        assert time.monotonic() < end_s, "the driver lives on"
        time.sleep(0.05)
