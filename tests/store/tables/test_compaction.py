"""Compaction: every row is read once, beside writers, readers and others that compact."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from agad.errors import ConfigError, StoreError
from agad.objects import LocalObjects, ObjectStore
from agad.store import StudyReader, StudyStore, compact, table_files, verify

if TYPE_CHECKING:
    from tests.store.conftest import Fill, Mortal, Rows

Build = Callable[..., Any]

NOW = timedelta(0)
STUDY = "study"


class _Yesterday(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return super().now(tz) - timedelta(days=1)


def _read(objects: ObjectStore) -> Rows:
    reader = StudyReader(objects, STUDY)
    return reader.trials(), reader.epochs(), reader.scores()


def _all_keys(objects: ObjectStore, *kinds: str) -> list[str]:
    return [key for kind in kinds for key in objects.list(f"{STUDY}/{kind}/")]


def test_compacted_rows_are_read_field_by_field(objects: ObjectStore, fill: Fill) -> None:
    rows = fill(objects)
    compact(objects, STUDY, NOW)
    assert _all_keys(objects, "trials", "epochs", "scores") == []
    assert _read(objects) == rows


def test_what_is_put_after_a_compaction_is_read_beside_it(
    objects: ObjectStore, fill: Fill, joined: Build
) -> None:
    before = fill(objects, range(4))
    compact(objects, STUDY, NOW)
    after = fill(objects, range(4, 6))
    wanted = joined(before, after)
    assert _read(objects) == wanted
    assert compact(objects, STUDY, NOW).number == 2
    assert _read(objects) == wanted


def test_objects_stay_for_the_grace_period(tmp_path: Path, fill: Fill) -> None:
    objects = LocalObjects(tmp_path)
    rows = fill(objects)
    done = compact(objects, STUDY)
    assert (done.num_attempts, done.num_files, done.num_deleted) == (4, 3, 0)
    assert len(_all_keys(objects, "trials", "epochs", "scores")) == 9
    assert _read(objects) == rows
    fill(objects, range(4, 5))
    assert compact(objects, STUDY).num_deleted == 0
    assert len(_all_keys(objects, "compact")) == 6
    assert compact(objects, STUDY, NOW).num_deleted == 3 + 9 + 2
    assert len(_all_keys(objects, "compact")) == 3


def test_the_grace_period_is_counted_from_the_manifest_that_covers(
    tmp_path: Path, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = LocalObjects(tmp_path)
    fill(objects, range(2))
    with monkeypatch.context() as earlier:
        earlier.setattr("agad.store.tables.compaction.datetime", _Yesterday)
        compact(objects, STUDY)
    rows = fill(objects, range(2, 3))
    done = compact(objects, STUDY)
    # What yesterday's manifest covers goes; its own files and the later trial's objects stay.
    assert done.num_deleted == 4
    assert len(_all_keys(objects, "trials")) == 1
    assert len(_all_keys(objects, "compact")) == 4
    assert len(_read(objects)[0]) == 3
    assert rows[0][0] in _read(objects)[0]


def test_claims_and_configurations_are_never_removed(
    objects: ObjectStore, fill: Fill, claim: Build
) -> None:
    store = StudyStore(objects, STUDY)
    store.open({"name": STUDY})
    store.put_claim(claim())
    fill(objects)
    compact(objects, STUDY, NOW)
    assert store.claims() == [claim()]
    assert store.config() == {"name": STUDY}


def test_a_late_retry_after_a_compaction_adds_nothing(
    objects: ObjectStore, fill: Fill, trial_row: Build, epoch_row: Build
) -> None:
    rows = fill(objects)
    compact(objects, STUDY, NOW)
    names = {"trial_key": rows[0][0].trial_key, "cell": rows[0][0].cell}
    StudyStore(objects, STUDY).put(trial_row(**names, val_auroc=1.0), [epoch_row(**names)])
    assert _read(objects) == rows
    done = compact(objects, STUDY, NOW)
    assert (done.num_attempts, done.number, done.num_deleted) == (0, 1, 2)
    assert _read(objects) == rows


def test_every_attempt_is_kept_and_the_preferred_one_read(
    objects: ObjectStore, trial_row: Build, epoch_row: Build
) -> None:
    store = StudyStore(objects, STUDY)
    for attempt, state in enumerate(["failed", "diverged"]):
        store.put(trial_row(attempt=attempt, state=state), [epoch_row(attempt=attempt)])
    compact(objects, STUDY, NOW)
    assert [row.attempt for row in store.trials()] == [1]
    assert [row.attempt for row in store.epochs()] == [1]
    store.put(trial_row(attempt=2, state="finished"), [epoch_row(attempt=2)])
    assert [row.attempt for row in store.epochs()] == [2]
    compact(objects, STUDY, NOW)
    assert [row.attempt for row in store.trials()] == [2]
    [uri] = table_files(objects, STUDY, "trials")
    with objects.open(uri.removeprefix(f"{objects.uri}/")) as file:
        assert pq.read_table(file)["attempt"].to_pylist() == [0, 1, 2]


def test_rows_without_their_trial_row_are_left_alone(
    tmp_path: Path, fill: Fill, trial_row: Build, epoch_row: Build, mortal: type[Mortal]
) -> None:
    objects = LocalObjects(tmp_path)
    rows = fill(objects)
    late = {"trial_key": "f" * 32}
    with pytest.raises(SystemExit, match="killed"):
        StudyStore(mortal(objects, 1), STUDY).put(trial_row(**late), [epoch_row(**late)])
    compact(objects, STUDY, NOW)
    assert _all_keys(objects, "epochs") == [f"{STUDY}/epochs/{'f' * 32}/0.parquet"]
    assert _read(objects) == rows
    StudyStore(objects, STUDY).put(trial_row(**late), [epoch_row(**late)])
    assert epoch_row(**late) in _read(objects)[1]


def test_files_are_sorted_checked_and_described(tmp_path: Path, fill: Fill) -> None:
    objects = LocalObjects(tmp_path)
    fill(objects)
    compact(objects, STUDY, NOW)
    [path] = table_files(objects, STUDY, "epochs")
    file = pq.ParquetFile(path)
    places = file.read(columns=["cell", "phase", "trial_key", "epoch"]).to_pylist()
    assert len(places) == 10
    assert [tuple(row.values()) for row in places] == sorted(
        (tuple(row.values()) for row in places), key=lambda row: (row[0], row[1] != "search", *row)
    )
    chunk = file.metadata.row_group(0).column(1)
    assert (chunk.compression, chunk.statistics.min, chunk.statistics.max) == (
        "ZSTD",
        "cell 0",
        "cell 1",
    )
    meaning = file.schema_arrow.field("val_auroc").metadata[b"description"].decode()
    assert meaning == "Validation AUROC after this epoch, in [0, 1]; None where there is none."


def test_large_tables_are_cut_into_row_groups_and_files(
    tmp_path: Path, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agad.store.tables.merge._GROUP_ROWS", 4)
    monkeypatch.setattr("agad.store.tables.merge._MAX_FILE_BYTES", 1)
    monkeypatch.setattr("agad.store.tables.compaction._BATCH_ATTEMPTS", 1)
    objects = LocalObjects(tmp_path)
    rows = fill(objects)
    compact(objects, STUDY, NOW)
    files = table_files(objects, STUDY, "epochs")
    assert [pq.read_metadata(path).num_rows for path in files] == [4, 4, 2]
    assert _read(objects) == rows
    assert not verify(objects, STUDY).faults
    later = fill(objects, range(4, 6))
    compact(objects, STUDY, NOW)
    assert len(_read(objects)[1]) == len(rows[1]) + len(later[1])


def test_parameters_of_several_types_become_one_column(tmp_path: Path, trial_row: Build) -> None:
    objects = LocalObjects(tmp_path)
    store = StudyStore(objects, STUDY)
    values = [{"a": 1, "b": 1, "c": True}, {"a": 0.5, "b": "x", "c": False}, {}]
    for number, params in enumerate(values):
        store.put(trial_row(number=number, trial_key=str(number), params=json.dumps(params)), [])
    compact(objects, STUDY, NOW)
    [path] = table_files(objects, STUDY, "trials")
    found = pq.read_table(path, columns=["param_a", "param_b", "param_c"]).to_pydict()
    assert found == {
        "param_a": [1.0, 0.5, None],
        "param_b": ["1", "x", None],
        "param_c": [True, False, None],
    }


def test_an_empty_study_has_no_manifest(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path)
    done = compact(objects, STUDY)
    assert (done.number, done.num_files, objects.list(f"{STUDY}/")) == (0, 0, [])


def test_nothing_new_writes_nothing(tmp_path: Path, fill: Fill) -> None:
    objects = LocalObjects(tmp_path)
    fill(objects)
    compact(objects, STUDY, NOW)
    before = objects.list("")
    assert compact(objects, STUDY, NOW).num_attempts == 0
    assert objects.list("") == before


def test_a_negative_grace_period_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"grace is -1 minutes, but must be at least 0"):
        compact(LocalObjects(tmp_path), STUDY, timedelta(minutes=-1))


@pytest.mark.parametrize("study", ["..", "a/b", ".a", ""])
def test_a_hostile_study_name_is_refused(tmp_path: Path, study: str) -> None:
    with pytest.raises(ConfigError, match=r"study.name is .*, but must hold only letters"):
        compact(LocalObjects(tmp_path), study)


def test_a_damaged_object_stops_a_compaction_that_removes_nothing(
    tmp_path: Path, fill: Fill
) -> None:
    objects = LocalObjects(tmp_path)
    fill(objects)
    path = tmp_path / objects.list(f"{STUDY}/epochs/")[0]
    data = path.read_bytes()
    path.write_bytes(data[:-20])
    before = [key for key in objects.list(f"{STUDY}/") if "/compact/" not in key]
    with pytest.raises(StoreError, match=r"epochs/\S+ cannot be read as a table of EpochRow"):
        compact(objects, STUDY, NOW)
    assert [key for key in objects.list(f"{STUDY}/") if "/compact/" not in key] == before
    path.write_bytes(data)
    compact(objects, STUDY, NOW)
    assert not verify(objects, STUDY).faults


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"version": 2}', r"has version 2, but this agad reads up to 1; upgrade agad"),
        ("{", "is no manifest"),
        ("[]", "is no manifest"),
        ('{"version": 1, "number": 1}', "is no manifest"),
    ],
)
def test_a_damaged_manifest_is_one_line(
    tmp_path: Path, fill: Fill, text: str, message: str
) -> None:
    objects = LocalObjects(tmp_path)
    fill(objects)
    objects.put_if_absent(f"{STUDY}/manifests/1.json", text.encode())
    with pytest.raises(StoreError, match=rf"^\S+study/manifests/1\.json {message}[^\n]*$"):
        StudyReader(objects, STUDY).trials()
    with pytest.raises(StoreError, match=message):
        compact(objects, STUDY, NOW)


class _Replacing(LocalObjects):
    """A store whose puts replace what is there."""

    def put_if_absent(self, key: str, data: bytes) -> bool:
        self.delete(key)
        return super().put_if_absent(key, data)


def test_a_store_that_was_copied_to_where_puts_replace_is_not_compacted(
    tmp_path: Path, fill: Fill
) -> None:
    first = LocalObjects(tmp_path / "first")
    fill(first)
    compact(first, STUDY)
    shutil.copytree(tmp_path / "first", tmp_path / "copy")
    with pytest.raises(StoreError, match=r"copy replaced an object .* condition"):
        compact(_Replacing(tmp_path / "copy"), STUDY, NOW)
    assert LocalObjects(tmp_path / "copy").list(f"{STUDY}/") == first.list(f"{STUDY}/")


def test_a_manifest_that_names_anothers_object_is_refused(tmp_path: Path, fill: Fill) -> None:
    objects = LocalObjects(tmp_path)
    fill(objects)
    compact(objects, STUDY, NOW)
    path = tmp_path / f"{STUDY}/manifests/1.json"
    values = json.loads(path.read_text())
    values["files"][0]["key"] = "other/trials/abc/0.parquet"
    path.write_text(json.dumps(values))
    with pytest.raises(StoreError, match=r"is no manifest \(.*other/trials/abc"):
        StudyReader(objects, STUDY).trials()


@pytest.mark.parametrize("table", ["trials", "epochs", "scores"])
@pytest.mark.parametrize("is_compacted", [False, True])
def test_columns_of_a_newer_version_are_not_merged_away(
    tmp_path: Path, fill: Fill, table: str, is_compacted: bool
) -> None:
    objects = LocalObjects(tmp_path)
    fill(objects)
    if is_compacted:
        compact(objects, STUDY, NOW)
        fill(objects, range(4, 5))
    folder = f"compact/{table}" if is_compacted else f"{table}/"
    path = tmp_path / objects.list(f"{STUDY}/{folder}")[0]
    newer = pq.read_table(path, partitioning=None)
    newer = newer.append_column("param_later", newer["attempt"])
    for name in ("later", "latest"):
        newer = newer.append_column(name, newer["attempt"])
    pq.write_table(newer, path)
    before = objects.sizes("")
    with pytest.raises(StoreError) as raised:
        compact(objects, STUDY, NOW)
    wanted = f"{path} has columns later, latest of a newer agad; compact with that version."
    assert str(raised.value) == wanted
    assert objects.sizes("") == before
