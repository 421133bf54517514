"""Studies that want a high AUROC and little work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from agad.config import (
    Confirm,
    Distribution,
    Grid,
    IntUniform,
    NoStopping,
    Nsga2,
    Search,
    Setting,
    Study,
    Uniform,
)
from agad.detectors.compute import scoring_flop
from agad.search.sampler import CellSampler
from agad.study.cell import CellRun
from agad.trial import TrialSpec
from tests.parameters import agad_of
from tests.simulation import ListMemory

if TYPE_CHECKING:
    from tests.simulation import MakeSimulation, MakeStudy

SPACE: dict[str, Distribution] = {"base_width": IntUniform(4, 12), "weight_con": Uniform(0, 100)}


@pytest.fixture
def two_objectives(make_study: MakeStudy) -> Study:
    """One cell of 16 trials of 2 epochs in generations of 4, then 2 seeds of 3 candidates."""
    return make_study(
        cells=Grid(dataset="digits", normal_class=0),
        search=Search(space=SPACE, trials_per_cell=16, sampler=Nsga2(population=4)),
        scheduler=NoStopping(max_epochs=2),
        confirm=Confirm(seeds=2, candidates=3),
    )


def _wide_is_better(spec: TrialSpec, num_epochs: int) -> float:
    """Better with the width and near ``weight_con`` 30."""
    width, weight = agad_of(spec).generator_width, agad_of(spec).weight_con
    return 0.5 + width / 40 - abs(weight - 30) / 1000 + num_epochs / 1000


def _run(make_simulation: MakeSimulation, study: Study, **changes: object) -> list[TrialSpec]:
    simulation = make_simulation(study, curve=_wide_is_better, **changes)
    simulation.run_and_close()
    return simulation.specs


def test_each_row_has_the_work_of_scoring(
    two_objectives: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    specs = {spec.key: spec for spec in _run(make_simulation, two_objectives)}
    shape = next(iter(specs.values())).data.image_shape
    assert {row.phase for row in memory.all_rows} == {"search", "confirm", "test"}
    assert {row.trial_key: row.work_flop for row in memory.all_rows} == {
        key: scoring_flop(spec.detector, shape) for key, spec in specs.items()
    }


def test_a_study_of_one_objective_counts_no_work(
    study: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    make_simulation(study).run_and_close(most_ends=3)
    assert [row.work_flop for row in memory.all_rows] == [None] * 3


def test_a_serial_study_repeats_exactly_and_tries_nothing_twice(
    two_objectives: Study, make_simulation: MakeSimulation
) -> None:
    one, other = (
        [spec.key for spec in _run(make_simulation, two_objectives, kept_in=ListMemory())]
        for _ in range(2)
    )
    assert one == other
    assert len(set(one)) == len(one) == 16 + 3 * 2 + 2


@pytest.mark.parametrize("num_ended", [3, 6, 11])
def test_a_study_that_is_taken_up_again_proposes_what_it_would_have(
    two_objectives: Study, make_simulation: MakeSimulation, num_ended: int
) -> None:
    whole = _run(make_simulation, two_objectives, kept_in=ListMemory())
    memory = ListMemory()
    simulation = make_simulation(two_objectives, curve=_wide_is_better, kept_in=memory)
    first = simulation.run_and_close(most_ends=num_ended)
    again = _run(make_simulation, two_objectives, kept_in=memory)
    assert [one.spec.key for one in first] + [one.key for one in again] == [
        one.key for one in whole
    ]


def _on_front(points: Mapping[str, tuple[float, int]]) -> set[str]:
    """Return those that none beats in both, by comparing each with each."""
    return {
        key
        for key, (auroc, work) in points.items()
        if not any(
            other >= auroc and less <= work and (other, less) != (auroc, work)
            for other, less in points.values()
        )
    }


def test_the_candidates_are_the_best_of_the_front_and_the_best_of_all_wins(
    two_objectives: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    _run(make_simulation, two_objectives)
    searched = memory.rows_of("search")
    points = {row.params: (row.val_auroc or 0.0, row.work_flop or 0) for row in searched}
    front = sorted(_on_front(points), key=lambda params: points[params], reverse=True)
    assert 3 <= len(front) < len(searched)
    assert {row.params for row in memory.rows_of("confirm")} == set(front[:3])
    assert {row.params for row in memory.rows_of("test")} == {front[0]}


def test_where_the_front_is_short_the_best_of_the_others_are_confirmed(
    two_objectives: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    def narrow_is_better(spec: TrialSpec, num_epochs: int) -> float:
        return 0.9 - agad_of(spec).generator_width / 40 - spec.number / 1e4 + num_epochs / 1e5

    make_simulation(two_objectives, curve=narrow_is_better).run_and_close()
    best = sorted(memory.rows_of("search"), key=lambda row: -(row.val_auroc or 0.0))
    assert {row.params for row in memory.rows_of("confirm")} == {row.params for row in best[:3]}


def test_of_equal_aurocs_the_one_of_less_work_is_confirmed(
    two_objectives: Study, memory: ListMemory, make_simulation: MakeSimulation
) -> None:
    study = replace(two_objectives, confirm=Confirm(seeds=1))
    make_simulation(study, curve=lambda _spec, _num_epochs: 0.75).run_and_close()
    (confirmed,) = memory.rows_of("confirm")
    least = min(row.work_flop or 0 for row in memory.rows_of("search"))
    assert confirmed.work_flop == least


@pytest.mark.nightly
def test_nsga2_fills_more_of_the_front_than_random_draws_do() -> None:
    """The area that both objectives cover, with a hundred trials of which ten make a generation."""

    def auroc(params: Mapping[str, Setting]) -> float:
        off = sum((float(params[name]) - 0.7) ** 2 for name in "abcd")
        return max(0.0, float(params["x"]) - off)

    def work(params: Mapping[str, Setting]) -> int:
        return int(1000 * float(params["x"]))

    def area(seed: int, num_random: int) -> float:
        space = {name: Uniform(0, 1) for name in "abcdx"}
        search = Search(space=space, trials_per_cell=100, sampler=Nsga2(population=num_random))
        cell = CellSampler(search, f"{seed}/a cell", work)
        points = []
        for number in range(100):
            params = cell.propose(number)
            cell.accept(str(number))
            cell.tell(str(number), "finished", [auroc(params)])
            points.append((work(params) / 1000, auroc(params)))
        grid = np.linspace(0, 1, 101)
        reached = [max((value for cost, value in points if cost <= one), default=0) for one in grid]
        return float(np.mean(reached))

    random, learned = (np.mean([area(seed, num) for seed in range(3)]) for num in (100, 10))
    whole = 0.5
    assert whole - learned < 0.85 * (whole - random)


def test_a_diverged_trial_counts_as_the_worst_of_all(
    two_objectives: Study, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    _run(make_simulation, two_objectives, diverges=lambda spec: spec.number in (1, 5))
    states = [row.state for row in memory.rows_of("search")]
    assert [states.index("diverged"), states.count("diverged"), len(states)] == [1, 2, 16]
    confirmed = {row.params for row in memory.rows_of("confirm")}
    assert not confirmed & {
        row.params for row in memory.rows_of("search") if row.state == "diverged"
    }


def test_the_cell_hands_the_sampler_the_work_that_its_settings_cause(
    two_objectives: Study, make_simulation: MakeSimulation
) -> None:
    cells = Grid(dataset="digits", normal_class=0, settings={"backbone": ["naive", "unet"]})
    board = make_simulation(replace(two_objectives, cells=cells)).board
    runs: list[CellRun] = list(board._cells.values())
    naive, unet = (run.work_of for run in runs)
    assert naive is not None
    assert unet is not None
    params: dict[str, Setting] = {"base_width": 4, "weight_con": 1.0}
    assert 0 < naive(params) < unet(params)
