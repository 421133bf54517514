"""A driver's process: told apart from every other process, and known to have ended or not."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PID_NAMESPACE = Path("/proc/self/ns/pid")

_ENDED = ("Z", "X")
"""States of a process that has ended, but whose parent has not been told yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """A process on one host. If the system does not tell, a text is empty and a number 0."""

    host: str
    """Name of the host."""

    boot: str
    """Identifier that changes whenever the host starts anew."""

    namespace: str
    """Scope of the process number: two containers of one host each count their own processes."""

    pid: int
    started: int
    """Clock ticks from the host's start to the process's start: process numbers are used again."""

    def __str__(self) -> str:
        return f"the driver on {self.host} (process {self.pid})"

    @property
    def is_dead(self) -> bool:
        """Whether the process is known to have ended; always False if this host cannot see it."""
        here = this_driver()
        places = [(one.host, one.boot, one.namespace) for one in (self, here)]
        if places[0] != places[1] or not all(places[0]) or not self.started:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass  # The process exists, and belongs to another user.
        state, started = _state_and_start(self.pid)
        return state in _ENDED or started not in (0, self.started)


def this_driver() -> Driver:
    """Return the driver that this process is."""
    return Driver(
        host=socket.gethostname(),
        boot=_text(_BOOT_ID),
        namespace=_link(_PID_NAMESPACE),
        pid=os.getpid(),
        started=_state_and_start(os.getpid())[1],
    )


def _state_and_start(pid: int) -> tuple[str, int]:
    """Return a process's one-letter state and when it started; ``""`` and 0 if not known."""
    # The name, in brackets, may hold anything; the state is field 3, the start field 22.
    fields = _text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return (fields[0], int(fields[19])) if len(fields) > 19 else ("", 0)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""
