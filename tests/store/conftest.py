"""Builders of claims and rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from agad.records import Claim, EpochRow, TrialRow

Build = Callable[..., Any]

_TRIAL = TrialRow(
    study="study",
    cell="digits class=0 ratio=0.05",
    phase="search",
    trial_key="0" * 32,
    attempt=0,
    number=3,
    detector="agad",
    detector_version=1,
    dataset="digits",
    normal_class=0,
    anomaly_ratio=0.05,
    settings='{"backbone": "unet++"}',
    seeds=(1, 2**62),
    params='{"lr": 0.0002}',
    selection="labelled(30)",
    num_fit_normals=100,
    num_fit_anomalies=5,
    num_val_normals=10,
    num_val_anomalies=30,
    max_epochs=27,
    state="finished",
    stop_reason="",
    error="Traceback:\n  naïve\0",
    epochs=2,
    seconds=1.5,
    gpu_s=0.1 + 0.2,
    val_auroc=1 / 3,
    test_auroc=None,
    test_average_precision=None,
    data_fingerprint="f" * 64,
    commit="",
    is_dirty=True,
    versions="{}",
    hardware="cpu",
    started_at=datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC),
    ended_at=datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC),
)
_EPOCH = EpochRow(
    study="study",
    cell="digits class=0 ratio=0.05",
    phase="search",
    trial_key="0" * 32,
    attempt=0,
    epoch=0,
    val_auroc=0.25,
    train_s=0.75,
    losses={"con": 1e-300, "adv": float("inf")},
)
_CLAIM = Claim(
    trial_key="0" * 32,
    attempt=0,
    cell="digits class=0 ratio=0.05",
    phase="search",
    number=3,
    params={"lr": 2e-4, "backbone": "unet++", "flag": True},
    seeds=(1, 2),
)


@pytest.fixture
def trial_row() -> Build:
    """A builder of trial rows: what is not named is filled in."""
    return partial(replace, _TRIAL)


@pytest.fixture
def epoch_row() -> Build:
    return partial(replace, _EPOCH)


@pytest.fixture
def claim() -> Build:
    return partial(replace, _CLAIM)
