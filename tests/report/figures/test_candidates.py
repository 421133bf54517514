"""Figures of a study of several detectors: each search is drawn alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import pytest

from agad.records import TrialRow
from agad.report import DetectorSearch, Figure, FigureData, leaderboard
from agad.report import figures as study_figures
from tests.report.contest_rows import STUDY, planned, rows_of_contest
from tests.report.figures.conftest import curves_of

RowBuilder: TypeAlias = Callable[..., TrialRow]

BY_DETECTOR = ("learning-curves", "search-history", "slices")


@pytest.fixture
def figures(make_row: RowBuilder) -> Mapping[str, Figure]:
    rows = rows_of_contest(make_row)
    found = study_figures(
        leaderboard(rows, planned=planned(), confirm_seeds=2),
        FigureData(
            trials=rows,
            searches=[
                DetectorSearch(
                    detector=entry.candidate.detector.name,
                    cells=frozenset(cell.label for cell in entry.cells),
                    search=entry.study.search,
                    scheduler=entry.study.scheduler,
                    objective=entry.study.selection.objective,
                )
                for entry in STUDY.entries
            ],
            curves=curves_of(rows),
        ),
    )
    names = [one.name for one in found]
    assert len(set(names)) == len(names)
    return {one.name: one for one in found}


def of_kind(figures: Mapping[str, Figure], kind: str, detector: str) -> list[Figure]:
    return [
        one
        for name, one in figures.items()
        if name.startswith(kind) and name.removeprefix(kind).strip("-0123456789") == detector
    ]


@pytest.mark.parametrize("kind", BY_DETECTOR)
def test_a_search_is_drawn_with_the_cells_of_its_detector_alone(
    figures: Mapping[str, Figure], kind: str
) -> None:
    agad = of_kind(figures, kind, "agad")
    assert agad
    assert all(one.title.endswith(": agad") for one in agad)
    pca = of_kind(figures, kind, "pca")
    assert pca
    assert all(one.title.endswith(": pca variance=0.6") for one in pca)
    assert "detector=pca" not in str([one.spec for one in agad])
    assert "lr" not in str([one.spec["data"] for one in pca])


def test_rungs_are_those_of_the_detector(figures: Mapping[str, Figure]) -> None:
    (first, *_) = of_kind(figures, "learning-curves", "agad")
    assert "the rungs, after 2 epochs" in first.caption
    (second, *_) = of_kind(figures, "learning-curves", "pca")
    assert "Dashed" not in second.caption


def test_a_standing_result_has_its_seeds_once_and_one_mark(figures: Mapping[str, Figure]) -> None:
    # 9 classes x 2 seeds, at 2 ratios but for the detector that runs at one.
    assert "n = 90 confirm seeds" in figures["auroc-by-ratio"].caption
    cost = figures["cost"]
    assert cost.table is not None
    assert [row[2] for row in cost.table.rows if row[1] == "pca"] == ["0"]
    assert "A result that stands at several ratios has one mark." in cost.caption
    heat = figures["auroc-by-class"]
    assert heat.table is not None
    assert len([row for row in heat.table.rows if row[1] == "pca"]) == 18
