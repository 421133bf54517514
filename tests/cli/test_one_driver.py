"""A second driver of a study: declined with an exit code of its own, and later let in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agad.objects import open_objects
from agad.store import StudyStore
from agad.store.holding.lease import LeaseTimes

if TYPE_CHECKING:
    from tests.cli.conftest import RunAgad, WriteStudy

_QUICK = LeaseTimes(renew_s=0.1, void_s=1.0, look_s=0.05)

# A real process, in which time is short and Ray is only said to start.
_CONTENDER = """
import sys
from contextlib import contextmanager
import agad.executor.tune.run
from agad.cli import entry
from agad.store import StudyStore
from agad.store.holding.lease import LeaseTimes

@contextmanager
def connected(options):
    print("Ray would start now", flush=True)
    sys.exit(7)
    yield

agad.executor.tune.run.connected = connected
StudyStore.__init__.__kwdefaults__["lease_times"] = LeaseTimes(
    renew_s=0.1, void_s=1.0, look_s=0.05
)
entry()
"""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    assert StudyStore.__init__.__kwdefaults__ is not None
    monkeypatch.setitem(StudyStore.__init__.__kwdefaults__, "lease_times", _QUICK)


def _store(tmp_path: Path) -> StudyStore:
    return StudyStore(open_objects(str(tmp_path / "store")), "tiny", lease_times=_QUICK)


@pytest.mark.usefixtures("quick")
def test_a_second_driver_says_whom_it_waits_for_and_declines_with_3(
    run_agad: RunAgad, write_study: WriteStudy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with _store(tmp_path).hold():
        ended = run_agad("run", write_study())
    assert ended.code == 3
    assert f"(process {os.getpid()}); waiting up to 1 s for it to end" in caplog.text
    assert ended.err.startswith("agad: study tiny in ")
    assert ended.err.endswith("let it finish or stop it, then run this command again.\n")
    assert ended.err.count("\n") == 1


@pytest.mark.usefixtures("quick")
def test_what_is_wrong_with_a_study_is_told_without_waiting_for_its_driver(
    run_agad: RunAgad, write_study: WriteStudy, tmp_path: Path
) -> None:
    with _store(tmp_path).hold():
        ended = run_agad("run", write_study("normal_class=0", "normal_class=10"))
    assert ended.code == 2
    assert "normal_class holds 10" in ended.err


def _contend(study: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    places = {name: str(tmp_path / name) for name in ("AGAD_CACHE", "AGAD_SPOOL", "HOME")}
    return subprocess.run(
        [sys.executable, "-c", _CONTENDER, "run", str(study), f"--store={tmp_path / 'store'}"],
        env=os.environ | places,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.nightly
@pytest.mark.slow
def test_a_second_process_declines_with_3_while_the_first_lives_and_takes_over_when_it_is_released(
    write_study: WriteStudy, tmp_path: Path
) -> None:
    study = write_study()
    with _store(tmp_path).hold():
        declined = _contend(study, tmp_path)
    assert declined.returncode == 3, declined.stderr
    assert "Ray would start" not in declined.stdout
    waiting, last = declined.stderr.strip().splitlines()
    assert waiting.startswith("Another driver works on study tiny: the driver on ")
    assert last.startswith("agad: study tiny in ")
    assert not (tmp_path / "store" / "tiny" / "study.json").exists()

    started = _contend(study, tmp_path)
    assert (started.returncode, "Ray would start" in started.stdout) == (7, True)
