"""What a study will take: epochs by hand, counts and seconds that agree."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest
import ray

from agad.config import (
    Choice,
    Confirm,
    Distribution,
    Grid,
    LogUniform,
    Search,
    Study,
    Uniform,
)
from agad.data import Library, NodeCache
from agad.errors import ConfigError
from agad.objects import open_objects
from agad.study import CellPlan, StudyPlan, plan_study
from agad.study.expected import expected_epochs
from agad.study.materials import find_materials
from agad.trial import EpochCost, Runtime, TrialSpec
from agad.trial.train import prepare

if TYPE_CHECKING:
    from tests.study.conftest import MakeStudy

Plan: TypeAlias = Callable[[Study], StudyPlan]


@pytest.fixture
def plan_of(digits_library: Library, session_cache: NodeCache) -> Plan:
    """Plan a study of digits on one thread."""
    runtime = Runtime(store=digits_library.uri, cache=session_cache)
    return lambda study: plan_study(study, digits_library, runtime)


SPACE = {"weight_con": Uniform(0, 100)}


def _plan(*epoch_s: float) -> StudyPlan:
    cells = [
        CellPlan(
            label=f"digits class={number} ratio=0",
            epoch_s=one,
            num_steps=5,
            num_measured=5,
            num_val_anomalies=30,
            num_fit_anomalies=0,
        )
        for number, one in enumerate(epoch_s)
    ]
    return StudyPlan(
        study="a-study",
        cells=tuple(cells),
        num_searches=len(cells),
        trials_per_cell=8,
        confirm_per_cell=2,
        num_confirm_seeds=2,
        max_epochs=27,
        expected_epochs=7.0,
        expectation="trials come in random order",
    )


def test_a_plan_counts_the_trials_of_all_cells() -> None:
    plan = _plan(1.0, 2.0, 3.0)
    assert (plan.num_search_trials, plan.num_confirm_trials) == (24, 6)


def test_a_plan_counts_epochs_with_and_without_stopping() -> None:
    plan = _plan(1.0, 2.0, 3.0)
    assert plan.most_epochs == 30 * 27
    assert plan.likely_epochs == 24 * 7 + 6 * 27


def test_a_plan_takes_each_cell_at_its_own_epoch() -> None:
    plan = _plan(1.0, 2.0, 3.0)
    assert plan.likely_s == 6 * (8 * 7 + 2 * 27)
    assert plan.most_s == 6 * 10 * 27


def test_seconds_are_epochs_times_their_cost_where_all_cells_cost_the_same() -> None:
    plan = _plan(0.5, 0.5)
    assert plan.likely_s == plan.likely_epochs * 0.5
    assert plan.most_s == plan.most_epochs * 0.5


def test_plan_study_times_the_cells_of_a_study_without_ray(
    make_study: MakeStudy, plan_of: Plan
) -> None:
    study = make_study(cells=Grid(dataset="digits", normal_class=0, anomaly_ratio=[0.0, 0.1]))
    plan = plan_of(study)
    assert [cell.label for cell in plan.cells] == [one.label for one in study.cells.all_cells]
    assert all(cell.epoch_s > 0 for cell in plan.cells)
    assert [cell.num_val_anomalies for cell in plan.cells] == [30, 30]
    assert plan.cells[0].num_fit_anomalies == 0 < plan.cells[1].num_fit_anomalies
    assert (plan.study, plan.trials_per_cell, plan.confirm_per_cell) == ("a-study", 8, 2)
    assert (plan.max_epochs, plan.expected_epochs) == (
        9,
        expected_epochs(study.scheduler, 8),
    )
    assert not ray.is_initialized()


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the labels of the cells that are measured: 3 steps of 2 s, 0.5 s an image."""
    labels: list[str] = []

    def note(spec: TrialSpec, _runtime: Runtime) -> EpochCost:
        labels.append(spec.cell.label)
        return EpochCost(step_s=2.0, val_image_s=0.5, num_measured=3)

    monkeypatch.setattr("agad.study.plan.measure_epoch", note)
    return labels


def test_plan_study_measures_cells_that_differ_in_their_class_once(
    make_study: MakeStudy, plan_of: Plan, measured: list[str]
) -> None:
    first, second = plan_of(make_study()).cells
    assert first.label != second.label
    assert measured == [first.label]


@pytest.mark.usefixtures("measured")
def test_plan_study_sets_the_trials_of_every_candidate_aside(
    make_study: MakeStudy, plan_of: Plan
) -> None:
    one = plan_of(make_study(confirm=Confirm(seeds=5)))
    three = plan_of(make_study(confirm=Confirm(seeds=5, candidates=3)))
    assert (one.num_confirm_trials, three.num_confirm_trials) == (2 * 5, 2 * 5 * 3)
    assert three.most_epochs - one.most_epochs == 2 * 5 * 2 * 9
    assert one.num_confirm_seeds == three.num_confirm_seeds == 5


@pytest.mark.usefixtures("measured")
def test_a_search_trial_costs_an_epoch_of_each_seed(make_study: MakeStudy, plan_of: Plan) -> None:
    one, three = (
        plan_of(make_study(search=Search(space=SPACE, trials_per_cell=8, seeds=seeds)))
        for seeds in (1, 3)
    )
    assert (one.num_search_trials, three.num_search_trials) == (16, 16)
    assert three.most_epochs - one.most_epochs == 2 * 8 * 2 * 9
    assert three.likely_epochs - one.likely_epochs == pytest.approx(2 * 16 * one.expected_epochs)
    epoch_s = sum(cell.epoch_s for cell in one.cells)
    assert three.most_s - one.most_s == pytest.approx(epoch_s * 8 * 2 * 9)


@pytest.mark.usefixtures("measured")
def test_development_classes_alone_are_searched_and_all_are_confirmed(
    make_study: MakeStudy, plan_of: Plan
) -> None:
    search = Search(space=SPACE, trials_per_cell=8, seeds=2, development_classes=(0, 5))
    plan = plan_of(
        make_study(cells=Grid(dataset="digits", normal_class=[0, 3, 5, 7]), search=search)
    )
    assert [cell.num_search_instances for cell in plan.cells] == [2, 0, 2, 0]
    assert (plan.num_search_trials, plan.num_confirm_trials) == (8, 4 * 2)
    assert plan.most_epochs == (8 * 4 + 8) * 9
    searched, confirmed = plan.cells[::2], plan.cells
    assert plan.most_s == pytest.approx(
        9 * (16 * sum(one.epoch_s for one in searched) + 2 * sum(one.epoch_s for one in confirmed))
    )


def test_plan_study_measures_every_variant_apart(
    make_study: MakeStudy, plan_of: Plan, measured: list[str]
) -> None:
    cells = Grid(dataset="digits", anomalous_class=[0, 1], pollution_ratio=[0.0, 0.05])
    clean, polluted, _, _ = plan_of(make_study(cells=cells)).cells
    assert measured == [clean.label, polluted.label]
    assert clean.num_steps < polluted.num_steps


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize("anomaly_ratio", [0.0, 1e-4, 0.1])
def test_plan_study_gives_each_cell_the_steps_that_its_trials_take(
    anomaly_ratio: float,
    make_study: MakeStudy,
    plan_of: Plan,
    digits_library: Library,
    session_cache: NodeCache,
) -> None:
    cells = Grid(dataset="digits", normal_class=[0, 8], anomaly_ratio=anomaly_ratio)
    study = make_study(cells=cells)
    runtime = Runtime(store=digits_library.uri, cache=session_cache)
    materials = find_materials(study, digits_library)
    for cell in plan_of(study).cells:
        training = prepare(materials[cell.label].search_spec(study, 0, {}), runtime)
        assert cell.num_steps == training.batches.num_batches
        assert cell.num_measured == min(3, cell.num_steps)
        assert cell.epoch_s == 2.0 * cell.num_steps + 0.5 * len(training.val_images)


def test_plan_study_counts_the_labels_of_a_variant(make_study: MakeStudy, plan_of: Plan) -> None:
    cells = Grid(dataset="digits", normal_class=0, anomaly_ratio=0.1, pollution_ratio=[0.0, 0.2])
    plan = plan_of(make_study(cells=cells))
    # 107 normals fit, and 26 hidden anomalies beside them: a ninth of 107 and of 133.
    assert [cell.num_fit_anomalies for cell in plan.cells] == [11, 14]


def test_plan_study_can_time_every_kind_of_distribution(
    make_study: MakeStudy, plan_of: Plan
) -> None:
    space: dict[str, Distribution] = {
        "backbone": Choice(["unet++", "naive"]),
        "weight_con": Uniform(0, 100),
        "lr": LogUniform(1e-4, 1e-2),
    }
    cells = Grid(dataset="digits", normal_class=0)
    study = make_study(cells=cells, search=Search(space=space, trials_per_cell=4))
    assert plan_of(study).num_search_trials == 4


def test_plan_study_refuses_a_study_that_does_not_fit_its_data(
    make_study: MakeStudy, plan_of: Plan
) -> None:
    with pytest.raises(ConfigError, match="normal_class holds 10"):
        plan_of(make_study(cells=Grid(dataset="digits", normal_class=10)))


def test_plan_study_imports_digits_by_itself(make_study: MakeStudy, tmp_path: Path) -> None:
    library = Library(open_objects(str(tmp_path / "store")))
    runtime = Runtime(store=library.uri, cache=NodeCache(folder=str(tmp_path / "cache")))
    plan_study(make_study(), library, runtime)
    assert library.names() == ["digits"]
