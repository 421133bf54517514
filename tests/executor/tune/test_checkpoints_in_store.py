"""Trials on a real store, trained by Ray's trainable as Ray calls it, without a cluster."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import ray.tune.trainable.trainable

from agad.config import Asha, Confirm, Grid, Search, Study, SuccessiveHalving, Uniform
from agad.data import PARTS, open_images
from agad.executor.tune.worker import Objective, Order
from agad.objects import ObjectStore, open_objects
from agad.records import EpochRow, ScoreRow, TrialRow, checkpoints_prefix, pictures_prefix
from agad.records.provenance import Provenance
from agad.store import StudyStore, rows_from_parquet
from agad.study.board import StudyBoard
from agad.study.cell_data import find_cell_data
from agad.study.row_maker import RowMaker
from agad.study.running import Launch
from agad.trial import CheckpointPlan, EpochResult, Runtime, TrialSpec, auroc, train_trial

if TYPE_CHECKING:
    from agad.data import Library, NodeCache
    from tests.simulation import MakeStudy

STUDY = "a-study"


class _WorkerDiedError(Exception):
    """Stands for a kill: nothing of the worker survives it."""


@dataclass
class Driver:
    """A driver with one worker, which dies where it is told to."""

    study: Study
    library: Library
    objects: ObjectStore
    runtime: Runtime
    dies_in: Callable[[Launch, int], bool] = lambda _launch, _epoch: False
    trained: list[tuple[str, int, int]] = field(default_factory=list)
    """Phase, number and epoch of what was trained, in order."""

    def run(self, *, most_ends: int | None = None) -> StudyStore:
        """Run the study to its end, or like a driver that dies after so many ends."""
        store = StudyStore(self.objects, STUDY)
        rows = RowMaker(
            study=STUDY, provenance=Provenance(commit="", is_dirty=False, versions="{}")
        )
        cell_data = find_cell_data(self.study, self.library)
        with store.hold(), StudyBoard(self.study, cell_data, store, rows) as board:
            for _ in itertools.count() if most_ends is None else range(most_ends):
                launch = board.launch()
                if launch is None:
                    assert board.is_done
                    break
                self._train(board, launch)
        return store

    def _train(self, board: StudyBoard, launch: Launch) -> None:
        def train(spec: TrialSpec, runtime: Runtime) -> Iterator[EpochResult]:
            for result in train_trial(spec, runtime):
                if not result.is_restored:
                    self.trained.append((spec.phase, spec.number, result.epoch))
                if self.dies_in(launch, result.epoch):
                    raise _WorkerDiedError
                yield result

        order = Order(
            launch=launch, runtime=self.runtime, train=train, scheduler=self.study.scheduler
        )
        objective = Objective(config={"order": order})
        key = launch.spec.key
        while True:
            try:
                result = objective.step()
            except _WorkerDiedError:
                board.fail(key, "the worker died")
                return
            if result["done"] or not board.report(key, result["progress"]):
                board.end(key, result["progress"])
                return


@pytest.fixture(autouse=True)
def _always_one_thread(one_thread: None) -> None:
    """Train on one thread, as every trial here asks for."""


@pytest.fixture(autouse=True)
def log_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A trainable without Ray makes itself a folder, by default at home."""
    monkeypatch.setattr(ray.tune.trainable.trainable, "DEFAULT_STORAGE_PATH", str(tmp_path))


@pytest.fixture
def make_driver(
    make_study: MakeStudy, digits_library: Library, session_cache: NodeCache, tmp_path: Path
) -> Callable[..., Driver]:
    """Build a driver of a study of 2 trials of 3 epochs and 1 seed, in one of the test's stores.

    With ``pauses`` its trials pause at their rungs, 1 and 2.
    """
    stopping = make_study(
        name=STUDY,
        cells=Grid(dataset="digits", normal_class=0),
        search=Search(space={"weight_con": Uniform(0, 100)}, trials_per_cell=2),
        scheduler=Asha(max_epochs=3, grace_period=1, reduction_factor=2),
        confirm=Confirm(seeds=1),
    )
    halving = SuccessiveHalving(max_epochs=3, grace_period=1, reduction_factor=2)
    promoting = replace(
        stopping, scheduler=halving, search=replace(stopping.search, trials_per_cell=4)
    )

    def build(
        store: str,
        *,
        pauses: bool = False,
        study: Study | None = None,
        **changes: Any,  # noqa: ANN401
    ) -> Driver:
        study = study or (promoting if pauses else stopping)
        objects = open_objects(str(tmp_path / store))
        # Images are in the session's cache, so that this store holds the study alone.
        plan = CheckpointPlan(
            prefix=checkpoints_prefix(STUDY), milestones=study.scheduler.milestones, pauses=pauses
        )
        runtime = Runtime(
            store=objects.uri,
            cache=session_cache,
            pictures=pictures_prefix(STUDY),
            checkpoints=plan,
        )
        return Driver(study, digits_library, objects, runtime, **changes)

    return build


@pytest.fixture(autouse=True)
def images_in_the_cache(digits_library: Library, session_cache: NodeCache) -> None:
    """Fetch both parts once: the stores of these tests hold no data set."""
    for part in PARTS:
        open_images(
            digits_library.manifest("digits"), part, store=digits_library.uri, cache=session_cache
        )


def _left(objects: ObjectStore) -> list[str]:
    return objects.list(f"{checkpoints_prefix(STUDY)}/")


_OF_THE_ATTEMPT = ("attempt", "seconds", "started_at", "ended_at", "peak_memory_bytes")


def _results(store: StudyStore) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return all rows without what an attempt changes: its number, times and memory."""

    def plain(row: TrialRow | EpochRow) -> dict[str, Any]:
        values = dataclasses.asdict(row)
        return {name: values[name] for name in values if name not in (*_OF_THE_ATTEMPT, "train_s")}

    return [plain(row) for row in store.trials()], [plain(row) for row in store.epochs()]


def _scores(objects: ObjectStore) -> list[ScoreRow]:
    return [
        row
        for key in objects.list(f"{STUDY}/scores/")
        for row in rows_from_parquet(objects.get(key), ScoreRow, key)
    ]


def test_a_study_whose_workers_die_leaves_the_rows_of_an_undisturbed_one(
    make_driver: Callable[..., Driver],
) -> None:
    undisturbed = make_driver("one")
    expected = _results(undisturbed.run())
    died = set()

    def dies_once(launch: Launch, epoch: int) -> bool:
        place = (launch.spec.key, epoch)
        is_first = epoch == 2 and place not in died
        died.add(place)
        return is_first

    disturbed = make_driver("other", dies_in=dies_once)
    store = disturbed.run()
    assert _results(store) == expected
    attempts = {row.trial_key: row.attempt for row in store.trials() if row.epochs == 3}
    assert {*attempts.values()} == {1}
    # The epoch in which a worker died alone was trained again; of a confirm trial not even that,
    # since its last checkpoint came before its worker's death.
    assert disturbed.trained.count(("search", 0, 2)) == 2
    assert disturbed.trained.count(("search", 0, 0)) == 1
    assert disturbed.trained.count(("confirm", 0, 2)) == 1
    plain = [replace(row, attempt=0) for row in _scores(disturbed.objects)]
    assert plain == _scores(undisturbed.objects)
    assert plain


def test_a_study_goes_on_from_the_checkpoints_of_a_driver_that_died(
    make_driver: Callable[..., Driver],
) -> None:
    expected = _results(make_driver("one").run())

    def dies(launch: Launch, epoch: int) -> bool:
        return launch.spec.number == 0 and epoch == 2

    first = make_driver("other", dies_in=dies)
    first.run(most_ends=1)
    assert len(_left(first.objects)) == 1
    second = make_driver("other")
    assert _results(second.run()) == expected
    assert second.trained[0] == ("search", 0, 2)


def test_a_study_whose_trials_pause_trains_no_epoch_twice(
    make_driver: Callable[..., Driver],
) -> None:
    driver = make_driver("one", pauses=True)
    store = driver.run()
    searched = [row for row in store.trials() if row.phase == "search"]
    assert {row.state for row in searched} == {"finished", "pruned"}
    assert len(driver.trained) == len({*driver.trained})
    assert len(driver.trained) == sum(row.epochs for row in store.trials())
    assert max(row.attempt for row in searched) == 2
    (confirmed,) = (row for row in store.trials() if row.phase == "confirm")
    assert _left(driver.objects) == [f"{STUDY}/checkpoints/{confirmed.trial_key}/3-0.ckpt"]


@pytest.mark.parametrize("most_ends", [1, 3, 5])
def test_paused_trials_outlive_their_driver(
    make_driver: Callable[..., Driver], most_ends: int
) -> None:
    whole = make_driver("one", pauses=True)
    expected = _results(whole.run())
    first = make_driver("other", pauses=True)
    first.run(most_ends=most_ends)
    assert _left(first.objects)
    second = make_driver("other", pauses=True)
    assert _results(second.run()) == expected
    assert first.trained + second.trained == whole.trained


def test_a_done_cell_leaves_the_last_checkpoint_of_its_confirmed_trial_alone(
    make_driver: Callable[..., Driver],
) -> None:
    driver = make_driver("one")
    store = driver.run()
    (confirmed,) = (row for row in store.trials() if row.phase == "confirm")
    assert _left(driver.objects) == [f"{STUDY}/checkpoints/{confirmed.trial_key}/3-0.ckpt"]


def test_the_next_run_drops_what_a_worker_left_late(make_driver: Callable[..., Driver]) -> None:
    driver = make_driver("one")
    store = driver.run()
    (searched, _) = (row for row in store.trials() if row.phase == "search")
    left = _left(driver.objects)
    late = f"{STUDY}/checkpoints/{searched.trial_key}/1-0.ckpt"
    driver.objects.put_if_absent(f"{late[:-6]}1.ckpt", b"of a worker that was thought dead")
    driver.run()
    assert _left(driver.objects) == left


def test_the_auroc_of_the_stored_scores_is_the_rows_exactly(
    make_driver: Callable[..., Driver],
) -> None:
    driver = make_driver("one")
    (confirmed,) = (row for row in driver.run().trials() if row.phase == "confirm")
    scores = _scores(driver.objects)
    test = driver.library.manifest("digits").test
    assert [row.image for row in scores] == list(range(test.num_images))
    assert np.bincount([row.label for row in scores]).tolist() == list(test.class_counts)
    assert {(row.trial_key, row.is_anomaly == (row.label != 0)) for row in scores} == {
        (confirmed.trial_key, True)
    }
    is_anomaly = np.array([row.is_anomaly for row in scores])
    assert auroc(is_anomaly, np.array([row.score for row in scores])) == confirmed.test_auroc


def test_a_winner_has_16_pictures(make_driver: Callable[..., Driver]) -> None:
    driver = make_driver("one")
    (confirmed,) = (row for row in driver.run().trials() if row.phase == "confirm")
    keys = driver.objects.list(f"{STUDY}/pictures/")
    assert len(keys) == 16
    assert {key.split("/")[2] for key in keys} == {confirmed.trial_key}


def test_the_winner_of_two_candidates_has_the_rows_of_one_that_was_alone(
    make_driver: Callable[..., Driver],
) -> None:
    alone = make_driver("one")
    several = make_driver(
        "other", study=replace(alone.study, confirm=Confirm(seeds=1, candidates=2))
    )
    kept = several.run()
    (winner,) = kept.winners()
    (tested,) = (row for row in kept.trials() if row.phase == "test")
    candidates = [row for row in kept.trials() if row.phase == "confirm"]
    assert [row.test_auroc for row in candidates] == [None, None]
    assert tested.val_auroc == winner.val_auroc == max(row.val_auroc or 0 for row in candidates)
    # Its model was trained once: the test trial took it from the store.
    assert several.trained.count(("confirm", 0, 2)) == 2
    assert all(phase != "test" for phase, _, _ in several.trained)
    assert {row.trial_key for row in _scores(several.objects)} == {tested.trial_key}
    (chosen,) = (row for row in candidates if row.params == tested.params)
    assert _left(several.objects) == [f"{STUDY}/checkpoints/{chosen.trial_key}/3-0.ckpt"]


def test_every_row_tells_its_peak_memory(make_driver: Callable[..., Driver]) -> None:
    rows = make_driver("one").run().trials()
    assert all((row.peak_memory_bytes or 0) > 50 * 2**20 for row in rows)
    assert {row.peak_gpu_memory_bytes for row in rows} == {None}
