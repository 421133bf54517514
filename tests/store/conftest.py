"""Builders of claims and rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from agad.records import Claim, EpochRow

Build = Callable[..., Any]

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
def trial_row(make_row: Build) -> Build:
    """A builder of rows of one trial, with values that are hard to keep exactly."""
    return partial(
        make_row,
        study="study",
        cell="digits class=0 ratio=0.05",
        trial_key="0" * 32,
        number=3,
        anomaly_ratio=0.05,
        settings='{"backbone": "unet++"}',
        seeds=(1, 2**62),
        params='{"lr": 0.0002}',
        error="Traceback:\n  naïve\0",
        epochs=2,
        gpu_s=0.1 + 0.2,
        val_auroc=1 / 3,
        started_at=datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC),
    )


@pytest.fixture
def epoch_row() -> Build:
    return partial(replace, _EPOCH)


@pytest.fixture
def claim() -> Build:
    return partial(replace, _CLAIM)
