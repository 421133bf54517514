"""The names under which Ray shows trials and keeps their folders, and what it tells of starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from agad.config import Cell, Study
from agad.executor.tune.tuning import FirstError, Starts, trial_name
from agad.study.cell_data import CellData
from agad.study.running import Launch

if TYPE_CHECKING:
    from tests.simulation import MakeSimulation, MakeStudy

NameOf: TypeAlias = Callable[..., str]


@pytest.fixture
def name_of(make_study: MakeStudy, cell_data_of: Callable[[Study], dict[str, CellData]]) -> NameOf:
    """Name the third attempt of a search trial of a cell."""
    study = make_study()
    (cell_data, _) = cell_data_of(study).values()

    def name(cell: Cell, seed: int = 0) -> str:
        spec = replace(cell_data.search_spec(4, {}), cell=cell, seed=seed)
        order = SimpleNamespace(launch=Launch(spec=spec, attempt=2))
        trial: Any = SimpleNamespace(config={"order": order})
        return trial_name(trial)

    return name


def test_a_trial_is_named_by_its_cell_its_number_and_its_attempt(name_of: NameOf) -> None:
    cell = Cell(dataset="digits", anomalous_class=0, anomaly_ratio=0.1, labelled_classes=1)
    name = name_of(cell)
    assert name == "digits-class=0-ratio=0.1-leave-one-out-labelled=1-search-4-attempt=2"


@pytest.mark.parametrize("class_name", ["smooth muscle", "a/b", "ü" * 300, "x" * 5000, "字" * 100])
def test_the_name_of_a_trial_can_be_the_name_of_a_folder(name_of: NameOf, class_name: str) -> None:
    name = name_of(Cell(dataset="photos", normal_class=class_name, anomaly_ratio=0.0))
    assert len(name.encode()) <= 255
    assert "/" not in name
    assert name.endswith("-search-4-attempt=2")


def test_trials_whose_labels_begin_alike_have_other_names(name_of: NameOf) -> None:
    cell = Cell(dataset="photos", normal_class="x" * 300, anomaly_ratio=0.0)
    assert name_of(cell, seed=0) != name_of(cell, seed=1)


def test_a_trial_runs_once_ray_has_started_its_worker(
    study: Study, make_simulation: MakeSimulation
) -> None:
    with make_simulation(study).board as board:
        launch = board.launch()
        trial: Any = SimpleNamespace(config={"order": SimpleNamespace(launch=launch)})
        shown: list[int] = []

        def show() -> None:
            shown.append(sum(cell.running for cell in board.status(4).cells))

        show()
        Starts(board, show, FirstError()).on_trial_start(0, [trial], trial)
        assert shown == [0, 1]
