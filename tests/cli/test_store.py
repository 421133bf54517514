"""`agad store`: compact, verify, info, files and schema, and other tools on the files it lists."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pandas as pd  # type: ignore[import-untyped]
import pytest

from agad.objects import open_objects
from agad.records import TrialRow
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
    assert summary == "tiny: 9 objects read, 1 faults."


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


@pytest.mark.parametrize("is_compacted", [False, True])
def test_listed_files_are_a_table_for_duckdb_and_pandas(
    run_agad: RunAgad, filled: str, is_compacted: bool, make_row: Callable[..., TrialRow]
) -> None:
    failed = make_row(study="tiny", number=0, attempt=1, state="failed", trial_key="0" * 32)
    StudyStore(open_objects(filled), "tiny").put(failed, [])
    if is_compacted:
        run_agad("store", "compact", filled)
    files = run_agad("store", "files", filled, "--table", "trials").out.split()
    assert len(files) == (1 if is_compacted else 5)
    query = README.read_text().split('duckdb.execute("""')[1].split('"""')[0]
    chosen = duckdb.execute(f"create or replace temp table chosen as {query}", [files])
    found = chosen.execute(
        "select cell, number, test_auroc, param_lr from chosen order by phase desc, number"
    ).fetchall()
    cell = "digits class=0 ratio=0"
    assert found == [
        (cell, 0, None, 0.001),
        (cell, 1, None, 0.001),
        (cell, 0, 0.81, 0.001),
        (cell, 1, 0.83, 0.001),
    ]
    frame = pd.concat(pd.read_parquet(file) for file in files)
    assert frame.groupby("phase")["param_lr"].count().to_dict() == {"search": 3, "confirm": 2}


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
