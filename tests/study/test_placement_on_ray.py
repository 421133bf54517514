"""Shares, fairness, budgets and demand on a real local Ray, whose GPUs are not there."""

from __future__ import annotations

import os
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
from agad.detectors import Compute
from agad.errors import AgadError, GpuMemoryError
from agad.study.objective import TrainTrial
from agad.study.tuning import fit
from agad.study.where import Slots
from agad.trial import EpochResult, Runtime, TrialSpec
from tests.study import fake_cuda

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.study.conftest import ListMemory, MakeSimulation, MakeStudy

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # Ray's own.
]

Run: TypeAlias = "Callable[..., None]"

SEARCH = Search(space={"weight_con": Uniform(0, 100)}, trials_per_cell=12)


@pytest.fixture(scope="module", autouse=True)
def local_ray() -> Iterator[None]:
    ray.init(address="local", num_cpus=8, num_gpus=2, include_dashboard=False, log_to_driver=False)
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
            fit(board, Slots(runtime=runtime, **slots), train, study.scheduler.milestones, _nothing)

    return run


def _nothing() -> None:
    return


def _noted(folder: Path) -> list[tuple[str, str, float]]:
    """Return cell, phase-number and share of each start, in their order."""
    paths = sorted(folder.glob("*|*"), key=lambda path: path.stat().st_mtime_ns)
    words = [path.name.split("|") for path in paths]
    return [(cell, trial, float(share)) for cell, trial, share, _ in words]


def _note(spec: TrialSpec, runtime: Runtime) -> None:
    name = f"{spec.cell.label}|{spec.phase}-{spec.number}|{runtime.gpus}|{time.time_ns()}"
    (Path(runtime.cache.folder) / name).touch()


def _epochs(spec: TrialSpec, epoch_s: float, train_s: float) -> Iterator[EpochResult]:
    for epoch in range(spec.max_epochs):
        time.sleep(epoch_s)
        val_auroc = 0.9 - spec.number / 100
        yield EpochResult(epoch=epoch, val_auroc=val_auroc, train_s=train_s)


def _small(spec: TrialSpec, runtime: Runtime) -> Iterator[EpochResult]:
    """Take a fifth of a GPU's memory, and be no slower beside others."""
    fake_cuda.pretend(fake_cuda.ALL_BYTES // 6)
    _note(spec, runtime)
    return _epochs(spec, 0.02, train_s=1.0)


def _refused(spec: TrialSpec, runtime: Runtime) -> Iterator[EpochResult]:
    if runtime.gpus < 0.5:
        raise GpuMemoryError(f"{spec.number} does not fit {runtime.gpus:g} of a GPU")
    yield from _epochs(spec, 0.02, train_s=1.0)


def _deceptive(spec: TrialSpec, runtime: Runtime) -> Iterator[EpochResult]:
    """Tell of little memory, and not fit less than half a GPU."""
    fake_cuda.pretend(fake_cuda.ALL_BYTES // 40)
    _note(spec, runtime)
    return _refused(spec, runtime)


def test_trials_that_start_later_share_a_gpu_as_the_first_ones_told(
    make_study: MakeStudy, memory: ListMemory, run: Run, tmp_path: Path
) -> None:
    study = make_study(
        cells=Grid(dataset="digits", normal_class=0),
        search=SEARCH,
        scheduler=NoStopping(max_epochs=6),
        confirm=Confirm(seeds=2),
    )
    run(study, _small, num=16, learns=True)
    shares = [share for _, _, share in _noted(tmp_path)]
    assert shares[:2] == [1.0, 1.0]
    assert shares[-1] == 0.25
    assert set(shares) <= {1.0, 0.5, 0.25}
    assert sorted(shares, reverse=True) == shares
    rows = memory.trials()
    assert {row.state for row in rows} == {"finished"}
    assert {row.peak_gpu_memory_bytes for row in rows} == {fake_cuda.ALL_BYTES // 6}
    assert {row.gpu_memory_bytes for row in rows} == {fake_cuda.ALL_BYTES}
    assert {round(row.gpu_s / row.seconds, 3) for row in rows} == set(shares)


def test_a_learned_share_that_does_not_fit_is_given_up_for_good(
    make_study: MakeStudy, memory: ListMemory, run: Run, tmp_path: Path
) -> None:
    study = make_study(
        cells=Grid(dataset="digits", normal_class=0),
        search=SEARCH,
        scheduler=NoStopping(max_epochs=6),
        confirm=Confirm(seeds=1),
    )
    run(study, _deceptive, num=16, learns=True)
    shares = [share for _, _, share in _noted(tmp_path)]
    assert 0.25 in shares
    assert min(shares) == 0.25
    assert shares[-1] == 0.5
    assert {row.state for row in memory.trials()} == {"finished"}


def _slow_and_fast(spec: TrialSpec, runtime: Runtime) -> Iterator[EpochResult]:
    fake_cuda.pretend(2**30)
    _note(spec, runtime)
    is_slow = "class=0" in spec.cell.label
    yield from _epochs(spec, 0.4 if is_slow else 0.02, train_s=1.0)
    (Path(runtime.cache.folder) / f"end-{os.getpid()}-{time.time_ns()}").touch()


def test_a_slow_cell_leaves_no_slot_idle_and_a_fast_one_does_not_run_ahead(
    make_study: MakeStudy, memory: ListMemory, run: Run, tmp_path: Path
) -> None:
    study = make_study(
        search=Search(space={"weight_con": Uniform(0, 100)}, trials_per_cell=6),
        scheduler=NoStopping(max_epochs=2),
        confirm=Confirm(seeds=2),
    )
    run(study, _slow_and_fast, gpus=0.5, num=4)
    starts = _noted(tmp_path)
    # 6 search trials and 2 confirm trials a cell: one start of each cell in turn while both can.
    searches = [cell for cell, trial, _ in starts if trial.startswith("search")]
    slow, fast = sorted({*searches})
    for count in range(2, 12, 2):
        assert abs(searches[:count].count(slow) - searches[:count].count(fast)) <= 1
    assert {row.state for row in memory.trials()} == {"finished"}
    # The fast cell confirms while the slow one still searches.
    last_slow = max(place for place, one in enumerate(starts) if one[:2] == (slow, "search-5"))
    assert any(cell == fast and "confirm" in trial for cell, trial, _ in starts[: last_slow + 4])


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
    run(study, _half_a_second, gpus=0.5, num=4)
    assert 1 <= len(memory.rows_of("search")) < 40
    assert [row.state for row in memory.rows_of("confirm")] == ["finished"] * 2
    assert [one.ended_by for one in memory.winners()] == [*budget.names.values()]
    gpu_s = sum(row.gpu_s for row in memory.trials())
    if budget.gpu_hours is not None:
        # What was set aside for two trials, and at most what ran when the search ended.
        assert gpu_s < budget.gpu_hours * 3600 + 4 * 0.5 * 0.5 * 1.5


def _half_a_second(spec: TrialSpec, runtime: Runtime) -> Iterator[EpochResult]:
    fake_cuda.pretend(2**30)
    _note(spec, runtime)
    return _epochs(spec, 0.12, train_s=0.12)


class _EnoughError(AgadError):
    pass


def test_a_cluster_sees_the_demand_for_as_many_trials_as_it_may_grow_to(
    make_study: MakeStudy, make_simulation: MakeSimulation, tmp_path: Path
) -> None:
    study = make_study(search=SEARCH, scheduler=NoStopping(max_epochs=2))
    # More cores than this cluster has: none of these can start.
    runtime = Runtime(store="/nowhere", cache=NodeCache(folder=str(tmp_path)), num_threads=64)
    most = 0
    is_over = threading.Event()

    def look() -> None:
        nonlocal most
        while not is_over.wait(0.1):
            table = placement_group_table().values()
            most = max(most, sum(one["state"] == "PENDING" for one in table))
            if most == 10:
                is_over.wait(1.0)
                is_over.set()

    looking = threading.Thread(target=look)
    board = make_simulation(study).board
    launch = board.launch

    def launch_until_seen(*arguments: Any) -> Any:  # noqa: ANN401
        if is_over.is_set():
            raise _EnoughError
        return launch(*arguments)

    board.launch = launch_until_seen  # type: ignore[method-assign, assignment]
    looking.start()
    try:
        with pytest.raises(_EnoughError), board:
            fit(board, Slots(runtime=runtime, num=10, grows=True), _small, (), _nothing)
    finally:
        is_over.set()
        looking.join()
    assert most == 10
