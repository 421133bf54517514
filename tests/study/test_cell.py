"""What a cell starts, in which order, and how it ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from agad.config import (
    Choice,
    CmaEs,
    Confirm,
    Distribution,
    Fixed,
    Grid,
    GridSearch,
    IntUniform,
    QuasiRandom,
    Random,
    Sampler,
    Search,
    Setting,
    Study,
    Tpe,
    Uniform,
    When,
)
from agad.records import State
from agad.study.cell import CellRun
from agad.study.cell_data import CellData
from agad.trial import TrialSpec
from tests.parameters import agad_of

if TYPE_CHECKING:
    from tests.simulation import MakeStudy

CELL = "digits class=0 ratio=0"

MakeCell = Callable[[Study], CellRun]


@pytest.fixture
def make_cell(cell_data_of: Callable[[Study], dict[str, CellData]]) -> MakeCell:
    return lambda study: CellRun(cell_data_of(study)[CELL])


@pytest.fixture
def study(make_study: MakeStudy) -> Study:
    return make_study(cells=Grid(dataset="digits", normal_class=0))


@pytest.fixture
def cell(make_cell: MakeCell, study: Study) -> CellRun:
    return make_cell(study)


def _start_all(cell: CellRun) -> list[TrialSpec]:
    """Start trials until the cell waits for one."""
    return list(iter(cell.next_trial, None))


def _search(cell: CellRun, objectives: list[float]) -> list[TrialSpec]:
    """Run all search trials, each to the end with one AUROC throughout."""
    specs = _start_all(cell)
    for spec, objective in zip(specs, objectives, strict=True):
        cell.end(spec.key, "finished", [objective] * 9)
    return specs


def test_a_cell_starts_no_more_search_trials_than_planned(cell: CellRun) -> None:
    specs = _start_all(cell)
    assert [(spec.phase, spec.number) for spec in specs] == [("search", n) for n in range(8)]


def test_search_trials_have_the_seed_of_the_study(cell: CellRun, study: Study) -> None:
    assert {spec.seed for spec in _start_all(cell)} == {study.seed}


def test_a_cell_waits_with_confirming_until_every_search_trial_has_ended(cell: CellRun) -> None:
    specs = _start_all(cell)
    for spec in specs[1:]:
        cell.end(spec.key, "finished", [0.5] * 9)
    assert cell.next_trial() is None
    assert not cell.is_searched


def test_a_cell_confirms_the_winner_on_fresh_seeds(cell: CellRun, study: Study) -> None:
    specs = _search(cell, [0.5, 0.6, 0.9, 0.7, 0.1, 0.2, 0.3, 0.4])
    confirms = _start_all(cell)
    assert [(one.phase, one.number, one.seed) for one in confirms] == [
        ("confirm", 0, study.seed + 1),
        ("confirm", 1, study.seed + 2),
    ]
    assert [one.params for one in confirms] == [specs[2].params] * 2
    assert [one.detector for one in confirms] == [specs[2].detector] * 2


def test_a_confirm_trial_is_never_stopped(cell: CellRun) -> None:
    _search(cell, [0.9] * 8)
    confirms = _start_all(cell)
    assert all(cell.survives(spec.key, 1, 0.0) for spec in confirms)


def test_a_confirm_trial_does_not_enter_the_ladder(cell: CellRun) -> None:
    specs = _search(cell, [0.5, 0.6, 0.9, 0.7, 0.1, 0.2, 0.3, 0.4])
    first, second = _start_all(cell)
    cell.end(first.key, "finished", [0.99] * 9)
    cell.end(second.key, "finished", [0.99] * 9)
    assert cell.is_done
    assert first.params == specs[2].params
    assert cell.next_trial() is None


def test_a_cell_is_done_when_every_confirm_trial_has_ended(cell: CellRun) -> None:
    _search(cell, [0.5] * 8)
    first, second = _start_all(cell)
    cell.end(first.key, "finished", [0.5] * 9)
    assert not cell.is_done
    cell.end(second.key, "diverged", [])
    assert cell.is_done


@pytest.mark.parametrize("state", ["diverged", "failed"])
def test_a_trial_that_diverged_or_failed_does_not_win(cell: CellRun, state: State) -> None:
    specs = _start_all(cell)
    for spec in specs[1:]:
        cell.end(spec.key, "finished", [0.5] * 9)
    assert cell.survives(specs[0].key, 1, 0.99)
    cell.end(specs[0].key, state, [0.99])
    assert all(one.params != specs[0].params for one in _start_all(cell))


def test_a_diverged_trial_of_an_earlier_driver_does_not_win(cell: CellRun, study: Study) -> None:
    params = {"weight_con": 1.0, "weight_lat": 1.0}
    cell.remember(cell.spec_of("search", 0, params), "diverged", [0.99] * 9)
    _search(cell, [0.5] * (study.search.trials_per_cell - 1))
    assert all(one.params != params for one in _start_all(cell))


def test_a_cell_whose_trials_all_diverge_ends_without_a_confirm_trial(cell: CellRun) -> None:
    for spec in _start_all(cell):
        cell.end(spec.key, "diverged", [])
    assert cell.next_trial() is None
    assert cell.is_done


def test_a_cell_whose_trials_all_diverge_has_no_best_auroc(cell: CellRun) -> None:
    for spec in _start_all(cell):
        cell.end(spec.key, "diverged", [])
    assert cell.status(0).best_objective is None


def test_a_tiny_space_ends_when_every_configuration_was_tried(
    make_study: MakeStudy, make_cell: MakeCell
) -> None:
    space = {"weight_con": Choice([1.0, 2.0]), "batch_size": Choice([32, 64])}
    cell = make_cell(make_study(search=Search(space=space, trials_per_cell=20)))
    specs = _start_all(cell)
    assert len({spec.key for spec in specs}) == len(specs) == 4
    assert {(spec.params["weight_con"], spec.params["batch_size"]) for spec in specs} == {
        (1.0, 32),
        (1.0, 64),
        (2.0, 32),
        (2.0, 64),
    }


def test_an_exhausted_space_is_confirmed_all_the_same(
    make_study: MakeStudy, make_cell: MakeCell
) -> None:
    space = {"weight_con": Choice([1.0, 2.0])}
    cell = make_cell(make_study(search=Search(space=space, trials_per_cell=20)))
    specs = _search(cell, [0.4, 0.6])
    confirms = _start_all(cell)
    assert [one.params for one in confirms] == [specs[1].params] * 2
    for spec in confirms:
        cell.end(spec.key, "finished", [0.5] * 9)
    assert cell.is_done


def test_a_remembered_configuration_is_not_proposed_again(
    make_study: MakeStudy, make_cell: MakeCell
) -> None:
    space = {"weight_con": Choice([1.0, 2.0, 3.0])}
    cell = make_cell(make_study(search=Search(space=space, trials_per_cell=3)))
    cell.remember(cell.spec_of("search", 0, {"weight_con": 2.0}), "finished", [0.5] * 9)
    assert {spec.params["weight_con"] for spec in _start_all(cell)} == {1.0, 3.0}


def test_a_retried_trial_comes_before_anything_new(cell: CellRun) -> None:
    first = cell.next_trial()
    assert first is not None
    cell.retry(first.key)
    second = cell.next_trial()
    assert second is not None
    assert second.key == first.key


def test_a_retried_trial_does_not_count_as_another_one(cell: CellRun) -> None:
    first = cell.next_trial()
    assert first is not None
    cell.retry(first.key)
    assert len(_start_all(cell)) == 8


def test_after_a_restart_a_claimed_trial_starts_first_and_a_failed_one_last(cell: CellRun) -> None:
    failed = cell.spec_of("search", 0, {"weight_con": 1.0, "weight_lat": 1.0})
    claimed = cell.spec_of("search", 1, {"weight_con": 2.0, "weight_lat": 1.0})
    cell.remember(failed, "failed", [])
    cell.remember(claimed, None, [])
    assert cell.share_started == 0.0
    specs = _start_all(cell)
    assert (specs[0].key, specs[-1].key) == (claimed.key, failed.key)
    assert len(specs) == 8


def test_share_started_grows_from_none_to_all(cell: CellRun) -> None:
    shares = [cell.share_started]
    _search(cell, [0.5] * 8)
    shares.append(cell.share_started)
    _start_all(cell)
    shares.append(cell.share_started)
    assert shares == [0.0, 0.8, 1.0]


def test_share_started_does_not_count_what_a_winner_of_fewer_trials_was_confirmed_by(
    cell: CellRun,
) -> None:
    for number in range(2):
        earlier = cell.spec_of("confirm", number, {"weight_con": 99.0, "weight_lat": 1.0})
        cell.remember(earlier, "finished", [0.5])
    shares = [cell.share_started]
    _search(cell, [0.5] * 8)
    shares.append(cell.share_started)
    _start_all(cell)
    shares.append(cell.share_started)
    assert shares == [0.0, 0.8, 1.0]


def test_share_started_does_not_count_a_trial_that_waits_to_be_started_again(
    cell: CellRun,
) -> None:
    first = cell.next_trial()
    assert first is not None
    cell.retry(first.key)
    assert cell.share_started == 0.0


def test_status_counts_how_search_trials_ended(cell: CellRun) -> None:
    specs = _start_all(cell)
    states: list[State] = ["finished", "finished", "pruned", "pruned", "pruned", "diverged"]
    for spec, state in zip(specs[:6], states, strict=True):
        cell.end(spec.key, state, [0.5])
    status = cell.status(2)
    assert (status.label, status.phase, status.planned, status.running) == (CELL, "search", 8, 2)
    assert (status.finished, status.pruned, status.diverged, status.failed) == (2, 3, 1, 0)
    assert (status.confirmed, status.confirm_planned) == (0, 2)


def test_status_counts_confirm_trials_apart(cell: CellRun) -> None:
    _search(cell, [0.5] * 8)
    first, second = _start_all(cell)
    cell.end(first.key, "finished", [0.7] * 9)
    status = cell.status(1)
    assert (status.phase, status.finished, status.confirmed) == ("confirm", 8, 1)
    cell.end(second.key, "failed", [])
    status = cell.status(0)
    assert (status.phase, status.failed, status.confirmed) == ("done", 0, 1)


def test_status_has_the_best_auroc_of_the_search_alone(cell: CellRun) -> None:
    _search(cell, [0.1, 0.2, 0.3, 0.4, 0.8, 0.7, 0.6, 0.5])
    for spec in _start_all(cell):
        cell.end(spec.key, "finished", [0.99] * 9)
    assert cell.status(0).best_objective == 0.8


def test_status_has_the_best_auroc_of_an_epoch_while_its_trial_runs(cell: CellRun) -> None:
    spec = cell.next_trial()
    assert spec is not None
    cell.survives(spec.key, 1, 0.625)
    best = cell.status(1).best_objective
    assert best is not None
    assert math.isclose(best, 0.625)


def test_status_has_the_best_objective_where_all_are_negative(cell: CellRun) -> None:
    _search(cell, [-0.8, -0.2, -0.5, -0.4, -0.3, -0.7, -0.6, -0.9])
    assert cell.status(0).best_objective == -0.2


def test_more_seeds_add_confirm_trials_of_the_same_winner(
    make_study: MakeStudy, make_cell: MakeCell
) -> None:
    cell = make_cell(make_study(confirm=Confirm(seeds=5)))
    specs = _search(cell, [0.5, 0.9, 0.6, 0.7, 0.1, 0.2, 0.3, 0.4])
    assert [one.params for one in _start_all(cell)] == [specs[1].params] * 5


def test_a_confirm_trial_of_an_earlier_winner_waits_for_the_whole_search(
    make_study: MakeStudy, make_cell: MakeCell
) -> None:
    study = make_study(search=Search(space={"weight_con": Uniform(0, 100)}, trials_per_cell=2))
    cell = make_cell(study)
    first = cell.spec_of("search", 0, {"weight_con": 1.0})
    cell.remember(first, "finished", [0.5] * 9)
    cell.remember(cell.spec_of("confirm", 0, {"weight_con": 1.0}), None, [])
    (second,) = _start_all(cell)
    assert second.phase == "search"
    cell.end(second.key, "finished", [0.9] * 9)
    assert {spec.params["weight_con"] for spec in _start_all(cell)} == {second.params["weight_con"]}


def test_a_cell_tries_its_starts_first_and_each_once(
    make_study: MakeStudy, make_cell: MakeCell
) -> None:
    start: list[dict[str, Setting]] = [{"weight_con": 50.0}, {"weight_con": 5}]
    search = Search(space={"weight_con": Uniform(0, 100)}, trials_per_cell=5, start=start)
    study = make_study(search=search)
    cell = make_cell(study)
    specs = _start_all(cell)
    assert [spec.params for spec in specs[:2]] == start
    assert len({spec.key for spec in specs}) == 5
    again = make_cell(study)
    again.remember(specs[0], "finished", [0.5] * 9)
    assert [spec.params for spec in _start_all(again)[:1]] == [start[1]]


@pytest.mark.parametrize(
    "sampler",
    [Tpe(), Random(), QuasiRandom(), GridSearch(), CmaEs(population=4)],
    ids=repr,
)
@pytest.mark.parametrize("num_before", [0, 5, 11])
def test_every_sampler_tries_a_small_space_whole_and_nothing_twice(
    make_study: MakeStudy, make_cell: MakeCell, sampler: Sampler, num_before: int
) -> None:
    space = {"batch_size": IntUniform(32, 35), "min_batch_anomalies": IntUniform(2, 4)}
    study = make_study(search=Search(space=space, trials_per_cell=20, sampler=sampler))
    first = make_cell(study)
    before = []
    for _ in range(num_before):
        spec = first.next_trial()
        assert spec is not None
        first.end(spec.key, "finished", [0.5 + spec.number / 100] * 9)
        before.append(spec)
    again = make_cell(study)
    for spec in before:
        again.remember(spec, "finished", [0.5 + spec.number / 100] * 9)
    keys = {spec.key for spec in (*before, *_start_all(again))}
    assert len(keys) == again.status(0).planned == 12


def test_a_conditional_parameter_reaches_the_detector_where_it_applies(
    make_study: MakeStudy, make_cell: MakeCell
) -> None:
    space: dict[str, Distribution] = {
        "backbone": Choice(["naive", "unet"]),
        "bottleneck_px": When("backbone", {"naive": Fixed(2)}),
    }
    cell = make_cell(make_study(search=Search(space=space)))
    found = {spec.params["backbone"]: spec for spec in _start_all(cell)}
    assert found["naive"].params == {"backbone": "naive", "bottleneck_px": 2}
    assert found["unet"].params == {"backbone": "unet"}
    assert [agad_of(found[name]).bottleneck_px for name in ("naive", "unet")] == [2, 1]
