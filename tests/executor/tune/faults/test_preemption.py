"""Nodes that are taken away, with a notice and without, on a real Ray of several nodes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
import ray

from agad.config import Asha, Confirm, Grid, LogUniform, Search, Study
from agad.data import Library, NodeCache, find_manifest
from agad.detectors import Agad
from agad.executor.tune import ClusterOptions, run_study
from agad.executor.tune.worker import TrainTrial
from agad.objects import open_objects
from agad.records import TrialRow
from agad.store import StudyStore
from agad.trial import EpochResult, Runtime, TrialSpec, train_trial
from tests.executor.jobs.metadata import metadata_service

if TYPE_CHECKING:
    from tests.executor.tune.faults.conftest import MakeNodes, Nodes, WaitUntil

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

RunWhile: TypeAlias = Callable[..., list[TrialRow]]

NUM_EPOCHS = 16
STUDY = Study(
    name="preempted",
    cells=Grid(dataset="digits", normal_class=0),
    detector=Agad(base_width=2, discriminator_width=4, batch_size=32, min_batch_anomalies=16),
    search=Search(space={"lr": LogUniform(1e-4, 5e-3)}, trials_per_cell=1),
    scheduler=Asha(max_epochs=NUM_EPOCHS, grace_period=NUM_EPOCHS, reduction_factor=2),
    confirm=Confirm(seeds=1),
)


def slowly(spec: TrialSpec, runtime: Runtime) -> Iterator[EpochResult]:
    """Take half a second an epoch, and note on which node each was trained."""
    for result in train_trial(spec, runtime):
        if spec.phase == "search" and not result.is_restored:
            node = ray.get_runtime_context().get_node_id()
            (Path(runtime.cache.folder) / f"epoch-{result.epoch}-on-{node}").touch()
            time.sleep(0.5)
        yield result


def stalling(spec: TrialSpec, runtime: Runtime) -> Iterator[EpochResult]:
    """Be as slow, and the first time in the fourth epoch of the search for longer than a node is.

    A checkpoint on a notice is put between two epochs.
    """
    stalled = Path(runtime.cache.folder) / "stalled"
    for result in slowly(spec, runtime):
        if spec.phase == "search" and result.epoch == 3 and not stalled.exists():
            stalled.touch()
            time.sleep(120)
        yield result


@pytest.fixture
def two_nodes(make_nodes: MakeNodes) -> Nodes:
    found = make_nodes(2)
    ray.init(address=found.address, log_to_driver=False)
    return found


@pytest.fixture
def options(tmp_path: Path) -> ClusterOptions:
    options = ClusterOptions(
        store=str(tmp_path / "store"),
        cache=NodeCache(folder=str(tmp_path / "cache")),
        is_shared=True,
        max_concurrent_trials=1,
    )
    Path(options.cache.folder).mkdir()
    find_manifest(Library(open_objects(options.store)), "digits")
    return options


def _epochs_on(options: ClusterOptions, node: Any) -> list[int]:  # noqa: ANN401  A node of Ray's.
    paths = Path(options.cache.folder).glob(f"epoch-*-on-{node.node_id}")
    return sorted(int(path.name.split("-")[1]) for path in paths)


@pytest.fixture
def run_while(options: ClusterOptions, two_nodes: Nodes, wait_until: WaitUntil) -> RunWhile:
    """Run the study, and do something to the node of its search trial after some epochs."""

    def run(act: Callable[[Any], None], train: TrainTrial = slowly) -> list[TrialRow]:
        def busy() -> list[Any]:
            return [one for one in two_nodes.trainers if len(_epochs_on(options, one)) >= 3]

        def act_later() -> None:
            wait_until(lambda: bool(busy()), "a third epoch")
            act(busy()[0])

        store = _store(options)
        with ThreadPoolExecutor(1) as pool:
            action = pool.submit(act_later)
            run_study(STUDY, store, options, train=train)
            action.result()
        return store.trials()

    return run


def _store(options: ClusterOptions) -> StudyStore:
    return StudyStore(open_objects(options.store), STUDY.name)


@contextmanager
def _watching_on(nodes: Nodes, node: Any, address: str) -> Iterator[None]:  # noqa: ANN401  As above.
    """Run the watcher of a spot machine, which looks for its notices at an address."""
    command = [sys.executable, "-m", "agad", "drain-watch", "--cloud=aws"]
    command += [f"--address={nodes.address}", f"--node-id={node.node_id}"]
    with subprocess.Popen(
        command,
        env=os.environ | {"AWS_EC2_METADATA_SERVICE_ENDPOINT": address},
        stdout=subprocess.PIPE,
        text=True,
    ) as watcher:
        assert watcher.stdout is not None
        assert "waiting for a notice of aws" in watcher.stdout.readline()
        yield
        assert "drains: EC2 announced: terminate, in " in watcher.stdout.read()
    assert watcher.returncode == 0


def test_a_trial_whose_node_is_announced_to_go_loses_no_epoch_and_no_attempt(
    options: ClusterOptions,
    two_nodes: Nodes,
    run_while: RunWhile,
    wait_until: WaitUntil,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agad.study.attempts.MAX_ATTEMPTS", 1)
    gone = two_nodes.trainers[0]

    def announce(node: Any) -> None:  # noqa: ANN401  A node of Ray's.
        nonlocal gone
        gone = node
        with metadata_service() as metadata, _watching_on(two_nodes, node, metadata.address):
            metadata.interrupt(datetime.now(UTC) + timedelta(seconds=60))
        (other,) = (one for one in two_nodes.trainers if one is not node)
        wait_until(lambda: bool(_epochs_on(options, other)), "an epoch elsewhere")
        two_nodes.remove(node)

    rows = run_while(announce)

    search = next(row for row in rows if row.phase == "search")
    assert {row.state for row in rows} == {"finished"}
    assert (search.attempt, search.epochs) == (1, NUM_EPOCHS)
    here, there = _epochs_on(options, gone), _epochs_on(options, two_nodes.trainers[0])
    assert here + there == list(range(NUM_EPOCHS))
    assert _store(options).released() == {(search.trial_key, 0)}


@pytest.mark.nightly
def test_a_trial_whose_node_goes_soon_after_the_notice_loses_an_epoch_and_no_attempt(
    options: ClusterOptions,
    two_nodes: Nodes,
    run_while: RunWhile,
    wait_until: WaitUntil,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agad.study.attempts.MAX_ATTEMPTS", 1)

    def announce_and_take(node: Any) -> None:  # noqa: ANN401  A node of Ray's.
        with metadata_service() as metadata, _watching_on(two_nodes, node, metadata.address):
            metadata.interrupt(datetime.now(UTC) + timedelta(seconds=60))
        wait_until((Path(options.cache.folder) / "stalled").exists, "the fourth epoch")
        two_nodes.remove(node)

    rows = run_while(announce_and_take, stalling)

    assert sorted((row.phase, row.state) for row in rows) == [
        ("confirm", "finished"),
        ("search", "finished"),
    ]
    search = next(row for row in rows if row.phase == "search")
    assert (search.attempt, search.epochs) == (1, NUM_EPOCHS)
    assert _store(options).released() == {(search.trial_key, 0)}


@pytest.mark.nightly
def test_a_trial_whose_node_goes_without_notice_loses_an_attempt(
    options: ClusterOptions, two_nodes: Nodes, run_while: RunWhile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agad.study.attempts.MAX_ATTEMPTS", 1)
    (search,) = run_while(two_nodes.remove)
    assert (search.phase, search.state, search.attempt) == ("search", "failed", 0)
    assert "The actor" in search.error
    monkeypatch.setattr("agad.study.attempts.MAX_ATTEMPTS", 3)

    run_study(STUDY, _store(options), options)
    assert {(row.phase, row.state) for row in _store(options).trials()} == {
        ("search", "finished"),
        ("confirm", "finished"),
    }
