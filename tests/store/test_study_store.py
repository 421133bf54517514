"""What a study's memory must do, on a folder and on S3."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agad.config import Confirm, Grid, LogUniform, Search, Study
from agad.errors import ConfigError, OtherDriverError, StoreError, StudyChangedError
from agad.objects import LocalObjects, ObjectStore
from agad.records import Bulletin, StudyMemory, StudyStatus, Winner
from agad.records.keys import winner_key
from agad.store import StudyReader, StudyStore, list_studies, verify
from agad.store.holding.lease import Lease

Build = Callable[..., Any]

STUDY = Study(
    name="study",
    cells=Grid(dataset="digits", normal_class=[0, 1], anomaly_ratio=0.05),
    search=Search(space={"lr": LogUniform(1e-5, 1e-3)}, trials_per_cell=8),
)


@pytest.fixture
def store(objects: ObjectStore) -> StudyStore:
    return StudyStore(objects, "study")


def test_a_study_store_is_a_study_memory(store: StudyStore) -> None:
    memory: StudyMemory = store
    assert (memory.claims(), memory.trials(), memory.epochs()) == ([], [], [])


def test_put_keeps_rows_field_by_field(
    store: StudyStore, trial_row: Build, epoch_row: Build
) -> None:
    epochs = [epoch_row(), epoch_row(epoch=1, val_auroc=None, losses={})]
    store.put(trial_row(), epochs)
    assert store.trials() == [trial_row()]
    assert store.epochs() == epochs


def test_put_keeps_a_trial_without_epochs(store: StudyStore, trial_row: Build) -> None:
    row = trial_row(state="failed", val_auroc=None, epochs=0)
    store.put(row, [])
    assert store.trials() == [row]
    assert store.epochs() == []


def test_put_keeps_a_leave_one_out_row_field_by_field(store: StudyStore, trial_row: Build) -> None:
    row = trial_row(
        protocol="leave-one-out",
        normal_class=None,
        anomalous_class=3,
        pollution_ratio=0.1,
        labelled_classes="(3,cat)",
        num_fit_hidden=11,
        num_val_hidden=1,
    )
    store.put(row, [])
    assert store.trials() == [row]


def test_put_of_the_same_attempt_changes_nothing(
    store: StudyStore, trial_row: Build, epoch_row: Build, caplog: pytest.LogCaptureFixture
) -> None:
    store.put(trial_row(), [epoch_row()])
    store.put(trial_row(), [epoch_row()])
    assert "stays as it is" not in caplog.text
    store.put(trial_row(val_auroc=0.9), [epoch_row(val_auroc=0.9)])
    assert store.trials() == [trial_row()]
    assert store.epochs() == [epoch_row()]
    assert caplog.text.count("was kept before and stays as it is") == 2


def test_trials_prefer_a_better_state_then_a_lower_attempt(
    store: StudyStore, trial_row: Build, epoch_row: Build
) -> None:
    for attempt, state in enumerate(["failed", "diverged", "pruned", "finished", "finished"]):
        row = trial_row(attempt=attempt, state=state)
        store.put(row, [epoch_row(attempt=attempt)])
        assert [kept.attempt for kept in store.trials()] == [min(attempt, 3)]
    assert [row.attempt for row in store.epochs()] == [3]


def test_trials_prefer_the_lowest_attempt_by_number(store: StudyStore, trial_row: Build) -> None:
    for attempt in (10, 9):
        store.put(trial_row(attempt=attempt), [])
    assert [row.attempt for row in store.trials()] == [9]


def test_trials_come_in_order_of_cell_phase_and_number(store: StudyStore, trial_row: Build) -> None:
    wanted = [("a", "search", 0), ("a", "search", 1), ("a", "confirm", 0), ("b", "search", 0)]
    rows = [
        trial_row(trial_key=str(9 - place), cell=cell, phase=phase, number=number)
        for place, (cell, phase, number) in enumerate(wanted)
    ]
    for row in reversed(rows):
        store.put(row, [])
    assert store.trials() == rows


def test_epochs_come_in_order_of_epoch(
    store: StudyStore, trial_row: Build, epoch_row: Build
) -> None:
    store.put(trial_row(), [epoch_row(epoch=epoch) for epoch in (10, 2, 0)])
    assert [row.epoch for row in store.epochs()] == [0, 2, 10]


def test_epochs_without_their_trial_row_are_not_read(
    store: StudyStore, objects: ObjectStore, trial_row: Build, epoch_row: Build
) -> None:
    dying = StudyStore(_Dying(objects, "/trials/"), "study")
    with pytest.raises(StoreError, match="killed before /trials/"):
        dying.put(trial_row(), [epoch_row()])
    assert objects.list("study/epochs/")
    assert store.epochs() == []
    store.put(trial_row(), [epoch_row()])
    assert store.epochs() == [epoch_row()]


def test_put_claim_keeps_every_attempt_once(
    store: StudyStore, objects: ObjectStore, claim: Build
) -> None:
    other = StudyStore(objects, "study")
    assert store.put_claim(claim())
    assert not other.put_claim(claim())
    assert not store.put_claim(claim(number=4))
    assert other.put_claim(claim(attempt=1))
    assert not store.put_claim(claim(attempt=1))
    assert store.claims() == [claim(), claim(attempt=1)]


def test_put_claim_has_one_winner_among_drivers_with_equal_claims(
    objects: ObjectStore, claim: Build
) -> None:
    barrier = threading.Barrier(8)

    def put(_driver: int) -> bool:
        store = StudyStore(objects, "study")
        barrier.wait()
        return store.put_claim(claim())

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(put, range(8))) == 1


def test_put_claim_tells_a_driver_that_repeats_its_own_claim_that_it_has_it(
    store: StudyStore, claim: Build
) -> None:
    assert store.put_claim(claim())
    assert store.put_claim(claim())
    assert store.claims() == [claim()]


def _winner(**changes: Any) -> Winner:  # noqa: ANN401
    values: dict[str, Any] = {
        "cell": "digits class=0 ratio=0.05",
        "num_search_trials": 8,
        "num_seeds": 3,
        "params": {"lr": 2e-4, "backbone": "unet++"},
        "val_auroc": 1 / 3,
    }
    return Winner(**(values | changes))


def test_the_first_winner_of_a_cell_stays(store: StudyStore, objects: ObjectStore) -> None:
    assert store.put_winner(_winner()) == _winner()
    assert store.put_winner(_winner(params={"lr": 1.0})) == _winner()
    assert StudyStore(objects, "study").winners() == [_winner()]


@pytest.mark.parametrize(
    "changes",
    [{"cell": "digits class=1 ratio=0.05"}, {"num_search_trials": 9}, {"num_seeds": 4}],
    ids=lambda changes: next(iter(changes)),
)
def test_another_cell_or_an_extended_study_has_a_winner_of_its_own(
    changes: dict[str, Any], store: StudyStore
) -> None:
    winners = [_winner(), _winner(params={"lr": 1.0}, **changes)]
    for winner in winners:
        assert store.put_winner(winner) == winner
    assert sorted(store.winners(), key=str) == sorted(winners, key=str)


def test_a_winner_keeps_what_ended_its_search(store: StudyStore) -> None:
    winner = _winner(ended_by="the budget of 2 GPU-hours")
    store.put_winner(winner)
    assert store.winners() == [winner]


@pytest.mark.parametrize("field", ["objective", "ended_by"])
def test_a_winner_of_an_earlier_version_is_read(
    store: StudyStore, objects: ObjectStore, field: str
) -> None:
    values = dataclasses.asdict(_winner())
    del values[field]
    objects.put_if_absent(winner_key("study", _winner()), json.dumps(values).encode())
    assert store.winners() == [_winner()]


def test_an_object_that_is_no_winner_is_named(store: StudyStore, objects: ObjectStore) -> None:
    objects.put_if_absent("study/winners/ab/8-3.json", b'{"cell": "a"}')
    with pytest.raises(
        StoreError, match=r"winners/ab/8-3.json is no winner \(KeyError\('num_search_trials'\)\)"
    ):
        store.winners()


def test_rows_are_in_order_of_their_phases(store: StudyStore, trial_row: Build) -> None:
    for key, phase in (("1" * 32, "test"), ("2" * 32, "search"), ("3" * 32, "confirm")):
        store.put(trial_row(trial_key=key, phase=phase), [])
    assert [row.phase for row in store.trials()] == ["search", "confirm", "test"]


def test_open_keeps_the_configuration_once(store: StudyStore, objects: ObjectStore) -> None:
    store.open(STUDY.as_json())
    store.open(STUDY.as_json())
    assert objects.list("study/") == ["study/study.json"]
    assert store.config() == json.loads(json.dumps(STUDY.as_json()))


def test_open_keeps_an_extension_once_and_then_asks_for_it(
    store: StudyStore, objects: ObjectStore
) -> None:
    wanted = replace(STUDY, confirm=Confirm(seeds=4))
    store.open(STUDY.as_json())
    store.open(wanted.as_json())
    store.open(wanted.as_json())
    assert objects.list("study/") == ["study/study-1.json", "study/study.json"]
    assert store.config() == json.loads(json.dumps(wanted.as_json()))
    with pytest.raises(StudyChangedError, match=r"confirm.seeds was 4 and is now 3"):
        store.open(STUDY.as_json())


def test_open_takes_the_extension_with_the_highest_number(
    store: StudyStore, objects: ObjectStore
) -> None:
    for trials in range(8, 20):
        search = replace(STUDY.search, trials_per_cell=trials)
        store.open(replace(STUDY, search=search).as_json())
    assert "study/study-11.json" in objects.list("")
    assert store.config()["search"]["trials_per_cell"] == 19


def test_open_refuses_a_change_and_keeps_what_there_is(
    store: StudyStore, objects: ObjectStore
) -> None:
    store.open(STUDY.as_json())
    with pytest.raises(StudyChangedError, match=r"^study 'study' is .*: seed was 0 and is now 1\."):
        store.open(replace(STUDY, seed=1).as_json())
    assert objects.list("study/") == ["study/study.json"]


def test_open_by_two_drivers_at_once_keeps_one_and_tells_the_other(store: StudyStore) -> None:
    barrier = threading.Barrier(2)

    def start(seed: int) -> str:
        barrier.wait()
        try:
            store.open(replace(STUDY, seed=seed).as_json())
        except StudyChangedError as error:
            return str(error)
        return "kept"

    with ThreadPoolExecutor(2) as pool:
        first, second = sorted(pool.map(start, [1, 2]))
    assert first == "kept"
    assert "seed was " in second


def test_open_by_drivers_that_extend_at_once_keeps_every_extension(
    store: StudyStore, objects: ObjectStore
) -> None:
    store.open(STUDY.as_json())
    first = replace(STUDY, confirm=Confirm(seeds=4)).as_json()
    racing = StudyStore(_Racing(objects, lambda: store.open(first)), "study")
    racing.open(replace(STUDY, confirm=Confirm(seeds=5)).as_json())
    assert objects.list("study/") == [
        "study/study-1.json",
        "study/study-2.json",
        "study/study.json",
    ]
    assert store.config()["confirm"]["seeds"] == 5


def test_config_names_the_studies_that_there_are(objects: ObjectStore) -> None:
    for name in ("b", "a"):
        StudyStore(objects, name).open(STUDY.as_json() | {"name": name})
    objects.put_if_absent("other/notes.txt", b"")
    assert list_studies(objects) == ["a", "b"]
    with pytest.raises(StoreError, match=r"study 'c' is not in .*, which holds: a, b\."):
        StudyReader(objects, "c").config()


def test_studies_in_one_store_do_not_see_each_other(
    objects: ObjectStore, trial_row: Build, claim: Build
) -> None:
    other = StudyStore(objects, "study-2")
    other.open(STUDY.as_json())
    other.put_claim(claim())
    other.put(trial_row(study="study-2"), [])
    store = StudyStore(objects, "study")
    assert (store.claims(), store.trials()) == ([], [])
    store.open(STUDY.as_json() | {"seed": 7})


@pytest.mark.parametrize("name", ["", "..", "a/b", "../a", "/a", ".a", "a\n", "a b", "-a"])
def test_a_hostile_study_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"study.name is .*, but must hold only letters"):
        StudyStore(LocalObjects(tmp_path), name)


def test_a_hostile_trial_key_is_refused(store: StudyStore, trial_row: Build, claim: Build) -> None:
    with pytest.raises(StoreError, match=r"trial key is '../x', but must"):
        store.put_claim(claim(trial_key="../x"))
    with pytest.raises(StoreError, match=r"trial key is 'a/b', but must"):
        store.put(trial_row(trial_key="a/b"), [])


@pytest.fixture
def bulletin() -> Bulletin:
    return Bulletin(
        status=StudyStatus(study="study", cells=(), elapsed_s=1.0, slots=2),
        state="running",
        reason="",
        host="a-host",
        pid=1,
        at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_the_last_bulletin_replaces_the_one_before(
    store: StudyStore, objects: ObjectStore, bulletin: Bulletin
) -> None:
    store.open(STUDY.as_json())
    assert store.bulletin() is None
    with store.hold():
        store.put_bulletin(bulletin)
        store.put_bulletin(replace(bulletin, state="done"))
    assert store.bulletin() == replace(bulletin, state="done")
    assert list_studies(objects) == ["study"]
    assert verify(objects, "study").faults == ()


def test_a_driver_that_lost_the_study_leaves_the_bulletin_of_the_other_one(
    store: StudyStore, bulletin: Bulletin, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(_: Lease) -> None:
        raise OtherDriverError("another driver has taken it over")

    with store.hold():
        store.put_bulletin(bulletin)
        monkeypatch.setattr(Lease, "check", lost)
        with pytest.raises(OtherDriverError):
            store.put_bulletin(replace(bulletin, state="done"))
    assert store.bulletin() == bulletin


def test_a_bulletin_that_comes_after_the_study_was_let_go_is_refused(
    store: StudyStore, bulletin: Bulletin
) -> None:
    with store.hold():
        pass
    with pytest.raises(StoreError, match="study study is not held"):
        store.put_bulletin(bulletin)
    assert store.bulletin() is None


class _Dying:
    """A writer that is killed before it puts a key with a given part."""

    def __init__(self, objects: ObjectStore, part: str) -> None:
        self._objects = objects
        self._part = part
        self.uri = objects.uri
        self.identity = objects.identity
        self.get = objects.get
        self.get_file = objects.get_file
        self.open = objects.open
        self.put_file_if_absent = objects.put_file_if_absent
        self.overwrite = objects.overwrite
        self.delete = objects.delete
        self.sizes = objects.sizes
        self.list = objects.list
        self.list_folders = objects.list_folders

    def put_if_absent(self, key: str, data: bytes) -> bool:
        if self._part in key:
            raise StoreError(f"killed before {self._part}")
        return self._objects.put_if_absent(key, data)


class _Racing(_Dying):
    """A writer that another one overtakes just before its first put."""

    def __init__(self, objects: ObjectStore, overtake: Callable[[], None]) -> None:
        super().__init__(objects, "no such part")
        self._overtake: Callable[[], None] | None = overtake

    def put_if_absent(self, key: str, data: bytes) -> bool:
        overtake, self._overtake = self._overtake, None
        if overtake is not None:
            overtake()
        return super().put_if_absent(key, data)
