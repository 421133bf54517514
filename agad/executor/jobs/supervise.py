"""Starting a study's driver again after a crash, so often and no more."""

from __future__ import annotations

import ctypes
import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

logger = logging.getLogger(__name__)

_PARENT_DEATH_SIGNAL = 1
"""``PR_SET_PDEATHSIG`` of Linux."""

_MOST_PAUSE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervisor:
    """Runs a command until it ends on purpose."""

    final: frozenset[int]
    """Exit codes after which it is not started again, beside 0."""

    refusal: int
    """Exit code for bad input, and for much else that hinders it. It is final too, but not where
    the command has got somewhere or has crashed before: then its input is good, and something
    around it is down, such as a Ray that starts anew."""

    restarts: int
    """How often it is started again in a row without a step between, at least 0."""

    pause_s: float
    """Seconds before the first start anew; each further one in a row waits twice as long."""

    steps: Callable[[], frozenset[str]]
    """Names what is done for good; whatever is new among it is a step forward."""

    def run(self, command: Sequence[str]) -> int:
        """Run the command; return its last exit code, 128 + n for one that signal n ended.

        SIGTERM and Ctrl-C are passed on as SIGTERM, and end it for good.
        """
        stop = threading.Event()
        children: list[subprocess.Popen[bytes]] = []

        def end() -> None:
            stop.set()
            for child in children:
                child.terminate()

        with _on_stop(end):
            known = self.steps()
            failures = 0
            has_run = False
            while True:
                code = _run_once(command, children, stop)
                if code == 0 or code in self.final or stop.is_set():
                    return code
                new = self.steps() - known
                has_run |= bool(new)
                if code == self.refusal and not has_run:
                    return code
                has_run = True
                failures = 1 if new else failures + 1
                known |= new
                if failures > self.restarts:
                    logger.error(
                        "The driver ended with exit code %d, %d times in a row without a step "
                        "forward, and is not started again; the same study goes on from there.",
                        code,
                        failures,
                    )
                    return code
                self._pause(code, failures, stop)
                if stop.is_set():
                    return code

    def _pause(self, code: int, failures: int, stop: threading.Event) -> None:
        pause_s = min(self.pause_s * 2 ** (failures - 1), _MOST_PAUSE_S)
        logger.warning(
            "The driver ended with exit code %d; it is started again in %.0f s (%d of %d in a row "
            "without a step forward).",
            code,
            pause_s,
            failures,
            self.restarts,
        )
        stop.wait(pause_s)


def _run_once(
    command: Sequence[str], children: list[subprocess.Popen[bytes]], stop: threading.Event
) -> int:
    # In a session of its own it gets each signal once, from here; it ends when this process does.
    child = subprocess.Popen(command, start_new_session=True, preexec_fn=_end_with_parent)
    children[:] = [child]
    if stop.is_set():  # Told while it was started.
        child.terminate()
    code = child.wait()
    children.clear()
    return code if code >= 0 else 128 - code


@contextmanager
def _on_stop(act: Callable[[], None]) -> Iterator[None]:
    """Have SIGTERM and Ctrl-C do something, and nothing else."""

    def handle(_signal: int, _frame: FrameType | None) -> None:
        act()

    before = {one: signal.signal(one, handle) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _end_with_parent() -> None:
    """Have the kernel end this process when its parent is killed, which passes nothing on."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM)
