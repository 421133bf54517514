"""`agad store`: compact, verify, info, files and schema, and other tools on the files it lists."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd  # type: ignore[import-untyped]
import pytest

from agad.objects import open_objects
from agad.records import EpochRow, TrialRow
from agad.store import StudyStore

if TYPE_CHECKING:
    from tests.cli.conftest import FillStore, RunAgad

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def filled(fill_store: FillStore, tmp_path: Path) -> str:
    return fill_store(tmp_path / "filled")


def test_compact_says_what_it_did(run_agad: RunAgad, filled: str) -> None:
    ended = run_agad("store", "compact", filled, "--grace", "0")
    assert (ended.code, ended.err) == (0, "")
    wanted = "tiny: 4 attempts merged; manifest 1 has 1 file of N bytes; 8 objects removed.\n"
    assert re.sub(r"[\d,]+ bytes", "N bytes", ended.out) == wanted
    again = run_agad("store", "compact", filled).out
    assert again.startswith("tiny: nothing to merge; manifest 1 has ")
    assert "0.820" in run_agad("report", filled).out


def test_verify_ends_with_1_and_a_line_a_fault(run_agad: RunAgad, filled: str) -> None:
    ended = run_agad("store", "verify", filled)
    assert (ended.code, ended.out) == (0, "tiny: 9 objects read, 0 faults.\n")
    path = next(Path(filled).glob("tiny/trials/*/0.parquet"))
    path.write_bytes(b"no table")
    ended = run_agad("store", "verify", filled)
    assert ended.code == 1
    fault, summary = ended.out.splitlines()
    assert fault.startswith(f"{path} cannot be read as a table of TrialRow")
    assert summary == "tiny: 9 objects read, 1 fault."


def test_info_prints_rows_and_the_last_compaction(run_agad: RunAgad, filled: str) -> None:
    assert "Last compaction: never." in " ".join(run_agad("store", "info", filled).out.split())
    run_agad("store", "compact", filled)
    out = run_agad("store", "info", filled).out
    assert re.search(r"trials +4 +[\d,]+ +4 +1 ", out)
    assert " UTC." in out


def test_schema_prints_every_column(run_agad: RunAgad) -> None:
    ended = run_agad("store", "schema", "--json")
    columns = {(one["table"], one["column"]): one for one in json.loads(ended.out)}
    assert columns["trials", "precision"] == {
        "table": "trials",
        "column": "precision",
        "type": "string",
        "is_nullable": False,
        "description": "`float32`, or `bfloat16` where it trained under autocast.",
        "is_added": True,
        "default": "float32",
    }
    assert columns["scores", "score"]["type"] == "double"
    assert "peak_gpu_memory_bytes" in run_agad("store", "schema").out


def _epoch(row: TrialRow, epoch: int) -> EpochRow:
    return EpochRow(
        study=row.study,
        cell=row.cell,
        phase=row.phase,
        trial_key=row.trial_key,
        attempt=row.attempt,
        epoch=epoch,
        val_auroc=0.5,
        train_s=1.0,
        losses={},
    )


@pytest.mark.parametrize("is_compacted", [False, True])
def test_listed_files_are_a_table_for_duckdb_and_pandas(
    run_agad: RunAgad, filled: str, is_compacted: bool, make_row: Callable[..., TrialRow]
) -> None:
    failed, finished = (
        make_row(study="tiny", number=2, attempt=attempt, state=state, trial_key="f" * 32)
        for attempt, state in enumerate(["failed", "finished"])
    )
    store = StudyStore(open_objects(filled), "tiny")
    for row, num_epochs in ((failed, 1), (finished, 2)):
        store.put(row, [_epoch(row, epoch) for epoch in range(num_epochs)])
    if is_compacted:
        run_agad("store", "compact", filled)
    files = run_agad("store", "files", filled, "--table", "trials").out.splitlines()
    assert len(files) == (1 if is_compacted else 6)
    assert "text=True).splitlines()" in README.read_text()
    _, of_trials, of_epochs = README.read_text().split('duckdb.execute("""')
    query = of_trials.split('"""')[0]
    duckdb.execute(f"create or replace temp table trials as {query}", [files])
    cell = "digits class=0 ratio=0"
    columns = ["cell", "phase", "number", "attempt", "param_lr"]
    wanted = [
        (cell, "confirm", 0, 0, 0.001),
        (cell, "confirm", 1, 0, 0.001),
        (cell, "search", 0, 0, 0.001),
        (cell, "search", 1, 0, 0.001),
        (cell, "search", 2, 1, 0.001),
    ]
    found = duckdb.execute(f"select {', '.join(columns)} from trials").fetchall()
    assert sorted(found) == wanted
    lines = README.read_text().splitlines()
    first = next(place for place, line in enumerate(lines) if line.startswith("    every = pd."))
    names: dict[str, Any] = {"pd": pd, "files": files}
    exec(textwrap.dedent("\n".join(lines[first : first + 3])), names)
    assert len(names["every"]) == 6
    assert sorted(names["trials"][columns].itertuples(index=False, name=None)) == wanted
    files = run_agad("store", "files", filled, "--table", "epochs").out.splitlines()
    epochs = duckdb.execute(of_epochs.split('"""')[0], [files]).fetchall()
    assert len(epochs) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compact", "--grace", "-1"], "--grace is -1, but must be minutes from 0 to"),
        (["compact", "--grace", "nan"], "--grace is nan, but must be minutes from 0 to"),
        (["compact", "--study", "../x"], "--study is '../x', but"),
        (["verify", "--study", "other"], "--study is 'other', but"),
        (["info", "nowhere"], "holds no study; run one with --store, or name another"),
        (["files", "--table", "claims"], "invalid choice: 'claims'"),
    ],
)
def test_store_refuses_what_it_cannot_take(
    run_agad: RunAgad, fill_store: FillStore, tmp_path: Path, arguments: list[str], message: str
) -> None:
    fill_store(tmp_path / "store")
    ended = run_agad("store", *arguments)
    assert ended.code == 2
    assert message in ended.err
