"""``agad.start``: a study in a process of its own, its errors, and a real Jupyter kernel."""

from __future__ import annotations

import os
import queue
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

import agad
from agad.cli.notebook.view import as_html
from agad.errors import ConfigError, StudyChangedError

_TINY = """
import agad
STUDY = agad.Study(
    name="tiny",
    cells=agad.Grid(dataset="digits", normal_class=[0, 1]),
    detector=agad.Agad(backbone="naive", base_width=4, discriminator_width=4, batch_size=32,
                       min_batch_anomalies=16),
    search=agad.Search(space={"lr": agad.LogUniform(1e-4, 1e-2)}, trials_per_cell=3),
    scheduler=agad.NoStopping(max_epochs=150),
    confirm=agad.Confirm(seeds=1),
)
"""


def _study(**changes: Any) -> agad.Study:  # noqa: ANN401
    values: dict[str, Any] = {
        "name": "tiny",
        "cells": agad.Grid(dataset="digits", normal_class=0),
        "search": agad.Search(space={"lr": agad.LogUniform(1e-4, 1e-2)}, trials_per_cell=2),
    }
    return agad.Study(**(values | changes))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let everything go to folders of the test."""
    for name in ("RAY_ADDRESS", "AGAD_SPOOL", "AGAD_WEBHOOK"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AGAD_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("AGAD_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"gpus": 1}, "start has no 'gpus', but takes: address, cache, .*gpus_per_trial"),
        ({"cpus_per_trial": "many"}, "start: argument --cpus-per-trial: invalid int value: 'many'"),
        ({"shared_store": "x"}, "start: argument --shared-store: ignored explicit argument 'x'"),
    ],
    ids=["unknown", "not-a-number", "not-a-flag"],
)
def test_start_refuses_a_flag_before_any_process_starts(
    flags: dict[str, Any], message: str, home: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        agad.start(_study(), **flags)
    assert not (home / "store").exists()


def test_start_refuses_what_is_no_study_file(home: Path) -> None:
    with pytest.raises(ConfigError, match=r"a\.txt is no study file"):
        agad.start(home / "a.txt")


@pytest.mark.slow
def test_what_is_wrong_with_a_study_is_raised_by_its_handle(home: Path) -> None:
    handle = agad.start(_study(cells=agad.Grid(dataset="digits", normal_class=10)))
    with pytest.raises(ConfigError, match="normal_class holds 10"):
        handle.wait(120)
    assert handle.state == "failed"
    with pytest.raises(ConfigError, match="normal_class holds 10"):
        handle.status()
    assert "failed: " in repr(handle)
    assert "normal_class holds 10" in handle._repr_html_()
    assert "Study tiny, store" in handle.log
    assert (home / "store").is_dir()


@pytest.mark.slow
@pytest.mark.usefixtures("home")
def test_an_error_keeps_its_type(home: Path) -> None:
    from agad.objects import open_objects
    from agad.store import StudyStore

    StudyStore(open_objects(str(home / "store")), "tiny").open(_study(seed=7).as_json())
    with pytest.raises(StudyChangedError, match="tiny"):
        agad.start(_study()).wait(120)


@pytest.mark.slow
@pytest.mark.usefixtures("home")
def test_a_study_that_is_killed_says_so() -> None:
    handle = agad.start(_study())
    os.kill(handle._process.pid, signal.SIGKILL)
    with pytest.raises(agad.AgadError, match="the process of study tiny ended with code -9"):
        handle.wait(60)


@pytest.mark.slow
@pytest.mark.usefixtures("home")
def test_a_study_that_runs_is_started_once_and_no_other_of_its_name() -> None:
    handle = agad.start(_study())
    assert agad.start(_study()) is handle
    with pytest.raises(ConfigError, match="study tiny runs already and is another one"):
        agad.start(_study(seed=3))
    assert handle.interrupt() == "interrupted"
    assert "interrupted" in repr(handle)


def test_a_view_escapes_what_a_label_holds() -> None:
    html = as_html("<script>alert(1)</script> [red]x[/]", 80)
    assert "<script>" not in html
    assert "[red]x[/]" in html


class _Kernel:
    """A Jupyter kernel, and what its cells show."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self._client = client

    def start_cell(self, code: str) -> str:
        return str(self._client.execute(code))

    def outputs(self, cell: str, timeout_s: float = 240) -> list[dict[str, Any]]:
        """Return the messages of a cell once it has ended; an error in it fails the test."""
        found: list[dict[str, Any]] = []
        end_s = time.monotonic() + timeout_s
        while time.monotonic() < end_s:
            with suppress(queue.Empty):
                message = self._client.get_iopub_msg(timeout=1)
                if message["parent_header"].get("msg_id") != cell:
                    continue
                assert message["msg_type"] != "error", "\n".join(message["content"]["traceback"])
                if message["content"].get("execution_state") == "idle":
                    return found
                found.append(message)
        pytest.fail(f"the cell took more than {timeout_s} s; it showed {found}")

    def value(self, code: str, timeout_s: float = 240) -> str:
        """Run a cell and return the text of its last expression."""
        (result,) = [
            one
            for one in self.outputs(self.start_cell(code), timeout_s)
            if one["msg_type"] == "execute_result"
        ]
        return str(result["content"]["data"]["text/plain"])


@pytest.fixture
def kernel(home: Path) -> Iterator[_Kernel]:
    """Start a real kernel in the test's folder."""
    root = Path(__file__).parents[2]
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(home), env=os.environ | {"PYTHONPATH": str(root)})
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield _Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


def _until_it_trains(kernel: _Kernel) -> None:
    kernel.outputs(
        kernel.start_cell(
            "import time\n"
            "while not (s := handle.status()) or not sum(one.epochs for one in s.cells):\n"
            "    time.sleep(0.5)"
        )
    )


def _views(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what a cell displayed, in order."""
    return [one for one in messages if one["msg_type"].endswith("display_data")]


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.nightly
def test_a_kernel_starts_watches_interrupts_and_goes_on(kernel: _Kernel, home: Path) -> None:
    kernel.outputs(kernel.start_cell(f"{_TINY}\nhandle = agad.start(STUDY)"))
    assert "tiny: " in kernel.value("handle")
    _until_it_trains(kernel)

    watching = kernel.start_cell("state = handle.watch()")
    time.sleep(3)
    kernel.manager.interrupt_kernel()
    shown = kernel.outputs(watching)
    assert "text/html" in _views(shown)[0]["content"]["data"]
    # The cell was interrupted, not the study.
    assert kernel.value("handle.state, state") == "('running', 'running')"

    assert kernel.value("handle.interrupt()") == "'interrupted'"
    assert "was interrupted" in kernel.value("handle")

    kernel.outputs(kernel.start_cell("handle = agad.start(STUDY, max_concurrent_trials=2)"))
    cell = kernel.start_cell("state = handle.watch()")
    shown = kernel.outputs(cell, timeout_s=400)
    first, *later = _views(shown)
    assert first["msg_type"] == "display_data"
    assert {one["msg_type"] for one in later} == {"update_display_data"}
    assert "done, by the driver" in later[-1]["content"]["data"]["text/plain"]
    assert kernel.value("state, len(handle.status().cells)") == "('done', 2)"

    rows = agad.read(home / "store", columns=["trial_key", "phase"]).to_pylist()
    assert len({row["trial_key"] for row in rows}) == len(rows) == 2 * (3 + 1)


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.nightly
def test_a_kernel_that_is_killed_takes_its_study_along_in_good_order(
    kernel: _Kernel, home: Path
) -> None:
    kernel.outputs(kernel.start_cell(f"{_TINY}\nhandle = agad.start(STUDY)"))
    _until_it_trains(kernel)
    pid = int(kernel.value("handle._process.pid"))
    kernel.manager.shutdown_kernel(now=True)
    end_s = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists() and time.monotonic() < end_s:
        time.sleep(0.2)
    assert not Path(f"/proc/{pid}").exists()

    from agad.objects import open_objects
    from agad.store import StudyReader

    bulletin = StudyReader(open_objects(str(home / "store")), "tiny").bulletin()
    assert bulletin is not None
    assert bulletin.state == "interrupted"
