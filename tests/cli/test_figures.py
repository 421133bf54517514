"""``agad report --figures`` and ``--latex``, and ``agad dashboard``."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path

import pytest

from agad.config import Grid, LogUniform, Search, Study
from agad.objects import open_objects
from agad.reading import stored_figure_data
from agad.report import figures as study_figures
from agad.store import StudyStore
from tests.cli.conftest import FillStore, RunAgad

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("flags", "endings"),
    [
        pytest.param((), {".svg", ".png"}, id="both"),
        pytest.param(("--format", "svg"), {".svg"}, id="svg"),
        pytest.param(("--format", "png"), {".png"}, id="png"),
    ],
)
def test_every_figure_is_written_in_each_format(
    run_agad: RunAgad,
    fill_store: FillStore,
    tmp_path: Path,
    flags: tuple[str, ...],
    endings: set[str],
) -> None:
    store = fill_store(tmp_path / "store")
    ended = run_agad("report", store, "--figures", tmp_path / "figures", *flags)
    assert ended.code == 0, ended.err
    found = study_figures(*stored_figure_data(open_objects(store), "tiny"))
    expected = {f"tiny-{one.name}{ending}" for one in found for ending in endings}
    assert {path.name for path in (tmp_path / "figures").iterdir()} == expected
    assert f"Figures of tiny: {len(found)} figures" in ended.out
    again = run_agad("report", store, "--figures", tmp_path / "figures", *flags)
    assert again.code == 0


def test_latex_is_written_for_every_study(
    run_agad: RunAgad, fill_store: FillStore, tmp_path: Path
) -> None:
    store = fill_store(tmp_path / "store")
    fill_store(tmp_path / "store", study="other")
    assert run_agad("report", store, "--latex", tmp_path / "a.tex").code == 0
    text = (tmp_path / "a.tex").read_text()
    assert text.index("Study other") < text.index("Study tiny")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        pytest.param(("--format", "svg"), "add --figures DIR", id="format-alone"),
        pytest.param(
            ("--figures", "x", "--against", "other"), "leave one of them out", id="comparison"
        ),
        pytest.param(("--latex", "x", "--against", "other"), "leave one of them out", id="latex"),
        pytest.param(("--figures", "no/such/folder"), "cannot be made", id="no-folder"),
    ],
)
def test_a_wrong_flag_is_one_clear_error(
    run_agad: RunAgad,
    fill_store: FillStore,
    tmp_path: Path,
    flags: tuple[str, ...],
    message: str,
) -> None:
    store = fill_store(tmp_path / "store")
    fill_store(tmp_path / "store", study="other")
    ended = run_agad("report", store, "--study", "tiny", *flags)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert message in ended.err


def test_figures_without_their_renderer_are_one_clear_error(
    run_agad: RunAgad, fill_store: FillStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    ended = run_agad("report", fill_store(tmp_path / "store"), "--figures", tmp_path / "figures")
    assert (ended.code, "lacks its package vl_convert; install agad" in ended.err) == (2, True)
    assert not (tmp_path / "figures").exists()


@pytest.mark.slow
@contextmanager
def _dashboard(store: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Serve a store's dashboard in a process; yield the process and the address."""
    command = (sys.executable, "-c", "from agad.cli import entry; entry()")
    with subprocess.Popen(
        [*command, "dashboard", store, "--port", "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as served:
        assert served.stdout is not None
        line = served.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert address, line
        yield served, address[0]


def test_the_dashboard_answers_on_loopback_alone_and_ends_in_good_order(
    fill_store: FillStore, tmp_path: Path
) -> None:
    with _dashboard(fill_store(tmp_path / "store")) as (served, address):
        with urllib.request.urlopen(f"{address}/api/studies", timeout=30) as answer:
            studies = json.load(answer)["study_summaries"]
        assert [one["study_name"] for one in studies] == ["tiny/digits class=0 ratio=0"]
        with urllib.request.urlopen(f"{address}/dashboard", timeout=30) as answer:
            assert b"<html" in answer.read().lower()
        served.send_signal(signal.SIGINT)
        _, errors = served.communicate(timeout=30)
    assert (served.returncode, errors) == (0, "")


def test_ctrl_c_in_the_middle_of_requests_ends_the_dashboard(
    fill_store: FillStore, tmp_path: Path
) -> None:
    with _dashboard(fill_store(tmp_path / "store")) as (served, address):

        def ask_until_it_ends() -> None:
            with suppress(OSError, HTTPException):
                while True:
                    urllib.request.urlopen(f"{address}/api/studies", timeout=5).close()

        asking = [threading.Thread(target=ask_until_it_ends) for _ in range(4)]
        for one in asking:
            one.start()
        time.sleep(0.3)
        served.send_signal(signal.SIGINT)
        _, errors = served.communicate(timeout=30)
        for one in asking:
            one.join()
    assert (served.returncode, errors) == (0, "")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        pytest.param(("--port", "70000"), "must be from 0 to 65535", id="port"),
        pytest.param(("--host", "everyone"), "must be an IPv4 address", id="host"),
    ],
)
def test_the_dashboard_refuses_a_wrong_address(
    run_agad: RunAgad, fill_store: FillStore, tmp_path: Path, flags: tuple[str, ...], message: str
) -> None:
    ended = run_agad("dashboard", fill_store(tmp_path / "store"), *flags)
    assert (ended.code, message in ended.err) == (2, True)


def test_the_dashboard_says_where_a_port_is_taken(
    run_agad: RunAgad, fill_store: FillStore, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run_agad("dashboard", fill_store(tmp_path / "store"), "--port", port)
    assert (ended.code, f"--port is {port}, but nothing can listen" in ended.err) == (2, True)


def test_the_dashboard_of_a_study_without_trials_says_so(run_agad: RunAgad, tmp_path: Path) -> None:
    study = Study(
        name="planned",
        cells=Grid(dataset="digits", normal_class=0),
        search=Search(space={"lr": LogUniform(1e-4, 1e-2)}, trials_per_cell=2),
    )
    store = tmp_path / "store"
    StudyStore(open_objects(str(store)), "planned").open(study.as_json())
    ended = run_agad("dashboard", store)
    assert (ended.code, "holds no search trial that has ended" in ended.err) == (2, True)
    drawn = run_agad("report", store, "--figures", tmp_path / "figures")
    assert (drawn.code, "Figures of planned: none" in drawn.out) == (0, True)
