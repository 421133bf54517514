"""Ray's trainable, called as Ray calls it, without a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import ray.tune.trainable.trainable
import torch

import agad.executor.tune.worker
from agad.config import Grid
from agad.detectors.agad.training import AgadDetector
from agad.errors import GpuMemoryError, TrialDivergedError
from agad.executor.tune.worker import Objective, Order, TrainTrial
from agad.study.cell_data import find_cell_data
from agad.study.running import Launch, Progress
from agad.trial import (
    CheckpointPlan,
    EpochResult,
    FeatureProgress,
    Runtime,
    TrialSpec,
    describe_hardware,
    train_trial,
)

if TYPE_CHECKING:
    from agad.data import Library, NodeCache
    from tests.simulation import MakeStudy

MakeOrder = Callable[..., Order]


def count_up(spec: TrialSpec, _runtime: Runtime) -> Iterator[EpochResult]:
    """Train nothing: the AUROC is the epoch."""
    for epoch in range(spec.max_epochs):
        objective = epoch / 100
        yield EpochResult(epoch=epoch, objective=objective, val_auroc=objective, train_s=0.0)


def diverge_at_five(spec: TrialSpec, runtime: Runtime) -> Iterator[EpochResult]:
    for result in count_up(spec, runtime):
        if result.epoch == 5:
            raise TrialDivergedError("loss_g is nan at epoch 5")
        yield result


def crash(_spec: TrialSpec, _runtime: Runtime) -> Iterator[EpochResult]:
    yield EpochResult(epoch=0, objective=0.5, val_auroc=0.5, train_s=0.0)
    raise RuntimeError("out of memory")


@pytest.fixture(autouse=True)
def log_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A trainable without Ray makes itself a folder, by default at home."""
    monkeypatch.setattr(ray.tune.trainable.trainable, "DEFAULT_STORAGE_PATH", str(tmp_path))


@pytest.fixture
def make_order(
    make_study: MakeStudy, digits_library: Library, session_cache: NodeCache
) -> MakeOrder:
    """Build an order of a trial of 9 epochs with rungs at 1 and 3."""
    study = make_study(cells=Grid(dataset="digits", normal_class=0, anomaly_ratio=0.1))
    (cell_data,) = find_cell_data(study, digits_library).values()

    def build(train: TrainTrial = count_up, gpus: float = 0.0, **changes: Any) -> Order:  # noqa: ANN401
        runtime = Runtime(store=digits_library.uri, cache=session_cache, gpus=gpus)
        spec = cell_data.search_spec(0, {})
        launch = Launch(spec=replace(spec, **changes), attempt=0)
        return Order(launch=launch, runtime=runtime, train=train, scheduler=study.scheduler)

    return build


def _steps(objective: Objective) -> list[Progress]:
    """Step until the trial says that it is done."""
    steps: list[dict[str, Any]] = []
    while not steps or not steps[-1]["done"]:
        steps.append(objective.step())
    return [step["progress"] for step in steps]


def _results(steps: list[Progress]) -> list[tuple[int, float, dict[str, float]]]:
    return [(one.epoch, one.objective, one.losses) for step in steps for one in step.epochs]


def test_an_objective_returns_at_milestones_and_at_the_end(make_order: MakeOrder) -> None:
    steps = _steps(Objective(config={"order": make_order()}))
    epochs = [[result.epoch for result in step.epochs] for step in steps]
    assert epochs == [[0], [1, 2], [3, 4, 5, 6, 7, 8]]


def test_an_objective_is_done_at_its_last_epoch_alone(make_order: MakeOrder) -> None:
    objective = Objective(config={"order": make_order()})
    assert [objective.step()["done"] for _ in range(3)] == [False, False, True]


def test_an_objective_returns_at_a_heartbeat(
    make_order: MakeOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agad.executor.tune.worker, "HEARTBEAT_S", -1.0)
    steps = _steps(Objective(config={"order": make_order()}))
    assert [len(step.epochs) for step in steps] == [1] * 9


def test_a_trial_that_diverges_is_done_and_keeps_its_epochs(make_order: MakeOrder) -> None:
    steps = _steps(Objective(config={"order": make_order(diverge_at_five)}))
    assert [len(step.epochs) for step in steps] == [1, 2, 2]
    assert [step.diverged for step in steps] == ["", "", "loss_g is nan at epoch 5"]


def test_a_trial_that_crashes_is_not_taken_for_diverged(make_order: MakeOrder) -> None:
    objective = Objective(config={"order": make_order(crash)})
    objective.step()
    with pytest.raises(RuntimeError, match="out of memory"):
        objective.step()


def test_a_trial_that_exceeds_the_gpus_memory_fails_with_the_named_error(
    make_order: MakeOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exceed(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.")

    monkeypatch.setattr(AgadDetector, "update", exceed)
    objective = Objective(config={"order": make_order(train_trial, gpus=0.25)})
    message = r"does not fit the memory of cpu at a share of 0\.25 \(CUDA out of memory"
    with pytest.raises(GpuMemoryError, match=message):
        objective.step()


def test_a_new_order_drops_the_trial_before(make_order: MakeOrder) -> None:
    objective = Objective(config={"order": make_order()})
    objective.step()
    assert objective.reset_config({"order": make_order(max_epochs=2)})
    epochs = [[result.epoch for result in step.epochs] for step in _steps(objective)]
    assert epochs == [[0], [1]]


def test_a_new_order_counts_seconds_from_zero(make_order: MakeOrder) -> None:
    objective = Objective(config={"order": make_order()})
    steps = _steps(objective)
    assert 0 < steps[0].seconds < steps[1].seconds < steps[2].seconds
    objective.reset_config({"order": make_order()})
    assert 0 < objective.step()["progress"].seconds < steps[2].seconds + 1


def restored(spec: TrialSpec, runtime: Runtime) -> Iterator[EpochResult]:
    """Take over three epochs of an earlier attempt, of 1,000 seconds each."""
    for result in count_up(spec, runtime):
        is_restored = result.epoch < 3
        yield replace(result, train_s=1000.0 * is_restored, is_restored=is_restored)


def test_seconds_count_the_epochs_taken_over_once(make_order: MakeOrder) -> None:
    steps = _steps(Objective(config={"order": make_order(restored, gpus=0.5)}))
    assert [step.seconds // 1000 for step in steps] == [1, 3, 3]
    assert steps[-1].gpu_s == steps[-1].seconds / 2


def test_a_trial_is_told_of_which_attempt_its_checkpoints_are(make_order: MakeOrder) -> None:
    plans: list[CheckpointPlan | None] = []

    def note(spec: TrialSpec, runtime: Runtime) -> Iterator[EpochResult]:
        plans.append(runtime.checkpoints)
        yield from count_up(spec, runtime)

    order = make_order(note)
    plan = CheckpointPlan(prefix="a-study/checkpoints", milestones=(1, 3))
    launch = replace(order.launch, attempt=2)
    for checkpoints in (plan, None):
        runtime = replace(order.runtime, checkpoints=checkpoints)
        Objective(config={"order": replace(order, launch=launch, runtime=runtime)}).step()
    assert plans == [replace(plan, attempt=2), None]


def hungry(spec: TrialSpec, runtime: Runtime) -> Iterator[EpochResult]:
    """Hold as many MiB as the trial has a seed, in every epoch."""
    for result in count_up(spec, runtime):
        np.ones(spec.seed * 2**20, np.uint8)
        yield result


def test_progress_tells_the_peak_memory_of_its_trial_alone(make_order: MakeOrder) -> None:
    objective = Objective(config={"order": make_order(hungry, seed=1)})
    peaks = [_steps(objective)[-1].peak_memory_bytes or 0]
    for seed in (500, 1):
        objective.reset_config({"order": make_order(hungry, seed=seed)})
        peaks.append(_steps(objective)[-1].peak_memory_bytes or 0)
    assert peaks[1] - peaks[0] == pytest.approx(499 * 2**20, rel=0.05)
    assert peaks[2] - peaks[0] < 50 * 2**20


def test_a_trained_detector_does_not_count_for_the_trial_after_it(make_order: MakeOrder) -> None:
    def trial(width: int) -> Order:
        order = make_order(train_trial, max_epochs=1)
        spec = order.launch.spec
        detector = replace(spec.detector, base_width=width)
        launch = replace(order.launch, spec=replace(spec, detector=detector))
        return replace(order, launch=launch)

    objective = Objective(config={"order": trial(4)})
    objective.step()
    peaks = []
    for width in (4, 128, 4):
        objective.reset_config({"order": trial(width)})
        peaks.append(objective.step()["progress"].peak_memory_bytes or 0)
    assert peaks[1] - peaks[0] > 50 * 2**20
    assert peaks[2] - peaks[0] < 0.5 * (peaks[1] - peaks[0])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"is_restored": True, "train_s": 1000.0, "pretrain_s": 500.0}, 1500.0),
        ({"pretrain_s": 500.0, "pretrain_before_s": 400.0}, 400.0),
        ({"pretrain_s": 500.0}, 0.0),
    ],
    ids=["restored", "resumed in it", "own"],
)
def test_the_seconds_of_earlier_attempts_before_the_first_epoch_count(
    changes: dict[str, Any], expected: float, make_order: MakeOrder
) -> None:
    def train(_spec: TrialSpec, _runtime: Runtime) -> Iterator[EpochResult]:
        yield EpochResult(
            **{"epoch": 0, "objective": 0.5, "val_auroc": 0.5, "train_s": 0} | changes
        )

    (progress,) = _steps(Objective(config={"order": make_order(train, max_epochs=1)}))
    assert progress.seconds == pytest.approx(expected, abs=5.0)


def test_gpu_seconds_are_seconds_times_the_gpus_reserved(make_order: MakeOrder) -> None:
    order = make_order(gpus=0.25)
    steps = _steps(Objective(config={"order": order}))
    assert all(step.gpu_s == step.seconds * 0.25 for step in steps)


@pytest.mark.parametrize(
    ("gpus", "reserved"), [(0.0, {"CPU": 3.0}), (0.25, {"CPU": 3.0, "GPU": 0.25})]
)
def test_ray_reserves_what_a_trial_uses(
    make_order: MakeOrder, gpus: float, reserved: dict[str, float]
) -> None:
    order = make_order(gpus=gpus)
    order = replace(order, runtime=replace(order.runtime, num_threads=3))
    request = Objective.default_resource_request({"order": order})
    assert request.required_resources == reserved


def test_progress_names_the_hardware(make_order: MakeOrder) -> None:
    (progress,) = _steps(Objective(config={"order": make_order(max_epochs=1)}))
    assert progress.hardware == describe_hardware("cpu")


def test_the_fifth_trial_of_a_worker_equals_the_same_trial_in_a_new_one(
    make_order: MakeOrder,
) -> None:
    last = make_order(train_trial, max_epochs=2, seed=7)
    used = Objective(config={"order": make_order(train_trial, max_epochs=2)})
    used.step()
    for seed in (1, 2, 3):
        used.reset_config({"order": make_order(train_trial, max_epochs=2, seed=seed)})
        used.step()
    used.reset_config({"order": last})
    fresh = Objective(config={"order": last})
    assert _results(_steps(used)) == _results(_steps(fresh))


def encode(spec: TrialSpec, runtime: Runtime) -> Iterator[EpochResult | FeatureProgress]:
    """Compute the features of 1,024 images, then train nothing."""
    for num_done in (0, 512, 1024):
        yield FeatureProgress(num_done=num_done, num_missing=1024, seconds=0.25)
    yield from count_up(spec, runtime)


def test_an_objective_returns_while_it_computes_features(
    make_order: MakeOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agad.executor.tune.worker, "FEATURES_S", -1.0)
    steps = _steps(Objective(config={"order": make_order(encode)}))
    features = [one.features.num_done for one in steps if one.features is not None]
    assert features == [0, 512, 1024]
    assert all(one.epochs == () for one in steps[:3])
    assert [len(one.epochs) for one in steps[3:]] == [1, 2, 6]
    assert [one.encode_s for one in steps] == [0.25, 0.5, 0.75, 0.75, 0.75, 0.75]
    assert all(one.seconds >= 0 for one in steps)


def test_fast_features_do_not_interrupt_the_way_to_the_first_rung(make_order: MakeOrder) -> None:
    steps = _steps(Objective(config={"order": make_order(encode)}))
    assert [one.features for one in steps] == [None] * 3
    assert steps[0].encode_s == 0.75
