"""The report of a store that rows were put into by hand, and where a store is by default."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

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


def test_a_report_imports_neither_torch_nor_ray(filled: str) -> None:
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
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0
    assert "Study tiny" in done.stdout
    assert "heavy: []" in done.stdout
