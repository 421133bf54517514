"""The page that a report writes, once and while a study runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

from agad.objects import open_objects
from agad.records import TrialRow
from agad.store import StudyReader, StudyStore

if TYPE_CHECKING:
    from tests.cli.conftest import FillStore, RunAgad

ROOT = Path(__file__).parents[2]
Start: TypeAlias = Callable[..., subprocess.Popen[str]]
IS_WATCHED = "data-reload="


@pytest.fixture
def filled(fill_store: FillStore, tmp_path: Path) -> str:
    """A study of two cells, one of which has no row."""
    return fill_store(tmp_path / "filled")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start ``agad`` in a process of its own, which the test's end kills."""
    started = []

    def begin(*arguments: object) -> subprocess.Popen[str]:
        code = "from agad.cli import entry; entry()"
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def wait_until(check: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 60
    while not check():
        assert time.monotonic() < end_s, "a minute has passed"
        time.sleep(0.1)


def put_the_other_cell(store: str, make_row: Callable[..., TrialRow]) -> None:
    other = {"study": "tiny", "cell": "digits class=1 ratio=0", "normal_class": 1}
    rows = [make_row(**other, trial_key=f"b{number}", number=number) for number in range(2)]
    for seed in (1, 2):
        place = {"phase": "confirm", "seeds": (seed,), "trial_key": f"c{seed}"}
        rows.append(make_row(**other, **place, test_auroc=0.777, test_average_precision=0.7))
    kept = StudyStore(open_objects(store), "tiny")
    for row in rows:
        kept.put(row, [])


def test_a_report_writes_a_page_beside_what_it_prints(
    run_agad: RunAgad, filled: str, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"

    ended = run_agad("report", filled, "--html", path, "--published", "--price-per-gpu-hour", "2")

    assert (ended.code, ended.err) == (0, "")
    assert "0.820" in ended.out
    text = path.read_text()
    assert '<h2 id="s0-title">Study tiny</h2>' in text
    assert "0.820" in text
    assert 'id="s0-auroc-by-ratio"' in text
    assert "Published values, not run here" in text
    assert "Cost of the GPU time" in text
    assert IS_WATCHED not in text


def test_a_page_of_a_comparison_is_written_too(
    run_agad: RunAgad, filled: str, fill_store: FillStore, tmp_path: Path
) -> None:
    fill_store(filled, "other", (0.7, 0.72))
    path = tmp_path / "report.html"
    arguments = ("--study", "tiny", "--against", "other", "--html", path)
    assert run_agad("report", filled, *arguments).code == 0
    assert "tiny (first) against other (second)" in path.read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--watch"], "--watch is given, but there is no page to write anew"),
        (["--html", "x.html", "--watch", "0.5"], "--watch is 0.5 s, but must be 1 or more"),
        (["--html", "x.html", "--watch", "nan"], "--watch is nan s, but must be 1 or more"),
        (
            ["--html", "x.html", "--watch", "1e12"],
            "--watch is 1e+12 s, but must be 1 or more, and at",
        ),
        (["--html", "x.html", "--watch", "--study", "tiny", "--against", "o"], "with a comparison"),
        (["--html", "."], "cannot be written, since it is a folder"),
        (["--html", "nowhere/x.html"], "its folder does not exist"),
    ],
)
def test_a_page_that_cannot_be_is_refused_with_one_line(
    run_agad: RunAgad, filled: str, arguments: list[str], words: str
) -> None:
    ended = run_agad("report", filled, *arguments)
    assert ended.code == 2
    assert words in ended.err
    assert ended.err.count("\n") == 1
    assert ended.out == ""


def test_watching_a_study_that_has_ended_writes_its_page_and_ends(
    run_agad: RunAgad, filled: str, make_row: Callable[..., TrialRow], tmp_path: Path
) -> None:
    put_the_other_cell(filled, make_row)
    path = tmp_path / "report.html"

    ended = run_agad("report", filled, "--html", path, "--watch")

    assert (ended.code, ended.err) == (0, "")
    assert IS_WATCHED not in path.read_text()


def test_a_watched_page_follows_the_rows_until_the_study_has_ended(
    start: Start, filled: str, make_row: Callable[..., TrialRow], tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    watching = start("report", filled, "--html", path, "--watch", "1")
    wait_until(path.exists)
    first = path.read_text()
    assert f'{IS_WATCHED}"1"' in first
    assert "0.777" not in first

    put_the_other_cell(filled, make_row)

    out, err = watching.communicate(timeout=120)
    assert (watching.returncode, err) == (0, "")
    assert "2 of 4 search trials, 1 of 2 cells confirmed" in out
    assert "Study tiny" in out
    assert "0.777" in path.read_text()
    assert IS_WATCHED not in path.read_text()


def test_a_page_is_written_anew_only_when_rows_have_come(
    start: Start, filled: str, make_row: Callable[..., TrialRow], tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    start("report", filled, "--html", path, "--watch", "1")
    wait_until(path.exists)
    first = path.stat().st_mtime_ns
    time.sleep(2.5)
    assert path.stat().st_mtime_ns == first

    row = make_row(study="tiny", trial_key="new", number=7, state="diverged")
    StudyStore(open_objects(filled), "tiny").put(row, [])

    wait_until(lambda: path.stat().st_mtime_ns != first)


def test_ctrl_c_leaves_a_page_that_does_not_load_itself_anew(
    start: Start, filled: str, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    watching = start("report", filled, "--html", path, "--watch", "1")
    wait_until(path.exists)

    watching.send_signal(signal.SIGINT)

    watching.communicate(timeout=60)
    assert watching.returncode == 130
    assert "0.820" in path.read_text()
    assert IS_WATCHED not in path.read_text()


def test_a_stamp_differs_when_a_row_has_come_and_only_then(
    filled: str, make_row: Callable[..., TrialRow]
) -> None:
    reader = StudyReader(open_objects(filled), "tiny")
    before = reader.stamp()
    assert reader.stamp() == before
    put_the_other_cell(filled, make_row)
    assert reader.stamp() != before


def test_a_terminal_report_is_made_without_what_trains_searches_and_draws(filled: str) -> None:
    code = (
        "import sys; from agad.cli import entry\n"
        "try: entry()\n"
        "finally: print('heavy:', sorted({'torch', 'ray', 'optuna', 'altair', 'vl_convert', "
        "'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "report", filled],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert "0.820" in done.stdout
    assert done.stdout.splitlines()[-1] == "heavy: []"
