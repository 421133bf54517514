"""Trials that share a GPU and do not fit it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import ray

from agad.config import Asha, Confirm, Grid, Search, Uniform
from agad.data import NodeCache
from agad.errors import GpuMemoryError
from agad.study.attempts import MAX_ATTEMPTS
from agad.study.packing import Packing
from agad.study.tuning import fit
from agad.study.where import Slots
from agad.trial import EpochResult, Runtime, TrialSpec

if TYPE_CHECKING:
    from tests.study.conftest import ListMemory, MakeSimulation, MakeStudy


def test_a_share_doubles_up_to_a_whole_gpu(caplog: pytest.LogCaptureFixture) -> None:
    packing = Packing(Runtime(store="/nowhere", gpus=0.3))
    shares = []
    with caplog.at_level(logging.WARNING):
        while packing.grow(packing.runtime.gpus):
            shares.append(packing.runtime.gpus)
    assert shares == [0.6, 1.0]
    assert "did not fit 0.3 of a GPU's memory; from now on each trial gets 0.6" in caplog.text


def test_trials_that_were_packed_alike_raise_the_share_once() -> None:
    packing = Packing(Runtime(store="/nowhere", gpus=0.25))
    assert [packing.grow(0.25) for _ in range(4)] == [True] * 4
    assert packing.runtime.gpus == 0.5


@pytest.mark.parametrize("gpus", [0.0, 1.0, 2.0])
def test_whole_gpus_and_none_stay_as_they_are(gpus: float) -> None:
    packing = Packing(Runtime(store="/nowhere", gpus=gpus))
    assert not packing.grow(gpus)
    assert packing.runtime.gpus == gpus


def greedy(spec: TrialSpec, runtime: Runtime) -> Iterator[EpochResult]:
    """Need half a GPU, and the first trial more than a whole one; note what each had."""
    (Path(runtime.cache.folder) / f"{spec.phase}-{spec.number}-{runtime.gpus}").touch()
    if runtime.gpus < 0.5 or (spec.phase, spec.number) == ("search", 0):
        raise GpuMemoryError(f"{spec.number} does not fit {runtime.gpus:g} of a GPU")
    for epoch in range(spec.max_epochs):
        objective = 0.9 - spec.number / 100
        yield EpochResult(epoch=epoch, objective=objective, val_auroc=objective, train_s=0.0)


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own.
def test_a_trial_that_does_not_fit_gets_more_of_a_gpu_before_it_counts_as_failed(
    make_study: MakeStudy,
    make_simulation: MakeSimulation,
    memory: ListMemory,
    tmp_path: Path,
) -> None:
    study = make_study(
        cells=Grid(dataset="digits", normal_class=0),
        search=Search(space={"weight_con": Uniform(0, 100)}, trials_per_cell=4),
        scheduler=Asha(max_epochs=2, grace_period=2, reduction_factor=2),
        confirm=Confirm(seeds=1),
    )
    board = make_simulation(study).board
    runtime = Runtime(store="/nowhere", cache=NodeCache(folder=str(tmp_path)), gpus=0.25)
    ray.init(address="local", num_cpus=4, num_gpus=1, include_dashboard=False, log_to_driver=False)
    try:
        with board:
            fit(board, Slots(runtime=runtime, num=4), greedy, (), lambda: None)
    finally:
        ray.shutdown()

    shares: dict[str, list[float]] = {}
    for path in tmp_path.iterdir():
        trial, _, share = path.name.rpartition("-")
        shares.setdefault(trial, []).append(float(share))
    assert sorted(shares["search-0"]) == [0.25, 0.5, 1.0]
    assert shares["confirm-0"] == [1.0]
    states = {row.number: row.state for row in memory.rows_of("search")}
    assert states == {0: "failed", 1: "finished", 2: "finished", 3: "finished"}
    (failed,) = (row for row in memory.trials() if row.state == "failed")
    assert "GpuMemoryError: 0 does not fit 1 of a GPU" in failed.error
    # The two launches with too small a share are given back; three with a whole one count.
    assert len([key for key, _ in memory.released() if key == failed.trial_key]) == 2
    assert failed.attempt == 2 + MAX_ATTEMPTS - 1
