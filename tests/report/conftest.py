"""Rows as a study would have left them, each field at a value that a test can override."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from agad.records import TrialRow

RowBuilder = Callable[..., TrialRow]


@pytest.fixture
def make_row() -> RowBuilder:
    """Return a builder of finished search rows of ``digits class=0 ratio=0``."""
    numbers = itertools.count()

    def build(**changes: Any) -> TrialRow:  # noqa: ANN401
        number = next(numbers)
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        row = TrialRow(
            study="a-study",
            cell="digits class=0 ratio=0",
            phase="search",
            trial_key=f"{number:032x}",
            attempt=0,
            number=number,
            detector="agad",
            detector_version=1,
            dataset="digits",
            normal_class=0,
            anomaly_ratio=0.0,
            settings="{}",
            seeds=(0,),
            params=json.dumps({"lr": 0.001}),
            selection="labelled(30)",
            num_fit_normals=140,
            num_fit_anomalies=0,
            num_val_normals=15,
            num_val_anomalies=30,
            max_epochs=27,
            state="finished",
            stop_reason="",
            error="",
            epochs=27,
            seconds=10.0,
            gpu_s=0.0,
            val_auroc=0.9,
            test_auroc=None,
            test_average_precision=None,
            data_fingerprint="ab12" * 16,
            commit="0123456789abcdef",
            is_dirty=False,
            versions=json.dumps({"python": "3.12.3", "torch": "2.13.0"}),
            hardware="a processor on a host",
            started_at=moment,
            ended_at=moment,
        )
        return replace(row, **changes)

    return build


@pytest.fixture
def make_confirm_row(make_row: RowBuilder) -> RowBuilder:
    """Return a builder of finished confirm rows of one seed."""

    def build(seed: int, test_auroc: float | None, **changes: Any) -> TrialRow:  # noqa: ANN401
        scores = {"test_auroc": test_auroc, "test_average_precision": test_auroc}
        return make_row(phase="confirm", seeds=(seed,), **(scores | changes))

    return build
