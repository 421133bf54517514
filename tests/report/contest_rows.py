"""Rows of a study that compares detectors, and what the study plans."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from agad.config import (
    Asha,
    Candidate,
    Cell,
    Confirm,
    Grid,
    LogUniform,
    Study,
    Uniform,
    ranked_apart,
)
from agad.config.study import Entry
from agad.detectors import Agad, Pca
from agad.records import TrialRow
from agad.report import PlannedDetector

RowBuilder = Callable[..., TrialRow]

SEEDS = (1, 2)
STUDY = Study(
    name="a-study",
    cells=Grid(dataset="digits", normal_class=range(9), anomaly_ratio=[0, 0.05]),
    detectors=[
        Candidate(
            Agad(),
            space={"lr": LogUniform(1e-4, 1e-2)},
            trials=3,
            scheduler=Asha(max_epochs=4, grace_period=2, reduction_factor=2),
        ),
        Candidate(Pca(), space={}),
        Candidate(Pca(variance=0.6), space={"variance": Uniform(0.5, 0.7)}, trials=2),
    ],
    confirm=Confirm(seeds=len(SEEDS)),
)
METHODS = ("agad", "pca", "pca variance=0.6")
SHIFTS = dict(zip(METHODS, (0.0, 0.2, 0.1), strict=True))


def planned(study: Study = STUDY) -> list[PlannedDetector]:
    """Return what a study plans for each of its detectors."""
    return [
        PlannedDetector(
            cells=entry.cells,
            name=entry.candidate.detector.name,
            policy=ranked_apart(entry.study.selection.policy),
            cell_trials=entry.study.num_search_trials,
            standing={asked: ran for asked, ran in entry.answers.items() if asked != ran},
            left_out=entry.left_out,
        )
        for entry in study.entries
    ]


def rows_of_contest(make_row: RowBuilder, study: Study = STUDY) -> list[TrialRow]:
    """Return every row of a study of detectors that has ended.

    A score is the class's level, the shift of the method, and a hundredth for each seed.
    """
    return [
        row
        for entry, method in zip(study.entries, METHODS, strict=False)
        for cell in entry.cells
        for row in _rows(make_row, entry, cell, SHIFTS[method])
    ]


def _rows(make_row: RowBuilder, entry: Entry, cell: Cell, shift: float) -> Iterator[TrialRow]:
    is_searched = entry.candidate.searches
    name, space = next(iter(entry.candidate.searched_space.items()), ("", None))
    place: dict[str, Any] = {
        "cell": cell.label,
        "detector": entry.candidate.detector.name,
        "normal_class": cell.normal_class,
        "anomaly_ratio": cell.anomaly_ratio,
        "settings": json.dumps(dict(cell.settings)),
        "selection": "labelled(30)" if is_searched else "fixed_epoch(1)",
        "num_val_anomalies": 30 if is_searched else 0,
        "max_epochs": entry.study.scheduler.max_epochs,
        "epochs": entry.study.scheduler.max_epochs,
        "val_auroc": 0.9 if is_searched else None,
        "objective": 0.9 if is_searched else -1.5,
    }
    params = [
        {name: space.low + number * (space.high - space.low) / 8}
        if isinstance(space, LogUniform | Uniform)
        else {}
        for number in range(max(entry.study.num_search_trials, 1))
    ]
    for number in range(entry.study.num_search_trials):
        yield make_row(number=number, params=json.dumps(params[number]), **place)
    for number, seed in enumerate(SEEDS):
        score = 0.5 + int(str(cell.normal_class)) / 50 + shift + seed / 100
        yield make_row(
            phase="confirm",
            number=number,
            seeds=(seed,),
            params=json.dumps(params[0]),
            test_auroc=score,
            test_average_precision=score,
            **place,
        )
