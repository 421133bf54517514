"""A real study of detectors that fit once, beside AGAD, on a real Ray, and its report."""

from __future__ import annotations

import json

import pytest

from agad.config import (
    Asha,
    Candidate,
    Choice,
    Confirm,
    Grid,
    Labelled,
    LogUniform,
    Study,
)
from agad.detectors import Agad, Knn, KnnProbe, Lof
from agad.executor.tune import ClusterOptions, run_study
from agad.objects import open_objects
from agad.reading import stored_leaderboard
from agad.report import markdown
from agad.store import StudyStore

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("shared_ray")]

STUDY = Study(
    name="shallow",
    cells=Grid(dataset="digits", normal_class=0, anomaly_ratio=[0.0, 0.1]),
    detectors=[
        Candidate(Lof(), space={"num_neighbors": Choice([5, 20])}, trials=9),
        Candidate(Knn(), space={}),
        Candidate(
            Agad(base_width=2, discriminator_width=4, batch_size=32, min_batch_anomalies=16),
            space={"lr": LogUniform(1e-3, 1e-2)},
            trials=2,
            scheduler=Asha(max_epochs=2, grace_period=1, reduction_factor=2),
        ),
        Candidate(KnnProbe(), space={}),
    ],
    confirm=Confirm(seeds=2),
    selection=Labelled(num_anomalies=30, val_share=0.25),
)


def test_a_study_of_shallow_detectors_beside_agad_runs_and_reports(options: ClusterOptions) -> None:
    objects = open_objects(options.store)
    run_study(STUDY, StudyStore(objects, "shallow"), options)
    rows = StudyStore(objects, "shallow").trials()
    of_lof = [row for row in rows if row.detector == "lof" and row.phase == "search"]
    # A small grid ends the search of each cell, and nothing stops a trial that fits once.
    assert [(row.state, row.epochs) for row in of_lof] == [("finished", 1)] * 4
    tried = [json.loads(row.params)["num_neighbors"] for row in of_lof]
    assert sorted(tried) == [5, 5, 20, 20]
    board = stored_leaderboard(objects, "shallow")
    found = {(cell.detector, cell.anomaly_ratio): cell for cell in board.cells}
    assert set(found) == {
        *((name, ratio) for name in ("lof", "knn", "agad") for ratio in (0.0, 0.1)),
        ("knn-probe", 0.1),
    }
    scores = {key: cell.test_auroc for key, cell in found.items() if key[0] != "agad"}
    assert all(score is not None and score > 0.98 for score in scores.values()), scores
    assert "Labels needed: knn-probe has no row in 1 cell at ratio 0" in markdown(board)
