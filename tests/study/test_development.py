"""Search trials of several classes and seeds, and winners that are confirmed on all classes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agad.config import Asha, Confirm, Grid, Search, Study, SuccessiveHalving, Uniform
from agad.data import Library, NodeCache
from agad.errors import ConfigError
from agad.records.provenance import Provenance
from agad.report import PlannedDetector, leaderboard
from agad.study.board import StudyBoard
from agad.study.cell_data import find_cell_data
from agad.study.row_maker import RowMaker
from agad.study.running import Progress
from agad.trial import Runtime, TrialSpec, train_trial
from tests.parameters import agad_of

if TYPE_CHECKING:
    from tests.simulation import ListMemory, MakeSimulation, MakeStudy

SEARCH = "digits class=(0,5) ratio=0"
CLASSES = (0, 3, 5)
SPACE = {"weight_con": Uniform(0, 100)}


def _cell(label: int) -> str:
    return f"digits class={label} ratio=0"


@pytest.fixture
def study(make_study: MakeStudy) -> Study:
    """Return a study that searches on two of three classes and two seeds."""
    return make_study(
        cells=Grid(dataset="digits", normal_class=CLASSES),
        search=Search(space=SPACE, trials_per_cell=4, seeds=2, development_classes=(5, 0)),
    )


def test_one_search_trains_the_development_classes_and_seeds_for_all_classes(
    study: Study, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    simulation = make_simulation(study)
    simulation.run_and_close()
    searched = [one for one in simulation.specs if one.phase == "search"]
    assert {tuple((one.given_label, one.seed) for one in spec.instances) for spec in searched} == {
        ((0, 0), (0, 1), (5, 0), (5, 1))
    }
    rows = memory.rows_of("search")
    assert [row.cell for row in rows] == [SEARCH] * 4
    assert {(row.seeds, row.development_classes, row.normal_class) for row in rows} == {
        ((0, 1), (0, 5), None)
    }


def test_the_winner_has_a_row_for_each_class_and_fresh_seed(
    study: Study, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    make_simulation(study).run_and_close()
    rows = memory.rows_of("confirm")
    assert [(row.cell, row.normal_class, row.seeds, row.development_classes) for row in rows] == [
        (_cell(label), label, (seed,), ()) for label in CLASSES for seed in (2, 3)
    ]
    (winner,) = memory.winners()
    assert winner.cell == SEARCH
    assert {row.params for row in rows} == {json.dumps(winner.params)}
    assert all(row.test_auroc is not None for row in rows)
    assert {claim.seeds for claim in memory.claims()} == {(0, 1), (2,), (3,)}


def test_labels_of_a_search_trial_are_those_of_all_its_instances(
    make_study: MakeStudy, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    study = make_study(
        cells=Grid(dataset="digits", normal_class=CLASSES, anomaly_ratio=0.1),
        search=Search(space=SPACE, trials_per_cell=1, seeds=2, development_classes=(0, 5)),
    )
    make_simulation(study).run_and_close()
    (row,) = memory.rows_of("search")
    of_class = {one.normal_class: one for one in memory.rows_of("confirm")}
    for name in ("num_val_anomalies", "num_fit_anomalies", "num_fit_normals", "num_val_normals"):
        alone = getattr(of_class[0], name) + getattr(of_class[5], name)
        assert getattr(row, name) == 2 * alone > 0


def test_seeds_alone_leave_each_class_its_own_search(
    make_study: MakeStudy, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    make_simulation(
        make_study(search=Search(space=SPACE, trials_per_cell=2, seeds=3))
    ).run_and_close()
    rows = memory.rows_of("search")
    assert [(row.normal_class, row.seeds, row.development_classes) for row in rows] == [
        (label, (0, 1, 2), ()) for label in (0, 8) for _ in range(2)
    ]
    assert {row.num_val_anomalies for row in rows} == {90}
    assert {row.seeds for row in memory.rows_of("confirm")} == {(3,), (4,)}


def test_the_anomalous_class_of_leave_one_out_is_developed_alike(
    make_study: MakeStudy, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    study = make_study(
        cells=Grid(dataset="digits", anomalous_class=CLASSES),
        search=Search(space=SPACE, trials_per_cell=2, development_classes=(3, 5)),
    )
    simulation = make_simulation(study)
    simulation.run_and_close()
    (first, second) = next(one for one in simulation.specs if one.phase == "search").instances
    assert (first.task.anomalous_classes, second.task.anomalous_classes) == ((3,), (5,))
    (row, _) = memory.rows_of("search")
    assert (row.cell, row.anomalous_class) == ("digits class=(3,5) ratio=0 leave-one-out", None)
    assert (row.protocol, row.development_classes) == ("leave-one-out", (3, 5))
    assert {one.anomalous_class for one in memory.rows_of("confirm")} == {*CLASSES}


@pytest.mark.parametrize("most_ends", [0, 2, 4, 6, 9])
@pytest.mark.parametrize("scheduler", [Asha, SuccessiveHalving])
def test_a_serial_run_in_two_parts_starts_the_trials_of_one_run(
    study: Study,
    memory: ListMemory,
    make_simulation: MakeSimulation,
    most_ends: int,
    scheduler: type[Asha | SuccessiveHalving],
) -> None:
    study = replace(study, scheduler=scheduler(max_epochs=9, grace_period=1))
    whole = [one.spec.key for one in make_simulation(study).run_and_close()]
    for kept in (memory.all_claims, memory.all_rows, memory.all_pauses):
        kept.clear()
    memory.all_winners.clear()
    before = make_simulation(study).run_and_close(most_ends=most_ends)
    after = make_simulation(study).run_and_close()
    assert [one.spec.key for one in (*before, *after)] == whole
    assert not make_simulation(study).run_and_close()


def test_a_class_more_is_confirmed_with_the_winner_that_there_is(
    study: Study, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    make_simulation(study).run_and_close()
    more = replace(study, cells=study.cells.on_classes((*CLASSES, 7)))
    launches = make_simulation(more).run_and_close()
    assert [(one.spec.cell.label, one.spec.seed) for one in launches] == [
        (_cell(7), 2),
        (_cell(7), 3),
    ]
    (winner,) = memory.winners()
    assert launches[0].spec.params == winner.params


def _better_elsewhere(spec: TrialSpec, num_epochs: int) -> float:
    """Make the first of the search the best on fresh seeds too, but on class 3 by far the worst."""
    weight = agad_of(spec).weight_con / 1000
    return 0.5 + num_epochs / 10_000 + (3 * weight if spec.given_label == 3 else -weight)


def test_the_development_classes_alone_choose_among_candidates(
    study: Study, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    study = replace(study, confirm=Confirm(seeds=2, candidates=2))
    make_simulation(study, curve=_better_elsewhere).run_and_close()
    assert len(memory.rows_of("confirm")) == 2 * 3 * 2
    candidates = sorted({json.loads(row.params)["weight_con"] for row in memory.rows_of("confirm")})
    (winner,) = memory.winners()
    assert winner.params == {"weight_con": candidates[0]}
    assert winner.objective == pytest.approx(0.5 + 9 / 10_000 - candidates[0] / 1000)
    tests = memory.rows_of("test")
    assert [(row.cell, row.seeds) for row in tests] == [
        (_cell(label), (seed,)) for label in CLASSES for seed in (2, 3)
    ]
    assert {json.loads(row.params)["weight_con"] for row in tests} == {candidates[0]}


def test_a_status_counts_confirm_trials_of_all_classes_under_the_search(
    study: Study, make_simulation: MakeSimulation
) -> None:
    simulation = make_simulation(study, slots=3)
    with simulation.board:
        simulation.run(most_ends=5)
        (cell,) = simulation.board.status(3).cells
        assert (cell.label, cell.phase, cell.confirm_planned) == (SEARCH, "confirm", 6)
        assert cell.running == len(simulation.running) > 0
        simulation.run()


def test_split_sizes_are_checked_on_every_class_and_seed(
    make_study: MakeStudy, digits_library: Library
) -> None:
    study = make_study(
        cells=Grid(dataset="digits", normal_class=CLASSES, anomaly_ratio=0.95),
        search=Search(space=SPACE, development_classes=3),
    )
    with pytest.raises(ConfigError, match=r"cell 'digits class=0 ratio=0.95', seed 1: .*ratio"):
        find_cell_data(study, digits_library)


def test_real_training_goes_from_development_classes_to_a_report(
    make_study: MakeStudy,
    memory: ListMemory,
    digits_library: Library,
    session_cache: NodeCache,
    one_thread: None,
) -> None:
    del one_thread
    study = make_study(
        cells=Grid(dataset="digits", normal_class=CLASSES, anomaly_ratio=0.1),
        search=Search(space=SPACE, trials_per_cell=2, seeds=2, development_classes=(0, 5)),
        scheduler=SuccessiveHalving(max_epochs=2, grace_period=1, reduction_factor=2),
        confirm=Confirm(seeds=2),
    )
    runtime = Runtime(store=digits_library.uri, cache=session_cache)
    provenance = Provenance(commit="", is_dirty=False, versions="{}")
    rows = RowMaker(study=study.name, provenance=provenance)
    with StudyBoard(study, find_cell_data(study, digits_library), memory, rows) as board:
        while (launch := board.launch()) is not None:
            key = launch.spec.key
            for result in train_trial(launch.spec, runtime):
                progress = Progress(epochs=(result,), seconds=1.0, hardware="here")
                if not board.report(key, progress):
                    break
            board.end(key, progress)
        assert board.is_done

    shown = leaderboard(memory.trials(), planned=[PlannedDetector(cells=study.cells.all_cells)])
    assert [(one.given_class, one.num_confirmed, one.is_development) for one in shown.cells] == [
        (0, 2, True),
        (3, 2, False),
        (5, 2, True),
    ]
    (search,) = shown.searches
    assert (search.num_trials, search.num_instances, search.num_pruned) == (2, 4, 1)
    assert search.num_search_epochs == 4 * (1 + 2)
    every, rest = shown.ratios
    assert (every.num_classes, every.left_out) == (3, ())
    assert (rest.test_auroc, rest.left_out) == (shown.cells[1].test_auroc, (0, 5))


def test_the_status_counts_all_instances_and_the_classes_that_are_confirmed(
    study: Study, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    simulation = make_simulation(study)
    with simulation.board:
        simulation.run(most_ends=4)
        status = simulation.board.status(slots=1)
    (cell,) = status.cells
    confirm = study.confirm.seeds * len(CLASSES) * study.scheduler.max_epochs
    assert cell.epochs == 4 * sum(row.epochs for row in memory.rows_of("search"))
    assert cell.left_s == pytest.approx(confirm * cell.seconds / cell.epochs)
    again = make_simulation(study)
    again.run_and_close()
    (done,) = again.board.status(slots=1).cells
    assert done.epochs == cell.epochs + confirm
    assert done.left_s == 0
