"""``agad diagnose``, from a study that was trained here to its block in the report."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

import agad
import agad.trial.diagnostics
from agad.config import Asha, Candidate, Confirm, Grid, Study
from agad.data import Library, NodeCache
from agad.detectors import Agad, Pca
from agad.objects import open_objects
from agad.records import checkpoints_prefix, find_provenance, kept_prefix
from agad.store import StudyStore
from agad.study.board import StudyBoard
from agad.study.cell_data import find_cell_data
from agad.study.row_maker import RowMaker
from agad.study.running import Progress
from agad.trial import CheckpointPlan, KeptPlan, Runtime, TrialSpec, train_trial
from agad.trial.confirm import open_test
from agad.trial.results import TestPart
from tests.cli.trained import STUDY

if TYPE_CHECKING:
    from tests.cli.conftest import Ended, RunAgad

Diagnose: TypeAlias = Callable[..., "Ended"]

_STUDY = replace(
    STUDY,
    scheduler=Asha(max_epochs=3, grace_period=1, reduction_factor=2),
    confirm=Confirm(seeds=2, candidates=2, keep_every=2),
)


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:  # noqa: ARG001
    """Break no line of what is printed; train on one thread."""
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setattr("os.cpu_count", lambda: 1)


def _run(study: Study, uri: str, cache: NodeCache, *, most_ends: int | None = None) -> None:
    """Run a study as ``run_study`` does, one trial after another in this process."""
    objects = open_objects(uri)
    cell_data = find_cell_data(study, Library(objects))
    store = StudyStore(objects, study.name)
    store.open(study.as_json())
    rows = RowMaker(study=study.name, provenance=find_provenance())
    every = study.confirm.keep_every
    kept = None if every is None else KeptPlan(prefix=kept_prefix(study.name), every=every)
    plan = CheckpointPlan(prefix=checkpoints_prefix(study.name), kept=kept)
    runtime = Runtime(store=uri, cache=cache, checkpoints=plan)
    num_ended = 0
    with store.hold(), StudyBoard(study, cell_data, store, rows) as board:
        while num_ended != most_ends and (launch := board.launch()) is not None:
            epochs = tuple(train_trial(launch.spec, runtime))
            board.end(launch.spec.key, Progress(epochs=epochs, seconds=1.0, hardware="here"))
            num_ended += 1


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, session_cache: NodeCache) -> str:
    """Return a store with one study of one cell that is confirmed; tests leave it as it is."""
    uri = str(tmp_path_factory.mktemp("trained") / "store")
    _run(_STUDY, uri, session_cache)
    return uri


@pytest.fixture
def store(trained: str, tmp_path: Path) -> str:
    """Return such a store for one test alone."""
    return str(shutil.copytree(trained, tmp_path / "copy"))


@pytest.fixture
def diagnose(run_agad: RunAgad, session_cache: NodeCache) -> Diagnose:
    """Run ``agad diagnose`` with the session's cache."""
    return lambda *arguments: run_agad("diagnose", *arguments, "--cache", session_cache.folder)


def _assert_refused(ended: Ended, *texts: str) -> None:
    assert ended.code == 2
    assert len(ended.err.splitlines()) == 1
    for text in texts:
        assert text in ended.err


def test_the_winners_alone_keep_their_epochs(trained: str) -> None:
    reader = StudyStore(open_objects(trained), "tiny")
    (winner,) = reader.winners()
    rows = [row for row in reader.trials() if row.phase == "confirm"]
    tested = {row.params for row in reader.trials() if row.phase == "test"}
    keys = [row.trial_key for row in rows if row.params in tested]
    assert (len(rows), len(keys), winner.cell) == (4, 2, "digits class=0 ratio=0")
    assert open_objects(trained).list("tiny/kept/") == sorted(
        f"tiny/kept/{key}/{num}-0.ckpt" for key in keys for num in (2, 3)
    )


def test_each_confirmed_trial_gets_a_row_whose_report_is_the_leaderboards(
    diagnose: Diagnose, store: str
) -> None:
    ended = diagnose(store)
    assert ended.code == 0, ended.err
    assert "2/2 digits class=0 ratio=0 seed 2: 2 epochs scored" in ended.out
    assert "Diagnostics that looked at the test split; never ranked" in ended.out
    reader = StudyStore(open_objects(store), "tiny")
    rows = {row.trial_key: row for row in reader.trials() if row.phase == "test"}
    found = reader.diagnostics()
    assert [row.seeds for row in found] == [(1,), (2,)]
    for row in found:
        assert row.reported_test_auroc == rows[row.trial_key].test_auroc
        assert row.kept_epochs == (1, 2)
        assert row.optimism_gap == max(row.kept_test_aurocs) - row.reported_test_auroc
        assert row.bn_batchstats_ordered_test_auroc is not None
    table = agad.read(store, "diagnostics", columns=["trial_key", "phase"])
    assert {*table["phase"].to_pylist()} == {"test"}


def test_diagnostics_change_no_leaderboard_and_stand_apart(
    diagnose: Diagnose, run_agad: RunAgad, store: str, tmp_path: Path
) -> None:
    def report(name: str) -> tuple[str, str, str]:
        files = [tmp_path / f"{name}.{kind}" for kind in ("md", "csv", "means.csv")]
        flags = ("--md", files[0], "--csv", files[1], "--means-csv", files[2])
        ended = run_agad("report", store, *flags)
        assert ended.code == 0, ended.err
        board, csv, means = (path.read_text() for path in files)
        return board, csv, means

    before = report("before")
    assert "Diagnostics" not in before[0]
    assert diagnose(store).code == 0
    after = report("after")
    assert after[1:] == before[1:]
    assert after[0].startswith(before[0])
    assert "## Study tiny · Diagnostics that looked at the test split; never ranked" in after[0]


def test_a_page_of_html_has_the_block_too(
    diagnose: Diagnose, run_agad: RunAgad, store: str, tmp_path: Path
) -> None:
    assert diagnose(store).code == 0
    ended = run_agad("report", store, "--html", tmp_path / "report.html")
    assert ended.code == 0, ended.err
    heading = "Study tiny · Diagnostics that looked at the test split; never ranked</h2>"
    assert heading in (tmp_path / "report.html").read_text()


def test_every_class_is_diagnosed_where_some_searched_for_all(
    diagnose: Diagnose, tmp_path: Path, session_cache: NodeCache
) -> None:
    uri = str(tmp_path / "development")
    study = replace(
        _STUDY,
        cells=Grid(dataset="digits", normal_class=[0, 1]),
        search=replace(_STUDY.search, development_classes=[0]),
        confirm=Confirm(seeds=1, keep_every=9),
    )
    _run(study, uri, session_cache)
    ended = diagnose(uri)
    assert ended.code == 0, ended.err
    rows = StudyStore(open_objects(uri), "tiny").diagnostics()
    assert [(row.cell, row.kept_epochs) for row in rows] == [
        ("digits class=0 ratio=0", (2,)),
        ("digits class=1 ratio=0", (2,)),
    ]


def test_every_detector_is_diagnosed_where_a_study_compares_several(
    diagnose: Diagnose, tmp_path: Path, session_cache: NodeCache
) -> None:
    uri = str(tmp_path / "several")
    study = Study(
        name="tiny",
        cells=Grid(dataset="digits", normal_class=0, anomaly_ratio=[0, 0.05]),
        detectors=[
            Candidate(_STUDY.detector, space={}, scheduler=_STUDY.scheduler),
            Candidate(Pca(), space={}),
        ],
        confirm=Confirm(seeds=1, keep_every=9),
    )
    _run(study, uri, session_cache)
    ended = diagnose(uri)
    assert ended.code == 0, ended.err
    rows = StudyStore(open_objects(uri), "tiny").diagnostics()
    assert [(row.cell, row.detector, row.kept_epochs) for row in rows] == [
        ("digits class=0 ratio=0", "agad", (2,)),
        ("digits class=0 ratio=0 detector=pca", "pca", (0,)),
        ("digits class=0 ratio=0.05", "agad", (2,)),
    ]
    assert "digits    pca" in ended.out


def test_a_trial_is_diagnosed_once(
    diagnose: Diagnose, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert diagnose(store).code == 0
    before = StudyStore(open_objects(store), "tiny").diagnostics()

    def fail(*_: object) -> None:
        pytest.fail("the test split was opened again")

    monkeypatch.setattr(agad.trial.diagnostics, "open_test", fail)
    ended = diagnose(store)
    assert (ended.code, "scored" in ended.out) == (0, False)
    assert StudyStore(open_objects(store), "tiny").diagnostics() == before


def test_a_pass_that_was_interrupted_goes_on(
    diagnose: Diagnose, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    num_opened = 0

    def interrupted(spec: TrialSpec, runtime: Runtime) -> TestPart:
        nonlocal num_opened
        num_opened += 1
        if num_opened == 2:
            raise KeyboardInterrupt
        return open_test(spec, runtime)

    monkeypatch.setattr(agad.trial.diagnostics, "open_test", interrupted)
    ended = diagnose(store)
    assert (ended.code, ended.err) == (
        130,
        "agad: interrupted; run the same command again to go on.\n",
    )
    assert len(StudyStore(open_objects(store), "tiny").diagnostics()) == 1
    assert "1/1 digits class=0 ratio=0 seed 2" in diagnose(store).out
    assert len(StudyStore(open_objects(store), "tiny").diagnostics()) == 2


def test_a_store_with_diagnostics_is_whole_after_a_compaction_too(
    diagnose: Diagnose, run_agad: RunAgad, store: str
) -> None:
    assert diagnose(store).code == 0
    assert run_agad("store", "compact", store, "--grace", "0").code == 0
    verified = run_agad("store", "verify", store)
    assert (verified.code, "note:" in verified.out) == (0, False)
    listed = run_agad("store", "files", store, "--table", "diagnostics").out.splitlines()
    assert len(listed) == 2
    assert all(Path(one).is_file() for one in listed)
    assert "Diagnostics" in run_agad("report", store).out


def test_a_trial_without_its_last_epoch_is_a_warning_and_exit_code_1(
    diagnose: Diagnose, store: str
) -> None:
    objects = open_objects(store)
    objects.delete(next(key for key in objects.list("tiny/kept/") if key.endswith("/3-0.ckpt")))
    ended = diagnose(store)
    assert ended.code == 1
    assert "agad: warning: digits class=0 ratio=0 seed" in ended.err
    assert "kept no checkpoint of its last epoch, so it is not diagnosed" in ended.err
    assert len(StudyStore(objects, "tiny").diagnostics()) == 1


def test_a_study_that_keeps_nothing_is_refused(
    diagnose: Diagnose, tmp_path: Path, session_cache: NodeCache
) -> None:
    uri = str(tmp_path / "none")
    _run(replace(_STUDY, confirm=Confirm(seeds=1)), uri, session_cache)
    _assert_refused(
        diagnose(uri), "keeps no checkpoints to diagnose; set confirm=Confirm(..., keep_every=K)"
    )


def test_a_study_that_is_not_done_is_refused_before_the_test_split_is_opened(
    diagnose: Diagnose, tmp_path: Path, session_cache: NodeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        pytest.fail("the test split was opened")

    monkeypatch.setattr(agad.trial.diagnostics, "open_test", fail)
    uri = str(tmp_path / "part")
    _run(_STUDY, uri, session_cache, most_ends=2)
    _assert_refused(diagnose(uri), "has kept no checkpoint yet, but keeps each 2 epochs")
    _run(_STUDY, uri, session_cache, most_ends=4)
    _assert_refused(diagnose(uri), "is not done, but only a finished one")


def test_a_setting_added_later_runs_nothing_again(
    diagnose: Diagnose, tmp_path: Path, session_cache: NodeCache
) -> None:
    uri = str(tmp_path / "late")
    _run(replace(_STUDY, confirm=Confirm(seeds=1)), uri, session_cache)
    rows = StudyStore(open_objects(uri), "tiny").trials()
    _run(replace(_STUDY, confirm=Confirm(seeds=1, keep_every=1)), uri, session_cache)
    assert StudyStore(open_objects(uri), "tiny").trials() == rows
    _assert_refused(diagnose(uri), "or where it has ended, under another name")
    _run(replace(_STUDY, confirm=Confirm(seeds=2, keep_every=1)), uri, session_cache)
    ended = diagnose(uri)
    assert ended.code == 1
    assert "seed 1 kept no checkpoint of its last epoch" in ended.err
    (row,) = StudyStore(open_objects(uri), "tiny").diagnostics()
    assert (row.seeds, row.kept_epochs) == ((2,), (0, 1, 2))


def test_a_study_whose_trials_cannot_be_built_again_is_refused(
    diagnose: Diagnose, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Agad, "version", Agad.version + 1)
    _assert_refused(diagnose(store), "or by another version than this agad's of agad")


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (("--device", "tpu"), "--device is 'tpu', but must be cpu, cuda or mps"),
        (("--study", "other"), "--study is 'other', but"),
    ],
)
def test_a_wrong_flag_is_one_line(
    diagnose: Diagnose, trained: str, flags: tuple[str, ...], text: str
) -> None:
    _assert_refused(diagnose(trained, *flags), text)
