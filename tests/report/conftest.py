"""Rows of confirm trials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agad.records import TrialRow

RowBuilder = Callable[..., TrialRow]


@pytest.fixture
def make_confirm_row(make_row: RowBuilder) -> RowBuilder:
    """Return a builder of finished confirm rows of one seed."""

    def build(seed: int, test_auroc: float | None, **changes: Any) -> TrialRow:  # noqa: ANN401
        scores = {"test_auroc": test_auroc, "test_average_precision": test_auroc}
        return make_row(phase="confirm", seeds=(seed,), **(scores | changes))

    return build
