"""Ray's memory monitor kills a worker that eats its node's memory, on a real local Ray."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import ray

from agad.config import Asha, Confirm, Grid, Search, Uniform
from agad.executor.tune.cluster_options import Slots
from agad.executor.tune.tuning import fit
from agad.study.attempts import MAX_ATTEMPTS
from agad.trial import EpochResult, Runtime, TrialSpec

if TYPE_CHECKING:
    from tests.simulation import ListMemory, MakeSimulation, MakeStudy

_HEADROOM = 3 * 2**30
"""What all of this machine may take beside what it takes now, before a worker is killed."""

_CHUNK = 2**28
_MOST_CHUNKS = 24


def hungry(spec: TrialSpec, _: Runtime) -> Iterator[EpochResult]:
    """Eat memory in the first trial until killed."""
    eaten = []
    for _chunk in range(_MOST_CHUNKS if (spec.phase, spec.number) == ("search", 0) else 0):
        eaten.append(np.ones(_CHUNK, np.uint8))
        time.sleep(0.1)
    time.sleep(10.0 if eaten else 0.2)
    for epoch in range(spec.max_epochs):
        score = 0.9 - spec.number / 100
        yield EpochResult(epoch=epoch, val_auroc=score, objective=score, train_s=0.0)


def _memory(name: str) -> int:
    """Return a figure of this machine's memory, in bytes."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


@pytest.mark.alone
@pytest.mark.cluster
@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own.
def test_a_worker_killed_for_its_memory_fails_its_trial_and_not_the_study(
    make_study: MakeStudy,
    make_simulation: MakeSimulation,
    memory: ListMemory,
) -> None:
    if _memory("MemAvailable") < 2 * _HEADROOM:
        pytest.skip("this machine has too little memory left to eat some of it")
    study = make_study(
        cells=Grid(dataset="digits", normal_class=0),
        search=Search(space={"weight_con": Uniform(0, 100)}, trials_per_cell=3),
        scheduler=Asha(max_epochs=2, grace_period=2, reduction_factor=2),
        confirm=Confirm(seeds=1),
    )
    board = make_simulation(study).board
    runtime = Runtime(store="/nowhere")
    total = _memory("MemTotal")
    threshold = 1 - (_memory("MemAvailable") - _HEADROOM) / total
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=80 * 2**20,
        _system_config={"memory_usage_threshold": threshold, "memory_monitor_refresh_ms": 50},
    )
    try:
        with board:
            fit(board, Slots(runtime=runtime, num=2), hungry, lambda: None)
    finally:
        ray.shutdown()

    states = {row.number: row.state for row in memory.rows_of("search")}
    assert states == {0: "failed", 1: "finished", 2: "finished"}
    (failed,) = (row for row in memory.trials() if row.state == "failed")
    assert failed.attempt == MAX_ATTEMPTS - 1
    assert "killed due to the node running low on memory" in failed.error
    assert [row.state for row in memory.rows_of("confirm")] == ["finished"]
