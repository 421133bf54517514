"""Detectors that fit once: no rule stops a trial, and a small grid ends the search."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from agad.config import (
    Candidate,
    Choice,
    CmaEs,
    Confirm,
    GaussianProcess,
    Grid,
    GridSearch,
    IntUniform,
    Nsga2,
    QuasiRandom,
    Random,
    Sampler,
    Search,
    Study,
    Tpe,
)
from agad.detectors import Knn, Lof, Probe
from agad.trial import TrialSpec

if TYPE_CHECKING:
    from tests.simulation import ListMemory, MakeSimulation


def _curve(spec: TrialSpec, num_epochs: int) -> float:
    """Better with the trial's number; no two trials are equal."""
    return 0.5 + spec.number / 100 + num_epochs / 1000


LABEL = "digits class=0 ratio=0"


@pytest.mark.parametrize(
    "sampler",
    [Tpe(), Random(), QuasiRandom(), GridSearch(), CmaEs(), GaussianProcess()],
    ids=lambda one: type(one).__name__,
)
def test_a_cell_ends_when_every_configuration_of_a_small_space_was_tried(
    sampler: Sampler, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    study = Study(
        name="a-study",
        cells=Grid(dataset="digits", normal_class=0),
        detector=Knn(),
        search=Search(
            space={"num_neighbors": IntUniform(1, 4)}, trials_per_cell=40, sampler=sampler
        ),
        confirm=Confirm(seeds=2),
    )
    make_simulation(study, curve=_curve).run_and_close()
    tried = memory.rows_of("search")
    assert sorted(json.loads(row.params)["num_neighbors"] for row in tried) == [1, 2, 3, 4]
    assert {(row.state, row.epochs, row.max_epochs) for row in tried} == {("finished", 1, 1)}
    assert len(memory.rows_of("confirm")) == 2


def test_a_space_of_choices_ends_a_candidate_early_beside_others(
    make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    study = Study(
        name="a-study",
        cells=Grid(dataset="digits", normal_class=0, anomaly_ratio=[0.0, 0.1]),
        detectors=[
            Candidate(Lof(), space={"features": Choice(["pixels", "pixels-standardised"])}),
            Candidate(Probe(), trials=3),
        ],
        confirm=Confirm(seeds=2),
    )
    make_simulation(study, curve=_curve).run_and_close()
    searched = [row.cell for row in memory.rows_of("search")]
    assert searched.count(LABEL) == searched.count("digits class=0 ratio=0.1") == 2
    assert searched.count("digits class=0 ratio=0.1 detector=probe") == 3
    assert not any(cell == f"{LABEL} detector=probe" for cell in searched)
    assert {row.state for row in memory.trials()} == {"finished"}


def test_a_sampler_that_counts_work_refuses_a_model_whose_size_is_not_known(
    make_simulation: MakeSimulation,
) -> None:
    study = Study(
        name="a-study",
        cells=Grid(dataset="digits", normal_class=0),
        detector=Knn(),
        search=Search(space={"num_neighbors": IntUniform(1, 4)}, sampler=Nsga2()),
    )
    with pytest.raises(ValueError, match="the work of knn cannot be an objective"):
        make_simulation(study, curve=_curve).run_and_close()
