"""What is wrong is found, and a study that is finished ends, before Ray starts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import agad.study.run
from agad.config import Grid, Study
from agad.errors import ConfigError, StudyChangedError
from agad.study import Where, run_study

if TYPE_CHECKING:
    from tests.study.conftest import ListMemory, MakeSimulation, MakeStudy

WHERE = Where(data_root=Path("/nowhere"))


def _no_cluster(_where: Where) -> None:
    pytest.fail("Ray was started")


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agad.study.run, "connected", _no_cluster)


def test_run_study_of_unknown_data_leaves_the_memory_untouched(
    make_study: MakeStudy, memory: ListMemory
) -> None:
    study = make_study(cells=Grid(dataset="digits", normal_class=10))
    with pytest.raises(ConfigError, match="normal_class holds 10"):
        run_study(study, memory, WHERE)
    assert (memory.config, memory.events) == (None, [])


def test_run_study_keeps_the_configuration_and_the_fingerprint_of_its_data(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    simulation = make_simulation(study)
    with simulation.board:
        simulation.run()
    run_study(study, memory, WHERE)
    assert memory.config is not None
    assert memory.config["name"] == "a-study"
    assert memory.config["data"] == {"digits": simulation.specs[0].data_fingerprint}


def test_run_study_of_a_finished_study_starts_no_cluster(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    simulation = make_simulation(study)
    with simulation.board:
        simulation.run()
    events = list(memory.events)
    run_study(study, memory, WHERE)
    assert memory.events == events


def test_run_study_passes_on_that_the_study_was_changed(
    study: Study, memory: ListMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_config: object) -> None:
        raise StudyChangedError("was another one")

    monkeypatch.setattr(memory, "open", refuse)
    with pytest.raises(StudyChangedError, match="was another one"):
        run_study(study, memory, WHERE)
