"""Rows that the store does not take: on the disk until it does, and never twice."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from agad.errors import StoreError
from agad.objects import LocalObjects
from agad.store import StudyStore
from agad.store.holding.lease import LeaseTimes
from agad.store.holding.spool import Spool

Build = Callable[..., Any]


class FailingObjects(LocalObjects):
    """A folder that takes no rows so many times."""

    num_failures = 0

    def put_if_absent(self, key: str, data: bytes) -> bool:
        if self.num_failures and "/lease/" not in key:
            self.num_failures -= 1
            raise StoreError("the bucket is away.")
        return super().put_if_absent(key, data)


@pytest.fixture
def objects(tmp_path: Path) -> FailingObjects:
    return FailingObjects(tmp_path / "store")


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def store(objects: FailingObjects, spool: Path) -> StudyStore:
    return StudyStore(objects, "study", spool, lease_times=LeaseTimes(release_s=1.0))


def _files(spool: Path) -> list[Path]:
    return [path for path in spool.rglob("*") if path.is_file()]


def test_rows_that_the_store_takes_leave_nothing_on_the_disk(
    store: StudyStore, spool: Path, trial_row: Build
) -> None:
    with store.hold():
        store.put(trial_row(), [])
    assert store.trials() == [trial_row()]
    assert not spool.exists()


def test_rows_that_wait_are_sent_with_the_very_bytes_of_a_direct_put(
    store: StudyStore, objects: FailingObjects, tmp_path: Path, trial_row: Build, epoch_row: Build
) -> None:
    spool = tmp_path / "spool"
    objects.num_failures = 1
    store.put(trial_row(), [epoch_row()])
    assert (len(_files(spool)), objects.list("study/")) == (1, [])
    store.flush()
    assert _files(spool) == []
    direct = LocalObjects(tmp_path / "direct")
    StudyStore(direct, "study").put(trial_row(), [epoch_row()])
    assert {key: objects.get(key) for key in objects.list("study/")} == {
        key: direct.get(key) for key in direct.list("study/")
    }
    assert len(objects.list("study/")) == 2


def test_a_later_driver_sends_what_an_earlier_one_left(
    store: StudyStore, objects: FailingObjects, spool: Path, trial_row: Build
) -> None:
    objects.num_failures = 1
    rows = [trial_row(trial_key=f"{number:032x}", number=number) for number in range(3)]
    for row in rows:
        store.put(row, [])
    later = StudyStore(objects, "study", spool)
    assert later.trials() == []
    later.flush()
    assert later.trials() == rows


def test_rows_behind_others_that_wait_do_not_try_the_store(
    store: StudyStore, objects: FailingObjects, spool: Path, trial_row: Build
) -> None:
    objects.num_failures = 100
    for attempt in range(5):
        store.put(trial_row(attempt=attempt), [])
    assert objects.num_failures == 99
    assert len(_files(spool)) == 5


def test_rows_that_were_sent_in_part_or_before_are_not_doubled(
    store: StudyStore,
    objects: FailingObjects,
    spool: Path,
    caplog: pytest.LogCaptureFixture,
    trial_row: Build,
) -> None:
    objects.num_failures = 1
    store.put(trial_row(), [])
    store.put(trial_row(), [])
    assert len(_files(spool)) == 1
    kept = _files(spool)[0].read_bytes()
    store.flush()
    before = {key: objects.get(key) for key in objects.list("study/")}
    (_folder(spool) / "again").write_bytes(kept)
    store.flush()
    assert {key: objects.get(key) for key in objects.list("study/")} == before
    assert _files(spool) == []
    assert "stays as it is" not in caplog.text


def _folder(spool: Path) -> Path:
    (store,) = spool.iterdir()
    return store / "study"


def test_a_store_that_comes_back_gets_the_rows_while_the_study_runs(
    store: StudyStore, objects: FailingObjects, spool: Path, trial_row: Build
) -> None:
    with store.hold():
        objects.num_failures = 3
        store.put(trial_row(), [])
        assert len(_files(spool)) == 1
        deadline_s = time.monotonic() + 30
        while _files(spool) and time.monotonic() < deadline_s:
            time.sleep(0.05)
        assert store.trials() == [trial_row()]


def test_a_study_that_ends_with_rows_that_wait_says_how_many_and_where(
    store: StudyStore,
    objects: FailingObjects,
    spool: Path,
    caplog: pytest.LogCaptureFixture,
    trial_row: Build,
) -> None:
    def work_until_interrupted() -> None:
        with store.hold():
            objects.num_failures = 10**6
            store.put(trial_row(), [])
            store.put(trial_row(attempt=1), [])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work_until_interrupted()
    last = [one for one in caplog.records if one.levelno >= logging.WARNING][-1].getMessage()
    assert last.startswith(f"2 groups of rows of study study, waiting in {_folder(spool)}, will be")
    with pytest.raises(StoreError, match=rf"2 groups .* in {_folder(spool)} .*: the bucket"):
        store.flush()
    assert len(_files(spool)) == 2


def test_a_study_that_ends_well_sends_what_waits_once_more(
    store: StudyStore, objects: FailingObjects, spool: Path, trial_row: Build
) -> None:
    with store.hold():
        objects.num_failures = 2
        store.put(trial_row(), [])
    assert _files(spool) == []
    assert store.trials() == [trial_row()]


def test_a_disconnected_store_keeps_all_on_the_disk(
    store: StudyStore, objects: FailingObjects, spool: Path, trial_row: Build
) -> None:
    store.disconnect()
    store.put(trial_row(), [])
    store.release("0" * 32, 1)
    assert (len(_files(spool)), objects.list("")) == (2, [])
    StudyStore(objects, "study", spool).flush()
    assert store.trials() == [trial_row()]
    assert store.released() == {("0" * 32, 1)}


def test_rows_that_fit_nowhere_raise_what_both_places_say(
    store: StudyStore,
    objects: FailingObjects,
    spool: Path,
    monkeypatch: pytest.MonkeyPatch,
    trial_row: Build,
) -> None:
    def full(path: Path, _chunks: Iterable[bytes]) -> None:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    objects.num_failures = 1
    monkeypatch.setattr("agad.objects.local.write_synced", full)
    text = r"AGAD_SPOOL names another.*: No space left on device; .* because: the bucket is away"
    with pytest.raises(StoreError, match=text):
        store.put(trial_row(), [])
    assert _files(spool) == []


def test_rows_without_a_usable_folder_raise_an_error_that_names_it(
    store: StudyStore, objects: FailingObjects, spool: Path, trial_row: Build
) -> None:
    spool.write_text("a file")
    objects.num_failures = 1
    with pytest.raises(StoreError, match=rf"{spool}/\S+ cannot be"):
        store.put(trial_row(), [])


def test_a_store_without_a_folder_for_rows_raises_its_own_error(
    objects: FailingObjects, trial_row: Build
) -> None:
    objects.num_failures = 1
    with pytest.raises(StoreError, match=r"^the bucket is away\.$"):
        StudyStore(objects, "study").put(trial_row(), [])


def test_a_damaged_file_is_named_and_nothing_of_it_is_sent(
    store: StudyStore, objects: FailingObjects, spool: Path, trial_row: Build
) -> None:
    objects.num_failures = 1
    store.put(trial_row(), [])
    (path,) = _files(spool)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(StoreError, match=rf"{path.name} is damaged .* remove it to run the trial"):
        store.flush()
    assert [key for key in objects.list("study/") if "/trials/" in key] == []


def _damage_first(spool: Path) -> Path:
    path = min(_files(spool))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    return path


def _numbered(trial_row: Build, num_rows: int) -> list[Any]:
    return [trial_row(trial_key=f"{number:032x}", number=number) for number in range(num_rows)]


def test_a_damaged_file_keeps_no_other_rows_waiting(
    store: StudyStore, objects: FailingObjects, spool: Path, trial_row: Build
) -> None:
    objects.num_failures = 1
    for row in _numbered(trial_row, 3):
        store.put(row, [])
    damaged = _damage_first(spool)
    with pytest.raises(StoreError, match=rf"^1 group .*{damaged.name} is damaged"):
        store.flush()
    assert _files(spool) == [damaged]
    assert len(store.trials()) == 2


def test_a_file_that_cannot_be_read_keeps_no_other_rows_waiting(
    store: StudyStore, objects: FailingObjects, spool: Path, trial_row: Build
) -> None:
    objects.num_failures = 1
    for row in _numbered(trial_row, 3):
        store.put(row, [])
    unreadable = min(_files(spool))
    unreadable.unlink()
    unreadable.symlink_to(unreadable.name)  # As a bad sector, for root too.
    with pytest.raises(StoreError, match=rf"{unreadable.name} cannot be read"):
        store.flush()
    assert len(store.trials()) == 2


def test_rows_that_come_beside_a_damaged_file_are_stored_at_once_and_it_is_told_of_once(
    store: StudyStore,
    objects: FailingObjects,
    spool: Path,
    caplog: pytest.LogCaptureFixture,
    trial_row: Build,
) -> None:
    objects.num_failures = 1
    first, *later = _numbered(trial_row, 4)
    store.put(first, [])
    damaged = _damage_first(spool)
    with store.hold():
        for row in later:
            store.put(row, [])
            deadline_s = time.monotonic() + 10
            while _files(spool) != [damaged] and time.monotonic() < deadline_s:
                time.sleep(0.02)
            assert row in store.trials()
        assert caplog.text.count(f"{damaged.name} is damaged") == 1
    last = caplog.records[-1].getMessage()
    assert last.startswith("1 group of rows of study study, waiting in")
    assert f"{damaged.name} is damaged" in last


def test_stores_and_studies_share_a_folder_without_mixing(tmp_path: Path) -> None:
    stores = [LocalObjects(tmp_path / name) for name in ("one", "other")]
    spools = [Spool(tmp_path / "spool", store, study) for store in stores for study in ("a", "a-2")]
    for number, one in enumerate(spools):
        one.keep([(f"key-{number}", b"data")])
    assert [one.num_waiting for one in spools] == [1, 1, 1, 1]
    spools[0].flush()
    assert [one.num_waiting for one in spools] == [0, 1, 1, 1]
    assert [store.list("") for store in stores] == [["key-0"], []]
