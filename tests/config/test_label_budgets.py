"""Label budgets of a study: who says them, what a budget of 0 means, and what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agad.config import (
    Candidate,
    FixedEpoch,
    Grid,
    LabelFree,
    Labelled,
    LogUniform,
    NoStopping,
    Search,
    Study,
    stored_detectors,
)
from agad.detectors import Agad, Knn, Probe
from agad.errors import ConfigError

BUDGETS = [0, 5, 10]


def _study(**changes: Any) -> Study:  # noqa: ANN401
    values: dict[str, Any] = {
        "name": "labels",
        "cells": Grid(dataset="digits", normal_class=0, labels=BUDGETS),
        "detectors": [Candidate(Knn()), Candidate(Probe()), Candidate(Knn(num_neighbors=9))],
        "search": Search(trials_per_cell=4, seeds=2),
    }
    return Study(**(values | changes))


def _one(**changes: Any) -> Study:  # noqa: ANN401
    search = Search(space={"lr": LogUniform(1e-5, 1e-3)}, trials_per_cell=4)
    return _study(**({"detectors": (), "detector": Agad(), "search": search} | changes))


def test_the_budget_of_a_selection_is_the_short_form_of_an_axis() -> None:
    cells = Grid(dataset="digits", normal_class=0)
    short = _study(cells=cells, selection=Labelled(budget=30, val_share=0.2))
    long = _study(
        cells=Grid(dataset="digits", normal_class=0, labels=30), selection=Labelled(val_share=0.2)
    )
    assert short == long
    assert [cell.label for cell in short.entries[0].cells] == ["digits class=0 labels=30"]


@pytest.mark.parametrize("selection", [Labelled(), LabelFree()], ids=repr)
def test_a_study_with_budgets_is_what_it_was_after_its_json(selection: Any) -> None:  # noqa: ANN401
    study = _study(selection=selection)
    again = Study.from_json(json.loads(json.dumps(study.as_json())))
    assert (again.cells, again.selection) == (study.cells, study.selection)
    assert (again.all_cells, again.as_json()) == (study.all_cells, study.as_json())


def test_a_study_without_budgets_is_stored_as_an_earlier_version_stored_it() -> None:
    stored = _study(cells=Grid(dataset="digits", normal_class=0, anomaly_ratio=0.1)).as_json()
    assert stored["selection"] == {"num_anomalies": None, "val_share": 0.1}
    assert "labels" not in stored["cells"]


@pytest.mark.parametrize("study", [_study(), _one()], ids=["several", "one"])
def test_at_budget_0_nothing_is_searched_by_labels(study: Study) -> None:
    entry = study.entries[0]
    searched = {cell.labels: entry.study_of(cell) for cell in entry.cells}
    assert {labels: one.num_search_trials for labels, one in searched.items()} == {
        0: 0,
        5: 4,
        10: 4,
    }
    assert searched[0].selection == FixedEpoch(epochs=entry.study.scheduler.max_epochs)
    assert {one.confirm_seeds for one in searched.values()} == {study.confirm_seeds}
    assert searched[0].detector == entry.study.detector


def test_without_labels_to_search_by_a_budget_of_0_is_searched_as_others_are() -> None:
    entry = _one(selection=LabelFree()).entries[0]
    assert {entry.study_of(cell).num_search_trials for cell in entry.cells} == {4}


def test_a_detector_that_needs_labels_leaves_the_cells_at_budget_0_out() -> None:
    probe = _study().entries[1]
    assert [cell.labels for cell in probe.cells] == [5, 10]
    assert [cell.labels for cell in probe.left_out] == [0]


@pytest.mark.parametrize(
    ("study", "which"),
    [
        (_study(detectors=[Candidate(Knn(), space={}), Candidate(Probe())]), 0),
        (_study(selection=LabelFree()), 0),
    ],
    ids=["nothing searched", "searched without labels"],
)
def test_a_detector_that_sees_no_label_runs_once_for_all_budgets(study: Study, which: int) -> None:
    answers = study.entries[which].answers
    assert {cell.labels for cell in answers} == {*BUDGETS}
    assert {cell.labels for cell in answers.values()} == {0}


def test_a_stored_study_tells_where_nothing_is_searched() -> None:
    config: Mapping[str, Any] = json.loads(json.dumps(_study().as_json()))
    knn, probe, _ = stored_detectors(config)
    assert [(cell.labels, knn.searches(cell)) for cell in knn.cells] == [
        (0, False),
        (5, True),
        (10, True),
    ]
    assert [cell.labels for cell in probe.left_out] == [0]


def test_half_of_a_budget_validates_and_all_of_it_where_no_label_is_fitted() -> None:
    halves = [Labelled().num_val_of(budget, fits_labels=True) for budget in (2, 3, 5, 10, 30)]
    assert halves == [1, 1, 2, 5, 15]
    assert Labelled().num_val_of(5, fits_labels=False) == 5
    assert LabelFree().num_val_of(5, fits_labels=True) == 0
    assert FixedEpoch(epochs=1).num_val_of(5, fits_labels=False) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"selection": {"num_anomalies": 5}},
            "selection.num_anomalies is 5 and cells.labels is given, but a label budget is split",
        ),
        (
            {"selection": {"budget": 5}},
            "selection.budget is 5 and cells.labels is given, but both are label budgets; leave",
        ),
        (
            {"selection": {"budget": 5}, "cells": {"labels": None, "anomaly_ratio": 0.1}},
            "selection.budget is 5 and cells.anomaly_ratio is given, but both say how many",
        ),
        (
            {
                "selection": {"pool": ["a", "b"]},
                "cells": {"labels": None, "anomaly_ratio": 0.1},
            },
            "selection.pool names 2 images and cells.anomaly_ratio is given, but both say how many",
        ),
        (
            {"selection": {"pool": ["a", "b"], "num_anomalies": 5}, "cells": {"labels": None}},
            "selection.pool names 2 images and selection.num_anomalies is 5, but a label budget is",
        ),
        (
            {"selection": {"pool": ["a", "b"]}, "cells": {"labels": 0}},
            "selection.pool names images, but cells.labels is 0 alone, which uses none of them",
        ),
        (
            {"selection": {"pool": ["a", "b", "c"]}},
            "cells.labels holds 10, but selection.pool names 3 images; name more, or use a smaller",
        ),
        (
            {
                "selection": {"pool": ["a", "b"]},
                "cells": {"labels": 2, "dataset": ["digits", "mnist"]},
            },
            "selection.pool names images and cells.dataset is given",
        ),
        (
            {"selection": {"pool": ["a", "b"]}, "cells": {"labels": 2, "labelled_classes": 1}},
            "selection.pool names images and cells.labelled_classes is given",
        ),
        (
            {"detectors": [Candidate(Probe())]},
            "cells.labels is 0, 5, 10, but Probe cannot be fitted without labelled anomalies; give "
            "budgets above 0 alone",
        ),
        (
            {
                "detectors": [Candidate(Knn()), Candidate(Probe())],
                "cells": {"labels": 0},
            },
            "which needs labelled anomalies, but cells.labels is 0; add a budget of at least 2.",
        ),
    ],
    ids=[
        *("num_anomalies", "both budgets", "ratio", "pool and ratio", "pool and num_anomalies"),
        *("pool at 0", "small pool", "two data sets", "classes", "probe alone", "probe beside"),
    ],
)
def test_a_study_refuses_what_does_not_go_with_budgets(
    changes: dict[str, Any], message: str
) -> None:
    cells = {"dataset": "digits", "normal_class": 0, "labels": BUDGETS} | changes.pop("cells", {})
    selection = Labelled(**changes.pop("selection", {}))
    with pytest.raises(ConfigError, match=re.escape(message)) as refused:
        _study(cells=Grid(**cells), selection=selection, **changes)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"budget": 1}, "selection.budget is 1, but must be at least 2: one anomaly to fit on"),
        ({"budget": 0}, "selection.budget is 0, but must be a whole number, at least 2"),
        (
            {"budget": 30, "num_anomalies": 30},
            "selection.num_anomalies is 30 and selection.budget is 30, but a budget is split",
        ),
    ],
    ids=["1", "0", "both"],
)
def test_a_selection_refuses_a_budget(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        Labelled(**given)


def test_a_detector_of_one_fit_takes_budgets_without_detectors() -> None:
    study = _one(detector=Knn(), search=Search(space=Knn().default_space(), trials_per_cell=3))
    (entry,) = study.entries
    assert entry.study_of(entry.cells[0]).scheduler == NoStopping(max_epochs=1)


def test_a_pool_is_read_when_the_study_is_built(tmp_path: Path) -> None:
    file = tmp_path / "defects.txt"
    file.write_text("bent/1.png\n\n  broken/2.png \n")
    study = _study(cells=Grid(dataset="digits", normal_class=0), selection=Labelled(pool=str(file)))
    file.unlink()
    assert isinstance(study.selection, Labelled)
    assert study.selection.named == ("bent/1.png", "broken/2.png")
    assert study.cells.labels == (2,)
    again = Study.from_json(json.loads(json.dumps(study.as_json())))
    assert (again.cells, again.selection) == (study.cells, study.selection)
    assert (again.all_cells, again.as_json()) == (study.all_cells, study.as_json())


def test_a_part_of_a_named_pool_is_a_budget(tmp_path: Path) -> None:
    for name in ("a/1.png", "a/2.png", "b/1.png", ".hidden/3.png", ".DS_Store"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    selection = Labelled(pool=tmp_path, budget=2)
    study = _study(cells=Grid(dataset="digits", normal_class=0), selection=selection)
    assert selection.named == ("a/1.png", "a/2.png", "b/1.png")
    assert study.cells.labels == (2,)
    again = Study.from_json(json.loads(json.dumps(study.as_json())))
    assert (again.cells, again.selection) == (study.cells, study.selection)
    assert (again.all_cells, again.as_json()) == (study.all_cells, study.as_json())


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        ("no/such/file.txt", "selection.pool is 'no/such/file.txt', but there is no such file"),
        (["a.png", "a.png"], "selection.pool names 'a.png' twice, but must name an image once."),
        (["a.png", 7], "selection.pool holds 7, but must hold names of images."),
        (7, "selection.pool holds 7, but must hold names of images."),
        ([], "selection.pool is [], which names 0 images, but must name at least 2: one anomaly"),
        (["a.png"], "selection.pool is ['a.png'], which names 1 image, but must name at least 2"),
    ],
    ids=["missing", "twice", "number", "no list", "no name", "one name"],
)
def test_a_selection_refuses_a_pool(pool: Any, message: str) -> None:  # noqa: ANN401
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        Labelled(pool=pool)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "which names 0 images, but must name at least 2"),
        (b"train[7]\n", "which names 1 image, but must name at least 2"),
        (b"\xff\xfe", "which cannot be read ("),
    ],
    ids=["empty", "one name", "no text"],
)
def test_a_selection_refuses_a_file_of_no_names(
    content: bytes, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "defects.txt"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=re.escape(message)):
        Labelled(pool=file)
