"""Random faults over one study, each followed by the same command: nothing lost, none doubled."""

from __future__ import annotations

import http.client
import logging
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agad.data import Library, find_manifest
from agad.objects import open_objects
from agad.report import leaderboard
from agad.store import StudyStore

if TYPE_CHECKING:
    from tests.executor.tune.faults.conftest import MakeNodes, Nodes, WaitUntil

logger = logging.getLogger(__name__)

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1500)]

STUDY = """
from agad import Agad, Asha, Confirm, Grid, LogUniform, Search, Study

STUDY = Study(
    name="faults",
    cells=Grid(dataset="digits", normal_class=8, anomaly_ratio=0.1),
    detector=Agad(base_width=2, discriminator_width=4, batch_size=32, min_batch_anomalies=16),
    search=Search(
        space={"lr": LogUniform(1e-4, 5e-3), "weight_con": LogUniform(10, 250)},
        trials_per_cell=TRIALS,
    ),
    scheduler=Asha(max_epochs=9, grace_period=1, reduction_factor=3),
    confirm=Confirm(seeds=2),
)
"""

NUM_FAULTS = 20
_AGAD = "from agad.cli import entry; entry()"


class _Gate(ThreadingHTTPServer):
    """A proxy before the store, which answers 500 to all while it is shut."""

    daemon_threads = True

    def __init__(self, endpoint: str) -> None:
        super().__init__(("127.0.0.1", 0), _Passage)
        self.endpoint = endpoint.removeprefix("http://")
        self.is_shut = False
        self.num_refused = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Passage(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Gate

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server.is_shut:
            self.server.num_refused += 1
            self.send_response(500)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        connection = http.client.HTTPConnection(self.server.endpoint, timeout=30)
        connection.request(self.command, self.path, body, dict(self.headers))
        answer = connection.getresponse()
        data = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        length = answer.getheader("Content-Length", "0") if self.command == "HEAD" else len(data)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(data)
        connection.close()

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _pass  # noqa: N815  The names of their base.

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def gate(s3_uri: str, s3_endpoint: str) -> Iterator[_Gate]:  # noqa: ARG001
    server = _Gate(s3_endpoint)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Drivers:
    """One command, run again and again."""

    study: Path
    uri: str
    address: str
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    exits: list[int] = field(default_factory=list)

    def start(self) -> None:
        """Run the command, where it does not run."""
        if self.process is not None and self.process.poll() is None:
            return
        self.note_exit()
        command = [sys.executable, "-c", _AGAD, "run", str(self.study), "--store", self.uri]
        command += ["--address", self.address, "--max-concurrent-trials", "1"]
        with (self.folder / "drivers.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def note_exit(self) -> None:
        if self.process is not None:
            self.exits.append(self.process.wait())
            self.process = None

    def finish(self, limit_s: float) -> None:
        """Run the command until it ends well."""
        end_s = time.monotonic() + limit_s
        while not self.exits or self.exits[-1] != 0:
            self.start()
            assert self.process is not None
            self.process.wait(max(1.0, end_s - time.monotonic()))
            self.note_exit()


@dataclass
class Disaster:
    """What goes wrong, drawn from a seed."""

    drivers: Drivers
    nodes: Nodes
    gate: _Gate
    rng: random.Random
    wait_until: WaitUntil
    num_faults: int
    """A multiple of 4, as many of each kind."""

    hit: set[str] = field(default_factory=set)
    """Keys of the trials that were the newest at a fault."""

    def worker(self) -> None:
        """Kill what trains, or will soon."""
        self.wait_until(self.nodes.workers, "a worker")
        self.nodes.kill_workers()

    def driver(self) -> None:
        self.drivers.kill()

    def node(self) -> None:
        """Remove the node that trains, and add another."""
        self.wait_until(self.nodes.busy, "a node that trains")
        self.nodes.remove((self.nodes.busy() or self.nodes.trainers)[0])
        self.nodes.add()

    def store(self) -> None:
        """Let the store fail for some seconds."""
        self.gate.is_shut = True
        time.sleep(self.rng.uniform(2, 15))
        self.gate.is_shut = False

    def wait(self, store: StudyStore, number: int) -> None:
        """Wait for another trial: one that is hit three times would count as failed."""

        def is_next() -> bool:
            self.drivers.start()
            claims = store.claims()
            newest = max(claims, key=lambda one: (one.phase == "confirm", one.number), default=None)
            if newest is None or len({claim.trial_key for claim in claims}) <= number:
                return False
            is_spared = newest.trial_key not in self.hit
            self.hit.add(newest.trial_key)
            return is_spared

        self.wait_until(is_next, "another trial", 300)
        time.sleep(self.rng.uniform(0, 0.6))

    @property
    def schedule(self) -> list[Callable[[], None]]:
        """As many of each kind, in random order."""
        kinds = [self.worker, self.driver, self.node, self.store]
        faults = [kinds[number % len(kinds)] for number in range(self.num_faults)]
        self.rng.shuffle(faults)
        return faults


def _results(store: StudyStore) -> list[tuple[Any, ...]]:
    rows = sorted(store.trials(), key=lambda row: (row.phase, row.number))
    return [
        (
            *(row.trial_key, row.phase, row.number, row.params, row.seeds, row.state),
            *(row.stop_reason, row.epochs, row.val_auroc, row.test_auroc),
            row.test_average_precision,
        )
        for row in rows
    ]


def _leaderboard(store: StudyStore) -> list[tuple[Any, ...]]:
    board = leaderboard(store.trials(), study="faults")
    return [(cell.given_class, cell.num_confirmed, cell.test_auroc) for cell in board.cells]


@contextmanager
def _environment(endpoint: str, folder: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", endpoint)
        patch.setenv("AGAD_CACHE", str(folder / "cache"))
        patch.setenv("AGAD_SPOOL", str(folder / "spool"))
        yield


@pytest.mark.nightly
def test_a_study_under_random_faults_leaves_the_rows_of_an_undisturbed_one(
    make_nodes: MakeNodes, gate: _Gate, s3_uri: str, wait_until: WaitUntil, tmp_path: Path
) -> None:
    study = tmp_path / "faults.py"
    study.write_text(STUDY.replace("TRIALS", str(2 * NUM_FAULTS)))
    uris = [f"{s3_uri}/{name}" for name in ("disturbed", "undisturbed")]
    for uri in uris:
        find_manifest(Library(open_objects(uri)), "digits")
    store, calm_store = (StudyStore(open_objects(uri), "faults") for uri in uris)
    with _environment(gate.url, tmp_path):  # Of the nodes and their workers, and of the drivers.
        nodes = make_nodes(2)
        calm = Drivers(study, uris[1], nodes.address, tmp_path)
        calm.finish(limit_s=600)
        drivers = Drivers(study, uris[0], nodes.address, tmp_path)
        disaster = Disaster(drivers, nodes, gate, random.Random(0), wait_until, NUM_FAULTS)
        for number, fault in enumerate(disaster.schedule):
            disaster.wait(store, number)
            logger.info("Fault %d: %s.", number, fault.__name__)
            fault()
            drivers.start()
        drivers.finish(limit_s=600)

    assert calm.exits == [0]
    assert _results(store) == _results(calm_store)
    assert _leaderboard(store) == _leaderboard(calm_store)
    planned = {claim.trial_key for claim in store.claims()}
    assert {row.trial_key for row in store.trials()} == planned
    assert len(planned) == 2 * NUM_FAULTS + 2
    objects = open_objects(uris[0]).list("faults/trials/")
    assert Counter(key.split("/")[2] for key in objects) == dict.fromkeys(planned, 1)
    assert drivers.exits.count(-signal.SIGKILL) == NUM_FAULTS // 4
    assert gate.num_refused > 0
    assert max(row.attempt for row in store.trials()) > 0
