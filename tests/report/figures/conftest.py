"""A small study with everything that a figure is drawn from."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from PIL import Image

from agad.config import Asha, Grid, LogUniform, Search
from agad.records import TrialRow
from agad.report import (
    Curves,
    DetectorSearch,
    Figure,
    FigureData,
    Leaderboard,
    Picture,
    PlannedDetector,
    Scores,
    leaderboard,
)
from agad.report import figures as study_figures

RowBuilder = Callable[..., TrialRow]
NUM_TRIALS = 12
SEEDS = (1, 2, 3)
SEARCH = Search(
    space={"lr": LogUniform(1e-4, 1e-2), "weight_con": LogUniform(1, 100)},
    trials_per_cell=NUM_TRIALS,
)
SCHEDULER = Asha(max_epochs=9, grace_period=1, reduction_factor=3)


@dataclass(frozen=True)
class Drawn:
    """A study and its figures."""

    board: Leaderboard
    figure_data: FigureData
    figures: Mapping[str, Figure]

    def values(self, name: str) -> list[dict[str, Any]]:
        """Return the data of a figure."""
        found: list[dict[str, Any]] = self.figures[name].spec["data"]["values"]
        return found


def picture(colour: int = 100) -> bytes:
    """Return a PNG of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", (28, 8), (colour, 0, 0)).save(buffer, format="PNG")
    return buffer.getvalue()


@dataclass(frozen=True)
class StudyBuilder:
    """Builds the rows of a study of one data set; a trial's AUROC depends on ``lr`` alone."""

    make_row: RowBuilder

    def build(
        self,
        *,
        dataset: str = "digits",
        classes: Sequence[int] = (0, 8),
        ratios: Sequence[float] = (0.0, 0.05),
        seeds: Sequence[int] = SEEDS,
        num_trials: int = NUM_TRIALS,
        **changes: Any,  # noqa: ANN401
    ) -> Drawn:
        """Return the study; ``changes`` are of every row."""
        grid = Grid(dataset=dataset, normal_class=classes, anomaly_ratio=ratios)
        rows: list[TrialRow] = []
        for cell in grid.all_cells:
            of_cell = {
                "cell": cell.label,
                "dataset": dataset,
                "normal_class": cell.given_class,
                "anomaly_ratio": cell.anomaly_ratio,
                **changes,
            }
            rows += [self._searched(number, **of_cell) for number in range(num_trials)]
            rows += [
                self.make_row(
                    phase="confirm",
                    number=place,
                    seeds=(seed,),
                    params=params_of(num_trials - 1),
                    test_auroc=0.4 + seed / 100 + cell.anomaly_ratio,
                    test_average_precision=0.5 + seed / 50 + cell.anomaly_ratio,
                    **of_cell,
                )
                for place, seed in enumerate(seeds)
            ]
        return self.drawn(rows, grid)

    def drawn(self, rows: Sequence[TrialRow], grid: Grid) -> Drawn:
        """Return the figures of some rows."""
        board = leaderboard(
            rows,
            study="a-study",
            planned=[PlannedDetector(cells=grid.all_cells)],
            confirm_seeds=len(SEEDS),
        )
        figure_data = FigureData(
            trials=rows,
            searches=[DetectorSearch(search=SEARCH, scheduler=SCHEDULER)],
            curves=curves_of(rows),
            scores=_scores(rows),
            pictures=_pictures(rows),
        )
        figures = study_figures(board, figure_data)
        names = [one.name for one in figures]
        assert len(set(names)) == len(names)
        return Drawn(board, figure_data, dict(zip(names, figures, strict=True)))

    def _searched(self, number: int, **changes: Any) -> TrialRow:  # noqa: ANN401
        state = ("pruned", "finished", "diverged")[number % 3 if number < 9 else 1]
        return self.make_row(
            number=number,
            params=params_of(number),
            state=state,
            epochs=9 if state == "finished" else 3,
            max_epochs=9,
            val_auroc=0.5 + number % 40 / 100,
            **changes,
        )


def params_of(number: int) -> str:
    spread = np.random.default_rng(number).random()
    return json.dumps({"lr": 1e-4 * 100 ** (number % 40 / 40), "weight_con": float(100**spread)})


def curves_of(rows: Sequence[TrialRow]) -> Curves:
    """Return curves that rise to the last objective of each search trial."""
    lengths = [row.epochs if row.phase == "search" else 0 for row in rows]
    epochs = np.concatenate([np.arange(1, one + 1) for one in lengths])
    trial = np.repeat(np.arange(len(rows)), lengths)
    last = np.array([row.val_auroc for row in rows], float)[trial]
    total = np.array(lengths)[trial]
    return Curves(trial=trial, num_epochs=epochs, objective=last - (total - epochs) / 100)


def _scores(rows: Sequence[TrialRow]) -> Scores:
    places = [place for place, row in enumerate(rows) if row.test_auroc is not None]
    rng = np.random.default_rng(0)
    is_anomaly = np.tile(np.arange(60) % 3 > 0, len(places))
    return Scores(
        trial=np.repeat(np.array(places, np.int64), 60),
        is_anomaly=is_anomaly,
        score=np.round(rng.normal(size=len(is_anomaly)) + is_anomaly, 1),
    )


def _pictures(rows: Sequence[TrialRow]) -> list[Picture]:
    firsts = {row.cell: row for row in reversed(rows) if row.test_auroc is not None}
    return [
        Picture(
            trial_key=row.trial_key,
            image=image,
            is_anomaly=image > 1,
            score=image / 4,
            png=picture(),
        )
        for row in firsts.values()
        for image in range(4)
    ]


@pytest.fixture
def studies(make_row: RowBuilder) -> StudyBuilder:
    """Return what builds studies with all that a figure is drawn from."""
    return StudyBuilder(make_row)
