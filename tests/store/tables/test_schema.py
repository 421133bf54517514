"""Rows to Parquet and back, and files that are none of ours."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from agad.config import Grid
from agad.errors import StoreError
from agad.objects import LocalObjects
from agad.records import EpochRow, TrialRow
from agad.store import (
    StudyStore,
    arrow_schema,
    columns_of_tables,
    compact,
    read_table,
    rows_from_parquet,
    rows_to_parquet,
)
from agad.store.tables.params import param_columns

Build = Callable[..., Any]


def _file(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def test_the_schema_has_one_column_a_field_in_the_same_order() -> None:
    names = [field.name for field in dataclasses.fields(TrialRow)]
    assert arrow_schema(TrialRow).names == names


@pytest.mark.parametrize(
    ("row_type", "name", "column"),
    [
        (TrialRow, "study", pa.field("study", pa.string(), False)),
        (TrialRow, "attempt", pa.field("attempt", pa.int64(), False)),
        (TrialRow, "seconds", pa.field("seconds", pa.float64(), False)),
        (TrialRow, "val_auroc", pa.field("val_auroc", pa.float64(), True)),
        (TrialRow, "protocol", pa.field("protocol", pa.string(), False)),
        (TrialRow, "normal_class", pa.field("normal_class", pa.int64(), True)),
        (TrialRow, "anomalous_class", pa.field("anomalous_class", pa.int64(), True)),
        (TrialRow, "pollution_ratio", pa.field("pollution_ratio", pa.float64(), False)),
        (TrialRow, "labelled_classes", pa.field("labelled_classes", pa.string(), False)),
        (TrialRow, "num_fit_hidden", pa.field("num_fit_hidden", pa.int64(), False)),
        (TrialRow, "is_dirty", pa.field("is_dirty", pa.bool_(), False)),
        (TrialRow, "started_at", pa.field("started_at", pa.timestamp("us", "UTC"), False)),
        (EpochRow, "losses", pa.field("losses", pa.map_(pa.string(), pa.float64()), False)),
    ],
)
def test_the_schema_follows_the_type_hint(row_type: Any, name: str, column: pa.Field) -> None:  # noqa: ANN401
    assert arrow_schema(row_type).field(name) == column


def test_a_file_says_its_schema_version(trial_row: Build) -> None:
    file = pq.ParquetFile(io.BytesIO(rows_to_parquet([trial_row()], TrialRow)))
    assert file.schema_arrow.metadata[b"agad_schema_version"] == b"1"


def test_the_same_rows_make_the_same_bytes(trial_row: Build) -> None:
    assert rows_to_parquet([trial_row()], TrialRow) == rows_to_parquet([trial_row()], TrialRow)


def test_a_text_that_is_not_utf8_is_kept_escaped(trial_row: Build) -> None:
    data = rows_to_parquet([trial_row(error="no file 'a\udc80'")], TrialRow)
    assert rows_from_parquet(data, TrialRow, "file")[0].error == "no file 'a\\udc80'"


def test_a_column_of_a_newer_version_is_ignored(trial_row: Build) -> None:
    table = pq.read_table(io.BytesIO(rows_to_parquet([trial_row()], TrialRow)))
    newer = table.append_column("later", pa.array([1]))
    assert rows_from_parquet(_file(newer), TrialRow, "file") == [trial_row()]


def test_a_missing_column_is_named(trial_row: Build) -> None:
    table = pq.read_table(io.BytesIO(rows_to_parquet([trial_row()], TrialRow)))
    with pytest.raises(StoreError, match=r"^s/x.parquet has no column gpu_s, but must be a table"):
        rows_from_parquet(_file(table.drop_columns(["gpu_s"])), TrialRow, "s/x.parquet")


def test_a_column_of_another_type_is_refused(trial_row: Build) -> None:
    table = pq.read_table(io.BytesIO(rows_to_parquet([trial_row()], TrialRow)))
    place = table.schema.get_field_index("number")
    foreign = table.set_column(place, "number", pa.array(["three"]))
    with pytest.raises(StoreError, match=r"^s/x.parquet cannot be read as a table of TrialRow: .*"):
        rows_from_parquet(_file(foreign), TrialRow, "s/x.parquet")


@pytest.mark.parametrize("state", ["empty", "truncated", "flipped", "foreign"])
def test_a_damaged_table_is_one_line_that_names_its_object(
    tmp_path: Path, trial_row: Build, state: str
) -> None:
    data = rows_to_parquet([trial_row()], TrialRow)
    middle = data.index(b"digits class=0")
    damaged = {
        "empty": b"",
        "truncated": data[:-100],
        "flipped": data[:middle] + b"D" + data[middle + 1 :],
        "foreign": b"<html>not found</html>",
    }[state]
    objects = LocalObjects(tmp_path)
    objects.put_if_absent("study/trials/abc/0.parquet", damaged)
    with pytest.raises(StoreError, match=r"^\S+study/trials/abc/0\.parquet cannot be [^\n]+\.$"):
        StudyStore(objects, "study").trials()


def test_a_table_under_another_trials_name_is_refused(tmp_path: Path, trial_row: Build) -> None:
    objects = LocalObjects(tmp_path)
    objects.put_if_absent("study/trials/abc/0.parquet", rows_to_parquet([trial_row()], TrialRow))
    with pytest.raises(StoreError, match=r"abc/0\.parquet holds the rows of another trial"):
        StudyStore(objects, "study").trials()


def test_a_trials_object_with_two_rows_is_refused(tmp_path: Path, trial_row: Build) -> None:
    rows = [trial_row(trial_key="abc"), trial_row(trial_key="abc")]
    objects = LocalObjects(tmp_path)
    objects.put_if_absent("study/trials/abc/0.parquet", rows_to_parquet(rows, TrialRow))
    with pytest.raises(StoreError, match=r"abc/0\.parquet holds 2 rows, but must hold one"):
        StudyStore(objects, "study").trials()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no JSON"),
        ('{"trial_key": "abc"', "is no JSON"),
        ("\x80", "is no JSON"),
        ("[]", "holds a list, but must hold a JSON object"),
        ("{}", r"is no claim \(KeyError\('trial_key'\)\)"),
        (json.dumps(dict.fromkeys(["trial_key", "attempt", "cell", "phase"])), "is no claim"),
    ],
)
def test_a_damaged_claim_is_one_line_that_names_its_object(
    tmp_path: Path, text: str, message: str
) -> None:
    objects = LocalObjects(tmp_path)
    objects.put_if_absent("study/claims/abc/0.json", text.encode("latin-1"))
    with pytest.raises(StoreError, match=rf"^\S+study/claims/abc/0\.json {message}[^\n]*\.$"):
        StudyStore(objects, "study").claims()


def test_names_that_are_none_of_ours_are_left_alone(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path)
    for key in (
        "trials/README.md",
        "trials/abc/note.txt",
        "trials/abc/01.parquet",
        "claims/a.json",
    ):
        objects.put_if_absent(f"study/{key}", b"not ours")
    store = StudyStore(objects, "study")
    assert (store.trials(), store.claims()) == ([], [])


FIRST_VERSION = Path(__file__).parents[1] / "data" / "first-version"
"""A store that the first version of this project wrote: one search trial, one confirmed."""


def test_every_column_says_what_it_means() -> None:
    columns = columns_of_tables()
    assert [one.column for one in columns if not one.description] == []
    by_name = {(one.table, one.column): one for one in columns}
    assert by_name["trials", "gpu_s"].description.startswith("GPU seconds: `seconds` x the share")
    assert by_name["epochs", "cell"].description == by_name["trials", "cell"].description
    assert by_name["scores", "image"].description.startswith("Place in the data set's test part")


def test_a_trial_has_a_typed_column_of_each_searched_parameter(trial_row: Build) -> None:
    params = {"lr": 2e-4, "depth": 3, "flag": True, "kind": "unet++", "none": None}
    data = rows_to_parquet([trial_row(params=json.dumps(params))], TrialRow)
    table = pq.read_table(io.BytesIO(data))
    types = {name: table.schema.field(f"param_{name}").type for name in params}
    assert types == {
        "lr": pa.float64(),
        "depth": pa.int64(),
        "flag": pa.bool_(),
        "kind": pa.string(),
        "none": pa.null(),
    }
    assert {name: table[f"param_{name}"][0].as_py() for name in params} == params
    assert rows_from_parquet(data, TrialRow, "file")[0].params == json.dumps(params)


_LARGE = 2**53 + 1
"""The lowest whole number above 0 that no double holds."""


@pytest.mark.parametrize("is_compacted", [False, True])
def test_a_whole_number_that_no_double_holds_is_read_beside_a_double(
    tmp_path: Path, trial_row: Build, is_compacted: bool
) -> None:
    objects = LocalObjects(tmp_path)
    store = StudyStore(objects, "study")
    for number, value in enumerate([_LARGE, 0.5]):
        params = json.dumps({"size": value})
        store.put(trial_row(trial_key=f"{number:032x}", number=number, params=params), [])
    if is_compacted:
        compact(objects, "study", timedelta(0))
    table = read_table(objects, ["study"], "trials", columns=["param_size", "params"])
    assert table.to_pydict() == {
        "param_size": [float(2**53), 0.5],
        "params": [json.dumps({"size": _LARGE}), '{"size": 0.5}'],
    }


def test_a_file_may_mix_doubles_and_whole_numbers_that_no_double_holds() -> None:
    column = param_columns([json.dumps({"size": one}) for one in (_LARGE, 0.5)])["param_size"]
    assert column.to_pylist() == [float(2**53), 0.5]


def test_a_row_keeps_its_development_classes_and_counts_its_instances(trial_row: Build) -> None:
    rows = [
        trial_row(development_classes=classes, normal_class=None, seeds=seeds)
        for classes, seeds in (((0, 5), (0, 1)), ((3,), (0,)), ((), (0, 1, 2)))
    ]
    found = rows_from_parquet(rows_to_parquet(rows, TrialRow), TrialRow, "s/x.parquet")
    assert found == rows
    assert [row.num_instances for row in found] == [4, 1, 3]


def test_a_store_of_the_first_version_is_read(tmp_path: Path) -> None:
    shutil.copytree(FIRST_VERSION, tmp_path / "store")
    objects = LocalObjects(tmp_path / "store")
    store = StudyStore(objects, "first")
    before = store.trials(), store.epochs()
    search, confirm = before[0]
    assert (search.protocol, search.anomalous_class, search.pollution_ratio) == (
        "one-class",
        None,
        0.0,
    )
    assert (search.labelled_classes, search.num_fit_hidden, search.num_val_hidden) == ("all", 0, 0)
    assert (search.precision, search.peak_memory_bytes) == ("float32", None)
    assert (search.development_classes, search.num_instances) == ((), 1)
    assert search.work_flop is None
    assert (confirm.normal_class, confirm.test_auroc, len(before[1])) == (0, 0.8, 4)
    assert len(Grid.from_json(store.config()["cells"]).all_cells) == 1
    compact(objects, "first", timedelta(0))
    assert (store.trials(), store.epochs()) == before
    table = read_table(objects, ["first"], "trials", columns=["param_weight_lat", "param_lr"])
    assert table.to_pydict() == {"param_weight_lat": [2, 2], "param_lr": [0.0005, 0.0005]}


def test_a_compacted_file_of_an_earlier_version_gets_the_defaults(
    tmp_path: Path, trial_row: Build
) -> None:
    objects = LocalObjects(tmp_path)
    store = StudyStore(objects, "study")
    store.put(trial_row(precision="bfloat16"), [])
    compact(objects, "study", timedelta(0))
    path = tmp_path / objects.list("study/compact/")[-1]
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["precision", "labelled_classes"]), path)
    assert store.trials() == [trial_row(precision="float32", labelled_classes="all")]
    found = read_table(objects, ["study"], "trials", columns=["precision"], cells=[_CELL])
    assert found["precision"].to_pylist() == ["float32"]
    pq.write_table(table.drop_columns(["gpu_s"]), path)
    with pytest.raises(StoreError, match=r"compact/trials-1-\S+ has no column gpu_s, but must"):
        store.trials()


_CELL = "digits class=0 ratio=0.05"


@pytest.mark.parametrize("is_compacted", [False, True])
def test_a_file_of_a_newer_version_asks_for_an_upgrade(
    tmp_path: Path, trial_row: Build, is_compacted: bool
) -> None:
    objects = LocalObjects(tmp_path)
    store = StudyStore(objects, "study")
    store.put(trial_row(), [])
    if is_compacted:
        compact(objects, "study", timedelta(0))
    path = tmp_path / objects.list("study/compact/" if is_compacted else "study/trials/")[-1]
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({"agad_schema_version": "2"}), path)
    with pytest.raises(
        StoreError, match=r"has schema version 2, but this agad reads up to 1; upgrade agad\.$"
    ):
        store.trials()
