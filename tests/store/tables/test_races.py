"""Compactions beside readers, writers and each other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agad.errors import StoreError
from agad.objects import LocalObjects, MissingObjectError, ObjectStore
from agad.store import StudyReader, compact, table_files, verify

if TYPE_CHECKING:
    from tests.store.conftest import Fill, Interfering, Rows

Build = Callable[..., Any]

NOW = timedelta(0)
STUDY = "study"


def _read(objects: ObjectStore) -> Rows:
    reader = StudyReader(objects, STUDY)
    return reader.trials(), reader.epochs(), reader.scores()


@pytest.mark.parametrize(
    "part", ["manifests/", "trials/", "epochs/", "scores/", "trials/0", "epochs/0"]
)
def test_a_reader_that_a_compaction_overtakes_reads_every_row_once(
    tmp_path: Path, fill: Fill, interfering: type[Interfering], part: str
) -> None:
    objects = LocalObjects(tmp_path)
    rows = fill(objects)
    overtaken = interfering(objects, f"{STUDY}/{part}", lambda: compact(objects, STUDY, NOW))
    assert _read(overtaken) == rows
    assert objects.list(f"{STUDY}/trials/") == []


@pytest.mark.parametrize("part", ["manifests/", "compact/trials", "compact/epochs"])
def test_a_reader_of_files_that_a_compaction_replaces_reads_every_row_once(
    tmp_path: Path, fill: Fill, interfering: type[Interfering], part: str, joined: Build
) -> None:
    objects = LocalObjects(tmp_path)
    before = fill(objects)
    compact(objects, STUDY, NOW)
    after = fill(objects, range(4, 6))
    overtaken = interfering(objects, f"{STUDY}/{part}", lambda: compact(objects, STUDY, NOW))
    wanted = joined(before, after)
    assert _read(overtaken) == wanted


def test_of_two_compactions_at_once_one_counts_and_the_other_clears_up(
    tmp_path: Path, fill: Fill, interfering: type[Interfering]
) -> None:
    objects = LocalObjects(tmp_path)
    rows = fill(objects)
    second = interfering(objects, f"put {STUDY}/manifests/1", lambda: compact(objects, STUDY, NOW))
    done = compact(second, STUDY, NOW)
    assert (done.number, done.num_attempts) == (1, 0)
    assert _read(objects) == rows
    assert len(objects.list(f"{STUDY}/compact/")) == 3
    assert not verify(objects, STUDY).faults


def test_many_compactions_at_once_beside_a_writer_lose_and_double_no_row(
    tmp_path: Path, fill: Fill
) -> None:
    objects = LocalObjects(tmp_path)
    fill(objects, range(1))
    is_done = threading.Event()

    def keep_compacting(_number: int) -> int:
        rounds = 0
        while not is_done.is_set():
            compact(objects, STUDY, NOW)
            rounds += 1
        return rounds

    def write() -> None:
        for number in range(1, 12):
            fill(objects, range(number, number + 1))
            assert len(StudyReader(objects, STUDY).trials()) == number + 1
        is_done.set()

    with ThreadPoolExecutor(3) as pool:
        compactors = [pool.submit(keep_compacting, number) for number in range(2)]
        try:
            pool.submit(write).result()
        finally:
            is_done.set()
        assert all(one.result() for one in compactors)
    assert sorted(row.number for row in StudyReader(objects, STUDY).trials()) == [*range(12)]
    assert len(StudyReader(objects, STUDY).epochs()) == 12 * 13 // 2
    compact(objects, STUDY, NOW)
    assert not verify(objects, STUDY).faults


def test_listed_files_can_be_read_after_a_compaction_within_its_grace_period(
    tmp_path: Path, fill: Fill
) -> None:
    objects = LocalObjects(tmp_path)
    fill(objects)
    before = table_files(objects, STUDY, "trials")
    compact(objects, STUDY)
    assert all(Path(path).exists() for path in before)
    assert table_files(objects, STUDY, "trials") != before


def test_a_lost_file_is_an_error_and_not_tried_for_ever(tmp_path: Path, fill: Fill) -> None:
    objects = LocalObjects(tmp_path)
    fill(objects)
    compact(objects, STUDY, NOW)
    [lost] = table_files(objects, STUDY, "trials")
    Path(lost).unlink()
    with pytest.raises(MissingObjectError, match=r"compact/trials-1-\S+ does not exist"):
        StudyReader(objects, STUDY).trials()
    fill(objects, range(9, 10))
    with pytest.raises(StoreError, match="does not exist"):
        compact(objects, STUDY, NOW)
