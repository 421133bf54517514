"""The time of an epoch."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agad.config import Cell
from agad.detectors import Knn
from agad.trial import EpochCost, Runtime, TrialSpec, measure_epoch, train_trial
from agad.trial.training import Training, prepare


def test_measure_epoch_times_every_step_of_an_epoch_that_is_within_the_limit(
    make_spec: Callable[..., TrialSpec], runtime: Runtime
) -> None:
    cost = measure_epoch(make_spec(), runtime)
    assert cost.num_measured == prepare(make_spec(), runtime).batches.num_batches > 1
    assert min(cost.step_s, cost.val_image_s) > 0


def test_an_epoch_costs_its_steps_and_its_validation_images() -> None:
    cost = EpochCost(step_s=2.0, val_image_s=0.5, num_measured=3)
    assert cost.epoch_s(num_steps=10, num_val=42) == 41.0


def test_measure_epoch_stops_at_the_limit(
    make_spec: Callable[..., TrialSpec], runtime: Runtime
) -> None:
    cost = measure_epoch(make_spec(), runtime, limit_s=0.0)
    assert cost.num_measured == 1
    assert min(cost.step_s, cost.val_image_s) > 0


def test_measure_epoch_works_without_anomalies(
    make_spec: Callable[..., TrialSpec], runtime: Runtime
) -> None:
    cell = Cell(dataset="digits", normal_class=0, anomaly_ratio=0.0)
    assert measure_epoch(make_spec(cell=cell), runtime, limit_s=0.0).step_s > 0


def test_measure_epoch_changes_no_trial_after_it(
    make_spec: Callable[..., TrialSpec], runtime: Runtime
) -> None:
    before = [result.losses for result in train_trial(make_spec(), runtime)]
    measure_epoch(make_spec(), runtime)
    assert [result.losses for result in train_trial(make_spec(), runtime)] == before


@pytest.mark.parametrize(("limit_s", "step_s"), [(1.0, 0.01), (0.1, 0.5)], ids=["within", "above"])
def test_measure_epoch_repeats_a_first_fit_that_is_within_the_limit(
    make_spec: Callable[..., TrialSpec],
    runtime: Runtime,
    monkeypatch: pytest.MonkeyPatch,
    limit_s: float,
    step_s: float,
) -> None:
    seconds = iter([0.5, 0.01])

    def fit(training: Training, num_batches: int) -> float:
        stage = training.spec.detector.stages[-1]
        training.detector.fit_epoch(stage, training.batches.first(num_batches), training.rng)
        return next(seconds)

    monkeypatch.setattr("agad.trial.measure._fit_s", fit)
    spec = make_spec(detector=Knn(), max_epochs=1)
    assert measure_epoch(spec, runtime, limit_s=limit_s).step_s == step_s
