"""A Ray head of a test's own, with its job server, that ends with the test."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BIN = Path(sys.executable).parent


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def environment(folder: Path | str, **more: str) -> dict[str, str]:
    """Return variables with a home, a store and a cache of their own in a folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    places = {
        "HOME": f"{folder}/home",
        "AGAD_STORE": f"{folder}/default-store",
        "AGAD_CACHE": f"{folder}/cache",
    }
    return kept | places | {"PATH": f"{BIN}:{kept['PATH']}", "COLUMNS": "100"} | more


def end_processes_of(marker: str) -> None:
    """Kill what carries the marker in its environment, and nothing else."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (folder / "environ").read_bytes():
                os.kill(int(folder.name), signal.SIGKILL)
        except OSError:
            continue  # It ended meanwhile, or belongs to somebody else.


@contextmanager
def ray_head(*more: str, auth: str = "token", **settings: str) -> Iterator[dict[str, str]]:
    """A Ray head with its job server on loopback, and the environment that reaches it.

    Args:
        more: Flags of ``ray start``.
        auth: Ray's mode of authentication.
        settings: Variables of its processes.
    """
    folder = tempfile.mkdtemp(prefix="agad-ray-", dir="/tmp")  # Socket paths must be short.
    marker = f"AGAD_TEST_RAY_{secrets.token_hex(8)}"
    gcs, dashboard, agent = free_port(), free_port(), free_port()
    variables = environment(
        folder,
        RAY_AUTH_MODE=auth,
        RAY_AUTH_TOKEN=secrets.token_hex(32),
        AGAD_TEST_MARKER=marker,
        AGAD_TEST_GCS=f"127.0.0.1:{gcs}",
        **settings,
    )
    start = ["ray", "start", "--head", "--num-cpus=2", f"--port={gcs}", f"--temp-dir={folder}"]
    start += ["--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1"]
    # Two Rays that start beside each other race for the agent's default port.
    start += [f"--dashboard-port={dashboard}", f"--dashboard-agent-listen-port={agent}"]
    subprocess.run(
        [*start, *more, "--disable-usage-stats"],
        env=variables,
        check=True,
        capture_output=True,
        timeout=120,
    )
    try:
        yield variables | {"RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}"}
    finally:
        end_processes_of(marker)
        shutil.rmtree(folder, ignore_errors=True)
