"""What a command prints on a terminal, in a pipe, and on a stdout that is not UTF-8."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

import agad.cli.running
from agad.cli.running import running
from agad.records import StudyStatus
from tests.cli.heads import environment
from tests.cli.news import CELL

if TYPE_CHECKING:
    from tests.cli.conftest import FillStore, RunAgad

STATUS = StudyStatus(study="tiny", cells=(CELL,), elapsed_s=41.0, slots=2, most_running=2)


def agad_of(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "agad", *arguments],
        env=environment(folder, **variables),
        capture_output=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
    ids=["ASCII", "C locale", "Latin-1"],
)
def test_a_stdout_that_is_not_utf_8_shows_question_marks(
    variables: dict[str, str], fill_store: FillStore, tmp_path: Path
) -> None:
    store = fill_store(tmp_path / "store")
    ended = agad_of(tmp_path, "report", store, **variables)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert b"0.820 ? 0.014" in ended.stdout or "0.820 ± 0.014".encode("latin-1") in ended.stdout
    assert b"? Test AUROC by cell" in ended.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
@pytest.mark.parametrize("command", [("data", "list"), ("store", "schema", "--json")])
def test_an_output_that_takes_nothing_ends_in_one_line(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "agad", *command],
            env=environment(tmp_path),
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=120,
            check=False,
        )
    assert ended.stderr == b"agad: the output cannot be written (No space left on device).\n"
    assert ended.returncode == 2


def test_nothing_is_wrapped_or_cut_without_a_terminal_even_if_columns_are_named(
    run_agad: RunAgad, fill_store: FillStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "")
    store = fill_store(tmp_path / "store", "a-study-whose-name-is-longer-than-the-forty-columns")
    info = run_agad("store", "info", store).out.splitlines()
    assert info[0] == "Study a-study-whose-name-is-longer-than-the-forty-columns"
    headers = "table rows B a row compacted files bytes loose objects bytes"
    assert [line for line in info if " ".join(line.split()) == headers]
    (row,) = [line for line in run_agad("report", store).out.splitlines() if "lr=0.001" in line]
    assert "0.820 ± 0.014 (n=2)" in row
    schema = run_agad("store", "schema").out.splitlines()
    assert len([line for line in schema if line.split()[:1] == ["anomaly_ratio"]]) == 1
    assert max(map(len, schema)) > 150
    detectors = run_agad("detectors").out.splitlines()
    assert max(map(len, detectors)) > 100
    known = [
        line
        for line in run_agad("data", "list", "--store", store).out.splitlines()
        if "mnist" in line
    ]
    assert len(known) == 1


def test_a_forced_colour_makes_no_pipe_a_terminal(fill_store: FillStore, tmp_path: Path) -> None:
    store = fill_store(tmp_path / "store")
    ended = agad_of(tmp_path, "store", "info", store, FORCE_COLOR="1", COLUMNS="40")
    assert b"\x1b[1m" in ended.stdout
    assert b"compacted" in ended.stdout


def test_a_reader_that_ends_early_leaves_no_traceback(
    fill_store: FillStore, tmp_path: Path
) -> None:
    store = fill_store(tmp_path / "store")
    command = f"{sys.executable} -m agad store verify {store} | true; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(
        ["bash", "-c", command], env=environment(tmp_path), capture_output=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (1, b"")


def test_the_steps_of_a_start_are_lines_with_their_seconds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with running(Console(file=io.StringIO())) as view:
        view.step("Importing Ray and torch")
        view.step("Starting Ray")
        view.status(StudyStatus(study="tiny", cells=(CELL,), elapsed_s=1.0, slots=2))
        view.status(STATUS)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Importing Ray and torch: 0.0 s"
    assert lines[1].startswith("4/12 search trials")
    assert lines[2] == "Starting Ray: 0.0 s"


def on_a_terminal() -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, force_terminal=True, width=100, height=30, color_system=None), file


def test_the_clock_of_a_terminal_goes_on_between_two_statuses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    console, file = on_a_terminal()
    now_s = 100.0
    monkeypatch.setattr(agad.cli.running.time, "monotonic", lambda: now_s)
    with running(console) as view:
        view.step("Starting Ray")
        now_s = 103.0
        console.print(view)
        assert "Starting Ray ... 3.0 s" in file.getvalue()
        view.status(STATUS)
        now_s = 112.0
        console.print(view)
    assert "50 s" in file.getvalue()


def test_the_last_table_stays_on_the_screen_after_ctrl_c() -> None:
    console, file = on_a_terminal()

    def run() -> None:
        with running(console) as view:
            view.status(STATUS)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    shown = file.getvalue()
    # The last table is followed by no command that erases lines.
    assert "\x1b[2K" not in shown[shown.rindex("digits class=0 ratio=0") :]


def test_the_table_gives_way_to_the_leaderboard_when_a_study_is_done() -> None:
    console, file = on_a_terminal()
    with running(console) as view:
        view.status(STATUS)
    shown = file.getvalue()
    assert "\x1b[2K" in shown[shown.rindex("digits class=0 ratio=0") :]
