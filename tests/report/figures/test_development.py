"""Figures of a study that searched on development classes, for other classes too."""

from __future__ import annotations

import json
from statistics import fmean

import pytest

from agad.config import Grid
from agad.report import Leaderboard, PlannedDetector, leaderboard
from agad.report import figures as study_figures
from agad.report.figures import DetectorSearch, FigureData
from agad.report.numbers.statistics import mean_interval
from tests.report.figures.conftest import (
    NUM_TRIALS,
    SCHEDULER,
    SEARCH,
    Drawn,
    RowBuilder,
    curves_of,
    params_of,
)

GRID = Grid(dataset="digits", normal_class=[0, 3, 8])
AUROCS = {0: 0.9, 3: 0.7, 8: 0.8}
PRECISIONS = {0: 0.95, 3: 0.6, 8: 0.75}
SEEDS = (1, 2, 3)


@pytest.fixture
def drawn(make_row: RowBuilder) -> Drawn:
    """Return a study of three classes at one ratio, searched on class 0 for a minute a trial."""
    search = GRID.all_cells[0].over((0,))
    rows = [
        make_row(
            cell=search.label,
            normal_class=None,
            development_classes=(0,),
            number=number,
            params=params_of(number),
            val_auroc=0.5 + number / 100,
            epochs=9,
            max_epochs=9,
            seconds=60.0,
        )
        for number in range(NUM_TRIALS)
    ]
    rows += [
        make_row(
            phase="confirm",
            cell=cell.label,
            normal_class=cell.given_class,
            number=place,
            seeds=(seed,),
            params=params_of(NUM_TRIALS - 1),
            test_auroc=AUROCS[int(cell.given_class)] + seed / 100,
            test_average_precision=PRECISIONS[int(cell.given_class)] + seed / 50,
            seconds=1.0,
        )
        for cell in GRID.all_cells
        for place, seed in enumerate(SEEDS)
    ]
    board = leaderboard(
        rows, planned=[PlannedDetector(cells=GRID.all_cells, searches=[search])], confirm_seeds=3
    )
    figure_data = FigureData(
        trials=rows,
        searches=[DetectorSearch(search=SEARCH, scheduler=SCHEDULER)],
        curves=curves_of(rows),
    )
    figures = study_figures(board, figure_data)
    return Drawn(board, figure_data, {one.name: one for one in figures})


@pytest.mark.parametrize(
    ("name", "scores", "step"),
    [("auroc-by-ratio", AUROCS, 0.01), ("average-precision-by-ratio", PRECISIONS, 0.02)],
    ids=["auroc", "average precision"],
)
def test_a_mean_without_the_development_classes_is_a_line_of_its_own(
    drawn: Drawn, name: str, scores: dict[int, float], step: float
) -> None:
    values = drawn.values(name)

    means = {one["method"]: one for one in values if "mean" in one}
    assert {method: one["mean"] for method, one in means.items()} == {
        "agad": pytest.approx(fmean(scores.values()) + 2 * step),
        "agad without 0": pytest.approx((scores[3] + scores[8]) / 2 + 2 * step),
    }
    expected = mean_interval([[scores[one] + seed * step for seed in SEEDS] for one in (3, 8)])
    assert expected is not None
    without = means["agad without 0"]
    assert (without["low"], without["high"]) == pytest.approx((expected.low, expected.high))
    classes = {
        one["class"] for one in values if one["method"] == "agad without 0" if "class" in one
    }
    assert classes == {"3", "8"}
    assert "means over classes of n = 9 confirm seeds in all" in drawn.figures[name].caption


def test_the_cost_holds_the_search_once(drawn: Drawn) -> None:
    (spent,) = drawn.values("cost")

    # Twelve trials of a minute for all classes, and three seeds of a second for each of three.
    assert spent["time"] * 60 == pytest.approx(12 * 60 + 9)
    assert spent["score"] == pytest.approx(fmean(AUROCS.values()) + 0.02)


def test_the_search_is_drawn_with_the_configuration_that_its_cells_confirmed(drawn: Drawn) -> None:
    label = drawn.board.searches[0].cell

    assert {one["cell"] for one in drawn.values("search-history")} == {label}
    confirmed = [one["number"] for one in drawn.values("search-history") if one.get("is_confirmed")]
    assert confirmed == [NUM_TRIALS - 1]
    assert "learning-curves" in drawn.figures
    assert label in drawn.figures["slices"].alt
    assert "Tick: a cell, 1 of 1," in drawn.figures["importance"].caption


def test_a_search_holds_the_configuration_that_was_confirmed(drawn: Drawn) -> None:
    board: Leaderboard = drawn.board

    assert board.searches[0].best_params == json.loads(params_of(NUM_TRIALS - 1))
    assert board.searching == board.searches
