"""``agad watch``: what a driver told a store, told to whoever looks."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import agad.cli.watch
from agad.records import StudyStatus
from tests.cli.news import CELL

if TYPE_CHECKING:
    from tests.cli.conftest import FillStore, RunAgad, Tell


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agad.cli.watch, "_LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(agad.cli.watch, "_START_S", 0.1)


def test_watch_once_prints_one_line_where_there_is_no_terminal(
    run_agad: RunAgad, tell: Tell
) -> None:
    tell()
    ended = run_agad("watch", "--once")
    assert ended.code == 0
    assert ended.out == (
        "4/12 search trials, 3 stopped, best digits class=0 ratio=0 0.900, 0/3 confirmed, 41 s, "
        "~60 s left\n"
    )


def test_watch_says_when_there_is_no_news(run_agad: RunAgad, tell: Tell) -> None:
    tell(age_s=180)
    ended = run_agad("watch", "--once")
    assert "no news for 3 min: the driver on far-away (process 4321) may be dead" in ended.out


def test_watch_does_not_complain_of_a_driver_whose_clock_is_ahead(
    run_agad: RunAgad, tell: Tell
) -> None:
    tell(age_s=-3600)
    assert "no news" not in run_agad("watch", "--once").out


@pytest.mark.usefixtures("fast")
def test_watch_goes_on_until_the_study_is_done(run_agad: RunAgad, tell: Tell) -> None:
    tell()

    def end_soon() -> None:
        time.sleep(0.3)
        done = replace(CELL, phase="done", finished=9, left_s=0.0)
        status = StudyStatus(study="tiny", cells=(done,), elapsed_s=99.0, slots=2)
        tell(status=status, state="done")

    ending = threading.Thread(target=end_soon)
    ending.start()
    ended = run_agad("watch")
    ending.join()
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0].startswith("4/12 search trials")
    assert lines[-1].startswith("12/12 search trials")
    assert lines[-1].endswith("; done, by the driver on far-away (process 4321)")


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("state", ["done", "interrupted", "failed"])
def test_watch_started_just_after_a_rerun_follows_the_new_driver(
    run_agad: RunAgad, tell: Tell, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    monkeypatch.setattr(agad.cli.watch, "_START_S", 20.0)
    tell(state=state, age_s=7200, host="old-host")
    done = replace(CELL, phase="done", finished=9, left_s=0.0)
    status = StudyStatus(study="tiny", cells=(done,), elapsed_s=99.0, slots=2)

    def run_again() -> None:
        for ending in ("running", "done"):
            time.sleep(0.3)
            tell(status=status, state=ending, host="new-host")

    running = threading.Thread(target=run_again)
    running.start()
    ended = run_agad("watch")
    running.join()
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert "old-host" in lines[0]
    assert lines[1].startswith("The driver ended 2.0 h ago; a driver that starts now is awaited")
    assert lines[-1].endswith("; done, by the driver on new-host (process 4321)")


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize(
    ("state", "reason", "text"),
    [
        ("failed", "12 trials in a row\x1b[2J", "failed: 12 trials in a row"),
        ("interrupted", "", "was interrupted; the same command goes on"),
    ],
)
def test_watch_ends_with_1_where_the_driver_ended_otherwise(
    run_agad: RunAgad, tell: Tell, state: str, reason: str, text: str
) -> None:
    tell(state=state, reason=reason)
    ended = run_agad("watch")
    assert ended.code == 1
    assert text in ended.out
    assert "\x1b" not in ended.out


def test_watch_takes_the_study_of_which_was_told_last(run_agad: RunAgad, tell: Tell) -> None:
    tell("older", age_s=30, host="old-host", state="interrupted")
    tell("newer", age_s=10, host="new-host", state="interrupted")
    assert "new-host" in run_agad("watch", "--once").out
    assert "old-host" in run_agad("watch", "--once", "--study", "older").out


def test_watch_of_a_study_that_nobody_told_of_is_one_clear_error(
    run_agad: RunAgad, fill_store: FillStore, tmp_path: Path
) -> None:
    fill_store(tmp_path / "store")
    ended = run_agad("watch", "--study", "tiny")
    assert ended.code == 2
    assert "holds no live status of tiny; run it" in ended.err


def test_watch_of_a_damaged_status_is_one_clear_error(
    run_agad: RunAgad, tell: Tell, tmp_path: Path
) -> None:
    tell()
    (tmp_path / "store" / "tiny" / "status.json").write_text('{"version": 1}')
    ended = run_agad("watch")
    assert ended.code == 2
    assert "tiny/status.json is no live status (status must be an object, not NoneType)" in (
        ended.err
    )


def test_watching_needs_neither_torch_nor_ray() -> None:
    code = (
        "import sys; from agad.cli.watch import watch; import agad.store, agad.objects; "
        "print([name for name in ('torch', 'ray', 'optuna') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
