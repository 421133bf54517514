"""The time of an epoch."""

from __future__ import annotations

from collections.abc import Callable

from agad.config import Cell
from agad.trial import Runtime, TrialSpec, measure_epoch, train_trial
from agad.trial.train import prepare


def test_measure_epoch_counts_the_steps_of_an_epoch(
    make_spec: Callable[..., TrialSpec], runtime: Runtime
) -> None:
    cost = measure_epoch(make_spec(), runtime)
    assert cost.num_steps == prepare(make_spec(), runtime).batches.num_batches
    assert cost.num_measured == cost.num_steps
    assert cost.epoch_s > 0


def test_measure_epoch_stops_at_the_limit(
    make_spec: Callable[..., TrialSpec], runtime: Runtime
) -> None:
    cost = measure_epoch(make_spec(), runtime, limit_s=0.0)
    assert cost.num_measured == 1
    assert cost.num_steps > 1
    assert cost.epoch_s > 0


def test_measure_epoch_works_without_anomalies(
    make_spec: Callable[..., TrialSpec], runtime: Runtime
) -> None:
    cell = Cell(dataset="digits", normal_class=0, anomaly_ratio=0.0)
    assert measure_epoch(make_spec(cell=cell), runtime, limit_s=0.0).epoch_s > 0


def test_measure_epoch_changes_no_trial_after_it(
    make_spec: Callable[..., TrialSpec], runtime: Runtime
) -> None:
    before = [result.losses for result in train_trial(make_spec(), runtime)]
    measure_epoch(make_spec(), runtime)
    assert [result.losses for result in train_trial(make_spec(), runtime)] == before
