"""A Ray cluster of several nodes on this machine, of which a test takes some away."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import ray
from ray.cluster_utils import Cluster

MakeNodes: TypeAlias = Callable[[int], "Nodes"]
WaitUntil: TypeAlias = Callable[..., None]

_MARK = "AGAD_TEST_CLUSTER"

_HEALTH = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 5000,
    "health_check_failure_threshold": 5,
}
"""A node that is gone is noticed within seconds."""


@dataclass
class Nodes:
    """A head that trains nothing, and nodes with room for one trial each."""

    cluster: Cluster
    mark: str
    """In the environment of every process of the cluster."""

    trainers: list[Any] = field(default_factory=list)

    @property
    def address(self) -> str:
        """What a driver joins."""
        address: str = self.cluster.address
        return address

    def add(self) -> None:
        """Start a node."""
        self.trainers.append(self.cluster.add_node(num_cpus=1))

    def remove(self, node: Any) -> None:  # noqa: ANN401  A node of Ray's, which has no types.
        """End a node without notice, with all that runs on it."""
        self.trainers.remove(node)
        self.cluster.remove_node(node, allow_graceful=False)

    def workers(self) -> list[int]:
        """Return the processes that train."""
        pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
        return [pid for pid in pids if self._trains(pid)]

    def busy(self) -> list[Any]:
        """Return the nodes with a process that trains."""
        parents = {_parent(pid) for pid in self.workers()}
        return [
            node for node in self.trainers if node.all_processes["raylet"][0].process.pid in parents
        ]

    def kill_workers(self) -> None:
        """Kill all that train, without a warning."""
        for pid in self.workers():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _trains(self, pid: int) -> bool:
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False
        is_ours = f"{_MARK}={self.mark}".encode() in environment
        return is_ours and command.startswith(b"ray::") and b"Objective" in command


def _parent(pid: int) -> int | None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) for line in lines if line.startswith("PPid:"))


@pytest.fixture
def make_nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeNodes]:
    """Return what starts a cluster of so many nodes, which ends with the test."""
    with ExitStack() as stack:
        yield lambda num: stack.enter_context(_nodes(num, monkeypatch))


@contextmanager
def _nodes(num: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    mark = uuid.uuid4().hex
    monkeypatch.setenv(_MARK, mark)
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "include_dashboard": False, "_system_config": _HEALTH},
    )
    found = Nodes(cluster, mark)
    try:
        for _ in range(num):
            found.add()
        yield found
    finally:
        ray.shutdown()
        cluster.shutdown()  # type: ignore[no-untyped-call]


def _wait_until(is_so: Callable[[], bool], what: str, limit_s: float = 120.0) -> None:
    end_s = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < end_s, f"{what} did not come within {limit_s:.0f} s"
        time.sleep(0.1)


@pytest.fixture
def wait_until() -> WaitUntil:
    """Return what waits for something, and fails where it does not come."""
    return _wait_until
