"""Trials small enough to train in a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from agad.config import Agad, Cell
from agad.trial import Runtime, TrialSpec

MakeSpec: TypeAlias = Callable[..., TrialSpec]


def _make_spec(**changes: object) -> TrialSpec:
    values: dict[str, Any] = {
        "cell": Cell(dataset="digits", normal_class=0, anomaly_ratio=0.1),
        "phase": "search",
        "number": 0,
        "params": {},
        "seed": 0,
        "max_epochs": 2,
        "detector": Agad(
            backbone="naive",
            base_width=4,
            discriminator_width=4,
            batch_size=32,
            min_batch_anomalies=16,
            lr=2e-3,
        ),
        "num_val_anomalies": 30,
        "val_share": 0.1,
        "data_fingerprint": "0" * 64,
    }
    return TrialSpec(**(values | changes))


@pytest.fixture(scope="session")
def make_spec() -> MakeSpec:
    """Build a tiny trial on digits, with some of its fields changed."""
    return _make_spec


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    """One thread of the CPU; digits needs no folder."""
    return Runtime(data_root=str(tmp_path))
