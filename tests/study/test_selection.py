"""Studies without labelled validation anomalies, trained for real on a board without Ray."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from agad.config import (
    Asha,
    Confirm,
    FixedEpoch,
    Grid,
    LabelFree,
    Labelled,
    LogUniform,
    NoStopping,
    Scheduler,
    Search,
    Selection,
    Study,
    SuccessiveHalving,
)
from agad.data import ImportOptions, Library, NodeCache, import_dataset
from agad.detectors import Agad
from agad.errors import ConfigError, StudyChangedError
from agad.objects import open_objects
from agad.reading import stored_leaderboard
from agad.records import StudyMemory, TrialRow
from agad.records.provenance import Provenance
from agad.report import leaderboard
from agad.store import StudyStore
from agad.study.board import StudyBoard
from agad.study.cell_data import find_cell_data
from agad.study.plan import plan_study
from agad.study.row_maker import RowMaker
from agad.study.running import Launch, Progress
from agad.trial import EpochResult, Runtime, TrialSpec, train_trial
from tests.parameters import agad_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.simulation import ListMemory, MakeSimulation, MakeStudy

Train = Callable[[TrialSpec, Runtime], Iterator[EpochResult]]
RunStudy = Callable[..., list[Launch]]

SEARCH = Search(space={"lr": LogUniform(1e-4, 5e-3)}, trials_per_cell=3)
ASHA = Asha(max_epochs=3, grace_period=1, reduction_factor=2)


@pytest.fixture(autouse=True)
def _always_one_thread(one_thread: None) -> None:
    """Train on one thread."""


@pytest.fixture
def run(memory: ListMemory, digits_library: Library, session_cache: NodeCache) -> RunStudy:
    """Run a study, one trial after the other, each epoch decided on the board."""

    def run(
        study: Study,
        library: Library = digits_library,
        train: Train = train_trial,
        most_ends: int | None = None,
        kept_in: StudyMemory = memory,
    ) -> list[Launch]:
        runtime = Runtime(store=library.uri, cache=session_cache)
        rows = RowMaker(
            study=study.name, provenance=Provenance(commit="", is_dirty=False, versions="{}")
        )
        launches: list[Launch] = []
        cell_data = find_cell_data(study, library)
        with StudyBoard(study, cell_data, kept_in, rows) as board:
            while not board.is_done and len(launches) != most_ends:
                launch = board.launch()
                assert launch is not None
                launches.append(launch)
                key, epochs = launch.spec.key, train(launch.spec, runtime)
                for result in epochs:
                    progress = Progress(epochs=(result,), seconds=1.0, hardware="none")
                    is_last = result.epoch + 1 == launch.spec.max_epochs
                    if is_last or not board.report(key, progress):
                        break
                board.end(key, progress)
        return launches

    return run


def _lr(row: TrialRow) -> float:
    return float(json.loads(row.params)["lr"])


def test_a_label_free_study_chooses_the_lowest_reconstruction_error(
    run: RunStudy, make_study: MakeStudy, memory: ListMemory
) -> None:
    study = make_study(
        search=SEARCH,
        scheduler=ASHA,
        selection=LabelFree(val_share=0.25),
        cells=Grid(dataset="digits", normal_class=8, anomaly_ratio=0.1),
    )
    run(study)
    rows = memory.trials()
    assert {row.selection for row in rows} == {"label_free"}
    assert {row.val_auroc for row in rows} == {None}
    assert {row.num_val_anomalies for row in rows} == {0}
    assert {row.num_fit_anomalies > 0 for row in rows} == {True}
    search, confirms = memory.rows_of("search"), memory.rows_of("confirm")
    finished = [row for row in search if row.state == "finished"]
    best = max(finished, key=lambda row: row.objective or -np.inf)
    assert all(row.objective is not None and row.objective < 0 for row in rows)
    assert {_lr(row) for row in confirms} == {_lr(best)}
    assert [row.test_auroc is not None for row in confirms] == [True, True]
    [winner] = memory.winners()
    assert (winner.val_auroc, winner.objective) == (None, best.objective)
    assert all(epoch.val_auroc is None and epoch.objective for epoch in memory.epochs())
    pruned = [row.stop_reason for row in search if row.state == "pruned"]
    assert all("minus the mean validation score -" in reason for reason in pruned)
    [cell] = leaderboard(rows).cells
    assert (cell.policy, cell.val_auroc, cell.num_val_anomalies) == ("label_free", None, 0)
    assert cell.objective == pytest.approx(np.mean([row.objective for row in confirms]))


@pytest.mark.parametrize(
    "scheduler",
    [ASHA, SuccessiveHalving(max_epochs=3, grace_period=1, reduction_factor=2)],
    ids=["asha", "halving"],
)
@pytest.mark.parametrize("num_ends", [1, 2, 4])
def test_a_label_free_study_goes_on_under_a_later_driver_as_if_there_were_one(
    num_ends: int,
    scheduler: Scheduler,
    run: RunStudy,
    make_study: MakeStudy,
    memory: ListMemory,
) -> None:
    study = make_study(
        search=SEARCH,
        scheduler=scheduler,
        selection=LabelFree(),
        cells=Grid(dataset="digits", normal_class=8),
    )

    run(study, train=_pretend)
    later = type(memory)()
    run(study, train=_pretend, most_ends=num_ends, kept_in=later)
    run(study, train=_pretend, kept_in=later)
    assert _outcome(later) == _outcome(memory)
    assert later.winners() == memory.winners()
    [winner] = memory.winners()
    best = max(row.objective or -np.inf for row in memory.rows_of("search"))
    assert (winner.val_auroc, winner.objective) == (None, best)


def _outcome(memory: ListMemory) -> list[object]:
    searched = [
        (row.trial_key, row.state, row.epochs, row.objective) for row in memory.rows_of("search")
    ]
    return [*searched, *(row.trial_key for row in memory.rows_of("confirm"))]


def _pretend(spec: TrialSpec, _runtime: Runtime) -> Iterator[EpochResult]:
    """Train nothing: the error falls by epoch, and is lowest at a rate of 1e-3."""
    for epoch in range(spec.max_epochs):
        error = 2 + abs(np.log(agad_of(spec).lr / 1e-3)) - epoch / 100
        yield EpochResult(epoch=epoch, objective=-float(error), val_auroc=None, train_s=0.0)


def test_a_fixed_epoch_study_confirms_its_one_configuration_and_searches_nothing(
    run: RunStudy, make_study: MakeStudy, memory: ListMemory
) -> None:
    study = make_study(
        search=Search(),
        scheduler=NoStopping(max_epochs=2),
        selection=FixedEpoch(epochs=2),
        cells=Grid(dataset="digits", normal_class=8, settings={"weight_adcon": [0.0, 15.0]}),
    )
    launches = run(study)
    rows = memory.trials()
    assert [row.phase for row in rows] == ["confirm"] * 4
    assert {row.selection for row in rows} == {"fixed_epoch(2)"}
    assert {(row.state, row.epochs, row.max_epochs) for row in rows} == {("finished", 2, 2)}
    assert {(row.params, row.num_val_anomalies, row.val_auroc) for row in rows} == {("{}", 0, None)}
    assert {json.loads(row.settings)["weight_adcon"] for row in rows} == {0.0, 15.0}
    assert all(row.test_auroc is not None and row.objective is not None for row in rows)
    assert {agad_of(launch.spec).lr for launch in launches} == {Agad().lr}
    assert {(one.num_search_trials, one.objective) for one in memory.winners()} == {(0, None)}
    board = leaderboard(rows)
    assert [cell.num_confirmed for cell in board.cells] == [2, 2]
    assert {cell.policy for cell in board.cells} == {"fixed_epoch"}
    assert run(study) == []


@pytest.mark.parametrize(
    ("selection", "num_planned"),
    [(LabelFree(), 3), (FixedEpoch(epochs=3), 0)],
    ids=["label-free", "fixed-epoch"],
)
def test_a_stored_study_without_labels_is_reported_and_found_finished(
    selection: Selection, num_planned: int, run: RunStudy, make_study: MakeStudy, tmp_path: Path
) -> None:
    is_searched = selection.searches
    study = make_study(
        search=SEARCH if is_searched else Search(),
        scheduler=ASHA if is_searched else NoStopping(max_epochs=3),
        selection=selection,
        cells=Grid(dataset="digits", normal_class=8),
    )
    objects = open_objects(str(tmp_path / "store"))
    store = StudyStore(objects, study.name)
    with store.hold():
        store.open(study.as_json())
        run(study, kept_in=store)
        assert store.is_kept(study.as_json())
        assert run(study, kept_in=StudyStore(objects, study.name)) == []
    [cell] = stored_leaderboard(objects, study.name).cells
    assert (cell.num_trials_planned, cell.num_confirmed) == (num_planned, 2)
    assert cell.selection == selection.name(0)
    assert cell.objective is not None
    assert cell.objective < 0
    with pytest.raises(StudyChangedError, match=r"selection\."):
        store.is_kept(replace(study, search=SEARCH, scheduler=ASHA, selection=Labelled()).as_json())


def test_a_fixed_epoch_cell_whose_seeds_all_diverge_ends_without_a_result(
    make_study: MakeStudy, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    study = make_study(
        search=Search(),
        scheduler=NoStopping(max_epochs=2),
        selection=FixedEpoch(epochs=2),
        cells=Grid(dataset="digits", normal_class=8),
    )
    make_simulation(study, diverges=lambda _spec: True).run_and_close()
    assert [(row.phase, row.state) for row in memory.trials()] == [("confirm", "diverged")] * 2


def test_more_seeds_extend_a_fixed_epoch_study(
    make_study: MakeStudy, make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    study = make_study(
        search=Search(),
        scheduler=NoStopping(max_epochs=2),
        selection=FixedEpoch(epochs=2),
        cells=Grid(dataset="digits", normal_class=8),
    )
    make_simulation(study).run_and_close()
    more = replace(study, confirm=Confirm(seeds=3))
    launches = make_simulation(more).run_and_close()
    assert [launch.spec.number for launch in launches] == [2]
    assert len(memory.rows_of("confirm")) == 3


def test_the_plan_of_a_fixed_epoch_study_has_no_search(
    make_study: MakeStudy, digits_library: Library
) -> None:
    study = make_study(
        search=Search(), scheduler=NoStopping(max_epochs=2), selection=FixedEpoch(epochs=2)
    )
    (plan,) = plan_study(study, digits_library).detectors
    assert (plan.num_search_trials, plan.num_confirm_trials) == (0, 4)
    assert plan.most_epochs == plan.likely_epochs == 8
    assert {cell.num_val_anomalies for cell in plan.cells} == {0}


@pytest.fixture
def normals_alone(tmp_path: Path) -> Library:
    """A data set whose training part holds normal images alone."""
    rng = np.random.default_rng(0)
    for part, names in (("train", {"good": 60}), ("test", {"good": 8, "bent": 8})):
        for name, count in names.items():
            folder = tmp_path / "photos" / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                grey = rng.integers(0, 255, (16, 16), dtype=np.uint8)
                Image.fromarray(grey).save(folder / f"{number}.png")
    library = Library(open_objects(str(tmp_path / "store")))
    options = ImportOptions(image_px=16, keep_split=True)
    import_dataset("photos", tmp_path / "photos", library, options)
    return library


def test_policies_without_labels_run_where_no_anomaly_can_be_spared(
    run: RunStudy, make_study: MakeStudy, memory: ListMemory, normals_alone: Library
) -> None:
    cells = Grid(dataset="photos", normal_class="good")
    study = make_study(search=SEARCH, scheduler=ASHA, cells=cells)
    with pytest.raises(ConfigError, match=r"selection\.num_anomalies is \d+, but .* holds 0"):
        find_cell_data(study, normals_alone)
    assert study.selection == Labelled()
    run(replace(study, selection=LabelFree(val_share=0.25)), normals_alone)
    assert [row.test_auroc is not None for row in memory.rows_of("confirm")] == [True, True]
    assert {row.num_val_normals for row in memory.trials()} == {15}
