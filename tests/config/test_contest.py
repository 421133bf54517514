"""Which cells each detector of a study answers, and what a study.json tells of its detectors."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from agad.config import (
    Candidate,
    Cell,
    FixedEpoch,
    Grid,
    LabelFree,
    Labelled,
    LogUniform,
    NoStopping,
    Search,
    Selection,
    Study,
    Uniform,
    parameters_of,
    stored_detectors,
)
from agad.config.contest import answered, cells_of_detectors
from agad.config.detector import Labels
from agad.detectors import Agad, DeepSvdd, Knn, Lof, Pca
from agad.detectors.shallow.features import KINDS, FeatureKind

CELLS = Grid(dataset="digits", normal_class=[0, 8], anomaly_ratio=[0.0, 0.1]).all_cells
CANDIDATES = (
    Candidate(Agad(), space={"lr": LogUniform(1e-5, 1e-3)}, trials=6),
    Candidate(Pca(), space={}),
    Candidate(Pca(variance=0.5), space={"variance": Uniform(0.4, 0.6)}),
)
STUDY = Study(
    name="several",
    cells=Grid(dataset="digits", normal_class=[0, 8], anomaly_ratio=[0.0, 0.1]),
    detectors=CANDIDATES,
)


def _labels_of(*detectors: Any) -> list[list[str]]:  # noqa: ANN401
    given = [(one.name, parameters_of(one), one.supervision.external_data) for one in detectors]
    return [[cell.label for cell in cells] for cells in cells_of_detectors(CELLS[:1], given)]


def test_the_first_detector_has_the_labels_that_it_has_alone() -> None:
    first, *_ = cells_of_detectors(CELLS, [("agad", {}, ""), ("pca", {}, "")])
    assert first == CELLS


def test_a_further_detector_made_from_external_data_names_its_features() -> None:
    encoder = "efficientnet-lite0"
    first, second, third = _labels_of(Knn(features=encoder), Lof(features=encoder), Lof())
    assert first == ["digits class=0 ratio=0"]
    assert second == [f"digits class=0 ratio=0 features={encoder} detector=lof"]
    assert third == ["digits class=0 ratio=0 features=pixels detector=lof"]


def test_a_further_detector_is_named_in_its_labels() -> None:
    assert _labels_of(Agad(), Pca(), DeepSvdd()) == [
        ["digits class=0 ratio=0"],
        ["digits class=0 ratio=0 detector=pca"],
        ["digits class=0 ratio=0 detector=deep-svdd"],
    ]


def test_a_second_candidate_of_one_detector_is_told_by_the_parameters_in_which_it_differs() -> None:
    wide = Agad(base_width=8, lr=1e-3)
    assert _labels_of(Agad(), Pca(), Pca(variance=0.5), wide) == [
        ["digits class=0 ratio=0"],
        ["digits class=0 ratio=0 detector=pca"],
        ["digits class=0 ratio=0 variance=0.5 detector=pca"],
        ["digits class=0 ratio=0 base_width=8 lr=0.001 detector=agad"],
    ]


@pytest.mark.parametrize("selection", [LabelFree(), FixedEpoch(epochs=2)], ids=str)
def test_a_detector_that_sees_no_label_runs_once_at_every_ratio(selection: Selection) -> None:
    answers = answered(CELLS, "unused", selection)
    assert [cell.label for cell in dict.fromkeys(answers.values())] == [
        "digits class=0 ratio=0",
        "digits class=8 ratio=0",
    ]
    assert [(cell.anomaly_ratio, answers[cell].anomaly_ratio) for cell in CELLS[:2]] == [
        (0.0, 0.0),
        (0.1, 0.0),
    ]


@pytest.mark.parametrize(
    ("labels", "selection"),
    [("unused", Labelled()), ("optional", LabelFree()), ("optional", FixedEpoch(epochs=2))],
    ids=str,
)
def test_a_detector_that_is_fitted_or_selected_by_labels_runs_at_each_ratio(
    labels: Labels, selection: Selection
) -> None:
    assert answered(CELLS, labels, selection) == {cell: cell for cell in CELLS}


def test_a_detector_that_sees_no_label_runs_apart_where_other_axes_differ() -> None:
    cells = Grid(
        dataset="digits",
        normal_class=0,
        anomaly_ratio=[0.1, 0.2],
        pollution_ratio=[0.0, 0.1],
        labelled_classes=["all", 1],
    ).all_cells
    answers = answered(cells, "unused", LabelFree())
    assert [cell.label for cell in dict.fromkeys(answers.values())] == [
        "digits class=0 ratio=0.1",
        "digits class=0 ratio=0.1 pollution=0.1",
    ]


@pytest.mark.parametrize("selection", [Labelled(), LabelFree(), FixedEpoch(epochs=1)], ids=str)
def test_a_detector_that_requires_labels_answers_no_ratio_of_0(selection: Selection) -> None:
    answers = answered(CELLS, "required", selection)
    assert [cell.anomaly_ratio for cell in answers.values()] == [0.1, 0.1]


def _kept(study: Study) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(study.as_json()))
    return values


def test_stored_detectors_tells_what_the_entries_of_the_study_are() -> None:
    for stored, entry in zip(stored_detectors(_kept(STUDY)), STUDY.entries, strict=True):
        own = {"name": entry.study.detector.name, "version": entry.study.detector.version}
        assert stored.values == parameters_of(entry.study.detector) | own
        assert (stored.search, stored.scheduler) == (entry.study.search, entry.study.scheduler)
        assert stored.selection == entry.study.selection
        assert dict(stored.answers) == dict(entry.answers)
        assert stored.cells == entry.cells
        assert stored.num_cell_trials == entry.study.num_search_trials


def test_stored_detectors_tells_of_a_study_of_one_detector() -> None:
    study = Study(
        name="one",
        cells=STUDY.cells,
        search=Search(space={"lr": LogUniform(1e-5, 1e-3)}, trials_per_cell=5),
        scheduler=NoStopping(max_epochs=4),
    )
    (stored,) = stored_detectors(_kept(study))
    assert stored.values["name"] == "agad"
    assert stored.scheduler == study.scheduler
    assert stored.cells == study.cells.all_cells
    assert stored.num_cell_trials == 5


def test_stored_detectors_needs_none_of_them_installed() -> None:
    values = _kept(STUDY)
    values["detectors"][2]["detector"]["name"] = "somebody-elses"
    stored = stored_detectors(values)[2]
    assert stored.values["name"] == "somebody-elses"
    assert {cell.detector for cell in stored.cells} == {"somebody-elses"}
    assert stored.num_cell_trials == STUDY.search.trials_per_cell


def test_a_first_version_named_no_detector() -> None:
    values = _kept(replace(STUDY, detectors=(), search=Search(space={"lr": LogUniform(1e-5, 1)})))
    del values["detector"]
    (stored,) = stored_detectors(values)
    assert stored.values == {"name": "agad"}
    assert stored.cells == STUDY.cells.all_cells


def test_the_cells_of_two_detectors_differ() -> None:
    first, second = (
        Cell(dataset="digits", normal_class=0, anomaly_ratio=0.0, detector=name)
        for name in ("", "pca")
    )
    assert first != second
    assert first.label != second.label


def test_a_study_keeps_the_external_data_of_a_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "learned", FeatureKind(external_data="ImageNet"))
    study = Study(
        name="a-study",
        cells=Grid(dataset="digits", normal_class=0),
        detectors=[Candidate(Pca(features="learned"), space={}), Candidate(Agad())],
    )
    first, second = stored_detectors(study.as_json())
    assert (first.external_data, second.external_data) == ("ImageNet", "")
