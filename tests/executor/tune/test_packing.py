"""Trials that share a GPU: what is learned of them, and what follows where they do not fit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
import ray

from agad.config import Asha, Choice, Confirm, Distribution, Grid, Search, Setting, Study, Uniform
from agad.data import NodeCache
from agad.errors import GpuMemoryError
from agad.executor.tune.cluster_options import GpuNode, Slots
from agad.executor.tune.gpu_shares import share_of
from agad.executor.tune.packing import Packing
from agad.executor.tune.tuning import fit
from agad.records import TrialRow
from agad.study.attempts import MAX_ATTEMPTS
from agad.study.cell_data import CellData
from agad.study.running import Launch, Progress
from agad.trial import EpochResult, Runtime, TrialSpec

if TYPE_CHECKING:
    from tests.simulation import ListMemory, MakeSimulation, MakeStudy

GIB = 2**30
SpecOf: TypeAlias = Callable[..., TrialSpec]


@pytest.fixture
def spec_of(make_study: MakeStudy, cell_data_of: Callable[[Study], dict[str, CellData]]) -> SpecOf:
    """Build a search trial of some batch size."""
    space: dict[str, Distribution] = {"batch_size": Choice([32, 64]), "weight_con": Uniform(0, 100)}
    study = make_study(search=Search(space=space))
    (cell_data, _) = cell_data_of(study).values()

    def build(number: int = 0, batch_size: int = 32) -> TrialSpec:
        params: dict[str, Setting] = {"batch_size": batch_size, "weight_con": float(number)}
        return cell_data.search_spec(number, params)

    return build


def _packing(**changes: Any) -> Packing:  # noqa: ANN401
    """Learn on one node with 2 GPUs and 16 cores, or as changed."""
    nodes = changes.pop("nodes", [GpuNode(cpus=16, gpus=2)])
    past = changes.pop("past", [])
    values: dict[str, Any] = {"num": 16, "learns": True}
    runtime = Runtime(store="/nowhere", gpus=changes.pop("gpus", 1.0))
    return Packing(Slots(runtime=runtime, **(values | changes)), past, lambda: nodes)


@dataclass
class _Trials:
    """Launches what fits, as the searcher does."""

    packing: Packing
    launched: list[tuple[Launch, Runtime]] = field(default_factory=list)

    def start(self, *specs: TrialSpec) -> list[float]:
        """Return the shares of those that started."""
        shares = []
        for spec in specs:
            if self.packing.has_room and self.packing.fits(spec):
                launch = Launch(spec=spec, attempt=0)
                runtime = self.packing.runtime(spec)
                self.packing.start(launch, runtime)
                self.launched.append((launch, runtime))
                shares.append(runtime.gpus)
        return shares

    def end(self, peak_gib: float = 4.0, epoch_s: float = 1.0) -> None:
        """Have the first of them tell of 8 epochs and end."""
        self.tell(8, peak_gib, epoch_s)
        launch, _ = self.launched.pop(0)
        self.packing.end(launch)

    def tell(self, num_epochs: int, peak_gib: float = 4.0, epoch_s: float = 1.0) -> None:
        """Have the first of them tell of its first epochs."""
        launch, _ = self.launched[0]
        epochs = [
            EpochResult(epoch=one, val_auroc=0.5, objective=0.5, train_s=epoch_s)
            for one in range(num_epochs)
        ]
        progress = Progress(
            epochs=tuple(epochs),
            hardware="A100",
            peak_gpu_memory_bytes=int(peak_gib * GIB),
            gpu_memory_bytes=80 * GIB,
        )
        self.packing.learn(launch, progress)


def test_whole_gpus_first_then_shares_for_those_that_start_later(spec_of: SpecOf) -> None:
    trials = _Trials(_packing())
    specs = [spec_of(number) for number in range(30)]
    assert trials.start(*specs[:4]) == [1.0, 1.0]
    trials.end()
    assert trials.start(*specs[4:8]) == [0.5, 0.5]
    trials.end()
    assert trials.start(*specs[8:12]) == [0.5, 0.5]
    for _ in range(4):
        trials.end()
    assert trials.start(*specs[12:24]) == [0.25] * 8


def test_a_trial_of_another_kind_has_a_gpu_of_its_own_and_the_others_wait_for_it(
    spec_of: SpecOf,
) -> None:
    trials = _Trials(_packing(nodes=[GpuNode(cpus=8, gpus=1)]))
    trials.start(spec_of(0))
    trials.end()
    assert trials.start(spec_of(1), spec_of(2)) == [0.5, 0.5]
    trials.end()
    assert trials.start(spec_of(0, batch_size=64)) == []
    trials.end()
    assert trials.start(spec_of(0, batch_size=64)) == [1.0]


def test_times_of_a_gpu_that_is_not_full_say_nothing(spec_of: SpecOf) -> None:
    trials = _Trials(_packing())
    trials.start(spec_of(0))  # Beside a second GPU that is idle.
    trials.end()
    assert trials.packing.runtime(spec_of(1)).gpus == 1.0


def test_trials_of_several_seeds_and_of_one_have_times_that_compare(
    make_study: MakeStudy, cell_data_of: Callable[[Study], dict[str, CellData]]
) -> None:
    study = make_study(search=Search(space={"weight_con": Uniform(0, 100)}, seeds=5))
    (cell_data, _) = cell_data_of(study).values()
    trials = _Trials(_packing(nodes=[GpuNode(cpus=16, gpus=1)]))
    trials.start(cell_data.search_spec(0, {"weight_con": 1.0}))
    trials.end(epoch_s=5.0)  # A second for each seed.
    confirms = [cell_data.spec("confirm", one, {"weight_con": 1.0}) for one in range(2)]
    assert trials.start(*confirms) == [0.5, 0.5]
    # Side by side each takes three seconds: one after the other they would be done earlier.
    trials.end(epoch_s=3.0)
    trials.end(epoch_s=3.0)
    assert trials.packing.runtime(confirms[0]).gpus == 1.0


@pytest.mark.parametrize(("num_epochs", "gpus"), [(4, 1.0), (5, 0.5)], ids=["few", "enough"])
def test_epochs_that_a_stopped_trial_tells_of_twice_count_once(
    num_epochs: int, gpus: float, spec_of: SpecOf
) -> None:
    trials = _Trials(_packing(nodes=[GpuNode(cpus=16, gpus=1)]))
    trials.start(spec_of(0))
    # All but the first one count, and four are enough.
    trials.tell(num_epochs)
    trials.tell(num_epochs)
    assert trials.packing.runtime(spec_of(1)).gpus == gpus


def test_cores_follow_the_share(spec_of: SpecOf) -> None:
    packing = _packing(nodes=[GpuNode(cpus=16, gpus=1)])
    trials = _Trials(packing)
    threads = []
    for number in range(4):
        threads.append(packing.runtime(spec_of(number)).num_threads)
        while trials.start(spec_of(10 * number + len(trials.launched))):
            pass
        for _ in range(len(trials.launched)):
            trials.end()
    assert threads == [16, 8, 4, 2]


def test_no_more_share_a_gpu_than_it_has_cores(spec_of: SpecOf) -> None:
    row_packing = _packing(nodes=[GpuNode(cpus=3, gpus=1)])
    trials = _Trials(row_packing)
    for number in range(4):
        while trials.start(spec_of(10 * number + len(trials.launched))):
            pass
        for _ in range(len(trials.launched)):
            trials.end()
    assert row_packing.runtime(spec_of()).gpus == share_of(3)


def test_a_cluster_to_grow_is_asked_for_one_gpu_and_then_for_all(spec_of: SpecOf) -> None:
    trials = _Trials(_packing(nodes=[], grows=True))
    specs = [spec_of(number) for number in range(20)]
    assert trials.start(*specs[:8]) == [1.0]
    trials.end()
    assert len(trials.start(*specs[8:16])) == 8


def _row(make_row: Callable[..., TrialRow], **changes: Any) -> TrialRow:  # noqa: ANN401
    values: dict[str, Any] = {
        "seconds": 80.0,
        "gpu_s": 20.0,
        "hardware": "A100",
        "peak_gpu_memory_bytes": 4 * GIB,
        "gpu_memory_bytes": 80 * GIB,
    }
    return make_row(**(values | changes))


@pytest.mark.parametrize(
    ("changes", "gpus"),
    [
        ({}, 0.25),
        ({"gpu_s": 80.0}, 1.0),
        ({"peak_gpu_memory_bytes": 30 * GIB}, 0.5),
        ({"gpu_memory_bytes": None}, 1.0),
        ({"gpu_s": 0.0}, 1.0),
    ],
    ids=["as it was", "whole", "bigger than it was", "no total", "no gpu"],
)
def test_a_restart_goes_on_where_the_rows_end(
    spec_of: SpecOf, make_row: Callable[..., TrialRow], changes: dict[str, Any], gpus: float
) -> None:
    packing = _packing(past=[(spec_of(), _row(make_row, **changes))])
    assert packing.runtime(spec_of(1)).gpus == gpus
    assert packing.runtime(spec_of(1, batch_size=64)).gpus == 1.0


def test_a_learned_share_doubles_for_its_kind_alone(
    spec_of: SpecOf, make_row: Callable[..., TrialRow]
) -> None:
    past = [(spec_of(0, size), _row(make_row)) for size in (32, 64)]
    packing = _packing(past=past)
    assert packing.grow(spec_of(1), 0.25)
    assert packing.runtime(spec_of(1)).gpus == 0.5
    assert packing.runtime(spec_of(1, batch_size=64)).gpus == 0.25
    assert packing.grow(spec_of(1), 0.5)
    assert not packing.grow(spec_of(1), 1.0)


def test_a_share_doubles_up_to_a_whole_gpu(
    spec_of: SpecOf, caplog: pytest.LogCaptureFixture
) -> None:
    packing = _packing(gpus=0.3, learns=False)
    spec, shares = spec_of(), []
    with caplog.at_level(logging.WARNING):
        while packing.grow(spec, packing.runtime(spec).gpus):
            shares.append(packing.runtime(spec).gpus)
    assert shares == [0.6, 1.0]
    kind = "each of agad on images of 1x16x16 in batches of 32 gets 0.6"
    assert f"did not fit 0.3 of a GPU's memory; from now on {kind}" in caplog.text
    assert packing.runtime(spec_of(1, batch_size=64)).gpus == 0.3


def test_trials_that_were_packed_alike_raise_the_share_once(spec_of: SpecOf) -> None:
    packing = _packing(gpus=0.25, learns=False)
    assert [packing.grow(spec_of(one), 0.25) for one in range(4)] == [True] * 4
    assert packing.runtime(spec_of()).gpus == 0.5


@pytest.mark.parametrize("gpus", [0.0, 1.0, 2.0])
def test_whole_gpus_and_none_stay_as_they_are(spec_of: SpecOf, gpus: float) -> None:
    packing = _packing(gpus=gpus, learns=False)
    assert not packing.grow(spec_of(), gpus)
    assert packing.runtime(spec_of()).gpus == gpus


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
@pytest.mark.nightly
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
            fit(board, Slots(runtime=runtime, num=4), greedy, lambda: None)
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
