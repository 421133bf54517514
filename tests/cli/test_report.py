"""The report of a store that rows were put into by hand, and where a store is by default."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agad.config import Grid, LogUniform, Search, Study
from agad.objects import open_objects
from agad.records import TrialRow
from agad.store import StudyStore

if TYPE_CHECKING:
    from tests.cli.conftest import FillStore, RunAgad

ROOT = Path(__file__).parents[2]


@pytest.fixture
def filled(fill_store: FillStore, tmp_path: Path) -> str:
    return fill_store(tmp_path / "filled")


def test_a_report_prints_the_mean_of_the_confirmed_seeds(run_agad: RunAgad, filled: str) -> None:
    ended = run_agad("report", filled)
    assert (ended.code, ended.err) == (0, "")
    assert "Study tiny" in ended.out
    assert "0.820" in ended.out


def test_a_report_names_a_planned_cell_without_rows(run_agad: RunAgad, filled: str) -> None:
    assert "no trial yet" in run_agad("report", filled).out


def test_a_report_of_a_store_that_holds_data_sets_alone_says_that_no_study_is_there(
    run_agad: RunAgad, tmp_path: Path
) -> None:
    assert run_agad("data", "import", "digits", "--store", tmp_path / "data").code == 0
    ended = run_agad("report", tmp_path / "data")
    assert (ended.code, "holds no study" in ended.err) == (2, True)


def test_a_report_of_an_earlier_versions_study_fills_in_the_axes_that_it_lacks(
    run_agad: RunAgad, tmp_path: Path
) -> None:
    earlier = {"dataset": ["digits"], "normal_class": [0], "anomaly_ratio": [0], "settings": {}}
    config = {"name": "old", "cells": earlier, "confirm": {"seeds": 3}}
    objects = open_objects(str(tmp_path / "old-store"))
    objects.put_if_absent("old/study.json", json.dumps(config).encode())
    ended = run_agad("report", tmp_path / "old-store")
    assert ended.code == 0
    assert "1 cell is planned" in ended.out


def test_a_report_of_a_configuration_without_its_cells_axes_says_so(
    run_agad: RunAgad, tmp_path: Path
) -> None:
    config = {"name": "old", "cells": {"dataset": ["digits"]}, "confirm": {"seeds": 3}}
    objects = open_objects(str(tmp_path / "old-store"))
    objects.put_if_absent("old/study.json", json.dumps(config).encode())
    ended = run_agad("report", tmp_path / "old-store")
    assert ended.code == 2
    assert "not one that this version wrote (it lacks 'normal_class')" in ended.err


def test_a_report_shows_a_class_by_the_name_that_the_study_gave(
    run_agad: RunAgad, make_row: Callable[..., TrialRow], tmp_path: Path
) -> None:
    store = StudyStore(open_objects(str(tmp_path / "named")), "named")
    study = Study(
        name="named",
        cells=Grid(dataset="photos", anomalous_class=["broken", "bent"]),
        search=Search(space={"lr": LogUniform(1e-4, 1e-2)}),
    )
    store.open(study.as_json())
    cell = study.cells.all_cells[0]
    place = {"study": "named", "cell": cell.label, "dataset": "photos", "phase": "confirm"}
    classes = {"protocol": "leave-one-out", "normal_class": None, "anomalous_class": 2}
    store.put(make_row(**place, **classes, test_auroc=0.75), [])
    out = " ".join(run_agad("report", tmp_path / "named").out.split())
    assert "broken 0 0.750 (n=1/3)" in out
    assert "bent 0 no trial yet" in out
    assert "Leave-one-out: the class named is the anomalous one" in out


def test_a_report_writes_markdown(run_agad: RunAgad, filled: str, tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    assert run_agad("report", filled, "--md", path).code == 0
    text = path.read_text()
    assert text.startswith("## Study tiny\n")
    assert "0.820" in text


def test_a_report_writes_a_csv_row_a_cell(run_agad: RunAgad, filled: str, tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    assert run_agad("report", filled, "--csv", path).code == 0
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["cell"] for row in rows] == ["digits class=0 ratio=0", "digits class=1 ratio=0"]
    assert [float(row["test_auroc"] or "nan") for row in rows[:1]] == [pytest.approx(0.82)]
    assert rows[1]["test_auroc"] == ""


def test_a_report_prints_what_it_writes_as_well(
    run_agad: RunAgad, filled: str, tmp_path: Path
) -> None:
    ended = run_agad("report", filled, "--md", tmp_path / "a.md", "--csv", tmp_path / "a.csv")
    assert "0.820" in ended.out


def test_a_report_replaces_the_one_before_and_leaves_nothing_else(
    run_agad: RunAgad, filled: str, tmp_path: Path
) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()
    (folder / "report.md").write_text("before")
    run_agad("report", filled, "--md", folder / "report.md")
    assert [path.name for path in folder.iterdir()] == ["report.md"]
    assert "before" not in (folder / "report.md").read_text()


def test_a_report_holds_every_study_of_a_store(
    run_agad: RunAgad, fill_store: FillStore, filled: str
) -> None:
    fill_store(filled, study="another", test_aurocs=(0.5, 0.6))
    out = run_agad("report", filled).out
    assert out.index("Study another") < out.index("Study tiny")


def test_a_report_of_one_study_leaves_the_others_out(
    run_agad: RunAgad, fill_store: FillStore, filled: str
) -> None:
    fill_store(filled, study="another", test_aurocs=(0.5, 0.6))
    out = run_agad("report", filled, "--study", "another").out
    assert "Study another" in out
    assert "Study tiny" not in out


def test_agad_store_is_the_default_store(
    run_agad: RunAgad, fill_store: FillStore, tmp_path: Path
) -> None:
    fill_store(tmp_path / "store")
    assert "Study tiny" in run_agad("report").out


def test_a_named_store_goes_before_agad_store(
    run_agad: RunAgad, fill_store: FillStore, filled: str, tmp_path: Path
) -> None:
    fill_store(tmp_path / "store", study="another")
    assert "Study another" not in run_agad("report", filled).out


def test_a_store_at_home_is_the_default_without_agad_store(
    run_agad: RunAgad, fill_store: FillStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AGAD_STORE")
    fill_store(tmp_path / "home" / ".agad" / "store")
    assert "Study tiny" in run_agad("report").out


def test_a_report_reads_s3(run_agad: RunAgad, fill_store: FillStore, s3_uri: str) -> None:
    assert "0.820" in run_agad("report", fill_store(s3_uri)).out


def test_a_report_imports_neither_torch_nor_ray(filled: str, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from agad.cli import entry\n"
        "try:\n"
        "    entry()\n"
        "finally:\n"
        "    print('heavy:', sorted({'torch', 'ray', 'optuna', 'sklearn'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "report", filled],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0
    assert "Study tiny" in done.stdout
    assert "heavy: []" in done.stdout
