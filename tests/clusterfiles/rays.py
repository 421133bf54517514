"""Ray heads of a test's own, which end with it, and what runs under them."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent

_MARK = "AGAD_TEST_CLUSTER"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@dataclass(frozen=True)
class Head:
    """A head, and the environment of all that belongs to it."""

    address: str
    variables: dict[str, str]

    def processes(self, name: str = "") -> list[int]:
        """Return what runs under it, the driver included, with a name in its command."""
        mark = f"{_MARK}={self.variables[_MARK]}".encode()
        pids = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # It ended meanwhile, or belongs to somebody else.
                if (
                    mark in (folder / "environ").read_bytes()
                    and name.encode() in (folder / "cmdline").read_bytes()
                ):
                    pids.append(int(folder.name))
        return pids

    def kill(self, name: str = "") -> None:
        """Kill them without a warning."""
        for pid in self.processes(name):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextmanager
def ray_head(
    *flags: str, with_variables: Callable[[str], dict[str, str]] = lambda _: {}
) -> Iterator[Head]:
    """Start a head on loopback, with a token, a home and a cache of its own.

    Args:
        flags: Of ``ray start``, beside these.
        with_variables: More of its environment, from its address.
    """
    folder = tempfile.mkdtemp(prefix="agad-ray-", dir="/tmp")  # Socket paths must be short.
    port, dashboard, agent = free_port(), free_port(), free_port()
    address = f"127.0.0.1:{port}"
    own = {
        "HOME": f"{folder}/home",
        "AGAD_CACHE": f"{folder}/cache",
        "AGAD_SPOOL": f"{folder}/spool",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        _MARK: secrets.token_hex(8),
        "PATH": f"{BIN}:{os.environ['PATH']}",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    head = Head(address, kept | own | with_variables(address))
    command = ["ray", "start", "--head", f"--port={port}", f"--temp-dir={folder}"]
    command += ["--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1"]
    # Two Rays that start beside each other race for the agent's default port.
    command += [f"--dashboard-port={dashboard}", f"--dashboard-agent-listen-port={agent}"]
    try:
        run([*command, "--disable-usage-stats", *flags], head, limit_s=120)
        yield head
    finally:
        head.kill()
        shutil.rmtree(folder, ignore_errors=True)


def run(command: Sequence[str], head: Head, limit_s: float) -> str:
    """Run a command under a head, to its good end; return what it printed."""
    done = subprocess.run(
        command,
        env=head.variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=limit_s,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def wait_until(is_so: Callable[[], object], what: str, limit_s: float = 120.0) -> None:
    end_s = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < end_s, f"{what} did not come within {limit_s:.0f} s"
        time.sleep(0.1)
