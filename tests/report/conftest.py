"""Rows of confirm trials, and leaderboards made from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from agad.config import Grid
from agad.records import TrialRow
from agad.report import Leaderboard, PlannedDetector, leaderboard

RowBuilder = Callable[..., TrialRow]


@pytest.fixture
def make_confirm_row(make_row: RowBuilder) -> RowBuilder:
    """Return a builder of finished confirm rows of one seed."""

    def build(seed: int, test_auroc: float | None, **changes: Any) -> TrialRow:  # noqa: ANN401
        scores = {"test_auroc": test_auroc, "test_average_precision": test_auroc}
        return make_row(phase="confirm", seeds=(seed,), **(scores | changes))

    return build


@pytest.fixture
def board(make_confirm_row: RowBuilder) -> Callable[..., Leaderboard]:
    """Return a builder of a leaderboard of one cell a class, its seeds counted from 1."""

    def build(*classes: Sequence[float], study: str = "new", first_seed: int = 1) -> Leaderboard:
        cells = Grid(dataset="digits", normal_class=list(range(len(classes)))).all_cells
        rows = [
            make_confirm_row(seed, score, study=study, cell=cell.label, normal_class=label)
            for label, (cell, scores) in enumerate(zip(cells, classes, strict=True))
            for seed, score in enumerate(scores, start=first_seed)
        ]
        return leaderboard(rows, planned=[PlannedDetector(cells=cells)], study=study)

    return build
