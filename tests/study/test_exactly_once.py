"""A driver killed before or after each of its writes, and run again: each row once."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

from agad.config import Confirm, Grid, Search, Study, Uniform
from agad.objects import LocalObjects
from agad.store import StudyStore

if TYPE_CHECKING:
    from tests.simulation import MakeSimulation, MakeStudy

Drive: TypeAlias = Callable[[LocalObjects], int]

NUM_TRIALS = 4


class _Deadly(LocalObjects):
    """A folder whose n-th write kills its process with SIGKILL, just before it or just after."""

    def __init__(self, path: Path, deadly_write: int, *, is_written: bool) -> None:
        super().__init__(path)
        self._num_left = deadly_write
        self._is_written = is_written

    def put_if_absent(self, key: str, data: bytes) -> bool:
        self._num_left -= 1
        if self._num_left == 0:
            if self._is_written:
                super().put_if_absent(key, data)
            os.kill(os.getpid(), signal.SIGKILL)
        return super().put_if_absent(key, data)

    def delete(self, key: str) -> None:
        self._num_left -= 1
        if self._num_left == 0:
            if self._is_written:
                super().delete(key)
            os.kill(os.getpid(), signal.SIGKILL)
        super().delete(key)


@pytest.fixture(
    params=[
        pytest.param(Confirm(seeds=2), id="one"),
        pytest.param(Confirm(seeds=1, candidates=2), id="two", marks=pytest.mark.nightly),
    ]
)
def confirm(request: pytest.FixtureRequest) -> Confirm:
    """Return a confirm phase of two trials; of two candidates, the winner is tested beside."""
    confirm: Confirm = request.param
    return confirm


@pytest.fixture
def drive(
    confirm: Confirm, make_study: MakeStudy, make_simulation: MakeSimulation, tmp_path: Path
) -> Drive:
    """Run a study of four trials, or five, to its end, as a driver does; return those launched."""
    study: Study = make_study(
        cells=Grid(dataset="digits", normal_class=0),
        search=Search(space={"weight_con": Uniform(0, 100)}, trials_per_cell=NUM_TRIALS - 2),
        confirm=confirm,
    )

    def run(objects: LocalObjects) -> int:
        store = StudyStore(objects, study.name, tmp_path / "spool")
        store.flush()
        with store.hold():
            store.open(study.as_json())
            return len(make_simulation(study, kept_in=store, slots=2).run_and_close())

    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    "is_written", [pytest.param(False, marks=pytest.mark.nightly), True], ids=["before", "after"]
)
def test_a_driver_killed_at_any_write_leaves_a_study_that_ends_with_each_row_once(
    drive: Drive, confirm: Confirm, tmp_path: Path, is_written: bool
) -> None:
    num_trials = NUM_TRIALS + (confirm.candidates > 1)
    context = multiprocessing.get_context("fork")
    exit_code: int | None = -signal.SIGKILL
    deadly_write = 0
    while exit_code == -signal.SIGKILL:
        deadly_write += 1
        folder = tmp_path / str(deadly_write)
        killed = context.Process(
            target=drive, args=(_Deadly(folder, deadly_write, is_written=is_written),)
        )
        killed.start()
        killed.join(60)
        exit_code = killed.exitcode
        drive(LocalObjects(folder))
        rows = StudyStore(LocalObjects(folder), "a-study").trials()
        assert len(list(folder.glob("a-study/trials/*/*.parquet"))) == len(rows) == num_trials
        assert {row.state for row in rows} <= {"finished", "pruned"}
        assert len(list(folder.glob("a-study/winners/*/*.json"))) == 1
        assert drive(LocalObjects(folder)) == 0
    assert exit_code == 0
    assert deadly_write > 3 * NUM_TRIALS
