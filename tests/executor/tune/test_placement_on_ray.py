"""GpuShares, fairness, budgets and demand on a real local Ray, whose GPUs are not there."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
import ray
from ray.util import placement_group_table

from agad.config import Asha, Budget, Confirm, Grid, NoStopping, Search, Study, Uniform
from agad.data import NodeCache
from agad.detectors.compute import Compute
from agad.errors import GpuMemoryError
from agad.executor.tune.cluster_options import Slots
from agad.executor.tune.tuning import fit
from agad.executor.tune.worker import TrainTrial
from agad.trial import EpochResult, Runtime, TrialSpec
from tests.executor.tune import fake_cuda

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation import ListMemory, MakeSimulation, MakeStudy

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # Ray's own.
]

Run: TypeAlias = "Callable[..., None]"

SEARCH = Search(space={"weight_con": Uniform(0, 100)}, trials_per_cell=8)


@pytest.fixture(scope="module", autouse=True)
def local_ray() -> Iterator[None]:
    ray.init(address="local", num_cpus=8, num_gpus=1, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def run(make_simulation: MakeSimulation, tmp_path: Path) -> Run:
    """Run a study on the fake GPUs, noting each start and end of a trial in files."""

    def run(study: Study, train: TrainTrial, gpus: float = 1.0, **slots: Any) -> None:  # noqa: ANN401
        runtime = Runtime(
            store="/nowhere",
            cache=NodeCache(folder=str(tmp_path)),
            compute=Compute(device="cuda"),
            gpus=gpus,
        )
        with make_simulation(study).board as board:
            fit(board, Slots(runtime=runtime, **slots), train, _nothing)

    return run


def _nothing() -> None:
    return


def _noted(folder: Path) -> list[tuple[str, str, float]]:
    """Return cell, phase-number and share of each start, in their order."""
    words = [path.name.split("|") for path in folder.iterdir()]
    words.sort(key=lambda one: int(one[-1]))
    return [(cell, trial, float(share)) for cell, trial, share, _ in words]


def _note(spec: TrialSpec, runtime: Runtime) -> None:
    name = f"{spec.cell.label}|{spec.phase}-{spec.number}|{runtime.gpus}|{time.time_ns()}"
    (Path(runtime.cache.folder) / name).touch()


def _epochs(spec: TrialSpec, runtime: Runtime, epoch_s: float) -> Iterator[EpochResult]:
    """Note the start, then take so long for each epoch, and tell of a second each."""
    _note(spec, runtime)
    for epoch in range(spec.max_epochs):
        time.sleep(epoch_s)
        score = 0.9 - spec.number / 100
        yield EpochResult(epoch=epoch, val_auroc=score, objective=score, train_s=1.0)


def _refuse_less_than_half(spec: TrialSpec, runtime: Runtime) -> Iterator[EpochResult]:
    if runtime.gpus < 0.5:
        _note(spec, runtime)
        raise GpuMemoryError(f"{spec.number} does not fit {runtime.gpus:g} of a GPU")
    yield from _epochs(spec, runtime, 0.02)


def deceptive(spec: TrialSpec, runtime: Runtime) -> Iterator[EpochResult]:
    """Tell of an eighth of a GPU's memory, but not fit less than half a GPU."""
    fake_cuda.pretend(fake_cuda.ALL_BYTES // 8)
    return _refuse_less_than_half(spec, runtime)


def quick(spec: TrialSpec, runtime: Runtime) -> Iterator[EpochResult]:
    """Take an eighth of a second for each epoch."""
    fake_cuda.pretend(fake_cuda.ALL_BYTES // 8)
    return _epochs(spec, runtime, 0.125)


def slow_in_one_cell(spec: TrialSpec, runtime: Runtime) -> Iterator[EpochResult]:
    """Take 20 times as long in the cell of class 0."""
    fake_cuda.pretend(fake_cuda.ALL_BYTES // 8)
    return _epochs(spec, runtime, 0.4 if spec.cell.normal_class == 0 else 0.02)


@pytest.mark.nightly
def test_shares_are_learned_and_one_that_does_not_fit_is_given_up_for_good(
    make_study: MakeStudy, memory: ListMemory, run: Run, tmp_path: Path
) -> None:
    study = make_study(
        cells=Grid(dataset="digits", normal_class=0),
        search=SEARCH,
        scheduler=NoStopping(max_epochs=6),
        confirm=Confirm(seeds=1),
    )
    run(study, deceptive, num=8, learns=True)
    shares = [share for _, _, share in _noted(tmp_path)]
    assert shares[:3] == [1.0, 0.5, 0.5]
    assert 0.25 in shares
    last = len(shares) - shares[::-1].index(0.25)
    assert {*shares[last:]} == {0.5}
    rows = memory.trials()
    assert {row.state for row in rows} == {"finished"}
    assert {row.peak_gpu_memory_bytes for row in rows} == {fake_cuda.ALL_BYTES // 8}
    assert {row.gpu_memory_bytes for row in rows} == {fake_cuda.ALL_BYTES}
    assert {round(row.gpu_s / row.seconds, 6) for row in rows} == {1.0, 0.5}
    # What did not fit is given back and counts as no failure.
    assert len(memory.released()) == shares.count(0.25)


@pytest.mark.nightly
def test_a_slow_cell_and_a_fast_one_start_their_trials_in_turn(
    make_study: MakeStudy, memory: ListMemory, run: Run, tmp_path: Path
) -> None:
    study = make_study(
        search=Search(space={"weight_con": Uniform(0, 100)}, trials_per_cell=5),
        scheduler=NoStopping(max_epochs=2),
    )
    run(study, slow_in_one_cell, gpus=0.5, num=2)
    starts = [cell for cell, trial, _ in _noted(tmp_path) if trial.startswith("search")]
    slow, fast = sorted({*starts})
    for num in range(2, 11, 2):
        assert abs(starts[:num].count(slow) - starts[:num].count(fast)) <= 2
    assert [row.state for row in memory.trials()] == ["finished"] * 14


@pytest.mark.nightly
@pytest.mark.parametrize(
    "budget",
    [Budget(gpu_hours=4.0 / 3600), Budget(hours=6.0 / 3600)],
    ids=["gpu-hours", "hours"],
)
def test_a_budget_ends_the_search_on_ray(
    make_study: MakeStudy, memory: ListMemory, run: Run, budget: Budget
) -> None:
    study = make_study(
        cells=Grid(dataset="digits", normal_class=0),
        search=Search(space={"weight_con": Uniform(0, 100)}, trials_per_cell=60),
        scheduler=Asha(max_epochs=4, grace_period=4, reduction_factor=2),
        confirm=Confirm(seeds=2),
        budget=budget,
    )
    run(study, quick, gpus=0.5, num=2)
    assert 1 <= len(memory.rows_of("search")) < 40
    assert [row.state for row in memory.rows_of("confirm")] == ["finished"] * 2
    assert [one.ended_by for one in memory.winners()] == [*budget.names.values()]
    gpu_s = sum(row.gpu_s for row in memory.trials())
    if budget.gpu_hours is not None:
        # Sixty trials would take four times as much.
        assert gpu_s < 2 * budget.gpu_hours * 3600


def test_a_cluster_sees_the_demand_for_as_many_trials_as_it_may_grow_to(
    make_study: MakeStudy, make_simulation: MakeSimulation, memory: ListMemory, tmp_path: Path
) -> None:
    study = make_study(
        cells=Grid(dataset="digits", normal_class=0),
        search=SEARCH,
        scheduler=NoStopping(max_epochs=2),
    )
    # One at a time has room here.
    runtime = Runtime(store="/nowhere", cache=NodeCache(folder=str(tmp_path)), num_threads=8)
    asked_for = [0]
    running: list[int] = []
    is_over = threading.Event()

    def look() -> None:
        while not is_over.wait(0.05):
            states = [one["state"] for one in placement_group_table().values()]
            asked_for.append(states.count("PENDING") + states.count("CREATED"))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        with make_simulation(study).board as board:

            def count() -> None:
                running.append(sum(cell.running for cell in board.status(6).cells))

            fit(board, Slots(runtime=runtime, num=6, grows=True), quick, count)
    finally:
        is_over.set()
        looking.join()
    assert max(asked_for) == 6
    assert max(running) == 1  # Those that wait for the cluster to grow do not run.
    assert len(memory.trials()) == 10
