"""The command line inside this process, with empty folders and no cluster to reach."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import pytest
import ray

import agad.cli.studies
import agad.executor.tune.run
from agad.cli import entry
from agad.config import Confirm, Grid, LogUniform, Search, Study
from agad.data import NodeCache
from agad.objects import LocalObjects, open_objects
from agad.records import Bulletin, StudyStatus, TrialRow
from agad.store import StudyStore
from tests.cli import heads
from tests.cli.news import CELL
from tests.cli.trained import STUDY, run_here

STUDY_FILE = """\
from agad import Grid, LogUniform, Search, Study

STUDY = Study(
    name="tiny",
    cells=Grid(dataset="digits", normal_class=0),
    search=Search(space={"lr": LogUniform(1e-4, 1e-2)}, trials_per_cell=2),
)
"""

WriteStudy: TypeAlias = Callable[..., Path]
RunAgad: TypeAlias = Callable[..., "Ended"]
FillStore: TypeAlias = Callable[..., str]
Tell: TypeAlias = Callable[..., Bulletin]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended and what it printed."""

    code: int | str | None
    out: str
    err: str


@pytest.fixture
def write_study(tmp_path: Path) -> WriteStudy:
    """Write a study of one cell of digits, with one text in it replaced by another."""

    def write(old: str = "", new: str = "", name: str = "a_study.py") -> Path:
        assert old in STUDY_FILE
        path = tmp_path / name
        path.write_text(STUDY_FILE.replace(old, new) if old else STUDY_FILE)
        return path

    return write


def _no_cluster(_options: object) -> None:
    pytest.fail("Ray was started")


@pytest.fixture
def run_agad(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[RunAgad]:
    """Run ``agad`` with a home, a store and a cache that are empty; starting Ray fails the test."""
    for name in ("RAY_ADDRESS", "AGAD_SPOOL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AGAD_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("AGAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(agad.executor.tune.run, "connected", _no_cluster)
    # The networks of these studies are of full size, and nothing here asks how long they take.
    monkeypatch.setattr(agad.cli.studies, "_ESTIMATE_S", 0.0)
    before = signal.getsignal(signal.SIGTERM)

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["agad", *map(str, arguments)])
        with pytest.raises(SystemExit) as raised:
            entry()
        assert not ray.is_initialized()
        return Ended(raised.value.code, *capsys.readouterr())

    yield run
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def fill_store(make_row: Callable[..., TrialRow]) -> FillStore:
    """Put a study of one cell into a store: two search trials and two confirmed seeds."""

    def fill(
        uri: object,
        study: str = "tiny",
        test_aurocs: tuple[float, ...] = (0.81, 0.83),
        **changes: object,
    ) -> str:
        store = StudyStore(open_objects(str(uri)), study)
        config = Study(
            name=study,
            cells=Grid(dataset="digits", normal_class=[0, 1]),
            search=Search(space={"lr": LogUniform(1e-4, 1e-2)}, trials_per_cell=2),
            confirm=Confirm(seeds=2),
        )
        store.open(config.as_json())
        for number in range(2):
            store.put(make_row(study=study, number=number, **changes), [])
        for number, score in enumerate(test_aurocs):
            scores = {"test_auroc": score, "test_average_precision": score}
            place = {"phase": "confirm", "number": number, "seeds": (number + 1,)} | changes
            store.put(make_row(study=study, **place, **scores), [])
        return str(uri)

    return fill


@pytest.fixture
def tell(fill_store: FillStore, tmp_path: Path) -> Tell:
    """Tell a store's study of 4/12 trials, some of the bulletin's fields changed."""
    filled: set[str] = set()

    def tell(study: str = "tiny", age_s: float = 0, **changes: object) -> Bulletin:
        if study not in filled:
            fill_store(tmp_path / "store", study)
            filled.add(study)
        bulletin = Bulletin(
            status=StudyStatus(study=study, cells=(CELL,), elapsed_s=41.0, slots=2),
            state="running",
            reason="",
            host="far-away",
            pid=4321,
            at=datetime.now(UTC) - timedelta(seconds=age_s),
        )
        bulletin = replace(bulletin, **changes)  # type: ignore[arg-type]
        store = StudyStore(LocalObjects(tmp_path / "store"), study)
        with store.hold():
            store.put_bulletin(bulletin)
        return bulletin

    return tell


@pytest.fixture
def ray_head() -> Iterator[dict[str, str]]:
    """A Ray head with its job server on loopback, and the environment that reaches it."""
    with heads.ray_head() as variables:
        yield variables


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:  # noqa: ARG001
    """Break no line of what is printed; train on one thread."""
    monkeypatch.setenv("COLUMNS", "400")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, session_cache: NodeCache) -> str:
    """Return a store with one study of one cell that is confirmed; tests leave it as it is."""
    uri = str(tmp_path_factory.mktemp("trained") / "store")
    run_here(STUDY, uri, session_cache)
    return uri


@pytest.fixture
def exported(run_agad: RunAgad, trained: str, tmp_path: Path) -> Path:
    """Return the exported model of the trained study."""
    ended = run_agad("export", trained, "--out", tmp_path / "zero.model")
    assert ended.code == 0, ended.err
    return tmp_path / "zero.model"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder that holds a full one, ``full``."""
    (tmp_path / "here" / "full").mkdir(parents=True)
    (tmp_path / "here" / "full" / "file").write_text("")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"
