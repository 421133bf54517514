"""The type of a searched parameter's column: that of its axis, in every file of a study."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.dataset as ds  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from agad.config import (
    Candidate,
    Choice,
    Distribution,
    Fixed,
    FixedEpoch,
    Grid,
    IntUniform,
    LogUniform,
    Search,
    Study,
    Uniform,
    When,
)
from agad.detectors import Agad, DeepSvdd
from agad.objects import LocalObjects
from agad.store import StudyStore, compact, read_table
from agad.store.tables.params import param_types

Build = Callable[..., Any]

_STUDY = Study(
    name="study",
    cells=Grid(dataset="digits", normal_class=0),
    selection=FixedEpoch(epochs=3),
)


def _stored(space: Mapping[str, Distribution]) -> dict[str, Any]:
    """Return a configuration as a store returns it; its parameters need not be a detector's."""
    config: dict[str, Any] = json.loads(json.dumps(_STUDY.as_json()))
    config["search"] = json.loads(json.dumps(Search(space=space).as_json()))
    return config


def _put_all(folder: Path, config: dict[str, Any], build: Build, *all_params: object) -> list[Path]:
    store = StudyStore(LocalObjects(folder), "study")
    store.open(config)
    for number, params in enumerate(all_params):
        key = f"{number:032x}"
        store.put(build(trial_key=key, number=number, params=json.dumps(params)), [])
    return sorted((folder / "study" / "trials").rglob("*.parquet"))


@pytest.mark.parametrize(
    ("distribution", "values", "wanted"),
    [
        pytest.param(Choice([10, 50.5]), (10, 50.5), pa.float64(), id="choice-of-mixed-numbers"),
        pytest.param(Choice([10, 50]), (10, 50), pa.int64(), id="choice-of-whole-numbers"),
        pytest.param(Choice([10, "all"]), (10, "all"), pa.string(), id="choice-of-mixed-kinds"),
        pytest.param(Choice([2, True]), (2, True), pa.string(), id="choice-of-number-and-truth"),
        pytest.param(Uniform(0, 10), (1, 0.5), pa.float64(), id="start-point-without-a-fraction"),
        pytest.param(LogUniform(1, 10), (1, 2.5), pa.float64(), id="log-start-point"),
        pytest.param(IntUniform(1, 10), (1, 2), pa.int64(), id="whole-numbers"),
    ],
)
def test_every_file_has_the_column_type_of_the_axis(
    tmp_path: Path,
    trial_row: Build,
    distribution: Distribution,
    values: tuple[object, object],
    wanted: pa.DataType,
) -> None:
    config = _stored({"size": distribution})
    files = _put_all(tmp_path, config, trial_row, *({"size": one} for one in values))
    assert [pq.read_schema(file).field("param_size").type for file in files] == [wanted] * 2
    both = ds.dataset([str(file) for file in files]).to_table(columns=["param_size"])
    shown = list(values)
    if wanted == pa.string():
        shown = [one if isinstance(one, str) else json.dumps(one) for one in values]
    assert both["param_size"].to_pylist() == shown


def test_a_parameter_of_a_branch_has_its_column_in_every_file(
    tmp_path: Path, trial_row: Build
) -> None:
    space: dict[str, Distribution] = {
        "kind": Choice(["naive", "unet"]),
        "px": When("kind", {"naive": Choice([1, 2])}),
        "width": When("kind", {"naive": Fixed(4), "unet": Uniform(0.5, 9)}),
    }
    files = _put_all(
        tmp_path,
        _stored(space),
        trial_row,
        {"kind": "naive", "px": 2, "width": 4},
        {"kind": "unet", "width": 0.5},
    )
    schemas = [pq.read_schema(file) for file in files]
    assert schemas[0] == schemas[1]
    assert schemas[0].field("param_width").type == pa.float64()
    both = ds.dataset([str(file) for file in files]).to_table(columns=["param_px", "param_width"])
    assert both.to_pydict() == {"param_px": [2, None], "param_width": [4.0, 0.5]}


def test_the_candidates_of_a_study_share_the_columns() -> None:
    study = Study(
        name="study",
        cells=_STUDY.cells,
        detectors=[
            Candidate(Agad(), space={"lr": LogUniform(1e-4, 1e-2)}),
            Candidate(DeepSvdd(), space={"lr": Choice([1, 2]), "batch_size": Choice([64, 128])}),
        ],
    )
    config = json.loads(json.dumps(study.as_json()))
    assert param_types(config) == {"param_batch_size": pa.int64(), "param_lr": pa.float64()}


def test_a_study_that_searches_nothing_has_no_column() -> None:
    assert param_types(_STUDY.as_json()) == {}


def test_a_distribution_of_a_newer_version_leaves_the_types_to_the_values(
    tmp_path: Path, trial_row: Build
) -> None:
    config = _stored({"size": Choice([1, 2])})
    config["search"]["space"]["size"]["distribution"] = "Newer"
    assert param_types(config) == {}
    (file,) = _put_all(tmp_path, config, trial_row, {"size": 1})
    assert pq.read_schema(file).field("param_size").type == pa.int64()


@pytest.mark.parametrize("is_compacted", [False, True])
def test_old_files_of_several_types_read_beside_new_ones(
    tmp_path: Path, trial_row: Build, is_compacted: bool
) -> None:
    objects = LocalObjects(tmp_path)
    old = StudyStore(objects, "study")  # Never opened, so the values alone decide, as once.
    for number, value in enumerate((10, 50.5)):
        row = trial_row(
            trial_key=f"{number:032x}", number=number, params=json.dumps({"size": value})
        )
        old.put(row, [])
    new = StudyStore(objects, "study")
    new.open(_stored({"size": Choice([10, 50.5])}))
    new.put(trial_row(trial_key="f" * 32, number=2, params='{"size": 10}'), [])
    if is_compacted:
        compact(objects, "study", timedelta(0))
    table = read_table(objects, ["study"], "trials")
    assert table.schema.field("param_size").type == pa.float64()
    assert table["param_size"].to_pylist() == [10.0, 50.5, 10.0]
    assert [row.params for row in new.trials()] == [
        '{"size": 10}',
        '{"size": 50.5}',
        '{"size": 10}',
    ]


def test_a_compacted_file_has_the_type_of_the_axis_too(tmp_path: Path, trial_row: Build) -> None:
    _put_all(tmp_path, _stored({"size": Choice([10, 50.5])}), trial_row, {"size": 10})
    compact(LocalObjects(tmp_path), "study", timedelta(0))
    (file,) = (tmp_path / "study" / "compact").rglob("*trials*.parquet")
    found = pq.read_table(io.BytesIO(file.read_bytes()), columns=["param_size"])
    assert found.schema.field("param_size").type == pa.float64()
    assert found["param_size"].to_pylist() == [10.0]
