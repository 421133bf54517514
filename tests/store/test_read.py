"""`agad.read`: typed tables, one attempt a trial, and no more bytes than are asked for."""

from __future__ import annotations

import importlib.util
import json
import random
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa  # type: ignore[import-untyped]
import pytest

import agad
from agad.errors import ConfigError
from agad.objects import LocalObjects, ObjectStore
from agad.store import StudyStore, compact, read_table

if TYPE_CHECKING:
    from tests.store.conftest import Counting, Fill

Build = Callable[..., Any]

NOW = timedelta(0)
STUDY = "study"


@pytest.fixture
def filled(objects: ObjectStore, fill: Fill) -> ObjectStore:
    """Return a store with a configuration and compacted rows, and one trial put later."""
    StudyStore(objects, STUDY).open({"name": STUDY})
    fill(objects)
    compact(objects, STUDY, NOW)
    fill(objects, range(4, 5))
    return objects


def test_read_returns_every_trial_with_its_types(filled: ObjectStore) -> None:
    table = agad.read(filled.uri)
    assert table["number"].to_pylist() == [0, 2, 4, 1, 3]
    assert table.schema.field("started_at").type == pa.timestamp("us", "UTC")
    assert table.schema.field("param_lr").type == pa.float64()
    assert table.schema.field("param_depth").type == pa.int64()
    assert table["param_lr"].to_pylist() == [0.0, 1.0, 2.0, 0.5, 1.5]
    assert b"Validation AUROC" in table.schema.field("val_auroc").metadata[b"description"]


@pytest.mark.parametrize(("table", "count"), [("epochs", 1 + 3 + 5 + 2 + 4), ("scores", 3)])
def test_read_returns_the_other_tables(filled: ObjectStore, table: str, count: int) -> None:
    assert agad.read(filled.uri, table).num_rows == count


def test_read_returns_only_these_columns_and_cells(filled: ObjectStore) -> None:
    table = agad.read(filled.uri, cells=["cell 0"], columns=["param_kind", "cell", "number"])
    assert table.to_pydict() == {
        "param_kind": ["a", "a", "a"],
        "cell": ["cell 0"] * 3,
        "number": [0, 2, 4],
    }
    epochs = agad.read(filled.uri, "epochs", cells=["cell 1"], columns=["epoch"])
    assert epochs.to_pydict() == {"epoch": [0, 1, 0, 1, 2, 3]}
    assert agad.read(filled.uri, "epochs", cells=[]).num_rows == 0


def test_epochs_follow_the_attempt_that_counts(
    tmp_path: Path, trial_row: Build, epoch_row: Build
) -> None:
    store = StudyStore(LocalObjects(tmp_path), STUDY)
    store.open({"name": STUDY})
    for attempt, state in enumerate(["failed", "finished"]):
        store.put(trial_row(attempt=attempt, state=state), [epoch_row(attempt=attempt)])
    table = agad.read(str(tmp_path), "epochs", columns=["attempt"])
    assert table["attempt"].to_pylist() == [1]


def test_read_of_several_studies_joins_them_in_order(tmp_path: Path, trial_row: Build) -> None:
    objects = LocalObjects(tmp_path)
    for name, params in (("b", {"x": 0.5}), ("a", {"x": 1, "y": "z"})):
        store = StudyStore(objects, name)
        store.open({"name": name})
        store.put(trial_row(study=name, params=json.dumps(params)), [])
        compact(objects, name, NOW)
    table = agad.read(str(tmp_path), columns=["study", "param_x", "param_y"])
    assert table.to_pydict() == {"study": ["a", "b"], "param_x": [1.0, 0.5], "param_y": ["z", None]}
    assert agad.read(str(tmp_path), study="b")["study"].to_pylist() == ["b"]


def test_read_as_pandas_keeps_the_types(filled: ObjectStore) -> None:
    frame = agad.read(filled.uri, columns=["cell", "param_lr"], as_="pandas")
    assert frame["param_lr"].dtype == "float64"
    assert list(frame.groupby("cell").size()) == [3, 2]


def test_read_takes_the_default_store(
    tmp_path: Path, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGAD_STORE", str(tmp_path))
    StudyStore(LocalObjects(tmp_path), STUDY).open({"name": STUDY})
    fill(LocalObjects(tmp_path), range(1))
    assert agad.read().num_rows == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"table": "claims"}, r"table is 'claims', but must be one of: trials, epochs, scores"),
        ({"as_": "csv"}, r"as_ is 'csv', but must be one of: arrow, pandas, polars"),
        ({"study": "../x"}, r"study is '../x', but .* holds: study"),
        ({"columns": ["auroc"]}, r"columns holds 'auroc', but the table of trials has: study, "),
        ({"columns": ["param_x"]}, r"none of these trials searched a parameter 'x'"),
        ({"columns": "cell"}, r"columns is 'cell', but must be a list"),
        ({"cells": "cell 0"}, r"cells is 'cell 0', but must be a list"),
        ({"cells": [0]}, r"cells is \[0\], but must be a list of labels"),
        ({"cells": 3}, r"cells is 3, but must be a list of labels"),
        ({"table": "epochs", "columns": ["param_lr"]}, r"columns holds 'param_lr', but the table"),
    ],
)
def test_read_refuses_what_it_cannot_take(
    tmp_path: Path, fill: Fill, arguments: dict[str, Any], message: str
) -> None:
    objects = LocalObjects(tmp_path)
    StudyStore(objects, STUDY).open({"name": STUDY})
    fill(objects, range(1))
    with pytest.raises(ConfigError, match=message):
        agad.read(str(tmp_path), **arguments)


def test_read_takes_a_path(tmp_path: Path, fill: Fill) -> None:
    StudyStore(LocalObjects(tmp_path), STUDY).open({"name": STUDY})
    fill(LocalObjects(tmp_path), range(1))
    assert agad.read(tmp_path).num_rows == 1


@pytest.mark.parametrize("arguments", [{}, {"study": STUDY}], ids=["all", "one"])
def test_read_of_a_store_without_studies_says_so(tmp_path: Path, arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"^store {tmp_path} holds no study; run one with"):
        agad.read(tmp_path, **arguments)


def test_read_of_an_empty_name_is_not_the_default_store() -> None:
    with pytest.raises(ConfigError, match="store is '', but must be a folder"):
        agad.read("")


@pytest.mark.skipif(importlib.util.find_spec("polars") is not None, reason="polars is installed")
def test_read_says_what_to_do_without_polars(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="polars is not installed; run pip install polars"):
        agad.read(str(tmp_path), as_="polars")


def test_read_fetches_only_the_columns_and_row_groups_of_the_cells(
    tmp_path: Path,
    trial_row: Build,
    epoch_row: Build,
    counting: type[Counting],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agad.store.tables.merge._GROUP_ROWS", 10_000)
    objects = LocalObjects(tmp_path)
    store = StudyStore(objects, STUDY)
    rng = random.Random(0)
    for number in range(4):
        names = {"cell": f"cell {number}", "trial_key": f"{number:032x}"}
        epochs = [
            epoch_row(**names, epoch=epoch, val_auroc=rng.random(), losses={"con": rng.random()})
            for epoch in range(10_000)
        ]
        store.put(trial_row(**names, number=number), epochs)
    compact(objects, STUDY, NOW)

    def bytes_read(**arguments: Any) -> int:  # noqa: ANN401
        counted = counting(objects)
        assert read_table(counted, [STUDY], "epochs", **arguments).num_rows > 0
        return counted.num_bytes

    everything = bytes_read()
    # What does not depend on the rows: the manifest, the trials, the footer.
    fixed = bytes_read(cells=["cell 3"], columns=["epoch"])
    assert fixed < everything / 5
    assert bytes_read(cells=["cell 3"]) < fixed + everything / 4
    assert bytes_read(columns=["val_auroc"]) < fixed + everything / 2


def test_importing_agad_does_not_import_pyarrow() -> None:
    code = "import sys, agad; agad.read; print('pyarrow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
