"""Start a study's driver again after a crash, a limited number of times."""

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
    """Runs a command, again after each crash, until the command ends on purpose."""

    final: frozenset[int]
    """Exit codes, beside 0, after which the command is not started again."""

    refusal: int
    """Exit code for bad input, and for many other obstacles. The code is final too, unless the
    command has made a step or has crashed before. Then its input is good, and something around it
    is down: for example, Ray is starting again."""

    restarts: int
    """The most restarts in a row without a step between them, at least 0."""

    pause_s: float
    """Seconds before the first restart; each further restart in a row waits twice as long."""

    steps: Callable[[], frozenset[str]]
    """Returns the names of all work that is done for good; a new name is a step forward."""

    def run(self, command: Sequence[str]) -> int:
        """Run the command; return its last exit code, or 128 + n if signal n ended it.

        SIGTERM and Ctrl-C are passed on as SIGTERM, and end the command for good.
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
    # In its own session, the child gets each signal once, from here. It ends with this process.
    child = subprocess.Popen(command, start_new_session=True, preexec_fn=_end_with_parent)
    children[:] = [child]
    if stop.is_set():  # The signal came while the child was started.
        child.terminate()
    code = child.wait()
    children.clear()
    return code if code >= 0 else 128 - code


@contextmanager
def _on_stop(act: Callable[[], None]) -> Iterator[None]:
    """Let SIGTERM and Ctrl-C call a function, and do nothing else."""

    def handle(_signal: int, _frame: FrameType | None) -> None:
        act()

    before = {one: signal.signal(one, handle) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _end_with_parent() -> None:
    """Let the kernel end this process when its parent is killed: SIGKILL is not passed on."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM)
