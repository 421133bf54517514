"""Several detectors in one running study: each with its own search, all with one protocol."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agad.config import Asha, Candidate, Choice, Confirm, Grid, NoStopping, Search, Study, Uniform
from agad.data import Library
from agad.detectors import Agad, DeepSvdd, Pca
from agad.study import EpochTime, MeasuredEpochTimes, PastStudy, StoredEpochTimes, plan_study
from agad.trial import EpochCost, Runtime, TrialSpec

if TYPE_CHECKING:
    from tests.simulation import ListMemory, MakeSimulation, MakeStudy

LABEL = "digits class=0 ratio=0"
AGAD = Candidate(
    Agad(base_width=4, discriminator_width=4, batch_size=32, min_batch_anomalies=16),
    space={"weight_con": Uniform(0, 100)},
    trials=6,
    scheduler=Asha(max_epochs=9, grace_period=1, reduction_factor=3),
)
FASTER = replace(AGAD.detector, lr=1e-3)
"""Another detector, whose epochs take as long."""

PCA = Candidate(Pca(), space={})
DEEP = Candidate(DeepSvdd(pretrain_epochs=2), trials=3, scheduler=NoStopping(max_epochs=4))


@pytest.fixture
def study() -> Study:
    return Study(
        name="a-study",
        cells=Grid(dataset="digits", normal_class=0, anomaly_ratio=[0.0, 0.1]),
        detectors=(AGAD, PCA, DEEP),
        confirm=Confirm(seeds=2),
    )


def _curve(spec: TrialSpec, num_epochs: int) -> float:
    """Better with every epoch and with the trial's number; no two trials are equal."""
    return 0.5 + spec.number / 100 + num_epochs / 1000


def test_each_detector_has_its_own_trials_and_epochs_and_all_the_same_fresh_seeds(
    study: Study, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    make_simulation(study, curve=_curve).run_and_close()
    assert [len(memory.rows_of("search", cell)) for cell in (LABEL, f"{LABEL} detector=pca")] == [
        6,
        0,
    ]
    deep = memory.rows_of("search", f"{LABEL} detector=deep-svdd")
    assert [(row.state, row.epochs, row.max_epochs) for row in deep] == [("finished", 4, 4)] * 3
    confirmed = memory.rows_of("confirm")
    assert {row.seeds for row in confirmed} == {(1,), (2,)}
    assert {(row.detector, row.cell.partition(" detector=")[2]) for row in memory.trials()} == {
        ("agad", ""),
        ("pca", "pca"),
        ("deep-svdd", "deep-svdd"),
    }


def test_a_detector_without_labels_runs_once_at_every_ratio(
    study: Study, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    make_simulation(study, curve=_curve).run_and_close()
    rows = [row for row in memory.trials() if row.detector == "pca"]
    assert [(row.cell, row.phase, row.num_val_anomalies) for row in rows] == [
        (f"{LABEL} detector=pca", "confirm", 0)
    ] * 2
    assert {row.selection for row in rows} == {"fixed_epoch(1)"}


def test_a_second_driver_finds_nothing_left_to_do(
    study: Study, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    make_simulation(study, curve=_curve).run_and_close(most_ends=7)
    make_simulation(study, curve=_curve).run_and_close()
    keys = [row.trial_key for row in memory.trials()]
    assert len(keys) == len(set(keys)) == 2 * 6 + 2 * 3 + 5 * 2
    assert make_simulation(study, curve=_curve).run_and_close() == []


def test_further_detectors_extend_a_study_whose_trials_stay_what_they_are(
    study: Study, make_simulation: MakeSimulation, memory: ListMemory, make_study: MakeStudy
) -> None:
    alone = make_study(
        cells=study.cells,
        detector=AGAD.detector,
        search=Search(space=AGAD.searched_space, trials_per_cell=6),
        scheduler=AGAD.rule,
    )
    make_simulation(alone, curve=_curve).run_and_close()
    before = {row.trial_key for row in memory.trials()}
    launches = make_simulation(study, curve=_curve).run_and_close()
    assert {one.spec.detector.name for one in launches} == {"pca", "deep-svdd"}
    assert before < {row.trial_key for row in memory.trials()}


def test_two_candidates_may_draw_the_same_configurations(
    study: Study, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    space = {"variance": Choice([0.5, 0.9])}
    one, other = (Candidate(Pca(variance=one), space=space, trials=2) for one in (0.5, 0.9))
    study = replace(study, detectors=(AGAD, one, other))
    make_simulation(study, curve=_curve).run_and_close()
    labels = (f"{LABEL} detector=pca", f"{LABEL} variance=0.9 detector=pca")
    params = [{row.params for row in memory.rows_of("search", label)} for label in labels]
    assert params[0] == params[1] == {'{"variance": 0.5}', '{"variance": 0.9}'}
    assert [len(memory.rows_of("confirm", label)) for label in labels] == [2, 2]


def test_a_plan_has_a_part_for_each_detector(study: Study, digits_library: Library) -> None:
    plan = plan_study(study, digits_library)
    assert [
        (one.detector, len(one.cells), one.trials_per_cell, one.max_epochs, one.stage_epochs)
        for one in plan.detectors
    ] == [("agad", 2, 6, 9, 0), ("pca", 1, 0, 1, 0), ("deep-svdd", 2, 3, 4, 2)]
    assert [cell.label for cell in plan.cells] == [cell.label for cell in study.all_cells]
    assert {cell.num_steps for cell in plan.detectors[1].cells} == {1}


def _time_of(study: Study, past: PastStudy, library: Library) -> list[EpochTime | None]:
    times = StoredEpochTimes(library, [past], "float32")
    return [one.epoch_time for one in plan_study(study, library, [times]).cells]


def test_stored_seconds_of_a_pretraining_are_no_seconds_of_an_epoch(
    study: Study, make_simulation: MakeSimulation, memory: ListMemory, digits_library: Library
) -> None:
    make_simulation(study, curve=_curve).run_and_close()
    rows = [
        replace(row, seconds=24.0, pretrain_s=20.0, epochs=4)
        for row in memory.trials()
        if row.detector == "deep-svdd" and row.phase != "test"
    ]
    found = _time_of(study, PastStudy(config=study.as_json(), rows=rows), digits_library)
    assert found[:3] == [None] * 3
    assert [one.epoch_s for one in found[3:] if one is not None] == pytest.approx([1.0, 1.0])


def test_a_candidates_time_is_not_that_of_another_space_of_its_detector(
    study: Study, make_simulation: MakeSimulation, memory: ListMemory, digits_library: Library
) -> None:
    by_width = replace(AGAD, space={"base_width": Choice([4, 8])}, trials=2)
    past = replace(study, detectors=(by_width,))
    make_simulation(past, curve=_curve).run_and_close()
    rows = [row for row in memory.rows_of("search") if row.params == '{"base_width": 8}']
    known = _time_of(
        replace(study, detectors=(by_width, replace(AGAD, detector=FASTER))),
        PastStudy(config=past.as_json(), rows=rows),
        digits_library,
    )
    assert [one is not None for one in known] == [True, True, False, False]


def test_each_space_of_a_detector_is_measured_apart(
    study: Study, digits_library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[str] = []

    def note(spec: TrialSpec, _runtime: Runtime) -> EpochCost:
        measured.append(spec.cell.label)
        return EpochCost(step_s=1.0, val_image_s=0.0, num_measured=1)

    monkeypatch.setattr("agad.study.epoch_time.measure_epoch", note)
    by_width = replace(AGAD, space={"base_width": Choice([4, 8])}, trials=2)
    wide = replace(AGAD, detector=FASTER, space={"base_width": Choice([8, 4])}, trials=2)
    times = MeasuredEpochTimes(Runtime(store=digits_library.uri), "a processor")
    cells = Grid(dataset="digits", normal_class=[0, 8])
    plan_study(
        replace(study, cells=cells, detectors=(by_width, PCA, wide)), digits_library, [times]
    )
    assert measured == [LABEL, f"{LABEL} detector=pca", f"{LABEL} lr=0.001 detector=agad"]
