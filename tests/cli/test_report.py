"""The report of a store that rows were put into by hand, and where a store is by default."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
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
    lr = {"distribution": "LogUniform", "low": 1e-4, "high": 1e-2}
    config = {
        "name": "old",
        "cells": {"dataset": ["digits"], "normal_class": [0], "anomaly_ratio": [0], "settings": {}},
        "search": {"space": {"lr": lr}, "trials_per_cell": 4},
        "confirm": {"seeds": 3},
    }
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


def test_a_report_prints_and_writes_intervals(
    run_agad: RunAgad, filled: str, tmp_path: Path
) -> None:
    ended = run_agad("report", filled, "--csv", tmp_path / "a.csv", "--md", tmp_path / "a.md")
    # Two seeds, .81 and .83: the error is .01 and Student's quantile 12.7062.
    assert "0.693-0.947" in ended.out
    assert "0.693-0.947" in (tmp_path / "a.md").read_text()
    with (tmp_path / "a.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    assert float(row["test_auroc_low"]) == pytest.approx(0.82 - 0.127062, abs=1e-6)
    assert float(row["test_auroc_high"]) == pytest.approx(0.82 + 0.127062, abs=1e-6)


def test_a_report_writes_the_means_with_their_intervals(
    run_agad: RunAgad, filled: str, tmp_path: Path
) -> None:
    path = tmp_path / "means.csv"
    assert run_agad("report", filled, "--means-csv", path).code == 0
    with path.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["dataset"], row["anomaly_ratio"], row["interval_by"]) == ("digits", "0.0", "t")
    assert float(row["test_auroc_low"]) == pytest.approx(0.82 - 0.127062, abs=1e-6)
    assert (row["num_cells"], row["num_missing"], row["iqm_low"]) == ("1", "1", "")


def test_a_report_counts_the_planned_trials_that_never_ran(run_agad: RunAgad, filled: str) -> None:
    out = " ".join(run_agad("report", filled).out.split())
    assert "Search: 2 trials run, 2 planned and missing, 0 stopped early" in out


def test_an_attempt_that_another_replaced_is_in_no_time_and_the_report_says_so(
    run_agad: RunAgad, make_row: Callable[..., TrialRow], filled: str
) -> None:
    store = StudyStore(open_objects(filled), "tiny")
    for attempt, (state, hours) in enumerate([("failed", 7), ("finished", 5)]):
        store.put(
            make_row(
                study="tiny", trial_key="7" * 32, attempt=attempt, state=state, gpu_s=hours * 3600.0
            ),
            [],
        )

    out = " ".join(run_agad("report", filled).out.split())

    assert "5.0 h of GPU" in out
    assert "One attempt a trial counts:" in out


def test_a_price_gives_the_cost_of_the_gpu_time(
    run_agad: RunAgad, make_row: Callable[..., TrialRow], filled: str, tmp_path: Path
) -> None:
    StudyStore(open_objects(filled), "tiny").put(make_row(study="tiny", gpu_s=5400.0), [])
    ended = run_agad("report", filled, "--price-per-gpu-hour", 3, "--csv", tmp_path / "a.csv")
    assert "Cost: 4.50 for the GPU time" in ended.out
    with (tmp_path / "a.csv").open(newline="") as file:
        assert [float(row["cost"]) for row in csv.DictReader(file)] == [4.5, 0.0]


def test_a_price_an_hour_gives_the_cost_of_the_wall_time_without_a_gpu(
    run_agad: RunAgad, make_row: Callable[..., TrialRow], tmp_path: Path, fill_store: FillStore
) -> None:
    store = fill_store(tmp_path / "priced", test_aurocs=(), seconds=0.0)
    hour = timedelta(hours=1)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    # Two trials beside each other, a night, and another: 2.5 h of wall time, 3 h of work.
    for number, (first, last) in enumerate([(0, 1), (0.5, 1.5), (12, 13)]):
        row = make_row(
            study="tiny",
            number=number + 2,
            trial_key=f"{number + 100:032x}",
            seconds=3600.0,
            started_at=start + first * hour,
            ended_at=start + last * hour,
        )
        StudyStore(open_objects(store), "tiny").put(row, [])
    out = run_agad("report", store, "--price-per-hour", 2, "--csv", tmp_path / "a.csv").out
    assert "Wall time with a trial at work: 2.5 h." in out
    assert "Cost: 5.00 for 2.5 h of wall time" in out
    with (tmp_path / "a.csv").open(newline="") as file:
        assert sum(float(row["cost"]) for row in csv.DictReader(file)) == pytest.approx(5.0)


def test_a_price_by_the_gpu_hour_says_that_no_trial_took_a_gpu(
    run_agad: RunAgad, filled: str
) -> None:
    out = run_agad("report", filled, "--price-per-gpu-hour", 3).out
    assert "Cost: none by the GPU-hour, since no trial took a GPU; --price-per-hour prices" in out


@pytest.mark.parametrize("price", ["-1", "nan", "inf"])
def test_a_price_that_is_none_is_refused(run_agad: RunAgad, filled: str, price: str) -> None:
    ended = run_agad("report", filled, f"--price-per-gpu-hour={price}")
    assert (ended.code, "must be a number from 0 up" in ended.err) == (2, True)


def test_published_values_stand_under_a_heading_of_their_own(
    run_agad: RunAgad, filled: str
) -> None:
    assert "not run here" not in run_agad("report", filled).out
    out = run_agad("report", filled, "--published").out
    assert "Published values, not run here" in out
    assert "Nothing published is known here of: digits." in out


@pytest.mark.parametrize("flag", ["--md", "--csv", "--means-csv", "--latex"])
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_read(
    run_agad: RunAgad, filled: str, tmp_path: Path, flag: str
) -> None:
    ended = run_agad("report", filled, flag, tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert "cannot be written, since it is a folder" in ended.err


def test_two_studies_of_a_store_are_compared(
    run_agad: RunAgad, fill_store: FillStore, filled: str, tmp_path: Path
) -> None:
    fill_store(filled, study="another", test_aurocs=(0.5, 0.6))
    command = ("report", filled, "--study", "tiny", "--against", "another")
    ended = run_agad(*command, "--csv", tmp_path / "pairs.csv", "--md", tmp_path / "pairs.md")
    assert (ended.code, ended.err) == (0, "")
    assert "tiny (first) against another (second)" in ended.out
    assert "+0.270" in ended.out
    assert "+0.270" in (tmp_path / "pairs.md").read_text()
    with (tmp_path / "pairs.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert float(first["difference"]) == pytest.approx(0.27)
    assert (first["interval_by"], second["outcome"]) == ("paired t", "not confirmed")


@pytest.mark.parametrize(
    ("name", "flag"),
    [("tiny", []), ("another", []), ("tiny", ["--against-store"])],
    ids=["same name", "only study", "flag"],
)
def test_the_studies_of_two_stores_are_compared(
    run_agad: RunAgad, fill_store: FillStore, tmp_path: Path, name: str, flag: list[str]
) -> None:
    ours = fill_store(tmp_path / "ours")
    other = fill_store(tmp_path / "other", study=name, test_aurocs=(0.5, 0.6))
    ended = run_agad("report", ours, *flag, other)
    assert (ended.code, ended.err) == (0, "")
    assert "+0.270" in ended.out


def test_of_several_studies_in_another_store_the_one_of_this_name_is_compared(
    run_agad: RunAgad, fill_store: FillStore, filled: str, tmp_path: Path
) -> None:
    other = fill_store(tmp_path / "other", test_aurocs=(0.5, 0.6))
    fill_store(other, study="another", test_aurocs=(0.1, 0.2))
    assert "+0.270" in run_agad("report", filled, other).out
    assert "+0.670" in run_agad("report", filled, other, "--against", "another").out


@pytest.mark.parametrize(
    ("now", "code"),
    [
        ((0.81, 0.83), 0),
        ((0.80, 0.84), 0),
        ((0.61, 0.632), 1),
        ((0.91, 0.932), 0),
        ((0.71, 0.73), 1),
        ((0.91, 0.93), 0),
        ((0.50,), 1),
        ((), 1),
    ],
    ids=["equal", "within", "fell", "rose", "fell alike", "rose alike", "one left", "gone"],
)
def test_a_check_fails_when_a_cell_falls_by_more_than_its_interval_or_loses_seeds(
    run_agad: RunAgad, fill_store: FillStore, tmp_path: Path, now: tuple[float, ...], code: int
) -> None:
    baseline = tmp_path / "baseline.csv"
    run_agad("report", fill_store(tmp_path / "before"), "--csv", baseline)
    current = fill_store(tmp_path / "now", test_aurocs=now)
    ended = run_agad("report", current, "--baseline", baseline, "--check")
    assert (ended.code, ended.err) == (code, "")
    assert ("fell: digits class=0 ratio=0." in " ".join(ended.out.split())) == bool(code)
    assert run_agad("report", current, "--baseline", baseline).code == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--check"], "nothing to check against"),
        (["--against", "tiny"], "compared with itself"),
        (["--against", "none"], "--against is 'none', but"),
        (["--baseline", "absent.csv"], "absent.csv cannot be read"),
        (["--baseline", "absent.csv", "--against-store", "x"], "leave one out"),
        (["x", "--baseline", "absent.csv"], "leave one out"),
        (["x", "--against-store", "y"], "leave one out"),
        (["--baseline", "absent.csv", "--means-csv", "x"], "leave one of them out"),
    ],
    ids=[
        "check alone",
        "itself",
        "unknown",
        "no file",
        "both",
        "both stores",
        "two others",
        "means",
    ],
)
def test_a_comparison_that_cannot_be_is_refused(
    run_agad: RunAgad, filled: str, flags: list[str], message: str
) -> None:
    ended = run_agad("report", filled, *flags)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
    assert ended.err.count("\n") == 1


def test_one_study_is_compared_at_a_time(
    run_agad: RunAgad, fill_store: FillStore, filled: str
) -> None:
    fill_store(filled, study="another")
    ended = run_agad("report", filled, "--against", "another")
    assert (ended.code, "name it with --study: another, tiny" in ended.err) == (2, True)


def test_a_check_that_can_tell_nothing_is_refused(
    run_agad: RunAgad, fill_store: FillStore, tmp_path: Path
) -> None:
    single = fill_store(tmp_path / "single", test_aurocs=(0.2,))
    other = fill_store(tmp_path / "other", test_aurocs=(0.8,))
    ended = run_agad("report", single, "--against-store", other, "--check")
    assert (ended.code, "confirm with more seeds" in ended.err) == (2, True)


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
